// Activations, losses, dropout and normalization; network_common.cl describes the vocabulary.

#define NET_EACH(expression)                              \
    NET_LANES(j, columns) {                               \
        const float x = from[j];                          \
        to[j] = (expression);                             \
    }                                                     \
    break

// output = function(input); may work in place.
NET_KERNEL(activation)(NET_MATRIX(const float, input), NET_MATRIX(float, output), long columns, int function, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *from = NET_ROW(input, i);
        __global float *to = NET_ROW(output, i);
        if (function == 6) {
            const float top = NET_ROW_MAX(from, columns);
            float sum = 0.0f;
            {
                NET_ANY_ORDER
                NET_LANES(j, columns) {
                    const float e = net_exp(from[j] - top);
                    to[j] = e;
                    sum += e;
                }
                sum = NET_SUM(sum);
            }
            const float inverse = 1.0f / sum;
            NET_LANES(j, columns) to[j] *= inverse;
            continue;
        }
        switch (function) {
        case 1: NET_EACH(x < 0.0f ? 0.0f : x);
        case 2: NET_EACH(net_sigmoid(x));
        case 3: NET_EACH(net_tanh(x));
        case 4: NET_EACH(x * net_normal(x));
        case 5: NET_EACH(x * net_sigmoid(x));
        default: NET_EACH(x);
        }
    }
}

#undef NET_EACH
#define NET_EACH(slope)                                   \
    NET_LANES(j, columns) {                               \
        const float x = from[j];                          \
        to[j] = g[j] * (slope);                           \
    }                                                     \
    break

// input_gradient = output_gradient * function'; values are inputs for gelu and silu, outputs for the others.
NET_KERNEL(activation_gradient)(
    NET_MATRIX(const float, values), NET_MATRIX(const float, output_gradient), NET_MATRIX(float, input_gradient),
    long columns, int function, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *from = NET_ROW(values, i);
        const __global float *g = NET_ROW(output_gradient, i);
        __global float *to = NET_ROW(input_gradient, i);
        if (function == 6) {
            float mean = 0.0f;
            {
                NET_ANY_ORDER
                NET_LANES(j, columns) mean += from[j] * g[j];
                mean = NET_SUM(mean);
            }
            NET_LANES(j, columns) to[j] = from[j] * (g[j] - mean);
            continue;
        }
        switch (function) {
        case 1: NET_EACH(x > 0.0f ? 1.0f : 0.0f);
        case 2: NET_EACH(x * (1.0f - x));
        case 3: NET_EACH(1.0f - x * x);
        case 4: NET_EACH(net_normal(x) + x * 0.398942280401432678f * net_exp(-0.5f * x * x));
        case 5: NET_EACH(net_sigmoid(x) * (1.0f + x * (1.0f - net_sigmoid(x))));
        default: NET_EACH(1.0f);
        }
    }
}

// output = alpha a + beta b; b is not read when beta is 0.
NET_KERNEL(linear_combination)(
    float alpha, NET_MATRIX(const float, a), float beta, NET_MATRIX(const float, b), NET_MATRIX(float, output),
    long columns, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(a, i);
        const __global float *y = NET_ROW(b, i);
        __global float *to = NET_ROW(output, i);
        if (beta == 0.0f) {
            NET_LANES(j, columns) to[j] = alpha * x[j];
        } else {
            NET_LANES(j, columns) to[j] = alpha * x[j] + beta * y[j];
        }
    }
}

// Losses of rows of logits against labels, and their gradient. flags: 1 weights.
NET_KERNEL(softmax_cross_entropy)(
    NET_MATRIX(const float, logits), NET_VECTOR(const int, labels), NET_VECTOR(const float, weights), int flags,
    float smoothing, float scale, NET_MATRIX(float, gradient), NET_VECTOR(float, losses), long columns, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *x = NET_ROW(logits, i);
        __global float *g = NET_ROW(gradient, i);
        const int label = NET_BASE(labels)[i];
        const float weight = flags & 1 ? NET_BASE(weights)[i] : 1.0f;
        if (label < 0 || label >= columns) {
            const float nothing = label < 0 ? 0.0f : NAN;
            NET_LANES(j, columns) g[j] = nothing;
            if (NET_FIRST) NET_BASE(losses)[i] = nothing;
            continue;
        }
        // Read before the gradient, which may lie where the logits do, is written: the maximum has a barrier.
        const float labelled = x[label];
        const float top = NET_ROW_MAX(x, columns);
        const float target = labelled - top;
        float sum = 0.0f, shifted = 0.0f;
        {
            NET_ANY_ORDER
            if (smoothing > 0.0f) {
                NET_LANES(j, columns) shifted += x[j] - top;
                shifted = NET_SUM(shifted);
            }
            NET_LANES(j, columns) {
                const float e = net_exp(x[j] - top);
                g[j] = e;
                sum += e;
            }
            sum = NET_SUM(sum);
        }
        const float spread = smoothing / (float)columns;
        const float factor = weight * scale / sum;
        const float less = weight * scale * spread;
        NET_LANES(j, columns) g[j] = g[j] * factor - (j == label ? weight * scale * (1.0f - smoothing) + less : less);
        if (NET_FIRST) {
            NET_BASE(losses)[i] = weight * (NET_LOG(sum) - (1.0f - smoothing) * target - spread * shifted);
        }
    }
}

// ln(1 + e^x), and its slope, of one exponential.
NET_FUNCTION float net_softplus(float x, float *slope) {
    const float e = net_exp(-NET_FABS(x));
    const float quotient = 1.0f / (1.0f + e);
    *slope = x < 0.0f ? e * quotient : quotient;
    return (x > 0.0f ? x : 0.0f) + net_log1p(e);
}

// Bayesian personalized ranking of rows of scores: the labelled one against each of the others, and the gradient.
// flags: 1 weights.
NET_KERNEL(ranking_loss)(
    NET_MATRIX(const float, scores), NET_VECTOR(const int, labels), NET_VECTOR(const float, weights), int flags,
    float scale, NET_MATRIX(float, gradient), NET_VECTOR(float, losses), long columns, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *x = NET_ROW(scores, i);
        __global float *g = NET_ROW(gradient, i);
        const int label = NET_BASE(labels)[i];
        if (label < 0 || label >= columns) {
            const float nothing = label < 0 ? 0.0f : NAN;
            NET_LANES(j, columns) g[j] = nothing;
            if (NET_FIRST) NET_BASE(losses)[i] = nothing;
            continue;
        }
        const float weight = (flags & 1 ? NET_BASE(weights)[i] : 1.0f) / (float)(columns - 1);
        const float factor = weight * scale;
        const float labelled = x[label];
        // The gradient may lie where the scores do: everyone has read the labelled one before it is written.
        const float before = NET_SUM(0.0f);
        net_wide loss = before, pull = 0;
        {
            NET_ANY_ORDER
            NET_LANES(j, columns) {
                const float z = x[j] - labelled;
                const float other = j == label ? 0.0f : 1.0f;
                float slope;
                loss += other * net_softplus(z, &slope);
                slope *= other;
                pull += slope;
                g[j] = factor * slope;
            }
        }
        const float all = NET_SUM((float)loss), sum = NET_SUM((float)pull);
        if (NET_FIRST) {
            g[label] = -factor * sum;
            NET_BASE(losses)[i] = weight * all;
        }
    }
}

// Losses of single predictions, added up over the columns, and their gradient. kind: 0 squared, 1 logistic, 2 Huber.
// flags: 1 weights.
NET_KERNEL(element_loss)(
    NET_MATRIX(const float, predictions), NET_MATRIX(const float, targets), NET_VECTOR(const float, weights), int flags,
    int kind, float parameter, float scale, NET_MATRIX(float, gradient), NET_VECTOR(float, losses), long columns,
    NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *x = NET_ROW(predictions, i);
        const __global float *t = NET_ROW(targets, i);
        __global float *g = NET_ROW(gradient, i);
        const float weight = flags & 1 ? NET_BASE(weights)[i] : 1.0f;
        const float factor = weight * scale;
        net_wide loss = 0;
        if (kind == 0) {
            NET_ANY_ORDER
            NET_LANES(j, columns) {
                const float d = x[j] - t[j];
                loss += d * d;
                g[j] = 2.0f * factor * d;
            }
        } else if (kind == 1) {
            NET_ANY_ORDER
            NET_LANES(j, columns) {
                const float z = x[j], y = t[j];
                float slope;
                loss += net_softplus(z, &slope) - z * y;
                g[j] = factor * (slope - y);
            }
        } else {
            NET_ANY_ORDER
            NET_LANES(j, columns) {
                const float d = x[j] - t[j], size = NET_FABS(d);
                loss += size <= parameter ? 0.5f * d * d : parameter * (size - 0.5f * parameter);
                g[j] = factor * (size <= parameter ? d : d < 0.0f ? -parameter : parameter);
            }
        }
        const float all = NET_SUM((float)loss);
        if (NET_FIRST) NET_BASE(losses)[i] = weight * all;
    }
}

// total[0] + total[1] += the sum of n numbers; the second is what the first can't hold.
NET_KERNEL(add_to_total)(NET_VECTOR(const float, input), long n, NET_VECTOR(float, total), NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *x = NET_BASE(input);
        __global float *t = NET_BASE(total);
#ifdef APUS_GPU_CLASS
        float sum = 0.0f;
        NET_LANES(j, n) sum += x[j];
        sum = NET_SUM(sum);
        if (NET_FIRST) {
            const float old = t[0], high = old + sum, part = high - old;
            const float low = ((old - (high - part)) + (sum - part)) + t[1];
            const float all = high + low;
            t[1] = low - (all - high);
            t[0] = all;
        }
#else
        net_wide sum = (net_wide)t[0] + (net_wide)t[1];
        NET_LANES(j, n) sum += (net_wide)x[j];
        t[0] = (float)sum;
        t[1] = (float)(sum - (net_wide)t[0]);
#endif
    }
}

// Zeroes elements with a probability, and divides the others by what is left. Element (i, j) draws number
// (step * all_rows + i) * (columns rounded up to 4) + j of Philox.
NET_KERNEL(dropout)(
    NET_MATRIX(const float, input), NET_MATRIX(float, output), long columns, float probability, ulong seed, ulong stream,
    NET_VECTOR(const int, step), long all_rows, NET_RANGE) {
    const float keep = 1.0f / (1.0f - probability);
    const long blocks = (columns + 3) / 4;
    NET_ROWS(i) {
        const __global float *from = NET_ROW(input, i);
        __global float *to = NET_ROW(output, i);
        const ulong first = ((ulong)NET_BASE(step)[0] * (ulong)all_rows + (ulong)i) * (ulong)blocks;
        NET_LANES(b, blocks) {
            const ulong block = first + (ulong)b;
            uint x = (uint)block, y = (uint)(block >> 32), z = (uint)stream, w = (uint)(stream >> 32);
            uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
            for (int round = 0; round < 10; ++round) {
                const uint low0 = 0xD2511F53u * x, high0 = NET_MULHI(0xD2511F53u, x);
                const uint low1 = 0xCD9E8D57u * z, high1 = NET_MULHI(0xCD9E8D57u, z);
                x = high1 ^ y ^ k0;
                z = high0 ^ w ^ k1;
                y = low1;
                w = low0;
                k0 += 0x9E3779B9u;
                k1 += 0xBB67AE85u;
            }
            const long j = 4 * b;
            to[j] = (float)(x >> 8) * 0x1p-24f < probability ? 0.0f : from[j] * keep;
            if (j + 1 < columns) to[j + 1] = (float)(y >> 8) * 0x1p-24f < probability ? 0.0f : from[j + 1] * keep;
            if (j + 2 < columns) to[j + 2] = (float)(z >> 8) * 0x1p-24f < probability ? 0.0f : from[j + 2] * keep;
            if (j + 3 < columns) to[j + 3] = (float)(w >> 8) * 0x1p-24f < probability ? 0.0f : from[j + 3] * keep;
        }
    }
}

// output = (input - mean) / deviation * gain + bias for every row; statistics hold the means, then 1 / deviations.
NET_KERNEL(layer_norm)(
    NET_MATRIX(const float, input), NET_VECTOR(const float, gain), NET_VECTOR(const float, bias), float epsilon,
    NET_MATRIX(float, output), NET_MATRIX(float, statistics), long columns, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        __global float *to = NET_ROW(output, i);
        float sum = 0.0f, squares = 0.0f;
        {
            NET_ANY_ORDER
            NET_LANES(j, columns) sum += x[j];
            sum = NET_SUM(sum);
        }
        const float mean = sum / (float)columns;
        {
            NET_ANY_ORDER
            NET_LANES(j, columns) squares += (x[j] - mean) * (x[j] - mean);
            squares = NET_SUM(squares);
        }
        const float inverse = 1.0f / NET_SQRT(squares / (float)columns + epsilon);
        NET_LANES(j, columns) to[j] = (x[j] - mean) * inverse * NET_BASE(gain)[j] + NET_BASE(bias)[j];
        if (NET_FIRST) {
            NET_ROW(statistics, 0)[i] = mean;
            NET_ROW(statistics, 1)[i] = inverse;
        }
    }
}

// The gradient of the input, and the products whose column sums are the gradient of the gain.
NET_KERNEL(layer_norm_gradient)(
    NET_MATRIX(const float, input), NET_MATRIX(const float, statistics), NET_VECTOR(const float, gain),
    NET_MATRIX(const float, output_gradient), NET_MATRIX(float, input_gradient), NET_MATRIX(float, products),
    long columns, NET_RANGE) {
    NET_LOCAL;
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        const __global float *g = NET_ROW(output_gradient, i);
        __global float *to = NET_ROW(input_gradient, i);
        __global float *product = NET_ROW(products, i);
        const float mean = NET_ROW(statistics, 0)[i];
        const float inverse = NET_ROW(statistics, 1)[i];
        float sum = 0.0f, aligned = 0.0f;
        {
            NET_ANY_ORDER
            NET_LANES(j, columns) {
                const float scaled = g[j] * NET_BASE(gain)[j];
                sum += scaled;
                aligned += scaled * ((x[j] - mean) * inverse);
            }
            sum = NET_SUM(sum);
            aligned = NET_SUM(aligned);
        }
        sum /= (float)columns;
        aligned /= (float)columns;
        NET_LANES(j, columns) {
            const float normal = (x[j] - mean) * inverse;
            const float gradient = g[j];
            to[j] = inverse * (gradient * NET_BASE(gain)[j] - sum - normal * aligned);
            product[j] = gradient * normal;
        }
    }
}

#undef NET_EACH
