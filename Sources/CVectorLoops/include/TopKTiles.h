#pragma once
#include <stdint.h>
#include "TopKSelection.h"

// Scores of queries with candidates, selected while they are still in registers: no score that can't be among the k
// best is ever written. Row `i` of the exclusions is excluded[row_pointers[i] ..< row_pointers[i + 1]], ascending; a
// null row_pointers stands for none.

/// Rows (queries) and columns (candidates) of a register tile.
#define APUS_TOP_K_ROWS 12
#define APUS_TOP_K_COLUMNS 32

/// Packs `count` queries of d elements into groups of 12, element after element; missing rows become 0.
void apus_top_k_pack_queries(const float *rows, int64_t stride, int64_t count, int64_t d, float *out);

/// Packs `count` candidates into panels of 32, and their bias (may be null), which keeps missing ones out.
void apus_top_k_pack_candidates(const float *rows, int64_t stride, int64_t count, int64_t d, const float *bias,
                                float *out, float *out_bias);

/// Passes packed candidates, first_index and following, by packed queries. To be called by ascending index.
void apus_top_k_tiles(apus_top_k *states, int64_t query_count, const float *queries, const float *candidates,
                      int64_t candidate_count, int32_t first_index, const float *bias, int64_t d,
                      const int64_t *row_pointers, const int32_t *excluded);

/// The same without packing, a dot product each: for a few queries, which memory limits.
void apus_top_k_rows(apus_top_k *states, int64_t query_count, const float *queries, int64_t query_stride,
                     const float *candidates, int64_t candidate_stride, int64_t candidate_count, int32_t first_index,
                     const float *bias, int64_t d, const int64_t *row_pointers, const int32_t *excluded);
