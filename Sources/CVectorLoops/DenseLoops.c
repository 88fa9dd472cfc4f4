#include "DenseLoops.h"
#include <math.h>
#include "Vectors.h"

// In double precision: squares of large elements would overflow, and those of small ones vanish.
APUS_VECTOR_CLONES
void apus_row_norms(const float *x, int64_t stride, int64_t columns, int64_t begin, int64_t end, bool squared,
                    float *out) {
    for (int64_t i = begin; i < end; i++) {
        const float *row = x + i * stride;
        apus_double16 s = 0;
        int64_t j = 0;
        for (; j + 16 <= columns; j += 16) {
            apus_double16 v = __builtin_convertvector(APUS_LOAD(row + j), apus_double16);
            s += v * v;
        }
        double sum = 0;
        for (int lane = 0; lane < 16; lane++) sum += s[lane];
        for (; j < columns; j++) sum += (double)row[j] * row[j];
        out[i] = (float)(squared ? sum : sqrt(sum));
    }
}

// Sixteen columns at a time in registers where rows are short; else a few thousand sums stay in the nearest cache.
APUS_VECTOR_CLONES
void apus_column_sums(const float *x, int64_t stride, int64_t columns, int64_t begin, int64_t end, double *partial) {
    int64_t j = 0;
    for (int64_t k = 0; k < columns; k++) partial[k] = 0;
    if (columns > 64) {
        for (int64_t i = begin; i < end; i++) {
            const float *row = x + i * stride;
            for (j = 0; j < columns; j++) partial[j] += row[j];
        }
        return;
    }
    for (; j + 16 <= columns; j += 16) {
        apus_double16 s = 0;
        for (int64_t i = begin; i < end; i++) s += __builtin_convertvector(APUS_LOAD(x + i * stride + j), apus_double16);
        for (int lane = 0; lane < 16; lane++) partial[j + lane] = s[lane];
    }
    for (int64_t i = begin; i < end; i++) {
        for (int64_t k = j; k < columns; k++) partial[k] += x[i * stride + k];
    }
}

APUS_VECTOR_CLONES
void apus_scale_rows(const float *x, int64_t stride, const float *factors, bool divide, int64_t columns,
                     int64_t begin, int64_t end, float *out, int64_t out_stride) {
    for (int64_t i = begin; i < end; i++) {
        const float *row = x + i * stride;
        float *target = out + i * out_stride;
        float f = factors[i];
        if (divide && f == 0) {
            for (int64_t j = 0; j < columns; j++) target[j] = 0;
        } else if (divide) {
            for (int64_t j = 0; j < columns; j++) target[j] = row[j] / f;
        } else {
            for (int64_t j = 0; j < columns; j++) target[j] = row[j] * f;
        }
    }
}

APUS_VECTOR_CLONES
void apus_gather_rows(const float *table, int64_t table_stride, int64_t table_rows, const int32_t *indices,
                      int64_t columns, int64_t begin, int64_t end, float *out, int64_t out_stride) {
    for (int64_t i = begin; i < end; i++) {
        int64_t index = indices[i];
        float *target = out + i * out_stride;
        if (i + 8 < end && indices[i + 8] >= 0 && indices[i + 8] < table_rows) {
            __builtin_prefetch(table + indices[i + 8] * table_stride);
        }
        if (index < 0 || index >= table_rows) {
            for (int64_t j = 0; j < columns; j++) target[j] = NAN;
        } else {
            memcpy(target, table + index * table_stride, (size_t)columns * sizeof(float));
        }
    }
}

// e^x for |x| <= 87: x = n ln 2 + r, a polynomial of degree 6 in r, and n added to the exponent. Relative error below
// 2e-7 over the range.
APUS_INLINE float apus_exp(float x) {
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float n = __builtin_rintf(x * 1.44269504088896341f);
    float r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits;
    memcpy(&bits, &p, 4);
    bits += (int32_t)n << 23;
    memcpy(&p, &bits, 4);
    return p;
}

APUS_INLINE float apus_sigmoid(float x) { return 1.0f / (1.0f + apus_exp(-x)); }

// tanh by an odd polynomial near 0, where 1 - 2/(e^2x + 1) would cancel, and by the exponential elsewhere.
APUS_INLINE float apus_tanh(float x) {
    float magnitude = x < 0 ? -x : x;
    float s = x * x;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s - 5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s - 3.33332819422e-1f;
    p = p * s * x + x;
    float e = 1.0f - 2.0f / (apus_exp(2.0f * magnitude) + 1.0f);
    e = x < 0 ? -e : e;
    float value = magnitude < 0.625f ? p : e;
    return x != x ? x : value;
}

APUS_VECTOR_CLONES
void apus_bias_activation(float *c, int64_t stride, int64_t rows, int64_t columns, const float *bias,
                          int activation) {
    for (int64_t i = 0; i < rows; i++) {
        float *row = c + i * stride;
        if (bias) {
            for (int64_t j = 0; j < columns; j++) row[j] += bias[j];
        }
        switch (activation) {
        case 1:
            for (int64_t j = 0; j < columns; j++) row[j] = row[j] < 0 ? 0 : row[j];
            break;
        case 2:
            for (int64_t j = 0; j < columns; j++) row[j] = row[j] != row[j] ? row[j] : apus_sigmoid(row[j]);
            break;
        case 3:
            for (int64_t j = 0; j < columns; j++) row[j] = apus_tanh(row[j]);
            break;
        default:
            break;
        }
    }
}

APUS_INLINE void apus_philox(uint64_t counter, uint64_t stream, uint64_t seed, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

APUS_VECTOR_CLONES
void apus_random_uniform(uint64_t seed, uint64_t stream, uint64_t start, int64_t count, float *out) {
    int64_t i = 0;
    uint32_t block[4];
    for (; i < count && ((start + (uint64_t)i) & 3); i++) {
        apus_philox((start + (uint64_t)i) >> 2, stream, seed, block);
        out[i] = (float)(block[(start + (uint64_t)i) & 3] >> 8) * 0x1p-24f;
    }
    uint64_t first = (start + (uint64_t)i) >> 2;
    int64_t blocks = (count - i) / 4;
    float *aligned = out + i;
    for (int64_t b = 0; b < blocks; b++) {
        uint32_t four[4];
        apus_philox(first + (uint64_t)b, stream, seed, four);
        for (int lane = 0; lane < 4; lane++) aligned[4 * b + lane] = (float)(four[lane] >> 8) * 0x1p-24f;
    }
    for (i += 4 * blocks; i < count; i++) {
        apus_philox((start + (uint64_t)i) >> 2, stream, seed, block);
        out[i] = (float)(block[(start + (uint64_t)i) & 3] >> 8) * 0x1p-24f;
    }
}

APUS_VECTOR_CLONES
void apus_add_to_double(const float *x, int64_t stride, int64_t rows, int64_t columns, double *sum,
                        int64_t sum_stride) {
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) sum[i * sum_stride + j] += x[i * stride + j];
    }
}

APUS_VECTOR_CLONES
void apus_sum_parts(double *sums, int64_t parts, int64_t stride, int64_t begin, int64_t end) {
    for (int64_t part = 1; part < parts; part++) {
        for (int64_t i = begin; i < end; i++) sums[i] += sums[part * stride + i];
    }
}
