#pragma once
#include <stdbool.h>
#include <stdint.h>

// Loops over rows of row-major float32 matrices. Strides and offsets are in elements.

/// out[i] = |x_i|^2, or its root, for rows begin ..< end.
void apus_row_norms(const float *x, int64_t stride, int64_t columns, int64_t begin, int64_t end, bool squared,
                    float *out);

/// partial[j] = sum over rows begin ..< end of x[i, j], in double precision.
void apus_column_sums(const float *x, int64_t stride, int64_t columns, int64_t begin, int64_t end, double *partial);

/// out_i = x_i * factor[i], or x_i / factor[i] with 0 for a factor of 0.
void apus_scale_rows(const float *x, int64_t stride, const float *factors, bool divide, int64_t columns,
                     int64_t begin, int64_t end, float *out, int64_t out_stride);

/// out_i = table[indices[i]], NaN where the index is outside 0 ..< table_rows.
void apus_gather_rows(const float *table, int64_t table_stride, int64_t table_rows, const int32_t *indices,
                      int64_t columns, int64_t begin, int64_t end, float *out, int64_t out_stride);

/// c = activation(c + bias) on rows x columns; bias may be null. Activations: 0 identity, 1 ReLU, 2 sigmoid, 3 tanh.
void apus_bias_activation(float *c, int64_t stride, int64_t rows, int64_t columns, const float *bias, int activation);

/// out[i] = uniform number start + i of Philox4x32-10, for i < count.
void apus_random_uniform(uint64_t seed, uint64_t stream, uint64_t start, int64_t count, float *out);

/// sum[i] += x[i] for a tile of rows x columns.
void apus_add_to_double(const float *x, int64_t stride, int64_t rows, int64_t columns, double *sum,
                        int64_t sum_stride);

/// sums[i] += sums[part * stride + i] for begin <= i < end, part by part from 1 on.
void apus_sum_parts(double *sums, int64_t parts, int64_t stride, int64_t begin, int64_t end);
