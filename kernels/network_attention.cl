// Attention of sequences, a row for each sequence, head and position; network_common.cl describes the vocabulary.

// The product of two vectors, by one work-item.
NET_FUNCTION float net_dot(const __global float *a, const __global float *b, long n) {
    float sum = 0.0f;
    long c = 0;
#ifndef APUS_GPU_CLASS
    if (n >= 16) {
        float16 wide = vload16(0, a) * vload16(0, b);
        for (c = 16; c + 16 <= n; c += 16) wide += vload16(0, a + c) * vload16(0, b + c);
        const float8 eight = LOW_HALF(wide) + HIGH_HALF(wide);
        const float4 four = LOW_HALF(eight) + HIGH_HALF(eight);
        const float2 two = LOW_HALF(four) + HIGH_HALF(four);
        sum = two.x + two.y;
    }
#endif
    for (; c < n; ++c) sum += a[c] * b[c];
    return sum;
}

// to[0 ..< width] = sum of count rows of `table`, each times its weight; all work-items of a row.
#ifdef APUS_GPU_CLASS
#define NET_WEIGHTED_SUM(weights, weight_step, count, table, table_step, to, width)                                \
    NET_LANES(c, width) {                                                                                          \
        float sum = 0.0f;                                                                                          \
        for (long e = 0; e < (count); ++e) sum += (weights)[e * (weight_step)] * (table)[e * (table_step) + c];    \
        (to)[c] = sum;                                                                                             \
    }
#else
NET_FUNCTION void net_weighted_sum(
    const __global float *weights, long weight_step, long count, const __global float *table, long table_step,
    __global float *to, long width) {
    long c = 0;
    for (; c + 32 <= width; c += 32) {
        float16 low = (float16)(0.0f), high = (float16)(0.0f);
        for (long e = 0; e < count; ++e) {
            const float16 weight = (float16)(weights[e * weight_step]);
            low += weight * vload16(0, table + e * table_step + c);
            high += weight * vload16(0, table + e * table_step + c + 16);
        }
        vstore16(low, 0, to + c);
        vstore16(high, 0, to + c + 16);
    }
    for (; c + 16 <= width; c += 16) {
        float16 sum = (float16)(0.0f);
        for (long e = 0; e < count; ++e)
            sum += (float16)(weights[e * weight_step]) * vload16(0, table + e * table_step + c);
        vstore16(sum, 0, to + c);
    }
    for (; c < width; ++c) {
        float sum = 0.0f;
        for (long e = 0; e < count; ++e) sum += weights[e * weight_step] * table[e * table_step + c];
        to[c] = sum;
    }
}
#define NET_WEIGHTED_SUM(weights, weight_step, count, table, table_step, to, width) \
    net_weighted_sum(weights, weight_step, count, table, table_step, to, width)
#endif

// flags: 1 causal, 2 padding.
NET_KERNEL(attention)(
    NET_MATRIX(const float, queries), NET_MATRIX(const float, keys), NET_MATRIX(const float, values),
    NET_VECTOR(const int, padding), int flags, float scale, NET_MATRIX(float, probabilities), NET_MATRIX(float, output),
    long length, long heads, long width, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const long position = i % length, part = i / length % heads * width, first = i / length / heads * length;
        const long seen = flags & 1 ? position + 1 : length;
        const __global float *query = NET_ROW(queries, first + position) + part;
        __global float *p = NET_ROW(probabilities, i);
        NET_LANES(j, length) {
            const int hidden = j >= seen || ((flags & 2) && NET_BASE(padding)[first + j] < 0);
            p[j] = hidden ? -INFINITY : scale * net_dot(query, NET_ROW(keys, first + j) + part, width);
        }
        const float top = NET_ROW_MAX(p, seen);
        float sum = 0.0f;
        {
            NET_ANY_ORDER
            NET_LANES(j, length) {
                const float e = p[j] == -INFINITY ? 0.0f : net_exp(p[j] - top);
                p[j] = e;
                sum += e;
            }
            sum = NET_SUM(sum);
        }
        const float inverse = sum > 0.0f || sum != sum ? 1.0f / sum : 0.0f;
        NET_LANES(j, length) p[j] *= inverse;
        // A barrier: everyone sees the probabilities.
        sum = NET_SUM(0.0f);
        NET_WEIGHTED_SUM(
            p, 1, seen, NET_ROW(values, first) + part, values_stride, NET_ROW(output, first + position) + part, width);
    }
}

// Gradients of the scores, times the scale, and of the queries.
NET_KERNEL(attention_query_gradient)(
    NET_MATRIX(const float, keys), NET_MATRIX(const float, values), NET_MATRIX(const float, probabilities),
    NET_MATRIX(const float, output_gradient), int flags, float scale, NET_MATRIX(float, scores),
    NET_MATRIX(float, gradient), long length, long heads, long width, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const long position = i % length, part = i / length % heads * width, first = i / length / heads * length;
        const long seen = flags & 1 ? position + 1 : length;
        const __global float *g = NET_ROW(output_gradient, first + position) + part;
        const __global float *p = NET_ROW(probabilities, i);
        __global float *s = NET_ROW(scores, i);
        float aligned = 0.0f;
        {
            NET_ANY_ORDER
            NET_LANES(j, seen) {
                // A probability of 0 is that of a key that is not seen: it may hold anything.
                const float slope = p[j] == 0.0f ? 0.0f : net_dot(g, NET_ROW(values, first + j) + part, width);
                s[j] = slope;
                aligned += p[j] * slope;
            }
            aligned = NET_SUM(aligned);
        }
        NET_LANES(j, length) s[j] = j < seen ? scale * p[j] * (s[j] - aligned) : 0.0f;
        // A barrier: everyone sees the gradients of the scores.
        aligned = NET_SUM(0.0f);
        NET_WEIGHTED_SUM(
            s, 1, seen, NET_ROW(keys, first) + part, keys_stride, NET_ROW(gradient, first + position) + part, width);
    }
}

// Gradients of the keys and of the values, from those of the scores.
NET_KERNEL(attention_key_gradient)(
    NET_MATRIX(const float, queries), NET_MATRIX(const float, probabilities), NET_MATRIX(const float, output_gradient),
    NET_MATRIX(const float, scores), int flags, NET_MATRIX(float, key_gradient), NET_MATRIX(float, value_gradient),
    long length, long heads, long width, NET_RANGE) {
    NET_ROWS(i) {
        const long position = i % length, part = i / length % heads * width, first = i / length / heads * length;
        // Who sees this key: rows from here on, or all.
        const long from = flags & 1 ? position : 0;
        const long row = i - position + from;
        NET_WEIGHTED_SUM(
            NET_ROW(scores, row) + position, scores_stride, length - from, NET_ROW(queries, first + from) + part,
            queries_stride, NET_ROW(key_gradient, first + position) + part, width);
        NET_WEIGHTED_SUM(
            NET_ROW(probabilities, row) + position, probabilities_stride, length - from,
            NET_ROW(output_gradient, first + from) + part, output_gradient_stride,
            NET_ROW(value_gradient, first + position) + part, width);
    }
}
