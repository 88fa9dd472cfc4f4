// Dense products on the tensor units of NVIDIA's Hopper (sm_90), through inline PTX: wgmma, with copies by the bulk engine.
//
// These instructions need the target sm_90a, which no option of the driver's compiler sets. The text is compiled for
// sm_90 with them as comments (//WG), and the PTX that comes out is edited (HopperPTX): the comments become
// instructions, the target sm_90a, and the array `stages` as large as the comment //STAGES says, since OpenCL itself
// stops at 48 KiB.
//
// With PARTS 1 operands are rounded to bfloat16. With PARTS 3 they are float32: each is the sum of three bfloat16, large,
// middle and small, which together have its 24 bits, and six products of parts (all but the three smallest) are as
// exact as a float32 product. The units cut off what an accumulator can't hold instead of rounding it, so that over
// long sums they lose digits: here they add up one stage only, from the small products to the large ones, and the stage's
// sum is added in float32 with rounding.
//
// Both operands are packed first as the units want them ("core matrices" of 8 lines x 16 bytes, without swizzle, K-major;
// PTX ISA, "Asynchronous warpgroup level matrix shared memory layout"):
//   packed: [block of 16 terms][part][group of 8 lines][half][8 lines][8 values] of bfloat16
// Lines and terms past the edge are 0; lines are padded to whole tiles, terms to whole stages.
//
//   pack
//     count, k                       rows of op(a) or columns of op(b), and terms of the sum (int)
//     groups, k_blocks               of lines and of 16 terms, the padding included (int)
//     x, x_offset, line_step, k_step element (i, p) of the operand is x[x_offset + i * line_step + p * k_step] (long)
//     packed, special                special becomes 1 where a value has no parts: infinity, NaN or one that rounds to
//                                    infinity; not written with PARTS 1
//   Global size: (16, groups, k_blocks) rounded up to the local size, (16, 1, 8) or (16, 8, 1) as in gemm_nvidia.cl.
//   gemm_hopper
//     m, n (int), k_blocks, slice (blocks of a split, a multiple of BLOCKS), row_groups, column_groups (int), packed a,
//     packed b, special, and what gemm_gpu.cl takes from alpha to output_stride, partial as there
//   Every split has a block at least.
//   Global size: (column tiles * TILE_BAND * HOPPER_ITEMS, ceil(row tiles / TILE_BAND), splits), local size HOPPER_ITEMS.
//   Where special is 1 nothing is done, and gemm_gpu.cl, launched after it with GUARDED, computes instead.
//
// Two warpgroups multiply, each 64 rows x TILE_N columns. One more warp keeps STAGES stages of BLOCKS blocks filled: a
// barrier in local memory per stage says that its bytes are there, another that both warpgroups are done with it.
//
// EMULATED does the same without barriers of that kind, from the same packed operands and to the same work-items, so that
// packing and index arithmetic are tested on any device.

#ifndef PARTS
#define PARTS 1
#endif
#if PARTS == 1
#define TILE_N 256
#define BLOCKS 4
#else
#define TILE_N 128
#define BLOCKS 2
#endif
#define STAGES 4
#define TILE_M 128
#ifndef TILE_BAND
#define TILE_BAND 8
#endif
#define SUMS (TILE_N / 2)
#define MULTIPLIERS 256
#define HOPPER_ITEMS (MULTIPLIERS + 32)
// Bytes of one part of a block, and of a stage.
#define PIECE_A (TILE_M / 8 * 256)
#define PIECE_B (TILE_N / 8 * 256)
#define STAGE_BYTES (BLOCKS * PARTS * (PIECE_A + PIECE_B))

// MARK: packing

// The nearest bfloat16, ties to even; NaN stays NaN.
static inline uint rounded(float x) {
    const uint bits = as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return bits >> 16 | 0x40;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// Part p of a number: the nearest bfloat16 to what the parts before it leave, which is exact.
static inline uint part(float x, int p) {
    for (int before = 0; before < p; before++) x -= as_float(rounded(x) << 16);
    return rounded(x);
}

static inline uint pair(float first, float second, int p) { return part(first, p) | part(second, p) << 16; }

__kernel void pack(
    int count, int k, int groups, int k_blocks, const __global float *restrict x, long x_offset, long line_step,
    long k_step, __global uint4 *restrict packed, __global int *special) {
    const int place = get_global_id(0), group = get_global_id(1), k_block = get_global_id(2);
    if (group >= groups || k_block >= k_blocks) return;
    const int line = group * 8 + place % 8, first = k_block * 16 + place / 8 * 8;
    const __global float *from = x + x_offset + line * line_step;
    float v[8];
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = line < count && first + i < k ? from[(first + i) * k_step] : 0.0f;
#if PARTS > 1
    int found = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) found |= (rounded(v[i]) & 0x7f80) == 0x7f80;
    if (found) atomic_or(special, 1);
#endif
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        packed[(((long)k_block * PARTS + p) * groups + group) * 16 + place] =
            (uint4)(pair(v[0], v[1], p), pair(v[2], v[3], p), pair(v[4], v[5], p), pair(v[6], v[7], p));
    }
}

// MARK: the instructions

#ifndef EMULATED

// Some compilers know the keyword under its other name only.
#ifndef ASM
#define ASM asm
#endif

#define TEN(t)                                                                                                         \
    "acc" #t "0, acc" #t "1, acc" #t "2, acc" #t "3, acc" #t "4, acc" #t "5, acc" #t "6, acc" #t "7, acc" #t           \
    "8, acc" #t "9, "
#if TILE_N == 256
#define SHAPE "m64n256k16"
#define SUM_NAMES                                                                                                      \
    TEN() TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10) TEN(11)                               \
        "acc120, acc121, acc122, acc123, acc124, acc125, acc126, acc127"
#define SUM_REGISTERS "128"
#else
#define SHAPE "m64n128k16"
#define SUM_NAMES TEN() TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) "acc60, acc61, acc62, acc63"
#define SUM_REGISTERS "64"
#endif

// The sums are registers of PTX with names of their own. As operands of each instruction the compiler would copy them from
// one variable to the next, and the assembler, seeing others write them, would let the units wait for each product.
#define DECLARE_SUMS ASM volatile("//WG .reg .f32 acc<" SUM_REGISTERS ">;")
// sums (+)= a * b; they start anew with keep 0.
#define MULTIPLY(a, b, keep)                                                                                           \
    ASM volatile(                                                                                                      \
        "//WG { .reg .pred keeps; setp.ne.u32 keeps, %2, 0; wgmma.mma_async.sync.aligned." SHAPE                       \
        ".f32.bf16.bf16 {" SUM_NAMES "}, %0, %1, keeps, 1, 1, 0, 0; }" ::"l"(a),                                       \
        "l"(b), "r"(keep)                                                                                              \
        : "memory")
#define MULTIPLY_FENCE ASM volatile("//WG wgmma.fence.sync.aligned;" ::: "memory")
#define MULTIPLY_COMMIT ASM volatile("//WG wgmma.commit_group.sync.aligned;" ::: "memory")
#define MULTIPLY_WAIT(pending) ASM volatile("//WG wgmma.wait_group.sync.aligned " #pending ";" ::: "memory")
// Puts the sums where the compiler knows of them, or adds them to what is there.
#if PARTS == 1
#define TAKE(i) ASM volatile("//WG mov.f32 %0, acc" #i ";" : "=f"(sum[i])::"memory");
#else
#define TAKE(i)                                                                                                        \
    {                                                                                                                  \
        float taken;                                                                                                   \
        ASM volatile("//WG mov.f32 %0, acc" #i ";" : "=f"(taken)::"memory");                                           \
        sum[i] += taken;                                                                                               \
    }
#endif
#define TAKE_TEN(t)                                                                                                    \
    TAKE(t##0) TAKE(t##1) TAKE(t##2) TAKE(t##3) TAKE(t##4) TAKE(t##5) TAKE(t##6) TAKE(t##7) TAKE(t##8) TAKE(t##9)
#define TAKE_SIXTY TAKE_TEN() TAKE_TEN(1) TAKE_TEN(2) TAKE_TEN(3) TAKE_TEN(4) TAKE_TEN(5)
#if TILE_N == 256
#define TAKE_ALL                                                                                                       \
    TAKE_SIXTY TAKE_TEN(6) TAKE_TEN(7) TAKE_TEN(8) TAKE_TEN(9) TAKE_TEN(10) TAKE_TEN(11) TAKE(120) TAKE(121) TAKE(122) \
    TAKE(123) TAKE(124) TAKE(125) TAKE(126) TAKE(127)
#else
#define TAKE_ALL TAKE_SIXTY TAKE(60) TAKE(61) TAKE(62) TAKE(63)
#endif

// Descriptor of a matrix in local memory: 128 bytes between the halves of a group, 256 between groups.
#define DESCRIPTOR(address) ((ulong)8 << 16 | (ulong)16 << 32 | (ulong)((address) >> 4))

static inline void barrier_init(uint address, uint arrivals) {
    ASM volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address), "r"(arrivals) : "memory");
}

static inline void barrier_arrive(uint address) {
    ASM volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address) : "memory");
}

static inline void barrier_expect(uint address, uint bytes) {
    ASM volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address), "r"(bytes) : "memory");
}

static inline void barrier_wait(uint address, uint parity) {
    ASM volatile(
        "{ .reg .pred done; WAIT: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1; @done bra DONE; bra WAIT; "
        "DONE: }" ::"r"(address),
        "r"(parity)
        : "memory");
}

static inline void copy_bulk(uint to, const __global uint4 *from, uint bytes, uint barrier_address) {
    ASM volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from),
        "r"(bytes), "r"(barrier_address)
        : "memory");
}

#else

static inline float half_of(uint4 words, int i) {
    const uint word = i / 2 == 0 ? words.x : i / 2 == 1 ? words.y : i / 2 == 2 ? words.z : words.w;
    return as_float((i % 2 ? word >> 16 : word & 0xffff) << 16);
}

// A work-item's sums of 64 rows x TILE_N columns x 16 terms, straight from the tables of the PTX ISA.
static inline void multiply(float *acc, const __local uint4 *a, const __local uint4 *b, uint item, int keep) {
    for (int s = 0; s < SUMS; s++) {
        const int row = item / 32 % 4 * 16 + item % 32 / 4 + (s % 4 < 2 ? 0 : 8);
        const int column = s / 4 * 8 + item % 4 * 2 + s % 2;
        float value = keep ? acc[s] : 0.0f;
        for (int half_ = 0; half_ < 2; half_++) {
            const uint4 left = a[row / 8 * 16 + half_ * 8 + row % 8], right = b[column / 8 * 16 + half_ * 8 + column % 8];
            for (int i = 0; i < 8; i++) value += half_of(left, i) * half_of(right, i);
        }
        acc[s] = value;
    }
}

#endif

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

__kernel __attribute__((reqd_work_group_size(HOPPER_ITEMS, 1, 1))) void gemm_hopper(
    int m, int n, int k_blocks, int slice, int row_groups, int column_groups, const __global uint4 *restrict a,
    const __global uint4 *restrict b, const __global int *special, float alpha, float beta, int has_bias,
    const __global float *restrict bias, long bias_offset, int activation, __global float *output, long output_offset,
    long output_stride, __global float *partial) {
    const uint item = get_local_id(0);
    const uint in_band = get_group_id(0);
    const int row_tile = get_group_id(1) * TILE_BAND + in_band % TILE_BAND;
    const int column_tile = in_band / TILE_BAND;
    const int split = get_group_id(2), splits = get_num_groups(2);
    // The same answers for the whole group.
    if (row_tile * TILE_M >= m) return;
#if PARTS > 1
    if (*special) return;
#endif
    const int first_block = split * slice;
    const int steps = (min(k_blocks, first_block + slice) - first_block) / BLOCKS;
    const long stride_a = (long)row_groups * 16, stride_b = (long)column_groups * 16;
    const __global uint4 *next_a = a + first_block * PARTS * stride_a + row_tile * (PIECE_A / 16);
    const __global uint4 *next_b = b + first_block * PARTS * stride_b + column_tile * (PIECE_B / 16);

#ifdef EMULATED
    __local uint4 stages[STAGE_BYTES / 16];
    float sum[SUMS], acc[SUMS];
    for (int s = 0; s < SUMS; s++) sum[s] = acc[s] = 0.0f;
    for (int step = 0; step < steps; step++) {
        for (int piece = 0; piece < BLOCKS * PARTS; piece++) {
            for (int place = item; place < PIECE_A / 16; place += HOPPER_ITEMS)
                stages[piece * (PIECE_A / 16) + place] = next_a[place];
            for (int place = item; place < PIECE_B / 16; place += HOPPER_ITEMS)
                stages[BLOCKS * PARTS * (PIECE_A / 16) + piece * (PIECE_B / 16) + place] = next_b[place];
            next_a += stride_a;
            next_b += stride_b;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const __local uint4 *stage_a = stages + item / 128 * 128, *stage_b = stages + BLOCKS * PARTS * (PIECE_A / 16);
        if (item < MULTIPLIERS) {
#define AT_A(block, p) (stage_a + ((block) * PARTS + (p)) * (PIECE_A / 16))
#define AT_B(block, p) (stage_b + ((block) * PARTS + (p)) * (PIECE_B / 16))
#define PRODUCT(block, pa, pb, keep) multiply(acc, AT_A(block, pa), AT_B(block, pb), item, keep)
#if PARTS == 1
            for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 0, step + block);
#else
            for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 2, block);
            for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 1, 1, 1);
            for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 2, 0, 1);
            for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 1, 1);
            for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 1, 0, 1);
            for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 0, 1);
            for (int s = 0; s < SUMS; s++) sum[s] += acc[s];
#endif
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (item >= MULTIPLIERS) return;
#if PARTS == 1
    for (int s = 0; s < SUMS; s++) sum[s] = acc[s];
#endif
#else
    __local uint4 stages[2048] __attribute__((aligned(1024)));
    __local ulong barriers[2 * STAGES];
    ASM volatile("//STAGES %0" ::"n"(STAGES * STAGE_BYTES));
    const uint memory = (uint)(uintptr_t)stages, full = (uint)(uintptr_t)barriers, empty = full + 8 * STAGES;
    if (item == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_init(full + 8 * s, 1);
            barrier_init(empty + 8 * s, MULTIPLIERS / 32);
        }
        // The bulk engine sees the barriers.
        ASM volatile("fence.proxy.async;" ::: "memory");
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item >= MULTIPLIERS) {
        if (item > MULTIPLIERS) return;
        for (int step = 0; step < steps; step++) {
            const int slot = step % STAGES;
            if (step >= STAGES) barrier_wait(empty + 8 * slot, (step / STAGES - 1) & 1);
            barrier_expect(full + 8 * slot, STAGE_BYTES);
            uint to = memory + slot * STAGE_BYTES;
            for (int piece = 0; piece < BLOCKS * PARTS; piece++, to += PIECE_A, next_a += stride_a)
                copy_bulk(to, next_a, PIECE_A, full + 8 * slot);
            for (int piece = 0; piece < BLOCKS * PARTS; piece++, to += PIECE_B, next_b += stride_b)
                copy_bulk(to, next_b, PIECE_B, full + 8 * slot);
        }
        return;
    }
    DECLARE_SUMS;
    float sum[SUMS];
#if PARTS > 1
#pragma unroll
    for (int s = 0; s < SUMS; s++) sum[s] = 0.0f;
#endif
    for (int step = 0; step < steps; step++) {
        const int slot = step % STAGES;
        barrier_wait(full + 8 * slot, (step / STAGES) & 1);
        const uint stage_a = memory + slot * STAGE_BYTES + item / 128 * (PIECE_A / 2);
        const uint stage_b = memory + slot * STAGE_BYTES + BLOCKS * PARTS * PIECE_A;
#define AT_A(block, p) DESCRIPTOR(stage_a + ((block) * PARTS + (p)) * PIECE_A)
#define AT_B(block, p) DESCRIPTOR(stage_b + ((block) * PARTS + (p)) * PIECE_B)
#define PRODUCT(block, pa, pb, keep) MULTIPLY(AT_A(block, pa), AT_B(block, pb), keep)
        MULTIPLY_FENCE;
#if PARTS == 1
#pragma unroll
        for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 0, step + block);
        MULTIPLY_COMMIT;
        // The stage before this one is free as soon as its products are done.
        MULTIPLY_WAIT(1);
        if (step > 0 && item % 32 == 0) barrier_arrive(empty + 8 * ((step - 1) % STAGES));
#else
#pragma unroll
        for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 2, block);
#pragma unroll
        for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 1, 1, 1);
#pragma unroll
        for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 2, 0, 1);
#pragma unroll
        for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 1, 1);
#pragma unroll
        for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 1, 0, 1);
#pragma unroll
        for (int block = 0; block < BLOCKS; block++) PRODUCT(block, 0, 0, 1);
        MULTIPLY_COMMIT;
        MULTIPLY_WAIT(0);
        if (item % 32 == 0) barrier_arrive(empty + 8 * slot);
        TAKE_ALL
#endif
    }
#if PARTS == 1
    MULTIPLY_WAIT(0);
    TAKE_ALL
#endif
#endif

    const int first_row = row_tile * TILE_M + item / 32 * 16 + item % 32 / 4;
    const int first_column = column_tile * TILE_N + item % 4 * 2;
#pragma unroll
    for (int s = 0; s < SUMS; s++) {
        const int row = first_row + (s % 4 < 2 ? 0 : 8);
        const int column = first_column + s / 4 * 8 + s % 2;
        if (row >= m || column >= n) continue;
        if (splits > 1) {
            partial[((long)split * m + row) * n + column] = sum[s];
        } else {
            __global float *target = output + output_offset + (long)row * output_stride + column;
            float value = alpha * sum[s];
            if (beta != 0.0f) value = fma(beta, *target, value);
            if (has_bias) value += bias[bias_offset + column];
            *target = activated(value, activation);
        }
    }
}
