// The k best candidates of each query on GPU-class devices, fused with the product of queries and candidates.
//
// A work-group takes TILE_Q queries against a chunk of the candidates, TILE_C at a time. The product goes through
// local memory as in gemm_gpu.cl, and its scores never leave registers unless they beat the query's present k-th
// score: these few are appended to the query's list. Before a list can overflow, its entries are looked up in the
// exclusions, sorted, and cut to k, which raises the threshold. A second kernel merges the lists of the chunks.
// Appending is unordered, but lists are sorted by score, then index, so that the result is one and the same.
//
// Entry points:
//   top_k_partial
//     m, n, d, k (int)
//     queries, queries_offset, queries_stride            m x d; offset and stride in elements (long)
//     candidates, candidates_offset, candidates_stride   n x d
//     has_bias, bias, bias_offset                        1 x n; not read when has_bias is 0 (pass any buffer)
//     has_exclusions, exclusion_pointers (long), exclusion_pointers_offset, exclusion_indices (int),
//     exclusion_indices_offset                           m rows, indices ascending; not read when 0
//     chunk                      candidates of a chunk, a multiple of TILE_C (int)
//     has_after, after_scores, offset, stride, after_indices, offset, stride    the last place of each query in an
//                                earlier pass: only what comes after it is taken; not read when 0
//     list_scores, list_indices, list_counts    scratch: lists * LIST_CAPACITY floats and ints, lists ints, where
//                                lists = chunks * ceil(m / TILE_Q) * TILE_Q
//   Global size: (ceil(m / TILE_Q) * TOP_K_ITEMS, chunks), local (TOP_K_ITEMS, 1); chunks = max(1, ceil(n / chunk)).
//   The host gives a batch of queries at a time (their first row by queries_offset), so that the scratch is bounded.
//   top_k_merge
//     k, chunks, query_lists (int: ceil(m / TILE_Q) * TILE_Q), has_exclusions, exclusion_pointers ... as above,
//     list_scores, list_indices, list_counts,
//     indices, indices_offset, indices_stride, scores, scores_offset, scores_stride: m x k; empty places get index -1
//     and score -infinity
//   Global size: m * TOP_K_ITEMS, local TOP_K_ITEMS.
//
// Needs k <= LIST_CAPACITY - TILE_C. A list is sorted when less than a tile fits behind it: with room for k / 2 more, and
// 96 at least, that is seldom: 256 (the default) for k <= 32, 512 for k <= 256, 2048 for k up to 1280 (and up to 1920),
// 4096 with TILE_K=8 for k <= 3968, and more passes, each after the last place of the one before, for more. Few queries: TILE_Q=16 WORK_C=4.
// Local memory: 2 * TILE_K * (TILE_Q + TILE_C + 2 * LOCAL_PAD) + 2 * max(1024, LIST_CAPACITY) + 4 * TILE_Q floats;
// 34 KiB by default, 42 KiB with a capacity of 2048.

#ifndef TILE_Q
#define TILE_Q 64
#endif
#ifndef TILE_C
#define TILE_C 128
#endif
#ifndef TILE_K
#define TILE_K 16
#endif
#ifndef WORK_Q
#define WORK_Q 4
#endif
#ifndef WORK_C
#define WORK_C 8
#endif
#ifndef VECTOR
#define VECTOR 4
#endif
#ifndef LOCAL_PAD
#define LOCAL_PAD 4
#endif
// Places of a list; a power of two.
#ifndef LIST_CAPACITY
#define LIST_CAPACITY 256
#endif

#define ITEMS_Q (TILE_Q / WORK_Q)
#define ITEMS_C (TILE_C / WORK_C)
#define TOP_K_ITEMS (ITEMS_Q * ITEMS_C)
#define STRIDE_Q (TILE_Q + LOCAL_PAD)
#define STRIDE_C (TILE_C + LOCAL_PAD)
#define FETCH_Q ((TILE_Q * TILE_K + VECTOR * TOP_K_ITEMS - 1) / (VECTOR * TOP_K_ITEMS))
#define FETCH_C ((TILE_C * TILE_K + VECTOR * TOP_K_ITEMS - 1) / (VECTOR * TOP_K_ITEMS))
#if LIST_CAPACITY < 1024
#define SORT_ENTRIES 1024
#else
#define SORT_ENTRIES LIST_CAPACITY
#endif
#define SORT_LISTS (SORT_ENTRIES / LIST_CAPACITY)

#if (2 * TILE_K * (STRIDE_Q + STRIDE_C) + 2 * SORT_ENTRIES + 4 * TILE_Q + 1) * 4 > 49152
#error "the tiles and lists need more than 48 KiB of local memory"
#endif
#if WORK_Q * WORK_C > 32
#error "a work-item has at most 32 scores"
#endif
#if LIST_CAPACITY & (LIST_CAPACITY - 1) || LIST_CAPACITY <= TILE_C
#error "LIST_CAPACITY must be a power of two above TILE_C"
#endif
#if TILE_Q % WORK_Q || TILE_C % WORK_C || WORK_Q % VECTOR || WORK_C % VECTOR || TILE_K % VECTOR || LOCAL_PAD % VECTOR
#error "tile sizes must be multiples of the work-item's sizes, and these of VECTOR"
#endif
#ifdef __FAST_RELAXED_MATH__
#error "NaN and infinity are data here; build without -cl-fast-relaxed-math"
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

// Fetches this work-item's share of rows x TILE_K elements from (row0, k0) on; outside the table they are 0.
static inline void fetch_slice(
    vector_t *registers, const __global float *table, long stride, uint item, int tile_rows, int count, int row0,
    int rows, int k0, int columns, int aligned) {
    const int whole = aligned && row0 + tile_rows <= rows && k0 + TILE_K <= columns;
#pragma unroll
    for (int f = 0; f < count; f++) {
        const uint piece = item + f * TOP_K_ITEMS;
        const int row = row0 + piece / (TILE_K / VECTOR);
        const int column = k0 + piece % (TILE_K / VECTOR) * VECTOR;
        const __global float *from = table + row * stride + column;
        if (piece * VECTOR >= tile_rows * TILE_K) {
            registers[f] = (vector_t)(0.0f);
        } else if (whole) {
            registers[f] = *(const __global vector_t *)from;
        } else {
#pragma unroll
            for (int v = 0; v < VECTOR; v++)
                ((float *)(registers + f))[v] = row < rows && column + v < columns ? from[v] : 0.0f;
        }
    }
}

// Puts what fetch_slice fetched into local memory as slice[k][row].
static inline void store_slice(
    const vector_t *registers, __local float *slice, int local_stride, uint item, int tile_rows, int count) {
#pragma unroll
    for (int f = 0; f < count; f++) {
        const uint piece = item + f * TOP_K_ITEMS;
        if (piece * VECTOR >= tile_rows * TILE_K) continue;
#pragma unroll
        for (int v = 0; v < VECTOR; v++)
            slice[(piece % (TILE_K / VECTOR) * VECTOR + v) * local_stride + piece / (TILE_K / VECTOR)] =
                ((const float *)(registers + f))[v];
    }
}

static inline int is_better(float score, int index, float other_score, int other_index) {
    return score > other_score || (score == other_score && index < other_index);
}

// Sorts each run of LIST_CAPACITY entries, best first, by a bitonic network. All work-items take part.
static inline void sort_lists(__local float *scores, __local int *indices, int entries) {
    for (uint size = 2; size <= LIST_CAPACITY; size *= 2) {
        for (uint distance = size / 2; distance > 0; distance /= 2) {
            for (uint pair = get_local_id(0); pair < entries / 2; pair += TOP_K_ITEMS) {
                const uint first = 2 * pair - (pair & (distance - 1));
                const uint second = first + distance;
                const int best_first = (first & (LIST_CAPACITY - 1) & size) == 0;
                const float a = scores[first], b = scores[second];
                const int i = indices[first], j = indices[second];
                if (best_first ? is_better(b, j, a, i) : is_better(a, i, b, j)) {
                    scores[first] = b, scores[second] = a;
                    indices[first] = j, indices[second] = i;
                }
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
}

// Whether `index` is among the ascending indices of the row at `pointers`.
static inline int is_excluded(const __global long *pointers, const __global int *indices, int index) {
    const __global int *row = indices + pointers[0];
    const int count = (int)(pointers[1] - pointers[0]);
    int below = 0;
    for (uint step = 1u << 30; step > 0; step /= 2) {
        const uint next = below + step;
        if (next <= count && row[next - 1] < index) below = next;
    }
    return below < count && row[below] == index;
}

// The first batch of lists from list0 on of which one might overflow with the next tile.
static inline int next_batch(const __local int *counts, int list0) {
    for (; list0 < TILE_Q; list0 += SORT_LISTS) {
        int needed = 0;
        for (int q = list0; q < min(list0 + SORT_LISTS, TILE_Q); q++) needed |= counts[q] > LIST_CAPACITY - TILE_C;
        if (needed) break;
    }
    return list0;
}

// Loads the lists from list0 on, without what is excluded, and sorts them.
static inline void sort_batch(
    __local float *sort_scores, __local int *sort_indices, const __local int *counts, int list0,
    const __global float *list_scores, const __global int *list_indices, int has_exclusions,
    const __global long *exclusion_pointers, const __global int *exclusion_indices, int query0, int m) {
    for (uint entry = get_local_id(0); entry < SORT_ENTRIES; entry += TOP_K_ITEMS) {
        const int q = min(list0 + (int)(entry / LIST_CAPACITY), TILE_Q - 1);
        const int place = entry % LIST_CAPACITY;
        int present = place < counts[q];
        const int index = present ? list_indices[q * LIST_CAPACITY + place] : INT_MAX;
        if (present && has_exclusions)
            present = !is_excluded(exclusion_pointers + min(query0 + q, m - 1), exclusion_indices, index);
        sort_scores[entry] = present ? list_scores[q * LIST_CAPACITY + place] : -INFINITY;
        sort_indices[entry] = present ? index : INT_MAX;
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    sort_lists(sort_scores, sort_indices, SORT_ENTRIES);
}

__kernel __attribute__((reqd_work_group_size(TOP_K_ITEMS, 1, 1))) void top_k_partial(
    int m, int n, int d, int k, const __global float *restrict queries, long queries_offset, long queries_stride,
    const __global float *restrict candidates, long candidates_offset, long candidates_stride, int has_bias,
    const __global float *restrict bias, long bias_offset, int has_exclusions,
    const __global long *restrict exclusion_pointers, long exclusion_pointers_offset,
    const __global int *restrict exclusion_indices, long exclusion_indices_offset, int chunk,
    int has_after, const __global float *restrict after_scores, long after_scores_offset, long after_scores_stride,
    const __global int *restrict after_indices, long after_indices_offset, long after_indices_stride,
    __global float *list_scores, __global int *list_indices, __global int *restrict list_counts) {
    __local float slices_q[2 * TILE_K * STRIDE_Q] __attribute__((aligned(16)));
    __local float slices_c[2 * TILE_K * STRIDE_C] __attribute__((aligned(16)));
    __local float sort_scores[SORT_ENTRIES];
    __local int sort_indices[SORT_ENTRIES];
    __local float thresholds[TILE_Q], last_scores[TILE_Q];
    __local int counts[TILE_Q], last_indices[TILE_Q];
    __local int full;
    const uint item = get_local_id(0);
    const uint item_q = item / ITEMS_C, item_c = item % ITEMS_C;
    queries += queries_offset;
    candidates += candidates_offset;
    const int aligned_q = ((uintptr_t)queries & (4 * VECTOR - 1)) == 0 && queries_stride % VECTOR == 0;
    const int aligned_c = ((uintptr_t)candidates & (4 * VECTOR - 1)) == 0 && candidates_stride % VECTOR == 0;
    const long first_list = (get_group_id(1) * get_num_groups(0) + get_group_id(0)) * TILE_Q;
    exclusion_pointers += exclusion_pointers_offset;
    exclusion_indices += exclusion_indices_offset;
    list_scores += first_list * LIST_CAPACITY;
    list_indices += first_list * LIST_CAPACITY;
    const int query0 = get_group_id(0) * TILE_Q;
    const int candidate_begin = (int)min((long)n, (long)get_group_id(1) * chunk);
    const int candidate_end = (int)min((long)n, (long)candidate_begin + chunk);
    const int steps = (d + TILE_K - 1) / TILE_K;

    vector_t next_q[FETCH_Q], next_c[FETCH_C];
    float sum[WORK_Q][WORK_C];

    for (uint q = item; q < TILE_Q; q += TOP_K_ITEMS) {
        thresholds[q] = -INFINITY;
        counts[q] = 0;
        const int after = has_after && query0 + (int)q < m;
        last_scores[q] = after ? after_scores[after_scores_offset + (query0 + q) * after_scores_stride] : INFINITY;
        last_indices[q] = after ? after_indices[after_indices_offset + (query0 + q) * after_indices_stride] : INT_MAX;
    }
    if (item == 0) full = 0;
    barrier(CLK_LOCAL_MEM_FENCE);

    for (int candidate0 = candidate_begin; candidate0 < candidate_end; candidate0 += TILE_C) {
#pragma unroll
        for (int i = 0; i < WORK_Q; i++)
#pragma unroll
            for (int j = 0; j < WORK_C; j++) sum[i][j] = 0.0f;
        if (steps > 0) {
            fetch_slice(next_q, queries, queries_stride, item, TILE_Q, FETCH_Q, query0, m, 0, d, aligned_q);
            fetch_slice(
                next_c, candidates, candidates_stride, item, TILE_C, FETCH_C, candidate0, candidate_end, 0, d,
                aligned_c);
            store_slice(next_q, slices_q, STRIDE_Q, item, TILE_Q, FETCH_Q);
            store_slice(next_c, slices_c, STRIDE_C, item, TILE_C, FETCH_C);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = 0; step < steps; step++) {
            const int k0 = (step + 1) * TILE_K;
            if (step + 1 < steps) {
                fetch_slice(
                    next_q, queries, queries_stride, item, TILE_Q, FETCH_Q, query0, m, k0, d, aligned_q);
                fetch_slice(
                    next_c, candidates, candidates_stride, item, TILE_C, FETCH_C, candidate0, candidate_end,
                    k0, d, aligned_c);
            }
            const __local float *slice_q = slices_q + (step & 1) * TILE_K * STRIDE_Q;
            const __local float *slice_c = slices_c + (step & 1) * TILE_K * STRIDE_C;
#pragma unroll
            for (int kk = 0; kk < TILE_K; kk++) {
                vector_t left[WORK_Q / VECTOR], right[WORK_C / VECTOR];
#pragma unroll
                for (int g = 0; g < WORK_Q / VECTOR; g++)
                    left[g] = *(const __local vector_t *)(slice_q + kk * STRIDE_Q +
                                                          (g * ITEMS_Q + item_q) * VECTOR);
#pragma unroll
                for (int g = 0; g < WORK_C / VECTOR; g++)
                    right[g] = *(const __local vector_t *)(slice_c + kk * STRIDE_C +
                                                           (g * ITEMS_C + item_c) * VECTOR);
#pragma unroll
                for (int i = 0; i < WORK_Q; i++)
#pragma unroll
                    for (int j = 0; j < WORK_C; j++)
                        sum[i][j] = fma(((float *)left)[i], ((float *)right)[j], sum[i][j]);
            }
            if (step + 1 < steps) {
                const int other = (step + 1) & 1;
                store_slice(next_q, slices_q + other * TILE_K * STRIDE_Q, STRIDE_Q, item, TILE_Q, FETCH_Q);
                store_slice(next_c, slices_c + other * TILE_K * STRIDE_C, STRIDE_C, item, TILE_C, FETCH_C);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
#pragma unroll
        for (int j = 0; j < WORK_C; j++) {
            const int candidate = candidate0 + (j / VECTOR * ITEMS_C + item_c) * VECTOR + j % VECTOR;
            const float shift = has_bias && candidate < candidate_end ? bias[bias_offset + candidate] : 0.0f;
#pragma unroll
            for (int i = 0; i < WORK_Q; i++)
                sum[i][j] = candidate < candidate_end ? sum[i][j] + shift : -INFINITY;
        }
        // After the first tiles survivors are rare: a bit each, and one branch that is seldom taken.
        uint survivors = 0;
#pragma unroll
        for (int i = 0; i < WORK_Q; i++) {
            const int q = (i / VECTOR * ITEMS_Q + item_q) * VECTOR + i % VECTOR;
            const float threshold = query0 + q < m ? thresholds[q] : INFINITY;
            const float last_score = last_scores[q];
            const int last_index = last_indices[q];
#pragma unroll
            for (int j = 0; j < WORK_C; j++) {
                const int candidate = candidate0 + (j / VECTOR * ITEMS_C + item_c) * VECTOR + j % VECTOR;
                // False for NaN and -infinity; an equal score of a later candidate loses. What comes before the last
                // of an earlier pass is out.
                const int survives = sum[i][j] > threshold &&
                                     (!has_after || is_better(last_score, last_index, sum[i][j], candidate));
                survivors |= survives ? 1u << (i * WORK_C + j) : 0;
            }
        }
        if (survivors) {
#pragma unroll
            for (int i = 0; i < WORK_Q; i++) {
                const int q = (i / VECTOR * ITEMS_Q + item_q) * VECTOR + i % VECTOR;
#pragma unroll
                for (int j = 0; j < WORK_C; j++) {
                    if (survivors >> (i * WORK_C + j) & 1) {
                        const int place = atomic_inc(&counts[q]);
                        list_scores[q * LIST_CAPACITY + place] = sum[i][j];
                        list_indices[q * LIST_CAPACITY + place] =
                            candidate0 + (j / VECTOR * ITEMS_C + item_c) * VECTOR + j % VECTOR;
                        // The next tile might not fit.
                        if (place >= LIST_CAPACITY - TILE_C) atomic_or(&full, 1);
                    }
                }
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        int list0 = full ? next_batch(counts, 0) : TILE_Q;
        barrier(CLK_LOCAL_MEM_FENCE);
        // A loop and no branch around the barriers: all work-items see the same counts, so they all turn alike.
        while (list0 < TILE_Q) {
            sort_batch(
                sort_scores, sort_indices, counts, list0, list_scores, list_indices, has_exclusions,
                exclusion_pointers, exclusion_indices, query0, m);
            for (uint entry = item; entry < SORT_ENTRIES; entry += TOP_K_ITEMS) {
                const int q = list0 + entry / LIST_CAPACITY;
                const int place = entry % LIST_CAPACITY;
                if (q < TILE_Q && place < k) {
                    list_scores[q * LIST_CAPACITY + place] = sort_scores[entry];
                    list_indices[q * LIST_CAPACITY + place] = sort_indices[entry];
                }
            }
            for (uint l = item; l < min(SORT_LISTS, TILE_Q - list0); l += TOP_K_ITEMS) {
                const int q = list0 + l;
                if (counts[q] >= k) thresholds[q] = sort_scores[l * LIST_CAPACITY + k - 1];
                counts[q] = min(counts[q], k);
            }
            barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
            list0 = next_batch(counts, list0 + SORT_LISTS);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        if (item == 0) full = 0;
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    for (uint q = item; q < TILE_Q; q += TOP_K_ITEMS) list_counts[first_list + q] = counts[q];
}

__kernel __attribute__((reqd_work_group_size(TOP_K_ITEMS, 1, 1))) void top_k_merge(
    int k, int chunks, int query_lists, int has_exclusions, const __global long *restrict exclusion_pointers,
    long exclusion_pointers_offset, const __global int *restrict exclusion_indices, long exclusion_indices_offset,
    const __global float *restrict list_scores, const __global int *restrict list_indices,
    const __global int *restrict list_counts, __global int *restrict indices, long indices_offset,
    long indices_stride, __global float *restrict scores, long scores_offset, long scores_stride) {
    __local float sort_scores[LIST_CAPACITY];
    __local int sort_indices[LIST_CAPACITY];
    const uint item = get_local_id(0);
    const int query = get_group_id(0);
    exclusion_pointers += exclusion_pointers_offset + query;
    exclusion_indices += exclusion_indices_offset;
    // The best so far stay in front; behind them comes as much of the next lists as fits.
    int held = 0, chunk = 0, taken = 0;
    do {
        int filled = held;
        while (chunk < chunks && filled < LIST_CAPACITY) {
            const long list = (long)chunk * query_lists + query;
            const int count = list_counts[list];
            const int more = min(count - taken, LIST_CAPACITY - filled);
            for (uint entry = item; entry < more; entry += TOP_K_ITEMS) {
                const int index = list_indices[list * LIST_CAPACITY + taken + entry];
                const int excluded = has_exclusions && is_excluded(exclusion_pointers, exclusion_indices, index);
                sort_scores[filled + entry] =
                    excluded ? -INFINITY : list_scores[list * LIST_CAPACITY + taken + entry];
                sort_indices[filled + entry] = excluded ? INT_MAX : index;
            }
            filled += more;
            taken += more;
            if (taken == count) {
                taken = 0;
                chunk++;
            }
        }
        for (uint entry = filled + item; entry < LIST_CAPACITY; entry += TOP_K_ITEMS) {
            sort_scores[entry] = -INFINITY;
            sort_indices[entry] = INT_MAX;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        sort_lists(sort_scores, sort_indices, LIST_CAPACITY);
        held = min(k, filled);
    } while (chunk < chunks);
    for (uint place = item; place < k; place += TOP_K_ITEMS) {
        const int index = sort_indices[place];
        indices[indices_offset + query * indices_stride + place] = index == INT_MAX ? -1 : index;
        scores[scores_offset + query * scores_stride + place] = sort_scores[place];
    }
}
