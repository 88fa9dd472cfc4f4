#include "LinearLoops.h"
#include <string.h>
#include "Vectors.h"

typedef double apus_double8 __attribute__((ext_vector_type(8)));
typedef double apus_double8_unaligned __attribute__((ext_vector_type(8), aligned(8)));
typedef float apus_float8 __attribute__((ext_vector_type(8)));
typedef float apus_float8_unaligned __attribute__((ext_vector_type(8), aligned(4)));
#define LOAD8(pointer) (*(const apus_double8_unaligned *)(pointer))
#define STORE8(pointer, value) (*(apus_double8_unaligned *)(pointer) = (value))
#define LOAD8F(pointer) __builtin_convertvector(*(const apus_float8_unaligned *)(pointer), apus_double8)

// By pointer: vectors as arguments differ between instruction sets.
APUS_INLINE double sum8(const apus_double8 *v) {
    __typeof__((*v).lo) a = (*v).lo + (*v).hi;
    __typeof__(a.lo) b = a.lo + a.hi;
    return b.x + b.y;
}

APUS_VECTOR_CLONES
void apus_sparse_times_double(const int64_t *row_pointers, const int32_t *columns, const float *values,
                              const double *dense, int64_t k, double *out, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        int64_t e = row_pointers[i], last = row_pointers[i + 1];
        if (k == 1) {
            double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (; e + 4 <= last; e += 4) {
                s0 += values[e] * dense[columns[e]];
                s1 += values[e + 1] * dense[columns[e + 1]];
                s2 += values[e + 2] * dense[columns[e + 2]];
                s3 += values[e + 3] * dense[columns[e + 3]];
            }
            for (; e < last; e++) s0 += values[e] * dense[columns[e]];
            out[i] = (s0 + s1) + (s2 + s3);
            continue;
        }
        double *target = out + i * k;
        int64_t c = 0;
        for (; c + 24 <= k; c += 24) {
            apus_double8 a0 = 0, a1 = 0, a2 = 0;
            for (int64_t j = e; j < last; j++) {
                const double *row = dense + columns[j] * k + c;
                double v = values[j];
                a0 += v * LOAD8(row);
                a1 += v * LOAD8(row + 8);
                a2 += v * LOAD8(row + 16);
            }
            STORE8(target + c, a0);
            STORE8(target + c + 8, a1);
            STORE8(target + c + 16, a2);
        }
        for (; c + 8 <= k; c += 8) {
            apus_double8 a0 = 0;
            for (int64_t j = e; j < last; j++) a0 += (double)values[j] * LOAD8(dense + columns[j] * k + c);
            STORE8(target + c, a0);
        }
        if (c < k) {
            int64_t rest = k - c;
            double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
            for (int64_t j = e; j < last; j++) {
                const double *row = dense + columns[j] * k + c;
                double v = values[j];
                for (int64_t t = 0; t < rest; t++) sums[t] += v * row[t];
            }
            for (int64_t t = 0; t < rest; t++) target[c + t] = sums[t];
        }
    }
}

APUS_VECTOR_CLONES
void apus_dense_times_double(const float *x, int64_t d, const double *dense, int64_t k, double *out, int64_t begin,
                             int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        const float *row = x + i * d;
        if (k == 1) {
            apus_double8 s0 = 0, s1 = 0;
            int64_t j = 0;
            for (; j + 16 <= d; j += 16) {
                s0 += LOAD8F(row + j) * LOAD8(dense + j);
                s1 += LOAD8F(row + j + 8) * LOAD8(dense + j + 8);
            }
            s0 += s1;
            double sum = sum8(&s0);
            for (; j < d; j++) sum += row[j] * dense[j];
            out[i] = sum;
            continue;
        }
        double *target = out + i * k;
        int64_t c = 0;
        for (; c + 8 <= k; c += 8) {
            apus_double8 s = 0;
            for (int64_t j = 0; j < d; j++) s += (double)row[j] * LOAD8(dense + j * k + c);
            STORE8(target + c, s);
        }
        if (c < k) {
            int64_t rest = k - c;
            double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
            for (int64_t j = 0; j < d; j++) {
                double v = row[j];
                for (int64_t t = 0; t < rest; t++) sums[t] += v * dense[j * k + c + t];
            }
            for (int64_t t = 0; t < rest; t++) target[c + t] = sums[t];
        }
    }
}

APUS_VECTOR_CLONES
void apus_dense_transposed_times_double(const float *x, int64_t d, const double *r, int64_t k, double *out,
                                        int64_t begin, int64_t end) {
    if (k == 1) {
        int64_t i = begin;
        for (; i + 4 <= end; i += 4) {
            const float *x0 = x + i * d, *x1 = x0 + d, *x2 = x1 + d, *x3 = x2 + d;
            double r0 = r[i], r1 = r[i + 1], r2 = r[i + 2], r3 = r[i + 3];
            int64_t j = 0;
            for (; j + 8 <= d; j += 8) {
                apus_double8 s = LOAD8(out + j);
                s += r0 * LOAD8F(x0 + j) + r1 * LOAD8F(x1 + j) + (r2 * LOAD8F(x2 + j) + r3 * LOAD8F(x3 + j));
                STORE8(out + j, s);
            }
            for (; j < d; j++) out[j] += r0 * x0[j] + r1 * x1[j] + (r2 * x2[j] + r3 * x3[j]);
        }
        for (; i < end; i++) {
            for (int64_t j = 0; j < d; j++) out[j] += r[i] * x[i * d + j];
        }
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        const float *row = x + i * d;
        const double *residual = r + i * k;
        for (int64_t j = 0; j < d; j++) {
            double v = row[j], *target = out + j * k;
            for (int64_t c = 0; c < k; c++) target[c] += v * residual[c];
        }
    }
}

// 64 rows at a time, converted once; then tiles of 4 × 8 sums that stay in registers while the rows pass by.
APUS_VECTOR_CLONES
void apus_weighted_gram(const float *x, int64_t d, int64_t stride, const double *weights, double *gram,
                        double *scratch, int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += 64) {
        int64_t count = first + 64 < end ? 64 : end - first;
        for (int64_t i = 0; i < count; i++) {
            const float *row = x + (first + i) * d;
            double *target = scratch + i * stride;
            for (int64_t j = 0; j < d; j++) target[j] = row[j];
            for (int64_t j = d; j < stride; j++) target[j] = 0;
        }
        for (int64_t p = 0; p < d; p += 4) {
            int64_t height = p + 4 <= d ? 4 : d - p;
            for (int64_t q = p & ~(int64_t)7; q < stride; q += 8) {
                apus_double8 s[4] = {0, 0, 0, 0};
                for (int64_t i = 0; i < count; i++) {
                    const double *row = scratch + i * stride;
                    apus_double8 right = weights[first + i] * LOAD8(row + q);
                    // Padded columns are zero, so that reading past d within the row does no harm.
                    s[0] += row[p] * right;
                    if (height > 1) s[1] += row[p + 1] * right;
                    if (height > 2) s[2] += row[p + 2] * right;
                    if (height > 3) s[3] += row[p + 3] * right;
                }
                for (int64_t h = 0; h < height; h++) {
                    double *target = gram + (p + h) * stride + q;
                    STORE8(target, LOAD8(target) + s[h]);
                }
            }
        }
    }
}

APUS_VECTOR_CLONES
double apus_column_dot(const float *x, const double *u, const double *h, int64_t n, double *squares) {
    apus_double8 s = 0, q = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        apus_double8 v = LOAD8F(x + i);
        s += v * LOAD8(u + i);
        q += v * v * LOAD8(h + i);
    }
    double sum = sum8(&s), square = sum8(&q);
    for (; i < n; i++) {
        sum += x[i] * u[i];
        square += (double)x[i] * x[i] * h[i];
    }
    *squares = square;
    return sum;
}

APUS_VECTOR_CLONES
void apus_column_update(const float *x, const double *h, double delta, double *u, double *steps, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        apus_double8 v = delta * LOAD8F(x + i);
        STORE8(u + i, LOAD8(u + i) + v * LOAD8(h + i));
        STORE8(steps + i, LOAD8(steps + i) + v);
    }
    for (; i < n; i++) {
        u[i] += delta * h[i] * x[i];
        steps[i] += delta * x[i];
    }
}

double apus_sparse_column_dot(const int32_t *rows, const float *x, const double *u, const double *h, int64_t count,
                              double *squares) {
    double sum = 0, square = 0;
    for (int64_t e = 0; e < count; e++) {
        sum += x[e] * u[rows[e]];
        square += (double)x[e] * x[e] * h[rows[e]];
    }
    *squares = square;
    return sum;
}

void apus_sparse_column_update(const int32_t *rows, const float *x, const double *h, double delta, double *u,
                               double *steps, int64_t count) {
    for (int64_t e = 0; e < count; e++) {
        double v = delta * x[e];
        u[rows[e]] += v * h[rows[e]];
        steps[rows[e]] += v;
    }
}

APUS_VECTOR_CLONES
double apus_double_dot(const double *a, const double *b, int64_t n) {
    apus_double8 s0 = 0, s1 = 0;
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 += LOAD8(a + i) * LOAD8(b + i);
        s1 += LOAD8(a + i + 8) * LOAD8(b + i + 8);
    }
    s0 += s1;
    double sum = sum8(&s0);
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

APUS_VECTOR_CLONES
void apus_double_add(double factor, const double *values, double *sum, int64_t n) {
    for (int64_t i = 0; i < n; i++) sum[i] += factor * values[i];
}
