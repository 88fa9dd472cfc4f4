// Steps of recurrent layers, from the two products that a step needs; network_common.cl describes the vocabulary.
// cell: 0 simple, 1 GRU (reset, update, candidate), 2 LSTM (input, forget, candidate, output).

// flags: 1 a step before.
NET_KERNEL(recurrent_step)(
    NET_MATRIX(const float, inputs), NET_MATRIX(const float, recurrent), NET_MATRIX(const float, previous),
    NET_MATRIX(const float, previous_kept), int flags, NET_MATRIX(float, kept), NET_MATRIX(float, output), int cell,
    long units, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(inputs, i);
        const __global float *r = NET_ROW(recurrent, i);
        const __global float *before = NET_ROW(previous, i);
        __global float *k = NET_ROW(kept, i);
        __global float *h = NET_ROW(output, i);
        if (cell == 0) {
            NET_LANES(j, units) {
                const float value = net_tanh(x[j] + r[j]);
                k[j] = value;
                h[j] = value;
            }
        } else if (cell == 1) {
            NET_LANES(j, units) {
                const float reset = net_sigmoid(x[j] + r[j]);
                const float update = net_sigmoid(x[units + j] + r[units + j]);
                const float own = r[2 * units + j];
                const float candidate = net_tanh(x[2 * units + j] + reset * own);
                k[j] = reset;
                k[units + j] = update;
                k[2 * units + j] = candidate;
                k[3 * units + j] = own;
                h[j] = (1.0f - update) * candidate + update * before[j];
            }
        } else {
            const __global float *memory = NET_ROW(previous_kept, i) + 4 * units;
            NET_LANES(j, units) {
                const float take = net_sigmoid(x[j] + r[j]);
                const float keep = net_sigmoid(x[units + j] + r[units + j]);
                const float candidate = net_tanh(x[2 * units + j] + r[2 * units + j]);
                const float give = net_sigmoid(x[3 * units + j] + r[3 * units + j]);
                const float present = (flags & 1 ? keep * memory[j] : 0.0f) + take * candidate;
                k[j] = take;
                k[units + j] = keep;
                k[2 * units + j] = candidate;
                k[3 * units + j] = give;
                k[4 * units + j] = present;
                h[j] = give * net_tanh(present);
            }
        }
    }
}

// flags: 1 a step before, 2 a gradient carried from the step behind, 4 one of the memory.
NET_KERNEL(recurrent_step_gradient)(
    NET_MATRIX(const float, previous), NET_MATRIX(const float, previous_kept), NET_MATRIX(const float, kept),
    NET_MATRIX(const float, output_gradient), NET_MATRIX(const float, carried), int flags,
    NET_MATRIX(float, memory_gradient), NET_MATRIX(float, input_gradient), NET_MATRIX(float, recurrent_gradient),
    NET_MATRIX(float, previous_gradient), int cell, long units, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *before = NET_ROW(previous, i);
        const __global float *k = NET_ROW(kept, i);
        const __global float *above = NET_ROW(output_gradient, i);
        const __global float *behind = NET_ROW(carried, i);
        __global float *gx = NET_ROW(input_gradient, i);
        __global float *gr = NET_ROW(recurrent_gradient, i);
        __global float *gh = NET_ROW(previous_gradient, i);
        if (cell == 0) {
            NET_LANES(j, units) {
                const float g = above[j] + (flags & 2 ? behind[j] : 0.0f);
                const float slope = g * (1.0f - k[j] * k[j]);
                gx[j] = slope;
                gr[j] = slope;
                gh[j] = 0.0f;
            }
        } else if (cell == 1) {
            NET_LANES(j, units) {
                const float g = above[j] + (flags & 2 ? behind[j] : 0.0f);
                const float reset = k[j], update = k[units + j], candidate = k[2 * units + j], own = k[3 * units + j];
                const float slope = g * (1.0f - update) * (1.0f - candidate * candidate);
                const float of_reset = slope * own * reset * (1.0f - reset);
                const float of_update = g * (before[j] - candidate) * update * (1.0f - update);
                gx[j] = of_reset;
                gr[j] = of_reset;
                gx[units + j] = of_update;
                gr[units + j] = of_update;
                gx[2 * units + j] = slope;
                gr[2 * units + j] = slope * reset;
                gh[j] = g * update;
            }
        } else {
            __global float *gc = NET_ROW(memory_gradient, i);
            const __global float *memory = NET_ROW(previous_kept, i) + 4 * units;
            NET_LANES(j, units) {
                const float g = above[j] + (flags & 2 ? behind[j] : 0.0f);
                const float take = k[j], keep = k[units + j], candidate = k[2 * units + j], give = k[3 * units + j];
                const float shown = net_tanh(k[4 * units + j]);
                const float inner = g * give * (1.0f - shown * shown) + (flags & 4 ? gc[j] : 0.0f);
                const float of_take = inner * candidate * take * (1.0f - take);
                const float of_keep = flags & 1 ? inner * memory[j] * keep * (1.0f - keep) : 0.0f;
                const float of_candidate = inner * take * (1.0f - candidate * candidate);
                const float of_give = g * shown * give * (1.0f - give);
                gx[j] = of_take;
                gr[j] = of_take;
                gx[units + j] = of_keep;
                gr[units + j] = of_keep;
                gx[2 * units + j] = of_candidate;
                gr[2 * units + j] = of_candidate;
                gx[3 * units + j] = of_give;
                gr[3 * units + j] = of_give;
                gc[j] = inner * keep;
                gh[j] = 0.0f;
            }
        }
    }
}
