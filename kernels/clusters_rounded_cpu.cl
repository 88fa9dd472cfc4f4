// Nearest centres by products of 8-bit integers, exactly, for CPU-class devices whose processor has vpdpbusd.
//
// Points and centres are rounded: x = s_x (u - 128) + r_x, c = s_c v + r_c. A product x.c differs from s_x s_c (u - 128).v
// by no more than |x - r_x| |r_c| + |r_x| |c|, so that all centres whose ½|c|² − x.c may be the least are among those that
// come within twice the bound of the least. These, two or three for most points, are scored in float32.
//
// Compiled together with tiles_cpu.cl and clusters_cpu.cl. One source for two compilers, as those.
//
// Centres come in panels of 32, the missing ones with ½|c|² of +infinity; four coordinates of a panel are 128 bytes. Twelve
// points pass by at a time, 24 accumulators.

#ifdef __OPENCL_VERSION__
#define APUS_AS_INT16(x) as_int16(x)
#define APUS_TO_FLOAT16(x) convert_float16(x)
#define APUS_TO_UCHAR16(x) convert_uchar16(x)
#define APUS_STORE_UCHAR16(value, pointer) vstore16(value, 0, pointer)
#define APUS_MAX16(a, b) fmax(a, b)
#define APUS_ABS16(x) fabs(x)
#define APUS_SQRT1(x) sqrt(x)
#ifdef APUS_BYTE_PRODUCTS
#define APUS_DOT4(sum, u, v) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(v))
#else
// The same in the words of the language, for tests where there is no such instruction.
#define APUS_DOT4(sum, u, v)                                                                                           \
    {                                                                                                                  \
        int16 apus_u = (u), apus_v = (v);                                                                              \
        for (int apus_shift = 0; apus_shift < 32; apus_shift += 8)                                                     \
            sum += ((apus_u >> apus_shift) & 255) * ((apus_v << (24 - apus_shift)) >> 24);                             \
    }
// Oclgrind has no reductions of the compiler's.
#define APUS_ALL16(v) all(v)
#endif
#endif
#ifndef APUS_ALL16
#define APUS_ALL16(v) (__builtin_reduce_and(v) != 0)
#endif

#define APUS_ROUNDED_POINTS 12
#define APUS_ROUNDED_PANEL 32
// Facts of a centre: scale, ½|c|², offset −128 Σv (an integer), bounds of |r_c| and of |c|.
#define APUS_ROUNDED_FACTS 5

APUS_INLINE float APUS_NAME(lanes_sum)(float16 v) {
    float8 eight = LOW_HALF(v) + HIGH_HALF(v);
    float4 four = LOW_HALF(eight) + HIGH_HALF(eight);
    return (four.x + four.y) + (four.z + four.w);
}

APUS_INLINE float APUS_NAME(lanes_most)(float16 v) {
    float8 eight = LOW_HALF(v) > HIGH_HALF(v) ? LOW_HALF(v) : HIGH_HALF(v);
    float4 four = LOW_HALF(eight) > HIGH_HALF(eight) ? LOW_HALF(eight) : HIGH_HALF(eight);
    float a = four.x > four.y ? four.x : four.y, b = four.z > four.w ? four.z : four.w;
    return a > b ? a : b;
}

// Rounds a row to steps of 1/127 of its largest magnitude. Its codes, `add` added, go to `targets`, four in a number, the
// numbers `step` apart; those behind the last are 0 and `add`.
APUS_FUNCTION float APUS_NAME(round_row)(__global const float *row, long d, __global int *targets, long step, int add,
                                         float *norm, float *rounded_norm, float *residual, int *sum) {
    float16 largest = (float16)(0.0f);
    long whole = d / 16 * 16;
    for (long p = 0; p < whole; p += 16) largest = APUS_MAX16(largest, APUS_ABS16(vload16(0, row + p)));
    float top = APUS_NAME(lanes_most)(largest);
    for (long p = whole; p < d; ++p) {
        float size = row[p] < 0 ? -row[p] : row[p];
        top = size > top ? size : top;
    }
    // Rows too small or too large to be rounded are all remainder.
    int sound = top > 1e-30f && top < 1e30f;
    float scale = sound ? top / 127.0f : 1.0f, inverse = sound ? 127.0f / top : 0.0f;
    // Adding 1.5 · 2²³ rounds to an integer, which is then in the low bits.
    const float16 magic = (float16)(12582912.0f);
    float16 squares = (float16)(0.0f), rounded = squares, rest = squares;
    int16 total = (int16)(0);
    for (long p = 0; p < d; p += 16) {
        float16 x;
        if (p < whole) {
            x = vload16(0, row + p);
        } else {
            float tail[16];
            for (long lane = 0; lane < 16; ++lane) tail[lane] = p + lane < d ? row[p + lane] : 0.0f;
            x = vload16(0, tail);
        }
        squares = APUS_FMA(x, x, squares);
        float16 shifted = sound ? APUS_FMA(x, (float16)(inverse), magic) : magic;
        int16 code = APUS_AS_INT16(shifted) - APUS_AS_INT16(magic);
        float16 near = (shifted - magic) * (float16)(scale), off = x - near;
        rounded = APUS_FMA(near, near, rounded);
        rest = APUS_FMA(off, off, rest);
        total += code;
        int words[4];
        APUS_STORE_UCHAR16(APUS_TO_UCHAR16((code + add) & 255), (uchar *)words);
        if (p + 16 <= d) {
            targets[0] = words[0];
            targets[step] = words[1];
            targets[2 * step] = words[2];
            targets[3 * step] = words[3];
        } else {
            for (long q = 0; p + 4 * q < d; ++q) targets[q * step] = words[q];
        }
        targets += 4 * step;
    }
    float sum_a = APUS_NAME(lanes_sum)(squares), sum_b = APUS_NAME(lanes_sum)(rounded);
    float sum_c = APUS_NAME(lanes_sum)(rest);
    // Sums of integers below 2^24 are exact in floats; d is at most 2^14.
    int sum_t = (int)APUS_NAME(lanes_sum)(APUS_TO_FLOAT16(total));
    // A little more than the sums say, for their own rounding.
    const float more = 1.0001f;
    *norm = more * APUS_SQRT1(sum_a);
    *rounded_norm = more * APUS_SQRT1(sum_b);
    *residual = more * APUS_SQRT1(sum_c);
    *sum = sum_t;
    return scale;
}

// Rounds panel `panel` of the centres: 32 * bytes of codes, bytes being d up to a multiple of 4, and facts, one array of
// `padded` numbers after the other.
APUS_FUNCTION void APUS_NAME(round_centers)(__global const float *centers, long stride, long count, long d, long panel,
                                            __global uchar *codes, __global float *facts, long padded) {
    long bytes = (d + 3) / 4 * 4, first = panel * APUS_ROUNDED_PANEL;
    __global int *own = (__global int *)(codes + first * bytes);
    for (long lane = 0; lane < APUS_ROUNDED_PANEL; ++lane) {
        long place = first + lane;
        float scale = 0.0f, half_norm = APUS_INFINITY, norm = 0.0f, rounded = 0.0f, residual = 0.0f;
        int sum = 0;
        if (place < count) {
            __global const float *center = centers + place * stride;
            scale = APUS_NAME(round_row)(center, d, own + lane, APUS_ROUNDED_PANEL, 0, &norm, &rounded, &residual, &sum);
            double squares = 0.0;
            for (long p = 0; p < d; ++p) squares += (double)center[p] * (double)center[p];
            half_norm = (float)(0.5 * squares);
        }
        // Nothing is nearest to a centre that is not finite.
        if (!(half_norm < APUS_INFINITY)) {
            half_norm = APUS_INFINITY;
            scale = norm = residual = 0.0f;
            sum = 0;
            for (long p = 0; p < bytes; p += 4) own[lane + p / 4 * APUS_ROUNDED_PANEL] = 0;
        }
        facts[place] = scale;
        facts[padded + place] = half_norm;
        ((__global int *)facts)[2 * padded + place] = -128 * sum;
        facts[3 * padded + place] = residual;
        facts[4 * padded + place] = norm;
    }
}

// Product of two rows.
APUS_INLINE float APUS_NAME(row_product)(__global const float *a, __global const float *b, long d) {
    float16 sum0 = (float16)(0.0f), sum1 = sum0;
    long p = 0;
    for (; p + 32 <= d; p += 32) {
        sum0 = APUS_FMA(vload16(0, a + p), vload16(0, b + p), sum0);
        sum1 = APUS_FMA(vload16(1, a + p), vload16(1, b + p), sum1);
    }
    for (; p + 16 <= d; p += 16) sum0 = APUS_FMA(vload16(0, a + p), vload16(0, b + p), sum0);
    float sum = APUS_NAME(lanes_sum)(sum0 + sum1);
    for (; p < d; ++p) sum += a[p] * b[p];
    return sum;
}

#define APUS_ROUNDED_DECLARE(n, i) int16 a##n = offset0, b##n = offset1;
#define APUS_ROUNDED_STEP(n, i)                                                                                        \
    {                                                                                                                  \
        int16 u = (int16)(point[i]);                                                                                   \
        APUS_DOT4(a##n, u, v0);                                                                                        \
        APUS_DOT4(b##n, u, v1);                                                                                        \
    }
#define APUS_ROUNDED_STORE(n, i)                                                                                       \
    {                                                                                                                  \
        float16 s = (float16)(scales_of[i]);                                                                           \
        vstore16(half0 - APUS_TO_FLOAT16(a##n) * (scale0 * s), 0, values + i * padded);                                \
        vstore16(half1 - APUS_TO_FLOAT16(b##n) * (scale1 * s), 1, values + i * padded);                                \
    }

// What twelve points' products with the codes make of ½|c|² − x.c: twelve rows of `padded` values.
APUS_FUNCTION void APUS_NAME(rounded_values)(__global const uchar *codes, __global const float *facts, long padded,
                                             long steps, __global const int *packed, const float *scales_of,
                                             __global float *values) {
    __global const float *center = (__global const float *)codes;
    for (long panel = 0; panel < padded; panel += APUS_ROUNDED_PANEL, values += APUS_ROUNDED_PANEL) {
        int16 offset0 = APUS_AS_INT16(vload16(0, facts + 2 * padded + panel));
        int16 offset1 = APUS_AS_INT16(vload16(1, facts + 2 * padded + panel));
        APUS_LIST12(APUS_ROUNDED_DECLARE)
        __global const int *point = packed;
        for (long p = 0; p < steps; ++p) {
            int16 v0 = APUS_AS_INT16(vload16(0, center)), v1 = APUS_AS_INT16(vload16(1, center));
            APUS_LIST12(APUS_ROUNDED_STEP)
            center += APUS_ROUNDED_PANEL;
            point += APUS_ROUNDED_POINTS;
        }
        float16 scale0 = vload16(0, facts + panel), scale1 = vload16(1, facts + panel);
        float16 half0 = vload16(0, facts + padded + panel), half1 = vload16(1, facts + padded + panel);
        APUS_LIST12(APUS_ROUNDED_STORE)
    }
}

// Labels, and distances unless null, of the points first ..< last, until too many centres have to be scored; answers up to
// where. `memory` has room for 12 * (bytes / 4 + padded) numbers; `count` is the number of centres, `padded` that of all
// panels.
APUS_FUNCTION long APUS_NAME(assign_rounded)(__global const float *points, long points_stride, long first, long last,
                                             __global const float *centers, long centers_stride, long count, long d,
                                             __global const uchar *codes, __global const float *facts, long padded,
                                             __global float *memory, __global int *labels, __global float *distances) {
    const long bytes = (d + 3) / 4 * 4;
    __global int *packed = (__global int *)memory;
    __global float *values = memory + APUS_ROUNDED_POINTS * bytes / 4;
    float largest_residual = 0.0f, largest_norm = 0.0f, largest_half = 0.0f;
    for (long j = 0; j < count; ++j) {
        float residual = facts[3 * padded + j], norm = facts[4 * padded + j], half_norm = facts[padded + j];
        largest_residual = residual > largest_residual ? residual : largest_residual;
        largest_norm = norm > largest_norm ? norm : largest_norm;
        if (half_norm < APUS_INFINITY) largest_half = half_norm > largest_half ? half_norm : largest_half;
    }
    // Sums of d products in float32, in whatever order, of either way to score.
    const float rounding = (8.0f + 4.0f * APUS_SQRT1((float)d)) * 0x1p-24f;
    long scored = 0;
    for (long begin = first; begin < last; begin += APUS_ROUNDED_POINTS) {
        long present = last - begin < APUS_ROUNDED_POINTS ? last - begin : APUS_ROUNDED_POINTS;
        float scales_of[APUS_ROUNDED_POINTS], reach[APUS_ROUNDED_POINTS];
        for (long r = 0; r < APUS_ROUNDED_POINTS; ++r) {
            float norm, rounded, residual;
            int sum;
            long row = begin + (r < present ? r : present - 1);
            scales_of[r] = APUS_NAME(round_row)(points + row * points_stride, d, packed + r, APUS_ROUNDED_POINTS, 128,
                                                &norm, &rounded, &residual, &sum);
            reach[r] = rounded * largest_residual + (residual + rounding * norm) * largest_norm
                       + 0x1p-22f * largest_half;
        }
        APUS_NAME(rounded_values)(codes, facts, padded, bytes / 4, packed, scales_of, values);
        for (long r = 0; r < present; ++r) {
            __global const float *row = values + r * padded, *point = points + (begin + r) * points_stride;
            float16 least0 = vload16(0, row), least1 = vload16(1, row);
            for (long j = APUS_ROUNDED_PANEL; j < padded; j += APUS_ROUNDED_PANEL) {
                float16 x = vload16(0, row + j), y = vload16(1, row + j);
                least0 = x < least0 ? x : least0;
                least1 = y < least1 ? y : least1;
            }
            least0 = least1 < least0 ? least1 : least0;
            float least = -APUS_NAME(lanes_most)(-least0);
            // What is not above passes, NaN too.
            const float16 limit = (float16)(least + 2.0f * reach[r]);
            float best = APUS_INFINITY;
            int label = -1;
            for (long j = 0; j < padded; j += 16) {
                int16 above = vload16(0, row + j) > limit;
                if (APUS_ALL16(above)) continue;
                for (long lane = 0; lane < 16 && j + lane < count; ++lane) {
                    if (row[j + lane] > limit.x) continue;
                    scored++;
                    float value = facts[padded + j + lane]
                                  - APUS_NAME(row_product)(point, centers + (j + lane) * centers_stride, d);
                    label = value < best ? (int)(j + lane) : label;
                    best = value < best ? value : best;
                }
            }
            labels[begin + r] = label;
            if (distances) {
                distances[begin + r] =
                    label < 0 ? APUS_INFINITY
                              : APUS_NAME(squared_distance)(point, centers + label * centers_stride, d);
            }
        }
        if (scored > 2048 + 16 * (begin + present - first)) return begin + present;
    }
    return last;
}

#ifdef __OPENCL_VERSION__

// Four products of bytes in each lane, unsigned with signed ones: 200 · 3, 100 · −4, 255 · 127 and 1 · −128, added to 7.
__kernel void probe(__global float *result) {
    int16 sum = (int16)(7), u = (int16)(200 | 100 << 8 | 255 << 16 | 1 << 24),
          v = (int16)(3 | 252 << 8 | 127 << 16 | 128 << 24);
    APUS_DOT4(sum, u, v);
    vstore16(convert_float16(sum), 0, result);
}

// Grid: panels of centres.
__kernel void assign_round_centers(__global const float *centers, long centers_offset, long centers_stride, long k,
                                   long d, __global uchar *codes, __global float *facts, long padded) {
    apus_round_centers(centers + centers_offset, centers_stride, k, d, get_global_id(0), codes, facts, padded);
}

// Grid: work-items of points_per_item points, each with memory of its own; what they give up, the plain way does.
__kernel void assign_nearest_rounded(__global const float *points, long points_offset, long points_stride, long n,
                                     __global const float *centers, long centers_offset, long centers_stride, long k,
                                     long d, __global const uchar *codes, __global const float *facts, long padded,
                                     __global float *memories, long memory_floats, __global const float *packed,
                                     __global const float *half_norms, __global const int *numbers,
                                     __global float *panels, __global int *labels, long labels_offset,
                                     int has_distances, __global float *distances, long distances_offset,
                                     long points_per_item) {
    const long item = get_global_id(0);
    const long first = item * points_per_item, last = min(first + points_per_item, n);
    __global float *far = has_distances ? distances + distances_offset : 0;
    long done = apus_assign_rounded(points + points_offset, points_stride, first, last, centers + centers_offset,
                                    centers_stride, k, d, codes, facts, padded, memories + item * memory_floats,
                                    labels + labels_offset, far);
    if (done < last) {
        apus_assign_points(points + points_offset, points_stride, done, last, centers + centers_offset, centers_stride,
                           (k + APUS_GROUP - 1) / APUS_GROUP, d, packed, half_norms, numbers,
                           panels + item * APUS_PANEL * d, labels + labels_offset, far);
    }
}

#endif
