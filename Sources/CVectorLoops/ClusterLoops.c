#include "ClusterLoops.h"

#include "OpenCLSubset.h"

// The text is compiled once for each instruction set, with a register tile that fits its registers.

typedef double double16 __attribute__((ext_vector_type(16)));
typedef double apus_double16_unaligned __attribute__((ext_vector_type(16), aligned(8)));
#define APUS_TO_DOUBLE16(x) __builtin_convertvector((x), double16)
#define APUS_LOAD_DOUBLE16(pointer) ((double16)(*(const apus_double16_unaligned *)(pointer)))
#define APUS_STORE_DOUBLE16(value, pointer) ((void)(*(apus_double16_unaligned *)(pointer) = (value)))
#define APUS_INFINITY __builtin_inff()
#define APUS_FUNCTION static __attribute__((unused))
#define APUS_INLINE static inline

#if defined(__x86_64__)
#include <immintrin.h>

#define APUS_NAME(name) apus_vnni_##name
#define APUS_TILE_CENTERS 12
#define APUS_DOT4(sum, u, v) ((sum) = (int16)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(u), (__m512i)(v)))
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4,avx512vnni"), min_vector_width(512))), apply_to = function)
#include "../../kernels/tiles_cpu.cl"
#include "../../kernels/clusters_cpu.cl"
#include "../../kernels/clusters_rounded_cpu.cl"
#pragma clang attribute pop
#undef APUS_NAME
#undef APUS_TILE_CENTERS

#define APUS_NAME(name) apus_v4_##name
#define APUS_TILE_CENTERS 12
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#include "../../kernels/tiles_cpu.cl"
#include "../../kernels/clusters_cpu.cl"
#pragma clang attribute pop
#undef APUS_NAME
#undef APUS_TILE_CENTERS

#define APUS_NAME(name) apus_v3_##name
#define APUS_TILE_CENTERS 6
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "../../kernels/tiles_cpu.cl"
#include "../../kernels/clusters_cpu.cl"
#pragma clang attribute pop
#undef APUS_NAME
#undef APUS_TILE_CENTERS
#endif

#define APUS_NAME(name) apus_default_##name
#define APUS_TILE_CENTERS 2
#include "../../kernels/tiles_cpu.cl"
#include "../../kernels/clusters_cpu.cl"

#if defined(__x86_64__)
#define APUS_DISPATCH(name, ...)                                                   \
    do {                                                                           \
        if (__builtin_cpu_supports("x86-64-v4")) apus_v4_##name(__VA_ARGS__);      \
        else if (__builtin_cpu_supports("x86-64-v3")) apus_v3_##name(__VA_ARGS__); \
        else apus_default_##name(__VA_ARGS__);                                     \
    } while (0)
#else
#define APUS_DISPATCH(name, ...) apus_default_##name(__VA_ARGS__)
#endif

void apus_cluster_pack(const float *centers, int64_t stride, int64_t count, int64_t d, int64_t group, float *packed,
                       float *half_norms, int32_t *numbers) {
    APUS_DISPATCH(pack_centers, centers, stride, count, d, group, packed, half_norms, numbers);
}

void apus_cluster_assign(const float *points, int64_t points_stride, int64_t first, int64_t last, const float *centers,
                         int64_t centers_stride, int64_t count, int64_t d, const float *packed,
                         const float *half_norms, const int32_t *numbers, float *panel, int32_t *labels,
                         float *distances) {
    APUS_DISPATCH(assign_points, points, points_stride, first, last, centers, centers_stride,
                  (count + APUS_CLUSTER_GROUP - 1) / APUS_CLUSTER_GROUP, d, packed, half_norms, numbers, panel, labels,
                  distances);
}

void apus_cluster_round(const float *centers, int64_t stride, int64_t count, int64_t d, int64_t panel, uint8_t *codes,
                        float *facts, int64_t padded) {
#if defined(__x86_64__)
    apus_vnni_round_centers(centers, stride, count, d, panel, codes, facts, padded);
#endif
}

int64_t apus_cluster_assign_rounded(const float *points, int64_t points_stride, int64_t first, int64_t last,
                                    const float *centers, int64_t centers_stride, int64_t count, int64_t d,
                                    const uint8_t *codes, const float *facts, int64_t padded, float *memory,
                                    int32_t *labels, float *distances) {
#if defined(__x86_64__)
    return apus_vnni_assign_rounded(points, points_stride, first, last, centers, centers_stride, count, d, codes, facts,
                                    padded, memory, labels, distances);
#else
    return first;
#endif
}

void apus_cluster_accumulate(const float *points, int64_t stride, int64_t first, int64_t last, int64_t column,
                             int64_t width, const int32_t *labels, const float *weights, int64_t k, double *sums,
                             int64_t sums_stride, double *totals) {
    APUS_DISPATCH(accumulate_points, points, stride, first, last, column, width, labels, weights, k, sums, sums_stride,
                  totals);
}
