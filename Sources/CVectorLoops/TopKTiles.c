#include "TopKTiles.h"

#include <math.h>

#include "TopKSelectionInline.h"
#include "Vectors.h"

// Each instruction set has its own division of the 12 x 32 tile, so that the accumulators fit into its registers.

#if defined(__x86_64__)
#define APUS_NAME(name) v4_##name
#define APUS_ROW_PARTS 1
#define APUS_COLUMN_PARTS 1
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#include "TopKTilesBody.h"
#pragma clang attribute pop

#define APUS_NAME(name) v3_##name
#define APUS_ROW_PARTS 2
#define APUS_COLUMN_PARTS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "TopKTilesBody.h"
#pragma clang attribute pop
#endif

#define APUS_NAME(name) default_##name
#define APUS_ROW_PARTS 6
#define APUS_COLUMN_PARTS 2
#include "TopKTilesBody.h"

#if defined(__x86_64__)
#define APUS_DISPATCH(name, ...)                                 \
    do {                                                         \
        if (__builtin_cpu_supports("x86-64-v4")) v4_##name(__VA_ARGS__);      \
        else if (__builtin_cpu_supports("x86-64-v3")) v3_##name(__VA_ARGS__); \
        else default_##name(__VA_ARGS__);                        \
    } while (0)
#else
#define APUS_DISPATCH(name, ...) default_##name(__VA_ARGS__)
#endif

void apus_top_k_pack_queries(const float *rows, int64_t stride, int64_t count, int64_t d, float *out) {
    APUS_DISPATCH(pack, rows, stride, count, d, APUS_TOP_K_ROWS, out);
}

void apus_top_k_pack_candidates(const float *rows, int64_t stride, int64_t count, int64_t d, const float *bias,
                                float *out, float *out_bias) {
    APUS_DISPATCH(pack, rows, stride, count, d, APUS_TOP_K_COLUMNS, out);
    int64_t padded = (count + APUS_TOP_K_COLUMNS - 1) / APUS_TOP_K_COLUMNS * APUS_TOP_K_COLUMNS;
    for (int64_t j = 0; j < padded; j++) out_bias[j] = j >= count ? -INFINITY : bias ? bias[j] : 0;
}

void apus_top_k_tiles(apus_top_k *states, int64_t query_count, const float *queries, const float *candidates,
                      int64_t candidate_count, int32_t first_index, const float *bias, int64_t d,
                      const int64_t *row_pointers, const int32_t *excluded) {
    APUS_DISPATCH(tiles, states, query_count, queries, candidates, candidate_count, first_index, bias, d, row_pointers,
                  excluded);
}

APUS_VECTOR_CLONES
void apus_top_k_rows(apus_top_k *states, int64_t query_count, const float *queries, int64_t query_stride,
                     const float *candidates, int64_t candidate_stride, int64_t candidate_count, int32_t first_index,
                     const float *bias, int64_t d, const int64_t *row_pointers, const int32_t *excluded) {
    for (int64_t first = 0; first < candidate_count; first += 64) {
        int64_t count = candidate_count - first < 64 ? candidate_count - first : 64;
        for (int64_t q = 0; q < query_count; q++) {
            float scores[64];
            for (int64_t j = 0; j < count; j++) {
                const float *candidate = candidates + (first + j) * candidate_stride;
                scores[j] = apus_dot(queries + q * query_stride, candidate, d);
            }
            apus_top_k_offer(states + q, scores, count, first_index + (int32_t)first, bias ? bias + first : 0,
                             row_pointers ? excluded + row_pointers[q] : 0,
                             row_pointers ? row_pointers[q + 1] - row_pointers[q] : 0);
        }
    }
}
