// Products of sparse matrices for CPU-class devices. Work-groups of 1; a work-item takes a block of rows.

#pragma OPENCL EXTENSION cl_khr_fp64 : enable

// Sums of more entries than this are carried in double precision.
#define RUN_LENGTH 256

static float sum16(float16 x) {
    const float8 eight = LOW_HALF(x) + HIGH_HALF(x);
    const float4 four = LOW_HALF(eight) + HIGH_HALF(eight);
    return (four.x + four.y) + (four.z + four.w);
}

static float dot_rows(__global const float *a, __global const float *b, long d) {
    float16 sum0 = (float16)(0.0f), sum1 = (float16)(0.0f);
    long j = 0;
    for (; j + 32 <= d; j += 32) {
        sum0 += vload16(0, a + j) * vload16(0, b + j);
        sum1 += vload16(1, a + j) * vload16(1, b + j);
    }
    if (j + 16 <= d) {
        sum0 += vload16(0, a + j) * vload16(0, b + j);
        j += 16;
    }
    float sum = sum16(sum0 + sum1);
    for (; j < d; ++j) sum += a[j] * b[j];
    return sum;
}

// output[i, :] = alpha * sum over the entries of row i of value * dense[column, :] + beta * output[i, :].
// Grid: blocks of row_block rows.
__kernel void sparse_times_dense(
    __global const long *row_pointers, long row_pointers_offset, __global const int *column_indices,
    long column_indices_offset, __global const float *values, long values_offset, __global const float *dense,
    long dense_offset, long dense_stride, float alpha, float beta, __global float *output, long output_offset,
    long output_stride, long rows, long d, long row_block) {
    const long first_row = (long)get_global_id(0) * row_block;
    const long last_row = min(rows, first_row + row_block);
    column_indices += column_indices_offset;
    values += values_offset;
    for (long i = first_row; i < last_row; ++i) {
        const long first = row_pointers[row_pointers_offset + i];
        const long last = row_pointers[row_pointers_offset + i + 1];
        __global float *to = output + output_offset + i * output_stride;
        long j = 0;
        for (; j + 32 <= d; j += 32) {
            __global const float *from = dense + dense_offset + j;
            float16 low = (float16)(0.0f), high = (float16)(0.0f);
            double16 wide_low = (double16)(0.0), wide_high = (double16)(0.0);
            for (long start = first; start < last; start += RUN_LENGTH) {
                const long end = min(last, start + RUN_LENGTH);
                low = (float16)(0.0f);
                high = (float16)(0.0f);
                for (long e = start; e < end; ++e) {
                    __global const float *row = from + (long)column_indices[e] * dense_stride;
                    low += values[e] * vload16(0, row);
                    high += values[e] * vload16(1, row);
                }
                if (last - first > RUN_LENGTH) {
                    wide_low += convert_double16(low);
                    wide_high += convert_double16(high);
                }
            }
            if (last - first > RUN_LENGTH) {
                low = convert_float16(wide_low);
                high = convert_float16(wide_high);
            }
            low *= alpha;
            high *= alpha;
            if (beta != 0.0f) {
                low += beta * vload16(0, to + j);
                high += beta * vload16(1, to + j);
            }
            vstore16(low, 0, to + j);
            vstore16(high, 1, to + j);
        }
        for (; j < d; ++j) {
            __global const float *from = dense + dense_offset + j;
            double sum = 0.0;
            for (long e = first; e < last; ++e) {
                sum += (double)values[e] * (double)from[(long)column_indices[e] * dense_stride];
            }
            const float product = alpha * (float)sum;
            to[j] = beta != 0.0f ? product + beta * to[j] : product;
        }
    }
}

// output[i] = sum over the entries e of row i of weight * (target - a[i, :] . b[column, :])^2.
// Flags: 1 the values are weights, 2 there are targets. Grid: blocks of row_block rows.
__kernel void observed_loss(
    __global const long *row_pointers, long row_pointers_offset, __global const int *column_indices,
    long column_indices_offset, __global const float *values, long values_offset, __global const float *targets,
    long targets_offset, int flags, __global const float *a, long a_offset, long a_stride, __global const float *b,
    long b_offset, long b_stride, __global float *output, long output_offset, long rows, long d, long row_block) {
    const long first_row = (long)get_global_id(0) * row_block;
    const long last_row = min(rows, first_row + row_block);
    for (long i = first_row; i < last_row; ++i) {
        const long first = row_pointers[row_pointers_offset + i];
        const long last = row_pointers[row_pointers_offset + i + 1];
        __global const float *row = a + a_offset + i * a_stride;
        double loss = 0.0;
        for (long e = first; e < last; ++e) {
            const long column = column_indices[column_indices_offset + e];
            const float target = flags & 2 ? targets[targets_offset + e] : 1.0f;
            const double difference = (double)(target - dot_rows(row, b + b_offset + column * b_stride, d));
            loss += (flags & 1 ? (double)values[values_offset + e] : 1.0) * difference * difference;
        }
        output[output_offset + i] = (float)loss;
    }
}

// output[e] = a[rows[e], :] . b[columns[e], :], NaN for an index outside its table. Grid: blocks of pair_block pairs.
__kernel void observed_scores(
    __global const int *row_indices, long row_indices_offset, __global const int *column_indices,
    long column_indices_offset, __global const float *a, long a_offset, long a_stride, long a_rows,
    __global const float *b, long b_offset, long b_stride, long b_rows, __global float *output, long output_offset,
    long pairs, long d, long pair_block) {
    const long first = (long)get_global_id(0) * pair_block;
    const long last = min(pairs, first + pair_block);
    for (long e = first; e < last; ++e) {
        const long row = row_indices[row_indices_offset + e];
        const long column = column_indices[column_indices_offset + e];
        const bool inside = row >= 0 && row < a_rows && column >= 0 && column < b_rows;
        output[output_offset + e] =
            inside ? dot_rows(a + a_offset + row * a_stride, b + b_offset + column * b_stride, d) : NAN;
    }
}
