#define _GNU_SOURCE
#include "Processor.h"
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

int apus_available_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int apus_bind_thread(int thread, int place, int of, int without) {
    cpu_set_t allowed, own;
    // The main thread's: the caller may be bound itself.
    if (sched_getaffinity(getpid(), sizeof allowed, &allowed) != 0) return 0;
    if (without >= 0 && without < CPU_SETSIZE) CPU_CLR(without, &allowed);
    if (CPU_COUNT(&allowed) < of) return 0;
    CPU_ZERO(&own);
    for (int processor = 0, number = 0; processor < CPU_SETSIZE; processor++) {
        if (CPU_ISSET(processor, &allowed) && number++ % of == place) CPU_SET(processor, &own);
    }
    return sched_setaffinity(thread, sizeof own, &own) == 0;
}

int apus_thread_number(void) { return (int)syscall(SYS_gettid); }

int apus_current_processor(void) { return sched_getcpu(); }

const char *apus_vector_capability(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd")) {
        return "AVX-512";
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "AVX2";
    return "SSE2";
#elif defined(__aarch64__)
    return "NEON";
#else
    return "portable";
#endif
}
