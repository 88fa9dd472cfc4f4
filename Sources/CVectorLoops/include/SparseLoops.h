#pragma once
#include <stdbool.h>
#include <stdint.h>

// Loops over the entries of compressed sparse rows. Row pointers hold absolute positions.

/// out_i = alpha * sum_e values[e] * dense[column(e)] + beta * out_i for rows begin ..< end; beta 0 never reads out.
void apus_sparse_times_dense(const int64_t *row_pointers, const int32_t *columns, const float *values,
                             const float *dense, int64_t dense_stride, int64_t d, float alpha, float beta, float *out,
                             int64_t out_stride, int64_t begin, int64_t end);

/// out[i] = sum_e w_e * (t_e - a_i . b_column(e))^2; weights and targets may be null (1).
void apus_observed_loss(const int64_t *row_pointers, const int32_t *columns, const float *weights,
                        const float *targets, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                        int64_t d, float *out, int64_t begin, int64_t end);

/// out[e] = a[rows[e]] . b[columns[e]], NaN where an index is outside its table.
void apus_pair_scores(const int32_t *rows, const int32_t *columns, const float *a, int64_t a_stride, int64_t a_rows,
                      const float *b, int64_t b_stride, int64_t b_rows, int64_t d, float *out, int64_t begin,
                      int64_t end);

/// out[e] = values[e] - row_offset[row] - column_offset[column] - constant; offsets may be null (0).
void apus_residual_targets(const int64_t *row_pointers, const int32_t *columns, const float *values,
                           const float *row_offset, const float *column_offset, float constant, float *out,
                           int64_t begin, int64_t end);
