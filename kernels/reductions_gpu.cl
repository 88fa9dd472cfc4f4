// Sums of columns and norms of rows on GPU-class devices, accumulated in wider precision (double, or two floats where
// the device has no double), in an order that the shape alone fixes.
//
// Entry points; offsets and strides count elements (long):
//   column_sums_partial
//     rows (long), columns (int), input, input_offset, input_stride, chunk_rows (long)
//     partial                    scratch: chunks * columns * 8 bytes
//   Global size: (columns rounded up to COLUMN_ITEMS, chunks * ROW_ITEMS), local (COLUMN_ITEMS, ROW_ITEMS), where
//   chunks = ceil(rows / chunk_rows). Neighbours read neighbouring columns.
//   column_sums_total
//     columns, chunks (int), partial, output, output_offset
//   Global size: columns rounded up to the local size, for example 64. With no rows, run it alone with 0 chunks.
//   row_norms
//     rows, columns (int), input, input_offset, input_stride, squared (int), output, output_offset
//   Global size: (NORM_LANES, rows rounded up to NORM_ROWS), local (NORM_LANES, NORM_ROWS).
// Local memory: 8 * COLUMN_ITEMS * ROW_ITEMS or 8 * NORM_LANES * NORM_ROWS bytes; 2 KiB and 1 KiB by default.

#ifndef COLUMN_ITEMS
#define COLUMN_ITEMS 64
#endif
#ifndef ROW_ITEMS
#define ROW_ITEMS 4
#endif
#ifndef NORM_LANES
#define NORM_LANES 32
#endif
#ifndef NORM_ROWS
#define NORM_ROWS 4
#endif
#if COLUMN_ITEMS * ROW_ITEMS * 8 > 49152 || NORM_LANES * NORM_ROWS * 8 > 49152
#error "the work-groups need more than 48 KiB of local memory"
#endif
#ifdef __FAST_RELAXED_MATH__
#error "NaN and infinity are data, and rounding errors are kept; build without -cl-fast-relaxed-math"
#endif

#if defined(cl_khr_fp64) && !defined(NO_DOUBLE)
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef double wide_t;
#define WIDE_ZERO 0.0
static inline wide_t wide_add(wide_t sum, wide_t x) { return sum + x; }
static inline wide_t wide_from(float x) { return x; }
static inline float wide_value(wide_t sum) { return (float)sum; }
#else
// High and low part; their sum is the value.
typedef float2 wide_t;
#define WIDE_ZERO ((float2)(0.0f, 0.0f))
static inline wide_t wide_add(wide_t sum, wide_t x) {
    const float t = sum.x + x.x;
    const float part = t - sum.x;
    const float low = ((sum.x - (t - part)) + (x.x - part)) + (sum.y + x.y);
    // An infinite or NaN sum has no error term.
    return (float2)(t, isfinite(t) ? low : 0.0f);
}
static inline wide_t wide_from(float x) { return (float2)(x, 0.0f); }
static inline float wide_value(wide_t sum) { return sum.x + sum.y; }
#endif

__kernel __attribute__((reqd_work_group_size(COLUMN_ITEMS, ROW_ITEMS, 1))) void column_sums_partial(
    long rows, int columns, const __global float *restrict input, long input_offset, long input_stride,
    long chunk_rows, __global wide_t *restrict partial) {
    __local wide_t sums[ROW_ITEMS][COLUMN_ITEMS];
    const int column = get_global_id(0);
    const int lane = get_local_id(1);
    const long first = get_group_id(1) * chunk_rows;
    const long end = min(rows, first + chunk_rows);
    wide_t sum = WIDE_ZERO;
    if (column < columns) {
        const __global float *from = input + input_offset + column;
        for (long row = first + lane; row < end; row += ROW_ITEMS)
            sum = wide_add(sum, wide_from(from[row * input_stride]));
    }
    sums[lane][get_local_id(0)] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane == 0 && column < columns) {
        for (int l = 1; l < ROW_ITEMS; l++) sum = wide_add(sum, sums[l][get_local_id(0)]);
        partial[(long)get_group_id(1) * columns + column] = sum;
    }
}

__kernel void column_sums_total(
    int columns, int chunks, const __global wide_t *restrict partial, __global float *output, long output_offset) {
    const int column = get_global_id(0);
    if (column >= columns) return;
    wide_t sum = WIDE_ZERO;
    for (int chunk = 0; chunk < chunks; chunk++) sum = wide_add(sum, partial[(long)chunk * columns + column]);
    output[output_offset + column] = wide_value(sum);
}

__kernel __attribute__((reqd_work_group_size(NORM_LANES, NORM_ROWS, 1))) void row_norms(
    int rows, int columns, const __global float *restrict input, long input_offset, long input_stride, int squared,
    __global float *output, long output_offset) {
    __local wide_t sums[NORM_ROWS][NORM_LANES];
    const int lane = get_local_id(0);
    const int row = get_global_id(1);
    wide_t sum = WIDE_ZERO;
    if (row < rows) {
        const __global float *from = input + input_offset + row * input_stride;
        for (int column = lane; column < columns; column += NORM_LANES) {
            const float x = from[column];
#if defined(cl_khr_fp64) && !defined(NO_DOUBLE)
            sum = fma((wide_t)x, (wide_t)x, sum);
#else
            const float square = x * x;
            sum = wide_add(sum, (float2)(square, isfinite(square) ? fma(x, x, -square) : 0.0f));
#endif
        }
    }
    sums[get_local_id(1)][lane] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane == 0 && row < rows) {
        for (int l = 1; l < NORM_LANES; l++) sum = wide_add(sum, sums[get_local_id(1)][l]);
        const float square = wide_value(sum);
        output[output_offset + row] = squared ? square : sqrt(square);
    }
}
