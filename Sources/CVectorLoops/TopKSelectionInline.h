// What the loops that select have in common.
#pragma once
#include "TopKSelection.h"
#include "Vectors.h"

APUS_INLINE uint64_t apus_top_k_key(float score, int32_t index) {
    uint32_t bits;
    memcpy(&bits, &score, 4);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ((uint64_t)bits << 32) | (0xFFFFFFFFu - (uint32_t)index);
}

/// Drops all but the k best keys and raises the threshold.
void apus_top_k_compact(apus_top_k *state);

APUS_INLINE bool apus_is_listed(const int32_t *excluded, int64_t count, int32_t index) {
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (excluded[middle] < index) low = middle + 1;
        else high = middle;
    }
    return low < count && excluded[low] == index;
}

APUS_INLINE void apus_top_k_offer_one(apus_top_k *state, float score, int32_t index, const int32_t *excluded,
                           int64_t excluded_count) {
    // Candidates come by ascending index, so one that equals the k-th score loses to it.
    if (!(score > state->threshold)) return;
    if (excluded && apus_is_listed(excluded, excluded_count, index)) return;
    state->keys[state->count++] = apus_top_k_key(score + 0.0f, index);
    if (state->count == state->capacity) apus_top_k_compact(state);
}
