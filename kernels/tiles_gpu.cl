// Normal equations of many sparse rows on GPU-class devices: for each row u with entries e of weight w_e, target t_e
// and v_e = fixed[column of e], with D = diagonal + row_regularization[u],
//
//     (diag(D) + sum_e w_e v_e transpose(v_e)) solution[u] = sum_e w_e t_e v_e.
//
// Three files, compiled together: this one has the rows and the tiles, normal_equations_exact_gpu.cl the direct solution,
// normal_equations_gpu.cl the methods that improve the present one.
//
// A work-group solves a row. Rows are solved in classes, by their number of entries, so that a system lies in local
// memory when it fits. A launch may have fewer work-groups than rows: each takes every so-manieth row and passes by
// those of other classes, so that scratch is bounded by the number of work-groups, and no list of rows has to be sent.
//
// Direct solutions: a Cholesky factorization by tiles, left-looking. The matrix itself is never stored: the sums of a
// tile are taken in registers over the entries (primal) or the dimensions (dual), then over the columns of the factor
// that are known, then the tile is factored, in steps of four columns, and stored as part of the packed lower triangle.
// Primal: the d x d system above. Dual (Woodbury), for rows with fewer entries than dimensions, with C = diag(w):
//     (I + sqrt(C) V inverse(D) transpose(V) sqrt(C)) z = sqrt(C) t,  x = inverse(D) transpose(V) sqrt(C) z.
// An entry of weight 0 is then an equation z = 0 of its own.
//
// Entry points; offsets and strides count elements (long):
//   solve_direct
//     rows, shortest, longest (int)                  of the m rows, those of shortest ... longest entries are solved
//     d (int), dual (int)                            1: the dual system
//     row_pointers (long), offset; column_indices (int), offset; weighted (int), weights, offset (not read when
//     weighted is 0); has_targets (int), targets, offset (not read when 0)
//     fixed, offset, stride; diagonal, offset; row_regularization, offset; solution, offset, stride
//     triangles, triangle_stride                     scratch: groups * triangle_stride floats, triangle_stride being
//                                                    order * (order + 1) / 2 of the class's largest order; not used
//                                                    when LOCAL_ORDER > 0
//   solve_subspace                                   one pass of Newton steps over blocks of coordinates (iALS++)
//     as above with block_size (int) in the place of dual, and before triangles
//     entry_scores, entry_stride                     scratch: groups * entry_stride floats, entry_stride being the
//                                                    largest number of entries of a row; triangles for block_size
//   Global size: groups * SOLVE_ITEMS, local SOLVE_ITEMS, groups up to the number of rows.
//   Orders: with LOCAL_ORDER > 0 the triangle lies in local memory and no order may pass LOCAL_ORDER; with 0 it lies in
//   scratch and no order may pass ORDER_LIMIT. For subspace d <= ORDER_LIMIT too (it defaults to 2048).
//   solve_conjugate_gradient                         steps from the present solution, preconditioned with D
//     rows, shortest, longest, d, steps (int), row_pointers ... solution, offset, stride as above
//   Global size: groups * CG_TEAMS * CG_ITEMS, local CG_TEAMS * CG_ITEMS. Needs d <= CG_ITEMS * CG_WIDTH; each work-item
//   keeps CG_WIDTH coordinates of all vectors in registers, so that each step reads every entry's row once. With teams,
//   for rows so long that the others would wait for them, each team reads a part of the entries.
//
// Use: orders to 32: TILE=32 LOCAL_ORDER=32; to 64: TILE=32 LOCAL_ORDER=64; to 128: TILE=32 LOCAL_ORDER=128 (subspace
// of more dimensions than that also needs ORDER_LIMIT); above: the defaults. Conjugate gradient: CG_ITEMS=32 CG_WIDTH=1
// to d = 32, CG_ITEMS=64 CG_WIDTH=ceil(d/64) to 512, CG_ITEMS=256 CG_WIDTH=ceil(d/256) above.
// On a CPU-class device, where these kernels only run to be tested, build with -cl-opt-disable: PoCL 3.1 takes minutes
// to optimize them, and less than a second not to.
// Local memory of solve_direct and solve_subspace, in floats: TILE_K * 2 * (TILE + 4) + (TILE + 8) * (TILE + 4) +
// 3 * TILE + SOLVE_ITEMS + ORDER_LIMIT + LOCAL_ORDER * (LOCAL_ORDER + 1) / 2; 37 KiB by default. Of
// solve_conjugate_gradient: CG_TEAMS * (8 * (CG_ITEMS + 1) + CG_ITEMS + 8) floats.

#ifndef TILE
#define TILE 64
#endif
#ifndef TILE_K
#define TILE_K 16
#endif
#ifndef LOCAL_ORDER
#define LOCAL_ORDER 0
#endif
#ifndef ORDER_LIMIT
#if LOCAL_ORDER > 0
#define ORDER_LIMIT LOCAL_ORDER
#else
#define ORDER_LIMIT 2048
#endif
#endif
// Entries whose products are added in one float before they are added to the rest.
#ifndef FLUSH_TERMS
#define FLUSH_TERMS 512
#endif
#ifndef CG_ITEMS
#define CG_ITEMS 64
#endif
#ifndef CG_WIDTH
#define CG_WIDTH 4
#endif
// Teams of CG_ITEMS that share the entries of a row.
#ifndef CG_TEAMS
#define CG_TEAMS 1
#endif

// Each work-item owns a block of 4 x 4 elements of a tile.
#define SIDE (TILE / 4)
#define SOLVE_ITEMS (SIDE * SIDE)
#define STRIDE (TILE + 4)
#define SLICES (SOLVE_ITEMS / TILE)
#define CG_ENTRIES 8
#define CG_PARTS (CG_ENTRIES * (CG_ITEMS + 1))
#define CG_SLICES (CG_ITEMS / CG_ENTRIES)
// Work-items that share the product of an entry's row and a vector.
#define SCORE_LANES 16

#if TILE % 4 || SOLVE_ITEMS % TILE || SOLVE_ITEMS % SCORE_LANES || (TILE * TILE_K) % SOLVE_ITEMS || FLUSH_TERMS % TILE_K
#error "TILE is a multiple of 16; a slice must divide evenly among the work-items, FLUSH_TERMS by TILE_K"
#endif
#if (TILE_K * 2 * STRIDE + (TILE + 8) * STRIDE + 3 * TILE + SOLVE_ITEMS + ORDER_LIMIT + TILE +                         \
     LOCAL_ORDER * (LOCAL_ORDER + 1) / 2 + 64) * 4 > 49152
#error "the system needs more than 48 KiB of local memory"
#endif
#if CG_ITEMS % CG_ENTRIES || (CG_ITEMS & (CG_ITEMS - 1))
#error "CG_ITEMS is a power of two from 8 up"
#endif
#ifdef __FAST_RELAXED_MATH__
#error "NaN and infinity are data here; build without -cl-fast-relaxed-math"
#endif

#if LOCAL_ORDER > 0
#define TRIANGLE_SPACE __local
#else
#define TRIANGLE_SPACE __global
#endif
#define FENCE (CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)

// A row and the arrays that describe it.
typedef struct {
    const __global int *columns;
    const __global float *weights;
    const __global float *targets;
    const __global float *fixed;
    const __global float *diagonal;
    // What the present solution already explains of each target; 0 for none.
    const __global float *scores;
    // Present values of the window's coordinates, of which only a correction is sought; 0 for none.
    const __global float *present;
    long fixed_stride;
    float regularization;
    int count;
    int weighted;
    int has_targets;
    int has_scores;
    // The window of coordinates that is solved for.
    int start;
    int width;
    int dual;
} row_t;

// Local memory of a work-group.
typedef struct {
    __local float *left;
    __local float *right;
    __local float *factor;
    __local float *solved;
    __local float *corner;
    __local float *side;
    __local float *terms;
    __local float *parts;
    __local float *vector;
} workspace_t;

static inline float entry_weight(const row_t *row, int entry) {
    return entry < row->count ? (row->weighted ? row->weights[entry] : 1.0f) : 0.0f;
}

static inline float entry_target(const row_t *row, int entry) {
    float target = row->has_targets ? row->targets[entry] : 1.0f;
    if (row->has_scores) target -= row->scores[entry];
    return target;
}

static inline float ridge(const row_t *row, int coordinate) {
    return row->diagonal[coordinate] + row->regularization;
}

static inline int triangle_row(int row) { return row * (row + 1) / 2; }

// Stages terms term0 ..< term0 + TILE_K of the sums of the matrix: left[term][row of the tile], right[term][column].
// A primal term is an entry, a dual one a dimension.
static inline void stage_terms(const row_t *row, const workspace_t *work, int row0, int column0, int term0) {
    const uint item = get_local_id(0);
#pragma unroll
    for (int f = 0; f < TILE * TILE_K / SOLVE_ITEMS; f++) {
        const uint place = item + f * SOLVE_ITEMS;
        float left = 0.0f, right = 0.0f;
        // Neighbours read neighbouring coordinates in both cases.
        const int term = row->dual ? place % TILE_K : place / TILE;
        const int element = row->dual ? place / TILE_K : place % TILE;
        if (row->dual) {
            const int dimension = term0 + term;
            const int i = row0 + element, j = column0 + element;
            if (dimension < row->width) {
                const float w = entry_weight(row, i), w2 = i == j ? w : entry_weight(row, j);
                const float v = w > 0.0f ? row->fixed[row->columns[i] * row->fixed_stride + dimension] : 0.0f;
                float v2 = v;
                if (i != j) v2 = w2 > 0.0f ? row->fixed[row->columns[j] * row->fixed_stride + dimension] : 0.0f;
                left = sqrt(w) * v;
                right = sqrt(w2) * v2;
                right /= ridge(row, dimension);
            }
        } else {
            const int entry = term0 + term;
            const int i = row0 + element, j = column0 + element;
            const float w = entry_weight(row, entry);
            if (w > 0.0f) {
                const __global float *from = row->fixed + row->columns[entry] * row->fixed_stride + row->start;
                if (i < row->width) left = from[i];
                if (j < row->width) right = i == j ? left : from[j];
                right *= w;
            }
            if (element == 0) work->terms[term] = w > 0.0f ? entry_target(row, entry) : 0.0f;
        }
        work->left[term * STRIDE + element] = left;
        work->right[term * STRIDE + element] = right;
    }
}

// Stages columns column0 ..< column0 + TILE_K of the factor, with the sign that the left-looking update needs.
static inline void stage_factor(
    const TRIANGLE_SPACE float *triangle, const workspace_t *work, int order, int row0, int row1, int column0) {
    const uint item = get_local_id(0);
#pragma unroll
    for (int f = 0; f < TILE * TILE_K / SOLVE_ITEMS; f++) {
        const uint place = item + f * SOLVE_ITEMS;
        const int term = place % TILE_K, element = place / TILE_K;
        const int i = row0 + element, j = row1 + element;
        const float left = i < order ? triangle[triangle_row(i) + column0 + term] : 0.0f;
        const float right = j < order ? triangle[triangle_row(j) + column0 + term] : 0.0f;
        work->left[term * STRIDE + element] = -left;
        work->right[term * STRIDE + element] = right;
        if (element == 0) work->terms[term] = -work->vector[column0 + term];
    }
}

// sum += transpose(left) * right; the right-hand side of the tile's columns takes part in the diagonal tile.
static inline void multiply_stage(const workspace_t *work, float sum[4][4], int with_side) {
    const uint item = get_local_id(0);
    const uint item_row = item / SIDE, item_column = item % SIDE;
#pragma unroll 4
    for (int term = 0; term < TILE_K; term++) {
        const float4 left4 = *(const __local float4 *)(work->left + term * STRIDE + item_row * 4);
        const float4 right4 = *(const __local float4 *)(work->right + term * STRIDE + item_column * 4);
        const float left[4] = {left4.x, left4.y, left4.z, left4.w};
        const float right[4] = {right4.x, right4.y, right4.z, right4.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) sum[i][j] = fma(left[i], right[j], sum[i][j]);
    }
    if (with_side && item < TILE) {
        float side = work->side[item];
        for (int term = 0; term < TILE_K; term++)
            side = fma(work->right[term * STRIDE + item], work->terms[term], side);
        work->side[item] = side;
    }
}

// X = block * inverse(transpose(L)) for the 4 x 4 triangle L at (first, first) of the factor tile; its diagonal is
// known by its reciprocals.
static inline void divide_block(float block[4][4], const workspace_t *work, int first) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const float reciprocal = work->corner[first + j];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float value = block[i][j];
#pragma unroll
            for (int q = 0; q < j; q++) value -= block[i][q] * work->factor[(first + q) * STRIDE + first + j];
            block[i][j] = value * reciprocal;
        }
    }
}

static inline void subtract_products(
    float block[4][4], const __local float *left_columns, const __local float *right_columns) {
#pragma unroll
    for (int q = 0; q < 4; q++) {
        const float4 left4 = *(const __local float4 *)(left_columns + q * STRIDE);
        const float4 right4 = *(const __local float4 *)(right_columns + q * STRIDE);
        const float left[4] = {left4.x, left4.y, left4.z, left4.w};
        const float right[4] = {right4.x, right4.y, right4.z, right4.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) block[i][j] -= left[i] * right[j];
    }
}

// Factors the diagonal tile that lies in the work-items' blocks; factor[column][row] gets it. `side` becomes the part
// of the forward solution that belongs to the tile, and goes to vector + first_row.
static inline void factor_diagonal(float block[4][4], const workspace_t *work, int first_row, int columns) {
    const uint item = get_local_id(0);
    const int item_row = item / SIDE, item_column = item % SIDE;
    const int steps = (columns + 3) / 4;
    for (int step = 0; step < steps; step++) {
        const int first = step * 4;
        if (item_row == step && item_column == step) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float pivot = block[j][j];
#pragma unroll
                for (int q = 0; q < j; q++) pivot -= block[j][q] * block[j][q];
                pivot = sqrt(pivot);
                const float reciprocal = 1.0f / pivot;
                work->corner[first + j] = reciprocal;
                block[j][j] = pivot;
#pragma unroll
                for (int i = j + 1; i < 4; i++) {
                    float value = block[i][j];
#pragma unroll
                    for (int q = 0; q < j; q++) value -= block[i][q] * block[j][q];
                    block[i][j] = value * reciprocal;
                }
            }
            float known[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float value = work->side[first + j];
#pragma unroll
                for (int q = 0; q < j; q++) value -= block[j][q] * known[q];
                known[j] = value / block[j][j];
                work->vector[first_row + first + j] = known[j];
#pragma unroll
                for (int i = 0; i < 4; i++) work->factor[(first + j) * STRIDE + first + i] = i < j ? 0.0f : block[i][j];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item_column == step && item_row > step) {
            divide_block(block, work, first);
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int i = 0; i < 4; i++) work->factor[(first + j) * STRIDE + item_row * 4 + i] = block[i][j];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item_column > step && item_row >= item_column)
            subtract_products(
                block, work->factor + first * STRIDE + item_row * 4, work->factor + first * STRIDE + item_column * 4);
        if (item < TILE && (int)item >= first + 4) {
            float side = work->side[item];
#pragma unroll
            for (int q = 0; q < 4; q++)
                side -= work->factor[(first + q) * STRIDE + item] * work->vector[first_row + first + q];
            work->side[item] = side;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}

// block * inverse(transpose(factor tile)), for a tile below the diagonal.
static inline void divide_tile(float block[4][4], const workspace_t *work) {
    const uint item = get_local_id(0);
    const int item_row = item / SIDE, item_column = item % SIDE;
    for (int step = 0; step < SIDE; step++) {
        // Two buffers: the next columns are published while others still read these.
        __local float *columns = work->solved + (step & 1) * 4 * STRIDE;
        if (item_column == step) {
            divide_block(block, work, step * 4);
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int i = 0; i < 4; i++) columns[j * STRIDE + item_row * 4 + i] = block[i][j];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item_column > step)
            subtract_products(
                block, columns + item_row * 4, work->factor + step * 4 * STRIDE + item_column * 4);
    }
}
