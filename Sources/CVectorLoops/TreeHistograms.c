#include "TreeHistograms.h"
#include <math.h>
#include "Vectors.h"

// One load brings the eight bins of a row; each is then one addition in memory. Eight features of 256 bins fill half of
// the nearest cache of most processors, 16 KB.
APUS_INLINE void add_row(uint64_t bins, int64_t gradient, int width, int64_t *sums) {
    for (int f = 0; f < width; f++) sums[f * APUS_BINS + ((bins >> (8 * f)) & 0xFF)] += gradient;
}

APUS_INLINE void add_rows(const uint64_t *block, const uint32_t *rows, int64_t begin, const int64_t *gradients,
                          int64_t count, int width, int64_t *sums) {
    const int64_t ahead = 24;
    if (!rows) {
        for (int64_t i = 0; i < count; i++) add_row(block[begin + i], gradients[i], width, sums);
        return;
    }
    int64_t i = 0;
    for (; i + ahead < count; i++) {
        __builtin_prefetch(block + rows[i + ahead]);
        add_row(block[rows[i]], gradients[i], width, sums);
    }
    for (; i < count; i++) add_row(block[rows[i]], gradients[i], width, sums);
}

void apus_histogram_add(const uint64_t *block, const uint32_t *rows, int64_t begin, const int64_t *gradients,
                        int64_t count, int width, int64_t *sums) {
    switch (width) {
    case 1: add_rows(block, rows, begin, gradients, count, 1, sums); break;
    case 2: add_rows(block, rows, begin, gradients, count, 2, sums); break;
    case 3: add_rows(block, rows, begin, gradients, count, 3, sums); break;
    case 4: add_rows(block, rows, begin, gradients, count, 4, sums); break;
    case 5: add_rows(block, rows, begin, gradients, count, 5, sums); break;
    case 6: add_rows(block, rows, begin, gradients, count, 6, sums); break;
    case 7: add_rows(block, rows, begin, gradients, count, 7, sums); break;
    case 8: add_rows(block, rows, begin, gradients, count, 8, sums); break;
    default: break;
    }
}

APUS_VECTOR_CLONES
void apus_histogram_flush(int64_t *packed, int64_t bins, bool first, int64_t *g, int64_t *h) {
    if (first) {
        for (int64_t b = 0; b < bins; b++) {
            int64_t v = packed[b], low = v & 0xFFFFFFFF;
            h[b] = low;
            g[b] = (v - low) >> 32;
            packed[b] = 0;
        }
    } else {
        for (int64_t b = 0; b < bins; b++) {
            int64_t v = packed[b], low = v & 0xFFFFFFFF;
            h[b] += low;
            g[b] += (v - low) >> 32;
            packed[b] = 0;
        }
    }
}

APUS_VECTOR_CLONES
void apus_histogram_subtract(const int64_t *a, const int64_t *b, int64_t count, int64_t *out) {
    for (int64_t i = 0; i < count; i++) out[i] = a[i] - b[i];
}

int64_t apus_split_flags(const uint64_t *block, int slot, const uint32_t *rows, int64_t count, const uint8_t *left,
                         uint8_t *flags) {
    const uint8_t *bins = (const uint8_t *)block + slot;
    int64_t total = 0, i = 0;
    for (; i + 32 < count; i++) {
        __builtin_prefetch(bins + 8 * (int64_t)rows[i + 32]);
        uint8_t flag = left[bins[8 * (int64_t)rows[i]]];
        flags[i] = flag;
        total += flag;
    }
    for (; i < count; i++) {
        uint8_t flag = left[bins[8 * (int64_t)rows[i]]];
        flags[i] = flag;
        total += flag;
    }
    return total;
}

void apus_split_rows(const uint32_t *rows, const int64_t *gradients, const uint8_t *flags, int64_t count,
                     uint32_t *left_rows, int64_t *left_gradients, uint32_t *right_rows, int64_t *right_gradients) {
    // Without branches, which would be mispredicted every other time: the pointers are chosen, not the stores.
    int64_t l = 0, r = 0;
    for (int64_t i = 0; i < count; i++) {
        bool flag = flags[i];
        uint32_t *to_row = flag ? left_rows + l : right_rows + r;
        int64_t *to_gradient = flag ? left_gradients + l : right_gradients + r;
        *to_row = rows[i];
        *to_gradient = gradients[i];
        l += flag;
        r += !flag;
    }
}

typedef struct {
    double g[APUS_BINS], h[APUS_BINS], gain[APUS_BINS];
} prefix;

// Gains of the splits behind bins 0 ..< bins, whose left sums are p->g and p->h; those that a child forbids are 0.
APUS_INLINE void gains(prefix *p, int bins, double g, double h, double l2, double minimum, double parent) {
    for (int b = 0; b < bins; b++) {
        double gl = p->g[b], hl = p->h[b], gr = g - gl, hr = h - hl;
        double al = hl + l2, ar = hr + l2;
        // One division instead of two.
        double score = (gl * gl * ar + gr * gr * al) / (al * ar) - parent;
        p->gain[b] = ((hl >= minimum) & (hr >= minimum)) ? score : 0;
    }
}

APUS_INLINE int first_largest(const double *values, int count, double above) {
    double largest = above;
    for (int b = 0; b < count; b++) largest = values[b] > largest ? values[b] : largest;
    if (!(largest > above)) return -1;
    for (int b = 0; b < count; b++) {
        if (values[b] == largest) return b;
    }
    return -1;
}

APUS_VECTOR_CLONES
bool apus_split_numeric(const int64_t *g, const int64_t *h, int bins, bool has_missing, const apus_split_search *s,
                        apus_split *best) {
    prefix p;
    int64_t left_g[APUS_BINS], left_h[APUS_BINS];
    int64_t sum_g = 0, sum_h = 0;
    bool missing = has_missing && (g[bins] != 0 || h[bins] != 0);
    // Behind the last bin is a split only where it parts the missing values from the others.
    int candidates = missing ? bins : bins - 1;
    for (int b = 0; b < candidates; b++) {
        sum_g += g[b];
        sum_h += h[b];
        left_g[b] = sum_g;
        left_h[b] = sum_h;
    }
    double total_g = (double)s->g * s->g_unit, total_h = (double)s->h * s->h_unit;
    double parent = total_g * total_g / (total_h + s->l2);
    bool found = false;
    for (int side = 0; side < (missing ? 2 : 1); side++) {
        int64_t more_g = side ? g[bins] : 0, more_h = side ? h[bins] : 0;
        int count = side ? bins - 1 : candidates;
        for (int b = 0; b < count; b++) {
            p.g[b] = (double)(left_g[b] + more_g) * s->g_unit;
            p.h[b] = (double)(left_h[b] + more_h) * s->h_unit;
        }
        gains(&p, count, total_g, total_h, s->l2, s->minimum_child_weight, parent);
        int b = first_largest(p.gain, count, best->gain > 0 ? best->gain : 0);
        if (b >= 0) {
            *best = (apus_split){p.gain[b], left_g[b] + more_g, left_h[b] + more_h, b, missing ? side : -1};
            found = true;
        }
    }
    return found;
}

bool apus_split_category(const int64_t *g, const int64_t *h, int bins, bool has_missing, const apus_split_search *s,
                         double smoothing, double l2, int most, uint8_t *order, apus_split *best) {
    double key[APUS_BINS];
    int count = 0;
    // Missing values are a category like any other while training.
    for (int b = 0; b < bins + (has_missing ? 1 : 0); b++) {
        if (h[b] == 0 && g[b] == 0) continue;
        double k = (double)g[b] * s->g_unit / ((double)h[b] * s->h_unit + smoothing);
        int place = count++;
        while (place > 0 && key[place - 1] > k) {
            key[place] = key[place - 1];
            order[place] = order[place - 1];
            place--;
        }
        key[place] = k;
        order[place] = (uint8_t)b;
    }
    if (count < 2) return false;
    double total_g = (double)s->g * s->g_unit, total_h = (double)s->h * s->h_unit;
    double parent = total_g * total_g / (total_h + s->l2);
    double penalty = count <= 4 ? s->l2 : s->l2 + l2;
    bool found = false, from_right = false;
    for (int direction = 0; direction < 2; direction++) {
        int64_t sum_g = 0, sum_h = 0;
        for (int i = 0; i < count - 1 && i < most; i++) {
            int b = order[direction ? count - 1 - i : i];
            sum_g += g[b];
            sum_h += h[b];
            double gl = (double)sum_g * s->g_unit, hl = (double)sum_h * s->h_unit;
            double gr = total_g - gl, hr = total_h - hl;
            if (hl < s->minimum_child_weight || hr < s->minimum_child_weight) continue;
            double gain = gl * gl / (hl + penalty) + gr * gr / (hr + penalty) - parent;
            if (gain > best->gain && gain > 0) {
                *best = (apus_split){gain, sum_g, sum_h, i + 1, 0};
                found = true;
                from_right = direction;
            }
        }
    }
    if (!found) return false;
    if (from_right) {
        for (int i = 0; i < count / 2; i++) {
            uint8_t swapped = order[i];
            order[i] = order[count - 1 - i];
            order[count - 1 - i] = swapped;
        }
    }
    if (has_missing) {
        for (int i = 0; i < best->bin; i++) best->missing_left |= order[i] == bins;
    }
    return true;
}

// e^x for the loops of losses: 2^n * p(r), r within half of ln 2; relative error below 2e-7.
APUS_INLINE float exponential(float x) {
    x = x > 88.0f ? 88.0f : x < -87.0f ? -87.0f : x;
    float n = __builtin_rintf(x * 1.44269504f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

APUS_VECTOR_CLONES
void apus_logistic_gradients(const double *scores, const float *targets, const float *weights, int64_t count,
                             float *pairs) {
    for (int64_t i = 0; i < count; i++) {
        float p = 1.0f / (1.0f + exponential(-(float)scores[i]));
        float w = weights ? weights[i] : 1.0f;
        pairs[2 * i] = w * (p - targets[i]);
        pairs[2 * i + 1] = w * p * (1.0f - p);
    }
}

APUS_VECTOR_CLONES
void apus_largest_gradients(const float *pairs, int64_t count, float *largest_g, float *largest_h) {
    float g = 0, h = 0;
    for (int64_t i = 0; i < count; i++) {
        float a = __builtin_fabsf(pairs[2 * i]), b = pairs[2 * i + 1];
        g = a > g ? a : g;
        h = b > h ? b : h;
    }
    *largest_g = g;
    *largest_h = h;
}

APUS_VECTOR_CLONES
void apus_pack_gradients(const float *pairs, const uint32_t *rows, int64_t begin, int64_t count, float g_scale,
                         float h_scale, int64_t *packed) {
    for (int64_t i = 0; i < count; i++) {
        int64_t row = rows ? rows[i] : begin + i;
        int32_t g = (int32_t)__builtin_rintf(pairs[2 * row] * g_scale);
        int32_t h = (int32_t)__builtin_rintf(pairs[2 * row + 1] * h_scale);
        packed[i] = ((int64_t)g << 32) + h;
    }
}

void apus_sum_gradients(const float *pairs, const uint32_t *rows, int64_t count, double *g, double *h) {
    double sum_g[4] = {0}, sum_h[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (int k = 0; k < 4; k++) {
            const float *pair = pairs + 2 * (int64_t)rows[i + k];
            sum_g[k] += pair[0];
            sum_h[k] += pair[1];
        }
    }
    for (; i < count; i++) {
        sum_g[0] += pairs[2 * (int64_t)rows[i]];
        sum_h[0] += pairs[2 * (int64_t)rows[i] + 1];
    }
    *g = (sum_g[0] + sum_g[1]) + (sum_g[2] + sum_g[3]);
    *h = (sum_h[0] + sum_h[1]) + (sum_h[2] + sum_h[3]);
}

void apus_route_bins(const uint64_t *const *blocks, const apus_bin_node *nodes, int32_t root, const uint32_t *rows,
                     int64_t begin, int64_t count, int32_t *leaves) {
    for (int64_t i = 0; i < count; i++) {
        int64_t row = rows ? rows[i] : begin + i;
        int32_t at = root;
        while (at >= 0) {
            const apus_bin_node *node = nodes + at;
            int bin = (int)((blocks[node->block][row] >> (8 * node->slot)) & 0xFF);
            at = (node->left[bin >> 6] >> (bin & 63)) & 1 ? node->left_child : node->right_child;
        }
        leaves[i] = ~at;
    }
}
