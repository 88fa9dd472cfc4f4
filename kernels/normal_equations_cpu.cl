// Normal equations of alternating least squares, continued from normal_equations_exact_cpu.cl: the methods that improve
// the present solution, and the entry.

#define APUS_METHOD_EXACT 0
#define APUS_METHOD_SUBSPACE 1
#define APUS_METHOD_CONJUGATE_GRADIENT 2

// Copies coordinates of up to 8 vectors from entry e on, padded with zeros to whole slabs; missing vectors are zero.
APUS_FUNCTION void APUS_NAME(gather8)(APUS_NAME(Row) *row, long e, long start, long width, __global float *group) {
    long wide = APUS_NAME(padded)(width), whole = width / 16 * 16;
    for (long r = 0; r < 8; ++r) {
        __global float *to = group + r * wide;
        if (e + r < row->n) {
            __global const float *from = row->fixed + (long)row->index[e + r] * row->fixed_stride + start;
            for (long c = 0; c < whole; c += 16) vstore16(vload16(0, from + c), 0, to + c);
            if (whole < width) {
                vstore16((float16)(0.0f), 0, to + whole);
                for (long c = whole; c < width; ++c) to[c] = from[c];
            }
        } else {
            for (long c = 0; c < wide; c += 16) vstore16((float16)(0.0f), 0, to + c);
        }
    }
}

#define APUS_HALVES(a, b)                                                                                              \
    (APUS_SHUFFLE16(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)                                      \
     + APUS_SHUFFLE16(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#define APUS_QUARTERS(a, b) (APUS_EVEN128(a, b) + APUS_ODD128(a, b))
#define APUS_PAIRS(a, b) (APUS_LOW64(a, b) + APUS_HIGH64(a, b))

// The scalar products of the 8 vectors p0 ... p7 with x, in the lanes 0 ... 7 of `score`: the reductions of all 8 go
// together, so that they don't wait for each other. X(c) are the coordinates of x from c on.
#define APUS_DOT_DECLARE(n, i) float16 c##n = (float16)(0.0f);
#define APUS_DOT_STEP(n, i) c##n = APUS_FMA(vload16(0, p##n + c), v, c##n);
#define APUS_DOT8(score, X)                                                                                            \
    float16 score;                                                                                                     \
    {                                                                                                                  \
        APUS_LIST8(APUS_DOT_DECLARE)                                                                                   \
        APUS_UNROLL                                                                                                    \
        for (long c = 0; c < wide; c += 16) {                                                                          \
            float16 v = X(c);                                                                                          \
            APUS_LIST8(APUS_DOT_STEP)                                                                                  \
        }                                                                                                              \
        float16 h = APUS_QUARTERS(APUS_HALVES(c0, c1), APUS_HALVES(c2, c3));                                           \
        float16 k = APUS_QUARTERS(APUS_HALVES(c4, c5), APUS_HALVES(c6, c7));                                           \
        /* Fourth q holds two sums of vector q, then two of vector 4 + q. */                                           \
        float16 p = APUS_PAIRS(h, k);                                                                                  \
        float16 s = p + APUS_SHUFFLE16(p, p, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);                    \
        score = APUS_SHUFFLE16(s, s, 0, 4, 8, 12, 2, 6, 10, 14, 0, 4, 8, 12, 2, 6, 10, 14);                            \
    }

// sum += sum over the 8 vectors p0 ... p7 of factor[e] * vector_e. The factors come from memory: vectors that are read
// again after a store are loaded again, where the compiler would have kept them in memory of its own.
#define APUS_AXPY_FACTOR(n, i) float16 f##n = (float16)(factor[i]);
#define APUS_AXPY8                                                                                                     \
    {                                                                                                                  \
        APUS_LIST8(APUS_AXPY_FACTOR)                                                                                   \
        APUS_UNROLL                                                                                                    \
        for (long c = 0; c < wide; c += 16) {                                                                          \
            float16 a = APUS_FMA(f0, vload16(0, p0 + c), APUS_SUM(c));                                                 \
            float16 b = f1 * vload16(0, p1 + c);                                                                       \
            a = APUS_FMA(f2, vload16(0, p2 + c), a);                                                                   \
            b = APUS_FMA(f3, vload16(0, p3 + c), b);                                                                   \
            a = APUS_FMA(f4, vload16(0, p4 + c), a);                                                                   \
            b = APUS_FMA(f5, vload16(0, p5 + c), b);                                                                   \
            a = APUS_FMA(f6, vload16(0, p6 + c), a);                                                                   \
            b = APUS_FMA(f7, vload16(0, p7 + c), b);                                                                   \
            APUS_SET_SUM(a + b, c);                                                                                    \
        }                                                                                                              \
    }

#define APUS_X_IN_MEMORY(c) vload16(0, x + (c))
// Where the program is for vectors of a certain length that fit, x and the sum stay in registers.
#if defined(FACTORS) && APUS_WIDE_REGISTERS && FACTORS % 16 == 0 && FACTORS <= 128
#define APUS_IN_REGISTERS 1
#define APUS_UNROLL _Pragma("unroll")
#define APUS_X(c) coordinates[(c) / 16]
#define APUS_SUM(c) sums[(c) / 16]
#define APUS_SET_SUM(value, c) sums[(c) / 16] = (value)
#else
#define APUS_IN_REGISTERS 0
#define APUS_UNROLL
#define APUS_X(c) APUS_X_IN_MEMORY(c)
#define APUS_SUM(c) vload16(0, sum + (c))
#define APUS_SET_SUM(value, c) vstore16(value, 0, sum + (c))
#endif

#define APUS_PASS_FIRST 0
#define APUS_PASS_STEP 1
#define APUS_PASS_LAST 2

// One pass over the row's vectors.
// First: sum = sum of w (t - v . x) v. Step: sum = -sum of w (v . x) v. Step and last: returns sum of w (v . x)^2, which
// is all that the last step needs. Passes go to and fro, so that each begins with what the one before has left in the
// cache. `share` more entries are asked for with every 8.
#define APUS_POINTER_COPIED(n, i) p##n = group + i * wide;
#define APUS_POINTER_IN_PLACE(n, i) p##n = row->fixed + (long)row->index[e + i] * row->fixed_stride;
APUS_FUNCTION float APUS_NAME(pass)(APUS_NAME(Row) *row, int kind, int backward, int in_place, long share,
                                    __global const float *x, __global float *sum) {
    long wide = APUS_NAME(padded)(APUS_FACTORS(row));
    __global float *factor = row->pivots;
    float8 squares = (float8)(0.0f);
#if APUS_IN_REGISTERS
    float16 coordinates[FACTORS / 16], sums[FACTORS / 16];
    APUS_UNROLL
    for (long c = 0; c < wide; c += 16) coordinates[c / 16] = APUS_X_IN_MEMORY(c);
#endif
    if (kind != APUS_PASS_LAST) {
        APUS_UNROLL
        for (long c = 0; c < wide; c += 16) APUS_SET_SUM((float16)(0.0f), c);
    }
    for (long at = 0; at < row->n; at += 8) {
        long e = backward ? (row->n - 1 - at) / 8 * 8 : at;
        long urgent = row->begin + e + 32 - row->prefetched;
        APUS_NAME(prefetch_rows)(row, kind == APUS_PASS_FIRST ? e : row->n,
                                 kind == APUS_PASS_FIRST && urgent > share ? urgent : share);
        __global const float *p0, *p1, *p2, *p3, *p4, *p5, *p6, *p7;
        if (in_place) {
            APUS_LIST8(APUS_POINTER_IN_PLACE)
        } else {
            __global float *group = row->panel + (e < row->gathered ? e : row->gathered) * wide;
            if (kind == APUS_PASS_FIRST || e >= row->gathered) APUS_NAME(gather8)(row, e, 0, APUS_FACTORS(row), group);
            APUS_LIST8(APUS_POINTER_COPIED)
        }
        APUS_DOT8(score, APUS_X)
        float16 r = vload16(0, row->root + e), product = r * score;
        squares += LOW_HALF(product) * LOW_HALF(product);
        if (kind == APUS_PASS_LAST) continue;
        if (kind == APUS_PASS_FIRST) product -= vload16(0, row->target + e);
        vstore16(-r * product, 0, factor);
        APUS_AXPY8
    }
#if APUS_IN_REGISTERS
    if (kind != APUS_PASS_LAST) {
        APUS_UNROLL
        for (long c = 0; c < wide; c += 16) vstore16(APUS_SUM(c), 0, sum + c);
    }
#endif
    float4 folded = LOW_HALF(squares) + HIGH_HALF(squares);
    return (folded.s0 + folded.s2) + (folded.s1 + folded.s3);
}

#define APUS_HALF(v) (LOW_HALF(v) + HIGH_HALF(v))
#define APUS_SUM16(v) ((APUS_HALF(APUS_HALF(APUS_HALF(v)))).s0 + (APUS_HALF(APUS_HALF(APUS_HALF(v)))).s1)

// Preconditioned conjugate gradients from the present solution; the preconditioner is D, the exact inverse of what the
// unobserved entries contribute.
APUS_FUNCTION void APUS_NAME(solve_conjugate_gradient)(APUS_NAME(Row) *row, long steps) {
    long wide = APUS_NAME(padded)(APUS_FACTORS(row)), share = (8 + steps) / (steps + 1);
    int in_place = APUS_FACTORS(row) % 16 == 0;
    __global float *x = row->solution, *r = row->vector0, *p = row->vector1, *q = row->vector2;
    float16 sums = (float16)(0.0f);
    APUS_NAME(pass)(row, APUS_PASS_FIRST, 0, in_place, share, x, r);
    for (long c = 0; c < wide; c += 16) {
        float16 d = vload16(0, row->diagonal + c);
        float16 residual = vload16(0, r + c) - d * vload16(0, x + c);
        float16 z = residual / d;
        vstore16(residual, 0, r + c);
        vstore16(z, 0, p + c);
        sums = APUS_FMA(residual, z, sums);
    }
    float size = APUS_SUM16(sums), smallest = 1e-14f * size;
    for (long step = 1; step <= steps && size > smallest; ++step) {
        float observed =
            APUS_NAME(pass)(row, step < steps ? APUS_PASS_STEP : APUS_PASS_LAST, step % 2 > 0, in_place, share, p, q);
        sums = (float16)(0.0f);
        for (long c = 0; c < wide; c += 16) {
            float16 v = vload16(0, p + c);
            sums = APUS_FMA(vload16(0, row->diagonal + c) * v, v, sums);
        }
        float curvature = observed + APUS_SUM16(sums);
        if (!(curvature > 0.0f)) break;
        float16 length = (float16)(size / curvature);
        sums = (float16)(0.0f);
        for (long c = 0; c < wide; c += 16) {
            float16 v = vload16(0, p + c);
            vstore16(APUS_FMA(length, v, vload16(0, x + c)), 0, x + c);
            if (step == steps) continue;
            float16 d = vload16(0, row->diagonal + c);
            float16 residual = APUS_FMA(-length, APUS_FMA(d, v, -vload16(0, q + c)), vload16(0, r + c));
            vstore16(residual, 0, r + c);
            sums = APUS_FMA(residual, residual / d, sums);
        }
        if (step == steps) break;
        float next = APUS_SUM16(sums);
        float16 ratio = (float16)(next / size);
        size = next;
        for (long c = 0; c < wide; c += 16) {
            float16 z = vload16(0, r + c) / vload16(0, row->diagonal + c);
            vstore16(APUS_FMA(ratio, vload16(0, p + c), z), 0, p + c);
        }
    }
}

#define APUS_POINTER_SLICE(n, i) p##n = row->fixed + (long)row->index[e + i] * row->fixed_stride + start;
// score[e] += v_e . x over some coordinates; `x` is padded with zeros.
APUS_FUNCTION void APUS_NAME(add_scores)(APUS_NAME(Row) *row, long start, long width, __global const float *x,
                                         __global float *score) {
    long wide = APUS_NAME(padded)(width);
    __global float *group = row->panel;
    for (long e = 0; e < row->n; e += 8) {
        __global const float *p0, *p1, *p2, *p3, *p4, *p5, *p6, *p7;
        if (width % 16 == 0) {
            APUS_LIST8(APUS_POINTER_SLICE)
        } else {
            APUS_NAME(gather8)(row, e, start, width, group);
            APUS_LIST8(APUS_POINTER_COPIED)
        }
        APUS_DOT8(products, APUS_X_IN_MEMORY)
        vstore8(vload8(0, score + e) + LOW_HALF(products), 0, score + e);
    }
}

// One pass of Newton steps over blocks of coordinates: each block's normal equations with the targets that the other
// coordinates leave it, solved exactly.
APUS_FUNCTION void APUS_NAME(solve_subspace)(APUS_NAME(Row) *row, long block) {
    long d = APUS_FACTORS(row);
    for (long e = 0; e < row->n + 16; ++e) {
        row->score[e] = 0.0f;
        row->observed[e] = row->target[e];
    }
    APUS_NAME(add_scores)(row, 0, d, row->solution, row->score);
    for (long start = 0; start < d; start += block) {
        long width = d - start < block ? d - start : block, wide = APUS_NAME(padded)(width);
        for (long c = 0; c < wide; ++c) row->vector3[c] = c < width ? -row->solution[start + c] : 0.0f;
        APUS_NAME(add_scores)(row, start, width, row->vector3, row->score);
        for (long e = 0; e < row->n; ++e) row->target[e] = row->observed[e] - row->root[e] * row->score[e];
        APUS_NAME(solve_exact)(row, start, width, row->diagonal + start, row->inverse_root + start, row->vector3);
        for (long c = 0; c < width; ++c) row->solution[start + c] = row->vector3[c];
        for (long c = width; c < wide; ++c) row->vector3[c] = 0.0f;
        APUS_NAME(add_scores)(row, start, width, row->vector3, row->score);
    }
}

// Lays out a worker's scratch memory for rows of up to `longest` entries.
APUS_FUNCTION void APUS_NAME(lay_out)(APUS_NAME(Row) *row, __global float *scratch, long longest) {
    long entries = APUS_NAME(padded)(longest) + 16, wide = APUS_NAME(padded)(APUS_FACTORS(row)) + 16;
    row->gathered = APUS_NAME(gathered_entries)(APUS_FACTORS(row), longest);
    row->lookahead = APUS_LOOKAHEAD_BYTES / 4 / wide + 1;
    row->index = (__global int *)scratch;
    row->root = scratch + entries;
    row->target = scratch + 2 * entries;
    row->coefficient = scratch + 3 * entries;
    row->score = scratch + 4 * entries;
    row->observed = scratch + 5 * entries;
    scratch += 6 * entries;
    row->diagonal = scratch;
    row->inverse_root = scratch + wide;
    row->solution = scratch + 2 * wide;
    row->vector0 = scratch + 3 * wide;
    row->vector1 = scratch + 4 * wide;
    row->vector2 = scratch + 5 * wide;
    row->vector3 = scratch + 6 * wide;
    row->right = scratch + 7 * wide;
    row->pivots = scratch + 8 * wide;
    row->triangle = scratch + 10 * wide;
    row->panel = row->triangle + APUS_NAME(triangle)(wide / 16);
}

// Solves one row whose entries are begin ... end - 1.
APUS_FUNCTION void APUS_NAME(solve_row)(APUS_NAME(Row) *row, long begin, long end, __global const float *diagonal,
                                        float regularization, __global float *solution, int method, int parameter) {
    long n = 0, d = APUS_FACTORS(row), wide = APUS_NAME(padded)(d);
    for (long e = begin; e < end; ++e) {
        float w = row->weights ? row->weights[e] : 1.0f;
        float root = APUS_SQRT(w);
        if (!(w > 0.0f)) continue;
        row->index[n] = row->columns[e];
        row->root[n] = root;
        row->target[n] = row->targets ? root * row->targets[e] : root;
        ++n;
    }
    row->n = n;
    if (n == 0) {
        for (long c = 0; c < d; ++c) solution[c] = 0.0f;
        return;
    }
    for (long e = n; e < n + 16; ++e) {
        row->index[e] = row->index[0];
        row->root[e] = 0.0f;
        row->target[e] = 0.0f;
    }
    row->begin = begin;
    for (long c = 0; c < wide; ++c) {
        row->diagonal[c] = c < d ? diagonal[c] + regularization : 1.0f;
        row->solution[c] = c < d && method != APUS_METHOD_EXACT ? solution[c] : 0.0f;
    }
    for (long c = 0; c < wide; c += 16) {
        vstore16((float16)(1.0f) / APUS_SQRT(vload16(0, row->diagonal + c)), 0, row->inverse_root + c);
    }
    if (method == APUS_METHOD_EXACT) {
        APUS_NAME(solve_exact)(row, 0, d, row->diagonal, row->inverse_root, row->solution);
    } else if (method == APUS_METHOD_SUBSPACE) {
        APUS_NAME(solve_subspace)(row, parameter);
    } else {
        APUS_NAME(solve_conjugate_gradient)(row, parameter);
    }
    for (long c = 0; c < d; ++c) solution[c] = row->solution[c];
}

#ifdef __OPENCL_VERSION__
// Each work-item claims `rows_per_claim` rows at a time until none are left, so that a few long rows don't keep one
// thread busy alone; which item solves a row makes no difference to its solution. `next_claim` begins at 0.
// Programs for problems that are worth a compilation are compiled for their method (METHOD) and length of vectors
// (FACTORS). `flags`: 1 for weights, 2 for targets. Nothing happens when `scratch_stride` is too small.
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void solve_normal_equations(
    __global const long *row_pointers, long row_pointers_offset, __global const int *columns, long columns_offset,
    __global const float *weights, long weights_offset, __global const float *targets, long targets_offset, int flags,
    __global const float *fixed, long fixed_offset, long fixed_stride, __global const float *diagonal,
    long diagonal_offset, __global const float *row_regularization, long row_regularization_offset,
    __global float *solution, long solution_offset, long solution_stride, long row_count, long d, int method,
    int parameter, long longest, __global float *scratch, long scratch_stride, __global volatile int *next_claim,
    int rows_per_claim) {
#ifdef METHOD
    method = METHOD;
#endif
    if (scratch_stride < apus_scratch_floats(d, longest)) return;
    apus_Row row;
    row.columns = columns + columns_offset;
    row.weights = flags & 1 ? weights + weights_offset : 0;
    row.targets = flags & 2 ? targets + targets_offset : 0;
    row.fixed = fixed + fixed_offset;
    row.fixed_stride = fixed_stride;
    row.d = d;
    apus_lay_out(&row, scratch + get_global_id(0) * scratch_stride, longest);
    row_pointers += row_pointers_offset;
    row_regularization += row_regularization_offset;
    solution += solution_offset;
    for (;;) {
        long begin = (long)atomic_inc(next_claim) * rows_per_claim;
        if (begin >= row_count) break;
        long end = begin + rows_per_claim < row_count ? begin + rows_per_claim : row_count;
        row.prefetched = row_pointers[begin];
        row.prefetch_end = row_pointers[end];
        for (long u = begin; u < end; ++u) {
            apus_solve_row(&row, row_pointers[u], row_pointers[u + 1], diagonal + diagonal_offset,
                           row_regularization[u], solution + u * solution_stride, method, parameter);
        }
    }
}
#endif
