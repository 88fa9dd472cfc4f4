// Gram matrices for CPU-class devices: output = transpose(input) * input.
//
// The d columns are cut into blocks of 96, a multiple of both extents of a register tile. A work-item takes one pair of blocks
// (I <= J) and one chunk of rows. It copies 64 rows at a time of its two blocks to private memory, where they are
// contiguous and padded with zeros, adds the products up in float32 over RUN_ROWS rows at most, and then in double
// precision. Chunks are fixed by the shape and added up in order by gram_total, which also mirrors the triangle.
// Work-groups of 1.

#pragma OPENCL EXTENSION cl_khr_fp64 : enable

#define BLOCK 96
#define STEP_ROWS 64
#define RUN_STEPS 8

// Compiled once a kernel instead of once a place of use.
#define SHARED __attribute__((noinline)) static

// Copies rows x (width <= BLOCK) elements to rows of BLOCK, zeros beyond the width.
SHARED void load_block(__global const float *from, long stride, int rows, int width, float *to) {
    if (width == BLOCK) {
        for (int r = 0; r < rows; ++r) {
            for (int v = 0; v < BLOCK / 16; ++v) vstore16(vload16(v, from + r * stride), v, to + r * BLOCK);
        }
        return;
    }
    const int vectors = width / 16;
    for (int r = 0; r < rows; ++r) {
        __global const float *row = from + r * stride;
        for (int v = 0; v < vectors; ++v) vstore16(vload16(v, row), v, to + r * BLOCK);
        for (int j = vectors * 16; j < width; ++j) to[r * BLOCK + j] = row[j];
        for (int j = width; j < BLOCK; ++j) to[r * BLOCK + j] = 0.0f;
    }
}

// Each step sums up on its own first: the error grows with the steps, not with the rows.
#define STORE_SUMS(i)                                                                      \
    STORE_REGISTER(LOAD_REGISTER(0, sums + i * BLOCK) + low##i, 0, sums + i * BLOCK);      \
    STORE_REGISTER(LOAD_REGISTER(1, sums + i * BLOCK) + high##i, 1, sums + i * BLOCK);

SHARED void add_tile(const float *pa, const float *pb, int rows, float *sums) {
    FOR_TILE_ROWS(DECLARE_SUMS)
    for (int r = 0; r < rows; ++r) {
        const register_type b0 = LOAD_REGISTER(0, pb);
        const register_type b1 = LOAD_REGISTER(1, pb);
        FOR_TILE_ROWS(ADD_PRODUCTS)
        pa += BLOCK;
        pb += BLOCK;
    }
    FOR_TILE_ROWS(STORE_SUMS)
}

// Grid: (pairs of blocks, chunks). partial: chunks x pairs x BLOCK x BLOCK doubles.
__kernel void gram_partial(
    __global const float *input, long input_offset, long input_stride, long rows, long d, long chunk_rows,
    __global double *partial) {
    const long pair = get_global_id(0);
    const long chunk = get_global_id(1);
    // Pairs are counted (0,0), (0,1), (1,1), (0,2), (1,2), (2,2), ...: the column block is the larger.
    long column_block = 0;
    while ((column_block + 1) * (column_block + 2) / 2 <= pair) ++column_block;
    const long row_block = pair - column_block * (column_block + 1) / 2;
    const int row_width = (int)min(d - row_block * BLOCK, (long)BLOCK);
    const int column_width = (int)min(d - column_block * BLOCK, (long)BLOCK);
    const int row_tiles = (row_width + TILE_ROWS - 1) / TILE_ROWS;
    const int column_tiles = (column_width + TILE_COLUMNS - 1) / TILE_COLUMNS;

    float left[STEP_ROWS * BLOCK], right[STEP_ROWS * BLOCK], sums[BLOCK * BLOCK];
    const float *other = row_block == column_block ? left : right;
    __global double *total = partial + (chunk * (long)get_global_size(0) + pair) * BLOCK * BLOCK;
    for (int v = 0; v < BLOCK * BLOCK / 16; ++v) vstore16((double16)(0.0), v, total);
    for (int v = 0; v < BLOCK * BLOCK / 16; ++v) vstore16((float16)(0.0f), v, sums);

    const long first = chunk * chunk_rows;
    const long last = min(rows, first + chunk_rows);
    int steps = 0;
    for (long start = first; start < last; start += STEP_ROWS) {
        const int count = (int)min(last - start, (long)STEP_ROWS);
        __global const float *from = input + input_offset + start * input_stride;
        load_block(from + row_block * BLOCK, input_stride, count, row_width, left);
        if (row_block != column_block) load_block(from + column_block * BLOCK, input_stride, count, column_width, right);
        for (int column = 0; column < column_tiles; ++column) {
            for (int row = 0; row < row_tiles; ++row) {
                // Below the diagonal nothing is needed.
                if (row_block == column_block && row * TILE_ROWS >= (column + 1) * TILE_COLUMNS) break;
                add_tile(
                    left + row * TILE_ROWS, other + column * TILE_COLUMNS, count,
                    sums + row * TILE_ROWS * BLOCK + column * TILE_COLUMNS);
            }
        }
        if (++steps == RUN_STEPS || start + STEP_ROWS >= last) {
            steps = 0;
            for (int v = 0; v < BLOCK * BLOCK / 16; ++v) {
                vstore16(vload16(v, total) + convert_double16(vload16(v, sums)), v, total);
                vstore16((float16)(0.0f), v, sums);
            }
        }
    }
}

// Adds up the chunks. Grid: (rows of a block, pairs); writes the upper triangle and its mirror image.
__kernel void gram_total(
    __global const double *partial, long chunks, long d, __global float *output, long output_offset,
    long output_stride) {
    const long row = get_global_id(0);
    const long pair = get_global_id(1);
    const long pairs = get_global_size(1);
    long column_block = 0;
    while ((column_block + 1) * (column_block + 2) / 2 <= pair) ++column_block;
    const long i = (pair - column_block * (column_block + 1) / 2) * BLOCK + row;
    if (i >= d) return;
    double sums[BLOCK];
    for (int v = 0; v < BLOCK / 16; ++v) {
        double16 sum = (double16)(0.0);
        for (long chunk = 0; chunk < chunks; ++chunk) {
            sum += vload16(v, partial + ((chunk * pairs + pair) * BLOCK + row) * BLOCK);
        }
        vstore16(sum, v, sums);
    }
    const long first = column_block * BLOCK;
    const long last = min(first + BLOCK, d);
    for (long j = max(i, first); j < last; ++j) {
        const float value = (float)sums[j - first];
        output[output_offset + i * output_stride + j] = value;
        output[output_offset + j * output_stride + i] = value;
    }
}
