// Sparse times dense, observed losses and observed scores on GPU-class devices.
//
// Dense rows are read by neighbouring work-items in neighbouring elements; each sum is taken in an order that the
// shape alone fixes, without atomics. Row pointers are positions within column_indices and values, their first need
// not be 0. Offsets and strides count elements (long).
//
// Entry points:
//   sparse_times_dense      output = alpha * sparse * dense + beta * output; beta == 0: the output is not read
//     rows, columns (int)                     m and d
//     row_pointers, row_pointers_offset       m + 1 long
//     column_indices, column_indices_offset   int
//     values, values_offset                   float
//     dense, dense_offset, dense_stride       n x d
//     alpha, beta
//     output, output_offset, output_stride    m x d
//   SPARSE_LANES work-items share a row, each owns SPARSE_WIDTH columns SPARSE_LANES apart, SPARSE_ROWS rows make a
//   work-group. Global size: (ceil(d / (SPARSE_LANES * SPARSE_WIDTH)) * SPARSE_LANES, m rounded up to SPARSE_ROWS),
//   local (SPARSE_LANES, SPARSE_ROWS).
//   Blocks of SPARSE_BLOCK entries are added in float, the blocks in wider precision. No local memory.
//   observed_loss           output[i] = sum over the entries e of row i of w_e * (t_e - a_i . b_column(e))^2
//     rows, columns (int)                     m and d
//     row_pointers, ... column_indices, ... values, ... (as above)
//     weighted                                0: all weights are 1, values are not read
//     has_targets, targets, targets_offset    0: all targets are 1, targets are not read
//     a, a_offset, a_stride, b, b_offset, b_stride
//     output, output_offset                   1 x m
//   Global size: m * ROW_GROUP, local ROW_GROUP.
//   observed_scores         output[e] = a[row e] . b[column e]; NaN for an index outside its table
//     count, columns (int: d), a_rows, b_rows (int)
//     row_indices, row_indices_offset, column_indices, column_indices_offset
//     a, a_offset, a_stride, b, b_offset, b_stride
//     output, output_offset                   1 x count
//   Global size: ceil(count / ROW_GROUP) * ROW_GROUP, local ROW_GROUP.
//   Both take ROW_GROUP dot products at a time: each work-item sums its columns of all of them, the partial sums are
//   transposed through local memory, and each work-item ends up with one product.
//   Local memory: ROW_GROUP * (ROW_GROUP + 1) floats and ROW_GROUP indices; 4.4 KiB with 32, 17 KiB with 64.

#ifndef SPARSE_LANES
#define SPARSE_LANES 32
#endif
#ifndef SPARSE_ROWS
#define SPARSE_ROWS 4
#endif
#ifndef SPARSE_WIDTH
#define SPARSE_WIDTH 2
#endif
#ifndef SPARSE_BLOCK
#define SPARSE_BLOCK 256
#endif
// Work-items of a row or of a batch of pairs; the device's native width (32 on NVIDIA and Intel, 64 on AMD) is best.
#ifndef ROW_GROUP
#define ROW_GROUP 32
#endif

#if ROW_GROUP * (ROW_GROUP + 1) * 4 + 3 * ROW_GROUP * 8 > 49152
#error "the row group needs more than 48 KiB of local memory"
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

__kernel __attribute__((reqd_work_group_size(SPARSE_LANES, SPARSE_ROWS, 1))) void sparse_times_dense(
    int rows, int columns, const __global long *restrict row_pointers, long row_pointers_offset,
    const __global int *restrict column_indices, long column_indices_offset, const __global float *restrict values,
    long values_offset, const __global float *restrict dense, long dense_offset, long dense_stride, float alpha,
    float beta, __global float *output, long output_offset, long output_stride) {
    const int row = get_global_id(1);
    if (row >= rows) return;
    const int column0 = get_group_id(0) * (SPARSE_LANES * SPARSE_WIDTH) + get_local_id(0);
    row_pointers += row_pointers_offset + row;
    column_indices += column_indices_offset;
    values += values_offset;
    dense += dense_offset + column0;
    wide_t total[SPARSE_WIDTH];
#pragma unroll
    for (int j = 0; j < SPARSE_WIDTH; j++) total[j] = WIDE_ZERO;
    const long end = row_pointers[1];
    for (long block = row_pointers[0]; block < end; block += SPARSE_BLOCK) {
        const long block_end = min(end, block + SPARSE_BLOCK);
        float sum[SPARSE_WIDTH];
#pragma unroll
        for (int j = 0; j < SPARSE_WIDTH; j++) sum[j] = 0.0f;
#pragma unroll 4
        for (long entry = block; entry < block_end; entry++) {
            const float weight = values[entry];
            const __global float *from = dense + column_indices[entry] * dense_stride;
#pragma unroll
            for (int j = 0; j < SPARSE_WIDTH; j++)
                if (column0 + j * SPARSE_LANES < columns) sum[j] = fma(weight, from[j * SPARSE_LANES], sum[j]);
        }
#pragma unroll
        for (int j = 0; j < SPARSE_WIDTH; j++) total[j] = wide_add(total[j], wide_from(sum[j]));
    }
    __global float *to = output + output_offset + row * output_stride + column0;
#pragma unroll
    for (int j = 0; j < SPARSE_WIDTH; j++) {
        if (column0 + j * SPARSE_LANES >= columns) continue;
        float value = alpha * wide_value(total[j]);
        if (beta != 0.0f) value = fma(beta, to[j * SPARSE_LANES], value);
        to[j * SPARSE_LANES] = value;
    }
}

// ROW_GROUP dot products of rows of a and b; work-item i gets the one of the rows that lie at left[i] and right[i],
// or 0 where left[i] is negative. All work-items of the group take part.
static inline float group_dots(
    __local float *sums, const __local long *left, const __local long *right, const __global float *a,
    const __global float *b, int columns) {
    const int item = get_local_id(0);
    float own[ROW_GROUP];
#pragma unroll
    for (int p = 0; p < ROW_GROUP; p++) own[p] = 0.0f;
    for (int column = item; column < columns; column += ROW_GROUP) {
#pragma unroll
        for (int p = 0; p < ROW_GROUP; p++)
            if (left[p] >= 0) own[p] = fma(a[left[p] + column], b[right[p] + column], own[p]);
    }
#pragma unroll
    for (int p = 0; p < ROW_GROUP; p++) sums[p * (ROW_GROUP + 1) + item] = own[p];
    barrier(CLK_LOCAL_MEM_FENCE);
    float even = 0.0f, odd = 0.0f;
    for (int p = 0; p < ROW_GROUP; p += 2) {
        even += sums[item * (ROW_GROUP + 1) + p];
        odd += sums[item * (ROW_GROUP + 1) + p + 1];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return even + odd;
}

__kernel __attribute__((reqd_work_group_size(ROW_GROUP, 1, 1))) void observed_loss(
    int rows, int columns, const __global long *restrict row_pointers, long row_pointers_offset,
    const __global int *restrict column_indices, long column_indices_offset, const __global float *restrict values,
    long values_offset, int weighted, int has_targets, const __global float *restrict targets, long targets_offset,
    const __global float *restrict a, long a_offset, long a_stride, const __global float *restrict b, long b_offset,
    long b_stride, __global float *output, long output_offset) {
    __local float sums[ROW_GROUP * (ROW_GROUP + 1)];
    __local long left[ROW_GROUP], right[ROW_GROUP];
    __local wide_t totals[ROW_GROUP];
    const int item = get_local_id(0);
    const long row = get_group_id(0);
    const long begin = row_pointers[row_pointers_offset + row];
    const long end = row_pointers[row_pointers_offset + row + 1];
    wide_t total = WIDE_ZERO;
    for (long first = begin; first < end; first += ROW_GROUP) {
        const long entry = first + item;
        const int present = entry < end;
        left[item] = present ? row * a_stride : -1;
        right[item] = present ? column_indices[column_indices_offset + entry] * b_stride : 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        const float score = group_dots(sums, left, right, a + a_offset, b + b_offset, columns);
        if (present) {
            const float weight = weighted ? values[values_offset + entry] : 1.0f;
            const float error = (has_targets ? targets[targets_offset + entry] : 1.0f) - score;
            total = wide_add(total, wide_from(weight * error * error));
        }
    }
    totals[item] = total;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item == 0) {
        total = WIDE_ZERO;
        for (int i = 0; i < ROW_GROUP; i++) total = wide_add(total, totals[i]);
        output[output_offset + row] = wide_value(total);
    }
}

__kernel __attribute__((reqd_work_group_size(ROW_GROUP, 1, 1))) void observed_scores(
    int count, int columns, int a_rows, int b_rows, const __global int *restrict row_indices, long row_indices_offset,
    const __global int *restrict column_indices, long column_indices_offset, const __global float *restrict a,
    long a_offset, long a_stride, const __global float *restrict b, long b_offset, long b_stride,
    __global float *output, long output_offset) {
    __local float sums[ROW_GROUP * (ROW_GROUP + 1)];
    __local long left[ROW_GROUP], right[ROW_GROUP];
    const int item = get_local_id(0);
    const long pair = get_global_id(0);
    const int present = pair < count;
    const int row = present ? row_indices[row_indices_offset + pair] : -1;
    const int column = present ? column_indices[column_indices_offset + pair] : -1;
    const int inside = row >= 0 && row < a_rows && column >= 0 && column < b_rows;
    left[item] = inside ? row * a_stride : -1;
    right[item] = inside ? column * b_stride : 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    const float score = group_dots(sums, left, right, a + a_offset, b + b_offset, columns);
    if (present) output[output_offset + pair] = inside ? score : NAN;
}
