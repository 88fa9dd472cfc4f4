// Dense products on NVIDIA's tensor units, through inline PTX: mma.sync, from compute capability 8.0 on.
//
// Without BFLOAT16: float32 by three products of TF32 (11 significant bits). Every operand is split into a large part
// and a small one, and large * large + large * small + small * large keeps some 22 bits of every product.
// With BFLOAT16: operands are rounded to bfloat16. Sums are float32 either way.
//
// Both operands are packed first, in the order in which the lanes of a warp hold them (PTX ISA, "Matrix Fragments for
// mma.m16n8k8" and "mma.m16n8k16"): the product then moves only whole uint4 of neighbouring lanes, from global to local
// memory and from there to registers, and needs neither ldmatrix nor a swizzle.
//
//   packed a: [block of BLOCK_K][block of 16 rows][PARTS][32 lanes] of uint4
//   packed b: [block of BLOCK_K][block of PIECE columns][32 lanes] of uint4
//
// Rows, columns and terms past the edge are 0; padded to whole tiles and whole stages.
//
//   pack_a, pack_b
//     count, k                       rows of op(a) or columns of op(b), and terms of the sum (int)
//     blocks, k_blocks               of lines and of BLOCK_K, the padding included (int)
//     x, x_offset, line_step, k_step element (i, p) of the operand is x[x_offset + i * line_step + p * k_step] (long)
//     packed, special                special: becomes 1 where a value has no split (see below); any int buffer
//   Global size: (32, blocks, k_blocks) rounded up to the local size, (32, 1, 4) where k is contiguous in memory and
//   (32, 4, 1) where the lines are: a group then reads whole lines of memory.
//   gemm_tensor
//     m, n (int), k_blocks, row_blocks, column_blocks, packed a, packed b, special, and what gemm_gpu.cl takes from
//     alpha to output_stride; SMOOTH compiles the sigmoid and tanh into it
//   Global size: (column tiles * TILE_BAND * GEMM_ITEMS, ceil(row tiles / TILE_BAND)), local size (GEMM_ITEMS, 1, 1).
//   probe: one instruction on known numbers; see the kernel.
//
// Infinities, NaN and values that round to infinity have no split: inf * 0 would poison the mixed products. pack_a and
// pack_b note them, gemm_tensor then does nothing, and gemm_gpu.cl, launched after it with GUARDED, computes instead.
//
// EMULATED replaces the instruction by its definition, lane by lane through local memory, so that packing and index
// arithmetic are tested on any device.
//
// Local memory: 32 KiB at the defaults; with EMULATED 768 bytes a warp more.

#ifndef TILE_M
#define TILE_M 128
#endif
#ifndef TILE_N
#define TILE_N 128
#endif
// The part of the tile that a warp computes.
#ifndef WARP_M
#define WARP_M 64
#endif
#ifndef WARP_N
#define WARP_N 32
#endif
// Blocks of BLOCK_K that are in local memory at a time, twice.
#ifndef STEP
#ifdef BFLOAT16
#define STEP 2
#else
#define STEP 1
#endif
#endif
#ifndef TILE_BAND
#define TILE_BAND 8
#endif

#ifdef BFLOAT16
#define BLOCK_K 16
#define PARTS 1
#define PIECE 16
#else
#define BLOCK_K 8
#define PARTS 2
#define PIECE 8
#endif

// Stages whose products the units add up before their sum is added in float32 with rounding: they cut off what an
// accumulator can't hold, which over long sums costs digits. Beside the error of bfloat16 that is nothing.
#define FLUSH_STEPS 8
#ifdef BFLOAT16
#define SUMS sum
#else
#define SUMS total
#endif

#define WARPS_M (TILE_M / WARP_M)
#define WARPS_N (TILE_N / WARP_N)
#define GEMM_ITEMS (WARPS_M * WARPS_N * 32)
#define ROW_BLOCKS (TILE_M / 16)
#define PIECES (TILE_N / PIECE)
#define STAGE_A (STEP * ROW_BLOCKS * PARTS * 32)
#define STAGE_B (STEP * PIECES * 32)
#define FETCH_A (STAGE_A / GEMM_ITEMS)
#define FETCH_B (STAGE_B / GEMM_ITEMS)

#if TILE_M % WARP_M || TILE_N % WARP_N || WARP_M % 16 || WARP_N % PIECE
#error "tiles must be whole warps' parts, and these whole blocks"
#endif
#if STAGE_A % GEMM_ITEMS || STAGE_B % GEMM_ITEMS
#error "a stage must divide evenly among the work-items"
#endif
#if 2 * (STAGE_A + STAGE_B) * 16 > 49152
#error "the stages need more than 48 KiB of local memory"
#endif

// PoCL handles barriers in loops, but not hundreds of them one after the other.
#ifdef EMULATED
#define UNROLL
#else
#define UNROLL _Pragma("unroll")
#endif

// MARK: the instruction

#ifdef EMULATED

#pragma OPENCL EXTENSION cl_khr_fp64 : enable

// What every lane of a warp hands to the instruction: 4 words of a, 2 of b.
#define EXCHANGE_WORDS 6

// d += a * b for the 16 x 8 tile of d, straight from the tables of the PTX ISA. `words` belongs to the warp.
static inline void mma(__local uint *words, uint lane, float *d, uint4 a, uint b0, uint b1) {
    __local uint *own = words + lane * EXCHANGE_WORDS;
    own[0] = a.x;
    own[1] = a.y;
    own[2] = a.z;
    own[3] = a.w;
    own[4] = b0;
    own[5] = b1;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int c = 0; c < 4; c++) {
        const uint row = lane / 4 + (c < 2 ? 0 : 8);
        const uint column = lane % 4 * 2 + c % 2;
        double sum = d[c];
        for (uint k = 0; k < BLOCK_K; k++) {
#ifdef BFLOAT16
            // Two values in a word, the first in the lower half.
            const uint left = words[(row % 8 * 4 + k % 8 / 2) * EXCHANGE_WORDS + row / 8 + k / 8 * 2];
            const uint right = words[(column * 4 + k % 8 / 2) * EXCHANGE_WORDS + 4 + k / 8];
            sum += (double)as_float((k % 2 ? left >> 16 : left & 0xffff) << 16) *
                   as_float((k % 2 ? right >> 16 : right & 0xffff) << 16);
#else
            // The unit looks at 19 bits only.
            const uint left = words[(row % 8 * 4 + k % 4) * EXCHANGE_WORDS + row / 8 + k / 4 * 2] & 0xffffe000;
            const uint right = words[(column * 4 + k % 4) * EXCHANGE_WORDS + 4 + k / 4] & 0xffffe000;
            sum += (double)as_float(left) * as_float(right);
#endif
        }
        // The units cut off what a sum can't hold.
        d[c] = convert_float_rtz(sum);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}
#define MMA(d, a, b0, b1) mma(words, lane, d, a, b0, b1)

#else

#ifdef BFLOAT16
#define INSTRUCTION "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#else
#define INSTRUCTION "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
#endif
// Some compilers know the keyword under its other name only.
#ifndef ASM
#define ASM asm
#endif
#define MMA(d, a, b0, b1)                                                                                              \
    ASM volatile(                                                                                                      \
        INSTRUCTION " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                                 \
        : "+f"((d)[0]), "+f"((d)[1]), "+f"((d)[2]), "+f"((d)[3])                                                       \
        : "r"((a).x), "r"((a).y), "r"((a).z), "r"((a).w), "r"(b0), "r"(b1)                                             \
        : "memory")

#endif

// MARK: packing

#ifdef BFLOAT16

// The nearest bfloat16, ties to even; NaN stays NaN.
static inline uint rounded(float x) {
    const uint bits = as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return bits >> 16 | 0x40;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline uint pair(float first, float second) { return rounded(first) | rounded(second) << 16; }

#else

// The large part: the nearest TF32.
static inline float large_part(float x) {
    const uint bits = as_uint(x);
    return (bits & 0x7f800000) == 0x7f800000 ? x : as_float((bits + 0x1000) & 0xffffe000);
}

static inline uint large_bits(float x, __global int *special) {
    const uint bits = as_uint(large_part(x));
    if ((bits & 0x7f800000) == 0x7f800000) atomic_or(special, 1);
    return bits;
}

// What the large part leaves, rounded to TF32 too: x - large is exact.
static inline uint small_bits(float x) { return as_uint(large_part(x - large_part(x))); }

#endif

static inline float element(
    const __global float *x, long line_step, long k_step, int count, int k, int line, int p) {
    return line < count && p < k ? x[line * line_step + p * k_step] : 0.0f;
}
#define ELEMENT(line, p) element(x + x_offset, line_step, k_step, count, k, line, p)

__kernel void pack_a(
    int count, int k, int blocks, int k_blocks, const __global float *x, long x_offset, long line_step, long k_step,
    __global uint4 *packed, __global int *special) {
    const int lane = get_global_id(0), line_block = get_global_id(1), k_block = get_global_id(2);
    if (line_block >= blocks || k_block >= k_blocks) return;
    const long block = (long)k_block * blocks + line_block;
    // Word 0 holds the lane's row, 1 that 8 rows below; 2 and 3 the same rows half a block further along k.
    const int row = line_block * 16 + lane / 4;
#ifdef BFLOAT16
    const int p = k_block * BLOCK_K + lane % 4 * 2;
    packed[block * 32 + lane] = (uint4)(
        pair(ELEMENT(row, p), ELEMENT(row, p + 1)), pair(ELEMENT(row + 8, p), ELEMENT(row + 8, p + 1)),
        pair(ELEMENT(row, p + 8), ELEMENT(row, p + 9)), pair(ELEMENT(row + 8, p + 8), ELEMENT(row + 8, p + 9)));
#else
    const int p = k_block * BLOCK_K + lane % 4;
    const float x0 = ELEMENT(row, p), x1 = ELEMENT(row + 8, p), x2 = ELEMENT(row, p + 4), x3 = ELEMENT(row + 8, p + 4);
    packed[block * 64 + lane] = (uint4)(
        large_bits(x0, special), large_bits(x1, special), large_bits(x2, special), large_bits(x3, special));
    packed[block * 64 + 32 + lane] = (uint4)(small_bits(x0), small_bits(x1), small_bits(x2), small_bits(x3));
#endif
}

__kernel void pack_b(
    int count, int k, int blocks, int k_blocks, const __global float *x, long x_offset, long line_step, long k_step,
    __global uint4 *packed, __global int *special) {
    const int lane = get_global_id(0), line_block = get_global_id(1), k_block = get_global_id(2);
    if (line_block >= blocks || k_block >= k_blocks) return;
    const long block = (long)k_block * blocks + line_block;
    const int column = line_block * PIECE + lane / 4;
#ifdef BFLOAT16
    // Two blocks of 8 columns: words 0 and 1 of the first, then those of the second.
    const int p = k_block * BLOCK_K + lane % 4 * 2;
    packed[block * 32 + lane] = (uint4)(
        pair(ELEMENT(column, p), ELEMENT(column, p + 1)), pair(ELEMENT(column, p + 8), ELEMENT(column, p + 9)),
        pair(ELEMENT(column + 8, p), ELEMENT(column + 8, p + 1)),
        pair(ELEMENT(column + 8, p + 8), ELEMENT(column + 8, p + 9)));
#else
    // Both words of the large parts, then those of the small ones.
    const int p = k_block * BLOCK_K + lane % 4;
    const float x0 = ELEMENT(column, p), x1 = ELEMENT(column, p + 4);
    packed[block * 32 + lane] =
        (uint4)(large_bits(x0, special), large_bits(x1, special), small_bits(x0), small_bits(x1));
#endif
}

// MARK: the product

static inline float activated(float x, int activation) {
    // fmax would turn NaN into 0.
    if (activation == 1) return x < 0.0f ? 0.0f : x;
#ifdef SMOOTH
    if (activation == 2) return 1.0f / (1.0f + exp(-x));
    if (activation == 3) return tanh(x);
#endif
    return x;
}

// This work-item's share of a stage: `fetches` pieces of a contiguous run of `run` pieces in each of STEP blocks.
static inline void fetch(
    uint4 *registers, const __global uint4 *packed, long block_stride, int run, int fetches, uint item) {
    UNROLL for (int f = 0; f < fetches; f++) {
        const int place = item + f * GEMM_ITEMS;
        registers[f] = packed[place / run * block_stride + place % run];
    }
}

__kernel __attribute__((reqd_work_group_size(GEMM_ITEMS, 1, 1))) void gemm_tensor(
    int m, int n, int k_blocks, int row_blocks, int column_blocks, const __global uint4 *restrict a,
    const __global uint4 *restrict b, const __global int *special, float alpha, float beta, int has_bias,
    const __global float *restrict bias, long bias_offset, int activation, __global float *output, long output_offset,
    long output_stride) {
    __local uint4 stages[2 * (STAGE_A + STAGE_B)];
    const uint item = get_local_id(0), lane = item % 32, warp = item / 32;
#ifdef EMULATED
    __local uint exchange[GEMM_ITEMS / 32 * 32 * EXCHANGE_WORDS];
    __local uint *words = exchange + warp * 32 * EXCHANGE_WORDS;
#endif
    const uint in_band = get_group_id(0);
    const int row_tile = get_group_id(1) * TILE_BAND + in_band % TILE_BAND;
    const int column_tile = in_band / TILE_BAND;
    // The same answer for the whole group: nobody waits at a barrier below.
    if (row_tile * TILE_M >= m) return;
#ifndef BFLOAT16
    if (*special) return;
#endif
    const long stride_a = (long)row_blocks * PARTS * 32, stride_b = (long)column_blocks * 32;
    const __global uint4 *next_a = a + (long)row_tile * ROW_BLOCKS * PARTS * 32;
    const __global uint4 *next_b = b + (long)column_tile * PIECES * 32;

    float sum[WARP_M / 16][WARP_N / 8][4];
    UNROLL for (int i = 0; i < WARP_M / 16; i++) {
        UNROLL for (int j = 0; j < WARP_N / 8; j++) {
            UNROLL for (int c = 0; c < 4; c++) sum[i][j][c] = 0.0f;
        }
    }

#ifndef BFLOAT16
    float total[WARP_M / 16][WARP_N / 8][4];
    UNROLL for (int i = 0; i < WARP_M / 16; i++) {
        UNROLL for (int j = 0; j < WARP_N / 8; j++) {
            UNROLL for (int c = 0; c < 4; c++) total[i][j][c] = 0.0f;
        }
    }
#endif

    uint4 held_a[FETCH_A], held_b[FETCH_B];
    const int steps = k_blocks / STEP;
    for (int step = 0; step <= steps; step++) {
        // While stage step - 1 is multiplied, stage step is on its way in registers.
        if (step < steps) {
            fetch(held_a, next_a, stride_a, ROW_BLOCKS * PARTS * 32, FETCH_A, item);
            fetch(held_b, next_b, stride_b, PIECES * 32, FETCH_B, item);
            next_a += STEP * stride_a;
            next_b += STEP * stride_b;
        }
        if (step > 0) {
            const __local uint4 *stage_a = stages + (step - 1) % 2 * (STAGE_A + STAGE_B);
            const __local uint4 *stage_b = stage_a + STAGE_A;
            for (int s = 0; s < STEP; s++) {
                uint4 left[WARP_M / 16][PARTS], right[WARP_N / PIECE];
                const int first_row = s * ROW_BLOCKS + warp % WARPS_M * (WARP_M / 16);
                const int first_piece = s * PIECES + warp / WARPS_M * (WARP_N / PIECE);
                UNROLL for (int i = 0; i < WARP_M / 16; i++) {
                    UNROLL for (int p = 0; p < PARTS; p++) {
                        left[i][p] = stage_a[((first_row + i) * PARTS + p) * 32 + lane];
                    }
                }
                UNROLL for (int j = 0; j < WARP_N / PIECE; j++) right[j] = stage_b[(first_piece + j) * 32 + lane];
                UNROLL for (int i = 0; i < WARP_M / 16; i++) {
                    UNROLL for (int j = 0; j < WARP_N / 8; j++) {
#ifdef BFLOAT16
                        const uint4 piece = right[j / 2];
                        MMA(sum[i][j], left[i][0], j % 2 ? piece.z : piece.x, j % 2 ? piece.w : piece.y);
#else
                        // The small ones first, while the sum has room for them.
                        MMA(sum[i][j], left[i][1], right[j].x, right[j].y);
                        MMA(sum[i][j], left[i][0], right[j].z, right[j].w);
                        MMA(sum[i][j], left[i][0], right[j].x, right[j].y);
#endif
                    }
                }
            }
#ifndef BFLOAT16
            if (step % FLUSH_STEPS == 0 || step == steps) {
                UNROLL for (int i = 0; i < WARP_M / 16; i++) {
                    UNROLL for (int j = 0; j < WARP_N / 8; j++) {
                        UNROLL for (int c = 0; c < 4; c++) {
                            total[i][j][c] += sum[i][j][c];
                            sum[i][j][c] = 0.0f;
                        }
                    }
                }
            }
#endif
        }
        if (step < steps) {
            __local uint4 *to_a = stages + step % 2 * (STAGE_A + STAGE_B);
            __local uint4 *to_b = to_a + STAGE_A;
            UNROLL for (int f = 0; f < FETCH_A; f++) to_a[item + f * GEMM_ITEMS] = held_a[f];
            UNROLL for (int f = 0; f < FETCH_B; f++) to_b[item + f * GEMM_ITEMS] = held_b[f];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    const int first_row = row_tile * TILE_M + warp % WARPS_M * WARP_M + lane / 4;
    const int first_column = column_tile * TILE_N + warp / WARPS_M * WARP_N + lane % 4 * 2;
    UNROLL for (int i = 0; i < WARP_M / 16; i++) {
        UNROLL for (int j = 0; j < WARP_N / 8; j++) {
            UNROLL for (int c = 0; c < 4; c++) {
                const int row = first_row + i * 16 + (c < 2 ? 0 : 8);
                const int column = first_column + j * 8 + c % 2;
                if (row >= m || column >= n) continue;
                __global float *target = output + output_offset + (long)row * output_stride + column;
                float value = alpha * SUMS[i][j][c];
                if (beta != 0.0f) value = fma(beta, *target, value);
                if (has_bias) value += bias[bias_offset + column];
                *target = activated(value, activation);
            }
        }
    }
}

// One instruction, for one warp: every lane gives a = (1, 2, 3, 4) * (lane + 1) and b = (1, 2) * (lane + 1) as numbers,
// exact in either type, and stores its four sums. The host knows what they must be.
__kernel __attribute__((reqd_work_group_size(32, 1, 1))) void probe(__global float *result) {
    const uint lane = get_local_id(0);
#ifdef EMULATED
    __local uint words[32 * EXCHANGE_WORDS];
#endif
    float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    const float one = lane + 1;
#ifdef BFLOAT16
#define NUMBER(x) (as_uint(x) >> 16 | (as_uint(x) & 0xffff0000))
#else
#define NUMBER(x) as_uint(x)
#endif
    const uint4 a = (uint4)(NUMBER(one), NUMBER(2 * one), NUMBER(3 * one), NUMBER(4 * one));
    MMA(d, a, NUMBER(one), NUMBER(2 * one));
    for (int c = 0; c < 4; c++) result[lane * 4 + c] = d[c];
}
