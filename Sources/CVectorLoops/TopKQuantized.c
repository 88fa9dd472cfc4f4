#include "TopKQuantized.h"

#include <math.h>

#include "TopKSelectionInline.h"
#include "Vectors.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define APUS_QUANTIZED __attribute__((target("arch=x86-64-v4,avx512vnni"), min_vector_width(512)))
#endif

int64_t apus_quantized_bytes(int64_t d) { return (d + 3) / 4 * 4; }

#if defined(__x86_64__)

bool apus_top_k_quantized_available(void) {
    return __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni");
}

// Rounds a row to steps of 1/127 of its largest magnitude; answers the step.
APUS_QUANTIZED static float quantize(const float *row, int64_t d, int8_t *out, float *norm, float *rounded_norm,
                                     float *residual) {
    __m512 largest = _mm512_setzero_ps();
    int64_t tail = d % 16, whole = d - tail;
    __mmask16 mask = (__mmask16)((1u << tail) - 1);
    for (int64_t p = 0; p < whole; p += 16) largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(row + p)));
    if (tail) largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_maskz_loadu_ps(mask, row + whole)));
    float top = _mm512_reduce_max_ps(largest);
    // Rows too small or too large to be rounded are all remainder.
    bool sound = top > 1e-30f && top < 1e30f;
    float scale = sound ? top / 127 : 1, inverse = sound ? 127 / top : 0;
    __m512 step = _mm512_set1_ps(scale), factor = _mm512_set1_ps(inverse);
    __m512 squares = _mm512_setzero_ps(), rounded = squares, rest = squares;
    for (int64_t p = 0; p < d; p += 16) {
        __m512 x = p < whole ? _mm512_loadu_ps(row + p) : _mm512_maskz_loadu_ps(mask, row + p);
        __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(x, factor));
        __m512 near = _mm512_mul_ps(_mm512_cvtepi32_ps(code), step), off = _mm512_sub_ps(x, near);
        squares = _mm512_fmadd_ps(x, x, squares);
        rounded = _mm512_fmadd_ps(near, near, rounded);
        rest = _mm512_fmadd_ps(off, off, rest);
        __m128i bytes = _mm512_cvtepi32_epi8(code);
        if (p < whole) _mm_storeu_si128((__m128i *)(out + p), bytes);
        else _mm_mask_storeu_epi8(out + p, mask, bytes);
    }
    for (int64_t p = d; p < (d + 3) / 4 * 4; p++) out[p] = 0;
    // A little more than the sums say, for their own rounding.
    const float more = 1.0001f;
    *norm = more * sqrtf(_mm512_reduce_add_ps(squares));
    *rounded_norm = more * sqrtf(_mm512_reduce_add_ps(rounded));
    *residual = more * sqrtf(_mm512_reduce_add_ps(rest));
    return scale;
}

APUS_QUANTIZED
void apus_quantize_queries(const float *rows, int64_t stride, int64_t count, int64_t d, int8_t *out,
                           apus_quantized_query *queries) {
    int64_t bytes = apus_quantized_bytes(d);
    // Sums of d products in float32, in whatever order, of either way to score.
    float rounding = (8 + 4 * sqrtf((float)d)) * 0x1p-24f;
    for (int64_t group = 0; group < count; group += APUS_QUANTIZED_ROWS, out += APUS_QUANTIZED_ROWS * bytes) {
        for (int64_t r = 0; r < APUS_QUANTIZED_ROWS; r++) {
            int8_t code[bytes + 16];
            int32_t sum = 0;
            if (group + r < count) {
                float norm;
                apus_quantized_query *query = queries + group + r;
                query->scale = quantize(rows + (group + r) * stride, d, code, &norm, &query->norm, &query->residual);
                query->residual += rounding * norm;
                for (int64_t p = 0; p < bytes; p++) sum += code[p];
                query->offset = 128 * sum;
            } else {
                memset(code, 0, (size_t)bytes);
            }
            for (int64_t p = 0; p < bytes; p += 4) memcpy(out + p * APUS_QUANTIZED_ROWS + 4 * r, code + p, 4);
        }
    }
}

APUS_QUANTIZED
void apus_quantize_candidates(const float *rows, int64_t stride, int64_t count, int64_t d, const float *bias,
                              uint8_t *out, float *scales, float *biases, apus_quantized_panel *panels) {
    int64_t bytes = apus_quantized_bytes(d);
    for (int64_t first = 0; first < count; first += APUS_QUANTIZED_COLUMNS, panels++) {
        *panels = (apus_quantized_panel){0, 0, 0};
        for (int64_t j = 0; j < APUS_QUANTIZED_COLUMNS; j++) {
            int64_t place = first + j;
            if (place >= count) {
                for (int64_t p = 0; p < bytes; p += 4) {
                    memset(out + p * APUS_QUANTIZED_COLUMNS + 4 * j, 128, 4);
                }
                scales[place] = 0;
                biases[place] = -INFINITY;
                continue;
            }
            int8_t code[bytes + 16];
            float norm, rounded, residual;
            scales[place] = quantize(rows + place * stride, d, code, &norm, &rounded, &residual);
            biases[place] = bias ? bias[place] : 0;
            for (int64_t p = 0; p < bytes; p += 4) {
                uint32_t four;
                memcpy(&four, code + p, 4);
                four ^= 0x80808080u;
                memcpy(out + p * APUS_QUANTIZED_COLUMNS + 4 * j, &four, 4);
            }
            // NaN and infinity: a bound that lets everything of the panel pass.
            if (!(norm < INFINITY)) {
                norm = residual = INFINITY;
                scales[place] = 0;
            }
            float size = fabsf(biases[place]);
            if (!(size < INFINITY)) size = 0;
            if (residual > panels->residual) panels->residual = residual;
            if (norm > panels->norm) panels->norm = norm;
            if (size > panels->bias) panels->bias = size;
        }
        out += APUS_QUANTIZED_COLUMNS * bytes;
    }
}

APUS_QUANTIZED
int64_t apus_top_k_quantized(apus_top_k *states, int64_t query_count, const int8_t *queries,
                             const apus_quantized_query *facts, const float *query_rows, int64_t query_stride,
                             const uint8_t *candidates, const float *scales, const float *biases,
                             const apus_quantized_panel *panels, const float *candidate_rows, int64_t candidate_stride,
                             int64_t candidate_count, int32_t first_index, const float *bias, int64_t d,
                             const int64_t *row_pointers, const int32_t *excluded, float share) {
    int64_t bytes = apus_quantized_bytes(d), steps = bytes / 4, scored = 0;
    for (int64_t group = 0; group < query_count; group += APUS_QUANTIZED_ROWS) {
        int64_t present = query_count - group < APUS_QUANTIZED_ROWS ? query_count - group : APUS_QUANTIZED_ROWS;
        const int8_t *packed = queries + group * bytes;
        const uint8_t *column = candidates;
        for (int64_t panel = 0; panel < candidate_count; panel += APUS_QUANTIZED_COLUMNS) {
            __m512i sum[APUS_QUANTIZED_ROWS][2];
#pragma clang loop unroll(full)
            for (int r = 0; r < APUS_QUANTIZED_ROWS; r++) {
                sum[r][0] = sum[r][1] = _mm512_set1_epi32(-facts[group + (r < present ? r : 0)].offset);
            }
            const int8_t *a = packed;
            for (int64_t p = 0; p < steps; p++, a += 4 * APUS_QUANTIZED_ROWS, column += 4 * APUS_QUANTIZED_COLUMNS) {
                __m512i low = _mm512_loadu_si512(column), high = _mm512_loadu_si512(column + 64);
#pragma clang loop unroll(full)
                for (int r = 0; r < APUS_QUANTIZED_ROWS; r++) {
                    int32_t four;
                    memcpy(&four, a + 4 * r, 4);
                    __m512i v = _mm512_set1_epi32(four);
                    sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], low, v);
                    sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], high, v);
                }
            }
            const apus_quantized_panel *shared = panels + panel / APUS_QUANTIZED_COLUMNS;
            __m512 scale0 = _mm512_loadu_ps(scales + panel), scale1 = _mm512_loadu_ps(scales + panel + 16);
            __m512 bias0 = _mm512_loadu_ps(biases + panel), bias1 = _mm512_loadu_ps(biases + panel + 16);
            uint32_t masks[APUS_QUANTIZED_ROWS];
            uint32_t any = 0;
#pragma clang loop unroll(full)
            for (int r = 0; r < APUS_QUANTIZED_ROWS; r++) {
                const apus_quantized_query *query = facts + group + (r < present ? r : 0);
                float reach = query->norm * shared->residual + query->residual * shared->norm + 0x1p-22f * shared->bias;
                // What the k-th score is at, less what rounding can hide. "Not below" lets NaN pass.
                __m512 least = _mm512_set1_ps(states[group + (r < present ? r : 0)].threshold - share * reach);
                __m512 step = _mm512_set1_ps(query->scale);
                __m512 low = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][0]), scale0);
                __m512 high = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][1]), scale1);
                uint32_t passes0 = _mm512_cmp_ps_mask(_mm512_fmadd_ps(low, step, bias0), least, _CMP_NLT_UQ);
                uint32_t passes1 = _mm512_cmp_ps_mask(_mm512_fmadd_ps(high, step, bias1), least, _CMP_NLT_UQ);
                masks[r] = r < present ? passes0 | passes1 << 16 : 0;
                any |= masks[r];
            }
            if (!any) continue;
            uint32_t there = candidate_count - panel < 32 ? (1u << (candidate_count - panel)) - 1 : 0xFFFFFFFFu;
            for (int r = 0; r < present; r++) {
                apus_top_k *state = states + group + r;
                const int32_t *listed = row_pointers ? excluded + row_pointers[group + r] : 0;
                int64_t listed_count = row_pointers ? row_pointers[group + r + 1] - row_pointers[group + r] : 0;
                const float *row = query_rows + (group + r) * query_stride;
                for (uint32_t mask = masks[r] & there; mask; mask &= mask - 1) {
                    int64_t place = panel + __builtin_ctz(mask);
                    float score = apus_dot(row, candidate_rows + place * candidate_stride, d);
                    if (bias) score += bias[place];
                    scored++;
                    apus_top_k_offer_one(state, score, first_index + (int32_t)place, listed, listed_count);
                }
            }
        }
    }
    return scored;
}

#else

bool apus_top_k_quantized_available(void) { return false; }
void apus_quantize_queries(const float *rows, int64_t stride, int64_t count, int64_t d, int8_t *out,
                           apus_quantized_query *queries) {}
void apus_quantize_candidates(const float *rows, int64_t stride, int64_t count, int64_t d, const float *bias,
                              uint8_t *out, float *scales, float *biases, apus_quantized_panel *panels) {}
int64_t apus_top_k_quantized(apus_top_k *states, int64_t query_count, const int8_t *queries,
                             const apus_quantized_query *facts, const float *query_rows, int64_t query_stride,
                             const uint8_t *candidates, const float *scales, const float *biases,
                             const apus_quantized_panel *panels, const float *candidate_rows, int64_t candidate_stride,
                             int64_t candidate_count, int32_t first_index, const float *bias, int64_t d,
                             const int64_t *row_pointers, const int32_t *excluded, float share) {
    return 0;
}

#endif
