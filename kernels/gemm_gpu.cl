// Dense products on GPU-class devices: output = activation(alpha * op(a) * op(b) + beta * output + bias).
//
// Every work-group computes a TILE_M x TILE_N tile of the output. It walks along the sum in steps of TILE_K: while it
// multiplies the slice that lies in local memory, every work-item already holds its part of the next slice in
// registers; two local buffers need one barrier a step. Transposition changes only how a slice is fetched, so the
// inner loop is one for all four cases. Each work-item owns WORK_M x WORK_N outputs in groups of VECTOR neighbours,
// the groups spread over the tile so that neighbouring work-items read neighbouring vectors of local memory.
//
// A program has one entry point, since the drivers of GPUs take a second for each.
//   gemm, with TRANSPOSE_A and TRANSPOSE_B 0 or 1
//     m, n, k                        sizes of the product (int)
//     a, a_offset, a_stride          m x k, or k x m when transposed; offset and stride in elements (long)
//     b, b_offset, b_stride          k x n, or n x k when transposed
//     alpha, beta                    with beta == 0 the output is not read
//     has_bias, bias, bias_offset    1 x n; not read when has_bias is 0 (pass any buffer)
//     activation                     0 identity, 1 relu; with SMOOTH, which makes the text four times as long for
//                                    the compiler, 2 sigmoid and 3 tanh
//     output, output_offset, output_stride
//     slice                          terms of the sum per split, a multiple of TILE_K; k or more: no split
//     partial                        scratch of the splits; not used without a split (pass any buffer)
//     guard                          with GUARDED only: nothing is done where it points to 0
//     a_batch, b_batch, output_batch with BATCHED only, where the third dimension of the grid counts products instead
//                                    of splits: elements from one operand to the next (long)
//   ROUND_BFLOAT16 rounds the operands to bfloat16 on their way to local memory.
//   Global size: (ceil(n / TILE_N) * TILE_BAND * GEMM_ITEMS, ceil(ceil(m / TILE_M) / TILE_BAND),
//   max(1, ceil(k / slice))), local size (GEMM_ITEMS, 1, 1).
//   With more than one split the tiles' sums go to partial, splits * m * n floats, and gemm_combine finishes.
//   gemm_combine, with COMBINE
//     m, n, splits, partial, alpha, beta, has_bias, bias, bias_offset, activation, output, output_offset,
//     output_stride
//   Global size: (n, m) rounded up to the local size, for example (64, 4). Splits are added up in wider precision.
//
// Use: 128x128 (the default) for large products; TILE_M=64 TILE_N=64 WORK_M=4 WORK_N=4 for middling ones;
// TILE_M=32 TILE_N=32 WORK_M=4 WORK_N=4 for small and skinny ones; splits where there are too few tiles to fill the
// device and k is long.
// Local memory: 2 * TILE_K * (TILE_M + TILE_N + 2 * LOCAL_PAD) floats; 33 KiB by default, 17 KiB and 9 KiB for the
// smaller tiles.

#ifndef TILE_M
#define TILE_M 128
#endif
#ifndef TILE_N
#define TILE_N 128
#endif
#ifndef TILE_K
#define TILE_K 16
#endif
#ifndef WORK_M
#define WORK_M 8
#endif
#ifndef WORK_N
#define WORK_N 8
#endif
// Neighbouring elements that a work-item loads at once; 1, 2 or 4.
#ifndef VECTOR
#define VECTOR 4
#endif
// Spreads the columns of a slice over the banks of local memory; a multiple of VECTOR.
#ifndef LOCAL_PAD
#define LOCAL_PAD 4
#endif
// Rows of tiles that are worked off together, so that they share their slices of b in the cache.
#ifndef TILE_BAND
#define TILE_BAND 8
#endif

// Whether outputs are stored as vectors. Oclgrind takes apart vectors that are put together from elements and then
// reports their first, empty form as uninitialized; its checks run with 0.
#ifndef VECTOR_STORE
#define VECTOR_STORE 1
#endif

#ifndef TRANSPOSE_A
#define TRANSPOSE_A 0
#endif
#ifndef TRANSPOSE_B
#define TRANSPOSE_B 0
#endif

#define ITEMS_M (TILE_M / WORK_M)
#define ITEMS_N (TILE_N / WORK_N)
#define GEMM_ITEMS (ITEMS_M * ITEMS_N)
#define STRIDE_A (TILE_M + LOCAL_PAD)
#define STRIDE_B (TILE_N + LOCAL_PAD)
#define FETCH_A (TILE_M * TILE_K / (VECTOR * GEMM_ITEMS))
#define FETCH_B (TILE_N * TILE_K / (VECTOR * GEMM_ITEMS))

#if 2 * TILE_K * (STRIDE_A + STRIDE_B) * 4 > 49152
#error "the tiles need more than 48 KiB of local memory"
#endif
#if TILE_M % WORK_M || TILE_N % WORK_N || WORK_M % VECTOR || WORK_N % VECTOR || TILE_K % VECTOR || LOCAL_PAD % VECTOR
#error "tile sizes must be multiples of the work-item's sizes, and these of VECTOR"
#endif
#if (TILE_M * TILE_K) % (VECTOR * GEMM_ITEMS) || (TILE_N * TILE_K) % (VECTOR * GEMM_ITEMS)
#error "a slice must divide evenly among the work-items"
#endif
#ifdef __FAST_RELAXED_MATH__
#error "NaN and infinity are data here; build without -cl-fast-relaxed-math"
#endif

#if defined(cl_khr_fp64) && !defined(NO_DOUBLE)
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

#if VECTOR == 4
typedef float4 vector_t;
#elif VECTOR == 2
typedef float2 vector_t;
#elif VECTOR == 1
typedef float vector_t;
#else
#error "VECTOR is 1, 2 or 4"
#endif

#ifdef ROUND_BFLOAT16
// The nearest bfloat16, ties to even; NaN stays NaN.
static inline float operand(float x) {
    const uint bits = as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return x;
    return as_float((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}
#else
static inline float operand(float x) { return x; }
#endif

// Fetches this work-item's share of a slice, rows x TILE_K elements whose corner is (row0, k0), into registers.
// along_k: neighbours in memory differ in k (else in the row). Outside the source the slice is 0.
static inline void fetch_slice(
    vector_t *registers, const __global float *source, long stride, uint item, int tile_rows, int count, int row0,
    int row_end, int k0, int k_end, int along_k, int aligned) {
    const int whole = aligned && row0 + tile_rows <= row_end && k0 + TILE_K <= k_end;
    const uint per_line = (along_k ? TILE_K : tile_rows) / VECTOR;
#pragma unroll
    for (int f = 0; f < count; f++) {
        const uint piece = item + f * GEMM_ITEMS;
        const int line = piece / per_line;
        const int within = piece % per_line * VECTOR;
        const int row = row0 + (along_k ? line : within);
        const int k = k0 + (along_k ? within : line);
        const long place = along_k ? (long)row * stride + k : (long)k * stride + row;
        if (whole) {
            registers[f] = *(const __global vector_t *)(source + place);
        } else {
#pragma unroll
            for (int v = 0; v < VECTOR; v++) {
                const int inside = along_k ? row < row_end && k + v < k_end : row + v < row_end && k < k_end;
                ((float *)(registers + f))[v] = inside ? source[place + v] : 0.0f;
            }
        }
    }
}

// Puts what fetch_slice fetched into local memory as slice[k][row].
static inline void store_slice(
    const vector_t *registers, __local float *slice, int local_stride, uint item, int tile_rows, int count,
    int along_k) {
    const uint per_line = (along_k ? TILE_K : tile_rows) / VECTOR;
#pragma unroll
    for (int f = 0; f < count; f++) {
        const uint piece = item + f * GEMM_ITEMS;
        const int line = piece / per_line;
        const int within = piece % per_line * VECTOR;
        if (along_k) {
#pragma unroll
            for (int v = 0; v < VECTOR; v++)
                slice[(within + v) * local_stride + line] = operand(((const float *)(registers + f))[v]);
        } else {
#ifdef ROUND_BFLOAT16
#pragma unroll
            for (int v = 0; v < VECTOR; v++)
                slice[line * local_stride + within + v] = operand(((const float *)(registers + f))[v]);
#else
            *(__local vector_t *)(slice + line * local_stride + within) = registers[f];
#endif
        }
    }
}

static inline float activated(float x, int activation) {
    // fmax would turn NaN into 0.
    if (activation == 1) return x < 0.0f ? 0.0f : x;
#ifdef SMOOTH
    if (activation == 2) return 1.0f / (1.0f + exp(-x));
    if (activation == 3) return tanh(x);
#endif
    return x;
}

static inline int is_aligned(const __global float *operand, long stride) {
    return ((uintptr_t)operand & (4 * VECTOR - 1)) == 0 && stride % VECTOR == 0;
}

static inline void gemm_tile(
    __local float *slices_a, __local float *slices_b, int m, int n, int k,
    const __global float *a, long a_stride, const __global float *b, long b_stride, float alpha, float beta,
    int has_bias, const __global float *bias, int activation, __global float *output, long output_stride, long slice,
    __global float *partial) {
    const uint item = get_local_id(0);
    // A group of 32 neighbouring work-items covers 4 x 8 register tiles where it can: it then reads the fewest
    // different vectors of local memory.
#if ITEMS_N % 8 == 0 && ITEMS_M % 4 == 0
    const uint band = item / 32, lane = item % 32;
    const int item_n = band % (ITEMS_N / 8) * 8 + lane % 8;
    const int item_m = band / (ITEMS_N / 8) * 4 + lane / 8;
#else
    const int item_n = item % ITEMS_N;
    const int item_m = item / ITEMS_N;
#endif
    const uint in_band = get_group_id(0);
    const int row0 = (get_group_id(1) * TILE_BAND + in_band % TILE_BAND) * TILE_M;
    const int column0 = in_band / TILE_BAND * TILE_N;

#ifdef BATCHED
    const int split = 0;
#else
    const int split = get_group_id(2);
#endif
    const int k_begin = (int)min((long)k, split * slice);
    const int k_end = (int)min((long)k, (split + 1) * slice);
    const int aligned_a = is_aligned(a, a_stride);
    const int aligned_b = is_aligned(b, b_stride);

    vector_t next_a[FETCH_A], next_b[FETCH_B];
    float sum[WORK_M][WORK_N];
#pragma unroll
    for (int i = 0; i < WORK_M; i++)
#pragma unroll
        for (int j = 0; j < WORK_N; j++) sum[i][j] = 0.0f;

    // A tile below the last row has nothing to do, but meets the barriers like all others.
    const int steps = row0 < m ? (k_end - k_begin + TILE_K - 1) / TILE_K : 0;
    if (steps > 0) {
        fetch_slice(next_a, a, a_stride, item, TILE_M, FETCH_A, row0, m, k_begin, k_end, !TRANSPOSE_A, aligned_a);
        fetch_slice(next_b, b, b_stride, item, TILE_N, FETCH_B, column0, n, k_begin, k_end, TRANSPOSE_B, aligned_b);
        store_slice(next_a, slices_a, STRIDE_A, item, TILE_M, FETCH_A, !TRANSPOSE_A);
        store_slice(next_b, slices_b, STRIDE_B, item, TILE_N, FETCH_B, TRANSPOSE_B);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = 0; step < steps; step++) {
        const int k0 = k_begin + (step + 1) * TILE_K;
        if (step + 1 < steps) {
            fetch_slice(next_a, a, a_stride, item, TILE_M, FETCH_A, row0, m, k0, k_end, !TRANSPOSE_A, aligned_a);
            fetch_slice(next_b, b, b_stride, item, TILE_N, FETCH_B, column0, n, k0, k_end, TRANSPOSE_B, aligned_b);
        }
        const __local float *slice_a = slices_a + (step & 1) * TILE_K * STRIDE_A;
        const __local float *slice_b = slices_b + (step & 1) * TILE_K * STRIDE_B;
#pragma unroll
        for (int kk = 0; kk < TILE_K; kk++) {
            vector_t left[WORK_M / VECTOR], right[WORK_N / VECTOR];
#pragma unroll
            for (int g = 0; g < WORK_M / VECTOR; g++)
                left[g] = *(const __local vector_t *)(slice_a + kk * STRIDE_A + (g * ITEMS_M + item_m) * VECTOR);
#pragma unroll
            for (int g = 0; g < WORK_N / VECTOR; g++)
                right[g] = *(const __local vector_t *)(slice_b + kk * STRIDE_B + (g * ITEMS_N + item_n) * VECTOR);
#pragma unroll
            for (int i = 0; i < WORK_M; i++)
#pragma unroll
                for (int j = 0; j < WORK_N; j++) sum[i][j] = fma(((float *)left)[i], ((float *)right)[j], sum[i][j]);
        }
        if (step + 1 < steps) {
            const int other = (step + 1) & 1;
            store_slice(next_a, slices_a + other * TILE_K * STRIDE_A, STRIDE_A, item, TILE_M, FETCH_A, !TRANSPOSE_A);
            store_slice(next_b, slices_b + other * TILE_K * STRIDE_B, STRIDE_B, item, TILE_N, FETCH_B, TRANSPOSE_B);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#ifdef BATCHED
    const int splits = 1;
#else
    const int splits = get_num_groups(2);
#endif
    const int aligned_output =
        VECTOR_STORE && splits == 1 && column0 + TILE_N <= n && is_aligned(output, output_stride);
#pragma unroll
    for (int i = 0; i < WORK_M; i++) {
        const int row = row0 + (i / VECTOR * ITEMS_M + item_m) * VECTOR + i % VECTOR;
        if (row >= m) continue;
#pragma unroll
        for (int g = 0; g < WORK_N / VECTOR; g++) {
            const int column = column0 + (g * ITEMS_N + item_n) * VECTOR;
            __global float *target = output + (long)row * output_stride + column;
            if (aligned_output) {
                vector_t values = beta != 0.0f ? *(const __global vector_t *)target : (vector_t)(0.0f);
#pragma unroll
                for (int v = 0; v < VECTOR; v++) {
                    float value = alpha * sum[i][g * VECTOR + v];
                    if (beta != 0.0f) value = fma(beta, ((float *)&values)[v], value);
                    if (has_bias) value += bias[column + v];
                    ((float *)&values)[v] = activated(value, activation);
                }
                *(__global vector_t *)target = values;
            } else {
#pragma unroll
                for (int v = 0; v < VECTOR; v++) {
                    if (column + v >= n) continue;
                    if (splits > 1) {
                        partial[((long)split * m + row) * n + column + v] = sum[i][g * VECTOR + v];
                    } else {
                        float value = alpha * sum[i][g * VECTOR + v];
                        if (beta != 0.0f) value = fma(beta, target[v], value);
                        if (has_bias) value += bias[column + v];
                        target[v] = activated(value, activation);
                    }
                }
            }
        }
    }
}

#ifdef GUARDED
#define EXTRA_PARAMETERS , const __global int *guard
#define EXTRA_START if (!*guard) return;
#elif defined(BATCHED)
#define EXTRA_PARAMETERS , long a_batch, long b_batch, long output_batch
#define EXTRA_START                                                                                                    \
    a += get_group_id(2) * a_batch;                                                                                    \
    b += get_group_id(2) * b_batch;                                                                                    \
    output += get_group_id(2) * output_batch;
#else
#define EXTRA_PARAMETERS
#define EXTRA_START
#endif

#ifndef COMBINE
__kernel __attribute__((reqd_work_group_size(GEMM_ITEMS, 1, 1))) void gemm(
    int m, int n, int k, const __global float *restrict a, long a_offset, long a_stride,
    const __global float *restrict b, long b_offset, long b_stride, float alpha, float beta, int has_bias,
    const __global float *restrict bias, long bias_offset, int activation, __global float *output, long output_offset,
    long output_stride, long slice, __global float *partial EXTRA_PARAMETERS) {
    __local float slices_a[2 * TILE_K * STRIDE_A] __attribute__((aligned(16)));
    __local float slices_b[2 * TILE_K * STRIDE_B] __attribute__((aligned(16)));
    EXTRA_START
    gemm_tile(
        slices_a, slices_b, m, n, k, a + a_offset, a_stride, b + b_offset, b_stride, alpha, beta, has_bias,
        bias + bias_offset, activation, output + output_offset, output_stride, slice, partial);
}
#else
__kernel void gemm_combine(
    int m, int n, int splits, const __global float *restrict partial, float alpha, float beta, int has_bias,
    const __global float *restrict bias, long bias_offset, int activation, __global float *output, long output_offset,
    long output_stride EXTRA_PARAMETERS) {
    EXTRA_START
    const int column = get_global_id(0);
    const int row = get_global_id(1);
    if (row >= m || column >= n) return;
    const long place = (long)row * n + column;
#if defined(cl_khr_fp64) && !defined(NO_DOUBLE)
    double total = 0.0;
    for (int s = 0; s < splits; s++) total += partial[(long)s * m * n + place];
    const float sum = (float)total;
#else
    // Two floats: the rounding error of each addition is kept and added at the end.
    float high = 0.0f, low = 0.0f;
    for (int s = 0; s < splits; s++) {
        const float x = partial[(long)s * m * n + place];
        const float t = high + x;
        const float part = t - high;
        low += (high - (t - part)) + (x - part);
        high = t;
    }
    // An infinite or NaN sum has no error term.
    const float sum = isfinite(high) ? high + low : high;
#endif
    __global float *target = output + output_offset + (long)row * output_stride + column;
    float value = alpha * sum;
    if (beta != 0.0f) value = fma(beta, *target, value);
    if (has_bias) value += bias[bias_offset + column];
    *target = activated(value, activation);
}
#endif
