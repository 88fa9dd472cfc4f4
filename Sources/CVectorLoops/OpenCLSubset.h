// The part of OpenCL C that the kernels for CPU-class devices are written in, for the C compiler.
//
// A kernel text that includes nothing and uses only this vocabulary is one source for both devices: PoCL compiles it as
// OpenCL C, and a file of this target includes it as C. Everything is a macro or a type, so that the text takes on the
// instruction set of the function that it is compiled into.
#pragma once

#include <stdint.h>

typedef float float2 __attribute__((ext_vector_type(2)));
typedef float float4 __attribute__((ext_vector_type(4)));
typedef float float8 __attribute__((ext_vector_type(8)));
typedef float float16 __attribute__((ext_vector_type(16)));
typedef int32_t int8 __attribute__((ext_vector_type(8)));
typedef int32_t int16 __attribute__((ext_vector_type(16)));
typedef uint64_t ulong8 __attribute__((ext_vector_type(8)));
typedef float apus_float4_unaligned __attribute__((ext_vector_type(4), aligned(4)));
typedef float apus_float8_unaligned __attribute__((ext_vector_type(8), aligned(4)));
typedef float apus_float16_unaligned __attribute__((ext_vector_type(16), aligned(4)));
typedef unsigned int uint;
typedef uint64_t ulong;
typedef uint8_t uchar;
typedef uint8_t uchar16 __attribute__((ext_vector_type(16)));

#define __global
#define __local
#define __constant static const
#define __private

#define vload4(index, pointer) ((float4)(*(const apus_float4_unaligned *)((pointer) + 4 * (index))))
#define vload8(index, pointer) ((float8)(*(const apus_float8_unaligned *)((pointer) + 8 * (index))))
#define vload16(index, pointer) ((float16)(*(const apus_float16_unaligned *)((pointer) + 16 * (index))))
#define vstore4(value, index, pointer) ((void)(*(apus_float4_unaligned *)((pointer) + 4 * (index)) = (value)))
#define vstore8(value, index, pointer) ((void)(*(apus_float8_unaligned *)((pointer) + 8 * (index)) = (value)))
#define vstore16(value, index, pointer) ((void)(*(apus_float16_unaligned *)((pointer) + 16 * (index)) = (value)))

// Contracted to one instruction where the instruction set has it; a call of fma() would go to the library elsewhere.
#pragma clang fp contract(on)
#define APUS_FMA(a, b, c) ((a) * (b) + (c))
#define APUS_SQRT(x) __builtin_elementwise_sqrt(x)
#define APUS_MAX(a, b) __builtin_elementwise_max(a, b)
#define APUS_AS_FLOAT16(x) ((float16)(x))
#define APUS_AS_INT16(x) ((int16)(x))
#define APUS_TO_FLOAT16(x) __builtin_convertvector((x), float16)
#define APUS_TO_UCHAR16(x) __builtin_convertvector((x), uchar16)
#define APUS_STORE_UCHAR16(value, pointer)            \
    do {                                              \
        uchar16 apus_bytes = (value);                 \
        __builtin_memcpy((pointer), &apus_bytes, 16); \
    } while (0)
#define APUS_MAX16(a, b) __builtin_elementwise_max(a, b)
#define APUS_ABS16(x) __builtin_elementwise_abs(x)
#define APUS_SQRT1(x) __builtin_sqrtf(x)
#define APUS_PREFETCH(pointer) __builtin_prefetch((pointer), 0, 2)

#include "../../kernels/vectors_cpu.cl"
