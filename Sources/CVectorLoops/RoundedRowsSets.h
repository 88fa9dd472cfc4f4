// The text of RoundedRowsBody.h for each set of instructions: functions vnni_, v3_ and default_. Which of them there are is
// said beforehand, by APUS_ROUNDED_GRAPH or APUS_ROUNDED_SCAN.
#if defined(__x86_64__)
#define APUS_NAME(name) vnni_##name
#define APUS_ROUNDED_VNNI
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4,avx512vnni"), min_vector_width(512))), apply_to = function)
#include "RoundedRowsBody.h"
#pragma clang attribute pop
#undef APUS_ROUNDED_VNNI
#undef APUS_NAME

#define APUS_NAME(name) v3_##name
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "RoundedRowsBody.h"
#pragma clang attribute pop
#undef APUS_NAME
#endif

#define APUS_NAME(name) default_##name
#include "RoundedRowsBody.h"

// Returns what the function of the best set that the processor has returns.
#if defined(__x86_64__)
#define APUS_DISPATCH(name, ...)                                                           \
    do {                                                                                   \
        if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni"))   \
            return vnni_##name(__VA_ARGS__);                                               \
        if (__builtin_cpu_supports("x86-64-v3")) return v3_##name(__VA_ARGS__);            \
        return default_##name(__VA_ARGS__);                                                \
    } while (0)
#else
#define APUS_DISPATCH(name, ...) return default_##name(__VA_ARGS__)
#endif
