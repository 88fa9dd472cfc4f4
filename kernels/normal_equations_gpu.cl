// Normal equations on GPU-class devices, continued from normal_equations_exact_gpu.cl: the methods that improve the present
// solution.

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

// The sum of one value of each work-item of a team; all teams have the same values and get the same sum.
static inline float team_sum(__local float *parts, float value) {
    const uint lane = get_local_id(0) % CG_ITEMS;
    __local float *own = parts + get_local_id(0) / CG_ITEMS * CG_ITEMS;
    own[lane] = value;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint reach = CG_ITEMS / 2; reach > 0; reach /= 2) {
        if (lane < reach) own[lane] += own[lane + reach];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const float sum = own[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
}

// output += sum of w_e (t_e - v_e . x) v_e (first), or of w_e (v_e . x) v_e; each work-item has its coordinates, and
// each team its share of the entries.
static inline void entries_pass(
    const row_t *row, __local float *all_parts, __local float *all_sums, __local float *all_factors, int d, int first,
    const float x[CG_WIDTH], float output[CG_WIDTH]) {
    const uint item = get_local_id(0) % CG_ITEMS, team = get_local_id(0) / CG_ITEMS;
    __local float *parts = all_parts + team * CG_PARTS;
    __local float *sums = all_sums + team * CG_ITEMS;
    __local float *factors = all_factors + team * CG_ENTRIES;
    for (int batch = 0; batch < row->count; batch += CG_TEAMS * CG_ENTRIES) {
        const int entry0 = batch + team * CG_ENTRIES;
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
#if CG_TEAMS > 1
    // Every team gets the sum of all.
#pragma unroll
    for (int j = 0; j < CG_WIDTH; j++) {
        barrier(CLK_LOCAL_MEM_FENCE);
        all_parts[get_local_id(0)] = output[j];
        barrier(CLK_LOCAL_MEM_FENCE);
        float sum = 0.0f;
#pragma unroll
        for (int other = 0; other < CG_TEAMS; other++) sum += all_parts[other * CG_ITEMS + item];
        output[j] = sum;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
}

__kernel __attribute__((reqd_work_group_size(CG_TEAMS *CG_ITEMS, 1, 1))) void solve_conjugate_gradient(
    int rows, int shortest, int longest, int d, int steps, ROW_PARAMETERS) {
    __local float parts[CG_TEAMS * CG_PARTS];
    __local float sums[CG_TEAMS * CG_ITEMS];
    __local float factors[CG_TEAMS * CG_ENTRIES];
    __local int live;
    const uint item = get_local_id(0) % CG_ITEMS;
    row_pointers += row_pointers_offset;
    int index = next_row(row_pointers, get_group_id(0), rows, shortest, longest);
    barrier(CLK_LOCAL_MEM_FENCE);
    while (index < rows) {
        DECLARE_ROW
        if (get_local_id(0) == 0) live = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint entry = get_local_id(0); entry < row.count; entry += CG_TEAMS * CG_ITEMS)
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
        float size = team_sum(parts, part);
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
            const float curvature = team_sum(parts, part);
            // A solution that can't be improved stays as it is; all work-items go on to the same barriers.
            const float length = size > smallest && curvature > 0.0f ? size / curvature : 0.0f;
            part = 0.0f;
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) {
                x[j] = fma(length, p[j], x[j]);
                r[j] = fma(-length, q[j], r[j]);
                part = fma(r[j], r[j] / ridges[j], part);
            }
            const float next = team_sum(parts, part);
            const float ratio = length > 0.0f ? next / size : 0.0f;
            size = length > 0.0f ? next : 0.0f;
#pragma unroll
            for (int j = 0; j < CG_WIDTH; j++) p[j] = fma(ratio, p[j], r[j] / ridges[j]);
        }
#pragma unroll
        for (int j = 0; j < CG_WIDTH; j++) {
            const int column = item + j * CG_ITEMS;
            if (column < d && get_local_id(0) < CG_ITEMS) result[column] = x[j];
        }
        index = next_row(row_pointers, index + get_num_groups(0), rows, shortest, longest);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
