#include "BFloat16Products.h"

#include <string.h>

#include "VectorClones.h"

APUS_VECTOR_CLONES
void apus_bfloat16_round(const float *x, int64_t stride, int64_t rows, int64_t columns, float *out) {
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
            uint32_t bits;
            memcpy(&bits, x + i * stride + j, 4);
            // NaN and infinities stay what they are: adding to them could make one the other.
            const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
            bits = (bits & 0x7F800000u) == 0x7F800000u ? bits : rounded;
            memcpy(out + i * columns + j, &bits, 4);
        }
    }
}

#if defined(__x86_64__)
#include <immintrin.h>
#define APUS_PAIRS __attribute__((target("arch=x86-64-v4,avx512bf16"), min_vector_width(512)))

bool apus_bfloat16_products_available(void) {
    return __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16");
}

enum { ROWS = APUS_BFLOAT16_ROWS, COLUMNS = APUS_BFLOAT16_COLUMNS };

APUS_PAIRS static inline __m512i as_integers(__m512bh x) { return (__m512i)x; }

// Sixteen rows of sixteen words the other way round.
APUS_PAIRS static inline void transpose(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xDD);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xDD);
    }
    for (int i = 0; i < 8; ++i) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    }
}

// Up to sixteen lines whose numbers lie beside each other.
APUS_PAIRS static void pack_along(const float *x, int64_t stride, int64_t count, int64_t depth, int64_t width,
                                  __mmask16 lanes, uint32_t *out) {
    for (int64_t p = 0; p < depth; p += 32) {
        const int64_t left = depth - p;
        const __mmask16 low = (__mmask16)(left >= 16 ? 0xFFFF : (1u << left) - 1);
        const __mmask16 high = (__mmask16)(left >= 32 ? 0xFFFF : left > 16 ? (1u << (left - 16)) - 1 : 0);
        __m512i pairs[16];
        for (int64_t l = 0; l < 16; ++l) {
            if (l < count) {
                const float *row = x + l * stride + p;
                pairs[l] = as_integers(
                    _mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, row + 16), _mm512_maskz_loadu_ps(low, row)));
            } else {
                pairs[l] = _mm512_setzero_si512();
            }
        }
        transpose(pairs);
        const int64_t steps = left >= 32 ? 16 : (left + 1) / 2;
        for (int64_t q = 0; q < steps; ++q) _mm512_mask_storeu_epi32(out + (p / 2 + q) * width, lanes, pairs[q]);
    }
}

// Lines whose numbers of one depth lie beside each other: rows of the source are read once, for all groups of lines.
APUS_PAIRS static void pack_across(const float *x, int64_t stride, int64_t lines, int64_t depth, int64_t width,
                                   uint32_t *out) {
    const int64_t pairs = (depth + 1) / 2;
    for (int64_t q = 0; q < pairs; ++q) {
        const float *first = x + 2 * q * stride, *second = first + stride;
        const __mmask16 whole = 2 * q + 1 < depth ? 0xFFFF : 0;
        // Rows are far from each other, and pieces of them short: no prefetcher of the processor's follows.
        if (2 * q + 17 < depth) {
            for (int64_t l = 0; l < lines; l += 16) {
                __builtin_prefetch(first + 16 * stride + l);
                __builtin_prefetch(second + 16 * stride + l);
            }
        }
        for (int64_t group = 0; group < lines; group += width) {
            uint32_t *target = out + group * pairs + q * width;
            for (int64_t l = 0; l < width; l += 16) {
                const int64_t left = lines - group - l;
                const __mmask16 there = (__mmask16)(left >= 16 ? 0xFFFF : left > 0 ? (1u << left) - 1 : 0);
                const __mmask16 lanes = (__mmask16)(width - l >= 16 ? 0xFFFF : (1u << (width - l)) - 1);
                const __m512 even = _mm512_maskz_loadu_ps(there & lanes, first + group + l);
                const __m512 odd = _mm512_maskz_loadu_ps(there & lanes & whole, second + group + l);
                const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
                const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
                _mm512_mask_storeu_epi32(target + l, lanes, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
            }
        }
    }
}

APUS_PAIRS
void apus_bfloat16_pack(const float *x, int64_t stride, bool along, int64_t lines, int64_t depth, int64_t width,
                        uint32_t *out) {
    if (!along) {
        pack_across(x, stride, lines, depth, width, out);
        return;
    }
    const int64_t pairs = (depth + 1) / 2;
    for (int64_t group = 0; group < lines; group += width) {
        for (int64_t l = 0; l < width; l += 16) {
            const __mmask16 lanes = (__mmask16)(width - l >= 16 ? 0xFFFF : (1u << (width - l)) - 1);
            const int64_t left = lines - group - l, room = width - l < 16 ? width - l : 16;
            pack_along(x + (group + l) * stride, stride, left < 0 ? 0 : left < room ? left : room, depth, width, lanes,
                       out + group * pairs + l);
        }
    }
}

APUS_PAIRS static inline __attribute__((always_inline)) void tile(
    const uint32_t *a, const uint32_t *b, int64_t pairs, float alpha, float beta, float *c, int64_t stride, int rows,
    const __mmask16 there[2]) {
    __m512 sum[ROWS][2];
#pragma clang loop unroll(full)
    for (int r = 0; r < ROWS; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    for (int64_t q = 0; q < pairs; ++q) {
        const __m512bh low = (__m512bh)_mm512_loadu_si512(b + q * COLUMNS);
        const __m512bh high = (__m512bh)_mm512_loadu_si512(b + q * COLUMNS + 16);
#pragma clang loop unroll(full)
        for (int r = 0; r < ROWS; ++r) {
            const __m512bh v = (__m512bh)_mm512_set1_epi32((int)a[q * ROWS + r]);
            sum[r][0] = _mm512_dpbf16_ps(sum[r][0], v, low);
            sum[r][1] = _mm512_dpbf16_ps(sum[r][1], v, high);
        }
    }
    const __m512 scale = _mm512_set1_ps(alpha), share = _mm512_set1_ps(beta);
#pragma clang loop unroll(full)
    for (int r = 0; r < ROWS; ++r) {
        if (r >= rows) break;
        for (int half = 0; half < 2; ++half) {
            float *place = c + r * stride + 16 * half;
            __m512 value = _mm512_mul_ps(scale, sum[r][half]);
            if (beta != 0) value = _mm512_fmadd_ps(share, _mm512_maskz_loadu_ps(there[half], place), value);
            _mm512_mask_storeu_ps(place, there[half], value);
        }
    }
}

APUS_PAIRS
void apus_bfloat16_product(const uint32_t *a, int64_t m, const uint32_t *b, int64_t n, int64_t pairs, float alpha,
                           float beta, float *c, int64_t stride) {
    for (int64_t j = 0; j < n; j += COLUMNS) {
        const __mmask16 there[2] = {
            (__mmask16)(n - j >= 16 ? 0xFFFF : (1u << (n - j)) - 1),
            (__mmask16)(n - j >= 32 ? 0xFFFF : n - j > 16 ? (1u << (n - j - 16)) - 1 : 0),
        };
        for (int64_t i = 0; i < m; i += ROWS) {
            tile(a + i * pairs, b + j * pairs, pairs, alpha, beta, c + i * stride + j, stride,
                 (int)(m - i < ROWS ? m - i : ROWS), there);
        }
    }
}

#else

bool apus_bfloat16_products_available(void) { return false; }
void apus_bfloat16_pack(const float *x, int64_t stride, bool along, int64_t lines, int64_t depth, int64_t width,
                        uint32_t *out) {}
void apus_bfloat16_product(const uint32_t *a, int64_t m, const uint32_t *b, int64_t n, int64_t pairs, float alpha,
                           float beta, float *c, int64_t stride) {}

#endif
