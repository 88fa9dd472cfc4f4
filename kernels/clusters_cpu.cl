// Nearest centres and sums by label for CPU-class devices.
//
// One source for two compilers: OpenCL C for devices of the CPU class, and C by way of OpenCLSubset.h.
//
// assignNearest: 32 points are transposed into a panel, two vectors for each coordinate, and pass by the centres, 12 at a
// time; ½|c|² − x·c stays in registers, and the lane-wise minimum is all that leaves them. Centres are packed in groups of
// 12, coordinate after coordinate, negated, with their ½|c|² and their numbers beside them; missing ones have +infinity,
// which nothing chooses.
//
// accumulateByLabel: chunks of points, fixed by the shape, add up in double precision, each into k rows of its own; the
// chunks are added up in order.

// Compiled together with tiles_cpu.cl, which has the vocabulary and the transposition.

#ifdef __OPENCL_VERSION__
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define APUS_TO_DOUBLE16(x) convert_double16(x)
#define APUS_LOAD_DOUBLE16(pointer) vload16(0, pointer)
#define APUS_STORE_DOUBLE16(value, pointer) vstore16(value, 0, pointer)
#define APUS_INFINITY INFINITY
#endif

// Points of a panel, and centres of a group.
#define APUS_PANEL 32
#define APUS_GROUP 12

// Packs group `group` of the centres: APUS_GROUP * d floats, then as many halves of squared norms at `halves`.
APUS_FUNCTION void APUS_NAME(pack_centers)(__global const float *centers, long stride, long count, long d, long group,
                                           __global float *packed, __global float *halves, __global int *numbers) {
    long first = group * APUS_GROUP;
    packed += first * d;
    for (long r = 0; r < APUS_GROUP; ++r) {
        numbers[first + r] = (int)(first + r);
        if (first + r >= count) {
            halves[first + r] = APUS_INFINITY;
            for (long p = 0; p < d; ++p) packed[p * APUS_GROUP + r] = 0.0f;
            continue;
        }
        __global const float *center = centers + (first + r) * stride;
        double sum = 0.0;
        for (long p = 0; p < d; ++p) {
            float c = center[p];
            packed[p * APUS_GROUP + r] = -c;
            sum += (double)c * (double)c;
        }
        halves[first + r] = (float)(0.5 * sum);
    }
}

#define APUS_PANEL_LOAD(n, i) float16 v##n = vload16(0, points + i * stride + p);
#define APUS_PANEL_STORE(n, i) vstore16(v##n, 0, panel + (p + i) * APUS_PANEL);

// Transposes 16 points into one half of a panel.
APUS_FUNCTION void APUS_NAME(pack_half_panel)(__global const float *points, long stride, long d,
                                              __global float *panel) {
    long p = 0;
    for (; p + 16 <= d; p += 16) {
        APUS_LIST16(APUS_PANEL_LOAD)
        APUS_TRANSPOSE16(v)
        APUS_LIST16(APUS_PANEL_STORE)
    }
    for (long lane = 0; lane < 16; ++lane) {
        // One by one: scattering stores are slow.
#pragma clang loop vectorize(disable)
        for (long q = p; q < d; ++q) panel[q * APUS_PANEL + lane] = points[lane * stride + q];
    }
}

// Transposes up to 32 points into a panel; lanes without a point repeat the last one.
APUS_FUNCTION void APUS_NAME(pack_panel)(__global const float *points, long stride, long count, long d,
                                         __global float *panel) {
    if (count == APUS_PANEL) {
        APUS_NAME(pack_half_panel)(points, stride, d, panel);
        APUS_NAME(pack_half_panel)(points + 16 * stride, stride, d, panel + 16);
        return;
    }
    for (long lane = 0; lane < APUS_PANEL; ++lane) {
        __global const float *point = points + (lane < count ? lane : count - 1) * stride;
#pragma clang loop vectorize(disable)
        for (long p = 0; p < d; ++p) panel[p * APUS_PANEL + lane] = point[p];
    }
}

#define APUS_NEAREST_LIST2(M) M(0, 0) M(1, 1)
#define APUS_NEAREST_LIST6(M) APUS_NEAREST_LIST2(M) M(2, 2) M(3, 3) M(4, 4) M(5, 5)
#define APUS_NEAREST_LIST12(M) APUS_NEAREST_LIST6(M) M(6, 6) M(7, 7) M(8, 8) M(9, 9) M(a, 10) M(b, 11)

// 32 points by 12 centres: 24 accumulators, for 32 registers of 512 bits.
#define APUS_WIDE_DECLARE(n, i) float16 a##n = (float16)(half_norms[i]), b##n = a##n;
#define APUS_WIDE_STEP(n, i)                                                                                           \
    {                                                                                                                  \
        float16 c = (float16)(center[i]);                                                                              \
        a##n = APUS_FMA(c, x, a##n);                                                                                   \
        b##n = APUS_FMA(c, y, b##n);                                                                                   \
    }
#define APUS_WIDE_CHOOSE(n, i)                                                                                         \
    {                                                                                                                  \
        int16 number = (int16)(number_of[i]);                                                                          \
        int16 s = a##n < best0, t = b##n < best1;                                                                      \
        best0 = s ? a##n : best0;                                                                                      \
        label0 = s ? number : label0;                                                                                  \
        best1 = t ? b##n : best1;                                                                                      \
        label1 = t ? number : label1;                                                                                  \
    }
APUS_FUNCTION void APUS_NAME(nearest_wide)(__global const float *panel, __global const float *packed,
                                           __global const float *half_norms, __global const int *number_of, long groups,
                                           long d, float *labels) {
    float16 best0 = (float16)(APUS_INFINITY), best1 = best0;
    int16 label0 = (int16)(-1), label1 = label0;
    __global const float *center = packed;
    for (long group = 0; group < groups; ++group) {
        APUS_NEAREST_LIST12(APUS_WIDE_DECLARE)
        __global const float *point = panel;
        for (long p = 0; p < d; ++p) {
            float16 x = vload16(0, point), y = vload16(1, point);
            APUS_NEAREST_LIST12(APUS_WIDE_STEP)
            point += APUS_PANEL;
            center += APUS_GROUP;
        }
        APUS_NEAREST_LIST12(APUS_WIDE_CHOOSE)
        half_norms += APUS_GROUP;
        number_of += APUS_GROUP;
    }
    vstore16(APUS_AS_FLOAT16(label0), 0, labels);
    vstore16(APUS_AS_FLOAT16(label1), 1, labels);
}

// 16 points by COUNT centres, for fewer and narrower registers.
#define APUS_NARROW_DECLARE(n, i) float16 a##n = (float16)(half_norms[i]);
#define APUS_NARROW_STEP(n, i) a##n = APUS_FMA((float16)(center[i]), x, a##n);
#define APUS_NARROW_CHOOSE(n, i)                                                                                       \
    {                                                                                                                  \
        int16 s = a##n < best;                                                                                         \
        best = s ? a##n : best;                                                                                        \
        label = s ? (int16)(number_of[i]) : label;                                                                     \
    }
#define APUS_NARROW(COUNT)                                                                                             \
    APUS_FUNCTION void APUS_NAME(nearest_narrow##COUNT)(                                                               \
        __global const float *panel, __global const float *packed, __global const float *half_norms,                   \
        __global const int *number_of, long groups, long d, float *labels) {                                           \
        float16 best = (float16)(APUS_INFINITY);                                                                       \
        int16 label = (int16)(-1);                                                                                     \
        for (long group = 0; group < groups; ++group, packed += APUS_GROUP * d) {                                      \
            for (long part = 0; part < APUS_GROUP; part += COUNT) {                                                    \
                APUS_NEAREST_LIST##COUNT(APUS_NARROW_DECLARE) __global const float *point = panel;                     \
                __global const float *center = packed + part;                                                          \
                for (long p = 0; p < d; ++p) {                                                                         \
                    float16 x = vload16(0, point);                                                                     \
                    APUS_NEAREST_LIST##COUNT(APUS_NARROW_STEP)                                                         \
                    point += APUS_PANEL;                                                                               \
                    center += APUS_GROUP;                                                                              \
                }                                                                                                      \
                APUS_NEAREST_LIST##COUNT(APUS_NARROW_CHOOSE) half_norms += COUNT;                                      \
                number_of += COUNT;                                                                                    \
            }                                                                                                          \
        }                                                                                                              \
        vstore16(APUS_AS_FLOAT16(label), 0, labels);                                                                   \
    }
APUS_NARROW(2)
APUS_NARROW(6)

// Centres of a register tile: 12 by 32 points, or 6 or 2 by 16.
#ifndef APUS_TILE_CENTERS
#ifdef REGISTERS_512
#define APUS_TILE_CENTERS 12
#else
#define APUS_TILE_CENTERS 6
#endif
#endif

// Sum of the squared differences of two rows.
APUS_INLINE float APUS_NAME(squared_distance)(__global const float *a, __global const float *b, long d) {
    float16 sum0 = (float16)(0.0f), sum1 = sum0;
    long p = 0;
    float sum = 0.0f;
    if (d >= 16) {
        for (; p + 32 <= d; p += 32) {
            float16 x = vload16(0, a + p) - vload16(0, b + p), y = vload16(1, a + p) - vload16(1, b + p);
            sum0 = APUS_FMA(x, x, sum0);
            sum1 = APUS_FMA(y, y, sum1);
        }
        for (; p + 16 <= d; p += 16) {
            float16 x = vload16(0, a + p) - vload16(0, b + p);
            sum0 = APUS_FMA(x, x, sum0);
        }
        sum0 += sum1;
        float8 eight = LOW_HALF(sum0) + HIGH_HALF(sum0);
        float4 four = LOW_HALF(eight) + HIGH_HALF(eight);
        sum = (four.x + four.y) + (four.z + four.w);
    }
    for (; p < d; ++p) {
        float x = a[p] - b[p];
        sum += x * x;
    }
    return sum;
}

// Labels, and distances unless null, of the points first ..< last. `panel` has room for 32 * d floats.
APUS_FUNCTION void APUS_NAME(assign_points)(__global const float *points, long points_stride, long first, long last,
                                            __global const float *centers, long centers_stride, long groups, long d,
                                            __global const float *packed, __global const float *half_norms,
                                            __global const int *number_of, __global float *panel, __global int *labels,
                                            __global float *distances) {
    float found[APUS_PANEL];
    for (long begin = first; begin < last; begin += APUS_PANEL) {
        long count = last - begin < APUS_PANEL ? last - begin : APUS_PANEL;
        APUS_NAME(pack_panel)(points + begin * points_stride, points_stride, count, d, panel);
#if APUS_TILE_CENTERS == 12
        APUS_NAME(nearest_wide)(panel, packed, half_norms, number_of, groups, d, found);
#elif APUS_TILE_CENTERS == 6
        APUS_NAME(nearest_narrow6)(panel, packed, half_norms, number_of, groups, d, found);
        APUS_NAME(nearest_narrow6)(panel + 16, packed, half_norms, number_of, groups, d, found + 16);
#else
        APUS_NAME(nearest_narrow2)(panel, packed, half_norms, number_of, groups, d, found);
        APUS_NAME(nearest_narrow2)(panel + 16, packed, half_norms, number_of, groups, d, found + 16);
#endif
        const int *chosen = (const int *)found;
        for (long lane = 0; lane < count; ++lane) labels[begin + lane] = chosen[lane];
        if (!distances) continue;
        for (long lane = 0; lane < count; ++lane) {
            long label = chosen[lane];
            distances[begin + lane] =
                label < 0 ? APUS_INFINITY
                          : APUS_NAME(squared_distance)(points + (begin + lane) * points_stride,
                                                        centers + label * centers_stride, d);
        }
    }
}

// Adds the columns column ..< column + width of the points first ..< last to rows of `sums`, `sums_stride` doubles apart,
// and their weights to `totals` unless null.
APUS_FUNCTION void APUS_NAME(accumulate_points)(__global const float *points, long stride, long first, long last,
                                                long column, long width, __global const int *labels,
                                                __global const float *weights, long k, __global double *sums,
                                                long sums_stride, __global double *totals) {
    for (long i = first; i < last; ++i) {
        long label = labels[i];
        if (label < 0 || label >= k) continue;
        float weight = weights ? weights[i] : 1.0f;
        if (totals) totals[label] += (double)weight;
        __global const float *point = points + i * stride + column;
        __global double *sum = sums + label * sums_stride + column;
        double wide = (double)weight;
        long p = 0;
        for (; p + 16 <= width; p += 16) {
            double16 x = APUS_TO_DOUBLE16(vload16(0, point + p)) * (double16)(wide);
            APUS_STORE_DOUBLE16(APUS_LOAD_DOUBLE16(sum + p) + x, sum + p);
        }
        for (; p < width; ++p) sum[p] += wide * (double)point[p];
    }
}

#ifdef __OPENCL_VERSION__

// Grid: groups of centres.
__kernel void assign_pack_centers(__global const float *centers, long centers_offset, long centers_stride, long k,
                                  long d, __global float *packed, __global float *half_norms, __global int *numbers) {
    apus_pack_centers(centers + centers_offset, centers_stride, k, d, get_global_id(0), packed, half_norms, numbers);
}

// Grid: work-items of points_per_item points (a multiple of 32), each with a panel of its own.
__kernel void assign_nearest(__global const float *points, long points_offset, long points_stride, long n,
                             __global const float *centers, long centers_offset, long centers_stride, long k, long d,
                             __global const float *packed, __global const float *half_norms,
                             __global const int *numbers, __global float *panels, __global int *labels,
                             long labels_offset, int has_distances, __global float *distances, long distances_offset,
                             long points_per_item) {
    const long item = get_global_id(0);
    const long first = item * points_per_item;
    apus_assign_points(points + points_offset, points_stride, first, min(first + points_per_item, n),
                       centers + centers_offset, centers_stride, (k + APUS_GROUP - 1) / APUS_GROUP, d, packed,
                       half_norms, numbers, panels + item * APUS_PANEL * d, labels + labels_offset,
                       has_distances ? distances + distances_offset : 0);
}

// Grid: (blocks of block_columns columns, chunks of chunk_rows points). Rows of `partial` have d sums and the weight.
__kernel void accumulate_partial(__global const float *points, long points_offset, long points_stride, long n, long d,
                                 __global const int *labels, long labels_offset, int has_weights,
                                 __global const float *weights, long weights_offset, long k, long block_columns,
                                 long chunk_rows, __global double *partial) {
    const long column = (long)get_global_id(0) * block_columns;
    const long width = min(block_columns, d - column);
    const long first = (long)get_global_id(1) * chunk_rows;
    __global double *sums = partial + (long)get_global_id(1) * k * (d + 1);
    __global double *totals = sums + k * d;
    for (long j = 0; j < k; ++j) {
        for (long p = 0; p < width; ++p) sums[j * d + column + p] = 0.0;
    }
    for (long j = 0; column == 0 && j < k; ++j) totals[j] = 0.0;
    apus_accumulate_points(points + points_offset, points_stride, first, min(first + chunk_rows, n), column, width,
                           labels + labels_offset, has_weights ? weights + weights_offset : 0, k, sums, d,
                           column == 0 ? totals : 0);
}

// Adds up the chunks. Grid: k, and a label's sums each.
__kernel void accumulate_total(__global const double *partial, long chunks, long k, long d, __global float *sums,
                               long sums_offset, long sums_stride, __global float *totals, long totals_offset) {
    const long label = get_global_id(0);
    for (long p = 0; p < d; ++p) {
        double sum = 0.0;
        for (long chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * k * (d + 1) + label * d + p];
        sums[sums_offset + label * sums_stride + p] = (float)sum;
    }
    double total = 0.0;
    for (long chunk = 0; chunk < chunks; ++chunk) total += partial[chunk * k * (d + 1) + k * d + label];
    totals[totals_offset + label] = (float)total;
}

#endif
