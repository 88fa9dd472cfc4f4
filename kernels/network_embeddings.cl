// Tables of vectors: sums of the rows that identifiers name, steps on the rows that a batch has touched, and products of
// the vectors of a row with each other.

// Columns that are taken at once: a vector where a work-item walks the columns, else one of each.
#ifdef APUS_GPU_CLASS
#define NET_STRIP 1
#define NET_STRIPS(j, n) NET_LANES(j, n)
#else
#define NET_STRIP 16
#define NET_STRIPS(j, n) for (long j = 0; j < (n); j += NET_STRIP)
#endif
#define NET_STRIP_WIDTH(j, n) ((n) - (j) < NET_STRIP ? (n) - (j) : NET_STRIP)

// output[i, b d + j] = the sum of weights[i, e] table[ids[i, e], j] over the columns e of ids in starts[b] ..<
// starts[b + 1]. An id below 0 counts for nothing, one past the end gives NaN. flags: 1 weights.
NET_KERNEL(gather_bags)(
    NET_MATRIX(const float, table), NET_MATRIX(const int, ids), NET_VECTOR(const int, starts),
    NET_MATRIX(const float, weights), int flags, NET_MATRIX(float, output), long table_rows, long columns, long bags,
    long width, NET_RANGE) {
    NET_ROWS(i) {
        const __global int *id = NET_ROW(ids, i);
        const __global float *weight = NET_ROW(weights, i);
        __global float *to = NET_ROW(output, i);
        for (long b = 0; b < bags; ++b) {
            long from = NET_BASE(starts)[b], end = NET_BASE(starts)[b + 1];
            if (from < 0) from = 0;
            if (end > width) end = width;
            if (end - from == 1 && !(flags & 1) && id[from] >= 0 && id[from] < table_rows) {
                // One vector as it is.
                const __global float *x = NET_ROW(table, (long)id[from]);
                NET_LANES(j, columns) to[b * columns + j] = x[j];
                continue;
            }
            NET_LANES(j, columns) {
                float sum = 0.0f;
                for (long e = from; e < end; ++e) {
                    const long row = id[e];
                    if (row < 0) continue;
                    const float x = row < table_rows ? NET_ROW(table, row)[j] : NAN;
                    sum += flags & 1 ? weight[e] * x : x;
                }
                to[b * columns + j] = sum;
            }
        }
    }
}

// The sum of a segment's gradients for some columns: entry p is the block p % blocks of row p / blocks.
NET_FUNCTION void net_segment(
    float *sum, const __global float *gradient, long gradient_stride, const __global int *places,
    const __global float *factors, int weighted, long from, long to, long blocks, long columns, long j, int width) {
    for (int k = 0; k < width; ++k) sum[k] = 0.0f;
    for (long e = from; e < to; ++e) {
        const long place = places[e];
        const long row = blocks == 1 ? place : place / blocks;
        const __global float *g = gradient + row * gradient_stride + (place - row * blocks) * columns + j;
        const float factor = weighted ? factors[e] : 1.0f;
        for (int k = 0; k < width; ++k) sum[k] += factor * g[k];
    }
}

// A step on the columns j ..< j + width of a row whose gradient is known. method: 0 adds it to the table, 1 gradient
// descent, 2 Adam, 3 Adagrad, 4 by a rate that the whole row has.
NET_FUNCTION void net_row_step(
    const float *sum, __global float *p, __global float *m, __global float *v, int method, float rate, float factor,
    float correction1, float correction2, float beta1, float beta2, float epsilon, int width) {
    if (method == 0) {
        for (int k = 0; k < width; ++k) p[k] += sum[k];
    } else if (method == 1 || method == 4) {
        for (int k = 0; k < width; ++k) p[k] -= rate * (sum[k] * factor);
    } else if (method == 3) {
        for (int k = 0; k < width; ++k) {
            const float g = sum[k] * factor;
            const float square = v[k] + g * g;
            v[k] = square;
            p[k] -= rate * g / (NET_SQRT(square) + epsilon);
        }
    } else {
        for (int k = 0; k < width; ++k) {
            const float g = sum[k] * factor;
            const float mean = beta1 * m[k] + (1.0f - beta1) * g;
            const float square = beta2 * v[k] + (1.0f - beta2) * g * g;
            m[k] = mean;
            v[k] = square;
            p[k] -= rate * correction1 * mean / (NET_SQRT(square) * correction2 + epsilon);
        }
    }
}

// Rows of a table that a batch has touched: for segment u, whose row is ids[u] (none when below 0), the gradient is the
// sum of the entries order[starts[u]] ..< order[starts[u + 1]]. A row of `gradient` holds `blocks` entries side by side.
// flags: 1 factors of the entries.
NET_KERNEL(update_rows)(
    NET_MATRIX(float, table), NET_VECTOR(const int, ids), NET_VECTOR(const int, starts), NET_VECTOR(const int, order),
    NET_VECTOR(const float, factors), int flags, NET_MATRIX(const float, gradient), NET_MATRIX(float, first),
    NET_MATRIX(float, second), NET_VECTOR(const float, controls), int method, float beta1, float beta2, float epsilon,
    long table_rows, long columns, long blocks, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const long row = NET_BASE(ids)[i];
        if (row < 0 || row >= table_rows) continue;
        const long from = NET_BASE(starts)[i], to = NET_BASE(starts)[i + 1];
        const __global int *places = NET_BASE(order);
        const __global float *g = NET_ROW(gradient, 0);
        const long g_stride = NET_ROW(gradient, 1) - g;
        const __global float *weights = NET_BASE(factors);
        const int weighted = flags & 1;
        __global float *p = NET_ROW(table, row);
        __global float *m = NET_ROW(first, row);
        __global float *v = NET_ROW(second, row);
        float rate = 0.0f, correction1 = 1.0f, correction2 = 1.0f, factor = 1.0f;
        if (method != 0) {
            rate = NET_BASE(controls)[0];
            correction1 = NET_BASE(controls)[1];
            correction2 = NET_BASE(controls)[2];
            factor = NET_BASE(controls)[3];
        }
        if (method == 4) {
            float squares = 0.0f;
            NET_STRIPS(j, columns) {
                NET_ANY_ORDER
                float sum[NET_STRIP];
                const int width = (int)NET_STRIP_WIDTH(j, columns);
                net_segment(sum, g, g_stride, places, weights, weighted, from, to, blocks, columns, j, width);
                for (int k = 0; k < width; ++k) squares += sum[k] * factor * (sum[k] * factor);
            }
            squares = NET_SUM(squares);
            const float state = v[0] + squares / (float)columns;
            rate /= NET_SQRT(state) + epsilon;
            // Everyone has read the state before it changes.
            const float changed = NET_MAX(state);
            if (NET_FIRST) v[0] = changed;
        }
        NET_STRIPS(j, columns) {
            float sum[NET_STRIP];
            if (columns - j >= NET_STRIP) {
                net_segment(sum, g, g_stride, places, weights, weighted, from, to, blocks, columns, j, NET_STRIP);
                net_row_step(
                    sum, p + j, m + j, v + j, method, rate, factor, correction1, correction2, beta1, beta2, epsilon,
                    NET_STRIP);
            } else {
                const int width = (int)(columns - j);
                net_segment(sum, g, g_stride, places, weights, weighted, from, to, blocks, columns, j, width);
                net_row_step(
                    sum, p + j, m + j, v + j, method, rate, factor, correction1, correction2, beta1, beta2, epsilon,
                    width);
            }
        }
    }
}

// A row holds n vectors of d numbers; output[i, a (a - 1) / 2 + b] = the product of vectors a and b < a.
NET_KERNEL(pair_products)(
    NET_MATRIX(const float, input), NET_MATRIX(float, output), long vectors, long d, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        __global float *to = NET_ROW(output, i);
        NET_LANES(q, vectors * vectors) {
            const long a = q / vectors, b = q - a * vectors;
            if (b >= a) continue;
            const __global float *left = x + a * d;
            const __global float *right = x + b * d;
            float sum = 0.0f;
            {
                NET_ANY_ORDER
                for (long j = 0; j < d; ++j) sum += left[j] * right[j];
            }
            to[a * (a - 1) / 2 + b] = sum;
        }
    }
}

// The gradient of the vectors: that of a is the sum over all others b of the gradient of their product times b.
NET_KERNEL(pair_products_gradient)(
    NET_MATRIX(const float, input), NET_MATRIX(const float, output_gradient), NET_MATRIX(float, input_gradient),
    long vectors, long d, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        const __global float *g = NET_ROW(output_gradient, i);
        __global float *to = NET_ROW(input_gradient, i);
        const long strips = (d + NET_STRIP - 1) / NET_STRIP;
        NET_LANES(q, vectors * strips) {
            const long a = q / strips, j = (q - a * strips) * NET_STRIP;
            const int width = (int)NET_STRIP_WIDTH(j, d);
            float sum[NET_STRIP];
            for (int k = 0; k < width; ++k) sum[k] = 0.0f;
            for (long b = 0; b < vectors; ++b) {
                if (b == a) continue;
                const float slope = g[a > b ? a * (a - 1) / 2 + b : b * (b - 1) / 2 + a];
                const __global float *other = x + b * d + j;
                for (int k = 0; k < width; ++k) sum[k] += slope * other[k];
            }
            for (int k = 0; k < width; ++k) to[a * d + j + k] = sum[k];
        }
    }
}
