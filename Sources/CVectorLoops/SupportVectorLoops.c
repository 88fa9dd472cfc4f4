#include "SupportVectorLoops.h"
#include <math.h>
#include "Vectors.h"

typedef int32_t apus_int16v __attribute__((ext_vector_type(16)));
typedef double apus_double8 __attribute__((ext_vector_type(8)));
typedef double apus_double8_unaligned __attribute__((ext_vector_type(8), aligned(8)));
typedef int64_t apus_long8 __attribute__((ext_vector_type(8)));
typedef float apus_float8 __attribute__((ext_vector_type(8)));
typedef float apus_float8_unaligned __attribute__((ext_vector_type(8), aligned(4)));
#define LOAD8(pointer) (*(const apus_double8_unaligned *)(pointer))
#define STORE8(pointer, value) (*(apus_double8_unaligned *)(pointer) = (value))
#define LOAD8F(pointer) __builtin_convertvector(*(const apus_float8_unaligned *)(pointer), apus_double8)

// mask ? a : b, lane by lane; masks are all ones or all zeros.
#define CHOOSE16(mask, a, b) \
    ((apus_float16)(((apus_int16v)(a) & (mask)) | ((apus_int16v)(b) & ~(mask))))
#define CHOOSE8(mask, a, b) ((apus_double8)(((apus_long8)(a) & (mask)) | ((apus_long8)(b) & ~(mask))))

APUS_INLINE int all_set(const apus_int16v *m) {
    __typeof__((*m).lo) a = (*m).lo & (*m).hi;
    __typeof__(a.lo) b = a.lo & a.hi;
    __typeof__(b.lo) c = b.lo & b.hi;
    return (c.x & c.y) != 0;
}

APUS_VECTOR_CLONES
int64_t apus_dual_pass_lanes(const int64_t *row_pointers, const int32_t *columns, const float *values,
                             int64_t intercept, const int32_t *classes, int32_t first_class, int32_t lanes,
                             const float *squares, const float *upper, const float *diagonal, float *weights,
                             float *alpha, int32_t *order, int64_t count, const float *limits, float *seen) {
    apus_float16 largest = APUS_LOAD(limits), smallest = APUS_LOAD(limits + 16);
    apus_float16 seen_largest = -INFINITY, seen_smallest = INFINITY;
    apus_int16v unused, lane_numbers;
    for (int l = 0; l < 16; l++) {
        unused[l] = l < lanes ? 0 : -1;
        lane_numbers[l] = l;
    }
    float *bias = weights + intercept * 16;
    int64_t kept = 0;
    for (int64_t place = 0; place < count; place++) {
        int32_t i = order[place];
        if (place + 2 < count) {
            // The rows of coefficients of a row to come are on their way while this one is worked on.
            int32_t ahead = order[place + 2];
            int64_t last = row_pointers[ahead + 1];
            for (int64_t e = row_pointers[ahead]; e < last; e++) __builtin_prefetch(weights + (int64_t)columns[e] * 16);
        }
        int64_t begin = row_pointers[i], end = row_pointers[i + 1];
        apus_float16 s0 = *(const apus_float16_unaligned *)bias, s1 = 0;
        int64_t e = begin;
        for (; e + 2 <= end; e += 2) {
            s0 += values[e] * APUS_LOAD(weights + (int64_t)columns[e] * 16);
            s1 += values[e + 1] * APUS_LOAD(weights + (int64_t)columns[e + 1] * 16);
        }
        if (e < end) s0 += values[e] * APUS_LOAD(weights + (int64_t)columns[e] * 16);
        apus_int16v own = lane_numbers == (classes[i] - first_class);
        apus_float16 one = 1.0f, minus = -1.0f, zero = 0.0f;
        apus_float16 sign = CHOOSE16(own, one, minus);
        apus_float16 a = APUS_LOAD(alpha + (int64_t)i * 16);
        apus_float16 gradient = sign * (s0 + s1) - 1.0f + diagonal[i] * a;
        apus_float16 top = upper[i];
        apus_int16v at_lower = a <= zero, at_upper = a >= top;
        apus_float16 projected = CHOOSE16(
            at_lower, __builtin_elementwise_min(gradient, zero),
            CHOOSE16(at_upper, __builtin_elementwise_max(gradient, zero), gradient));
        apus_int16v settled = unused | (at_lower & (gradient > largest)) | (at_upper & (gradient < smallest));
        if (all_set(&settled)) continue;
        order[kept++] = i;
        projected = CHOOSE16(unused, zero, projected);
        seen_largest = __builtin_elementwise_max(seen_largest, projected);
        seen_smallest = __builtin_elementwise_min(seen_smallest, projected);
        apus_float16 next = a - gradient / (squares[i] + diagonal[i]);
        next = __builtin_elementwise_min(__builtin_elementwise_max(next, zero), top);
        next = CHOOSE16(unused, zero, next);
        apus_float16 delta = (next - a) * sign;
        apus_int16v same = delta == zero;
        if (all_set(&same)) continue;
        APUS_STORE(alpha + (int64_t)i * 16, next);
        for (int64_t f = begin; f < end; f++) {
            float *target = weights + (int64_t)columns[f] * 16;
            APUS_STORE(target, APUS_LOAD(target) + values[f] * delta);
        }
        APUS_STORE(bias, *(const apus_float16_unaligned *)bias + delta);
    }
    APUS_STORE(seen, seen_largest);
    APUS_STORE(seen + 16, seen_smallest);
    return kept;
}

APUS_VECTOR_CLONES
int64_t apus_dual_pass(const int64_t *row_pointers, const int32_t *columns, const float *values, int64_t d,
                       int64_t intercept, const double *signs, const double *squares, const double *upper,
                       const double *diagonal, double *weights, double *alpha, int32_t *order, int64_t count,
                       const double *limits, double *seen) {
    double seen_largest = -INFINITY, seen_smallest = INFINITY;
    int64_t kept = 0;
    for (int64_t place = 0; place < count; place++) {
        int32_t i = order[place];
        double score = intercept >= 0 ? weights[intercept] : 0;
        const float *x;
        int64_t entries;
        const int32_t *c = 0;
        if (columns) {
            x = values + row_pointers[i];
            c = columns + row_pointers[i];
            entries = row_pointers[i + 1] - row_pointers[i];
            if (place + 2 < count) {
                int32_t ahead = order[place + 2];
                int64_t last = row_pointers[ahead + 1];
                for (int64_t e = row_pointers[ahead]; e < last; e++) __builtin_prefetch(weights + columns[e]);
            }
            double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            int64_t e = 0;
            for (; e + 4 <= entries; e += 4) {
                s0 += x[e] * weights[c[e]];
                s1 += x[e + 1] * weights[c[e + 1]];
                s2 += x[e + 2] * weights[c[e + 2]];
                s3 += x[e + 3] * weights[c[e + 3]];
            }
            for (; e < entries; e++) s0 += x[e] * weights[c[e]];
            score += (s0 + s1) + (s2 + s3);
        } else {
            x = values + (int64_t)i * d;
            entries = d;
            apus_double8 s = 0;
            int64_t e = 0;
            for (; e + 8 <= d; e += 8) s += LOAD8F(x + e) * LOAD8(weights + e);
            double sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
            for (; e < d; e++) sum += x[e] * weights[e];
            score += sum;
        }
        double a = alpha[i], gradient = signs[i] * score - 1 + diagonal[i] * a, projected = gradient;
        if (a <= 0) {
            if (gradient > limits[0]) continue;
            if (gradient > 0) projected = 0;
        } else if (a >= upper[i]) {
            if (gradient < limits[1]) continue;
            if (gradient < 0) projected = 0;
        }
        order[kept++] = i;
        if (projected > seen_largest) seen_largest = projected;
        if (projected < seen_smallest) seen_smallest = projected;
        if (projected == 0) continue;
        double next = a - gradient / (squares[i] + diagonal[i]);
        next = next < 0 ? 0 : next > upper[i] ? upper[i] : next;
        double delta = (next - a) * signs[i];
        if (delta == 0) continue;
        alpha[i] = next;
        if (c) {
            for (int64_t e = 0; e < entries; e++) weights[c[e]] += delta * x[e];
        } else {
            int64_t e = 0;
            for (; e + 8 <= d; e += 8) STORE8(weights + e, LOAD8(weights + e) + delta * LOAD8F(x + e));
            for (; e < d; e++) weights[e] += delta * x[e];
        }
        if (intercept >= 0) weights[intercept] += delta;
    }
    seen[0] = seen_largest;
    seen[1] = seen_smallest;
    return kept;
}

// e^x by 2^n · p(r), within two units of the last place for x from -87 to 88; below, 0.
APUS_INLINE void exp16(apus_float16 *v) {
    apus_float16 x = *v;
    apus_int16v tiny = x < -87.0f;
    x = __builtin_elementwise_min(__builtin_elementwise_max(x, (apus_float16)-87.0f), (apus_float16)88.0f);
    apus_float16 n = __builtin_elementwise_roundeven(x * 1.44269504088896341f);
    apus_float16 r = x - n * 0.693359375f + n * 2.12194440e-4f;
    apus_float16 p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    apus_int16v exponent = (__builtin_convertvector(n, apus_int16v) + 127) << 23;
    *v = CHOOSE16(tiny, (apus_float16)0.0f, p * (apus_float16)exponent);
}

APUS_INLINE void power16(apus_float16 *v, int32_t degree) {
    apus_float16 base = *v, result = 1.0f;
    for (; degree > 0; degree >>= 1) {
        if (degree & 1) result *= base;
        base *= base;
    }
    *v = result;
}

APUS_INLINE void kernel16(apus_float16 *product, const apus_float16 *norms, float norm, int32_t kind, float gamma,
                          float offset, int32_t degree) {
    if (kind == 0) {
        apus_float16 distance = *norms + norm - 2.0f * *product;
        *product = -gamma * __builtin_elementwise_max(distance, (apus_float16)0.0f);
        exp16(product);
    } else {
        *product = gamma * *product + offset;
        power16(product, degree);
    }
}

APUS_VECTOR_CLONES
void apus_kernel_row(const float *row, const float *transposed, int64_t d, int64_t stride, const float *norms,
                     float norm, int32_t kind, float gamma, float offset, int32_t degree, float *out, int64_t begin,
                     int64_t end) {
    int64_t j = begin;
    for (; j + 64 <= end; j += 64) {
        apus_float16 s[4] = {0, 0, 0, 0};
        for (int64_t k = 0; k < d; k++) {
            const float *column = transposed + k * stride + j;
            float x = row[k];
            for (int v = 0; v < 4; v++) s[v] += x * APUS_LOAD(column + 16 * v);
        }
        for (int v = 0; v < 4; v++) {
            apus_float16 own = APUS_LOAD(norms + j + 16 * v);
            kernel16(&s[v], &own, norm, kind, gamma, offset, degree);
            APUS_STORE(out + j + 16 * v, s[v]);
        }
    }
    for (; j < end; j += 16) {
        int64_t count = end - j < 16 ? end - j : 16;
        apus_float16 s = 0, own = 0;
        for (int64_t l = 0; l < count; l++) own[l] = norms[j + l];
        for (int64_t k = 0; k < d; k++) {
            const float *column = transposed + k * stride + j;
            apus_float16 x = 0;
            for (int64_t l = 0; l < count; l++) x[l] = column[l];
            s += row[k] * x;
        }
        kernel16(&s, &own, norm, kind, gamma, offset, degree);
        for (int64_t l = 0; l < count; l++) out[j + l] = s[l];
    }
}

APUS_VECTOR_CLONES
void apus_kernel_sums(const float *products, int64_t count, const float *row_norms, const float *norms, int32_t kind,
                      float gamma, float offset, int32_t degree, const double *coefficients, int64_t outputs,
                      double *sums, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
        const float *row = products + i * count;
        for (int64_t j = 0; j < count; j += 16) {
            int64_t width = count - j < 16 ? count - j : 16;
            apus_float16 p = 0, own = 0;
            if (width == 16) {
                p = APUS_LOAD(row + j);
                own = APUS_LOAD(norms + j);
            } else {
                for (int64_t l = 0; l < width; l++) p[l] = row[j + l], own[l] = norms[j + l];
            }
            kernel16(&p, &own, row_norms[i], kind, gamma, offset, degree);
            apus_double16 wide = __builtin_convertvector(p, apus_double16);
            for (int64_t o = 0; o < outputs; o++) {
                double sum = 0;
                for (int64_t l = 0; l < width; l++) sum += wide[l] * coefficients[o * count + j + l];
                sums[i * outputs + o] += sum;
            }
        }
    }
}

APUS_VECTOR_CLONES
int64_t apus_smo_update(double *score, const float *left, const float *right, double delta, const double *up,
                        const double *low, int64_t n, double *largest, double *smallest) {
    apus_double8 best = -INFINITY, least = INFINITY;
    apus_long8 places = -1, here = {0, 1, 2, 3, 4, 5, 6, 7};
    int64_t t = 0;
    for (; t + 8 <= n; t += 8) {
        apus_double8 s = LOAD8(score + t) - delta * (LOAD8F(left + t) - LOAD8F(right + t));
        STORE8(score + t, s);
        apus_double8 high = s + LOAD8(up + t);
        apus_long8 better = high > best;
        best = CHOOSE8(better, high, best);
        places = (here & better) | (places & ~better);
        here += 8;
        least = __builtin_elementwise_min(least, s + LOAD8(low + t));
    }
    double top = -INFINITY, bottom = INFINITY;
    int64_t place = -1;
    for (int l = 0; l < 8; l++) {
        // Equal scores: the earliest place, whatever the width of the vectors.
        if (best[l] > top || (best[l] == top && places[l] < place)) top = best[l], place = places[l];
        if (least[l] < bottom) bottom = least[l];
    }
    for (; t < n; t++) {
        score[t] -= delta * ((double)left[t] - right[t]);
        if (score[t] + up[t] > top) top = score[t] + up[t], place = t;
        if (score[t] + low[t] < bottom) bottom = score[t] + low[t];
    }
    *largest = top;
    *smallest = bottom;
    return top == -INFINITY ? -1 : place;
}

APUS_VECTOR_CLONES
int64_t apus_smo_partner(const double *score, const double *low, const float *row, const float *diagonal, double top,
                         double own, int64_t n) {
    apus_double8 best = 0;
    apus_long8 places = -1, here = {0, 1, 2, 3, 4, 5, 6, 7};
    apus_double8 zero = 0.0, floor = 1e-12;
    int64_t t = 0;
    for (; t + 8 <= n; t += 8) {
        apus_double8 gap = top - (LOAD8(score + t) + LOAD8(low + t));
        apus_double8 curvature =
            __builtin_elementwise_max(own + LOAD8F(diagonal + t) - 2 * LOAD8F(row + t), floor);
        apus_double8 gain = gap * gap / curvature;
        apus_long8 better = (gap > zero) & (gain > best);
        best = CHOOSE8(better, gain, best);
        places = (here & better) | (places & ~better);
        here += 8;
    }
    double most = 0;
    int64_t place = -1;
    for (int l = 0; l < 8; l++) {
        if (places[l] < 0) continue;
        if (best[l] > most || (best[l] == most && places[l] < place)) most = best[l], place = places[l];
    }
    for (; t < n; t++) {
        double gap = top - (score[t] + low[t]);
        double curvature = own + diagonal[t] - 2 * (double)row[t];
        if (curvature < 1e-12) curvature = 1e-12;
        if (gap > 0 && gap * gap / curvature > most) most = gap * gap / curvature, place = t;
    }
    return place;
}

void apus_cosines(float *x, int64_t rows, int64_t d, const float *phase, float scale) {
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j++) x[i * d + j] = scale * cosf(x[i * d + j] + phase[j]);
    }
}
