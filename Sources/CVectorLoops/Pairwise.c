#include "Pairwise.h"
#include <math.h>
#include <string.h>
#include "Vectors.h"

typedef struct draws {
    uint32_t word[4];
} draws;

APUS_INLINE draws philox(uint64_t index, uint64_t stream, uint64_t seed) {
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (draws){{c0, c1, c2, c3}};
}

APUS_INLINE int64_t below(uint32_t word, int64_t bound) { return (int64_t)(((uint64_t)word * (uint64_t)bound) >> 32); }

APUS_INLINE bool has(const int32_t *sorted, int64_t count, int32_t item) {
    int64_t low = 0, end = count;
    while (count > 0) {
        int64_t half = count >> 1;
        bool right = sorted[low + half] < item;
        low += right ? half + 1 : 0;
        count = right ? count - half - 1 : half;
    }
    return low < end && sorted[low] == item;
}

// What the sums of a step have in common: x . (p - q).
APUS_INLINE float difference_dot(const float *x, const float *p, const float *q, int64_t stride) {
    apus_float16 sum = 0;
    for (int64_t k = 0; k < stride; k += 16) sum += APUS_LOAD(x + k) * (APUS_LOAD(p + k) - APUS_LOAD(q + k));
    return apus_sum16(&sum);
}

APUS_INLINE float row_dot(const float *x, const float *p, int64_t stride) {
    apus_float16 sum = 0;
    for (int64_t k = 0; k < stride; k += 16) sum += APUS_LOAD(x + k) * APUS_LOAD(p + k);
    return apus_sum16(&sum);
}

int64_t apus_pairwise_draws(const apus_pairwise_model *model) { return model->warp ? 1 + (model->trials + 3) / 4 : 1; }

/// The worse item of a step and the weight of the step; -1 when there is none.
APUS_INLINE int32_t worse_item(const apus_pairwise_model *m, const float *x, const int32_t *own, int64_t own_count,
                               int32_t item, const int32_t *negatives, int64_t negative_count, draws first,
                               uint64_t index, float *weight) {
    if (!m->warp) {
        // Two more numbers to try again with when the person has the first.
        for (int t = 1; t < 4; t++) {
            int32_t other = negatives[below(first.word[t], negative_count)];
            if (has(own, own_count, other)) continue;
            float score = difference_dot(x, m->items + item * m->stride, m->items + other * m->stride, m->stride)
                          + m->biases[item] - m->biases[other];
            *weight = 1 / (1 + expf(score));
            return other;
        }
        return -1;
    }
    float better = row_dot(x, m->items + item * m->stride, m->stride) + m->biases[item];
    draws four = first;
    for (int t = 0; t < m->trials; t++) {
        if (t % 4 == 0) four = philox(index + 1 + t / 4, m->stream, m->seed);
        int32_t other = negatives[below(four.word[t % 4], negative_count)];
        float score = row_dot(x, m->items + other * m->stride, m->stride) + m->biases[other];
        if (score <= better - 1 || has(own, own_count, other)) continue;
        // The rank that so many trials speak for, by its logarithm, as a share of the last rank's.
        float rank = (float)((m->item_count - 1) / (t + 1));
        *weight = rank > 1 ? logf(rank) / logf((float)m->item_count) : 0;
        return *weight > 0 ? other : -1;
    }
    return -1;
}

APUS_VECTOR_CLONES
int64_t apus_pairwise_steps(const apus_pairwise_model *m, const int32_t *users, const int32_t *items, int64_t count,
                            const int32_t *negatives, int64_t negative_count, uint64_t start, int64_t steps) {
    int64_t stride = m->stride, changed = 0, blocks = apus_pairwise_draws(m);
    float rate = m->rate, decay = 1 - rate * m->regularization;
    draws next = philox(start, m->stream, m->seed);
    for (int64_t step = 0; step < steps; step++) {
        uint64_t index = start + (uint64_t)(step * blocks);
        draws now = next;
        int64_t pair = below(now.word[0], count);
        // The next step's rows are on their way while this one computes.
        next = philox(index + (uint64_t)blocks, m->stream, m->seed);
        int64_t ahead = below(next.word[0], count);
        __builtin_prefetch(users + ahead);
        __builtin_prefetch(items + ahead);
        int32_t user = users[pair], item = items[pair];
        float *x = m->users + user * stride;
        const int32_t *own = m->columns + m->row_pointers[user];
        float weight;
        int32_t other = worse_item(m, x, own, m->row_pointers[user + 1] - m->row_pointers[user], item, negatives,
                                   negative_count, now, index, &weight);
        if (other < 0) continue;
        changed++;
        float *p = m->items + item * stride, *q = m->items + other * stride;
        float pull = rate * weight;
        for (int64_t k = 0; k < stride; k += 16) {
            apus_float16 a = APUS_LOAD(x + k), b = APUS_LOAD(p + k), c = APUS_LOAD(q + k);
            APUS_STORE(x + k, decay * a + pull * (b - c));
            APUS_STORE(p + k, decay * b + pull * a);
            APUS_STORE(q + k, decay * c - pull * a);
        }
        m->biases[item] = decay * m->biases[item] + pull;
        m->biases[other] = decay * m->biases[other] - pull;
    }
    return changed;
}

APUS_VECTOR_CLONES
void apus_pairwise_fold_in(const apus_pairwise_model *m, const int32_t *history, int64_t count,
                           const int32_t *negatives, int64_t negative_count, int64_t steps, float *row, float *parts) {
    int64_t stride = m->stride, blocks = apus_pairwise_draws(m);
    for (int64_t step = 0; step < steps; step++) {
        uint64_t index = (uint64_t)(step * blocks);
        draws now = philox(index, m->stream, m->seed);
        int64_t place = below(now.word[0], count);
        int32_t item = history[place];
        float weight;
        int32_t other =
            worse_item(m, row, history, count, item, negatives, negative_count, now, index, &weight);
        float rate = m->rate * (1 - (float)step / (float)steps), decay = 1 - rate * m->regularization;
        if (other < 0) continue;
        const float *p = m->items + item * stride, *q = m->items + other * stride;
        float pull = rate * weight;
        for (int64_t k = 0; k < stride; k += 16) {
            APUS_STORE(row + k, decay * APUS_LOAD(row + k) + pull * (APUS_LOAD(p + k) - APUS_LOAD(q + k)));
        }
        if (!parts) continue;
        for (int64_t k = 0; k < count * stride; k++) parts[k] *= decay;
        for (int64_t k = 0; k < stride; k++) parts[place * stride + k] += pull * (p[k] - q[k]);
    }
}
