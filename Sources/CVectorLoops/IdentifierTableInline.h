// The intern table, in a header so that the parsing loops can take it in line.
//
// Three ways in, by what the text looks like, so that the common case costs one load:
//   - a decimal number below 2^22 without a leading zero: its value indexes an array ("007" and "7" stay apart because
//     only the canonical spelling goes this way);
//   - up to 8 bytes without a NUL: the bytes are the key of an open-addressing table;
//   - longer text: a 64-bit hash, then a comparison of bytes.
#pragma once
#include "include/IdentifierTable.h"
#include <stdlib.h>
#include <string.h>

#define APUS_DIRECT_LIMIT (1u << 22)
#define APUS_ALWAYS_INLINE static inline __attribute__((always_inline))

typedef struct {
    uint64_t key;    // packed bytes, or the hash of long text
    uint32_t index;  // index + 1; 0 is a free slot
    uint32_t length;
} apus_slot;

typedef struct {
    apus_slot *slots;
    uint64_t mask;
    uint64_t used;
} apus_slots;

struct apus_identifiers {
    uint32_t *direct;  // index + 1; zeroed lazily by the system, so unused pages cost nothing
    apus_slots brief;
    apus_slots lengthy;
    uint8_t *bytes;
    uint64_t bytes_capacity;
    int64_t *offsets;
    uint64_t *first;
    uint64_t capacity;
    int64_t count;
};

APUS_ALWAYS_INLINE uint64_t apus_load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

APUS_ALWAYS_INLINE uint64_t apus_multiply_mix(uint64_t a, uint64_t b) {
    __uint128_t p = (__uint128_t)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

// Eight decimal digits, the most significant in the lowest byte, already reduced to 0 ... 9.
APUS_ALWAYS_INLINE uint32_t apus_eight_digits(uint64_t y) {
    y = y * 10 + (y >> 8);
    return (uint32_t)((((y & 0x000000FF000000FFull) * (100 + (1000000ull << 32)))
                       + (((y >> 16) & 0x000000FF000000FFull) * (1 + (10000ull << 32)))) >> 32);
}

APUS_ALWAYS_INLINE int apus_all_digits(uint64_t y) {
    return (((y + 0x7676767676767676ull) | y) & 0x8080808080808080ull) == 0;
}

int32_t apus_identifiers_append(apus_identifiers *t, const uint8_t *text, int64_t length, uint64_t position);
int32_t apus_identifiers_brief(apus_identifiers *t, uint64_t key, const uint8_t *text, int64_t length, uint64_t position);
int32_t apus_identifiers_lengthy(apus_identifiers *t, const uint8_t *text, int64_t length, uint64_t position);

// `text` must be preceded by 8 readable bytes and hold no NUL. length >= 1.
APUS_ALWAYS_INLINE int32_t apus_intern(
    apus_identifiers *t, const uint8_t *text, int64_t length, uint64_t position) {
    if (__builtin_expect(length <= 8, 1)) {
        uint64_t x = apus_load64(text + length - 8);
        unsigned shift = (unsigned)(64 - 8 * length);
        uint64_t key = x >> shift;
        uint64_t y = ((x ^ 0x3030303030303030ull) >> shift) << shift;
        if (length <= 7 && apus_all_digits(y) && (text[0] != '0' || length == 1)) {
            uint32_t value = apus_eight_digits(y);
            if (value < APUS_DIRECT_LIMIT) {
                uint32_t found = t->direct[value];
                if (__builtin_expect(found != 0, 1)) return (int32_t)(found - 1);
                int32_t index = apus_identifiers_append(t, text, length, position);
                if (index >= 0) t->direct[value] = (uint32_t)index + 1;
                return index;
            }
        }
        return apus_identifiers_brief(t, key, text, length, position);
    }
    return apus_identifiers_lengthy(t, text, length, position);
}
