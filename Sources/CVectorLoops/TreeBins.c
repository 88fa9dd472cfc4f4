#include "TreeBins.h"
#include "Vectors.h"

APUS_INLINE uint32_t float_key(float value) {
    value += 0.0f;  // -0 and 0 are one value
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t key = bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
    return value != value ? 0xFFFFFFFFu : key;
}

APUS_VECTOR_CLONES
void apus_float_keys(const float *values, int64_t stride, int64_t count, uint32_t *keys) {
    if (stride == 1) {
        for (int64_t i = 0; i < count; i++) keys[i] = float_key(values[i]);
    } else {
        for (int64_t i = 0; i < count; i++) keys[i] = float_key(values[stride * i]);
    }
}

// Radix sort by 11 bits from the lowest; digits that all share are skipped.
#define RADIX_SORT(NAME, TYPE, PASSES)                                                                        \
    static void NAME(TYPE *keys, TYPE *scratch, int64_t count) {                                              \
        int64_t counts[PASSES][2048];                                                                         \
        memset(counts, 0, sizeof counts);                                                                     \
        for (int64_t i = 0; i < count; i++) {                                                                 \
            for (int p = 0; p < PASSES; p++) counts[p][(keys[i] >> (11 * p)) & 2047]++;                       \
        }                                                                                                     \
        TYPE *from = keys, *to = scratch;                                                                     \
        for (int p = 0; p < PASSES; p++) {                                                                    \
            if (count == 0 || counts[p][(from[0] >> (11 * p)) & 2047] == count) continue;                     \
            int64_t sum = 0;                                                                                  \
            for (int d = 0; d < 2048; d++) {                                                                  \
                int64_t n = counts[p][d];                                                                     \
                counts[p][d] = sum;                                                                           \
                sum += n;                                                                                     \
            }                                                                                                 \
            for (int64_t i = 0; i < count; i++) to[counts[p][(from[i] >> (11 * p)) & 2047]++] = from[i];      \
            TYPE *swapped = from;                                                                             \
            from = to;                                                                                        \
            to = swapped;                                                                                     \
        }                                                                                                     \
        if (from != keys) memcpy(keys, from, sizeof(TYPE) * (size_t)count);                                   \
    }

RADIX_SORT(radix_keys, uint32_t, 3)
RADIX_SORT(radix_pairs, uint64_t, 6)

#define INSERTION_SORT(TYPE)                                \
    for (int64_t i = 1; i < count; i++) {                   \
        TYPE key = keys[i];                                 \
        int64_t place = i;                                  \
        for (; place > 0 && keys[place - 1] > key; place--) \
            keys[place] = keys[place - 1];                  \
        keys[place] = key;                                  \
    }

void apus_sort_keys(uint32_t *keys, uint32_t *scratch, int64_t count) {
    if (count > 64) {
        radix_keys(keys, scratch, count);
    } else {
        INSERTION_SORT(uint32_t)
    }
}

static void merge_sort_pairs(uint64_t *keys, uint64_t *scratch, int64_t count) {
    if (count <= 24) {
        INSERTION_SORT(uint64_t)
        return;
    }
    int64_t half = count / 2;
    merge_sort_pairs(keys, scratch, half);
    merge_sort_pairs(keys + half, scratch + half, count - half);
    if (keys[half - 1] <= keys[half]) return;
    memcpy(scratch, keys, sizeof(uint64_t) * (size_t)half);
    int64_t a = 0, b = half, out = 0;
    while (a < half && b < count) {
        bool first = scratch[a] <= keys[b];
        keys[out++] = first ? scratch[a] : keys[b];
        a += first;
        b += !first;
    }
    while (a < half) keys[out++] = scratch[a++];
}

void apus_sort_pairs(uint64_t *pairs, uint64_t *scratch, int64_t count) {
    if (count > 4096) {
        radix_pairs(pairs, scratch, count);
    } else {
        merge_sort_pairs(pairs, scratch, count);
    }
}

// Sixteen binary searches side by side hide each other's latency.
APUS_VECTOR_CLONES
void apus_bin_numbers(const float *values, int64_t stride, int64_t count, const float *edges, uint8_t missing,
                      uint8_t *bins, int64_t bin_stride) {
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        float v[16];
        uint32_t at[16] = {0};
        for (int k = 0; k < 16; k++) v[k] = values[stride * (i + k)];
        for (uint32_t step = 128; step > 0; step >>= 1) {
            for (int k = 0; k < 16; k++) at[k] += edges[at[k] + step - 1] < v[k] ? step : 0;
        }
        for (int k = 0; k < 16; k++) bins[bin_stride * (i + k)] = v[k] != v[k] ? missing : (uint8_t)at[k];
    }
    for (; i < count; i++) {
        float v = values[stride * i];
        uint32_t at = 0;
        for (uint32_t step = 128; step > 0; step >>= 1) at += edges[at + step - 1] < v ? step : 0;
        bins[bin_stride * i] = v != v ? missing : (uint8_t)at;
    }
}

void apus_bin_categories(const float *values, int64_t stride, int64_t count, const uint8_t *table, int64_t levels,
                         uint8_t missing, uint8_t *bins, int64_t bin_stride) {
    for (int64_t i = 0; i < count; i++) {
        float v = values[stride * i];
        bins[bin_stride * i] = v >= 0 && v < (float)levels ? table[(int64_t)v] : missing;
    }
}
