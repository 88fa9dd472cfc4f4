#pragma once
#include <stdbool.h>
#include <stdint.h>

// Stochastic gradient steps on pairs of items, one preferred to the other by a user: BPR and WARP.

/// Tables that the steps change. Rows have `stride` elements, a multiple of 16, padded with zeros.
typedef struct apus_pairwise_model {
    float *users;
    float *items;
    float *biases; // of the items
    int64_t stride;
    int64_t item_count;
    // What the users have, ascending: no such item is taken for a worse one.
    const int64_t *row_pointers;
    const int32_t *columns;
    float rate;
    float regularization;
    bool warp;      // else BPR
    int32_t trials; // worse items looked at for one step, at most (WARP); 1 ... 64
    uint64_t seed;
    uint64_t stream;
} apus_pairwise_model;

/// `steps` steps on pairs drawn from positives 0 ..< count, worse items from negatives 0 ..< negative_count, by the
/// Philox numbers from `start` on (`apus_pairwise_draws` blocks of four for each step). Returns the number of steps
/// that changed something.
int64_t apus_pairwise_steps(const apus_pairwise_model *model, const int32_t *users, const int32_t *items, int64_t count,
                            const int32_t *negatives, int64_t negative_count, uint64_t start, int64_t steps);

/// Blocks of four numbers that a step uses.
int64_t apus_pairwise_draws(const apus_pairwise_model *model);

/// Steps that change one user's row only, the items held: a new user by what they have (ascending). The rate falls
/// linearly to 0. `parts` (count * stride, may be null) collects what each item of the history added to the row.
void apus_pairwise_fold_in(const apus_pairwise_model *model, const int32_t *history, int64_t count,
                           const int32_t *negatives, int64_t negative_count, int64_t steps, float *row, float *parts);
