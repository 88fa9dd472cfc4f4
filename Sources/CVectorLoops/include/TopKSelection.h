#pragma once
#include <stdint.h>

// Selection of the k best scores while tiles of scores pass by.
//
// A candidate is one 64-bit key: the score's bits, mapped so that greater floats are greater integers, above the
// complement of its index. Greater keys are better: the higher score, and among equal scores the lower index.

/// State of one query. `keys` has room for `capacity` > k keys, twice as many to be fast; k >= 1.
typedef struct apus_top_k {
    uint64_t *keys;
    int64_t count;
    int64_t capacity;
    int64_t k;
    float threshold;
} apus_top_k;

/// Prepares an empty state over `keys`.
void apus_top_k_start(apus_top_k *state, uint64_t *keys, int64_t capacity, int64_t k);

/// Offers scores of the candidates first_index + 0 ... count - 1, in order. `bias` (may be null) is added first.
/// Candidates in `excluded` (ascending, may be null), and scores that are NaN or -inf, are passed over.
void apus_top_k_offer(apus_top_k *state, const float *scores, int64_t count, int32_t first_index, const float *bias,
                      const int32_t *excluded, int64_t excluded_count);

/// Offers keys made by another state.
void apus_top_k_merge(apus_top_k *state, const uint64_t *keys, int64_t count);

/// Keeps the best k and sorts them, best first; returns how many there are.
int64_t apus_top_k_finish(apus_top_k *state);

/// The score of a key.
float apus_top_k_score(uint64_t key);

/// Writes k places: indices and scores of sorted keys, then -1 and -inf.
void apus_top_k_write(const uint64_t *keys, int64_t count, int64_t k, int32_t *indices, float *scores);
