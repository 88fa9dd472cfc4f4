#pragma once
#include <stdbool.h>
#include <stdint.h>

// Best splits of one feature at one node, for trees that lower an impurity. Rows bring pairs (weight, weight * target)
// or, with `classes` above 0, (weight, class).

/// A node, as every feature sees it.
typedef struct {
    /// Its rows and their pairs, in the same order.
    const uint32_t *rows;
    const float *pairs;
    int64_t count;
    /// 0: one target, variance (a target of 0 and 1: Gini, up to a factor of 2); else the number of classes.
    int32_t classes;
    /// Entropy instead of variance or Gini.
    bool entropy;
    double minimum_leaf_weight;
    /// Sums over the rows: {weight, weight * target}, or {weight, weight of class 0, …}.
    const double *totals;
} apus_impurity_node;

typedef struct {
    /// Decrease of the impurity times the weight of the node; minus infinity where no split is allowed.
    double gain;
    double left_weight, right_weight;
    /// Keys of the values on either side of the threshold (apus_node_split_exact).
    uint32_t below, above;
    /// Last bin on the left (numeric features).
    int32_t bin;
    /// Whether missing values go left; -1 when the node has none.
    int32_t missing_left;
    /// Bins that go left, and bins that the node has (categories).
    uint64_t left[4], present[4];
} apus_impurity_split;

/// Doubles of scratch that the searches need, all 0 at first; `count` rows at most are searched exactly.
int64_t apus_node_split_scratch(int32_t classes, int64_t count);

/// 1: *split is better than its gain before; 0: no better split; -1: the feature is constant here.
/// `bins` value bins, missing values in bin number `bins`; bin_stride is the distance between rows in `codes`.
int apus_node_split_binned(const apus_impurity_node *node, const uint8_t *codes, int64_t bin_stride, int bins,
                           bool categorical, double *scratch, apus_impurity_split *split);

/// The same over all thresholds between the values whose keys (apus_float_keys) are `keys[row]`.
int apus_node_split_exact(const apus_impurity_node *node, const uint32_t *keys, double *scratch,
                          apus_impurity_split *split);

/// Reorders the rows and pairs: those with left[bin] first, keeping the order. Returns how many are left.
int64_t apus_node_partition_binned(uint32_t *rows, float *pairs, int64_t count, const uint8_t *codes,
                                   int64_t bin_stride, const uint8_t *left, uint32_t *scratch);

/// Reorders by key <= threshold; keys of missing values (0xFFFFFFFF) go left if missing_left.
int64_t apus_node_partition_exact(uint32_t *rows, float *pairs, int64_t count, const uint32_t *keys, uint32_t threshold,
                                  bool missing_left, uint32_t *scratch);

/// Sums over pairs: as `totals` of a node.
void apus_node_totals(const float *pairs, int64_t count, int32_t classes, double *totals);
