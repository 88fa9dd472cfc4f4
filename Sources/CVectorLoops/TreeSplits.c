#include "TreeSplits.h"
#include <math.h>
#include "TreeBins.h"
#include "TreeHistograms.h"
#include "Vectors.h"

typedef double pair2 __attribute__((ext_vector_type(2)));
typedef float float2 __attribute__((ext_vector_type(2)));

// Fewer rows than this: the bins that occur are marked in a bit map, and only they are cleared and looked at.
#define FEW_ROWS 160

int64_t apus_node_split_scratch(int32_t classes, int64_t count) {
    int64_t width = classes > 0 ? classes : 2;
    int64_t binned = 2 * APUS_BINS * width + 4 * width;
    return binned + 2 * count;
}

APUS_INLINE double plogp(double part, double whole) { return part > 0 ? part * log2(part / whole) : 0; }

// What a side adds to the score; the sum over both sides less the node's own is the decrease of impurity.
APUS_INLINE double side_score(const double *sums, int classes, bool entropy) {
    double w = sums[0];
    if (!(w > 0)) return 0;
    if (classes == 0) {
        if (entropy) return plogp(sums[1], w) + plogp(w - sums[1], w);
        return sums[1] * sums[1] / w;
    }
    double score = 0;
    if (entropy) {
        for (int k = 0; k < classes; k++) score += plogp(sums[1 + k], w);
        return score;
    }
    for (int k = 0; k < classes; k++) score += sums[1 + k] * sums[1 + k];
    return score / w;
}

void apus_node_totals(const float *pairs, int64_t count, int32_t classes, double *totals) {
    if (classes == 0) {
        pair2 sum = 0;
        for (int64_t i = 0; i < count; i++) sum += (pair2){pairs[2 * i], pairs[2 * i + 1]};
        totals[0] = sum.x;
        totals[1] = sum.y;
        return;
    }
    for (int k = 0; k <= classes; k++) totals[k] = 0;
    for (int64_t i = 0; i < count; i++) totals[1 + (int)pairs[2 * i + 1]] += pairs[2 * i];
    for (int k = 1; k <= classes; k++) totals[0] += totals[k];
}

// A scan from the first value to the last: sums of the left side grow, and every step may be the best split.
typedef struct {
    const apus_impurity_node *node;
    double *left, *right;
    double parent;
} scan;

APUS_INLINE double split_score(scan *s, bool entropy) {
    const apus_impurity_node *n = s->node;
    int width = n->classes == 0 ? 2 : n->classes + 1;
    for (int k = 0; k < width; k++) s->right[k] = n->totals[k] - s->left[k];
    if (s->left[0] < n->minimum_leaf_weight || s->right[0] < n->minimum_leaf_weight) return -HUGE_VAL;
    return side_score(s->left, n->classes, entropy) + side_score(s->right, n->classes, entropy) - s->parent;
}

// Sums of a bin: {weight, weight * target} or the classes' weights.
APUS_INLINE void add_bin(double *left, const double *bin, int classes) {
    if (classes == 0) {
        left[0] += bin[0];
        left[1] += bin[1];
        return;
    }
    for (int k = 0; k < classes; k++) {
        left[0] += bin[k];
        left[1 + k] += bin[k];
    }
}

APUS_INLINE double bin_weight(const double *bin, int classes) {
    if (classes == 0) return bin[0];
    double w = 0;
    for (int k = 0; k < classes; k++) w += bin[k];
    return w;
}

APUS_INLINE bool bit(const uint64_t *bits, int b) { return (bits[b >> 6] >> (b & 63)) & 1; }
APUS_INLINE void set_bit(uint64_t *bits, int b) { bits[b >> 6] |= 1ull << (b & 63); }

// Adds up the pairs by bin; returns the bins that occur.
static void fill(const apus_impurity_node *n, const uint8_t *codes, int64_t stride, int bins, double *sums,
                 uint64_t *present) {
    int width = n->classes == 0 ? 2 : n->classes;
    const uint32_t *rows = n->rows;
    const float *pairs = n->pairs;
    int64_t count = n->count;
    for (int k = 0; k < 4; k++) present[k] = 0;
    if (count < FEW_ROWS) {
        // The sums are all 0 between calls (see clear): no test whether a bin is new, which nobody could predict.
        if (n->classes == 0) {
            pair2 *wide = (pair2 *)sums;
            for (int64_t i = 0; i < count; i++) {
                int b = codes[stride * (int64_t)rows[i]];
                wide[b] += (pair2){pairs[2 * i], pairs[2 * i + 1]};
                set_bit(present, b);
            }
        } else {
            for (int64_t i = 0; i < count; i++) {
                int b = codes[stride * (int64_t)rows[i]];
                sums[b * width + (int)pairs[2 * i + 1]] += pairs[2 * i];
                set_bit(present, b);
            }
        }
        return;
    }
    memset(sums, 0, sizeof(double) * (size_t)((bins + 1) * width));
    if (n->classes == 0) {
        pair2 *wide = (pair2 *)sums;
        int64_t i = 0;
        for (; i + 32 < count; i++) {
            __builtin_prefetch(codes + stride * (int64_t)rows[i + 32]);
            wide[codes[stride * (int64_t)rows[i]]] += (pair2){pairs[2 * i], pairs[2 * i + 1]};
        }
        for (; i < count; i++) wide[codes[stride * (int64_t)rows[i]]] += (pair2){pairs[2 * i], pairs[2 * i + 1]};
    } else {
        for (int64_t i = 0; i < count; i++) {
            sums[codes[stride * (int64_t)rows[i]] * width + (int)pairs[2 * i + 1]] += pairs[2 * i];
        }
    }
    for (int b = 0; b <= bins; b++) {
        if (bin_weight(sums + b * width, n->classes) > 0) set_bit(present, b);
    }
}

// Puts the sums of few rows back to 0.
static void clear(double *sums, int width, const uint64_t *present) {
    for (int word = 0; word < 4; word++) {
        for (uint64_t bits = present[word]; bits; bits &= bits - 1) {
            double *bin = sums + (word * 64 + __builtin_ctzll(bits)) * width;
            for (int k = 0; k < width; k++) bin[k] = 0;
        }
    }
}

static int count_bits(const uint64_t *bits) {
    return __builtin_popcountll(bits[0]) + __builtin_popcountll(bits[1]) + __builtin_popcountll(bits[2]) +
           __builtin_popcountll(bits[3]);
}

static bool take(apus_impurity_split *split, scan *s, double gain, int bin, int missing_left) {
    split->gain = gain;
    split->left_weight = s->left[0];
    split->right_weight = s->node->totals[0] - s->left[0];
    split->bin = bin;
    split->missing_left = missing_left;
    return true;
}

static bool numeric(scan *s, const double *sums, int bins, const uint64_t *present, bool missing,
                    apus_impurity_split *split) {
    const apus_impurity_node *n = s->node;
    int width = n->classes == 0 ? 2 : n->classes, wide = n->classes == 0 ? 2 : n->classes + 1;
    bool found = false;
    for (int side = 0; side < (missing ? 2 : 1); side++) {
        for (int k = 0; k < wide; k++) s->left[k] = 0;
        if (side) add_bin(s->left, sums + bins * width, n->classes);
        for (int word = 0; word < 4; word++) {
            uint64_t bits = present[word];
            while (bits) {
                int b = word * 64 + __builtin_ctzll(bits);
                bits &= bits - 1;
                if (b >= bins) break;
                add_bin(s->left, sums + b * width, n->classes);
                double gain = split_score(s, n->entropy);
                if (gain > split->gain) found = take(split, s, gain, b, missing ? side : -1);
            }
        }
    }
    return found;
}

// One target and variance over the few bins that occur.
static bool few_variance(scan *s, const double *sums, int bins, const uint64_t *present, bool missing,
                         apus_impurity_split *split) {
    const apus_impurity_node *n = s->node;
    double total_w = n->totals[0], total_y = n->totals[1], minimum = n->minimum_leaf_weight;
    if (!(minimum > 0)) minimum = 1e-300;
    bool found = false;
    for (int side = 0; side < (missing ? 2 : 1); side++) {
        double w = side ? sums[2 * bins] : 0, y = side ? sums[2 * bins + 1] : 0;
        for (int word = 0; word < 4; word++) {
            for (uint64_t bits = present[word]; bits; bits &= bits - 1) {
                int b = word * 64 + __builtin_ctzll(bits);
                if (b >= bins) break;
                w += sums[2 * b];
                y += sums[2 * b + 1];
                double wr = total_w - w, yr = total_y - y;
                if (w < minimum || wr < minimum) continue;
                double gain = (y * y * wr + yr * yr * w) / (w * wr) - s->parent;
                if (!(gain > split->gain)) continue;
                s->left[0] = w;
                s->left[1] = y;
                found = take(split, s, gain, b, missing ? side : -1);
            }
        }
    }
    return found;
}

// One target and variance over all bins at once: the case that forests are made of.
APUS_VECTOR_CLONES
static bool numeric_variance(scan *s, const double *sums, int bins, bool missing, apus_impurity_split *split) {
    const apus_impurity_node *n = s->node;
    double w[APUS_BINS], y[APUS_BINS], gain[APUS_BINS];
    double total_w = n->totals[0], total_y = n->totals[1], minimum = n->minimum_leaf_weight, parent = s->parent;
    if (!(minimum > 0)) minimum = 1e-300;
    bool found = false;
    for (int side = 0; side < (missing ? 2 : 1); side++) {
        double sum_w = side ? sums[2 * bins] : 0, sum_y = side ? sums[2 * bins + 1] : 0;
        for (int b = 0; b < bins; b++) {
            sum_w += sums[2 * b];
            sum_y += sums[2 * b + 1];
            w[b] = sum_w;
            y[b] = sum_y;
        }
        double largest = split->gain;
        for (int b = 0; b < bins; b++) {
            double wr = total_w - w[b], yr = total_y - y[b];
            double score = (y[b] * y[b] * wr + yr * yr * w[b]) / (w[b] * wr) - parent;
            gain[b] = ((w[b] >= minimum) & (wr >= minimum)) ? score : -HUGE_VAL;
        }
        double above = largest;
        for (int b = 0; b < bins; b++) largest = gain[b] > largest ? gain[b] : largest;
        if (!(largest > above)) continue;
        int b = 0;
        while (gain[b] != largest) b++;
        s->left[0] = w[b];
        s->left[1] = y[b];
        found = take(split, s, largest, b, missing ? side : -1);
    }
    return found;
}

static bool category(scan *s, const double *sums, int bins, const uint64_t *present, apus_impurity_split *split) {
    const apus_impurity_node *n = s->node;
    int width = n->classes == 0 ? 2 : n->classes, wide = n->classes == 0 ? 2 : n->classes + 1;
    bool found = false;
    double key[APUS_BINS];
    uint8_t order[APUS_BINS];
    // Sorted by the mean of the target, the best subset is among the prefixes (Fisher 1958; Breiman 1984). With more
    // than two classes, every class against the rest gives an order to try.
    for (int target = 0; target < (n->classes == 0 ? 1 : n->classes); target++) {
        int count = 0;
        for (int b = 0; b <= bins; b++) {
            if (!bit(present, b)) continue;
            const double *bin = sums + b * width;
            double k = (n->classes == 0 ? bin[1] : bin[target]) / bin_weight(bin, n->classes);
            int place = count++;
            while (place > 0 && key[place - 1] > k) {
                key[place] = key[place - 1];
                order[place] = order[place - 1];
                place--;
            }
            key[place] = k;
            order[place] = (uint8_t)b;
        }
        for (int k = 0; k < wide; k++) s->left[k] = 0;
        int best = -1;
        for (int i = 0; i + 1 < count; i++) {
            add_bin(s->left, sums + order[i] * width, n->classes);
            double gain = split_score(s, n->entropy);
            if (gain > split->gain) {
                found = take(split, s, gain, -1, -1);
                best = i;
            }
        }
        if (best < 0) continue;
        for (int k = 0; k < 4; k++) split->left[k] = 0;
        for (int i = 0; i <= best; i++) set_bit(split->left, order[i]);
        if (bit(present, bins)) split->missing_left = bit(split->left, bins);
    }
    return found;
}

int apus_node_split_binned(const apus_impurity_node *node, const uint8_t *codes, int64_t bin_stride, int bins,
                           bool categorical, double *scratch, apus_impurity_split *split) {
    int width = node->classes == 0 ? 2 : node->classes;
    bool few = node->count < FEW_ROWS;
    double *sums = scratch + 4 * width + (few ? APUS_BINS * width : 0);
    uint64_t present[4];
    fill(node, codes, bin_stride, bins, sums, present);
    if (count_bits(present) < 2) {
        if (few) clear(sums, width, present);
        return -1;
    }
    scan s = {node, scratch, scratch + 2 * width, side_score(node->totals, node->classes, node->entropy)};
    bool missing = bit(present, bins), found;
    if (categorical) {
        found = category(&s, sums, bins, present, split);
    } else if (node->classes == 0 && !node->entropy) {
        found = few ? few_variance(&s, sums, bins, present, missing, split)
                    : numeric_variance(&s, sums, bins, missing, split);
    } else {
        found = numeric(&s, sums, bins, present, missing, split);
    }
    if (found && !categorical) {
        // No row of the node lies between the last bin of the left and the first of the right: the threshold goes to the
        // middle of the gap, as it does between values. At the near end of every gap it cost a forest 0.002 of AUC.
        int next = split->bin + 1;
        while (next < bins && !bit(present, next)) next++;
        if (next < bins) split->bin += (next - 1 - split->bin) / 2;
    }
    if (found) memcpy(split->present, present, sizeof present);
    if (few) clear(sums, width, present);
    return found;
}

int apus_node_split_exact(const apus_impurity_node *node, const uint32_t *keys, double *scratch,
                          apus_impurity_split *split) {
    int width = node->classes == 0 ? 2 : node->classes, wide = node->classes == 0 ? 2 : node->classes + 1;
    int64_t count = node->count;
    // Behind the sums of bins, which have to stay 0.
    uint64_t *order = (uint64_t *)(scratch + 4 * width + 2 * APUS_BINS * width);
    for (int64_t i = 0; i < count; i++) order[i] = (uint64_t)keys[node->rows[i]] << 32 | (uint64_t)i;
    apus_sort_pairs(order, order + count, count);
    if (count == 0 || order[0] >> 32 == order[count - 1] >> 32) return -1;
    scan s = {node, scratch, scratch + 2 * width, side_score(node->totals, node->classes, node->entropy)};
    const float *pairs = node->pairs;
    int64_t values = count;
    while (values > 0 && order[values - 1] >> 32 == 0xFFFFFFFFu) values--;
    bool missing = values < count, found = false;
    for (int side = 0; side < (missing ? 2 : 1); side++) {
        for (int k = 0; k < wide; k++) s.left[k] = 0;
        for (int64_t step = side ? values - count : 0; step < values; step++) {
            // On the second round the missing values come first.
            int64_t at = step < 0 ? count + step : step;
            const float *pair = pairs + 2 * (order[at] & 0xFFFFFFFFu);
            s.left[0] += pair[0];
            s.left[1 + (node->classes == 0 ? 0 : (int)pair[1])] += node->classes == 0 ? pair[1] : pair[0];
            if (step < 0) continue;
            uint32_t below = (uint32_t)(order[at] >> 32);
            uint32_t above = at + 1 < count ? (uint32_t)(order[at + 1] >> 32) : below;
            if (at + 1 == values && side) continue;
            if (below == above) continue;
            double gain = split_score(&s, node->entropy);
            if (gain > split->gain) {
                found = take(split, &s, gain, -1, missing ? side : -1);
                split->below = below;
                split->above = above;
            }
        }
    }
    return found;
}

APUS_INLINE int64_t partition(uint32_t *rows, float *pairs, int64_t count, uint32_t *scratch, int64_t i, bool left,
                              int64_t l, int64_t *r) {
    uint32_t row = rows[i];
    uint64_t pair;
    memcpy(&pair, pairs + 2 * i, sizeof pair);
    // Both places are written, one of them in vain: cheaper than a branch that is mispredicted every other time.
    rows[l] = row;
    memcpy(pairs + 2 * l, &pair, sizeof pair);
    scratch[*r] = row;
    memcpy(scratch + count + 2 * *r, &pair, sizeof pair);
    *r += !left;
    return l + left;
}

APUS_INLINE void append(uint32_t *rows, float *pairs, int64_t count, const uint32_t *scratch, int64_t l, int64_t r) {
    memcpy(rows + l, scratch, sizeof(uint32_t) * (size_t)r);
    memcpy(pairs + 2 * l, scratch + count, 2 * sizeof(float) * (size_t)r);
}

int64_t apus_node_partition_binned(uint32_t *rows, float *pairs, int64_t count, const uint8_t *codes,
                                   int64_t bin_stride, const uint8_t *left, uint32_t *scratch) {
    int64_t l = 0, r = 0;
    for (int64_t i = 0; i < count; i++) {
        bool flag = left[codes[bin_stride * (int64_t)rows[i]]];
        l = partition(rows, pairs, count, scratch, i, flag, l, &r);
    }
    append(rows, pairs, count, scratch, l, r);
    return l;
}

int64_t apus_node_partition_exact(uint32_t *rows, float *pairs, int64_t count, const uint32_t *keys, uint32_t threshold,
                                  bool missing_left, uint32_t *scratch) {
    int64_t l = 0, r = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t key = keys[rows[i]];
        bool flag = key <= threshold || (missing_left && key == 0xFFFFFFFFu);
        l = partition(rows, pairs, count, scratch, i, flag, l, &r);
    }
    append(rows, pairs, count, scratch, l, r);
    return l;
}
