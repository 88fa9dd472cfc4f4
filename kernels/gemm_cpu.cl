// Dense products for CPU-class devices: output = activation(alpha * op(a) * op(b) + beta * output + bias).
//
// A work-item owns a register tile of TILE_ROWS x TILE_COLUMNS sums (vectors_cpu.cl) and walks over packed panels; the
// work-group size is 1, and there is neither local memory nor a barrier, which a CPU would pay for and not use.
//
// Packed layout: the k dimension is cut into blocks of K_BLOCK. Within a block of length kl that starts at p0, panel q
// of A holds kl columns of R = TILE_ROWS rows, at p0 * R * panels + q * R * kl; panel q of B holds kl rows of
// C = TILE_COLUMNS columns, at p0 * C * panels + q * C * kl. Rows and columns past the edge are zero.
//
// Launches: gemm_pack_a over (panels of A), gemm_pack_b over (panels of B), gemm_packed over (column groups, row
// groups), all with work-groups of 1. gemm_rows does without the packing of A, gemm_small without any.

#ifndef K_BLOCK
#define K_BLOCK 1024
#endif

// The same for gemm_small, whose panel of B is private.
#ifndef K_SMALL
#define K_SMALL 256
#endif

#define FLAG_BIAS 1
#define ACTIVATION_RELU 1
#define ACTIVATION_SIGMOID 2
#define ACTIVATION_TANH 3

// Compiled once a kernel instead of once a place of use: a program compiles in a third of the time and runs as fast.
#define SHARED __attribute__((noinline)) static

// Sixteen columns of four rows: columns of four at a distance of TILE_ROWS.
#define STORE_COLUMNS(four, c)                                                                                         \
    {                                                                                                                  \
        const float16 whole = four;                                                                                    \
        vstore4(LOW_HALF(LOW_HALF(whole)), 0, target + (c) * TILE_ROWS);                                               \
        vstore4(HIGH_HALF(LOW_HALF(whole)), 0, target + ((c) + 4) * TILE_ROWS);                                        \
        vstore4(LOW_HALF(HIGH_HALF(whole)), 0, target + ((c) + 8) * TILE_ROWS);                                        \
        vstore4(HIGH_HALF(HIGH_HALF(whole)), 0, target + ((c) + 12) * TILE_ROWS);                                      \
    }
static void pack_four_rows(__global const float *source, long row_step, __global float *target) {
    const float16 a = vload16(0, source), b = vload16(0, source + row_step);
    const float16 c = vload16(0, source + 2 * row_step), d = vload16(0, source + 3 * row_step);
    // Columns 0 and 1 of every four, then 2 and 3; of a and b, then of c and d.
    const float16 ab = APUS_LOW32(a, b), cd = APUS_LOW32(c, d), ab2 = APUS_HIGH32(a, b), cd2 = APUS_HIGH32(c, d);
    STORE_COLUMNS(APUS_LOW64(ab, cd), 0)
    STORE_COLUMNS(APUS_HIGH64(ab, cd), 1)
    STORE_COLUMNS(APUS_LOW64(ab2, cd2), 2)
    STORE_COLUMNS(APUS_HIGH64(ab2, cd2), 3)
}

// Packs TILE_ROWS rows of op(a), element (i, p) at i * row_step + p * column_step; one of the steps is 1.
__kernel void gemm_pack_a(
    __global const float *a, long a_offset, long row_step, long column_step, long m, long k, __global float *packed) {
    const long panel = get_global_id(0);
    const long panels = get_global_size(0);
    const long first = panel * TILE_ROWS;
    const long rows = min(m - first, (long)TILE_ROWS);
    __global const float *source = a + a_offset + first * row_step;
    for (long p0 = 0; p0 < k; p0 += K_BLOCK) {
        const long length = min(k - p0, (long)K_BLOCK);
        __global float *target = packed + p0 * TILE_ROWS * panels + panel * TILE_ROWS * length;
        __global const float *block = source + p0 * column_step;
        if (rows == TILE_ROWS && row_step == 1) {
            for (long p = 0; p < length; ++p) {
                __global const float *from = block + p * column_step;
                __global float *to = target + p * TILE_ROWS;
                // The last four may overlap those before.
                for (int i = 0; i < TILE_ROWS - 4; i += 4) vstore4(vload4(0, from + i), 0, to + i);
                vstore4(vload4(0, from + TILE_ROWS - 4), 0, to + TILE_ROWS - 4);
            }
        } else if (rows == TILE_ROWS) {
            // Sixteen of a row at a time: rows at a distance of a power of two lose each other's lines from the cache.
            long p = 0;
            for (; p + 16 <= length; p += 16) {
                for (int four = 0; four < TILE_ROWS; four += 4) {
                    const int i = min(four, TILE_ROWS - 4);
                    pack_four_rows(block + i * row_step + p, row_step, target + p * TILE_ROWS + i);
                }
            }
            for (; p < length; ++p) {
                for (int i = 0; i < TILE_ROWS; ++i) target[p * TILE_ROWS + i] = block[i * row_step + p];
            }
        } else {
            for (long p = 0; p < length; ++p) {
                for (int i = 0; i < TILE_ROWS; ++i) {
                    target[p * TILE_ROWS + i] = i < rows ? block[i * row_step + p * column_step] : 0.0f;
                }
            }
        }
    }
}

// Packs TILE_COLUMNS columns of op(b), element (p, j) at p * row_step + j * column_step; one of the steps is 1.
__kernel void gemm_pack_b(
    __global const float *b, long b_offset, long row_step, long column_step, long n, long k, __global float *packed) {
    const long panel = get_global_id(0);
    const long panels = get_global_size(0);
    const long first = panel * TILE_COLUMNS;
    const long columns = min(n - first, (long)TILE_COLUMNS);
    __global const float *source = b + b_offset + first * column_step;
    for (long p0 = 0; p0 < k; p0 += K_BLOCK) {
        const long length = min(k - p0, (long)K_BLOCK);
        __global float *target = packed + p0 * TILE_COLUMNS * panels + panel * TILE_COLUMNS * length;
        __global const float *block = source + p0 * row_step;
        if (columns == TILE_COLUMNS && column_step == 1) {
            for (long p = 0; p < length; ++p) {
                __global const float *from = block + p * row_step;
                STORE_REGISTER(LOAD_REGISTER(0, from), 0, target + p * TILE_COLUMNS);
                STORE_REGISTER(LOAD_REGISTER(1, from), 1, target + p * TILE_COLUMNS);
            }
        } else if (columns == TILE_COLUMNS) {
            for (long p = 0; p < length; ++p) {
                for (int j = 0; j < TILE_COLUMNS; ++j) {
                    target[p * TILE_COLUMNS + j] = block[p * row_step + j * column_step];
                }
            }
        } else {
            for (long p = 0; p < length; ++p) {
                for (int j = 0; j < TILE_COLUMNS; ++j) {
                    target[p * TILE_COLUMNS + j] = j < columns ? block[p * row_step + j * column_step] : 0.0f;
                }
            }
        }
    }
}

static register_type activate(register_type x, int activation) {
    if (activation == ACTIVATION_RELU) return select(x, (register_type)(0.0f), x < 0.0f);
    if (activation == ACTIVATION_SIGMOID) return 1.0f / (1.0f + exp(-x));
    if (activation == ACTIVATION_TANH) return tanh(x);
    return x;
}

// What is done with a finished row of a tile: scaling, the old output, bias and activation.
SHARED void store_row(
    register_type low, register_type high, __global float *output, long columns, float alpha, float beta,
    __global const float *bias, int last, int activation) {
    if (columns == TILE_COLUMNS) {
        low *= alpha;
        high *= alpha;
        if (beta != 0.0f) {
            low += beta * LOAD_REGISTER(0, output);
            high += beta * LOAD_REGISTER(1, output);
        }
        if (last) {
            if (bias) {
                low += LOAD_REGISTER(0, bias);
                high += LOAD_REGISTER(1, bias);
            }
            if (activation) {
                low = activate(low, activation);
                high = activate(high, activation);
            }
        }
        STORE_REGISTER(low, 0, output);
        STORE_REGISTER(high, 1, output);
        return;
    }
    float values[TILE_COLUMNS];
    for (int j = 0; j < TILE_COLUMNS; ++j) values[j] = 0.0f;
    for (int j = 0; beta != 0.0f && j < columns; ++j) values[j] = output[j];
    low = low * alpha;
    high = high * alpha;
    if (beta != 0.0f) {
        low += beta * LOAD_REGISTER(0, values);
        high += beta * LOAD_REGISTER(1, values);
    }
    if (last) {
        if (bias) {
            for (int j = 0; j < columns; ++j) values[j] = bias[j];
            low += LOAD_REGISTER(0, values);
            high += LOAD_REGISTER(1, values);
        }
        if (activation) {
            low = activate(low, activation);
            high = activate(high, activation);
        }
    }
    STORE_REGISTER(low, 0, values);
    STORE_REGISTER(high, 1, values);
    for (int j = 0; j < columns; ++j) output[j] = values[j];
}

#define SET_ROW(i)                                                                         \
    STORE_REGISTER(alpha * low##i, 0, output + i * output_stride);                         \
    STORE_REGISTER(alpha * high##i, 1, output + i * output_stride);
#define UPDATE_ROW(i)                                                                      \
    STORE_REGISTER(                                                                        \
        alpha * low##i + beta * LOAD_REGISTER(0, output + i * output_stride), 0, output + i * output_stride); \
    STORE_REGISTER(                                                                        \
        alpha * high##i + beta * LOAD_REGISTER(1, output + i * output_stride), 1, output + i * output_stride);
#define KEEP_ROW(i) STORE_REGISTER(low##i, 2 * i, sums); STORE_REGISTER(high##i, 2 * i + 1, sums);

// Whole tiles without bias and activation go straight to memory; the rest is finished row by row.
#define STORE_TILE                                                                         \
    if (rows >= TILE_ROWS && columns == TILE_COLUMNS && !(last && (bias || activation))) { \
        if (beta == 0.0f) {                                                                \
            FOR_TILE_ROWS(SET_ROW)                                                         \
        } else {                                                                           \
            FOR_TILE_ROWS(UPDATE_ROW)                                                      \
        }                                                                                  \
        return;                                                                            \
    }                                                                                      \
    float sums[TILE_ROWS * TILE_COLUMNS];                                                  \
    FOR_TILE_ROWS(KEEP_ROW)                                                                \
    for (int i = 0; i < TILE_ROWS && i < rows; ++i) {                                      \
        store_row(                                                                         \
            LOAD_REGISTER(2 * i, sums), LOAD_REGISTER(2 * i + 1, sums), output + i * output_stride, columns, alpha, \
            beta, bias, last, activation);                                                 \
    }

SHARED void tile_packed(
    __global const float *pa, __global const float *pb, long length, __global float *output,
    long output_stride, long rows, long columns, float alpha, float beta, __global const float *bias, int last,
    int activation) {
    FOR_TILE_ROWS(DECLARE_SUMS)
    for (long p = 0; p < length; ++p) {
        const register_type b0 = LOAD_REGISTER(0, pb);
        const register_type b1 = LOAD_REGISTER(1, pb);
        FOR_TILE_ROWS(ADD_PRODUCTS)
        pa += TILE_ROWS;
        pb += TILE_COLUMNS;
    }
    STORE_TILE
}

__kernel void gemm_packed(
    __global const float *a, __global const float *b, __global float *output, long output_offset, long output_stride,
    long m, long n, long k, float alpha, float beta, __global const float *bias, long bias_offset, int flags,
    int activation, int tiles_per_item, int panels_per_item) {
    const long row_panels = (m + TILE_ROWS - 1) / TILE_ROWS;
    const long column_panels = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const long first_panel = (long)get_global_id(0) * panels_per_item;
    const long last_panel = min(first_panel + panels_per_item, column_panels);
    const long first_tile = (long)get_global_id(1) * tiles_per_item;
    const long last_tile = min(first_tile + tiles_per_item, row_panels);
    // k of 0 still has to write alpha * 0 + beta * output + bias.
    for (long p0 = 0; p0 == 0 || p0 < k; p0 += K_BLOCK) {
        const long length = min(k - p0, (long)K_BLOCK);
        const int last = p0 + K_BLOCK >= k;
        for (long panel = first_panel; panel < last_panel; ++panel) {
            const long column = panel * TILE_COLUMNS;
            __global const float *pb = b + p0 * TILE_COLUMNS * column_panels + panel * TILE_COLUMNS * length;
            for (long tile = first_tile; tile < last_tile; ++tile) {
                const long row = tile * TILE_ROWS;
                tile_packed(
                    a + p0 * TILE_ROWS * row_panels + tile * TILE_ROWS * length, pb, length,
                    output + output_offset + row * output_stride + column, output_stride, m - row,
                    min(n - column, (long)TILE_COLUMNS), alpha, p0 == 0 ? beta : 1.0f,
                    flags & FLAG_BIAS ? bias + bias_offset + column : 0, last, activation);
            }
        }
    }
}

#define ADD_THREE(base, x, y, z)                                                           \
    low##x += b0 * base[p]; high##x += b1 * base[p];                                       \
    low##y += b0 * base[p + stride]; high##y += b1 * base[p + stride];                     \
    low##z += b0 * base[p + 2 * stride]; high##z += b1 * base[p + 2 * stride];
#define CLAMP_ROW(i) const long row##i = min((long)i, rows - 1) * stride;
#define ADD_CLAMPED(i) low##i += b0 * a0[row##i + p]; high##i += b1 * a0[row##i + p];

#define FOR_FOUR_ROWS(DO) DO(0) DO(1) DO(2) DO(3)
#define FOR_EIGHT_ROWS(DO) FOR_FOUR_ROWS(DO) DO(4) DO(5) DO(6) DO(7)

// Adds up a register tile; ADD lists what is added to its rows.
#define ADD_ALONG(ADD)                                                                     \
    for (long p = 0; p < length; ++p) {                                                    \
        const register_type b0 = LOAD_REGISTER(0, pb);                                     \
        const register_type b1 = LOAD_REGISTER(1, pb);                                     \
        ADD                                                                                \
        pb += b_stride;                                                                    \
    }

#if TILE_ROWS == 12
#define ROW_POINTERS(a_space)                                                              \
    a_space const float *a3 = a0 + 3 * stride;                                             \
    a_space const float *a6 = a0 + 6 * stride;                                             \
    a_space const float *a9 = a0 + 9 * stride;
#define ADD_ROWS ADD_THREE(a0, 0, 1, 2) ADD_THREE(a3, 3, 4, 5) ADD_THREE(a6, 6, 7, 8) ADD_THREE(a9, 9, 10, 11)
#define ADD_UP_TO_EIGHT_ROWS                                                               \
    else if (rows <= 8) {                                                                  \
        FOR_EIGHT_ROWS(CLAMP_ROW)                                                          \
        ADD_ALONG(FOR_EIGHT_ROWS(ADD_CLAMPED))                                             \
    }
#else
#define ROW_POINTERS(a_space) a_space const float *a3 = a0 + 3 * stride;
#define ADD_ROWS ADD_THREE(a0, 0, 1, 2) ADD_THREE(a3, 3, 4, 5)
#define ADD_UP_TO_EIGHT_ROWS
#endif

// The same product with the rows of A read where they are; the panel of B may lie in private memory. A tile past the
// edge reads its last row again instead of rows that are not there, and no more of them than to the next four.
#define DEFINE_TILE_ROWS(name, a_space, space)                                             \
    SHARED void name(                                                                      \
        a_space const float *a0, long stride, space const float *pb, long b_stride, long length, \
        __global float *output, long output_stride, long rows, long columns, float alpha, float beta, \
        __global const float *bias, int last, int activation) {                            \
        FOR_TILE_ROWS(DECLARE_SUMS)                                                        \
        if (rows >= TILE_ROWS) {                                                           \
            ROW_POINTERS(a_space)                                                          \
            ADD_ALONG(ADD_ROWS)                                                            \
        } else if (rows <= 4) {                                                            \
            FOR_FOUR_ROWS(CLAMP_ROW)                                                       \
            ADD_ALONG(FOR_FOUR_ROWS(ADD_CLAMPED))                                          \
        } ADD_UP_TO_EIGHT_ROWS else {                                                      \
            FOR_TILE_ROWS(CLAMP_ROW)                                                       \
            ADD_ALONG(FOR_TILE_ROWS(ADD_CLAMPED))                                          \
        }                                                                                  \
        STORE_TILE                                                                         \
    }

DEFINE_TILE_ROWS(tile_rows, __global, __global)
DEFINE_TILE_ROWS(tile_rows_private, __global, __private)

__kernel void gemm_rows(
    __global const float *a, long a_offset, long a_stride, __global const float *b, __global float *output,
    long output_offset, long output_stride, long m, long n, long k, float alpha, float beta,
    __global const float *bias, long bias_offset, int flags, int activation, int tiles_per_item, int panels_per_item) {
    const long row_panels = (m + TILE_ROWS - 1) / TILE_ROWS;
    const long column_panels = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const long first_panel = (long)get_global_id(0) * panels_per_item;
    const long last_panel = min(first_panel + panels_per_item, column_panels);
    const long first_tile = (long)get_global_id(1) * tiles_per_item;
    const long last_tile = min(first_tile + tiles_per_item, row_panels);
    for (long p0 = 0; p0 == 0 || p0 < k; p0 += K_BLOCK) {
        const long length = min(k - p0, (long)K_BLOCK);
        const int last = p0 + K_BLOCK >= k;
        for (long panel = first_panel; panel < last_panel; ++panel) {
            const long column = panel * TILE_COLUMNS;
            __global const float *pb = b + p0 * TILE_COLUMNS * column_panels + panel * TILE_COLUMNS * length;
            for (long tile = first_tile; tile < last_tile; ++tile) {
                const long row = tile * TILE_ROWS;
                tile_rows(
                    a + a_offset + row * a_stride + p0, a_stride, pb, TILE_COLUMNS, length,
                    output + output_offset + row * output_stride + column, output_stride, m - row,
                    min(n - column, (long)TILE_COLUMNS), alpha, p0 == 0 ? beta : 1.0f,
                    flags & FLAG_BIAS ? bias + bias_offset + column : 0, last, activation);
            }
        }
    }
}

// Small products in one launch: whole panels of a B that is not transposed are read where they are, others are
// gathered in private memory by the work-item that needs them. Grid: (panels of B, row groups).
__kernel void gemm_small(
    __global const float *a, long a_offset, long a_stride, __global const float *b, long b_offset, long b_row_step,
    long b_column_step, __global float *output, long output_offset, long output_stride, long m, long n, long k,
    float alpha, float beta, __global const float *bias, long bias_offset, int flags, int activation,
    int tiles_per_item) {
    const long column = (long)get_global_id(0) * TILE_COLUMNS;
    const long columns = min(n - column, (long)TILE_COLUMNS);
    const long first_tile = (long)get_global_id(1) * tiles_per_item;
    const long last_tile = min(first_tile + tiles_per_item, (m + TILE_ROWS - 1) / TILE_ROWS);
    const bool reads_in_place = columns == TILE_COLUMNS && b_column_step == 1;
    float gathered[K_SMALL * TILE_COLUMNS];
    for (long p0 = 0; p0 == 0 || p0 < k; p0 += K_SMALL) {
        const long length = min(k - p0, (long)K_SMALL);
        const int last = p0 + K_SMALL >= k;
        __global const float *block = b + b_offset + p0 * b_row_step + column * b_column_step;
        if (!reads_in_place) {
            for (long p = 0; p < length; ++p) {
                for (int j = 0; j < TILE_COLUMNS; ++j) {
                    gathered[p * TILE_COLUMNS + j] = j < columns ? block[p * b_row_step + j * b_column_step] : 0.0f;
                }
            }
        }
        for (long tile = first_tile; tile < last_tile; ++tile) {
            const long row = tile * TILE_ROWS;
            __global const float *pa = a + a_offset + row * a_stride + p0;
            __global float *to = output + output_offset + row * output_stride + column;
            __global const float *biases = flags & FLAG_BIAS ? bias + bias_offset + column : 0;
            const float factor = p0 == 0 ? beta : 1.0f;
            if (reads_in_place) {
                tile_rows(
                    pa, a_stride, block, b_row_step, length, to, output_stride, m - row, columns, alpha, factor,
                    biases, last, activation);
            } else {
                tile_rows_private(
                    pa, a_stride, gathered, TILE_COLUMNS, length, to, output_stride, m - row, columns, alpha, factor,
                    biases, last, activation);
            }
        }
    }
}

#ifdef BATCHED

// The rows of a transposed A, gathered in private memory like the panel of B.
DEFINE_TILE_ROWS(tile_gathered, __private, __private)

#ifdef PREFETCHES
// Asks for part `number` of `parts` of what another product reads and writes. A product of 64 on a side is done before the
// processor's own prefetching has understood it.
#if defined(__clang__) && defined(__x86_64__)
#define PREFETCH(pointer) __builtin_prefetch((const void *)(ulong)(pointer), 0, 2)
#else
#define PREFETCH(pointer)
#endif
static void prefetch_part(__global const float *from, long rows, long columns, long stride, long number, long parts) {
    const long first = rows * number / parts, last = rows * (number + 1) / parts;
    for (long row = first; row < last; ++row) {
        for (long column = 0; column < columns; column += 16) PREFETCH(from + row * stride + column);
    }
}
#endif

// Many small products, several whole ones for each work-item. PREFETCHES: for batches that no cache holds; where one
// does, asking makes them slower. Grid: (ceil(count / per_item)).
__kernel void gemm_batch(
    __global const float *a, long a_offset, long a_row_step, long a_column_step, long a_batch, __global const float *b,
    long b_offset, long b_row_step, long b_column_step, long b_batch, __global float *output, long output_offset,
    long output_stride, long output_batch, long count, long m, long n, long k, float alpha, float beta, long per_item) {
    const long first = get_global_id(0) * per_item;
    const long last = min(first + per_item, count);
    float gathered_a[TILE_ROWS * K_SMALL];
    float gathered[K_SMALL * TILE_COLUMNS];
    for (long one = first; one < last; ++one) {
        for (long column = 0; column < n; column += TILE_COLUMNS) {
            const long columns = min(n - column, (long)TILE_COLUMNS);
            const bool reads_in_place = columns == TILE_COLUMNS && b_column_step == 1 && a_column_step == 1;
            for (long p0 = 0; p0 == 0 || p0 < k; p0 += K_SMALL) {
                const long length = min(k - p0, (long)K_SMALL);
                const float factor = p0 == 0 ? beta : 1.0f;
                __global const float *block = b + b_offset + one * b_batch + p0 * b_row_step + column * b_column_step;
                if (!reads_in_place) {
                    for (long p = 0; p < length; ++p) {
                        for (int j = 0; j < TILE_COLUMNS; ++j) {
                            gathered[p * TILE_COLUMNS + j] =
                                j < columns ? block[p * b_row_step + j * b_column_step] : 0.0f;
                        }
                    }
                }
                for (long row = 0; row < m; row += TILE_ROWS) {
                    const long rows = m - row;
#ifdef PREFETCHES
                    if (p0 == 0 && one + 1 < last) {
                        const long parts = ((n + TILE_COLUMNS - 1) / TILE_COLUMNS) * ((m + TILE_ROWS - 1) / TILE_ROWS);
                        const long part = column / TILE_COLUMNS * ((m + TILE_ROWS - 1) / TILE_ROWS) + row / TILE_ROWS;
                        const bool a_whole = a_column_step == 1, b_whole = b_column_step == 1;
                        prefetch_part(
                            a + a_offset + (one + 1) * a_batch, a_whole ? m : k, a_whole ? k : m,
                            a_whole ? a_row_step : a_column_step, part, parts);
                        prefetch_part(
                            b + b_offset + (one + 1) * b_batch, b_whole ? k : n, b_whole ? n : k,
                            b_whole ? b_row_step : b_column_step, part, parts);
                        prefetch_part(
                            output + output_offset + (one + 1) * output_batch, m, n, output_stride, part, parts);
                    }
#endif
                    __global const float *pa = a + a_offset + one * a_batch + row * a_row_step + p0 * a_column_step;
                    __global float *to = output + output_offset + one * output_batch + row * output_stride + column;
                    if (reads_in_place) {
                        tile_rows(
                            pa, a_row_step, block, b_row_step, length, to, output_stride, rows, columns, alpha, factor,
                            0, 0, 0);
                    } else if (a_column_step == 1) {
                        tile_rows_private(
                            pa, a_row_step, gathered, TILE_COLUMNS, length, to, output_stride, rows, columns, alpha,
                            factor, 0, 0, 0);
                    } else {
                        const int own = min(rows, (long)TILE_ROWS);
                        for (long p = 0; p < length; ++p) {
                            for (int i = 0; i < own; ++i) {
                                gathered_a[i * K_SMALL + p] = pa[i * a_row_step + p * a_column_step];
                            }
                        }
                        tile_gathered(
                            gathered_a, K_SMALL, gathered, TILE_COLUMNS, length, to, output_stride, rows, columns, alpha,
                            factor, 0, 0, 0);
                    }
                }
            }
        }
    }
}

#endif
