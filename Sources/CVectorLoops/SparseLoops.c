#include "SparseLoops.h"
#include <math.h>
#include "Vectors.h"

// Four registers of the output row stay put while the row's entries pass by.
APUS_INLINE void sparse_row_block(const int32_t *columns, const float *values, int64_t count, const float *dense,
                                  int64_t stride, float alpha, float beta, float *out, int vectors) {
    apus_float16 s[4] = {0, 0, 0, 0};
    for (int64_t e = 0; e < count; e++) {
        const float *row = dense + columns[e] * stride;
        if (e + 8 < count) __builtin_prefetch(dense + columns[e + 8] * stride);
        for (int v = 0; v < vectors; v++) s[v] += values[e] * APUS_LOAD(row + 16 * v);
    }
    for (int v = 0; v < vectors; v++) {
        apus_float16 r = alpha * s[v];
        if (beta != 0) r += beta * APUS_LOAD(out + 16 * v);
        APUS_STORE(out + 16 * v, r);
    }
}

APUS_VECTOR_CLONES
void apus_sparse_times_dense(const int64_t *row_pointers, const int32_t *columns, const float *values,
                             const float *dense, int64_t dense_stride, int64_t d, float alpha, float beta, float *out,
                             int64_t out_stride, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        int64_t first = row_pointers[i], count = row_pointers[i + 1] - first;
        float *target = out + i * out_stride;
        int64_t j = 0;
        for (; j + 64 <= d; j += 64) {
            sparse_row_block(columns + first, values + first, count, dense + j, dense_stride, alpha, beta, target + j,
                             4);
        }
        for (; j + 16 <= d; j += 16) {
            sparse_row_block(columns + first, values + first, count, dense + j, dense_stride, alpha, beta, target + j,
                             1);
        }
        for (; j < d; j++) {
            float s = 0;
            for (int64_t e = 0; e < count; e++) s += values[first + e] * dense[columns[first + e] * dense_stride + j];
            target[j] = alpha * s + (beta != 0 ? beta * target[j] : 0);
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
