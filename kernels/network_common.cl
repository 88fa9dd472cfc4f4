// What the kernels of networks are written in, for every class of device.
//
// One text for three compilers. The C compiler makes the loops of the CPU device of it (Sources/CVectorLoops/NetworkLoops.c), PoCL the kernels
// for CPU-class devices: there a work-item, or a call, has a block of rows and walks the columns, and work-groups are of
// size 1. On GPU-class devices a work-group has a row, its 64 work-items walk the columns together, and sums of a row go
// through local memory.
//
//   NET_KERNEL(name)          declares a kernel
//   NET_MATRIX, NET_VECTOR    arguments: buffer with offset and row stride, or without the latter
//   NET_RANGE                 the last arguments: which rows
//   NET_ROWS(i)               loops over the rows
//   NET_LANES(j, n)           loops over 0 ..< n within a row
//   NET_SUM, NET_MAX          over what the work-items of a row have; they need NET_LOCAL at the start of the kernel

#ifdef __OPENCL_VERSION__
#define NET_MATRIX(TYPE, x) __global TYPE *x, long x##_offset, long x##_stride
#define NET_VECTOR(TYPE, x) __global TYPE *x, long x##_offset
#define NET_ROW(x, i) (x + x##_offset + (i) * x##_stride)
#define NET_BASE(x) (x + x##_offset)
#define NET_RINT(x) rint(x)
#define NET_SQRT(x) sqrt(x)
#define NET_LOG(x) log(x)
#define NET_FABS(x) fabs(x)
#define NET_AS_INT(x) as_int(x)
#define NET_AS_FLOAT(x) as_float(x)
#define NET_MULHI(a, b) mul_hi(a, b)
#define NET_FUNCTION static inline
#ifdef APUS_CPU_CLASS
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#define NET_KERNEL(name) __kernel void name
#define NET_RANGE long rows, long row_block
#define NET_ROWS(i)                                                                                     \
    for (long i = (long)get_global_id(0) * row_block, i##_end = min(rows, i + row_block); i < i##_end; ++i)
#define NET_LANES(j, n) for (long j = 0; j < (n); ++j)
#define NET_LOCAL
#define NET_SUM(x) (x)
#define NET_MAX(x) (x)
#define NET_FIRST 1
typedef double net_wide;
#else
#define NET_GROUP 64
#define NET_KERNEL(name) __kernel __attribute__((reqd_work_group_size(NET_GROUP, 1, 1))) void name
#define NET_RANGE long rows, long row_block
#define NET_ROWS(i) for (long i = get_group_id(0); i < rows; i += get_num_groups(0))
#define NET_LANES(j, n) for (long j = get_local_id(0); j < (n); j += NET_GROUP)
#define NET_LOCAL __local float net_local[NET_GROUP]
#define NET_SUM(x) net_sum(x, net_local)
#define NET_MAX(x) net_max(x, net_local)
#define NET_FIRST (get_local_id(0) == 0)
typedef float net_wide;

static float net_sum(float x, __local float *part) {
    const int lane = get_local_id(0);
    // Of global memory too: what was read before the reduction may be written after it.
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    part[lane] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int width = NET_GROUP / 2; width > 0; width >>= 1) {
        if (lane < width) part[lane] += part[lane + width];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return part[0];
}

static float net_max(float x, __local float *part) {
    const int lane = get_local_id(0);
    // Of global memory too: what was read before the reduction may be written after it.
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    part[lane] = x;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int width = NET_GROUP / 2; width > 0; width >>= 1) {
        if (lane < width) part[lane] = part[lane + width] > part[lane] ? part[lane + width] : part[lane];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    return part[0];
}
#endif
#endif

// The order of the additions of a sum is the compiler's choice within the block. Work-items of GPUs have single
// elements, where nothing is gained, and the compiler of NVIDIA's driver refuses the pragma.
#if defined(__clang__) && !defined(APUS_GPU_CLASS)
#define NET_ANY_ORDER _Pragma("clang fp reassociate(on)")
#else
#define NET_ANY_ORDER
#endif

// The largest element of a row; NaN counts as nothing.
#ifndef APUS_GPU_CLASS
NET_FUNCTION float net_row_max(const __global float *x, long n) {
    float best = -INFINITY;
    long j = 0;
    if (n >= 16) {
        float16 wide = vload16(0, x);
        for (j = 16; j + 16 <= n; j += 16) {
            const float16 next = vload16(0, x + j);
            wide = next > wide ? next : wide;
        }
        const float8 eight = LOW_HALF(wide) > HIGH_HALF(wide) ? LOW_HALF(wide) : HIGH_HALF(wide);
        const float4 four = LOW_HALF(eight) > HIGH_HALF(eight) ? LOW_HALF(eight) : HIGH_HALF(eight);
        const float2 two = LOW_HALF(four) > HIGH_HALF(four) ? LOW_HALF(four) : HIGH_HALF(four);
        best = two.x > two.y ? two.x : two.y;
        if (best != best) {
            best = -INFINITY;
            j = 0;
        }
    }
    for (; j < n; ++j) best = x[j] > best ? x[j] : best;
    return best;
}
#define NET_ROW_MAX(x, n) net_row_max(x, n)
#else
static float net_row_max(const __global float *x, long n, __local float *part) {
    float best = -INFINITY;
    NET_LANES(j, n) best = x[j] > best ? x[j] : best;
    return net_max(best, part);
}
#define NET_ROW_MAX(x, n) net_row_max(x, n, net_local)
#endif

// e^x: x = n ln 2 + r, a polynomial in r, and n added to the exponent; below 3 units of the last place on [-87, 88].
NET_FUNCTION float net_exp(float x) {
    const float c = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float n = NET_RINT(c * 1.44269504088896341f);
    float r = c - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return x != x ? x : NET_AS_FLOAT(NET_AS_INT(p) + (int)n * 8388608);
}

// ln(1 + t) for t in [0, 1]: halved above the root of 2, then a polynomial around 0.
NET_FUNCTION float net_log1p(float t) {
    const float e = t > 0.414213562f ? 1.0f : 0.0f;
    const float m = t > 0.414213562f ? 0.5f * (t - 1.0f) : t;
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    p = p * m * z - e * 2.12194440e-4f - 0.5f * z;
    return m + p + e * 0.693359375f;
}

NET_FUNCTION float net_sigmoid(float x) { return 1.0f / (1.0f + net_exp(-x)); }

// An odd polynomial near 0, where 1 - 2 / (e^2x + 1) would cancel.
NET_FUNCTION float net_tanh(float x) {
    const float s = x * x;
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s - 5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s - 3.33332819422e-1f;
    p = p * s * x + x;
    const float magnitude = NET_FABS(x);
    const float e = 1.0f - 2.0f / (net_exp(2.0f * magnitude) + 1.0f);
    return magnitude < 0.625f ? p : x < 0.0f ? -e : e;
}

// The distribution function of the normal distribution, to 1e-7: Abramowitz and Stegun 7.1.26.
NET_FUNCTION float net_normal(float x) {
    const float z = NET_FABS(x) * 0.707106781186547524f;
    const float t = 1.0f / (1.0f + 0.3275911f * z);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const float tail = 0.5f * p * t * net_exp(-z * z);
    return x < 0.0f ? tail : 1.0f - tail;
}
