#include "QuantizedProducts.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define APUS_INTEGERS __attribute__((target("arch=x86-64-v4,avx512vnni"), min_vector_width(512)))

bool apus_quantized_products_available(void) {
    return __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni");
}

enum { ROWS = 12, COLUMNS = APUS_QUANTIZED_PRODUCT_COLUMNS };

// A panel of 32 rows of b: four codes of each, one after the other, made unsigned by adding 128.
void apus_quantized_pack(const int32_t *b, int64_t b_stride, int64_t n, int64_t words, int64_t panel, uint32_t *out) {
    for (int64_t j = 0; j < COLUMNS; ++j) {
        const int64_t row = panel * COLUMNS + j;
        const int32_t *from = b + row * b_stride;
        if (row < n) {
            for (int64_t q = 0; q < words; ++q) out[q * COLUMNS + j] = (uint32_t)from[q] ^ 0x80808080u;
        } else {
            for (int64_t q = 0; q < words; ++q) out[q * COLUMNS + j] = 0x80808080u;
        }
    }
}

// Rows of one tile, at most 12, against a panel.
APUS_INTEGERS static inline __attribute__((always_inline)) void tile(
    const int32_t *a, int64_t a_stride, const int32_t *offsets, int64_t words, const uint32_t *panel,
    const __m512 scale[2], const __m512 shift[2], const __mmask16 there[2], int relu, float *output,
    int64_t output_stride, int rows) {
    __m512i sum[ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
    for (int64_t q = 0; q < words; ++q) {
        const __m512i low = _mm512_loadu_si512(panel + q * COLUMNS), high = _mm512_loadu_si512(panel + q * COLUMNS + 16);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; ++r) {
            const __m512i v = _mm512_set1_epi32(a[r * a_stride + q]);
            sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], low, v);
            sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], high, v);
        }
    }
    const __m512 least = relu ? _mm512_setzero_ps() : _mm512_set1_ps(-__builtin_inff());
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; ++r) {
        const __m512i offset = _mm512_set1_epi32(offsets[r]);
        for (int half = 0; half < 2; ++half) {
            const __m512 value = _mm512_fmadd_ps(
                _mm512_cvtepi32_ps(_mm512_sub_epi32(sum[r][half], offset)), scale[half], shift[half]);
            _mm512_mask_storeu_ps(
                output + r * output_stride + 16 * half, there[half], relu ? _mm512_max_ps(value, least) : value);
        }
    }
}

APUS_INTEGERS
void apus_quantized_product(
    const int32_t *a, int64_t a_stride, int64_t m, float step, const uint32_t *panels, const float *scales,
    const float *bias, int relu, float *output, int64_t output_stride, int64_t n, int64_t words) {
    int32_t offsets[APUS_QUANTIZED_PRODUCT_ROWS];
    const __m512i ones = _mm512_set1_epi8(1);
    for (int64_t i = 0; i < m; ++i) {
        // What the 128 of every unsigned code has added.
        __m512i sum = _mm512_setzero_si512();
        int64_t q = 0;
        for (; q + 16 <= words; q += 16) {
            sum = _mm512_dpbusd_epi32(sum, ones, _mm512_loadu_si512(a + i * a_stride + q));
        }
        if (q < words) {
            const __mmask16 mask = (__mmask16)((1u << (words - q)) - 1);
            sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi32(mask, a + i * a_stride + q));
        }
        offsets[i] = 128 * _mm512_reduce_add_epi32(sum);
    }
    const __m512 factor = _mm512_set1_ps(step);
    for (int64_t first = 0; first < n; first += COLUMNS) {
        const uint32_t *panel = panels + first * words;
        __m512 scale[2], shift[2];
        __mmask16 there[2];
        for (int half = 0; half < 2; ++half) {
            const int64_t left = n - first - 16 * half;
            there[half] = (__mmask16)(left >= 16 ? 0xFFFF : left > 0 ? (1u << left) - 1 : 0);
            scale[half] = _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(there[half], scales + first + 16 * half));
            shift[half] = bias ? _mm512_maskz_loadu_ps(there[half], bias + first + 16 * half) : _mm512_setzero_ps();
        }
        int64_t i = 0;
        for (; i + ROWS <= m; i += ROWS) {
            tile(a + i * a_stride, a_stride, offsets + i, words, panel, scale, shift, there, relu,
                 output + i * output_stride + first, output_stride, ROWS);
        }
        for (; i + 4 <= m; i += 4) {
            tile(a + i * a_stride, a_stride, offsets + i, words, panel, scale, shift, there, relu,
                 output + i * output_stride + first, output_stride, 4);
        }
        for (; i < m; ++i) {
            tile(a + i * a_stride, a_stride, offsets + i, words, panel, scale, shift, there, relu,
                 output + i * output_stride + first, output_stride, 1);
        }
    }
}

#else

bool apus_quantized_products_available(void) { return false; }
void apus_quantized_pack(const int32_t *b, int64_t b_stride, int64_t n, int64_t words, int64_t panel, uint32_t *out) {}
void apus_quantized_product(
    const int32_t *a, int64_t a_stride, int64_t m, float step, const uint32_t *panels, const float *scales,
    const float *bias, int relu, float *output, int64_t output_stride, int64_t n, int64_t words) {}

#endif
