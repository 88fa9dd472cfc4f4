#pragma once
#include <stdint.h>
#include "TopKSelection.h"

// Rows rounded to 8 bits, one after another: c = s_c (u - 128) + r_c for unsigned 8-bit u. A row of codes is padded with
// 128 to whole cache lines. A score q.c differs from s_q s_c (u - 128).v by no more than |s_q v| |r_c| + |r_q| |c|.

/// Bytes of a row of codes of d elements: a multiple of 64.
int64_t apus_rounded_bytes(int64_t d);

/// Rounds rows. scales are the s_c, residuals bounds of |r_c|, norms bounds of |c|; a row that is not finite has bounds
/// that are infinite.
void apus_round_rows(const float *rows, int64_t stride, int64_t count, int64_t d, uint8_t *codes, float *scales,
                     float *residuals, float *norms);

/// A query, rounded: q = scale v + r.
typedef struct apus_rounded_query {
    const int8_t *code;  // v, padded with 0
    const float *row;    // q itself
    float scale;
    float norm;      // |s_q v|
    float residual;  // |r_q|, and what float32 rounding may add, as a factor of a candidate's norm
    int32_t offset;  // 128 times the sum of v
} apus_rounded_query;

/// Rounds a query into `code`, which has room for its bytes.
void apus_round_query(const float *row, int64_t d, int8_t *code, apus_rounded_query *query);

/// Offers candidates first_index ... + count - 1 to each query: products of codes rule out those that can't be among the
/// best, the others are scored in float32. `share` of the error bound is allowed for: with 1 the result is that of all
/// float32 scores, with less it is approximate. Answers how many were scored.
int64_t apus_top_k_rounded(apus_top_k *states, int64_t query_count, const apus_rounded_query *queries,
                           const uint8_t *codes, const float *scales, const float *residuals, const float *norms,
                           const float *candidates, int64_t candidate_stride, int64_t candidate_count,
                           int32_t first_index, const float *bias, int64_t d, const int64_t *row_pointers,
                           const int32_t *excluded, float share);

/// Inner products of a row with rows of a table, by number.
void apus_products_of_rows(const float *row, const float *table, int64_t stride, int64_t d, const int32_t *numbers,
                           int64_t count, float *products);
