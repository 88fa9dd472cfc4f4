#include "RoundedRows.h"

#include <math.h>

#include "TopKSelectionInline.h"
#include "Vectors.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef int8_t apus_char16 __attribute__((ext_vector_type(16)));

int64_t apus_rounded_bytes(int64_t d) { return (d + 63) / 64 * 64; }

// Rounds a row to steps of 1/127 of its largest magnitude, padded with 0 to `bytes`; answers the step.
APUS_INLINE float round_row(const float *row, int64_t d, int64_t bytes, int8_t *code, float *norm, float *rounded_norm,
                            float *residual) {
    apus_float16 largest = 0;
    int64_t whole = d / 16 * 16;
    float tail[16] = {0};
    memcpy(tail, row + whole, (size_t)(d - whole) * 4);
    for (int64_t p = 0; p < whole; p += 16) {
        largest = __builtin_elementwise_max(largest, __builtin_elementwise_abs(APUS_LOAD(row + p)));
    }
    largest = __builtin_elementwise_max(largest, __builtin_elementwise_abs(APUS_LOAD(tail)));
    float top = 0;
    for (int lane = 0; lane < 16; lane++) top = largest[lane] > top ? largest[lane] : top;
    // Rows too small or too large to be rounded are all remainder.
    bool sound = top > 1e-30f && top < 1e30f;
    float scale = sound ? top / 127 : 1, inverse = sound ? 127 / top : 0;
    apus_float16 squares = 0, rounded = 0, rest = 0;
    for (int64_t p = 0; p < bytes; p += 16) {
        apus_float16 x = p < whole ? APUS_LOAD(row + p) : p == whole ? APUS_LOAD(tail) : (apus_float16)0;
        squares += x * x;
        // Infinities and NaN have no code; their squares tell.
        apus_float16 steps = sound ? __builtin_elementwise_rint(x * inverse) : (apus_float16)0;
        steps = __builtin_elementwise_max(__builtin_elementwise_min(steps, (apus_float16)127), (apus_float16)-127);
        apus_float16 near = steps * scale, off = x - near;
        rounded += near * near;
        rest += off * off;
        apus_char16 bytes16 = __builtin_convertvector(steps, apus_char16);
        memcpy(code + p, &bytes16, 16);
    }
    // A little more than the sums say, for their own rounding.
    const float more = 1.0001f;
    *norm = more * sqrtf(apus_sum16(&squares));
    *rounded_norm = more * sqrtf(apus_sum16(&rounded));
    *residual = more * sqrtf(apus_sum16(&rest));
    return scale;
}

APUS_VECTOR_CLONES
void apus_round_rows(const float *rows, int64_t stride, int64_t count, int64_t d, uint8_t *codes, float *scales,
                     float *residuals, float *norms) {
    int64_t bytes = apus_rounded_bytes(d);
    for (int64_t i = 0; i < count; i++) {
        uint8_t *code = codes + i * bytes;
        float norm, rounded, residual;
        float scale = round_row(rows + i * stride, d, bytes, (int8_t *)code, &norm, &rounded, &residual);
        for (int64_t p = 0; p < bytes; p++) code[p] ^= 0x80;
        if (!(norm < INFINITY)) {
            norm = residual = INFINITY;
            scale = 0;
        }
        scales[i] = scale;
        residuals[i] = residual;
        norms[i] = norm;
    }
}

APUS_VECTOR_CLONES
void apus_round_query(const float *row, int64_t d, int8_t *code, apus_rounded_query *query) {
    int64_t bytes = apus_rounded_bytes(d);
    float norm;
    query->code = code;
    query->row = row;
    query->scale = round_row(row, d, bytes, code, &norm, &query->norm, &query->residual);
    // Sums of d products in float32, in whatever order, of either way to score.
    query->residual += (8 + 4 * sqrtf((float)d)) * 0x1p-24f * norm;
    int32_t sum = 0;
    for (int64_t p = 0; p < bytes; p++) sum += code[p];
    query->offset = 128 * sum;
}

APUS_VECTOR_CLONES
void apus_products_of_rows(const float *row, const float *table, int64_t stride, int64_t d, const int32_t *numbers,
                           int64_t count, float *products) {
    for (int64_t i = 0; i < count; i++) {
        if (i + 4 < count) __builtin_prefetch(table + (int64_t)numbers[i + 4] * stride);
        products[i] = apus_dot(row, table + (int64_t)numbers[i] * stride, d);
    }
}

#define APUS_ROUNDED_SCAN
#include "RoundedRowsSets.h"

int64_t apus_top_k_rounded(apus_top_k *states, int64_t query_count, const apus_rounded_query *queries,
                           const uint8_t *codes, const float *scales, const float *residuals, const float *norms,
                           const float *candidates, int64_t candidate_stride, int64_t candidate_count,
                           int32_t first_index, const float *bias, int64_t d, const int64_t *row_pointers,
                           const int32_t *excluded, float share) {
    APUS_DISPATCH(scan, states, query_count, queries, codes, scales, residuals, norms, candidates, candidate_stride,
                  candidate_count, first_index, bias, d, row_pointers, excluded, share);
}
