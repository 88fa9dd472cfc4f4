// Nearest centres and sums by label on GPU-class devices, without atomics on floating-point numbers.
//
// Nearest centres: a work-group takes TILE_P points past all centres, TILE_C at a time. The product goes through local
// memory as in gemm_gpu.cl; each work-item keeps the smallest ½|c|² − x·c of its points over its centres in registers, and
// what the work-items of a point have found is compared once, at the end.
//
// Sums by label: the points are sorted by label with counts and a scan, in their own order within a label; then each label
// is summed by itself in wider precision, in parts that the shape alone fixes.
//
// Entry points; offsets and strides count elements (long):
//   assign_half_norms        Global size: k, any group.
//     k, d (int), centers, offset, stride, half_norms (scratch: k floats)
//   assign_nearest           Global size: ceil(n / TILE_P) * ITEMS, local ITEMS = TILE_P / WORK_P * TILE_C / WORK_C.
//     n, k, d (int), points, offset, stride, centers, offset, stride, half_norms, labels, labels_offset
//   assign_distances         Global size: (32, n rounded up to 4), local (32, 4).
//     n, d (int), points, offset, stride, centers, offset, stride, labels, labels_offset, distances, distances_offset
//   label_count              Global size: chunks rounded up to 32. One work-item counts the labels of a chunk of points.
//     n, k, chunk, chunks (int), labels, labels_offset, counts (scratch: chunks * k ints)
//   label_scan_chunks        Global size: k rounded up to 32. Counts become places within their label.
//     k, chunks (int), counts, starts (scratch: k + 1 ints)
//   label_scan               Global size: SCAN_ITEMS, local SCAN_ITEMS. `starts` becomes the first place of each label.
//     k (int), starts
//   label_sort               Global size: as label_count. Writes the points of each label one after the other.
//     n, k, chunk, chunks (int), labels, labels_offset, counts, starts, order (scratch: n ints)
//   label_sums               Global size: (ceil((d + 1) / SUM_COLUMNS) * SUM_COLUMNS, parts * SUM_ROWS, k),
//                            local (SUM_COLUMNS, SUM_ROWS, 1). Column d is the sum of the weights.
//     k, d, parts (int), points, offset, stride, has_weights, weights, weights_offset, starts, order,
//     partial (scratch: parts * k * (d + 1) * 8 bytes)
//   label_totals             Global size: (d + 1 rounded up to 32, k), local (32, 1).
//     k, d, parts (int), partial, sums, offset, stride, totals, totals_offset
//
// Local memory: 2 * TILE_K * (TILE_P + TILE_C + 2 * LOCAL_PAD) floats, 33 KiB; the others below 3 KiB.

#ifndef TILE_P
#define TILE_P 128
#endif
#ifndef TILE_C
#define TILE_C 128
#endif
#ifndef TILE_K
#define TILE_K 16
#endif
#ifndef WORK_P
#define WORK_P 8
#endif
#ifndef WORK_C
#define WORK_C 8
#endif
#ifndef LOCAL_PAD
#define LOCAL_PAD 4
#endif
#ifndef SCAN_ITEMS
#define SCAN_ITEMS 64
#endif
#ifndef SUM_COLUMNS
#define SUM_COLUMNS 32
#endif
#ifndef SUM_ROWS
#define SUM_ROWS 4
#endif

#define ITEMS_P (TILE_P / WORK_P)
#define ITEMS_C (TILE_C / WORK_C)
#define ASSIGN_ITEMS (ITEMS_P * ITEMS_C)
#define STRIDE_P (TILE_P + LOCAL_PAD)
#define STRIDE_C (TILE_C + LOCAL_PAD)
#define FETCH_P (TILE_P * TILE_K / (4 * ASSIGN_ITEMS))
#define FETCH_C (TILE_C * TILE_K / (4 * ASSIGN_ITEMS))
#define SLICES (2 * TILE_K * (STRIDE_P + STRIDE_C))

#if SLICES * 4 > 49152
#error "the tiles need more than 48 KiB of local memory"
#endif
#if TILE_P * ITEMS_C * 2 > SLICES
#error "what the work-items have found does not fit into the slices"
#endif
#if TILE_P * TILE_K % (4 * ASSIGN_ITEMS) || TILE_C * TILE_K % (4 * ASSIGN_ITEMS) || WORK_P % 4 || WORK_C % 4
#error "tile sizes must be multiples of the work-item's sizes, and these of 4"
#endif
#ifdef __FAST_RELAXED_MATH__
#error "NaN and infinity are data here; build without -cl-fast-relaxed-math"
#endif

#if defined(cl_khr_fp64) && !defined(NO_DOUBLE)
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef double wide_t;
#define WIDE_ZERO 0.0
static inline wide_t wide_add(wide_t sum, wide_t x) { return sum + x; }
static inline wide_t wide_product(float a, float b) { return (double)a * (double)b; }
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
static inline wide_t wide_product(float a, float b) {
    const float product = a * b;
    return (float2)(product, isfinite(product) ? fma(a, b, -product) : 0.0f);
}
static inline float wide_value(wide_t sum) { return sum.x + sum.y; }
#endif

__kernel void assign_half_norms(
    int k, int d, const __global float *restrict centers, long centers_offset, long centers_stride,
    __global float *restrict half_norms) {
    const int center = get_global_id(0);
    if (center >= k) return;
    const __global float *from = centers + centers_offset + center * centers_stride;
    wide_t sum = WIDE_ZERO;
    for (int p = 0; p < d; p++) sum = wide_add(sum, wide_product(from[p], from[p]));
    half_norms[center] = 0.5f * wide_value(sum);
}

// Fetches this work-item's share of rows x TILE_K elements from (row0, k0) on; outside the table they are 0.
static inline void fetch_slice(
    float4 *registers, const __global float *table, long stride, uint item, int count, int row0, int rows, int k0,
    int columns, int aligned) {
#pragma unroll
    for (int f = 0; f < count; f++) {
        const uint piece = item + f * ASSIGN_ITEMS;
        const int row = row0 + piece / (TILE_K / 4);
        const int column = k0 + piece % (TILE_K / 4) * 4;
        const __global float *from = table + row * stride + column;
        if (aligned && row < rows && column + 4 <= columns) {
            registers[f] = *(const __global float4 *)from;
        } else {
            registers[f].x = row < rows && column < columns ? from[0] : 0.0f;
            registers[f].y = row < rows && column + 1 < columns ? from[1] : 0.0f;
            registers[f].z = row < rows && column + 2 < columns ? from[2] : 0.0f;
            registers[f].w = row < rows && column + 3 < columns ? from[3] : 0.0f;
        }
    }
}

// Puts what fetch_slice fetched into local memory as slice[k][row].
static inline void store_slice(const float4 *registers, __local float *slice, int local_stride, uint item, int count) {
#pragma unroll
    for (int f = 0; f < count; f++) {
        const uint piece = item + f * ASSIGN_ITEMS;
        __local float *to = slice + piece % (TILE_K / 4) * 4 * local_stride + piece / (TILE_K / 4);
        to[0] = registers[f].x;
        to[local_stride] = registers[f].y;
        to[2 * local_stride] = registers[f].z;
        to[3 * local_stride] = registers[f].w;
    }
}

__kernel __attribute__((reqd_work_group_size(ASSIGN_ITEMS, 1, 1))) void assign_nearest(
    int n, int k, int d, const __global float *restrict points, long points_offset, long points_stride,
    const __global float *restrict centers, long centers_offset, long centers_stride,
    const __global float *restrict half_norms, __global int *restrict labels, long labels_offset) {
    __local float slices[SLICES] __attribute__((aligned(16)));
    __local float *slices_p = slices;
    __local float *slices_c = slices + 2 * TILE_K * STRIDE_P;
    const uint item = get_local_id(0);
    const uint item_p = item / ITEMS_C, item_c = item % ITEMS_C;
    points += points_offset;
    centers += centers_offset;
    const int aligned_p = ((uintptr_t)points & 15) == 0 && points_stride % 4 == 0;
    const int aligned_c = ((uintptr_t)centers & 15) == 0 && centers_stride % 4 == 0;
    const int point0 = get_group_id(0) * TILE_P;
    const int steps = (d + TILE_K - 1) / TILE_K;

    float4 next_p[FETCH_P], next_c[FETCH_C];
    float sum[WORK_P][WORK_C];
    float best[WORK_P];
    int label[WORK_P];
#pragma unroll
    for (int i = 0; i < WORK_P; i++) {
        best[i] = INFINITY;
        label[i] = -1;
    }

    for (int center0 = 0; center0 < k; center0 += TILE_C) {
#pragma unroll
        for (int i = 0; i < WORK_P; i++)
#pragma unroll
            for (int j = 0; j < WORK_C; j++) sum[i][j] = 0.0f;
        if (steps > 0) {
            fetch_slice(next_p, points, points_stride, item, FETCH_P, point0, n, 0, d, aligned_p);
            fetch_slice(next_c, centers, centers_stride, item, FETCH_C, center0, k, 0, d, aligned_c);
            store_slice(next_p, slices_p, STRIDE_P, item, FETCH_P);
            store_slice(next_c, slices_c, STRIDE_C, item, FETCH_C);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = 0; step < steps; step++) {
            const int k0 = (step + 1) * TILE_K;
            if (step + 1 < steps) {
                fetch_slice(next_p, points, points_stride, item, FETCH_P, point0, n, k0, d, aligned_p);
                fetch_slice(next_c, centers, centers_stride, item, FETCH_C, center0, k, k0, d, aligned_c);
            }
            const __local float *slice_p = slices_p + (step & 1) * TILE_K * STRIDE_P;
            const __local float *slice_c = slices_c + (step & 1) * TILE_K * STRIDE_C;
#pragma unroll
            for (int kk = 0; kk < TILE_K; kk++) {
                float4 left[WORK_P / 4], right[WORK_C / 4];
#pragma unroll
                for (int g = 0; g < WORK_P / 4; g++)
                    left[g] = *(const __local float4 *)(slice_p + kk * STRIDE_P + (g * ITEMS_P + item_p) * 4);
#pragma unroll
                for (int g = 0; g < WORK_C / 4; g++)
                    right[g] = *(const __local float4 *)(slice_c + kk * STRIDE_C + (g * ITEMS_C + item_c) * 4);
#pragma unroll
                for (int i = 0; i < WORK_P; i++)
#pragma unroll
                    for (int j = 0; j < WORK_C; j++)
                        sum[i][j] = fma(((float *)left)[i], ((float *)right)[j], sum[i][j]);
            }
            if (step + 1 < steps) {
                const int other = (step + 1) & 1;
                store_slice(next_p, slices_p + other * TILE_K * STRIDE_P, STRIDE_P, item, FETCH_P);
                store_slice(next_c, slices_c + other * TILE_K * STRIDE_C, STRIDE_C, item, FETCH_C);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        // Centres come by ascending index within a work-item: only a smaller one replaces. NaN compares false.
#pragma unroll
        for (int j = 0; j < WORK_C; j++) {
            const int center = center0 + (j / 4 * ITEMS_C + item_c) * 4 + j % 4;
            const float half_norm = center < k ? half_norms[center] : INFINITY;
#pragma unroll
            for (int i = 0; i < WORK_P; i++) {
                const float value = half_norm - sum[i][j];
                label[i] = value < best[i] ? center : label[i];
                best[i] = value < best[i] ? value : best[i];
            }
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    __local float *found = slices;
    __local int *found_labels = (__local int *)(slices + TILE_P * ITEMS_C);
#pragma unroll
    for (int i = 0; i < WORK_P; i++) {
        const int p = (i / 4 * ITEMS_P + item_p) * 4 + i % 4;
        found[p * ITEMS_C + item_c] = best[i];
        found_labels[p * ITEMS_C + item_c] = label[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint p = item; p < TILE_P; p += ASSIGN_ITEMS) {
        if (point0 + (int)p >= n) continue;
        float value = INFINITY;
        int chosen = -1;
        for (int c = 0; c < ITEMS_C; c++) {
            const float other = found[p * ITEMS_C + c];
            const int other_label = found_labels[p * ITEMS_C + c];
            if (other < value || (other == value && other_label >= 0 && other_label < chosen)) {
                value = other;
                chosen = other_label;
            }
        }
        labels[labels_offset + point0 + p] = chosen;
    }
}

__kernel __attribute__((reqd_work_group_size(32, 4, 1))) void assign_distances(
    int n, int d, const __global float *restrict points, long points_offset, long points_stride,
    const __global float *restrict centers, long centers_offset, long centers_stride,
    const __global int *restrict labels, long labels_offset, __global float *restrict distances,
    long distances_offset) {
    __local float sums[4][32];
    const int lane = get_local_id(0), row = get_local_id(1);
    const int point = get_global_id(1);
    const int label = point < n ? labels[labels_offset + point] : -1;
    float sum = 0.0f;
    if (label >= 0) {
        const __global float *a = points + points_offset + point * points_stride;
        const __global float *b = centers + centers_offset + label * centers_stride;
        for (int p = lane; p < d; p += 32) {
            const float x = a[p] - b[p];
            sum = fma(x, x, sum);
        }
    }
    sums[row][lane] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane == 0 && point < n) {
        for (int l = 1; l < 32; l++) sum += sums[row][l];
        distances[distances_offset + point] = label < 0 ? INFINITY : sum;
    }
}

__kernel void label_count(
    int n, int k, int chunk, int chunks, const __global int *restrict labels, long labels_offset,
    __global int *restrict counts) {
    const int c = get_global_id(0);
    if (c >= chunks) return;
    __global int *mine = counts + (long)c * k;
    for (int j = 0; j < k; j++) mine[j] = 0;
    const int end = min(n, (c + 1) * chunk);
    for (int i = c * chunk; i < end; i++) {
        const int label = labels[labels_offset + i];
        if (label >= 0 && label < k) mine[label]++;
    }
}

__kernel void label_scan_chunks(int k, int chunks, __global int *restrict counts, __global int *restrict starts) {
    const int label = get_global_id(0);
    if (label >= k) return;
    int sum = 0;
    for (int c = 0; c < chunks; c++) {
        const int count = counts[(long)c * k + label];
        counts[(long)c * k + label] = sum;
        sum += count;
    }
    starts[label] = sum;
}

__kernel __attribute__((reqd_work_group_size(SCAN_ITEMS, 1, 1))) void label_scan(int k, __global int *starts) {
    __local int sums[SCAN_ITEMS];
    const int item = get_local_id(0);
    const int share = (k + SCAN_ITEMS - 1) / SCAN_ITEMS;
    const int first = min(item * share, k), end = min(first + share, k);
    int sum = 0;
    for (int j = first; j < end; j++) sum += starts[j];
    sums[item] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    int before = 0;
    for (int other = 0; other < item; other++) before += sums[other];
    for (int j = first; j < end; j++) {
        const int count = starts[j];
        starts[j] = before;
        before += count;
    }
    if (item == SCAN_ITEMS - 1) starts[k] = before;
}

__kernel void label_sort(
    int n, int k, int chunk, int chunks, const __global int *restrict labels, long labels_offset,
    __global int *restrict counts, const __global int *restrict starts, __global int *restrict order) {
    const int c = get_global_id(0);
    if (c >= chunks) return;
    __global int *mine = counts + (long)c * k;
    const int end = min(n, (c + 1) * chunk);
    for (int i = c * chunk; i < end; i++) {
        const int label = labels[labels_offset + i];
        if (label >= 0 && label < k) order[starts[label] + mine[label]++] = i;
    }
}

__kernel __attribute__((reqd_work_group_size(SUM_COLUMNS, SUM_ROWS, 1))) void label_sums(
    int k, int d, int parts, const __global float *restrict points, long points_offset, long points_stride,
    int has_weights, const __global float *restrict weights, long weights_offset, const __global int *restrict starts,
    const __global int *restrict order, __global wide_t *restrict partial) {
    __local wide_t sums[SUM_ROWS][SUM_COLUMNS];
    const int column = get_global_id(0);
    const int lane = get_local_id(0), row = get_local_id(1);
    const int part = get_group_id(1), label = get_global_id(2);
    const int begin = starts[label], count = starts[label + 1] - begin;
    const int first = begin + (int)((long)count * part / parts);
    const int end = begin + (int)((long)count * (part + 1) / parts);
    wide_t sum = WIDE_ZERO;
    if (column <= d) {
        for (int place = first + row; place < end; place += SUM_ROWS) {
            const long i = order[place];
            const float weight = has_weights ? weights[weights_offset + i] : 1.0f;
            const float x = column < d ? points[points_offset + i * points_stride + column] : 1.0f;
            sum = wide_add(sum, wide_product(weight, x));
        }
    }
    sums[row][lane] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (row == 0 && column <= d) {
        for (int r = 1; r < SUM_ROWS; r++) sum = wide_add(sum, sums[r][lane]);
        partial[((long)part * k + label) * (d + 1) + column] = sum;
    }
}

__kernel void label_totals(
    int k, int d, int parts, const __global wide_t *restrict partial, __global float *restrict sums, long sums_offset,
    long sums_stride, __global float *restrict totals, long totals_offset) {
    const int column = get_global_id(0), label = get_global_id(1);
    if (column > d) return;
    wide_t sum = WIDE_ZERO;
    for (int part = 0; part < parts; part++)
        sum = wide_add(sum, partial[((long)part * k + label) * (d + 1) + column]);
    if (column < d) {
        sums[sums_offset + label * sums_stride + column] = wide_value(sum);
    } else {
        totals[totals_offset + label] = wide_value(sum);
    }
}
