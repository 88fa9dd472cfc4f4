// Normal equations of alternating least squares, row by row, for CPU-class devices; follows tiles_cpu.cl.
//
// For each row with entries of weight w_e, target t_e and fixed vector v_e, solves
//     (diag(D) + sum w_e v_e v_e^T) x = sum w_e t_e v_e,     D = diagonal + row_regularization[row].
// The table of fixed vectors has been rotated so that the part of the matrix that all rows share is diagonal.
//
// This file: what all methods share, and the exact method. normal_equations_cpu.cl: the others, and the entry.

// Entries of a primal panel, coordinates of a dual one.
#ifndef APUS_PRIMAL_PANEL
#define APUS_PRIMAL_PANEL 64
#endif
#ifndef APUS_DUAL_PANEL
#define APUS_DUAL_PANEL 128
#endif
#define APUS_PANEL (APUS_PRIMAL_PANEL > APUS_DUAL_PANEL ? APUS_PRIMAL_PANEL : APUS_DUAL_PANEL)
// Vectors whose length is no multiple of 16 are copied, padded, for the conjugate-gradient steps: so many bytes of a row
// once, a share of the third-level cache, and the rest anew by each step.
#ifndef APUS_GATHER_BYTES
#define APUS_GATHER_BYTES 4194304
#endif
// The length of vectors; a constant where the program is compiled for it.
#ifdef FACTORS
#define APUS_FACTORS(row) FACTORS
#else
#define APUS_FACTORS(row) ((row)->d)
#endif
// Bytes of fixed vectors asked for ahead of their use.
#ifndef APUS_LOOKAHEAD_BYTES
#define APUS_LOOKAHEAD_BYTES 65536
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
    const long d = APUS_FACTORS(row);
    for (long e = row->prefetched; e < end; ++e) {
        __global const float *vector = row->fixed + (long)row->columns[e] * row->fixed_stride;
        long c = 0;
        for (; c + 64 <= d; c += 64) {
            APUS_PREFETCH(vector + c);
            APUS_PREFETCH(vector + c + 16);
            APUS_PREFETCH(vector + c + 32);
            APUS_PREFETCH(vector + c + 48);
        }
        for (; c < d; c += 16) {
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
            APUS_NAME(lower_tile4)(first + 12, first, k, tile + 192, 1.0f);
        } else if (remainder <= 8) {
            APUS_NAME(lower_tile8)(first + 8, first, k, tile + 128, 1.0f);
        } else if (remainder <= 12) {
            APUS_NAME(tile12)(first + 4, first, k, tile + 64, 1.0f);
        } else {
            APUS_NAME(diagonal_tile)(first, k, tile, 1.0f);
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
            if (i == 0 && width <= 4) {
                APUS_NAME(lower_pair4)(columns + 12, rows, rows2, k, to + 192, to2 + 192, 1.0f);
            } else if (i == 0 && width <= 8) {
                APUS_NAME(lower_pair8)(columns + 8, rows, rows2, k, to + 128, to2 + 128, 1.0f);
            } else if (width <= 4) {
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
                if (j == i) {
                    APUS_NAME(lower_pair8)(columns + 8, rows, rows2, k, to + 128, to2 + 128, 1.0f);
                } else {
                    APUS_NAME(pair8)(columns + 8, rows, rows2, k, to + 128, to2 + 128, 1.0f);
                }
            }
            APUS_NAME(prefetch_rows)(row, used, share);
            if (j == i && target && width <= 12) {
                APUS_NAME(add_product)(rows, target, k, 1.0f, row->right + 16 * i);
                APUS_NAME(add_product)(rows2, target, k, 1.0f, row->right + 16 * i + 16);
            }
        }
        APUS_NAME(diagonal_tile)(rows2, k, tile2 + 256 * (i + 1), 1.0f);
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
