#include "TreeTraversal.h"
#include "Vectors.h"

#define LANES 8

APUS_INLINE int32_t step(const apus_tree_node *nodes, const uint64_t *sets, const uint32_t *row, int32_t at,
                         bool categories) {
    const apus_tree_node *node = nodes + at;
    if (categories && node->feature & APUS_CATEGORY_NODE) {
        uint32_t key = row[node->feature & ~APUS_CATEGORY_NODE];
        uint32_t left = key > 255 ? node->bias : (uint32_t)(sets[4 * node->threshold + (key >> 6)] >> (key & 63)) & 1;
        return node->left + !left;
    }
    return node->left + (row[node->feature] + node->bias > node->threshold);
}

// Several rows go down side by side, so that they wait for memory together. Leaves are their own children: the loop
// looks every few steps whether anybody still moves.
APUS_INLINE void leaves_of(const apus_tree_node *nodes, const uint64_t *sets, const uint32_t *keys, int64_t stride,
                           int64_t rows, uint32_t *leaves, bool categories) {
    int64_t i = 0;
    for (; i + LANES <= rows; i += LANES) {
        const uint32_t *row = keys + i * stride;
        int32_t at[LANES] = {0};
        bool moved = true;
        while (moved) {
            int32_t before[LANES];
#pragma clang loop unroll(full)
            for (int k = 0; k < LANES; k++) at[k] = step(nodes, sets, row + k * stride, at[k], categories);
#pragma clang loop unroll(full)
            for (int k = 0; k < LANES; k++) {
                before[k] = at[k];
                at[k] = step(nodes, sets, row + k * stride, at[k], categories);
            }
            int32_t difference = 0;
#pragma clang loop unroll(full)
            for (int k = 0; k < LANES; k++) difference |= at[k] ^ before[k];
            moved = difference != 0;
        }
        for (int k = 0; k < LANES; k++) leaves[i + k] = nodes[at[k]].bias;
    }
    for (; i < rows; i++) {
        int32_t at = 0, before;
        do {
            before = at;
            at = step(nodes, sets, keys + i * stride, at, categories);
        } while (at != before);
        leaves[i] = nodes[at].bias;
    }
}

void apus_tree_leaves(const apus_tree_node *nodes, const uint64_t *sets, const uint32_t *keys, int64_t stride,
                      int64_t rows, uint32_t *leaves) {
    if (sets) {
        leaves_of(nodes, sets, keys, stride, rows, leaves, true);
    } else {
        leaves_of(nodes, sets, keys, stride, rows, leaves, false);
    }
}

void apus_add_leaf_values(const uint32_t *leaves, int64_t rows, const float *values, int64_t width, double *out,
                          int64_t out_stride) {
    if (width == 1) {
        for (int64_t i = 0; i < rows; i++) out[i * out_stride] += values[leaves[i]];
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        const float *value = values + (int64_t)leaves[i] * width;
        for (int64_t k = 0; k < width; k++) out[i * out_stride + k] += value[k];
    }
}

typedef double double8 __attribute__((ext_vector_type(8)));
typedef double double8_unaligned __attribute__((ext_vector_type(8), aligned(8)));
#define LOAD8(pointer) (*(const double8_unaligned *)(pointer))
#define STORE8(pointer, value) (*(double8_unaligned *)(pointer) = (value))

// Whether a row fulfils all edges of one feature down to a node, and whether the edge into it alone holds.
enum { HOLDS = 1, GOES_LEFT = 2 };

APUS_INLINE void shapley(const apus_shapley_tree *t, const uint32_t *keys, double *work, uint8_t *state, double *sums,
                         int64_t points) {
    const apus_tree_node *nodes = t->nodes;
    for (int64_t n = 0; n < t->count; n++) {
        const apus_tree_node *node = nodes + n;
        uint8_t flags = 0;
        if (node->left != (int32_t)n) flags = step(nodes, t->sets, keys, (int32_t)n, true) == node->left ? GOES_LEFT : 0;
        double *product = work + n * points;
        int32_t parent = t->parent[n];
        if (parent < 0) {
            for (int64_t q = 0; q < points; q += 8) STORE8(product + q, (double8)1.0);
            state[n] = flags | HOLDS;
            continue;
        }
        int32_t above = t->above[n];
        bool edge = ((state[parent] & GOES_LEFT) != 0) == (nodes[parent].left == (int32_t)n);
        bool held = above < 0 || state[above] & HOLDS;
        const double *from = work + parent * points;
        if (held) {
            const double *factor = (edge ? t->on : t->off) + n * points;
            for (int64_t q = 0; q < points; q += 8) STORE8(product + q, LOAD8(from + q) * LOAD8(factor + q));
        } else {
            for (int64_t q = 0; q < points; q += 8) STORE8(product + q, LOAD8(from + q) * t->share[n]);
        }
        state[n] = flags | (held && edge ? HOLDS : 0);
    }
    for (int64_t n = t->count - 1; n > 0; n--) {
        double *product = work + n * points;
        const apus_tree_node *node = nodes + n;
        if (node->left == (int32_t)n) {
            for (int64_t q = 0; q < points; q += 8) STORE8(product + q, LOAD8(product + q) * t->value[n]);
        } else {
            const double *a = work + node->left * points, *b = work + (node->left + 1) * points;
            for (int64_t q = 0; q < points; q += 8) STORE8(product + q, LOAD8(a + q) + LOAD8(b + q));
        }
        int32_t above = t->above[n];
        bool holds = state[n] & HOLDS, held = above < 0 || state[above] & HOLDS;
        if (!held) continue;  // the feature had already failed: nothing changes here
        double *sum = sums + t->feature[n] * points;
        const double *own = holds ? t->contribution_on + n * points : t->contribution_off;
        if (above < 0) {
            for (int64_t q = 0; q < points; q += 8) STORE8(sum + q, LOAD8(sum + q) + LOAD8(own + q) * LOAD8(product + q));
        } else {
            const double *before = t->contribution_on + above * points;
            for (int64_t q = 0; q < points; q += 8) {
                STORE8(sum + q, LOAD8(sum + q) + (LOAD8(own + q) - LOAD8(before + q)) * LOAD8(product + q));
            }
        }
    }
}

APUS_VECTOR_CLONES
void apus_tree_shapley(const apus_shapley_tree *tree, const uint32_t *keys, double *work, uint8_t *state,
                       double *sums) {
    if (tree->points == 8) {
        shapley(tree, keys, work, state, sums, 8);
    } else {
        shapley(tree, keys, work, state, sums, tree->points);
    }
}
