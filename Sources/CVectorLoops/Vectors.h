// Sixteen floats as one value: an AVX-512 register, two of AVX2 or four of the baseline.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "VectorClones.h"

typedef float apus_float16 __attribute__((ext_vector_type(16)));
typedef float apus_float16_unaligned __attribute__((ext_vector_type(16), aligned(4)));
typedef double apus_double16 __attribute__((ext_vector_type(16)));
typedef bool apus_bool16 __attribute__((ext_vector_type(16)));

#define APUS_INLINE static inline __attribute__((always_inline))
#define APUS_LOAD(pointer) (*(const apus_float16_unaligned *)(pointer))
#define APUS_STORE(pointer, value) (*(apus_float16_unaligned *)(pointer) = (value))

APUS_INLINE float apus_sum16(const apus_float16 *v) {
    __typeof__((*v).lo) a = (*v).lo + (*v).hi;
    __typeof__(a.lo) b = a.lo + a.hi;
    __typeof__(b.lo) c = b.lo + b.hi;
    return c.x + c.y;
}

// Dot product of two rows; four accumulators hide the latency of the additions.
APUS_INLINE float apus_dot(const float *a, const float *b, int64_t d) {
    apus_float16 s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int64_t i = 0;
    for (; i + 64 <= d; i += 64) {
        s0 += APUS_LOAD(a + i) * APUS_LOAD(b + i);
        s1 += APUS_LOAD(a + i + 16) * APUS_LOAD(b + i + 16);
        s2 += APUS_LOAD(a + i + 32) * APUS_LOAD(b + i + 32);
        s3 += APUS_LOAD(a + i + 48) * APUS_LOAD(b + i + 48);
    }
    for (; i + 16 <= d; i += 16) s0 += APUS_LOAD(a + i) * APUS_LOAD(b + i);
    apus_float16 s = (s0 + s1) + (s2 + s3);
    float sum = apus_sum16(&s);
    for (; i < d; i++) sum += a[i] * b[i];
    return sum;
}
