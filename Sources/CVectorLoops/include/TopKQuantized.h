#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "TopKSelection.h"

// The k best candidates found with 8-bit integers, exactly: products of rounded vectors, with a bound of what rounding can
// have hidden, rule out nearly all candidates; the others are scored in float32.
//
// With c = s_c (u - 128) + r_c for unsigned 8-bit u, and q = s_q v + r_q for signed 8-bit v, a score q.c differs from
// s_q s_c (u - 128).v by no more than |s_q v| |r_c| + |r_q| |c|.

/// Queries of a register tile, and candidates of a panel.
#define APUS_QUANTIZED_ROWS 12
#define APUS_QUANTIZED_COLUMNS 32

/// A query, rounded.
typedef struct apus_quantized_query {
    float scale;      // s_q
    float norm;       // |s_q v|
    float residual;   // |r_q|, and what float32 rounding may add, as a factor of a candidate's norm
    int32_t offset;   // 128 times the sum of v
} apus_quantized_query;

/// What the candidates of a panel share.
typedef struct apus_quantized_panel {
    float residual;  // the largest |r_c|
    float norm;      // the largest |c|
    float bias;      // the largest |bias| that is finite
} apus_quantized_panel;

/// Whether this processor has the instructions.
bool apus_top_k_quantized_available(void);

/// Bytes of a packed query, and of a packed candidate, of d elements.
int64_t apus_quantized_bytes(int64_t d);

/// Packs `count` queries into groups of 12.
void apus_quantize_queries(const float *rows, int64_t stride, int64_t count, int64_t d, int8_t *out,
                           apus_quantized_query *queries);

/// Packs `count` candidates into panels of 32, with a scale and a bias for each (bias may be null; missing candidates get
/// -infinity). A candidate that is not finite gets a bound that rules nothing out.
void apus_quantize_candidates(const float *rows, int64_t stride, int64_t count, int64_t d, const float *bias,
                              uint8_t *out, float *scales, float *biases, apus_quantized_panel *panels);

/// Passes packed candidates, first_index and following, by packed queries; answers how many were scored in float32.
/// `share` of the error bound is allowed for: 1 is exact.
int64_t apus_top_k_quantized(apus_top_k *states, int64_t query_count, const int8_t *queries,
                             const apus_quantized_query *facts, const float *query_rows, int64_t query_stride,
                             const uint8_t *candidates, const float *scales, const float *biases,
                             const apus_quantized_panel *panels, const float *candidate_rows, int64_t candidate_stride,
                             int64_t candidate_count, int32_t first_index, const float *bias, int64_t d,
                             const int64_t *row_pointers, const int32_t *excluded, float share);
