#pragma once
#include <stdint.h>

// Prediction with trees. Rows are arrays of keys: apus_float_keys of numbers, the bin of a category;
// 0xFFFFFFFF where the value is missing.

/// A node. Numeric: left unless key + bias > threshold (wrapping: with bias 1, and 1 added to the threshold, a missing
/// value is below everything). Categorical: the top bit of `feature` is set, `threshold` numbers a set of 256 bits,
/// bias is 1 when missing values go left. The right child is left + 1. A leaf is its own left child, its threshold is
/// 0xFFFFFFFF, and bias is the number of its value.
typedef struct {
    uint32_t threshold, feature;
    int32_t left;
    uint32_t bias;
} apus_tree_node;

#define APUS_CATEGORY_NODE 0x80000000u

/// leaves[i] = number of the value of the leaf that row i reaches. `sets` is null when no node is categorical.
void apus_tree_leaves(const apus_tree_node *nodes, const uint64_t *sets, const uint32_t *keys, int64_t stride,
                      int64_t rows, uint32_t *leaves);

/// out[i * out_stride + k] += values[leaves[i] * width + k] for k below width.
void apus_add_leaf_values(const uint32_t *leaves, int64_t rows, const float *values, int64_t width, double *out,
                          int64_t out_stride);

/// A tree prepared for apus_tree_shapley. Node 0 is the root; parents come before their children.
typedef struct {
    const apus_tree_node *nodes;
    const uint64_t *sets;
    int64_t count;
    /// Parent, and nearest node above whose incoming edge has the same feature; -1 where there is none.
    const int32_t *parent, *above;
    /// Feature of the incoming edge.
    const int32_t *feature;
    /// Values of leaves (0 for others).
    const double *value;
    /// Share of the parent's cover.
    const double *share;
    /// Points of the quadrature, a multiple of 8.
    int64_t points;
    /// `points` numbers a node: factors of an edge that holds, and that fails first here; contributions if it holds.
    const double *on, *off, *contribution_on;
    /// Contribution of an edge that fails.
    const double *contribution_off;
} apus_shapley_tree;

/// Adds the Shapley values of a row to sums[feature * points + point], whose sum over points is the feature's value.
/// `work` holds count * points doubles, `state` count bytes.
void apus_tree_shapley(const apus_shapley_tree *tree, const uint32_t *keys, double *work, uint8_t *state, double *sums);
