#include "CKernels.h"

#include <string.h>

// The compiler lists embedded files among the dependencies, so that an edited kernel leads to a rebuild.
static const char elementwise[] = {
#embed "../../kernels/elementwise.cl"
};
static const char gemm_cpu[] = {
#embed "../../kernels/gemm_cpu.cl"
};
static const char gram_cpu[] = {
#embed "../../kernels/gram_cpu.cl"
};
static const char network_attention[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/network_attention.cl"
};
static const char network_batch_norm[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/network_batch_norm.cl"
};
static const char network_embeddings[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/network_embeddings.cl"
};
static const char network_images[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/network_images.cl"
};
static const char network_layers[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/network_layers.cl"
};
static const char network_optimizers[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/network_optimizers.cl"
};
static const char network_recurrent[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/network_recurrent.cl"
};
static const char quantized_products[] = {
#embed "../../kernels/network_common.cl"
    ,
#embed "../../kernels/quantized_products.cl"
};
// Register tiles are a family of their own; what stands on them is compiled with them.
static const char normal_equations_cpu[] = {
#embed "../../kernels/tiles_cpu.cl"
    ,
#embed "../../kernels/normal_equations_exact_cpu.cl"
    ,
#embed "../../kernels/normal_equations_cpu.cl"
};
static const char reductions_cpu[] = {
#embed "../../kernels/reductions_cpu.cl"
};
static const char sparse_cpu[] = {
#embed "../../kernels/sparse_cpu.cl"
};
static const char top_k_cpu[] = {
#embed "../../kernels/top_k_cpu.cl"
};
static const char clusters_cpu[] = {
#embed "../../kernels/tiles_cpu.cl"
    ,
#embed "../../kernels/clusters_cpu.cl"
};
static const char clusters_rounded_cpu[] = {
#embed "../../kernels/tiles_cpu.cl"
    ,
#embed "../../kernels/clusters_cpu.cl"
    ,
#embed "../../kernels/clusters_rounded_cpu.cl"
};
static const char clusters_gpu[] = {
#embed "../../kernels/clusters_gpu.cl"
};
static const char gemm_gpu[] = {
#embed "../../kernels/gemm_gpu.cl"
};
static const char gemm_hopper[] = {
#embed "../../kernels/gemm_hopper.cl"
};
static const char gemm_nvidia[] = {
#embed "../../kernels/gemm_nvidia.cl"
};
static const char gram_gpu[] = {
#embed "../../kernels/gram_gpu.cl"
};
static const char normal_equations_gpu[] = {
#embed "../../kernels/tiles_gpu.cl"
    ,
#embed "../../kernels/normal_equations_exact_gpu.cl"
    ,
#embed "../../kernels/normal_equations_gpu.cl"
};
static const char reductions_gpu[] = {
#embed "../../kernels/reductions_gpu.cl"
};
static const char sparse_gpu[] = {
#embed "../../kernels/sparse_gpu.cl"
};
static const char top_k_gpu[] = {
#embed "../../kernels/top_k_gpu.cl"
};
static const char vectors_cpu[] = {
#embed "../../kernels/vectors_cpu.cl"
};

#define ENTRY(name) {#name, name, sizeof name}

// Every file of kernels/ that OpenCL programs are built from.
static const struct {
    const char *name;
    const char *text;
    size_t length;
} table[] = {
    ENTRY(clusters_cpu),
    ENTRY(clusters_gpu),
    ENTRY(clusters_rounded_cpu),
    ENTRY(elementwise),
    ENTRY(gemm_cpu),
    ENTRY(gemm_gpu),
    ENTRY(gemm_hopper),
    ENTRY(gemm_nvidia),
    ENTRY(gram_cpu),
    ENTRY(gram_gpu),
    ENTRY(network_attention),
    ENTRY(network_batch_norm),
    ENTRY(network_embeddings),
    ENTRY(network_images),
    ENTRY(network_layers),
    ENTRY(network_optimizers),
    ENTRY(network_recurrent),
    ENTRY(normal_equations_cpu),
    ENTRY(normal_equations_gpu),
    ENTRY(quantized_products),
    ENTRY(reductions_cpu),
    ENTRY(reductions_gpu),
    ENTRY(sparse_cpu),
    ENTRY(sparse_gpu),
    ENTRY(top_k_cpu),
    ENTRY(top_k_gpu),
    ENTRY(vectors_cpu),
};

static const size_t count = sizeof table / sizeof table[0];

const char *apus_kernel_source(const char *name, size_t *length) {
    for (size_t index = 0; index < count; ++index) {
        if (strcmp(table[index].name, name) == 0) {
            *length = table[index].length;
            return table[index].text;
        }
    }
    *length = 0;
    return NULL;
}

const char *apus_kernel_name(size_t index) {
    return index < count ? table[index].name : NULL;
}

int apus_has_512_bit_registers(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") != 0;
#else
    return 0;
#endif
}
