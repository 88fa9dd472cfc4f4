// Comparisons of 64 bytes at a time, as bits.
#pragma once
#include <stdint.h>
#include <string.h>

typedef uint8_t u8x64 __attribute__((ext_vector_type(64), aligned(1)));
typedef _Bool b64 __attribute__((ext_vector_type(64)));

// Bit k of the result is lane k of the comparison. A macro, because a vector argument would cross between functions
// compiled for different instruction sets.
#define APUS_BITS_OF(comparison)                                       \
    ({                                                                 \
        b64 lanes_ = __builtin_convertvector((comparison), b64);       \
        uint64_t bits_;                                                \
        memcpy(&bits_, &lanes_, 8);                                    \
        bits_;                                                         \
    })
