// The k best candidates of each query for CPU-class devices, fused with the product. Work-groups of 1.
//
// top_k_tiles works on panels packed by gemm_pack_a (queries) and gemm_pack_b (candidates, transposed) of gemm_cpu.cl:
// a register tile of scores is made in registers and compared with each query's k-th best so far; only survivors are
// looked at one by one. top_k_rows reads few queries against candidates where they are: packing would cost more than
// it saves. Lists are heaps with the worst entry at the root, kept where the result goes, and sorted at the end.
// Candidates may be cut into chunks, fixed by the shape, each with its own lists; top_k_merge joins them in order.

#ifndef K_BLOCK
#define K_BLOCK 1024
#endif

#define QUERIES_AT_ONCE 4

#define FLAG_BIAS 1
#define FLAG_EXCLUSIONS 2
// Lists begin empty in this launch; otherwise they go on from an earlier one.
#define FLAG_FIRST 4
// Lists are sorted at the end of this launch.
#define FLAG_LAST 8

// Compiled once a kernel instead of once a place of use.
#define SHARED __attribute__((noinline)) static

static bool is_worse(float score, int index, float other_score, int other_index) {
    return score < other_score || (score == other_score && index > other_index);
}

// Puts an entry in place of the root and lets it sink.
SHARED void replace_root(__global float *scores, __global int *indices, long count, float score, int index) {
    long place = 0;
    for (;;) {
        long child = 2 * place + 1;
        if (child >= count) break;
        if (child + 1 < count && is_worse(scores[child + 1], indices[child + 1], scores[child], indices[child])) ++child;
        if (!is_worse(scores[child], indices[child], score, index)) break;
        scores[place] = scores[child];
        indices[place] = indices[child];
        place = child;
    }
    scores[place] = score;
    indices[place] = index;
}

SHARED void clear_list(__global float *scores, __global int *indices, long k) {
    for (long place = 0; place < k; ++place) {
        scores[place] = -INFINITY;
        indices[place] = -1;
    }
}

// Heap sort: the worst goes last.
SHARED void sort_list(__global float *scores, __global int *indices, long k) {
    for (long end = k - 1; end > 0; --end) {
        const float score = scores[end];
        const int index = indices[end];
        scores[end] = scores[0];
        indices[end] = indices[0];
        replace_root(scores, indices, end, score, index);
    }
}

// Whether an index is among the ascending column_indices[first ..< last].
SHARED bool is_listed(__global const int *column_indices, long first, long last, int index) {
    while (first < last) {
        const long middle = first + (last - first) / 2;
        const int found = column_indices[middle];
        if (found == index) return true;
        if (found < index) first = middle + 1;
        else last = middle;
    }
    return false;
}

#define STORE_SUMS(i) STORE_REGISTER(low##i, 2 * i, tile); STORE_REGISTER(high##i, 2 * i + 1, tile);

// The products of one panel of queries and one of candidates.
SHARED void score_tile(
    __global const float *queries, long query_panels, long query_panel, __global const float *candidates,
    long candidate_panels, long candidate_panel, long d, float *tile) {
    FOR_TILE_ROWS(DECLARE_SUMS)
    for (long p0 = 0; p0 < d; p0 += K_BLOCK) {
        const long length = min(d - p0, (long)K_BLOCK);
        __global const float *pa = queries + p0 * TILE_ROWS * query_panels + query_panel * TILE_ROWS * length;
        __global const float *pb =
            candidates + p0 * TILE_COLUMNS * candidate_panels + candidate_panel * TILE_COLUMNS * length;
        for (long p = 0; p < length; ++p) {
            const register_type b0 = LOAD_REGISTER(0, pb);
            const register_type b1 = LOAD_REGISTER(1, pb);
            FOR_TILE_ROWS(ADD_PRODUCTS)
            pa += TILE_ROWS;
            pb += TILE_COLUMNS;
        }
    }
    FOR_TILE_ROWS(STORE_SUMS)
}

// Grid: (groups of tiles_per_item panels of queries, chunks of panels_per_chunk panels of candidates).
// The m queries and n candidates of this launch start at first_query and first_candidate of the whole; the list of
// query q of chunk c lies at c * chunk_stride + (first_query + q) * stride.
__kernel void top_k_tiles(
    __global const float *queries, __global const float *candidates, __global const float *bias, long bias_offset,
    __global const long *row_pointers, long row_pointers_offset, __global const int *column_indices,
    long column_indices_offset, __global float *scores, long scores_offset, long scores_stride,
    __global int *indices, long indices_offset, long indices_stride, long chunk_stride, long first_query, long m,
    long first_candidate, long n, long d, long k, int flags, int tiles_per_item, long panels_per_chunk) {
    const long query_panels = (m + TILE_ROWS - 1) / TILE_ROWS;
    const long candidate_panels = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const long first_tile = (long)get_global_id(0) * tiles_per_item;
    const long last_tile = min(first_tile + tiles_per_item, query_panels);
    const long chunk = get_global_id(1);
    const long first_panel = chunk * panels_per_chunk;
    const long last_panel = min(first_panel + panels_per_chunk, candidate_panels);
    scores += scores_offset + chunk * chunk_stride + first_query * scores_stride;
    indices += indices_offset + chunk * chunk_stride + first_query * indices_stride;
    const long first_row = first_tile * TILE_ROWS;
    const long last_row = min(last_tile * TILE_ROWS, m);
    if (flags & FLAG_FIRST) {
        for (long q = first_row; q < last_row; ++q) clear_list(scores + q * scores_stride, indices + q * indices_stride, k);
    }
    float tile_scores[TILE_ROWS * TILE_COLUMNS];
    float lanes[TILE_COLUMNS];
    for (long panel = first_panel; panel < last_panel; ++panel) {
        const long column = panel * TILE_COLUMNS;
        const int columns = (int)min(n - column, (long)TILE_COLUMNS);
        register_type bias_low = (register_type)(0.0f), bias_high = (register_type)(0.0f);
        if (columns < TILE_COLUMNS || (flags & FLAG_BIAS)) {
            for (int j = 0; j < TILE_COLUMNS; ++j) {
                // Columns past the edge can win no place.
                lanes[j] = j >= columns ? -INFINITY
                    : flags & FLAG_BIAS ? bias[bias_offset + first_candidate + column + j] : 0.0f;
            }
            bias_low = LOAD_REGISTER(0, lanes);
            bias_high = LOAD_REGISTER(1, lanes);
        }
        for (long tile = first_tile; tile < last_tile; ++tile) {
            score_tile(queries, query_panels, tile, candidates, candidate_panels, panel, d, tile_scores);
            const int rows = (int)min(m - tile * TILE_ROWS, (long)TILE_ROWS);
            for (int i = 0; i < rows; ++i) {
                const long q = tile * TILE_ROWS + i;
                __global float *list_scores = scores + q * scores_stride;
                const register_type low = LOAD_REGISTER(2 * i, tile_scores) + bias_low;
                const register_type high = LOAD_REGISTER(2 * i + 1, tile_scores) + bias_high;
                // NaN compares false and stays out.
                if (!any((low > list_scores[0]) | (high > list_scores[0]))) continue;
                __global int *list_indices = indices + q * indices_stride;
                STORE_REGISTER(low, 0, lanes);
                STORE_REGISTER(high, 1, lanes);
                for (int j = 0; j < TILE_COLUMNS; ++j) {
                    if (!(lanes[j] > list_scores[0])) continue;
                    const int index = (int)(first_candidate + column + j);
                    if (flags & FLAG_EXCLUSIONS) {
                        __global const long *pointer = row_pointers + row_pointers_offset + first_query + q;
                        if (is_listed(column_indices + column_indices_offset, pointer[0], pointer[1], index)) continue;
                    }
                    replace_root(list_scores, list_indices, k, lanes[j], index);
                }
            }
        }
    }
    if (flags & FLAG_LAST) {
        for (long q = first_row; q < last_row; ++q) sort_list(scores + q * scores_stride, indices + q * indices_stride, k);
    }
}

static float sum16(float16 x) {
    const float8 eight = LOW_HALF(x) + HIGH_HALF(x);
    const float4 four = LOW_HALF(eight) + HIGH_HALF(eight);
    return (four.x + four.y) + (four.z + four.w);
}

// Grid: (groups of QUERIES_AT_ONCE queries, chunks of candidates_per_chunk candidates). Lists begin empty and end sorted.
__kernel void top_k_rows(
    __global const float *queries, long queries_offset, long queries_stride, __global const float *candidates,
    long candidates_offset, long candidates_stride, __global const float *bias, long bias_offset,
    __global const long *row_pointers, long row_pointers_offset, __global const int *column_indices,
    long column_indices_offset, __global float *scores, long scores_offset, long scores_stride,
    __global int *indices, long indices_offset, long indices_stride, long chunk_stride, long m, long n, long d, long k,
    int flags, long candidates_per_chunk) {
    const long first_query = (long)get_global_id(0) * QUERIES_AT_ONCE;
    const int count = (int)min(m - first_query, (long)QUERIES_AT_ONCE);
    const long chunk = get_global_id(1);
    const long first = chunk * candidates_per_chunk;
    const long last = min(first + candidates_per_chunk, n);
    scores += scores_offset + chunk * chunk_stride + first_query * scores_stride;
    indices += indices_offset + chunk * chunk_stride + first_query * indices_stride;
    __global const float *rows[QUERIES_AT_ONCE];
    for (int q = 0; q < QUERIES_AT_ONCE; ++q) {
        // Surplus places repeat the last query; their sums are not used.
        rows[q] = queries + queries_offset + (first_query + min(q, count - 1)) * queries_stride;
    }
    for (int q = 0; q < count; ++q) clear_list(scores + q * scores_stride, indices + q * indices_stride, k);
    for (long j = first; j < last; ++j) {
        __global const float *candidate = candidates + candidates_offset + j * candidates_stride;
        float16 sum0 = (float16)(0.0f), sum1 = (float16)(0.0f), sum2 = (float16)(0.0f), sum3 = (float16)(0.0f);
        long p = 0;
        if (count == 1) {
            for (; p + 32 <= d; p += 32) {
                sum0 += vload16(0, candidate + p) * vload16(0, rows[0] + p);
                sum1 += vload16(1, candidate + p) * vload16(1, rows[0] + p);
            }
            sum0 += sum1;
            if (p + 16 <= d) {
                sum0 += vload16(0, candidate + p) * vload16(0, rows[0] + p);
                p += 16;
            }
        } else {
            for (; p + 16 <= d; p += 16) {
                const float16 x = vload16(0, candidate + p);
                sum0 += x * vload16(0, rows[0] + p);
                sum1 += x * vload16(0, rows[1] + p);
                sum2 += x * vload16(0, rows[2] + p);
                sum3 += x * vload16(0, rows[3] + p);
            }
        }
        float sums[QUERIES_AT_ONCE];
        sums[0] = sum16(sum0);
        if (count > 1) {
            sums[1] = sum16(sum1);
            sums[2] = sum16(sum2);
            sums[3] = sum16(sum3);
        }
        for (int q = 0; q < count; ++q) {
            float score = sums[q];
            for (long rest = p; rest < d; ++rest) score += candidate[rest] * rows[q][rest];
            if (flags & FLAG_BIAS) score += bias[bias_offset + j];
            __global float *list_scores = scores + q * scores_stride;
            if (!(score > list_scores[0])) continue;
            if (flags & FLAG_EXCLUSIONS) {
                __global const long *pointer = row_pointers + row_pointers_offset + first_query + q;
                if (is_listed(column_indices + column_indices_offset, pointer[0], pointer[1], (int)j)) continue;
            }
            replace_root(list_scores, indices + q * indices_stride, k, score, (int)j);
        }
    }
    for (int q = 0; q < count; ++q) sort_list(scores + q * scores_stride, indices + q * indices_stride, k);
}

// Joins the sorted lists of all chunks, chunk by chunk. Grid: queries.
__kernel void top_k_merge(
    __global const float *part_scores, __global const int *part_indices, long chunk_stride, long chunks, long k,
    __global float *scores, long scores_offset, long scores_stride, __global int *indices, long indices_offset,
    long indices_stride) {
    const long q = get_global_id(0);
    scores += scores_offset + q * scores_stride;
    indices += indices_offset + q * indices_stride;
    clear_list(scores, indices, k);
    for (long chunk = 0; chunk < chunks; ++chunk) {
        const long first = chunk * chunk_stride + q * k;
        for (long place = first; place < first + k; ++place) {
            const float score = part_scores[place];
            const int index = part_indices[place];
            if (index < 0 || !is_worse(scores[0], indices[0], score, index)) break;
            replace_root(scores, indices, k, score, index);
        }
    }
    sort_list(scores, indices, k);
}
