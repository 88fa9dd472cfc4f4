#pragma once
#include <stdint.h>

// Density-based clustering (DBSCAN) in linear memory: points sorted into cells, and what is asked of neighbouring cells.
//
// Coordinates are float64, dimension after dimension (coordinate p of sorted point i at p * stride + i), so that the points
// of a cell are contiguous in each.

typedef struct apus_density {
    const double *coordinates;
    int64_t stride;
    int64_t count;
    int64_t d;
    /// Points of cell c: cell_starts[c] ..< cell_starts[c + 1].
    const int64_t *cell_starts;
    int64_t cell_count;
    /// 2 * d bounds of every cell: smallest and largest coordinate of each dimension.
    const double *bounds;
    /// Squared radius, inclusive.
    double radius2;
    /// Whether all points of a cell are within the radius of each other.
    int32_t compact;
    /// Grid only: the key of every cell, ascending, and by how much keys of neighbouring rows differ (up to 32 rows).
    const int64_t *keys;
    const int64_t *row_offsets;
    int64_t row_count;
    int64_t reach;
    /// Tree only (keys null): nodes in preorder; see apus_density_tree.
    const int64_t *tree;
    const double *tree_bounds;
} apus_density;

// `found` is scratch of one thread with room for cell_count.

/// core[i] = 1 where at least `minimum` points, itself included, are within the radius; for the points of a range of cells.
void apus_density_cores(const apus_density *density, int64_t first_cell, int64_t last_cell, int64_t minimum,
                        uint8_t *core, int64_t *found);

/// Joins core points within the radius of each other, from the cells of a range: `parents` is a forest shared by all threads,
/// every point its own parent at first.
void apus_density_join(const apus_density *density, int64_t first_cell, int64_t last_cell, const uint8_t *core,
                       int32_t *parents, int64_t *found);

/// The root of a point.
int32_t apus_density_root(int32_t *parents, int32_t point);

/// labels[i] = the smallest label of a core point within the radius of point i, -1 without one; for points that are not
/// core, of a range of cells.
void apus_density_borders(const apus_density *density, int64_t first_cell, int64_t last_cell, const uint8_t *core,
                          int32_t *labels, int64_t *found);

/// The smallest label of a point within the radius of `point` (d elements), -1 without one; `key` is that of the cell in
/// which the point would be (grid only).
int32_t apus_density_lookup(const apus_density *density, int64_t key, const double *point, const int32_t *labels,
                            int64_t *found);

/// Splits points into leaves of at most `leaf` at medians of the widest dimension. `order` holds the points' numbers and is
/// permuted; `points` is n x d float32. Writes starts of leaves (room for 2 * n / leaf + 2), and for each node in preorder
/// 3 integers (leaf number or -1; the number of its right child; unused) into `tree` and 2 * d bounds into `tree_bounds`.
/// Returns the number of leaves, and that of nodes in `node_count`.
int64_t apus_density_tree(const float *points, int64_t stride, int64_t count, int64_t d, int64_t leaf, int32_t *order,
                          int64_t *leaf_starts, int64_t *tree, double *tree_bounds, int64_t *node_count);

/// Sorts n pairs of keys (0 ... 2^bits - 1) and numbers by key, keeping the order of equal ones. Scratch of n each.
void apus_density_sort(int64_t *keys, int32_t *numbers, int64_t count, int32_t bits, int64_t *key_scratch,
                    int32_t *number_scratch);
