// Gram matrices on GPU-class devices: output = transpose(input) * input, both triangles.
//
// The rows are cut into chunks. For each chunk and each TILE x TILE tile of the lower triangle a work-group adds up
// FLUSH_ROWS rows in float registers, then adds these sums to its own place in the scratch in wider precision (double,
// or two floats where the device has no double), and so on to the end of the chunk. A second kernel adds up the chunks
// and writes both triangles. No atomics; the order of all sums is fixed by the shape and the chunk size.
//
// Entry points:
//   gram_partial
//     rows (long), columns (int)          n and d
//     input, input_offset, input_stride   n x d, in elements (long)
//     chunk_rows                          rows of a chunk, a multiple of TILE_K (long)
//     partial                             scratch: chunks * tiles * TILE * TILE * 8 bytes
//   Global size: (tiles * GRAM_ITEMS, chunks), local (GRAM_ITEMS, 1), where t = ceil(d / TILE),
//   tiles = t * (t + 1) / 2, chunks = ceil(n / chunk_rows). A chunk size that makes tiles * chunks some four times the
//   number of compute units fills the device; it must depend on the shape alone.
//   gram_combine
//     columns, chunks (int), partial, output, output_offset, output_stride
//   Global size: (d, d) rounded up to the local size, for example (32, 8). With n = 0, run it alone with 0 chunks.
//
// Local memory: 4 * TILE_K * (TILE + LOCAL_PAD) floats; 17 KiB by default.

#ifndef TILE
#define TILE 64
#endif
#ifndef TILE_K
#define TILE_K 16
#endif
// Each work-item owns WORK x WORK sums; a multiple of VECTOR.
#ifndef WORK
#define WORK 4
#endif
#ifndef VECTOR
#define VECTOR 4
#endif
#ifndef LOCAL_PAD
#define LOCAL_PAD 4
#endif
// Rows that are added up in float; a multiple of TILE_K.
#ifndef FLUSH_ROWS
#define FLUSH_ROWS 512
#endif

#define SIDE (TILE / WORK)
#define GRAM_ITEMS (SIDE * SIDE)
#define STRIDE_LOCAL (TILE + LOCAL_PAD)
#define FETCH (TILE * TILE_K / (VECTOR * GRAM_ITEMS))

#if 4 * TILE_K * STRIDE_LOCAL * 4 > 49152
#error "the tiles need more than 48 KiB of local memory"
#endif
#if TILE % WORK || WORK % VECTOR || LOCAL_PAD % VECTOR || FLUSH_ROWS % TILE_K
#error "TILE must be a multiple of WORK, WORK and LOCAL_PAD of VECTOR, FLUSH_ROWS of TILE_K"
#endif
#if (TILE * TILE_K) % (VECTOR * GRAM_ITEMS)
#error "a slice must divide evenly among the work-items"
#endif
#ifdef __FAST_RELAXED_MATH__
#error "NaN and infinity are data, and rounding errors are kept; build without -cl-fast-relaxed-math"
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

// Row and column of tile number `index` of a lower triangle, counted row after row.
static inline int2 triangle_place(int index) {
    int row = (int)((sqrt(8.0f * (float)index + 1.0f) - 1.0f) * 0.5f);
    // The root is rounded.
    while ((row + 1) * (row + 2) / 2 <= index) row++;
    while (row * (row + 1) / 2 > index) row--;
    return (int2)(row, index - row * (row + 1) / 2);
}

static inline void fetch_slice(
    vector_t *registers, const __global float *input, long stride, uint item, int column0, int columns, long row0,
    long row_end, int aligned) {
    const int whole = aligned && column0 + TILE <= columns && row0 + TILE_K <= row_end;
#pragma unroll
    for (int f = 0; f < FETCH; f++) {
        const uint piece = item + f * GRAM_ITEMS;
        const long row = row0 + piece / (TILE / VECTOR);
        const int column = column0 + piece % (TILE / VECTOR) * VECTOR;
        const __global float *from = input + row * stride + column;
        if (whole) {
            registers[f] = *(const __global vector_t *)from;
        } else {
#pragma unroll
            for (int v = 0; v < VECTOR; v++)
                ((float *)(registers + f))[v] = row < row_end && column + v < columns ? from[v] : 0.0f;
        }
    }
}

static inline void store_slice(const vector_t *registers, __local float *slice, uint item) {
#pragma unroll
    for (int f = 0; f < FETCH; f++) {
        const uint piece = item + f * GRAM_ITEMS;
        *(__local vector_t *)(slice + piece / (TILE / VECTOR) * STRIDE_LOCAL + piece % (TILE / VECTOR) * VECTOR) =
            registers[f];
    }
}

__kernel __attribute__((reqd_work_group_size(GRAM_ITEMS, 1, 1))) void gram_partial(
    long rows, int columns, const __global float *restrict input, long input_offset, long input_stride,
    long chunk_rows, __global wide_t *restrict partial) {
    __local float slices_left[2 * TILE_K * STRIDE_LOCAL] __attribute__((aligned(16)));
    __local float slices_right[2 * TILE_K * STRIDE_LOCAL] __attribute__((aligned(16)));
    const uint item = get_local_id(0);
    const uint item_row = item / SIDE, item_column = item % SIDE;
    const int2 place = triangle_place(get_group_id(0));
    const long first = get_group_id(1) * chunk_rows;
    const long end = min(rows, first + chunk_rows);
    input += input_offset;
    const int aligned = ((uintptr_t)input & (4 * VECTOR - 1)) == 0 && input_stride % VECTOR == 0;
    __global wide_t *sums = partial + (get_group_id(1) * get_num_groups(0) + get_group_id(0)) * (TILE * TILE);

    vector_t next_left[FETCH], next_right[FETCH];
    float sum[WORK][WORK];
#pragma unroll
    for (int i = 0; i < WORK; i++)
#pragma unroll
        for (int j = 0; j < WORK; j++) sum[i][j] = 0.0f;

    const int steps = (int)((end - first + TILE_K - 1) / TILE_K);
    fetch_slice(next_left, input, input_stride, item, place.x * TILE, columns, first, end, aligned);
    fetch_slice(next_right, input, input_stride, item, place.y * TILE, columns, first, end, aligned);
    store_slice(next_left, slices_left, item);
    store_slice(next_right, slices_right, item);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = 0; step < steps; step++) {
        const long row0 = first + (step + 1) * (long)TILE_K;
        if (step + 1 < steps) {
            fetch_slice(next_left, input, input_stride, item, place.x * TILE, columns, row0, end, aligned);
            fetch_slice(next_right, input, input_stride, item, place.y * TILE, columns, row0, end, aligned);
        }
        const __local float *left_slice = slices_left + (step & 1) * TILE_K * STRIDE_LOCAL;
        const __local float *right_slice = slices_right + (step & 1) * TILE_K * STRIDE_LOCAL;
#pragma unroll
        for (int kk = 0; kk < TILE_K; kk++) {
            vector_t left[WORK / VECTOR], right[WORK / VECTOR];
#pragma unroll
            for (int g = 0; g < WORK / VECTOR; g++) {
                left[g] = *(const __local vector_t *)(left_slice + kk * STRIDE_LOCAL + (g * SIDE + item_row) * VECTOR);
                right[g] =
                    *(const __local vector_t *)(right_slice + kk * STRIDE_LOCAL + (g * SIDE + item_column) * VECTOR);
            }
#pragma unroll
            for (int i = 0; i < WORK; i++)
#pragma unroll
                for (int j = 0; j < WORK; j++) sum[i][j] = fma(((float *)left)[i], ((float *)right)[j], sum[i][j]);
        }
        if (step + 1 < steps) {
            store_slice(next_left, slices_left + ((step + 1) & 1) * TILE_K * STRIDE_LOCAL, item);
            store_slice(next_right, slices_right + ((step + 1) & 1) * TILE_K * STRIDE_LOCAL, item);
        }
        // Nobody else touches this work-item's places of the scratch. They lie so that neighbours write neighbours.
        if (step + 1 == steps || (step + 1) % (FLUSH_ROWS / TILE_K) == 0) {
            const int begun = step >= FLUSH_ROWS / TILE_K;
#pragma unroll
            for (int i = 0; i < WORK; i++)
#pragma unroll
                for (int j = 0; j < WORK; j++) {
                    __global wide_t *to = sums + (i * WORK + j) * GRAM_ITEMS + item;
                    *to = wide_add(begun ? *to : WIDE_ZERO, wide_from(sum[i][j]));
                    sum[i][j] = 0.0f;
                }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

__kernel void gram_combine(
    int columns, int chunks, const __global wide_t *restrict partial, __global float *output, long output_offset,
    long output_stride) {
    const int column = get_global_id(0);
    const int row = get_global_id(1);
    if (row >= columns || column >= columns) return;
    // The upper triangle reads the mirrored place; a tile on the diagonal is complete and symmetric to the bit.
    const int mirrored = row / TILE < column / TILE;
    const uint r = mirrored ? column : row, c = mirrored ? row : column;
    const int side = (columns + TILE - 1) / TILE;
    const long tiles = (long)side * (side + 1) / 2;
    const long tile = (long)(r / TILE) * (r / TILE + 1) / 2 + c / TILE;
    const uint in_r = r % TILE, in_c = c % TILE;
    // Which work-item of gram_partial owned the element, and as which of its sums.
    const uint owner = in_r / VECTOR % SIDE * SIDE + in_c / VECTOR % SIDE;
    const uint i = in_r / (VECTOR * SIDE) * VECTOR + in_r % VECTOR, j = in_c / (VECTOR * SIDE) * VECTOR + in_c % VECTOR;
    const __global wide_t *from = partial + tile * (TILE * TILE) + (i * WORK + j) * GRAM_ITEMS + owner;
    wide_t total = WIDE_ZERO;
    for (int chunk = 0; chunk < chunks; chunk++) total = wide_add(total, from[chunk * tiles * (TILE * TILE)]);
    output[output_offset + (long)row * output_stride + column] = wide_value(total);
}
