// Normal equations of alternating least squares, row by row, for CPU-class devices; follows tiles_cpu.cl.
//
// For each row with entries of weight w_e, target t_e and fixed vector v_e, solves
//     (diag(D) + sum w_e v_e v_e^T) x = sum w_e t_e v_e,     D = diagonal + row_regularization[row].
// The table of fixed vectors has been rotated so that the part of the matrix that all rows share is diagonal.

#define APUS_METHOD_EXACT 0
#define APUS_METHOD_SUBSPACE 1
#define APUS_METHOD_CONJUGATE_GRADIENT 2

// Entries of a primal panel, coordinates of a dual one.
#ifndef APUS_PRIMAL_PANEL
#define APUS_PRIMAL_PANEL 64
#endif
#ifndef APUS_DUAL_PANEL
#define APUS_DUAL_PANEL 128
#endif
#define APUS_PANEL (APUS_PRIMAL_PANEL > APUS_DUAL_PANEL ? APUS_PRIMAL_PANEL : APUS_DUAL_PANEL)
// Bytes of a row's vectors that are copied together for the conjugate-gradient steps: a share of the third-level cache,
// which streams faster than memory answers.
#ifndef APUS_GATHER_BYTES
#define APUS_GATHER_BYTES 8388608
#endif
// A row whose vectors have no more bytes than this stays in the second-level cache without being copied.
#ifndef APUS_IN_PLACE_BYTES
#define APUS_IN_PLACE_BYTES 262144
#endif
// Bytes of fixed vectors asked for ahead of their use.
#ifndef APUS_LOOKAHEAD_BYTES
#define APUS_LOOKAHEAD_BYTES 131072
#endif

// The problem, where the prefetching stands, and the areas of the scratch memory.
typedef struct {
    __global const int *columns;
    __global const float *weights;
    __global const float *targets;
    __global const float *fixed;
    long fixed_stride;
    long d;
    // Entries before this position have been asked for; none at or past the end are, nor `lookahead` ahead of use.
    long prefetched;
    long prefetch_end;
    long lookahead;
    // How many vectors are copied together.
    long gathered;
    // Position of the row's first entry.
    long begin;
    // The row's entries with a positive weight: index of the vector, sqrt(w), sqrt(w) t; 16 more weigh 0.
    long n;
    __global int *index;
    __global float *root;
    __global float *target;
    // For each of them: sqrt(w) z of the dual system, the present score, and sqrt(w) t before a method changes it.
    __global float *coefficient;
    __global float *score;
    __global float *observed;
    // D, its power -1/2, the solution, and four more vectors of d elements.
    __global float *diagonal;
    __global float *inverse_root;
    __global float *solution;
    __global float *vector0;
    __global float *vector1;
    __global float *vector2;
    __global float *vector3;
    // A system's right-hand side and pivots, its packed triangle, a panel or gathered vectors.
    __global float *right;
    __global float *pivots;
    __global float *triangle;
    __global float *panel;
} APUS_NAME(Row);

APUS_INLINE long APUS_NAME(padded)(long count) { return (count + 15) / 16 * 16; }

// How many vectors of a row are copied together, a multiple of 8; those beyond are gathered again by each step.
APUS_INLINE long APUS_NAME(gathered_entries)(long d, long longest) {
    long entries = APUS_GATHER_BYTES / 4 / APUS_NAME(padded)(d), all = APUS_NAME(padded)(longest);
    entries = entries < all ? entries : all;
    return entries < 8 ? 8 : entries / 8 * 8;
}

// Floats of a panel, or of the gathered vectors with room for eight more.
APUS_INLINE long APUS_NAME(panel_floats)(long d, long longest) {
    long wide = APUS_NAME(padded)(d);
    long tiles = (APUS_PANEL + 16) * wide + 16;
    long gathered = (APUS_NAME(gathered_entries)(d, longest) + 8) * wide;
    return tiles > gathered ? tiles : gathered;
}

// Floats of scratch memory that a worker needs for rows of up to `longest` entries.
APUS_INLINE long APUS_NAME(scratch_floats)(long d, long longest) {
    long wide = APUS_NAME(padded)(d) + 16;
    return 6 * (APUS_NAME(padded)(longest) + 16) + 10 * wide + APUS_NAME(triangle)(wide / 16)
           + APUS_NAME(panel_floats)(d, longest);
}

// Asks for the fixed vectors of up to `count` more entries, when those before the row's entry `used` are done with, so
// that the memory works while the tiles compute.
APUS_FUNCTION void APUS_NAME(prefetch_rows)(APUS_NAME(Row) *row, long used, long count) {
    long limit = row->begin + used + row->lookahead;
    limit = limit < row->prefetch_end ? limit : row->prefetch_end;
    if (row->prefetched < row->begin + used) row->prefetched = row->begin + used;
    long end = row->prefetched + count;
    end = end < limit ? end : limit;
    if (end <= row->prefetched) return;
    for (long e = row->prefetched; e < end; ++e) {
        __global const float *vector = row->fixed + (long)row->columns[e] * row->fixed_stride;
        for (long c = 0; c < row->d; c += 16) {
            APUS_PREFETCH(vector + c);
        }
    }
    row->prefetched = end;
}

// Adds the products of a panel of k vectors to all tiles of a packed triangle, and, if there is a target,
// sum of target[e] * vector_e to the right-hand side. Between the tiles it asks for up to `ahead` vectors more, those
// before the row's entry `used` being done with.
APUS_FUNCTION void APUS_NAME(accumulate)(APUS_NAME(Row) *row, long slabs, long remainder, long slab_stride, long k,
                                         __global const float *target, long used, long ahead) {
    __global const float *first = row->panel + 256;
    __global float *tile = row->triangle;
    long share = (2 * ahead + slabs * (slabs + 1) - 1) / (slabs * (slabs + 1));
    // Slabs of rows go in pairs; one left over is the first, which has but one tile.
    if (slabs % 2 > 0) {
        if (remainder <= 4) {
            APUS_NAME(tile4)(first + 12, first, k, tile + 192, 1.0f);
        } else if (remainder <= 8) {
            APUS_NAME(tile8)(first + 8, first, k, tile + 128, 1.0f);
        } else if (remainder <= 12) {
            APUS_NAME(tile12)(first + 4, first, k, tile + 64, 1.0f);
        } else {
            APUS_NAME(tile16)(first, first, k, tile, 1.0f);
        }
        if (target) APUS_NAME(add_product)(first, target, k, 1.0f, row->right);
        APUS_NAME(prefetch_rows)(row, used, share);
    }
    for (long i = slabs % 2; i < slabs; i += 2) {
        __global const float *rows = first + i * slab_stride, *rows2 = rows + slab_stride;
        __global float *tile2 = APUS_TILE_ROW(row->triangle, i + 1);
        tile = APUS_TILE_ROW(row->triangle, i);
        for (long j = 0; j <= i; ++j) {
            __global const float *columns = first + j * slab_stride;
            __global float *to = tile + 256 * j, *to2 = tile2 + 256 * j;
            long width = j > 0 ? 16 : remainder;
            if (width <= 4) {
                APUS_NAME(pair4)(columns + 12, rows, rows2, k, to + 192, to2 + 192, 1.0f);
            } else if (width <= 8) {
                APUS_NAME(pair8)(columns + 8, rows, rows2, k, to + 128, to2 + 128, 1.0f);
            } else if (width <= 12) {
                APUS_NAME(pair12)(columns + 4, rows, rows2, k, to + 64, to2 + 64, 1.0f);
            } else {
                if (j == i && target) {
                    APUS_NAME(pair8_right)(columns, rows, rows2, k, to, to2, target, row->right + 16 * i);
                } else {
                    APUS_NAME(pair8)(columns, rows, rows2, k, to, to2, 1.0f);
                }
                APUS_NAME(prefetch_rows)(row, used, share);
                APUS_NAME(pair8)(columns + 8, rows, rows2, k, to + 128, to2 + 128, 1.0f);
            }
            APUS_NAME(prefetch_rows)(row, used, share);
            if (j == i && target && width <= 12) {
                APUS_NAME(add_product)(rows, target, k, 1.0f, row->right + 16 * i);
                APUS_NAME(add_product)(rows2, target, k, 1.0f, row->right + 16 * i + 16);
            }
        }
        APUS_NAME(tile16)(rows2, rows2, k, tile2 + 256 * (i + 1), 1.0f);
        APUS_NAME(prefetch_rows)(row, used, share);
    }
}

// A packed triangle with nothing but its diagonal: 1, or the `width` elements of D behind leading ones.
APUS_FUNCTION void APUS_NAME(begin_triangle)(__global float *triangle, long slabs, __global const float *diagonal,
                                             long leading) {
    float16 zero = (float16)(0.0f);
    for (long v = 0; v < 8 * slabs * (slabs + 1); ++v) vstore16(zero, v, triangle);
    for (long i = 0; i < slabs; ++i) {
        __global float *tile = APUS_TILE_ROW(triangle, i) + 256 * i;
        for (long c = 0; c < 16; ++c) {
            long place = 16 * i + c - leading;
            tile[17 * c] = place < 0 ? 1.0f : diagonal[place];
        }
    }
}

// The d x d system of `width` coordinates from `start` on: triangle and right-hand side, panel by panel.
APUS_FUNCTION void APUS_NAME(solve_primal)(APUS_NAME(Row) *row, long start, long width, __global const float *diagonal,
                                           __global float *solution) {
    long slabs = (width + 15) / 16, leading = 16 * slabs - width;
    long slab_stride = (APUS_PRIMAL_PANEL + 16) * 16;
    float16 zero = (float16)(0.0f);
    __global float *first = row->panel + 256;
    APUS_NAME(begin_triangle)(row->triangle, slabs, diagonal, leading);
    for (long i = 0; i < slabs; ++i) vstore16(zero, i, row->right);
    for (long begin = 0; begin < row->n; begin += APUS_PRIMAL_PANEL) {
        long k = row->n - begin < APUS_PRIMAL_PANEL ? row->n - begin : APUS_PRIMAL_PANEL;
        for (long e = 0; e < k; ++e) {
            __global const float *vector = row->fixed + (long)row->index[begin + e] * row->fixed_stride + start;
            float root = row->root[begin + e];
            vstore16(zero, e, first);
            if (width < 16) {
                for (long c = 0; c < width; ++c) first[16 * e + leading + c] = root * vector[c];
            } else {
                // Runs over into the next vector's leading lanes, which are cleared when that one is packed.
                vstore16(vload16(0, vector) * (float16)(root), 0, first + 16 * e + leading);
                for (long i = 1; i < slabs; ++i) {
                    vstore16(vload16(i, vector - leading) * (float16)(root), e, first + i * slab_stride);
                }
            }
        }
        APUS_NAME(accumulate)(row, slabs, width - 16 * (slabs - 1), slab_stride, k, row->target + begin, begin + k, APUS_PRIMAL_PANEL);
    }
    APUS_NAME(solve_positive_definite)(row->triangle, slabs, row->pivots, row->right);
    for (long c = 0; c < width; ++c) solution[c] = row->right[leading + c];
}

// Packs coordinates begin ... begin + k - 1 of 16 scaled vectors, transposed: k >= 16, or the coordinates before exist.
#define APUS_PACK_POINTER(n, i) __global const float *p##n = fixed + (long)index[i] * stride;
#define APUS_PACK_LOAD(n, i) float16 c##n = vload16(0, p##n + c) * scale;
#define APUS_PACK_STORE(n, i) vstore16(c##n *roots, c - begin + i, panel);
APUS_FUNCTION void APUS_NAME(pack_transposed)(__global const float *fixed, long stride, __global const int *index,
                                              __global const float *root, __global const float *inverse_root,
                                              long begin, long k, __global float *panel) {
    APUS_LIST16(APUS_PACK_POINTER)
    float16 roots = vload16(0, root);
    for (long at = 0; at < k; at += 16) {
        // The last step goes back to end where the coordinates end, and repeats some.
        long c = begin + (at + 16 <= k ? at : k - 16);
        float16 scale = vload16(0, inverse_root + c);
        APUS_LIST16(APUS_PACK_LOAD)
        APUS_TRANSPOSE16(c)
        APUS_LIST16(APUS_PACK_STORE)
    }
}

// solution[c] = sum over e of coefficient[e] * vector_e[start + c] / D[c].
APUS_FUNCTION void APUS_NAME(combine)(APUS_NAME(Row) *row, long start, long width, __global const float *diagonal,
                                      __global float *solution) {
    long c = 0;
    float16 zero = (float16)(0.0f);
    for (; c + 64 <= width; c += 64) {
        float16 a0 = zero, a1 = zero, a2 = zero, a3 = zero, b0 = zero, b1 = zero, b2 = zero, b3 = zero;
        __global const float *column = row->fixed + start + c;
        long e = 0;
        for (; e + 2 <= row->n; e += 2) {
            __global const float *p = column + (long)row->index[e] * row->fixed_stride;
            __global const float *q = column + (long)row->index[e + 1] * row->fixed_stride;
            float16 f = (float16)(row->coefficient[e]), g = (float16)(row->coefficient[e + 1]);
            a0 = APUS_FMA(f, vload16(0, p), a0);
            a1 = APUS_FMA(f, vload16(1, p), a1);
            a2 = APUS_FMA(f, vload16(2, p), a2);
            a3 = APUS_FMA(f, vload16(3, p), a3);
            b0 = APUS_FMA(g, vload16(0, q), b0);
            b1 = APUS_FMA(g, vload16(1, q), b1);
            b2 = APUS_FMA(g, vload16(2, q), b2);
            b3 = APUS_FMA(g, vload16(3, q), b3);
        }
        if (e < row->n) {
            __global const float *p = column + (long)row->index[e] * row->fixed_stride;
            float16 f = (float16)(row->coefficient[e]);
            a0 = APUS_FMA(f, vload16(0, p), a0);
            a1 = APUS_FMA(f, vload16(1, p), a1);
            a2 = APUS_FMA(f, vload16(2, p), a2);
            a3 = APUS_FMA(f, vload16(3, p), a3);
        }
        vstore16((a0 + b0) / vload16(0, diagonal + c), 0, solution + c);
        vstore16((a1 + b1) / vload16(1, diagonal + c), 1, solution + c);
        vstore16((a2 + b2) / vload16(2, diagonal + c), 2, solution + c);
        vstore16((a3 + b3) / vload16(3, diagonal + c), 3, solution + c);
    }
    for (; c < width; c += 16) {
        long at = c + 16 <= width ? c : width - 16;
        float16 a = zero;
        __global const float *column = row->fixed + start + at;
        for (long e = 0; e < row->n; ++e) {
            a = APUS_FMA((float16)(row->coefficient[e]),
                         vload16(0, column + (long)row->index[e] * row->fixed_stride), a);
        }
        vstore16(a / vload16(0, diagonal + at), 0, solution + at);
    }
}

// The n x n system, by Woodbury's identity on D: with Y = W^(1/2) V D^(-1/2),
// (I + Y Y^T) z = W^(1/2) t,  x = D^-1 V^T W^(1/2) z. Needs width >= 16, and n <= width for its room.
APUS_FUNCTION void APUS_NAME(solve_dual)(APUS_NAME(Row) *row, long start, long width, __global const float *diagonal,
                                         __global const float *inverse_root, __global float *solution) {
    long n = row->n, slabs = (n + 15) / 16, leading = 16 * slabs - n;
    long slab_stride = (APUS_DUAL_PANEL + 16) * 16;
    float16 one = (float16)(1.0f);
    // Vectors of the leading lanes are anyone's, times 0.
    __global float *root = row->vector0;
    __global int *index = (__global int *)row->vector1;
    for (long e = 0; e < leading; ++e) {
        root[e] = 0.0f;
        index[e] = row->index[0];
        row->right[e] = 0.0f;
    }
    for (long e = 0; e < n; ++e) {
        root[leading + e] = row->root[e];
        index[leading + e] = row->index[e];
        row->right[leading + e] = row->target[e];
    }
    for (long v = 0; v < slabs; ++v) vstore16(one, v, row->vector2);
    APUS_NAME(begin_triangle)(row->triangle, slabs, row->vector2, 0);
    for (long begin = 0; begin < width; begin += APUS_DUAL_PANEL) {
        long k = width - begin < APUS_DUAL_PANEL ? width - begin : APUS_DUAL_PANEL;
        for (long i = 0; i < slabs; ++i) {
            APUS_NAME(pack_transposed)(row->fixed + start, row->fixed_stride, index + 16 * i, root + 16 * i,
                                       inverse_root, begin, k, row->panel + 256 + i * slab_stride);
        }
        APUS_NAME(accumulate)(row, slabs, 16 - leading, slab_stride, k, 0, n, n + 16);
    }
    APUS_NAME(solve_positive_definite)(row->triangle, slabs, row->pivots, row->right);
    for (long e = 0; e < n; ++e) row->coefficient[e] = row->root[e] * row->right[leading + e];
    APUS_NAME(combine)(row, start, width, diagonal, solution);
}

// Cycles, roughly, of the factorization of m rows.
APUS_INLINE float APUS_NAME(factor_cost)(float m) {
    float slabs = (float)(((long)m + 15) / 16);
    return 23.0f * slabs * (slabs * slabs - 1.0f) + 45.0f * slabs * (slabs - 1.0f) + 650.0f * slabs;
}

// Cycles, roughly, of one vector's share in the tiles of m rows.
APUS_INLINE float APUS_NAME(tile_cost)(long m) {
    long slabs = (m + 15) / 16, remainder = m - 16 * (slabs - 1), first = (remainder + 3) / 4 * 4;
    return 0.55f * (float)(first * slabs + 8 * slabs * (slabs - 1));
}

// Solves the coordinates start ... start + width - 1 exactly, by the cheaper of the two systems.
APUS_FUNCTION void APUS_NAME(solve_exact)(APUS_NAME(Row) *row, long start, long width, __global const float *diagonal,
                                          __global const float *inverse_root, __global float *solution) {
    int dual = 0;
    if (width >= 16 && row->n <= width) {
        float n = (float)row->n, m = (float)width;
        float primal_cost = n * (APUS_NAME(tile_cost)(width) + 0.1f * m) + APUS_NAME(factor_cost)(m);
        float dual_cost = m * (APUS_NAME(tile_cost)(row->n) + 0.2f * n) + APUS_NAME(factor_cost)(n);
        dual = dual_cost < primal_cost;
    }
    if (dual) {
        APUS_NAME(solve_dual)(row, start, width, diagonal, inverse_root, solution);
    } else {
        APUS_NAME(solve_primal)(row, start, width, diagonal, solution);
    }
}

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

// The scalar products of the 8 vectors p0 ... p7 with `x`, in the lanes 0 ... 7 of `score`: the reductions of all 8 go
// together, so that they don't wait for each other.
#define APUS_DOT_DECLARE(n, i) float16 c##n = (float16)(0.0f);
#define APUS_DOT_STEP(n, i) c##n = APUS_FMA(vload16(0, p##n + c), v, c##n);
#define APUS_DOT8(score)                                                                                               \
    float16 score;                                                                                                     \
    {                                                                                                                  \
        APUS_LIST8(APUS_DOT_DECLARE)                                                                                   \
        for (long c = 0; c < wide; c += 16) {                                                                          \
            float16 v = vload16(0, x + c);                                                                             \
            APUS_LIST8(APUS_DOT_STEP)                                                                                  \
        }                                                                                                              \
        float16 h = APUS_QUARTERS(APUS_HALVES(c0, c1), APUS_HALVES(c2, c3));                                           \
        float16 k = APUS_QUARTERS(APUS_HALVES(c4, c5), APUS_HALVES(c6, c7));                                           \
        /* Fourth q holds two sums of vector q, then two of vector 4 + q. */                                           \
        float16 p = APUS_PAIRS(h, k);                                                                                  \
        float16 s = p + APUS_SHUFFLE16(p, p, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);                    \
        score = APUS_SHUFFLE16(s, s, 0, 4, 8, 12, 2, 6, 10, 14, 0, 4, 8, 12, 2, 6, 10, 14);                            \
    }

// sum += sum over the 8 vectors p0 ... p7 of factor[e] * vector_e.
#define APUS_AXPY_FACTOR(n, i) float16 f##n = (float16)(factor[i]);
#define APUS_AXPY8                                                                                                     \
    {                                                                                                                  \
        APUS_LIST8(APUS_AXPY_FACTOR)                                                                                   \
        for (long c = 0; c < wide; c += 16) {                                                                          \
            float16 a = APUS_FMA(f0, vload16(0, p0 + c), vload16(0, sum + c));                                         \
            float16 b = f1 * vload16(0, p1 + c);                                                                       \
            a = APUS_FMA(f2, vload16(0, p2 + c), a);                                                                   \
            b = APUS_FMA(f3, vload16(0, p3 + c), b);                                                                   \
            a = APUS_FMA(f4, vload16(0, p4 + c), a);                                                                   \
            b = APUS_FMA(f5, vload16(0, p5 + c), b);                                                                   \
            a = APUS_FMA(f6, vload16(0, p6 + c), a);                                                                   \
            b = APUS_FMA(f7, vload16(0, p7 + c), b);                                                                   \
            vstore16(a + b, 0, sum + c);                                                                               \
        }                                                                                                              \
    }

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
    long wide = APUS_NAME(padded)(row->d);
    __global float *factor = row->pivots;
    float8 squares = (float8)(0.0f);
    if (kind != APUS_PASS_LAST) {
        for (long c = 0; c < wide; c += 16) vstore16((float16)(0.0f), 0, sum + c);
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
            if (kind == APUS_PASS_FIRST || e >= row->gathered) APUS_NAME(gather8)(row, e, 0, row->d, group);
            APUS_LIST8(APUS_POINTER_COPIED)
        }
        APUS_DOT8(score)
        float16 r = vload16(0, row->root + e), product = r * score;
        squares += product.lo * product.lo;
        if (kind == APUS_PASS_LAST) continue;
        if (kind == APUS_PASS_FIRST) product -= vload16(0, row->target + e);
        vstore16(-r * product, 0, factor);
        APUS_AXPY8
    }
    float4 folded = squares.lo + squares.hi;
    return (folded.s0 + folded.s2) + (folded.s1 + folded.s3);
}

#define APUS_HALF(v) ((v).lo + (v).hi)
#define APUS_SUM16(v) ((APUS_HALF(APUS_HALF(APUS_HALF(v)))).s0 + (APUS_HALF(APUS_HALF(APUS_HALF(v)))).s1)

// Preconditioned conjugate gradients from the present solution; the preconditioner is D, the exact inverse of what the
// unobserved entries contribute.
APUS_FUNCTION void APUS_NAME(solve_conjugate_gradient)(APUS_NAME(Row) *row, long steps) {
    long wide = APUS_NAME(padded)(row->d), share = (8 + steps) / (steps + 1);
    int in_place = row->d % 16 == 0 && row->n * row->d * 4 <= APUS_IN_PLACE_BYTES;
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
        APUS_DOT8(products)
        vstore8(vload8(0, score + e) + products.lo, 0, score + e);
    }
}

// One pass of Newton steps over blocks of coordinates: each block's normal equations with the targets that the other
// coordinates leave it, solved exactly.
APUS_FUNCTION void APUS_NAME(solve_subspace)(APUS_NAME(Row) *row, long block) {
    long d = row->d;
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
    long entries = APUS_NAME(padded)(longest) + 16, wide = APUS_NAME(padded)(row->d) + 16;
    row->gathered = APUS_NAME(gathered_entries)(row->d, longest);
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
    long n = 0, d = row->d, wide = APUS_NAME(padded)(d);
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
// thread busy alone; which item solves a row makes no difference to its solution. `flags`: 1 for weights, 2 for targets.
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void solve_normal_equations_cpu(
    __global const long *row_pointers, __global const int *columns, __global const float *weights,
    __global const float *targets, __global const float *fixed, long fixed_stride, __global const float *diagonal,
    __global const float *row_regularization, __global float *solution, long solution_stride, long row_count, long d,
    int method, int parameter, int flags, long longest, __global float *scratch, long scratch_stride,
    __global volatile int *next_claim, int rows_per_claim) {
    apus_Row row;
    row.columns = columns;
    row.weights = flags & 1 ? weights : 0;
    row.targets = flags & 2 ? targets : 0;
    row.fixed = fixed;
    row.fixed_stride = fixed_stride;
    row.d = d;
    apus_lay_out(&row, scratch + get_global_id(0) * scratch_stride, longest);
    for (;;) {
        long begin = (long)atomic_add(next_claim, 1) * rows_per_claim;
        if (begin >= row_count) break;
        long end = begin + rows_per_claim < row_count ? begin + rows_per_claim : row_count;
        row.prefetched = row_pointers[begin];
        row.prefetch_end = row_pointers[end];
        for (long u = begin; u < end; ++u) {
            apus_solve_row(&row, row_pointers[u], row_pointers[u + 1], diagonal, row_regularization[u],
                           solution + u * solution_stride, method, parameter);
        }
    }
}
#endif
