// Text of the fused product and selection, compiled once for each instruction set (see TopKTiles.c).

// Rows and vectors of columns that the accumulators of one instruction set have room for.
#define APUS_SUBTILE_VECTORS (APUS_TOP_K_COLUMNS / 16 / APUS_COLUMN_PARTS)
#define APUS_SUBTILE_ROWS (APUS_TOP_K_ROWS / APUS_ROW_PARTS)

// Transposes 16 vectors of 16: four perfect shuffles.
static inline __attribute__((always_inline)) void APUS_NAME(transpose16)(apus_float16 *v) {
#pragma clang loop unroll(full)
    for (int stage = 0; stage < 4; stage++) {
        apus_float16 w[16];
#pragma clang loop unroll(full)
        for (int i = 0; i < 8; i++) {
            w[2 * i] = __builtin_shufflevector(v[i], v[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            w[2 * i + 1] =
                __builtin_shufflevector(v[i], v[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) v[i] = w[i];
    }
}

static void APUS_NAME(pack)(const float *rows, int64_t stride, int64_t count, int64_t d, int64_t width, float *out) {
    for (int64_t first = 0; first < count; first += width, out += width * d) {
        int64_t present = count - first < width ? count - first : width;
        const float *source = rows + first * stride;
        int64_t j = 0;
        for (; width % 16 == 0 && j + 16 <= present; j += 16) {
            int64_t p = 0;
            for (; p + 16 <= d; p += 16) {
                apus_float16 v[16];
#pragma clang loop unroll(full)
                for (int i = 0; i < 16; i++) v[i] = APUS_LOAD(source + (j + i) * stride + p);
                APUS_NAME(transpose16)(v);
#pragma clang loop unroll(full)
                for (int i = 0; i < 16; i++) APUS_STORE(out + (p + i) * width + j, v[i]);
            }
            for (; p < d; p++) {
                for (int64_t i = j; i < j + 16; i++) out[p * width + i] = source[i * stride + p];
            }
        }
        for (; j < width; j++) {
            for (int64_t p = 0; p < d; p++) out[p * width + j] = j < present ? source[j * stride + p] : 0;
        }
    }
}

// Products of some of the rows and columns of a register tile, and what of them passes the thresholds.
static inline __attribute__((always_inline)) uint32_t APUS_NAME(subtile)(
    const float *queries, const float *candidates, int64_t d, const float *bias, const float *thresholds, float *scores,
    uint32_t *masks, int row, int vector) {
    apus_float16 sum[APUS_SUBTILE_ROWS][APUS_SUBTILE_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < APUS_SUBTILE_ROWS; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < APUS_SUBTILE_VECTORS; v++) sum[r][v] = APUS_LOAD(bias + 16 * (vector + v));
    }
    const float *a = queries + row, *b = candidates + 16 * vector;
#pragma clang loop unroll_count(2)
    for (int64_t p = 0; p < d; p++, a += APUS_TOP_K_ROWS, b += APUS_TOP_K_COLUMNS) {
        apus_float16 c[APUS_SUBTILE_VECTORS];
#pragma clang loop unroll(full)
        for (int v = 0; v < APUS_SUBTILE_VECTORS; v++) c[v] = APUS_LOAD(b + 16 * v);
#pragma clang loop unroll(full)
        for (int r = 0; r < APUS_SUBTILE_ROWS; r++) {
            apus_float16 q = a[r];
#pragma clang loop unroll(full)
            for (int v = 0; v < APUS_SUBTILE_VECTORS; v++) sum[r][v] += q * c[v];
        }
    }
    uint32_t any = 0;
#pragma clang loop unroll(full)
    for (int r = 0; r < APUS_SUBTILE_ROWS; r++) {
        uint32_t mask = 0;
#pragma clang loop unroll(full)
        for (int v = 0; v < APUS_SUBTILE_VECTORS; v++) {
            apus_bool16 above = __builtin_convertvector(sum[r][v] > thresholds[row + r], apus_bool16);
            uint16_t bits;
            memcpy(&bits, &above, 2);
            mask |= (uint32_t)bits << (16 * (vector + v));
        }
        if (mask) {
#pragma clang loop unroll(full)
            for (int v = 0; v < APUS_SUBTILE_VECTORS; v++) {
                APUS_STORE(scores + (row + r) * APUS_TOP_K_COLUMNS + 16 * (vector + v), sum[r][v]);
            }
            masks[row + r] |= mask;
            any = 1;
        }
    }
    return any;
}

static void APUS_NAME(tiles)(apus_top_k *states, int64_t query_count, const float *queries, const float *candidates,
                             int64_t candidate_count, int32_t first_index, const float *bias, int64_t d,
                             const int64_t *row_pointers, const int32_t *excluded) {
    for (int64_t group = 0; group < query_count; group += APUS_TOP_K_ROWS) {
        int64_t present = query_count - group < APUS_TOP_K_ROWS ? query_count - group : APUS_TOP_K_ROWS;
        float thresholds[APUS_TOP_K_ROWS];
        // Nothing is above infinity: places without a query select nothing.
        for (int r = 0; r < APUS_TOP_K_ROWS; r++) thresholds[r] = r < present ? states[group + r].threshold : INFINITY;
        for (int64_t panel = 0; panel < candidate_count; panel += APUS_TOP_K_COLUMNS) {
            float scores[APUS_TOP_K_ROWS * APUS_TOP_K_COLUMNS];
            uint32_t masks[APUS_TOP_K_ROWS] = {0};
            uint32_t any = 0;
            for (int row = 0; row < APUS_TOP_K_ROWS; row += APUS_SUBTILE_ROWS) {
                for (int vector = 0; vector < APUS_TOP_K_COLUMNS / 16; vector += APUS_SUBTILE_VECTORS) {
                    any |= APUS_NAME(subtile)(queries + group * d, candidates + panel * d, d, bias + panel, thresholds,
                                              scores, masks, row, vector);
                }
            }
            if (!any) continue;
            for (int r = 0; r < APUS_TOP_K_ROWS; r++) {
                if (!masks[r]) continue;
                apus_top_k *state = states + group + r;
                const int32_t *listed = row_pointers ? excluded + row_pointers[group + r] : 0;
                int64_t listed_count = row_pointers ? row_pointers[group + r + 1] - row_pointers[group + r] : 0;
                for (uint32_t mask = masks[r]; mask; mask &= mask - 1) {
                    int lane = __builtin_ctz(mask);
                    apus_top_k_offer_one(state, scores[r * APUS_TOP_K_COLUMNS + lane],
                                         first_index + (int32_t)(panel + lane), listed, listed_count);
                }
                thresholds[r] = state->threshold;
            }
        }
    }
}

#undef APUS_SUBTILE_VECTORS
#undef APUS_SUBTILE_ROWS
#undef APUS_ROW_PARTS
#undef APUS_COLUMN_PARTS
#undef APUS_NAME
