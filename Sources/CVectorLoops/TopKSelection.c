#include "TopKSelection.h"
#include <math.h>
#include "TopKSelectionInline.h"
#include "Vectors.h"

APUS_INLINE float score_of(uint64_t key) {
    uint32_t bits = (uint32_t)(key >> 32);
    bits = bits & 0x80000000u ? bits & 0x7FFFFFFFu : ~bits;
    float score;
    memcpy(&score, &bits, 4);
    return score;
}

float apus_top_k_score(uint64_t key) { return score_of(key); }

void apus_top_k_start(apus_top_k *state, uint64_t *keys, int64_t capacity, int64_t k) {
    state->keys = keys;
    state->count = 0;
    state->capacity = capacity;
    state->k = k;
    state->threshold = -INFINITY;
}

// Moves the keys above a pivot, the median of three, in front of it and returns where it then stands. Keys are distinct.
// Without branches that depend on a key: none could be predicted.
static int64_t partition(uint64_t *keys, int64_t count) {
    uint64_t a = keys[0], b = keys[count / 2], c = keys[count - 1];
    int64_t at = a > b ? (b > c ? count / 2 : (a > c ? count - 1 : 0)) : (a > c ? 0 : (b > c ? count - 1 : count / 2));
    uint64_t pivot = keys[at];
    keys[at] = keys[count - 1];
    keys[count - 1] = pivot;
    int64_t above = 0;
    for (int64_t i = 0; i < count - 1; i++) {
        uint64_t key = keys[i];
        keys[i] = keys[above];
        keys[above] = key;
        above += key > pivot;
    }
    keys[count - 1] = keys[above];
    keys[above] = pivot;
    return above;
}

// Moves the k greatest keys to the front (quickselect).
static void keep_best(uint64_t *keys, int64_t count, int64_t k) {
    while (count > 1) {
        int64_t place = partition(keys, count);
        if (place == k || place == k - 1) return;
        if (place > k) {
            count = place;
        } else {
            keys += place + 1;
            count -= place + 1;
            k -= place + 1;
        }
    }
}

// Sorts descending (quicksort, insertion for short ranges; the longer part last, in the loop).
static void sort_keys(uint64_t *keys, int64_t count) {
    while (count > 24) {
        int64_t place = partition(keys, count);
        int64_t rest = count - place - 1;
        if (place < rest) {
            sort_keys(keys, place);
            keys += place + 1;
            count = rest;
        } else {
            sort_keys(keys + place + 1, rest);
            count = place;
        }
    }
    for (int64_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        int64_t j = i;
        for (; j > 0 && keys[j - 1] < key; j--) keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

void apus_top_k_compact(apus_top_k *state) {
    if (state->count < state->k) return;
    keep_best(state->keys, state->count, state->k);
    state->count = state->k;
    uint64_t least = state->keys[0];
    for (int64_t i = 1; i < state->k; i++) least = state->keys[i] < least ? state->keys[i] : least;
    state->threshold = score_of(least);
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
            apus_top_k_offer_one(state, score, first_index + (int32_t)(i + lane), excluded, excluded_count);
        }
    }
    for (; i < count; i++) {
        apus_top_k_offer_one(state, scores[i] + (bias ? bias[i] : 0), first_index + (int32_t)i, excluded, excluded_count);
    }
}

void apus_top_k_merge(apus_top_k *state, const uint64_t *keys, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        state->keys[state->count++] = keys[i];
        if (state->count == state->capacity) apus_top_k_compact(state);
    }
}

int64_t apus_top_k_finish(apus_top_k *state) {
    if (state->count > state->k) {
        keep_best(state->keys, state->count, state->k);
        state->count = state->k;
    }
    sort_keys(state->keys, state->count);
    return state->count;
}

void apus_top_k_write(const uint64_t *keys, int64_t count, int64_t k, int32_t *indices, float *scores) {
    for (int64_t place = 0; place < k; place++) {
        indices[place] = place < count ? (int32_t)(0xFFFFFFFFu - (uint32_t)keys[place]) : -1;
        scores[place] = place < count ? score_of(keys[place]) : -INFINITY;
    }
}
