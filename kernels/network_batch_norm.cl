// Batch normalization: columns of a matrix are standardized by statistics of their own, which the sums of its columns give.

// output = (input - mean) * inverse * gain + bias; works in place.
NET_KERNEL(batch_norm)(
    NET_MATRIX(const float, input), NET_VECTOR(const float, mean), NET_VECTOR(const float, inverse),
    NET_VECTOR(const float, gain), NET_VECTOR(const float, bias), NET_MATRIX(float, output), long columns, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        __global float *to = NET_ROW(output, i);
        NET_LANES(j, columns)
        to[j] = (x[j] - NET_BASE(mean)[j]) * NET_BASE(inverse)[j] * NET_BASE(gain)[j] + NET_BASE(bias)[j];
    }
}

// What is added up over columns: (input - mean)^2, or with a gradient (flags 1) gradient * (input - mean) * inverse.
NET_KERNEL(batch_norm_products)(
    NET_MATRIX(const float, input), NET_VECTOR(const float, mean), NET_VECTOR(const float, inverse),
    NET_MATRIX(const float, output_gradient), int flags, NET_MATRIX(float, products), long columns, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        const __global float *g = NET_ROW(output_gradient, i);
        __global float *to = NET_ROW(products, i);
        if (flags & 1) {
            NET_LANES(j, columns) to[j] = g[j] * ((x[j] - NET_BASE(mean)[j]) * NET_BASE(inverse)[j]);
        } else {
            NET_LANES(j, columns) to[j] = (x[j] - NET_BASE(mean)[j]) * (x[j] - NET_BASE(mean)[j]);
        }
    }
}

// inverse = 1 / sqrt(squares * reciprocal + epsilon); running statistics move by the momentum (flags 1) towards the
// batch's. One row.
NET_KERNEL(batch_norm_statistics)(
    NET_VECTOR(const float, mean), NET_VECTOR(const float, squares), float reciprocal, float unbiased, float epsilon,
    float momentum, int flags, NET_VECTOR(float, inverse), NET_VECTOR(float, running_mean),
    NET_VECTOR(float, running_variance), long columns, NET_RANGE) {
    NET_ROWS(i) {
        NET_LANES(j, columns) {
            const float sum = NET_BASE(squares)[j];
            NET_BASE(inverse)[j] = 1.0f / NET_SQRT(sum * reciprocal + epsilon);
            if (flags & 1) {
                const float old_mean = NET_BASE(running_mean)[j], old_variance = NET_BASE(running_variance)[j];
                NET_BASE(running_mean)[j] = old_mean + momentum * (NET_BASE(mean)[j] - old_mean);
                NET_BASE(running_variance)[j] = old_variance + momentum * (sum * unbiased - old_variance);
            }
        }
    }
}

// The gradient of the input, from the column sums of the output's gradient and of its products with the normalized
// input; a reciprocal of 0 is for statistics that do not depend on the input.
NET_KERNEL(batch_norm_gradient)(
    NET_MATRIX(const float, input), NET_VECTOR(const float, mean), NET_VECTOR(const float, inverse),
    NET_VECTOR(const float, gain), NET_MATRIX(const float, output_gradient), NET_VECTOR(const float, sums),
    NET_VECTOR(const float, aligned), float reciprocal, NET_MATRIX(float, input_gradient), long columns, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        const __global float *g = NET_ROW(output_gradient, i);
        __global float *to = NET_ROW(input_gradient, i);
        NET_LANES(j, columns) {
            const float scale = NET_BASE(inverse)[j];
            const float normal = (x[j] - NET_BASE(mean)[j]) * scale;
            const float shared = (NET_BASE(sums)[j] + normal * NET_BASE(aligned)[j]) * reciprocal;
            to[j] = NET_BASE(gain)[j] * scale * (g[j] - shared);
        }
    }
}
