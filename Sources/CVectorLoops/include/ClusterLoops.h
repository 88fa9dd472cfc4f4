#pragma once
#include <stdint.h>

// Nearest centres and sums by label; the text is kernels/clusters_cpu.cl.

/// Points of a panel, for which scratch memory of 32 * d floats is needed, and centres of a packed group.
#define APUS_CLUSTER_PANEL 32
#define APUS_CLUSTER_GROUP 12

/// Packs the centres of one group; `packed` has room for 12 * d floats a group, the others for 12 elements a group.
void apus_cluster_pack(const float *centers, int64_t stride, int64_t count, int64_t d, int64_t group, float *packed,
                       float *half_norms, int32_t *numbers);

/// Labels, and squared distances unless null, of the points first ..< last.
void apus_cluster_assign(const float *points, int64_t points_stride, int64_t first, int64_t last, const float *centers,
                         int64_t centers_stride, int64_t count, int64_t d, const float *packed,
                         const float *half_norms, const int32_t *numbers, float *panel, int32_t *labels,
                         float *distances);

// The same by products of 8-bit integers, exactly; the text is kernels/clusters_rounded_cpu.cl. For processors where
// apus_top_k_quantized_available() holds.

/// Centres of a panel, points of a tile, and facts of a centre.
#define APUS_CLUSTER_ROUNDED_PANEL 32
#define APUS_CLUSTER_ROUNDED_POINTS 12
#define APUS_CLUSTER_ROUNDED_FACTS 5

/// Rounds panel `panel` of the centres: 32 * (d up to a multiple of 4) codes each, and facts, arrays of `padded` numbers.
void apus_cluster_round(const float *centers, int64_t stride, int64_t count, int64_t d, int64_t panel, uint8_t *codes,
                        float *facts, int64_t padded);

/// Labels, and distances unless null, of the points first ..< last, until too many centres have to be scored in float32;
/// answers up to where. `memory` has room for 12 * ((d + 3) / 4 + padded) numbers.
int64_t apus_cluster_assign_rounded(const float *points, int64_t points_stride, int64_t first, int64_t last,
                                    const float *centers, int64_t centers_stride, int64_t count, int64_t d,
                                    const uint8_t *codes, const float *facts, int64_t padded, float *memory,
                                    int32_t *labels, float *distances);

/// Adds columns of the points first ..< last to the rows of `sums` that their labels name, and their weights to `totals`
/// unless null. `weights` may be null (1).
void apus_cluster_accumulate(const float *points, int64_t stride, int64_t first, int64_t last, int64_t column,
                             int64_t width, const int32_t *labels, const float *weights, int64_t k, double *sums,
                             int64_t sums_stride, double *totals);
