#pragma once
#include <stdint.h>

// Loops of linear models: float32 data, float64 coefficients and sums.

/// out[i, :] = sum over the row's entries of value · dense[column, :], for rows begin ..< end; dense and out have k
/// columns. With a transposed matrix the same loop gives gradients.
void apus_sparse_times_double(const int64_t *row_pointers, const int32_t *columns, const float *values,
                              const double *dense, int64_t k, double *out, int64_t begin, int64_t end);
/// out[i, :] = x[i, :] · dense, for rows begin ..< end; x has d columns, dense is d × k.
void apus_dense_times_double(const float *x, int64_t d, const double *dense, int64_t k, double *out, int64_t begin,
                             int64_t end);
/// out (d × k) += x[begin ..< end, :]ᵀ · r[begin ..< end, :].
void apus_dense_transposed_times_double(const float *x, int64_t d, const double *r, int64_t k, double *out,
                                        int64_t begin, int64_t end);
/// gram (stride × stride, upper triangle of the first d) += Σ weights[i] · x[i, :]ᵀ x[i, :] for rows begin ..< end.
/// `scratch` has room for 64 · stride doubles; stride is d rounded up to a multiple of 8.
void apus_weighted_gram(const float *x, int64_t d, int64_t stride, const double *weights, double *gram,
                        double *scratch, int64_t begin, int64_t end);

/// Σ x[i] · u[i] and, into `squares`, Σ x[i]² · h[i].
double apus_column_dot(const float *x, const double *u, const double *h, int64_t n, double *squares);
/// For a column of a dense matrix: u[i] += delta · h[i] · x[i], steps[i] += delta · x[i].
void apus_column_update(const float *x, const double *h, double delta, double *u, double *steps, int64_t n);
/// The same for a column of `count` entries, whose rows are named; u, h and steps belong to one score of each row.
double apus_sparse_column_dot(const int32_t *rows, const float *x, const double *u, const double *h, int64_t count,
                              double *squares);
void apus_sparse_column_update(const int32_t *rows, const float *x, const double *h, double delta, double *u,
                               double *steps, int64_t count);

/// Σ a[i] · b[i].
double apus_double_dot(const double *a, const double *b, int64_t n);
/// sum[i] += factor · values[i].
void apus_double_add(double factor, const double *values, double *sum, int64_t n);
