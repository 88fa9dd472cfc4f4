// Products of matrices of 8-bit integers, four to a word, exact until the sum is scaled; network_common.cl describes the
// vocabulary.

// codes[i, q] = four of input[i, :] / step, rounded to even and limited to +-127; what is missing at the end is 0.
NET_KERNEL(quantize)(
    NET_MATRIX(const float, input), float inverse, NET_MATRIX(int, codes), long columns, NET_RANGE) {
    NET_ROWS(i) {
        const __global float *x = NET_ROW(input, i);
        __global int *to = NET_ROW(codes, i);
        NET_LANES(q, (columns + 3) / 4) {
            uint word = 0;
            for (int part = 0; part < 4; ++part) {
                const long j = 4 * q + part;
                float code = j < columns ? NET_RINT(x[j] * inverse) : 0.0f;
                code = code > 127.0f ? 127.0f : code < -127.0f ? -127.0f : code;
                // NaN is nothing.
                const int number = code == code ? (int)code : 0;
                word |= ((uint)number & 255u) << (8 * part);
            }
            to[q] = (int)word;
        }
    }
}

// output[i, j] = function(step * scales[j] * the sum of the products of the codes of row i of a and row j of b + bias[j]).
// flags: 1 bias.
NET_KERNEL(quantized_gemm)(
    NET_MATRIX(const int, a), float step, NET_MATRIX(const int, b), NET_VECTOR(const float, scales),
    NET_VECTOR(const float, bias), int flags, int function, NET_MATRIX(float, output), long columns, long words,
    NET_RANGE) {
    NET_ROWS(i) {
        const __global signed char *x = (const __global signed char *)NET_ROW(a, i);
        __global float *to = NET_ROW(output, i);
        NET_LANES(j, columns) {
            const __global signed char *y = (const __global signed char *)NET_ROW(b, j);
            int sum = 0;
            for (long p = 0; p < 4 * words; ++p) sum += (int)x[p] * (int)y[p];
            const float value = (float)sum * (step * NET_BASE(scales)[j]) + (flags & 1 ? NET_BASE(bias)[j] : 0.0f);
            to[j] = function == 1   ? (value < 0.0f ? 0.0f : value)
                    : function == 2 ? net_sigmoid(value)
                    : function == 3 ? net_tanh(value)
                                    : value;
        }
    }
}
