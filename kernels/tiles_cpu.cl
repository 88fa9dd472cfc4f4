// Register tiles for CPU-class devices: symmetric products and Cholesky factors of small matrices.
//
// One source for two compilers: OpenCL C for devices of the CPU class, and C by way of OpenCLSubset.h. A matrix of m rows
// is cut into slabs of 16; the FIRST slab holds the remainder, behind `16 * slabs - m` leading lanes that stay zero.
// (With the remainder in front, tiles of the first column need only as many broadcasts as it has lanes, and no other
// tile wastes any.) Two layouts:
//
// - a panel holds k vectors of m elements: element (k, 16 s + lane) at `s * slab_stride + 16 k + lane`;
// - a packed triangle holds the tiles (i, j), j <= i, of a symmetric matrix, each 256 floats, in order of i, then j.
//   Within a tile, element (row 16 i + lane, column 16 j + c) is at `16 c + lane`. The tiles of one i are thus themselves
//   a panel slab, which is why the factorization can use the same product as the symmetric update.

#ifdef __OPENCL_VERSION__
#define APUS_NAME(name) apus_##name
#define APUS_FUNCTION static
#define APUS_INLINE static inline
#define APUS_FMA(a, b, c) fma((a), (b), (c))
#define APUS_SQRT(x) sqrt(x)
#define APUS_AS_FLOAT16(x) as_float16(x)
#if defined(__clang__) && defined(__x86_64__)
#define APUS_PREFETCH(pointer) __builtin_prefetch((const void *)(ulong)(pointer), 0, 2)
#else
#define APUS_PREFETCH(pointer)
#endif
#endif

// Whether there are 32 registers of 512 bits: the tiles of 16 are then held in registers as a whole.
#ifndef APUS_WIDE_REGISTERS
#ifdef REGISTERS_512
#define APUS_WIDE_REGISTERS 1
#else
#define APUS_WIDE_REGISTERS 0
#endif
#endif

#define APUS_LIST4(M) M(0, 0) M(1, 1) M(2, 2) M(3, 3)
#define APUS_LIST8(M) APUS_LIST4(M) M(4, 4) M(5, 5) M(6, 6) M(7, 7)
#define APUS_LIST12(M) APUS_LIST8(M) M(8, 8) M(9, 9) M(a, 10) M(b, 11)
#define APUS_LIST16(M) APUS_LIST12(M) M(c, 12) M(d, 13) M(e, 14) M(f, 15)

// What comes after column n of 16, for triangular loops.
#define APUS_AFTER_f(M, n, k)
#define APUS_AFTER_e(M, n, k) M(n, k, f, 15)
#define APUS_AFTER_d(M, n, k) M(n, k, e, 14) APUS_AFTER_e(M, n, k)
#define APUS_AFTER_c(M, n, k) M(n, k, d, 13) APUS_AFTER_d(M, n, k)
#define APUS_AFTER_b(M, n, k) M(n, k, c, 12) APUS_AFTER_c(M, n, k)
#define APUS_AFTER_a(M, n, k) M(n, k, b, 11) APUS_AFTER_b(M, n, k)
#define APUS_AFTER_9(M, n, k) M(n, k, a, 10) APUS_AFTER_a(M, n, k)
#define APUS_AFTER_8(M, n, k) M(n, k, 9, 9) APUS_AFTER_9(M, n, k)
#define APUS_AFTER_7(M, n, k) M(n, k, 8, 8) APUS_AFTER_8(M, n, k)
#define APUS_AFTER_6(M, n, k) M(n, k, 7, 7) APUS_AFTER_7(M, n, k)
#define APUS_AFTER_5(M, n, k) M(n, k, 6, 6) APUS_AFTER_6(M, n, k)
#define APUS_AFTER_4(M, n, k) M(n, k, 5, 5) APUS_AFTER_5(M, n, k)
#define APUS_AFTER_3(M, n, k) M(n, k, 4, 4) APUS_AFTER_4(M, n, k)
#define APUS_AFTER_2(M, n, k) M(n, k, 3, 3) APUS_AFTER_3(M, n, k)
#define APUS_AFTER_1(M, n, k) M(n, k, 2, 2) APUS_AFTER_2(M, n, k)
#define APUS_AFTER_0(M, n, k) M(n, k, 1, 1) APUS_AFTER_1(M, n, k)

// The vector with its lanes 0 ... k set to zero.
#define APUS_KEEP_AFTER(k, v)                                                                                          \
    APUS_SHUFFLE16((float16)(0.0f), v, (0 > k ? 16 : 0), (1 > k ? 17 : 1), (2 > k ? 18 : 2), (3 > k ? 19 : 3),         \
        (4 > k ? 20 : 4), (5 > k ? 21 : 5), (6 > k ? 22 : 6), (7 > k ? 23 : 7), (8 > k ? 24 : 8), (9 > k ? 25 : 9),    \
        (10 > k ? 26 : 10), (11 > k ? 27 : 11), (12 > k ? 28 : 12), (13 > k ? 29 : 13), (14 > k ? 30 : 14),            \
        (15 > k ? 31 : 15))

#define APUS_SWAP2(F, G, a, b)                                                                                         \
    {                                                                                                                  \
        float16 t = F(a, b);                                                                                           \
        b = G(a, b);                                                                                                   \
        a = t;                                                                                                         \
    }
#define APUS_TRANSPOSE4(a, b, c, d)                                                                                    \
    APUS_SWAP2(APUS_LOW32, APUS_HIGH32, a, b)                                                                          \
    APUS_SWAP2(APUS_LOW32, APUS_HIGH32, c, d)                                                                          \
    {                                                                                                                  \
        float16 t = APUS_HIGH64(a, c), w = APUS_LOW64(b, d);                                                           \
        a = APUS_LOW64(a, c);                                                                                          \
        d = APUS_HIGH64(b, d);                                                                                         \
        b = t;                                                                                                         \
        c = w;                                                                                                         \
    }
#define APUS_LANES4(a, b, c, d)                                                                                        \
    APUS_SWAP2(APUS_EVEN128, APUS_ODD128, a, b)                                                                        \
    APUS_SWAP2(APUS_EVEN128, APUS_ODD128, c, d)                                                                        \
    APUS_SWAP2(APUS_EVEN128, APUS_ODD128, a, c)                                                                        \
    APUS_SWAP2(APUS_EVEN128, APUS_ODD128, b, d)

// Transposes the 16 x 16 matrix in v0 ... vf in place.
#define APUS_TRANSPOSE16(v)                                                                                            \
    APUS_TRANSPOSE4(v##0, v##1, v##2, v##3)                                                                            \
    APUS_TRANSPOSE4(v##4, v##5, v##6, v##7)                                                                            \
    APUS_TRANSPOSE4(v##8, v##9, v##a, v##b)                                                                            \
    APUS_TRANSPOSE4(v##c, v##d, v##e, v##f)                                                                            \
    APUS_LANES4(v##0, v##4, v##8, v##c)                                                                                \
    APUS_LANES4(v##1, v##5, v##9, v##d)                                                                                \
    APUS_LANES4(v##2, v##6, v##a, v##e)                                                                                \
    APUS_LANES4(v##3, v##7, v##b, v##f)

// tile[c] += sign * sum over k of columns[k][c] * rows[k], for COUNT columns.
#define APUS_TILE_DECLARE(n, i) float16 c##n = (float16)(0.0f);
#define APUS_TILE_STEP(n, i) c##n = APUS_FMA((float16)(columns[i]), v, c##n);
#define APUS_TILE_STORE(n, i) vstore16(APUS_FMA(c##n, (float16)(sign), vload16(i, tile)), i, tile);
#define APUS_TILE(COUNT)                                                                                               \
    APUS_FUNCTION void APUS_NAME(tile##COUNT)(__global const float *columns, __global const float *rows, long k,       \
                                              __global float *tile, float sign) {                                      \
        APUS_LIST##COUNT(APUS_TILE_DECLARE) for (long e = 0; e < k; ++e, columns += 16, rows += 16) {                  \
            float16 v = vload16(0, rows);                                                                              \
            APUS_LIST##COUNT(APUS_TILE_STEP)                                                                           \
        }                                                                                                              \
        APUS_LIST##COUNT(APUS_TILE_STORE)                                                                              \
    }
APUS_TILE(4)
#if APUS_WIDE_REGISTERS
APUS_TILE(8)
APUS_TILE(12)
APUS_TILE(16)
#else
// Four columns are 8 of 16 registers of 256 bits, and all that are needed to keep the units busy; more would lie in memory.
#define APUS_TILE_OF_FOURS(COUNT)                                                                                      \
    APUS_FUNCTION void APUS_NAME(tile##COUNT)(__global const float *columns, __global const float *rows, long k,       \
                                              __global float *tile, float sign) {                                      \
        for (long c = 0; c < COUNT; c += 4) APUS_NAME(tile4)(columns + c, rows, k, tile + 16 * c, sign);               \
    }
APUS_TILE_OF_FOURS(8)
APUS_TILE_OF_FOURS(12)
APUS_TILE_OF_FOURS(16)
#endif

// The same for two slabs of rows at once: one broadcast serves two products, so that the loads keep up.
#define APUS_PAIR_DECLARE(n, i) float16 c##n = (float16)(0.0f), d##n = c##n;
#define APUS_PAIR_STEP(n, i)                                                                                           \
    {                                                                                                                  \
        float16 f = (float16)(columns[i]);                                                                             \
        c##n = APUS_FMA(f, v, c##n);                                                                                   \
        d##n = APUS_FMA(f, w, d##n);                                                                                   \
    }
#define APUS_PAIR_STORE(n, i)                                                                                          \
    vstore16(APUS_FMA(c##n, (float16)(sign), vload16(i, tile)), i, tile);                                              \
    vstore16(APUS_FMA(d##n, (float16)(sign), vload16(i, tile2)), i, tile2);
#define APUS_PAIR(COUNT)                                                                                               \
    APUS_FUNCTION void APUS_NAME(pair##COUNT)(__global const float *columns, __global const float *rows,               \
                                              __global const float *rows2, long k, __global float *tile,               \
                                              __global float *tile2, float sign) {                                     \
        APUS_LIST##COUNT(APUS_PAIR_DECLARE) for (long e = 0; e < k; ++e, columns += 16, rows += 16, rows2 += 16) {     \
            float16 v = vload16(0, rows), w = vload16(0, rows2);                                                       \
            APUS_LIST##COUNT(APUS_PAIR_STEP)                                                                           \
        }                                                                                                              \
        APUS_LIST##COUNT(APUS_PAIR_STORE)                                                                              \
    }
#if APUS_WIDE_REGISTERS
APUS_PAIR(4)
APUS_PAIR(8)
APUS_PAIR(12)
#else
#define APUS_PAIR_OF_TILES(prefix, COUNT)                                                                              \
    APUS_FUNCTION void APUS_NAME(prefix##pair##COUNT)(__global const float *columns, __global const float *rows,       \
                                                      __global const float *rows2, long k, __global float *tile,       \
                                                      __global float *tile2, float sign) {                             \
        APUS_NAME(prefix##tile##COUNT)(columns, rows, k, tile, sign);                                                  \
        APUS_NAME(tile##COUNT)(columns, rows2, k, tile2, sign);                                                        \
    }
APUS_PAIR_OF_TILES(, 4)
APUS_PAIR_OF_TILES(, 8)
APUS_PAIR_OF_TILES(, 12)
#endif

APUS_FUNCTION void APUS_NAME(pair16)(__global const float *columns, __global const float *rows,
                                     __global const float *rows2, long k, __global float *tile, __global float *tile2,
                                     float sign) {
    APUS_NAME(pair8)(columns, rows, rows2, k, tile, tile2, sign);
    APUS_NAME(pair8)(columns + 8, rows, rows2, k, tile + 128, tile2 + 128, sign);
}

// right += sign * sum over k of factor[k] * rows[k].
APUS_FUNCTION void APUS_NAME(add_product)(__global const float *rows, __global const float *factor, long k, float sign,
                                          __global float *right) {
    float16 a = (float16)(0.0f), b = a, c = a, d = a;
    long e = 0;
    for (; e + 4 <= k; e += 4) {
        a = APUS_FMA((float16)(factor[e]), vload16(e, rows), a);
        b = APUS_FMA((float16)(factor[e + 1]), vload16(e + 1, rows), b);
        c = APUS_FMA((float16)(factor[e + 2]), vload16(e + 2, rows), c);
        d = APUS_FMA((float16)(factor[e + 3]), vload16(e + 3, rows), d);
    }
    for (; e < k; ++e) a = APUS_FMA((float16)(factor[e]), vload16(e, rows), a);
    vstore16(APUS_FMA((float16)(sign), (a + b) + (c + d), vload16(0, right)), 0, right);
}

// pair8 that also adds sum over k of target[k] * rows[k] to the right-hand side of either slab.
APUS_FUNCTION void APUS_NAME(pair8_right)(__global const float *columns, __global const float *rows,
                                          __global const float *rows2, long k, __global float *tile,
                                          __global float *tile2, __global const float *target, __global float *right) {
#if APUS_WIDE_REGISTERS
    float sign = 1.0f;
    APUS_LIST8(APUS_PAIR_DECLARE)
    float16 b = vload16(0, right), b2 = vload16(1, right);
    for (long e = 0; e < k; ++e, columns += 16, rows += 16, rows2 += 16) {
        float16 v = vload16(0, rows), w = vload16(0, rows2), t = (float16)(target[e]);
        APUS_LIST8(APUS_PAIR_STEP)
        b = APUS_FMA(t, v, b);
        b2 = APUS_FMA(t, w, b2);
    }
    APUS_LIST8(APUS_PAIR_STORE)
    vstore16(b, 0, right);
    vstore16(b2, 1, right);
#else
    APUS_NAME(pair8)(columns, rows, rows2, k, tile, tile2, 1.0f);
    APUS_NAME(add_product)(rows, target, k, 1.0f, right);
    APUS_NAME(add_product)(rows2, target, k, 1.0f, right + 16);
#endif
}

// The same where the lanes 0 ... 7 of the (first) slab of rows are not wanted: above a diagonal, or leading. Half a vector is
// half the work where the processor takes 512 bits in two steps.
#define APUS_LOWER_TILE_DECLARE(n, i) float8 c##n = (float8)(0.0f);
#define APUS_LOWER_TILE_STEP(n, i) c##n = APUS_FMA((float8)(columns[i]), v, c##n);
#define APUS_LOWER_TILE_STORE(n, i)                                                                                    \
    vstore8(APUS_FMA(c##n, (float8)(sign), vload8(2 * i + 1, tile)), 2 * i + 1, tile);
#define APUS_LOWER_TILE(COUNT)                                                                                         \
    APUS_FUNCTION void APUS_NAME(lower_tile##COUNT)(__global const float *columns, __global const float *rows, long k, \
                                                    __global float *tile, float sign) {                                \
        APUS_LIST##COUNT(APUS_LOWER_TILE_DECLARE) for (long e = 0; e < k; ++e, columns += 16, rows += 16) {            \
            float8 v = vload8(1, rows);                                                                                \
            APUS_LIST##COUNT(APUS_LOWER_TILE_STEP)                                                                     \
        }                                                                                                              \
        APUS_LIST##COUNT(APUS_LOWER_TILE_STORE)                                                                        \
    }
APUS_LOWER_TILE(4)
APUS_LOWER_TILE(8)

#if APUS_WIDE_REGISTERS
#define APUS_LOWER_DECLARE(n, i)                                                                                       \
    float8 c##n = (float8)(0.0f);                                                                                      \
    float16 d##n = (float16)(0.0f);
#define APUS_LOWER_STEP(n, i) c##n = APUS_FMA((float8)(columns[i]), v, c##n);
#define APUS_LOWER_STEP2(n, i) d##n = APUS_FMA((float16)(columns[i]), w, d##n);
#define APUS_LOWER_STORE(n, i)                                                                                         \
    vstore8(APUS_FMA(c##n, (float8)(sign), vload8(2 * i + 1, tile)), 2 * i + 1, tile);                                 \
    vstore16(APUS_FMA(d##n, (float16)(sign), vload16(i, tile2)), i, tile2);
#define APUS_LOWER_PAIR(COUNT)                                                                                         \
    APUS_FUNCTION void APUS_NAME(lower_pair##COUNT)(__global const float *columns, __global const float *rows,         \
                                                    __global const float *rows2, long k, __global float *tile,         \
                                                    __global float *tile2, float sign) {                               \
        APUS_LIST##COUNT(APUS_LOWER_DECLARE) for (long e = 0; e < k; ++e, columns += 16, rows += 16, rows2 += 16) {    \
            float8 v = vload8(1, rows);                                                                                \
            float16 w = vload16(0, rows2);                                                                             \
            APUS_LIST##COUNT(APUS_LOWER_STEP2)                                                                         \
            APUS_LIST##COUNT(APUS_LOWER_STEP)                                                                          \
        }                                                                                                              \
        APUS_LIST##COUNT(APUS_LOWER_STORE)                                                                             \
    }
APUS_LOWER_PAIR(4)
APUS_LOWER_PAIR(8)
#else
APUS_PAIR_OF_TILES(lower_, 4)
APUS_PAIR_OF_TILES(lower_, 8)
#endif

// A tile on the diagonal, of which nothing above is wanted: what is there afterwards is of no use.
#define APUS_AFTER7(M) M(8, 8) M(9, 9) M(a, 10) M(b, 11) M(c, 12) M(d, 13) M(e, 14) M(f, 15)
APUS_FUNCTION void APUS_NAME(diagonal_tile)(__global const float *rows, long k, __global float *tile, float sign) {
#if APUS_WIDE_REGISTERS
    __global const float *columns = rows;
    APUS_LIST8(APUS_TILE_DECLARE)
    APUS_AFTER7(APUS_LOWER_TILE_DECLARE)
    for (long e = 0; e < k; ++e, columns += 16) {
        float16 u = vload16(0, columns);
        float8 v = vload8(1, columns);
#define APUS_DIAGONAL_STEP(n, i) c##n = APUS_FMA((float16)(columns[i]), u, c##n);
        APUS_LIST8(APUS_DIAGONAL_STEP)
        APUS_AFTER7(APUS_LOWER_TILE_STEP)
    }
    APUS_LIST8(APUS_TILE_STORE)
    APUS_AFTER7(APUS_LOWER_TILE_STORE)
#else
    APUS_NAME(tile8)(rows, rows, k, tile, sign);
    APUS_NAME(lower_tile8)(rows + 8, rows, k, tile + 128, sign);
#endif
}

// Floats of a packed triangle of so many slabs.
APUS_INLINE long APUS_NAME(triangle)(long slabs) { return 128 * slabs * (slabs + 1); }

// Tile (i, 0) of a packed triangle.
#define APUS_TILE_ROW(triangle, i) ((triangle) + 128 * (i) * ((i) + 1))

// Factors the diagonal tile A = (I + U) diag(p) (I + U)^T in place: U strictly below the diagonal, zero elsewhere.
// `scale` becomes p^(-1/2), and `right` the part of y = L^-1 right that belongs to this tile. A pivot that rounding has
// driven below `smallest` is raised to it, so that what was positive definite stays so.
#define APUS_FACTOR_LOAD(n, i) float16 c##n = vload16(i, tile);
#define APUS_FACTOR_UPDATE(n, k, m, l) c##m = APUS_FMA((float16)(-c##n.s##m), v, c##m);
// The next pivot is worked out by itself, ahead of the vectors: the division waits for nothing else.
#define APUS_FACTOR_STEP(n, k, m)                                                                                      \
    {                                                                                                                  \
        p = p > smallest[k] ? p : smallest[k];                                                                         \
        scale[k] = p;                                                                                                  \
        float inverse = 1.0f / p, next = c##n.s##m;                                                                    \
        p = c##m.s##m - next * next * inverse;                                                                         \
        float16 v = c##n *(float16)(inverse), u = APUS_KEEP_AFTER(k, v);                                               \
        APUS_AFTER_##n(APUS_FACTOR_UPDATE, n, k) y = APUS_FMA((float16)(-y.s##n), u, y);                               \
        vstore16(u, k, tile);                                                                                          \
    }
APUS_FUNCTION void APUS_NAME(factor_tile)(__global float *tile, __global const float *smallest, __global float *scale,
                                          __global float *right) {
    APUS_LIST16(APUS_FACTOR_LOAD)
    float16 y = vload16(0, right);
    float p = c0.s0;
    APUS_FACTOR_STEP(0, 0, 1) APUS_FACTOR_STEP(1, 1, 2) APUS_FACTOR_STEP(2, 2, 3) APUS_FACTOR_STEP(3, 3, 4)
    APUS_FACTOR_STEP(4, 4, 5) APUS_FACTOR_STEP(5, 5, 6) APUS_FACTOR_STEP(6, 6, 7) APUS_FACTOR_STEP(7, 7, 8)
    APUS_FACTOR_STEP(8, 8, 9) APUS_FACTOR_STEP(9, 9, a) APUS_FACTOR_STEP(a, 10, b) APUS_FACTOR_STEP(b, 11, c)
    APUS_FACTOR_STEP(c, 12, d) APUS_FACTOR_STEP(d, 13, e) APUS_FACTOR_STEP(e, 14, f)
    scale[15] = p > smallest[15] ? p : smallest[15];
    vstore16((float16)(0.0f), 15, tile);
    float16 s = (float16)(1.0f) / APUS_SQRT(vload16(0, scale));
    vstore16(s, 0, scale);
    vstore16(y * s, 0, right);
}

// tile = tile * L^-T for the factored diagonal tile of its column.
#define APUS_SOLVE_UPDATE(n, k, m, l) c##m = APUS_FMA((float16)(-diagonal[16 * k + l]), c##n, c##m);
#define APUS_SOLVE_STEP(n, k)                                                                                          \
    APUS_AFTER_##n(APUS_SOLVE_UPDATE, n, k) vstore16(c##n *(float16)(scale[k]), k, tile);
APUS_FUNCTION void APUS_NAME(solve_tile)(__global const float *diagonal, __global const float *scale,
                                         __global float *tile) {
    APUS_LIST16(APUS_FACTOR_LOAD)
    APUS_LIST16(APUS_SOLVE_STEP)
}

// Solves the column j of L^T x = y, the solutions of the slabs below it being known.
#define APUS_BACK_STEP(n, i) c##n = APUS_FMA(vload16(i, tile), v, c##n);
#define APUS_BACK_SUBTRACT(n, i) x = APUS_FMA((float16)(-x.s##n), c##n, x);
APUS_FUNCTION void APUS_NAME(solve_back)(__global const float *triangle, long slabs, long j,
                                         __global const float *scale, __global float *right) {
    float16 x = vload16(j, right);
    if (j + 1 < slabs) {
        APUS_LIST16(APUS_TILE_DECLARE)
        for (long i = j + 1; i < slabs; ++i) {
            __global const float *tile = APUS_TILE_ROW(triangle, i) + 256 * j;
            float16 v = vload16(i, right);
            APUS_LIST16(APUS_BACK_STEP)
        }
        APUS_TRANSPOSE16(c)
        x -= (((c0 + c1) + (c2 + c3)) + ((c4 + c5) + (c6 + c7))) + (((c8 + c9) + (ca + cb)) + ((cc + cd) + (ce + cf)));
    }
    x *= vload16(j, scale);
    __global const float *tile = APUS_TILE_ROW(triangle, j) + 256 * j;
    APUS_LIST16(APUS_FACTOR_LOAD)
    APUS_TRANSPOSE16(c)
    // Row n of U lies in the lanes before n: what is subtracted leaves lane n as it is.
    APUS_BACK_SUBTRACT(f, 15) APUS_BACK_SUBTRACT(e, 14) APUS_BACK_SUBTRACT(d, 13) APUS_BACK_SUBTRACT(c, 12)
    APUS_BACK_SUBTRACT(b, 11) APUS_BACK_SUBTRACT(a, 10) APUS_BACK_SUBTRACT(9, 9) APUS_BACK_SUBTRACT(8, 8)
    APUS_BACK_SUBTRACT(7, 7) APUS_BACK_SUBTRACT(6, 6) APUS_BACK_SUBTRACT(5, 5) APUS_BACK_SUBTRACT(4, 4)
    APUS_BACK_SUBTRACT(3, 3) APUS_BACK_SUBTRACT(2, 2) APUS_BACK_SUBTRACT(1, 1)
    vstore16(x, j, right);
}

// Solves A x = right in place for the positive definite A in a packed triangle, which its factor replaces.
// `scale` has room for 16 * slabs + 16 floats.
APUS_FUNCTION void APUS_NAME(solve_positive_definite)(__global float *triangle, long slabs, __global float *scale,
                                                      __global float *right) {
    __global float *smallest = scale + 16 * slabs;
    for (long j = 0; j < slabs; ++j) {
        __global float *row = APUS_TILE_ROW(triangle, j);
        __global float *diagonal = row + 256 * j;
        for (long c = 0; c < 16; ++c) smallest[c] = 1e-7f * diagonal[17 * c];
        if (j > 0) {
            APUS_NAME(diagonal_tile)(row, 16 * j, diagonal, -1.0f);
            APUS_NAME(add_product)(row, right, 16 * j, -1.0f, right + 16 * j);
        }
        APUS_NAME(factor_tile)(diagonal, smallest, scale + 16 * j, right + 16 * j);
        long i = j + 1;
        if ((slabs - i) % 2 > 0) {
            __global float *lower = APUS_TILE_ROW(triangle, i);
            if (j > 0) APUS_NAME(tile16)(row, lower, 16 * j, lower + 256 * j, -1.0f);
            APUS_NAME(solve_tile)(diagonal, scale + 16 * j, lower + 256 * j);
            ++i;
        }
        for (; i < slabs; i += 2) {
            __global float *lower = APUS_TILE_ROW(triangle, i), *lower2 = APUS_TILE_ROW(triangle, i + 1);
            if (j > 0) APUS_NAME(pair16)(row, lower, lower2, 16 * j, lower + 256 * j, lower2 + 256 * j, -1.0f);
            APUS_NAME(solve_tile)(diagonal, scale + 16 * j, lower + 256 * j);
            APUS_NAME(solve_tile)(diagonal, scale + 16 * j, lower2 + 256 * j);
        }
    }
    for (long j = slabs - 1; j >= 0; --j) APUS_NAME(solve_back)(triangle, slabs, j, scale, right);
}
