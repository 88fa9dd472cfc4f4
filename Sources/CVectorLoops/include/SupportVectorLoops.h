#pragma once
#include <stdint.h>

// Loops of support vector machines.

/// One pass of dual coordinate descent over rows for up to 16 classes against the rest, interleaved: `weights` is
/// (columns + 1) × 16, the intercepts last, `alpha` rows × 16.
///
/// `order` holds the rows to be visited; those that are settled in every class are taken out, and the number that stays
/// is returned. `classes[i] - first_class` is the lane of row i's own class. `squares` holds |x|² + 1 (1 for the
/// intercept), `upper` the largest alpha of each row, `diagonal` what the loss adds to the square.
/// `limits` (16 largest, 16 smallest projected gradients of the pass before) decide what is settled; `seen` gets those of
/// this pass.
int64_t apus_dual_pass_lanes(const int64_t *row_pointers, const int32_t *columns, const float *values,
                             int64_t intercept, const int32_t *classes, int32_t first_class, int32_t lanes,
                             const float *squares, const float *upper, const float *diagonal, float *weights,
                             float *alpha, int32_t *order, int64_t count, const float *limits, float *seen);
/// The same for two classes, in float64; `signs` are +1 or -1; limits and seen hold one largest and one smallest.
/// `columns` is NULL for dense rows of `d` values.
int64_t apus_dual_pass(const int64_t *row_pointers, const int32_t *columns, const float *values, int64_t d,
                       int64_t intercept, const double *signs, const double *squares, const double *upper,
                       const double *diagonal, double *weights, double *alpha, int32_t *order, int64_t count,
                       const double *limits, double *seen);

/// Kernels of one row with rows begin ..< end: `transposed` is d × stride (columns of the data one after another).
/// kind 0: exp(-gamma |x - y|²); 1: (gamma x·y + offset)^degree.
void apus_kernel_row(const float *row, const float *transposed, int64_t d, int64_t stride, const float *norms,
                     float norm, int32_t kind, float gamma, float offset, int32_t degree, float *out, int64_t begin,
                     int64_t end);
/// products[i, j] (rows × count, from a matrix product) to sums[i] += Σ_j coefficients[j] · kernel; norms as above.
void apus_kernel_sums(const float *products, int64_t count, const float *row_norms, const float *norms, int32_t kind,
                      float gamma, float offset, int32_t degree, const double *coefficients, int64_t outputs,
                      double *sums, int64_t begin, int64_t end);

/// score[t] -= delta · (left[t] - right[t]); then the largest score + up and the smallest score + low, with the place of
/// the former.
int64_t apus_smo_update(double *score, const float *left, const float *right, double delta, const double *up,
                        const double *low, int64_t n, double *largest, double *smallest);
/// The place with the largest (top - score)² / curvature among those with score + low < top; -1 without one.
int64_t apus_smo_partner(const double *score, const double *low, const float *row, const float *diagonal, double top,
                         double own, int64_t n);
/// out[i] = scale · cos(x[i] + phase[i mod d]).
void apus_cosines(float *x, int64_t rows, int64_t d, const float *phase, float scale);
