#include "SparseLoops.h"
#include <math.h>
#include "Vectors.h"

// Entries that are added up in float32; longer rows add such sums up in double precision.
#define APUS_ENTRIES 512

// The first `tail` < 16 elements, then zeros: what lies behind them may be nobody's memory.
APUS_INLINE apus_float16 load_tail(const float *row, int tail) {
    typedef float float8 __attribute__((ext_vector_type(8)));
    typedef float float4 __attribute__((ext_vector_type(4)));
    typedef float float8_unaligned __attribute__((ext_vector_type(8), aligned(4)));
    typedef float float4_unaligned __attribute__((ext_vector_type(4), aligned(4)));
    float8 eight = 0, rest = 0;
    float4 four = 0;
    if (tail & 8) {
        eight = *(const float8_unaligned *)row;
        row += 8;
    }
    if (tail & 4) {
        four = *(const float4_unaligned *)row;
        row += 4;
    }
    float4 last = {tail & 3 ? row[0] : 0, (tail & 3) > 1 ? row[1] : 0, (tail & 3) > 2 ? row[2] : 0, 0};
    if (tail & 4) rest.lo = four, rest.hi = last;
    else rest.lo = last;
    apus_float16 v = 0;
    if (tail & 8) v.lo = eight, v.hi = rest;
    else v.lo = rest;
    return v;
}

// Some registers of the output row, the last of them with `tail` columns, stay put while the row's entries pass by.
APUS_INLINE void sparse_row_block(const int32_t *columns, const float *values, int64_t count, const float *dense,
                                  int64_t stride, float alpha, float beta, float *out, int vectors, int tail) {
    apus_float16 sum[4] = {0, 0, 0, 0};
    apus_double16 wide[4] = {0, 0, 0, 0};
    for (int64_t first = 0; first < count; first += APUS_ENTRIES) {
        int64_t last = first + APUS_ENTRIES < count ? first + APUS_ENTRIES : count;
        for (int v = 0; v < vectors; v++) sum[v] = 0;
        for (int64_t e = first; e < last; e++) {
            const float *row = dense + columns[e] * stride;
            if (e + 8 < count) {
                const float *ahead = dense + columns[e + 8] * stride;
                for (int v = 0; v < vectors; v++) __builtin_prefetch(ahead + 16 * v);
            }
            if (tail == 16) {
                for (int v = 0; v < vectors; v++) sum[v] += values[e] * APUS_LOAD(row + 16 * v);
            } else {
                sum[0] += values[e] * load_tail(row, tail);
            }
        }
        if (count > APUS_ENTRIES) {
            for (int v = 0; v < vectors; v++) wide[v] += __builtin_convertvector(sum[v], apus_double16);
        }
    }
    for (int v = 0; v < vectors; v++) {
        if (count > APUS_ENTRIES) sum[v] = __builtin_convertvector(wide[v], apus_float16);
        apus_float16 r = alpha * sum[v];
        if (tail == 16) {
            if (beta != 0) r += beta * APUS_LOAD(out + 16 * v);
            APUS_STORE(out + 16 * v, r);
        } else {
            for (int j = 0; j < tail; j++) out[j] = r[j] + (beta != 0 ? beta * out[j] : 0);
        }
    }
}

APUS_VECTOR_CLONES
void apus_sparse_times_dense(const int64_t *row_pointers, const int32_t *columns, const float *values,
                             const float *dense, int64_t dense_stride, int64_t d, float alpha, float beta, float *out,
                             int64_t out_stride, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        int64_t first = row_pointers[i], count = row_pointers[i + 1] - first;
        const int32_t *c = columns + first;
        const float *w = values + first;
        float *target = out + i * out_stride;
        int64_t j = 0;
        for (; j + 64 <= d; j += 64) {
            sparse_row_block(c, w, count, dense + j, dense_stride, alpha, beta, target + j, 4, 16);
        }
        if (j + 32 <= d) {
            sparse_row_block(c, w, count, dense + j, dense_stride, alpha, beta, target + j, 2, 16);
            j += 32;
        }
        if (j + 16 <= d) {
            sparse_row_block(c, w, count, dense + j, dense_stride, alpha, beta, target + j, 1, 16);
            j += 16;
        }
        if (j < d) {
            sparse_row_block(c, w, count, dense + j, dense_stride, alpha, beta, target + j, 1, (int)(d - j));
        }
    }
}

APUS_VECTOR_CLONES
void apus_observed_loss(const int64_t *row_pointers, const int32_t *columns, const float *weights,
                        const float *targets, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                        int64_t d, float *out, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        double sum = 0;
        int64_t last = row_pointers[i + 1];
        for (int64_t e = row_pointers[i]; e < last; e++) {
            if (e + 8 < last) __builtin_prefetch(b + columns[e + 8] * b_stride);
            float difference = (targets ? targets[e] : 1.0f) - apus_dot(a + i * a_stride, b + columns[e] * b_stride, d);
            sum += (double)(weights ? weights[e] : 1.0f) * difference * difference;
        }
        out[i] = (float)sum;
    }
}

APUS_VECTOR_CLONES
void apus_pair_scores(const int32_t *rows, const int32_t *columns, const float *a, int64_t a_stride, int64_t a_rows,
                      const float *b, int64_t b_stride, int64_t b_rows, int64_t d, float *out, int64_t begin,
                      int64_t end) {
    for (int64_t e = begin; e < end; e++) {
        int64_t i = rows[e], j = columns[e];
        bool inside = i >= 0 && i < a_rows && j >= 0 && j < b_rows;
        out[e] = inside ? apus_dot(a + i * a_stride, b + j * b_stride, d) : NAN;
    }
}

APUS_VECTOR_CLONES
void apus_residual_targets(const int64_t *row_pointers, const int32_t *columns, const float *values,
                           const float *row_offset, const float *column_offset, float constant, float *out,
                           int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        float shared = constant + (row_offset ? row_offset[i] : 0);
        for (int64_t e = row_pointers[i]; e < row_pointers[i + 1]; e++) {
            out[e] = values[e] - shared - (column_offset ? column_offset[columns[e]] : 0);
        }
    }
}
