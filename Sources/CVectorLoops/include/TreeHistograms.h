#pragma once
#include <stdbool.h>
#include <stdint.h>

// Inner loops of tree learning. A row's features lie in blocks of eight: one byte a feature, the number of its bin.
// A gradient is packed: the signed first derivative in the upper half, the second derivative, not negative, in the
// lower half, both in fixed point. Sums of integers are exact, so that neither order nor threads change a bit.

/// Bins of a feature at most, the one of missing values included.
#define APUS_BINS 256
/// Features of a block.
#define APUS_BLOCK_FEATURES 8
/// Rows whose packed gradients may be added up before apus_histogram_flush: both halves stay within 31 bits when
/// every one of them is at most 2^17.
#define APUS_HISTOGRAM_ROWS 8192

/// sums[f * APUS_BINS + bin] += gradients[i] for `width` features of the rows `rows[i]` (null: begin + i).
void apus_histogram_add(const uint64_t *block, const uint32_t *rows, int64_t begin, const int64_t *gradients,
                        int64_t count, int width, int64_t *sums);

/// Adds the packed sums of one feature to its wide ones and clears them.
void apus_histogram_flush(int64_t *packed, int64_t bins, bool first, int64_t *g, int64_t *h);

/// out = a - b, element by element; out may be a.
void apus_histogram_subtract(const int64_t *a, const int64_t *b, int64_t count, int64_t *out);

/// flags[i] = left[bin of the row]; returns how many are 1.
int64_t apus_split_flags(const uint64_t *block, int slot, const uint32_t *rows, int64_t count, const uint8_t *left,
                         uint8_t *flags);

/// Moves rows and gradients whose flag is 1 to left_*, the others to right_*, keeping their order.
/// Up to eight elements behind each written part may be overwritten by nobody: exactly the flagged ones are written.
void apus_split_rows(const uint32_t *rows, const int64_t *gradients, const uint8_t *flags, int64_t count,
                     uint32_t *left_rows, int64_t *left_gradients, uint32_t *right_rows, int64_t *right_gradients);

/// What a search over the bins of a feature found.
typedef struct {
    /// Above the parent's score; not above 0 where nothing was found.
    double gain;
    /// Sums of the left side, in fixed point.
    int64_t left_g, left_h;
    /// Last bin that goes left, or the number of categories that go left.
    int32_t bin;
    /// Whether missing values go left; -1 when the node has none.
    int32_t missing_left;
} apus_split;

/// What every search of a node shares.
typedef struct {
    /// Sums of the node, in fixed point.
    int64_t g, h;
    /// What one unit of fixed point stands for.
    double g_unit, h_unit;
    double l2, minimum_child_weight;
} apus_split_search;

/// The best split of a numeric feature: g^2 / (h + l2), left plus right minus parent. The bin number `bins` holds the
/// missing values when `has_missing`. Improves *best only if the gain is above best->gain; returns whether it did.
bool apus_split_numeric(const int64_t *g, const int64_t *h, int bins, bool has_missing, const apus_split_search *search,
                        apus_split *best);

/// The best split of a categorical feature by sorted gradient statistics (Fisher 1958); the bin number `bins` holds
/// the missing values when `has_missing`. `order` receives the bins, sorted; the first best->bin of them go left.
bool apus_split_category(const int64_t *g, const int64_t *h, int bins, bool has_missing,
                         const apus_split_search *search, double smoothing, double l2, int most, uint8_t *order,
                         apus_split *best);

/// First and second derivatives of the logistic loss, times the weight (null: 1), as pairs.
void apus_logistic_gradients(const double *scores, const float *targets, const float *weights, int64_t count,
                             float *pairs);

/// Largest magnitudes of the two members of pairs.
void apus_largest_gradients(const float *pairs, int64_t count, float *largest_g, float *largest_h);

/// Packs pairs, each times its scale and rounded to the nearest integer; rows may be null (i).
void apus_pack_gradients(const float *pairs, const uint32_t *rows, int64_t begin, int64_t count, float g_scale,
                         float h_scale, int64_t *packed);

/// Sums of the pairs of some rows.
void apus_sum_gradients(const float *pairs, const uint32_t *rows, int64_t count, double *g, double *h);

/// A node for routing rows by their bins; bit b of `left` says where bin b goes.
typedef struct {
    int32_t block, slot, left_child, right_child;
    uint64_t left[4];
} apus_bin_node;

/// leaves[i] = the leaf that row rows[i] (null: begin + i) reaches; a child below 0 is the leaf ~child.
void apus_route_bins(const uint64_t *const *blocks, const apus_bin_node *nodes, int32_t root, const uint32_t *rows,
                     int64_t begin, int64_t count, int32_t *leaves);
