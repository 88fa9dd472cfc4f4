// What every kernel text for CPU-class devices begins with: how vectors are interleaved, loaded and stored.

// Interleaving within 128-bit lanes, then of the lanes themselves: each is one instruction.
#define APUS_LOW32(a, b) APUS_SHUFFLE16(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define APUS_HIGH32(a, b) APUS_SHUFFLE16(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define APUS_LOW64(a, b) APUS_SHUFFLE16(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define APUS_HIGH64(a, b) APUS_SHUFFLE16(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define APUS_EVEN128(a, b) APUS_SHUFFLE16(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define APUS_ODD128(a, b) APUS_SHUFFLE16(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)

// vload16 and vstore16 take elements at any address. PoCL 3.1 composes them of halves, and what its compiler makes of a
// vstore16 is three stores, of 16, 16 and 32 bytes. A load of the 64 bytes soon after can't be answered by any one of
// them and waits until they have reached the cache: sums that are kept in memory from one step to the next pay that each
// time. Where the compiler is clang, a vector type with the alignment of its elements is one instruction.

#if defined(APUS_CPU_CLASS) && defined(__clang__)

#define APUS_VECTOR_ACCESS(type, element, count, space)                                                                \
    static inline type __attribute__((overloadable)) apus_vload##count(long index, const space element *pointer) {     \
        return *(const space apus_##type##_anywhere *)(pointer + count * index);                                       \
    }                                                                                                                  \
    static inline void __attribute__((overloadable)) apus_vstore##count(type value, long index, space element *pointer) { \
        *(space apus_##type##_anywhere *)(pointer + count * index) = value;                                            \
    }

#define APUS_VECTOR(type, element, bytes, count)                                                                       \
    typedef type apus_##type##_anywhere __attribute__((aligned(bytes)));                                               \
    APUS_VECTOR_ACCESS(type, element, count, __global)                                                                 \
    APUS_VECTOR_ACCESS(type, element, count, __private)

APUS_VECTOR(float4, float, 4, 4)
APUS_VECTOR(float8, float, 4, 8)
APUS_VECTOR(float16, float, 4, 16)
APUS_VECTOR(double16, double, 8, 16)
APUS_VECTOR(uchar16, uchar, 1, 16)

#define vload4(index, pointer) apus_vload4(index, pointer)
#define vload8(index, pointer) apus_vload8(index, pointer)
#define vload16(index, pointer) apus_vload16(index, pointer)
#define vstore4(value, index, pointer) apus_vstore4(value, index, pointer)
#define vstore8(value, index, pointer) apus_vstore8(value, index, pointer)
#define vstore16(value, index, pointer) apus_vstore16(value, index, pointer)

#endif

// Choosing lanes of two vectors, and the halves of one. Oclgrind's detector of uninitialised values misjudges shuffles
// with fewer lanes than they take from: its runs put the results together from elements.
#ifdef LANES_BY_ELEMENT
static float16 apus_shuffle16(
    float16 a, float16 b, int i0, int i1, int i2, int i3, int i4, int i5, int i6, int i7, int i8, int i9, int i10,
    int i11, int i12, int i13, int i14, int i15) {
    float both[32];
    vstore16(a, 0, both);
    vstore16(b, 1, both);
    return (float16)(
        both[i0], both[i1], both[i2], both[i3], both[i4], both[i5], both[i6], both[i7], both[i8], both[i9], both[i10],
        both[i11], both[i12], both[i13], both[i14], both[i15]);
}
#define APUS_SHUFFLE16(a, b, ...) apus_shuffle16(a, b, __VA_ARGS__)
#define APUS_DEFINE_HALVES(half, whole, low, high)                                                                     \
    static inline half __attribute__((overloadable)) apus_low_half(whole v) { return (half)low; }                     \
    static inline half __attribute__((overloadable)) apus_high_half(whole v) { return (half)high; }
#define APUS_DEFINE_HALVES_OF(type)                                                                                    \
    APUS_DEFINE_HALVES(type, type##2, (v.s0), (v.s1))                                                                  \
    APUS_DEFINE_HALVES(type##2, type##4, (v.s0, v.s1), (v.s2, v.s3))                                                   \
    APUS_DEFINE_HALVES(type##4, type##8, (v.s0, v.s1, v.s2, v.s3), (v.s4, v.s5, v.s6, v.s7))                           \
    APUS_DEFINE_HALVES(                                                                                                \
        type##8, type##16, (v.s0, v.s1, v.s2, v.s3, v.s4, v.s5, v.s6, v.s7),                                           \
        (v.s8, v.s9, v.sa, v.sb, v.sc, v.sd, v.se, v.sf))
APUS_DEFINE_HALVES_OF(float)
APUS_DEFINE_HALVES_OF(double)
#define LOW_HALF(v) apus_low_half(v)
#define HIGH_HALF(v) apus_high_half(v)
#else
#if defined(__clang__)
#define APUS_SHUFFLE16(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define APUS_SHUFFLE16(a, b, ...) shuffle2(a, b, (uint16)(__VA_ARGS__))
#endif
#define LOW_HALF(v) ((v).lo)
#define HIGH_HALF(v) ((v).hi)
#endif

#ifdef __OPENCL_VERSION__
// The register tile of a product: 12 rows of two vectors where there are 32 registers of 512 bits, and 6 rows of two
// vectors where there are 16 of half the width. The host says which (REGISTERS_512), because panels are laid out for it.
#ifdef REGISTERS_512
#define TILE_ROWS 12
#define TILE_COLUMNS 32
#define FOR_TILE_ROWS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define LOAD_REGISTER(index, pointer) vload16(index, pointer)
#define STORE_REGISTER(value, index, pointer) vstore16(value, index, pointer)
typedef float16 register_type;
#else
#define TILE_ROWS 6
#define TILE_COLUMNS 16
#define FOR_TILE_ROWS(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define LOAD_REGISTER(index, pointer) vload8(index, pointer)
#define STORE_REGISTER(value, index, pointer) vstore8(value, index, pointer)
typedef float8 register_type;
#endif
#define DECLARE_SUMS(i) register_type low##i = (register_type)(0.0f), high##i = (register_type)(0.0f);
#define ADD_PRODUCTS(i) low##i += b0 * pa[i]; high##i += b1 * pa[i];
#endif
