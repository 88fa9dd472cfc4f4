#include "include/SparseOrder.h"
#include "VectorClones.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

void apus_count_users(const apus_run *runs, int64_t run_count, uint64_t *counts) {
    for (int64_t r = 0; r < run_count; r++) {
        const apus_run run = runs[r];
        if (run.user_map) {
            for (int64_t k = 0; k < run.count; k++) counts[run.user_map[run.users[k]]]++;
        } else {
            for (int64_t k = 0; k < run.count; k++) counts[run.users[k]]++;
        }
    }
}

ALWAYS_INLINE void scatter_run(
    apus_run run, uint64_t *next, uint64_t *entries, int32_t *times, int64_t *wide_times, int mapped) {
    enum { AHEAD = 16 };
    for (int64_t k = 0; k < run.count; k++) {
        if (k + AHEAD < run.count) {
            // The write lands on a line that nothing else has fetched.
            int32_t soon = run.users[k + AHEAD];
            uint64_t place = next[mapped ? run.user_map[soon] : soon];
            if (entries) __builtin_prefetch(&entries[place], 1);
            if (times) __builtin_prefetch(&times[place], 1);
            if (wide_times) __builtin_prefetch(&wide_times[place], 1);
        }
        uint64_t place = next[mapped ? run.user_map[run.users[k]] : run.users[k]]++;
        if (entries) {
            int32_t item = mapped ? run.item_map[run.items[k]] : run.items[k];
            uint32_t bits;
            memcpy(&bits, &run.values[k], 4);
            entries[place] = (uint64_t)(uint32_t)item << 32 | bits;
        }
        if (times) times[place] = run.times[k];
        if (wide_times) wide_times[place] = run.wide_times[k];
    }
}

void apus_scatter_by_user(const apus_run *runs, int64_t run_count, uint64_t *next, uint64_t *entries) {
    for (int64_t r = 0; r < run_count; r++) {
        if (runs[r].user_map) scatter_run(runs[r], next, entries, NULL, NULL, 1);
        else scatter_run(runs[r], next, entries, NULL, NULL, 0);
    }
}

void apus_scatter_times(
    const apus_run *runs, int64_t run_count, uint64_t *next, int32_t *times, int64_t *wide_times) {
    for (int64_t r = 0; r < run_count; r++) {
        int mapped = runs[r].user_map != NULL;
        if (wide_times) scatter_run(runs[r], next, NULL, NULL, wide_times, mapped);
        else scatter_run(runs[r], next, NULL, times, NULL, mapped);
    }
}

void apus_count_columns(const int32_t *columns, int64_t count, uint64_t *counts) {
    for (int64_t k = 0; k < count; k++) counts[columns[k]]++;
}

void apus_scatter_by_column(
    int64_t first, int64_t last, const int64_t *row_pointers, const int32_t *columns, const float *values,
    uint64_t *next, int32_t *indices, float *transposed) {
    enum { AHEAD = 16 };
    int64_t stop = row_pointers[last];
    for (int64_t row = first; row < last; row++) {
        for (int64_t k = row_pointers[row]; k < row_pointers[row + 1]; k++) {
            if (k + AHEAD < stop) {
                uint64_t soon = next[columns[k + AHEAD]];
                __builtin_prefetch(&indices[soon], 1);
                __builtin_prefetch(&transposed[soon], 1);
            }
            uint64_t place = next[columns[k]]++;
            indices[place] = (int32_t)row;
            transposed[place] = values[k];
        }
    }
}

// Stable sorts by the upper half of each word.

static void insertion_sort(uint64_t *a, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        uint64_t x = a[i];
        int64_t j = i;
        while (j > 0 && (a[j - 1] >> 32) > (x >> 32)) {
            a[j] = a[j - 1];
            j--;
        }
        a[j] = x;
    }
}

// Least significant digit first; returns where the result lies.
static uint64_t *radix_sort(uint64_t *a, uint64_t *b, int64_t n, int bits) {
    int passes = (bits + 7) / 8;
    int width = (bits + passes - 1) / passes;
    uint32_t mask = (1u << width) - 1, buckets = 1u << width;
    for (int pass = 0; pass < passes; pass++) {
        int shift = 32 + pass * width;
        uint64_t counts[256];
        memset(counts, 0, buckets * sizeof(uint64_t));
        for (int64_t i = 0; i < n; i++) counts[a[i] >> shift & mask]++;
        uint64_t sum = 0;
        for (uint32_t d = 0; d < buckets; d++) {
            uint64_t c = counts[d];
            counts[d] = sum;
            sum += c;
        }
        for (int64_t i = 0; i < n; i++) b[counts[a[i] >> shift & mask]++] = a[i];
        uint64_t *other = a;
        a = b;
        b = other;
    }
    return a;
}

static float value_of(uint64_t entry) {
    uint32_t bits = (uint32_t)entry;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

int64_t apus_sort_rows(
    int64_t first, int64_t last, const int64_t *row_pointers, uint64_t *entries, int32_t *times,
    int64_t *wide_times, int64_t columns_count, int32_t rule, int32_t *columns, float *values, int64_t *lengths,
    int64_t *duplicate) {
    const int timed = times || wide_times;
    int bits = 1;
    while (bits < 32 && (columns_count - 1) >> bits) bits++;
    int64_t longest = 0, merged = 0;
    for (int64_t row = first; row < last; row++) {
        int64_t n = row_pointers[row + 1] - row_pointers[row];
        if (n > longest) longest = n;
    }
    uint64_t *spare = malloc((size_t)(longest > 0 ? longest : 1) * sizeof(uint64_t));
    // With times the sort carries each entry's place in its row, and values are looked up after it.
    uint64_t *keys = timed ? malloc((size_t)(longest > 0 ? longest : 1) * sizeof(uint64_t)) : NULL;
    int64_t *row_times = timed ? malloc((size_t)(longest > 0 ? longest : 1) * sizeof(int64_t)) : NULL;
    if (!spare || (timed && (!keys || !row_times))) {
        free(spare);
        free(keys);
        free(row_times);
        return -1;
    }
    int64_t result = 0;
    for (int64_t row = first; row < last; row++) {
        int64_t start = row_pointers[row], n = row_pointers[row + 1] - start;
        uint64_t *a = entries + start;
        if (timed) {
            for (int64_t k = 0; k < n; k++) {
                keys[k] = (a[k] >> 32 << 32) | (uint64_t)(uint32_t)k;
                row_times[k] = wide_times ? wide_times[start + k] : times[start + k];
            }
        }
        uint64_t *sorted = timed ? keys : a;
        uint64_t ordered = 1;
        for (int64_t k = 1; k < n; k++) ordered &= (a[k - 1] >> 32) < (a[k] >> 32);
        if (!ordered) {
            if (n <= 40) insertion_sort(sorted, n);
            else sorted = radix_sort(sorted, spare, n, bits);
        }
        int64_t out = start;
        for (int64_t k = 0; k < n;) {
            int32_t item = (int32_t)(sorted[k] >> 32);
            uint64_t entry = timed ? a[(uint32_t)sorted[k]] : sorted[k];
            float value = value_of(entry);
            int64_t when = timed ? row_times[(uint32_t)sorted[k]] : 0;
            int64_t next = k + 1;
            if (__builtin_expect(next < n && (int32_t)(sorted[next] >> 32) == item, 0)) {
                if (rule == APUS_DUPLICATES_ERROR) {
                    duplicate[0] = row;
                    duplicate[1] = item;
                    result = -2;
                    goto done;
                }
                double sum = value;
                for (; next < n && (int32_t)(sorted[next] >> 32) == item; next++) {
                    uint64_t other = timed ? a[(uint32_t)sorted[next]] : sorted[next];
                    int64_t then = timed ? row_times[(uint32_t)sorted[next]] : 0;
                    float v = value_of(other);
                    sum += v;
                    // Later in the file wins among equal times.
                    if (rule == APUS_DUPLICATES_LAST ? then >= when : v > value) value = v;
                    if (then > when) when = then;
                    merged++;
                }
                if (rule == APUS_DUPLICATES_SUM) value = (float)sum;
            }
            columns[out] = item;
            values[out] = value;
            if (wide_times) wide_times[out] = when;
            else if (times) times[out] = (int32_t)when;
            out++;
            k = next;
        }
        lengths[row] = out - start;
    }
    result = merged;
done:
    free(spare);
    free(keys);
    free(row_times);
    return result;
}

void apus_decay(
    float *values, const int32_t *times, const int64_t *wide_times, int64_t count, int64_t reference,
    double half_life_seconds) {
    for (int64_t k = 0; k < count; k++) {
        double time = wide_times ? (double)wide_times[k] : (double)times[k];
        values[k] = (float)(values[k] * exp2((time - (double)reference) / half_life_seconds));
    }
}

typedef uint64_t u64x8 __attribute__((ext_vector_type(8), aligned(1)));
typedef uint64_t u64x8a __attribute__((ext_vector_type(8)));

ALWAYS_INLINE uint64_t mix(uint64_t a, uint64_t b) {
    __uint128_t p = (__uint128_t)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

// Eight lanes of 32 x 32 -> 64 bit products with each lane's neighbour added, as in XXH3 (Y. Collet); scrambled every
// kilobyte. The state is folded with 64-bit multiplications into two words.
APUS_VECTOR_CLONES
void apus_hash_bytes(const uint8_t *bytes, int64_t length, uint64_t seed, uint64_t result[2]) {
    u64x8a state = {0x9E3779B97F4A7C15ull, 0xC2B2AE3D27D4EB4Full, 0x165667B19E3779F9ull, 0x85EBCA77C2B2AE63ull,
                    0x27D4EB2F165667C5ull, 0xD6E8FEB86659FD93ull, 0xA0761D6478BD642Full, 0xE7037ED1A0B428DBull};
    const u64x8a start = state;
    state += seed;
    int64_t done = 0, block = 0;
    u64x8a secret = start ^ (u64x8a)(0x8BB84B93962EACC9ull);
    while (done < length) {
        u64x8a data = (u64x8a)(0);
        if (length - done >= 64) {
            data = (u64x8a) * (const u64x8 *)(bytes + done);
        } else {
            memcpy(&data, bytes + done, (size_t)(length - done));
        }
        u64x8a keyed = data ^ secret;
        state += (keyed & (u64x8a)(0xFFFFFFFFull)) * (keyed >> 32);
        state += __builtin_shufflevector(data, data, 1, 0, 3, 2, 5, 4, 7, 6);
        secret += start;
        done += 64;
        if (++block % 16 == 0) state = (state ^ (state >> 47) ^ secret) * (u64x8a)(0x9E3779B1ull);
    }
    uint64_t low = mix((uint64_t)length ^ 0x4B33A62ED433D4A3ull, seed ^ 0x2D358DCCAA6C78A5ull), high = ~low;
    for (int i = 0; i < 8; i++) {
        low = mix(low ^ state[i], start[i]);
        high = mix(high + state[7 - i], start[(i + 3) & 7]) + low;
    }
    result[0] = mix(low, 0x8BB84B93962EACC9ull);
    result[1] = mix(high ^ low, 0x4D5A2DA51DE1AA47ull);
}

APUS_VECTOR_CLONES
int32_t apus_indices_ascend(const int64_t *row_pointers, int64_t first, int64_t last, const int32_t *columns, int64_t bound) {
    for (int64_t row = first; row < last; row++) {
        int64_t start = row_pointers[row], stop = row_pointers[row + 1];
        if (start >= stop) continue;
        int32_t wrong = columns[start] < 0 || columns[stop - 1] >= bound;
        for (int64_t k = start + 1; k < stop; k++) wrong |= columns[k - 1] >= columns[k];
        if (wrong) return 0;
    }
    return 1;
}
