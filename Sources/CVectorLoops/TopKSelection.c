#include "TopKSelection.h"
#include <math.h>
#include <stdlib.h>
#include "Vectors.h"

APUS_INLINE uint64_t key_of(float score, int32_t index) {
    uint32_t bits;
    memcpy(&bits, &score, 4);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ((uint64_t)bits << 32) | (0xFFFFFFFFu - (uint32_t)index);
}

APUS_INLINE float score_of(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    bits = bits & 0x80000000u ? bits & 0x7FFFFFFFu : ~bits;
    float score;
    memcpy(&score, &bits, 4);
    return score;
}

void apus_top_k_start(apus_top_k *state, uint64_t *keys, int64_t capacity, int64_t k) {
    state->keys = keys;
    state->count = 0;
    state->capacity = capacity;
    state->k = k;
    state->threshold = -INFINITY;
}

// Moves the k greatest keys to the front (Hoare's quickselect, median of three).
static void keep_best(uint64_t *keys, int64_t count, int64_t k) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        uint64_t a = keys[low], b = keys[middle], c = keys[high];
        uint64_t pivot = a > b ? (b > c ? b : (a > c ? c : a)) : (a > c ? a : (b > c ? c : b));
        int64_t i = low, j = high;
        while (i <= j) {
            while (keys[i] > pivot) i++;
            while (keys[j] < pivot) j--;
            if (i <= j) {
                uint64_t t = keys[i];
                keys[i++] = keys[j];
                keys[j--] = t;
            }
        }
        if (k - 1 <= j) high = j;
        else if (k - 1 >= i) low = i;
        else return;
    }
}

static void compact(apus_top_k *state) {
    if (state->count < state->k) return;
    keep_best(state->keys, state->count, state->k);
    state->count = state->k;
    uint64_t least = state->keys[0];
    for (int64_t i = 1; i < state->k; i++) least = state->keys[i] < least ? state->keys[i] : least;
    state->threshold = score_of(least);
}

APUS_INLINE bool is_excluded(const int32_t *excluded, int64_t count, int32_t index) {
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (excluded[middle] < index) low = middle + 1;
        else high = middle;
    }
    return low < count && excluded[low] == index;
}

APUS_INLINE void offer_one(apus_top_k *state, float score, int32_t index, const int32_t *excluded,
                           int64_t excluded_count) {
    // Candidates come by ascending index, so one that equals the k-th score loses to it.
    if (!(score > state->threshold)) return;
    if (excluded && is_excluded(excluded, excluded_count, index)) return;
    state->keys[state->count++] = key_of(score + 0.0f, index);
    if (state->count == state->capacity) compact(state);
}

APUS_VECTOR_CLONES
void apus_top_k_offer(apus_top_k *state, const float *scores, int64_t count, int32_t first_index, const float *bias,
                      const int32_t *excluded, int64_t excluded_count) {
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        apus_float16 v[4];
        for (int part = 0; part < 4; part++) {
            v[part] = APUS_LOAD(scores + i + 16 * part);
            if (bias) v[part] += APUS_LOAD(bias + i + 16 * part);
        }
        uint64_t mask = 0;
        for (int part = 0; part < 4; part++) {
            apus_bool16 above = __builtin_convertvector(v[part] > state->threshold, apus_bool16);
            uint16_t bits;
            memcpy(&bits, &above, 2);
            mask |= (uint64_t)bits << (16 * part);
        }
        while (mask) {
            int lane = __builtin_ctzll(mask);
            mask &= mask - 1;
            float score = scores[i + lane] + (bias ? bias[i + lane] : 0);
            offer_one(state, score, first_index + (int32_t)(i + lane), excluded, excluded_count);
        }
    }
    for (; i < count; i++) {
        offer_one(state, scores[i] + (bias ? bias[i] : 0), first_index + (int32_t)i, excluded, excluded_count);
    }
}

void apus_top_k_merge(apus_top_k *state, const uint64_t *keys, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        state->keys[state->count++] = keys[i];
        if (state->count == state->capacity) compact(state);
    }
}

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

int64_t apus_top_k_finish(apus_top_k *state) {
    if (state->count > state->k) {
        keep_best(state->keys, state->count, state->k);
        state->count = state->k;
    }
    if (state->count <= 32) {
        for (int64_t i = 1; i < state->count; i++) {
            uint64_t key = state->keys[i];
            int64_t j = i;
            for (; j > 0 && state->keys[j - 1] < key; j--) state->keys[j] = state->keys[j - 1];
            state->keys[j] = key;
        }
    } else {
        qsort(state->keys, (size_t)state->count, sizeof(uint64_t), descending);
    }
    return state->count;
}

void apus_top_k_write(const uint64_t *keys, int64_t count, int64_t k, int32_t *indices, float *scores) {
    for (int64_t place = 0; place < k; place++) {
        indices[place] = place < count ? (int32_t)(0xFFFFFFFFu - (uint32_t)keys[place]) : -1;
        scores[place] = place < count ? score_of(keys[place]) : -INFINITY;
    }
}
