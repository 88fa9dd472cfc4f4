#pragma once
#include <stdbool.h>
#include <stdint.h>

// Similarities of sparse rows and the k greatest of each, by Gustavson's product of a sparse matrix with its own
// transpose: one row of sums at a time in a dense accumulator.

/// How two rows are compared.
typedef enum apus_similarity {
    /// The inner product.
    APUS_SIMILARITY_DOT = 0,
    /// The inner product times both rows' scales (1 / norm: the cosine).
    APUS_SIMILARITY_SCALED = 1,
    /// Common features over all features of the two; the scales are the numbers of features.
    APUS_SIMILARITY_JACCARD = 2,
    /// Pearson's correlation over the common features.
    APUS_SIMILARITY_PEARSON = 3,
    /// The cosine over the common features.
    APUS_SIMILARITY_COMMON_COSINE = 4,
} apus_similarity;

/// Rows to compare, in both orders. Values may be null for 1 everywhere.
typedef struct apus_neighbor_data {
    int64_t count;
    const int64_t *row_pointers;
    const int32_t *features;
    const float *values;
    const int64_t *feature_pointers;
    const int32_t *members;
    const float *member_values;
    const float *scales;
    int32_t similarity;
    // What follows is applied when `general` is set; PEARSON and COMMON_COSINE need it.
    bool general;
    double shrinkage;      // times n / (n + shrinkage), n common features
    double significance;   // times min(n, significance) / significance; 0 for none
    double minimum_common; // fewer common features are no similarity
} apus_neighbor_data;

/// What one thread works with. Keys as in TopKSelection.h.
typedef struct apus_neighbor_scratch {
    float *sums;         // count, all 0 between calls
    double *moments;     // 8 * count, all 0 between calls; only when general
    int32_t *touched;    // count
    uint64_t *keys;      // rows * capacity
    int32_t *key_counts; // rows, 0 at first
    float *thresholds;   // rows, the smallest positive number at first
    int64_t capacity;    // more than k
    int64_t k;
} apus_neighbor_scratch;

/// Compares rows begin ..< end with the rows after them and offers each similarity above 0 to both; the scratch has
/// room for all rows.
void apus_neighbors_upper(const apus_neighbor_data *data, int64_t begin, int64_t end, apus_neighbor_scratch *scratch);

/// Compares one row, given by its features, with all rows but number `self` (or -1); the scratch has room for one row.
void apus_neighbors_of(const apus_neighbor_data *data, const int32_t *features, const float *values, int64_t count,
                       float scale, int64_t self, apus_neighbor_scratch *scratch);

/// Merges a row's keys of several threads, keeps the k best and writes them, best first; returns how many there are.
/// Clears the states.
int64_t apus_neighbors_finish(apus_neighbor_scratch *scratches, int64_t threads, int64_t row, uint64_t *merged,
                              int32_t *indices, float *scores);

/// sums[column] += weight * value over the entries of one sparse row; values may be null.
void apus_add_sparse_row(const int32_t *columns, const float *values, int64_t count, float weight, float *sums);
