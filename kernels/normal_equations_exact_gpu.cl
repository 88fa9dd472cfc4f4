// Normal equations on GPU-class devices, continued from tiles_gpu.cl: the direct solution.

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
