// Normal equations of many sparse rows on GPU-class devices: for each row u with entries e of weight w_e, target t_e
// and v_e = fixed[column of e], with D = diagonal + row_regularization[u],
//
//     (diag(D) + sum_e w_e v_e transpose(v_e)) solution[u] = sum_e w_e t_e v_e.
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
//   Global size: groups * CG_ITEMS, local CG_ITEMS. Needs d <= CG_ITEMS * CG_WIDTH; each work-item keeps CG_WIDTH
//   coordinates of all vectors in registers, so that each step reads every entry's row once.
//
// Use: orders to 32: TILE=32 LOCAL_ORDER=32; to 64: TILE=32 LOCAL_ORDER=64; to 128: TILE=32 LOCAL_ORDER=128 (subspace
// of more dimensions than that also needs ORDER_LIMIT); above: the defaults. Conjugate gradient: CG_ITEMS=32 CG_WIDTH=1
// to d = 32, CG_ITEMS=64 CG_WIDTH=ceil(d/64) to 512, CG_ITEMS=256 CG_WIDTH=ceil(d/256) above.
// On a CPU-class device, where these kernels only run to be tested, build with -cl-opt-disable: PoCL 3.1 takes minutes
// to optimize them, and less than a second not to.
// Local memory of solve_direct and solve_subspace, in floats: TILE_K * 2 * (TILE + 4) + (TILE + 8) * (TILE + 4) +
// 3 * TILE + SOLVE_ITEMS + ORDER_LIMIT + LOCAL_ORDER * (LOCAL_ORDER + 1) / 2; 37 KiB by default. Of
// solve_conjugate_gradient: 8 * (CG_ITEMS + 1) + CG_ITEMS + 8 floats.

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

// Each work-item owns a block of 4 x 4 elements of a tile.
#define SIDE (TILE / 4)
#define SOLVE_ITEMS (SIDE * SIDE)
#define STRIDE (TILE + 4)
#define SLICES (SOLVE_ITEMS / TILE)
#define CG_ENTRIES 8
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

// Solves transpose(L) x = y in place in `vector`, by tiles from the last to the first.
static inline void solve_backward(const TRIANGLE_SPACE float *triangle, const workspace_t *work, int order) {
    const uint item = get_local_id(0);
    const int column = item % TILE, slice = item / TILE;
    for (int first = (order - 1) / TILE * TILE; first >= 0; first -= TILE) {
        const int width = min(TILE, order - first);
        float part = 0.0f;
        for (int i = first + TILE + slice; i < order; i += SLICES)
            part = fma(triangle[triangle_row(i) + first + column], work->vector[i], part);
        work->parts[item] = part;
        for (uint place = item; place < TILE * TILE; place += SOLVE_ITEMS) {
            const int i = place / TILE, j = place % TILE;
            if (j <= i && i < width) work->factor[i * STRIDE + j] = triangle[triangle_row(first + i) + first + j];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item < width) {
            float rest = work->vector[first + item];
            for (int s = 0; s < SLICES; s++) rest -= work->parts[s * TILE + item];
            work->side[item] = rest;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = (width - 1) / 4; step >= 0; step--) {
            const int corner = step * 4;
            const int known_end = min(corner + 4, width);
            if (item == 0) {
                for (int j = known_end - 1; j >= corner; j--) {
                    float value = work->side[j];
                    for (int i = j + 1; i < known_end; i++)
                        value -= work->factor[i * STRIDE + j] * work->vector[first + i];
                    work->vector[first + j] = value / work->factor[j * STRIDE + j];
                }
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            if (item < corner) {
                float value = work->side[item];
                for (int i = corner; i < known_end; i++)
                    value -= work->factor[i * STRIDE + item] * work->vector[first + i];
                work->side[item] = value;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
}

// Factors and solves the row's system; `vector` gets the solution: a correction of the window's coordinates (primal)
// or z (dual).
static inline void solve_system(const row_t *row, const workspace_t *work, TRIANGLE_SPACE float *triangle) {
    const uint item = get_local_id(0);
    const int item_row = item / SIDE, item_column = item % SIDE;
    const int order = row->dual ? row->count : row->width;
    const int terms = row->dual ? row->width : row->count;
    for (int column0 = 0; column0 < order; column0 += TILE) {
        for (int row0 = column0; row0 < order; row0 += TILE) {
            const int diagonal = row0 == column0;
            if (diagonal && item < TILE) {
                const int i = column0 + item;
                float side = 0.0f;
                if (row->dual) {
                    const float w = entry_weight(row, i);
                    if (w > 0.0f) side = sqrt(w) * entry_target(row, i);
                } else if (row->has_scores && i < order) {
                    side = -ridge(row, row->start + i) * row->present[row->start + i];
                }
                work->side[item] = side;
            }
            float total[4][4], sum[4][4];
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) total[i][j] = sum[i][j] = 0.0f;
            for (int term = 0; term < terms; term += TILE_K) {
                stage_terms(row, work, row0, column0, term);
                barrier(CLK_LOCAL_MEM_FENCE);
                multiply_stage(work, sum, diagonal && !row->dual);
                if ((term + TILE_K) % FLUSH_TERMS == 0) {
#pragma unroll
                    for (int i = 0; i < 4; i++)
#pragma unroll
                        for (int j = 0; j < 4; j++) {
                            total[i][j] += sum[i][j];
                            sum[i][j] = 0.0f;
                        }
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    sum[i][j] += total[i][j];
                    const int place = row0 + item_row * 4 + i;
                    // Beyond the order the matrix is the identity.
                    if (diagonal && item_row * 4 + i == item_column * 4 + j)
                        sum[i][j] += row->dual || place >= order ? 1.0f : ridge(row, row->start + place);
                }
            for (int column = 0; column < column0; column += TILE_K) {
                stage_factor(triangle, work, order, row0, column0, column);
                barrier(CLK_LOCAL_MEM_FENCE);
                multiply_stage(work, sum, diagonal);
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            if (diagonal) {
                factor_diagonal(sum, work, column0, min(TILE, order - column0));
            } else {
                divide_tile(sum, work);
            }
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const int r = row0 + item_row * 4 + i, c = column0 + item_column * 4 + j;
                    if (c <= r && r < order) triangle[triangle_row(r) + c] = sum[i][j];
                }
            barrier(FENCE);
        }
    }
    solve_backward(triangle, work, order);
}

#define ROW_PARAMETERS                                                                                                 \
    const __global long *restrict row_pointers, long row_pointers_offset, const __global int *restrict column_indices, \
        long column_indices_offset, int weighted, const __global float *restrict weights, long weights_offset,         \
        int has_targets, const __global float *restrict targets, long targets_offset,                                  \
        const __global float *restrict fixed, long fixed_offset, long fixed_stride,                                    \
        const __global float *restrict diagonal, long diagonal_offset,                                                 \
        const __global float *restrict row_regularization, long row_regularization_offset, __global float *solution,   \
        long solution_offset, long solution_stride

#define DECLARE_ROW                                                                                                    \
    const long begin = row_pointers[index];                                                      \
    __global float *result = solution + solution_offset + index * solution_stride;                                     \
    row_t row;                                                                                                         \
    row.columns = column_indices + column_indices_offset + begin;                                                      \
    row.weights = weights + weights_offset + begin;                                                                    \
    row.targets = targets + targets_offset + begin;                                                                    \
    row.fixed = fixed + fixed_offset;                                                                                  \
    row.fixed_stride = fixed_stride;                                                                                   \
    row.diagonal = diagonal + diagonal_offset;                                                                         \
    row.regularization = row_regularization[row_regularization_offset + index];                                        \
    row.count = (int)(row_pointers[index + 1] - begin);                                          \
    row.weighted = weighted;                                                                                           \
    row.has_targets = has_targets;                                                                                     \
    row.has_scores = 0;                                                                                                \
    row.scores = 0;                                                                                                    \
    row.present = result;                                                                                              \
    row.start = 0;                                                                                                     \
    row.width = d;                                                                                                     \
    row.dual = 0;

// The first row from `row` on, in this work-group's steps, that is of the class.
static inline int next_row(const __global long *row_pointers, int row, int rows, int shortest, int longest) {
    for (; row < rows; row += get_num_groups(0)) {
        const long count = row_pointers[row + 1] - row_pointers[row];
        if (count >= shortest && count <= longest) break;
    }
    return row;
}

#if LOCAL_ORDER > 0
#define DECLARE_TRIANGLE                                                                                               \
    __local float local_triangle[LOCAL_ORDER * (LOCAL_ORDER + 1) / 2];                                                 \
    __local float *triangle = local_triangle;
#else
#define DECLARE_TRIANGLE __global float *triangle = triangles + get_group_id(0) * triangle_stride;
#endif

#define DECLARE_WORKSPACE                                                                                              \
    __local float left[TILE_K * STRIDE] __attribute__((aligned(16)));                                                  \
    __local float right[TILE_K * STRIDE] __attribute__((aligned(16)));                                                 \
    __local float factor[TILE * STRIDE] __attribute__((aligned(16)));                                                  \
    __local float solved[8 * STRIDE] __attribute__((aligned(16)));                                                     \
    __local float corner[TILE], side[TILE], terms[TILE_K], parts[SOLVE_ITEMS], vector[ORDER_LIMIT + TILE];             \
    const workspace_t work = {left, right, factor, solved, corner, side, terms, parts, vector};

__kernel __attribute__((reqd_work_group_size(SOLVE_ITEMS, 1, 1))) void solve_direct(
    int rows, int shortest, int longest, int d, int dual, ROW_PARAMETERS,
    __global float *triangles, long triangle_stride) {
    DECLARE_WORKSPACE
    DECLARE_TRIANGLE
    const uint item = get_local_id(0);
    row_pointers += row_pointers_offset;
    int index = next_row(row_pointers, get_group_id(0), rows, shortest, longest);
    barrier(CLK_LOCAL_MEM_FENCE);
    while (index < rows) {
        DECLARE_ROW
        row.dual = dual;
        solve_system(&row, &work, triangle);
        if (dual) {
            for (uint entry = item; entry < row.count; entry += SOLVE_ITEMS) {
                const float w = entry_weight(&row, entry);
                vector[entry] = w > 0.0f ? sqrt(w) * vector[entry] : 0.0f;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            const int column = item % TILE, slice = item / TILE;
            for (int column0 = 0; column0 < d; column0 += TILE) {
                float part = 0.0f;
                if (column0 + column < d) {
                    for (int entry = slice; entry < row.count; entry += SLICES) {
                        const float z = vector[entry];
                        // Rows of entries that do not count are not looked at: they may hold anything.
                        if (z != 0.0f)
                            part = fma(z, row.fixed[row.columns[entry] * fixed_stride + column0 + column], part);
                    }
                }
                parts[item] = part;
                barrier(CLK_LOCAL_MEM_FENCE);
                if (item < TILE && column0 + item < d) {
                    float value = 0.0f;
                    for (int s = 0; s < SLICES; s++) value += parts[s * TILE + item];
                    result[column0 + item] = value / ridge(&row, column0 + item);
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
        } else {
            for (uint i = item; i < d; i += SOLVE_ITEMS) result[i] = vector[i];
        }
        index = next_row(row_pointers, index + get_num_groups(0), rows, shortest, longest);
        barrier(FENCE);
    }
}

// scores[e] (+)= v_e[start ..< start + width] . vector
static inline void add_scores(
    const row_t *row, const workspace_t *work, __global float *scores, int start, int width, int accumulate) {
    const uint item = get_local_id(0);
    const int lane = item % SCORE_LANES;
    for (int first = 0; first < row->count; first += SOLVE_ITEMS / SCORE_LANES) {
        const int entry = first + item / SCORE_LANES;
        float part = 0.0f;
        if (entry_weight(row, entry) > 0.0f) {
            const __global float *from = row->fixed + row->columns[entry] * row->fixed_stride + start;
            for (int i = lane; i < width; i += SCORE_LANES) part = fma(from[i], work->vector[i], part);
        }
        work->parts[item] = part;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane == 0 && entry < row->count) {
            float score = accumulate ? scores[entry] : 0.0f;
            float sum = 0.0f;
            for (int l = 0; l < SCORE_LANES; l++) sum += work->parts[item + l];
            scores[entry] = score + sum;
        }
        barrier(FENCE);
    }
}

__kernel __attribute__((reqd_work_group_size(SOLVE_ITEMS, 1, 1))) void solve_subspace(
    int rows, int shortest, int longest, int d, int block_size, ROW_PARAMETERS,
    __global float *entry_scores, long entry_stride, __global float *triangles, long triangle_stride) {
    DECLARE_WORKSPACE
    DECLARE_TRIANGLE
    __local int live;
    const uint item = get_local_id(0);
    __global float *scores = entry_scores + get_group_id(0) * entry_stride;
    row_pointers += row_pointers_offset;
    int index = next_row(row_pointers, get_group_id(0), rows, shortest, longest);
    barrier(CLK_LOCAL_MEM_FENCE);
    while (index < rows) {
        DECLARE_ROW
        if (item == 0) live = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint entry = item; entry < row.count; entry += SOLVE_ITEMS)
            if (entry_weight(&row, entry) > 0.0f) atomic_or(&live, 1);
        for (uint i = item; i < d; i += SOLVE_ITEMS) vector[i] = result[i];
        barrier(FENCE);
        const int end = live ? d : 0;
        if (live) add_scores(&row, &work, scores, 0, d, 0);
        row.has_scores = 1;
        row.scores = scores;
        for (int start = 0; start < end; start += block_size) {
            row.start = start;
            row.width = min(block_size, d - start);
            solve_system(&row, &work, triangle);
            for (uint i = item; i < row.width; i += SOLVE_ITEMS) result[start + i] += vector[i];
            barrier(FENCE);
            add_scores(&row, &work, scores, start, row.width, 1);
        }
        if (end == 0)
            for (uint i = item; i < d; i += SOLVE_ITEMS) result[i] = 0.0f;
        index = next_row(row_pointers, index + get_num_groups(0), rows, shortest, longest);
        barrier(FENCE);
    }
}

// The sum of one value of each work-item.
static inline float group_sum(__local float *parts, float value) {
    const uint item = get_local_id(0);
    parts[item] = value;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint reach = CG_ITEMS / 2; reach > 0; reach /= 2) {
        if (item < reach) parts[item] += parts[item + reach];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const float sum = parts[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
}

// output += sum of w_e (t_e - v_e . x) v_e (first), or of w_e (v_e . x) v_e; each work-item has its coordinates.
static inline void entries_pass(
    const row_t *row, __local float *parts, __local float *sums, __local float *factors, int d, int first,
    const float x[CG_WIDTH], float output[CG_WIDTH]) {
    const uint item = get_local_id(0);
    for (int entry0 = 0; entry0 < row->count; entry0 += CG_ENTRIES) {
        float v[CG_ENTRIES][CG_WIDTH];
#pragma unroll
        for (int e = 0; e < CG_ENTRIES; e++) {
            float part = 0.0f;
            const int counts = entry_weight(row, entry0 + e) > 0.0f;
            const __global float *from = row->fixed + (counts ? row->columns[entry0 + e] * row->fixed_stride : 0);
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) {
                const int column = item + j * CG_ITEMS;
                v[e][j] = counts && column < d ? from[column] : 0.0f;
                part = fma(v[e][j], x[j], part);
            }
            parts[e * (CG_ITEMS + 1) + item] = part;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint e = item / CG_SLICES, slice = item % CG_SLICES;
        float sum = 0.0f;
#pragma unroll
        for (int p = 0; p < CG_ENTRIES; p++) sum += parts[e * (CG_ITEMS + 1) + slice + p * CG_SLICES];
        sums[item] = sum;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item < CG_ENTRIES) {
            const float w = entry_weight(row, entry0 + item);
            float score = 0.0f;
            for (int s = 0; s < CG_SLICES; s++) score += sums[item * CG_SLICES + s];
            factors[item] = w > 0.0f ? w * (first ? entry_target(row, entry0 + item) - score : score) : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (int e = 0; e < CG_ENTRIES; e++) {
            const float f = factors[e];
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) output[j] = fma(f, v[e][j], output[j]);
        }
    }
}

__kernel __attribute__((reqd_work_group_size(CG_ITEMS, 1, 1))) void solve_conjugate_gradient(
    int rows, int shortest, int longest, int d, int steps, ROW_PARAMETERS) {
    __local float parts[CG_ENTRIES * (CG_ITEMS + 1)];
    __local float sums[CG_ITEMS];
    __local float factors[CG_ENTRIES];
    __local int live;
    const uint item = get_local_id(0);
    row_pointers += row_pointers_offset;
    int index = next_row(row_pointers, get_group_id(0), rows, shortest, longest);
    barrier(CLK_LOCAL_MEM_FENCE);
    while (index < rows) {
        DECLARE_ROW
        if (item == 0) live = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint entry = item; entry < row.count; entry += CG_ITEMS)
            if (entry_weight(&row, entry) > 0.0f) atomic_or(&live, 1);
        barrier(CLK_LOCAL_MEM_FENCE);
        // Nothing observed: the solution is 0, to the bit.
        const int alive = live;
        const int turns = alive ? steps : 0;
        float ridges[CG_WIDTH], x[CG_WIDTH], r[CG_WIDTH], p[CG_WIDTH];
        float part = 0.0f;
#pragma unroll
        for (int j = 0; j < CG_WIDTH; j++) {
            const int column = item + j * CG_ITEMS;
            ridges[j] = column < d ? ridge(&row, column) : 1.0f;
            x[j] = column < d && alive ? result[column] : 0.0f;
            r[j] = 0.0f;
        }
        if (alive) entries_pass(&row, parts, sums, factors, d, 1, x, r);
#pragma unroll
        for (int j = 0; j < CG_WIDTH; j++) {
            r[j] = fma(-ridges[j], x[j], r[j]);
            p[j] = r[j] / ridges[j];
            part = fma(r[j], p[j], part);
        }
        float size = group_sum(parts, part);
        const float smallest = 1e-14f * size;
        for (int turn = 0; turn < turns; turn++) {
            float q[CG_WIDTH];
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) q[j] = 0.0f;
            entries_pass(&row, parts, sums, factors, d, 0, p, q);
            part = 0.0f;
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) {
                q[j] = fma(ridges[j], p[j], q[j]);
                part = fma(p[j], q[j], part);
            }
            const float curvature = group_sum(parts, part);
            // A solution that can't be improved stays as it is; all work-items go on to the same barriers.
            const float length = size > smallest && curvature > 0.0f ? size / curvature : 0.0f;
            part = 0.0f;
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) {
                x[j] = fma(length, p[j], x[j]);
                r[j] = fma(-length, q[j], r[j]);
                part = fma(r[j], r[j] / ridges[j], part);
            }
            const float next = group_sum(parts, part);
            const float ratio = length > 0.0f ? next / size : 0.0f;
            size = length > 0.0f ? next : 0.0f;
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) p[j] = fma(ratio, p[j], r[j] / ridges[j]);
        }
#pragma unroll
        for (int j = 0; j < CG_WIDTH; j++) {
            const int column = item + j * CG_ITEMS;
            if (column < d) result[column] = x[j];
        }
        index = next_row(row_pointers, index + get_num_groups(0), rows, shortest, longest);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
