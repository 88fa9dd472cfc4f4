#include "MultiplyAdd.h"
#include "Vectors.h"

typedef float apus_float8 __attribute__((ext_vector_type(8)));

// Twelve independent chains hide the latency of the additions on two units. The factor stays below 1, so that nothing
// overflows, and comes from a volatile, so that nothing is computed beforehand.
#define APUS_MULTIPLY_ADD_BODY(TYPE)                                                                    \
    static volatile float seed = 0.999f;                                                                \
    static volatile float sink;                                                                         \
    TYPE factor = seed, term = seed;                                                                    \
    TYPE a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11, l = 12;         \
    for (int64_t round = 0; round < rounds; round++) {                                                  \
        a = a * factor + term;                                                                          \
        b = b * factor + term;                                                                          \
        c = c * factor + term;                                                                          \
        d = d * factor + term;                                                                          \
        e = e * factor + term;                                                                          \
        f = f * factor + term;                                                                          \
        g = g * factor + term;                                                                          \
        h = h * factor + term;                                                                          \
        i = i * factor + term;                                                                          \
        j = j * factor + term;                                                                          \
        k = k * factor + term;                                                                          \
        l = l * factor + term;                                                                          \
    }                                                                                                   \
    TYPE sum = (a + b + c) + (d + e + f) + (g + h + i) + (j + k + l);                                   \
    sink = sum[0] + sum[7];                                                                             \
    (void)sink

APUS_VECTOR_CLONES static void multiply_add_16(int64_t rounds) { APUS_MULTIPLY_ADD_BODY(apus_float16); }

APUS_VECTOR_CLONES static void multiply_add_8(int64_t rounds) { APUS_MULTIPLY_ADD_BODY(apus_float8); }

double apus_multiply_add_loop(int64_t rounds, bool wide) {
    if (wide) {
        multiply_add_16(rounds);
    } else {
        multiply_add_8(rounds);
    }
    return 2.0 * 12.0 * (wide ? 16.0 : 8.0) * (double)rounds;
}
