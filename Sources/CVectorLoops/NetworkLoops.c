#include "NetworkLoops.h"

#include <math.h>
#include <string.h>

#include "OpenCLSubset.h"
#include "VectorClones.h"

// The kernels of kernels/network_*.cl as C: a call has the rows begin ..< end.
#define NET_MATRIX(TYPE, x) TYPE *x, int64_t x##_stride
#define NET_VECTOR(TYPE, x) TYPE *x
#define NET_ROW(x, i) (x + (i) * x##_stride)
#define NET_BASE(x) (x)
#define NET_RANGE int64_t begin, int64_t end
#define NET_KERNEL(name) APUS_VECTOR_CLONES void apus_network_##name
#define NET_ROWS(i) for (int64_t i = begin; i < end; ++i)
#define NET_LANES(j, n) for (int64_t j = 0; j < (n); ++j)
#define NET_LOCAL
#define NET_SUM(x) (x)
#define NET_MAX(x) (x)
#define NET_FIRST 1
#define NET_FUNCTION static inline __attribute__((always_inline))
#define NET_RINT(x) __builtin_rintf(x)
#define NET_SQRT(x) __builtin_elementwise_sqrt(x)
#define NET_LOG(x) logf(x)
#define NET_FABS(x) __builtin_fabsf(x)
#define NET_MULHI(a, b) ((uint)(((uint64_t)(a) * (b)) >> 32))
typedef double net_wide;

NET_FUNCTION int32_t net_as_int(float x) {
    int32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}
NET_FUNCTION float net_as_float(int32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
#define NET_AS_INT(x) net_as_int(x)
#define NET_AS_FLOAT(x) net_as_float(x)

#include "../../kernels/network_common.cl"
#include "../../kernels/network_layers.cl"
#include "../../kernels/network_batch_norm.cl"
#include "../../kernels/network_optimizers.cl"
#include "../../kernels/network_attention.cl"
#include "../../kernels/network_recurrent.cl"
#include "../../kernels/network_embeddings.cl"
#include "../../kernels/network_images.cl"
#include "../../kernels/quantized_products.cl"
