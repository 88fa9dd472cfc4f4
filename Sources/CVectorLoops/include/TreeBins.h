#pragma once
#include <stdint.h>

// From feature values to bins.

/// Order-preserving integer of a float: x <= y exactly when key(x) <= key(y); 0xFFFFFFFF for NaN, which is above all.
void apus_float_keys(const float *values, int64_t stride, int64_t count, uint32_t *keys);

/// The float of a key; a NaN for 0xFFFFFFFF.
static inline float apus_key_float(uint32_t key) {
    uint32_t bits = key & 0x80000000u ? key ^ 0x80000000u : ~key;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

/// Sorts keys upwards; scratch has room for as many.
void apus_sort_keys(uint32_t *keys, uint32_t *scratch, int64_t count);

/// Sorts pairs (key in the upper half) upwards by the whole number; scratch has room for as many.
void apus_sort_pairs(uint64_t *pairs, uint64_t *scratch, int64_t count);

/// bins[bin_stride * i] = number of edges below values[stride * i] (a value equal to an edge is left of it), `missing` for NaN.
/// `edges` has 255 elements, those unused +infinity.
void apus_bin_numbers(const float *values, int64_t stride, int64_t count, const float *edges, uint8_t missing,
                      uint8_t *bins, int64_t bin_stride);

/// bins[bin_stride * i] = table[code], `missing` for NaN and codes outside 0 ..< levels.
void apus_bin_categories(const float *values, int64_t stride, int64_t count, const uint8_t *table, int64_t levels,
                         uint8_t missing, uint8_t *bins, int64_t bin_stride);
