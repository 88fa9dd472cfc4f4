// Sums over rows and columns for CPU-class devices, in double precision (every CPU device has it).
//
// Work-groups of 1. Chunks are fixed by the shape, never by the number of threads, and added up in order.

#pragma OPENCL EXTENSION cl_khr_fp64 : enable

// Partial sums of one chunk of rows, for 16 columns: partial[chunk * columns + j]. Grid: (blocks of 16 columns, chunks).
__kernel void column_sums_partial(
    __global const float *input, long input_offset, long input_stride, long rows, long columns, long chunk_rows,
    __global double *partial) {
    const long column = (long)get_global_id(0) * 16;
    const long chunk = get_global_id(1);
    const long first = chunk * chunk_rows;
    const long last = min(rows, first + chunk_rows);
    __global const float *from = input + input_offset + column;
    __global double *to = partial + chunk * columns + column;
    if (column + 16 <= columns) {
        double16 sum = (double16)(0.0);
        for (long i = first; i < last; ++i) sum += convert_double16(vload16(0, from + i * input_stride));
        vstore16(sum, 0, to);
    } else {
        for (long j = 0; column + j < columns; ++j) {
            double sum = 0.0;
            for (long i = first; i < last; ++i) sum += (double)from[i * input_stride + j];
            to[j] = sum;
        }
    }
}

// Adds up the chunks. Grid: columns.
__kernel void column_sums_total(
    __global const double *partial, long chunks, long columns, __global float *output, long output_offset) {
    const long column = get_global_id(0);
    double sum = 0.0;
    for (long chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * columns + column];
    output[output_offset + column] = (float)sum;
}

// The norm of every row, or its square. Grid: blocks of row_block rows.
__kernel void row_norms(
    __global const float *input, long input_offset, long input_stride, long rows, long columns, int squared,
    __global float *output, long output_offset, long row_block) {
    const long first = (long)get_global_id(0) * row_block;
    const long last = min(rows, first + row_block);
    for (long i = first; i < last; ++i) {
        __global const float *from = input + input_offset + i * input_stride;
        double16 wide = (double16)(0.0);
        long j = 0;
        for (; j + 16 <= columns; j += 16) {
            const double16 x = convert_double16(vload16(0, from + j));
            wide += x * x;
        }
        const double8 eight = LOW_HALF(wide) + HIGH_HALF(wide);
        const double4 four = LOW_HALF(eight) + HIGH_HALF(eight);
        double sum = (four.x + four.y) + (four.z + four.w);
        for (; j < columns; ++j) sum += (double)from[j] * (double)from[j];
        output[output_offset + i] = (float)(squared ? sum : sqrt(sum));
    }
}
