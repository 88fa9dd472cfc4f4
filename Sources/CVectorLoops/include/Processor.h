#pragma once

/// Name of the instruction set that the loader picked for the vector loops.
const char *apus_vector_capability(void);

/// Cores that this process may run on.
int apus_available_cores(void);

/// Lets a thread of this process run on every `of`-th of the processors that the process may use, from number `place` on,
/// 0 <= place < of, not counting the processor `without` (-1: counting all). Does nothing and answers 0 when there are
/// fewer than `of`, or no such thread.
int apus_bind_thread(int thread, int place, int of, int without);

/// The calling thread's number in the system, and the processor that it runs on at the moment.
int apus_thread_number(void);
int apus_current_processor(void);

/// Tells the processor that a loop waits for another thread.
static inline void apus_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
