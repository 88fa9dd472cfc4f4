#include "Neighbors.h"
#include <float.h>
#include <math.h>
#include "TopKSelectionInline.h"
#include "Vectors.h"

// Candidates come in any order, so that one that equals the k-th score may still belong to the best by its index.
APUS_INLINE void offer(apus_neighbor_scratch *s, int64_t row, float score, int32_t index) {
    uint64_t *keys = s->keys + row * s->capacity;
    keys[s->key_counts[row]++] = apus_top_k_key(score, index);
    if (s->key_counts[row] < s->capacity) return;
    apus_top_k state = {keys, s->key_counts[row], s->capacity, s->k, 0};
    apus_top_k_compact(&state);
    s->key_counts[row] = (int32_t)state.count;
    s->thresholds[row] = state.threshold;
}

APUS_INLINE void clear_state(apus_neighbor_scratch *s, int64_t row) {
    s->key_counts[row] = 0;
    s->thresholds[row] = FLT_MIN;
}

// Sums of products with the members of one feature: all of them, or those after row `after`, which is one of them.
APUS_INLINE void add_feature(const apus_neighbor_data *data, int64_t feature, float value, int64_t after, float *sums) {
    int64_t first = data->feature_pointers[feature], last = data->feature_pointers[feature + 1];
    const int32_t *members = data->members;
    const float *values = data->member_values;
    if (after < 0) {
        if (values) {
            for (int64_t e = first; e < last; e++) sums[members[e]] += value * values[e];
        } else {
            for (int64_t e = first; e < last; e++) sums[members[e]] += value;
        }
    } else if (values) {
        for (int64_t e = last - 1; members[e] > after; e--) sums[members[e]] += value * values[e];
    } else {
        for (int64_t e = last - 1; members[e] > after; e--) sums[members[e]] += value;
    }
}

APUS_INLINE float simple_similarity(const apus_neighbor_data *data, float sum, float scale, int64_t other) {
    switch (data->similarity) {
    case APUS_SIMILARITY_DOT: return sum;
    case APUS_SIMILARITY_JACCARD: return sum / (scale + data->scales[other] - sum);
    default: return sum * (scale * data->scales[other]);
    }
}

APUS_INLINE void offer_pair(apus_neighbor_scratch *s, int64_t row, float score, int64_t other, bool both) {
    int64_t own = both ? row : 0;
    if (score >= s->thresholds[own]) offer(s, own, score, (int32_t)other);
    if (both && score >= s->thresholds[other]) offer(s, other, score, (int32_t)row);
}

// All sums from `first` on, sixteen at a time, set back to 0 on the way.
APUS_INLINE void select_all(const apus_neighbor_data *data, apus_neighbor_scratch *s, int64_t row, float scale,
                            int64_t first, bool both, int64_t self) {
    int64_t j = first;
    float *sums = s->sums;
    const float *scales = data->scales;
    int32_t kind = data->similarity;
    for (; j + 16 <= data->count; j += 16) {
        apus_float16 sum = APUS_LOAD(sums + j), score;
        apus_float16 zero = 0;
        APUS_STORE(sums + j, zero);
        if (kind == APUS_SIMILARITY_DOT) score = sum;
        else if (kind == APUS_SIMILARITY_JACCARD) score = sum / (scale + APUS_LOAD(scales + j) - sum);
        else score = sum * (scale * APUS_LOAD(scales + j));
        apus_float16 least = s->thresholds[both ? row : 0];
        apus_bool16 above = __builtin_convertvector(score >= least, apus_bool16);
        if (both) above |= __builtin_convertvector(score >= APUS_LOAD(s->thresholds + j), apus_bool16);
        uint16_t mask;
        memcpy(&mask, &above, 2);
        while (mask) {
            int lane = __builtin_ctz(mask);
            mask &= mask - 1;
            if (j + lane != self) offer_pair(s, row, score[lane], j + lane, both);
        }
    }
    for (; j < data->count; j++) {
        float sum = sums[j];
        sums[j] = 0;
        if (sum != 0 && j != self) offer_pair(s, row, simple_similarity(data, sum, scale, j), j, both);
    }
}

APUS_INLINE void simple_row(const apus_neighbor_data *data, const int32_t *features, const float *values, int64_t count,
                            float scale, int64_t row, int64_t after, int64_t self, apus_neighbor_scratch *s) {
    bool both = after >= 0;
    int64_t work = 0;
    for (int64_t e = 0; e < count; e++) {
        work += data->feature_pointers[features[e] + 1] - data->feature_pointers[features[e]];
    }
    int64_t first = after + 1;
    if (work >= (data->count - first) / 16) {
        for (int64_t e = 0; e < count; e++) add_feature(data, features[e], values ? values[e] : 1, after, s->sums);
        select_all(data, s, row, scale, first, both, self);
        return;
    }
    // Few products: only the rows that they touch are looked at. A sum that returns to 0 may list a row twice; the
    // second time it is 0 and passed over.
    int64_t touched = 0;
    for (int64_t e = 0; e < count; e++) {
        float value = values ? values[e] : 1;
        int64_t begin = data->feature_pointers[features[e]];
        for (int64_t m = data->feature_pointers[features[e] + 1] - 1; m >= begin && data->members[m] > after; m--) {
            int32_t other = data->members[m];
            if (s->sums[other] == 0) s->touched[touched++] = other;
            s->sums[other] += data->member_values ? value * data->member_values[m] : value;
        }
    }
    for (int64_t t = 0; t < touched; t++) {
        int32_t other = s->touched[t];
        float sum = s->sums[other];
        s->sums[other] = 0;
        if (sum != 0 && other != self) offer_pair(s, row, simple_similarity(data, sum, scale, other), other, both);
    }
}

typedef double double8 __attribute__((ext_vector_type(8)));

// Moments of a pair over the common features: ab, a, b, aa, bb, n.
APUS_INLINE double general_similarity(const apus_neighbor_data *data, const double *m, double scale, int64_t other) {
    double n = m[5], score;
    if (n < data->minimum_common) return 0;
    switch (data->similarity) {
    case APUS_SIMILARITY_DOT: score = m[0]; break;
    case APUS_SIMILARITY_JACCARD: score = n / (scale + data->scales[other] - n); break;
    case APUS_SIMILARITY_SCALED: score = m[0] * (scale * data->scales[other]); break;
    case APUS_SIMILARITY_COMMON_COSINE:
        score = m[3] > 0 && m[4] > 0 ? m[0] / sqrt(m[3] * m[4]) : 0;
        break;
    default: {
        double a = n * m[3] - m[1] * m[1], b = n * m[4] - m[2] * m[2];
        // A constant row has no correlation; what rounding leaves of its variance is none either.
        bool constant = a <= 1e-11 * n * m[3] || b <= 1e-11 * n * m[4];
        score = constant ? 0 : (n * m[0] - m[1] * m[2]) / sqrt(a * b);
        if (score > 1) score = 1;
    }
    }
    if (data->shrinkage > 0) score *= n / (n + data->shrinkage);
    if (data->significance > n) score *= n / data->significance;
    return score;
}

APUS_INLINE void general_row(const apus_neighbor_data *data, const int32_t *features, const float *values,
                             int64_t count, float scale, int64_t row, int64_t after, int64_t self,
                             apus_neighbor_scratch *s) {
    bool both = after >= 0;
    int64_t touched = 0;
    for (int64_t e = 0; e < count; e++) {
        double a = values ? values[e] : 1;
        double8 left = {a, a, 1, a * a, 1, 1, 0, 0};
        int64_t begin = data->feature_pointers[features[e]];
        for (int64_t m = data->feature_pointers[features[e] + 1] - 1; m >= begin && data->members[m] > after; m--) {
            int32_t other = data->members[m];
            double b = data->member_values ? data->member_values[m] : 1;
            double8 right = {b, 1, b, 1, b * b, 1, 0, 0};
            double8 *sum = (double8 *)(s->moments + 8 * (int64_t)other);
            if (s->moments[8 * (int64_t)other + 5] == 0) s->touched[touched++] = other;
            *sum += left * right;
        }
    }
    for (int64_t t = 0; t < touched; t++) {
        int32_t other = s->touched[t];
        double *moments = s->moments + 8 * (int64_t)other;
        float score = other == self ? 0 : (float)general_similarity(data, moments, scale, other);
        memset(moments, 0, 64);
        if (score > 0) offer_pair(s, row, score, other, both);
    }
}

APUS_VECTOR_CLONES
void apus_neighbors_upper(const apus_neighbor_data *data, int64_t begin, int64_t end, apus_neighbor_scratch *scratch) {
    for (int64_t row = begin; row < end; row++) {
        int64_t first = data->row_pointers[row], count = data->row_pointers[row + 1] - first;
        const float *values = data->values ? data->values + first : 0;
        float scale = data->scales ? data->scales[row] : 1;
        if (data->general) general_row(data, data->features + first, values, count, scale, row, row, -1, scratch);
        else simple_row(data, data->features + first, values, count, scale, row, row, -1, scratch);
    }
}

APUS_VECTOR_CLONES
void apus_neighbors_of(const apus_neighbor_data *data, const int32_t *features, const float *values, int64_t count,
                       float scale, int64_t self, apus_neighbor_scratch *scratch) {
    if (data->general) general_row(data, features, values, count, scale, 0, -1, self, scratch);
    else simple_row(data, features, values, count, scale, 0, -1, self, scratch);
}

int64_t apus_neighbors_finish(apus_neighbor_scratch *scratches, int64_t threads, int64_t row, uint64_t *merged,
                              int32_t *indices, float *scores) {
    apus_top_k state;
    int64_t k = scratches[0].k;
    apus_top_k_start(&state, merged, 2 * k + 64, k);
    for (int64_t t = 0; t < threads; t++) {
        apus_neighbor_scratch *s = scratches + t;
        apus_top_k_merge(&state, s->keys + row * s->capacity, s->key_counts[row]);
        clear_state(s, row);
    }
    int64_t found = apus_top_k_finish(&state);
    apus_top_k_write(merged, found, found, indices, scores);
    return found;
}

void apus_add_sparse_row(const int32_t *columns, const float *values, int64_t count, float weight, float *sums) {
    if (values) {
        for (int64_t e = 0; e < count; e++) sums[columns[e]] += weight * values[e];
    } else {
        for (int64_t e = 0; e < count; e++) sums[columns[e]] += weight;
    }
}
