// Fields of typed columns, in line for the parsing loops.
#pragma once
#include "FieldParsing.h"
#include "include/TableParsing.h"
#include <stdint.h>

// Quick exact decimals. Up to eight characters are taken as one word; up to 19 digits by a loop, of which more than 15
// are divided in extended precision and handed on where that rounding could hide the right one. 0 when the text is none
// of these. Bytes before the text are readable.
APUS_ALWAYS_INLINE int apus_quick_double(const uint8_t *text, int64_t length, double *result) {
    static const double powers[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int negative = length > 1 && text[0] == '-';
    text += negative;
    length -= negative;
    if (length >= 1 && length <= 8) {
        unsigned shift = (unsigned)(64 - 8 * length);
        uint64_t digits = ((apus_load64(text + length - 8) ^ 0x3030303030303030ull) >> shift) << shift;
        uint64_t point = digits ^ 0x1E1E1E1E1E1E1E1Eull;
        uint64_t found = (point - 0x0101010101010101ull) & ~point & 0x8080808080808080ull;
        unsigned fraction = 0;
        if (found) {
            unsigned place = (unsigned)__builtin_ctzll(found) >> 3;
            uint64_t below = (1ull << (8 * place)) - 1;
            uint64_t above = place == 7 ? 0 : ~0ull << (8 * place + 8);
            digits = (digits & above) | (digits & below) << 8;
            fraction = 7 - place;
            // A lone point is no number.
            if (length == 1) return 0;
        }
        if (!apus_all_digits(digits)) return 0;
        double value = (double)apus_eight_digits(digits);
        if (found) value /= powers[fraction];
        *result = negative ? -value : value;
        return 1;
    }
    if (length < 1 || length > 24) return 0;
    uint64_t mantissa = 0;
    int64_t point = -1, i = 0, digits = 0;
    for (; i < length; i++) {
        unsigned digit = (unsigned)text[i] - '0';
        if (digit <= 9) {
            mantissa = mantissa * 10 + digit;
            digits += mantissa != 0;
        } else if (text[i] == '.' && point < 0) {
            point = i;
        } else {
            return 0;
        }
        if (digits > 19) return 0;
    }
    int64_t fraction = point >= 0 ? length - 1 - point : 0;
    if (fraction > 22) return 0;
    double value;
    if (mantissa < 1ull << 53) {
        value = (double)mantissa / powers[fraction];
    } else {
#if __LDBL_MANT_DIG__ == 64
        // 10^22 and the mantissa are exact in 64 bits; the quotient is rounded once there and once to 53 bits, which
        // differs from one rounding only when the 11 bits between are exactly in the middle.
        long double quotient = (long double)mantissa / (long double)powers[fraction];
        uint64_t bits;
        memcpy(&bits, &quotient, 8);
        if ((bits & 0x7FF) == 0x400) return 0;
        value = (double)quotient;
#else
        return 0;
#endif
    }
    *result = negative ? -value : value;
    return 1;
}

// A whole number of at most 18 digits; leading zeros make it a name ("007"). 0 when it is one.
APUS_ALWAYS_INLINE int32_t apus_parse_integer_inline(const uint8_t *text, int64_t length, int64_t *result) {
    int negative = length > 1 && text[0] == '-';
    text += negative;
    length -= negative;
    if (__builtin_expect(length < 1 || length > 18 || (text[0] == '0' && length + negative > 1), 0)) return 1;
    if (length <= 8) {
        unsigned shift = (unsigned)(64 - 8 * length);
        uint64_t digits = ((apus_load64(text + length - 8) ^ 0x3030303030303030ull) >> shift) << shift;
        if (!apus_all_digits(digits)) return 1;
        int64_t value = apus_eight_digits(digits);
        *result = negative ? -value : value;
        return 0;
    }
    int64_t value = 0;
    for (int64_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)text[i] - '0';
        if (digit > 9) return 1;
        value = value * 10 + digit;
    }
    *result = negative ? -value : value;
    return 0;
}

// 1, 0, or -1 when the text is neither true nor false.
APUS_ALWAYS_INLINE int apus_parse_boolean(const uint8_t *text, int64_t length) {
    if (length == 4 && (text[0] | 32) == 't' && (text[1] | 32) == 'r' && (text[2] | 32) == 'u' && (text[3] | 32) == 'e')
        return 1;
    if (length == 5 && (text[0] | 32) == 'f' && (text[1] | 32) == 'a' && (text[2] | 32) == 'l' && (text[3] | 32) == 's'
        && (text[4] | 32) == 'e')
        return 0;
    return -1;
}

// Digits with leading zeros and longer ones than 18 are names, not numbers, unless they have a point or an exponent.
static inline int apus_looks_like_number(const uint8_t *text, int64_t length) {
    int64_t start = length > 0 && (text[0] == '-' || text[0] == '+');
    for (int64_t i = start; i < length; i++)
        if ((unsigned)text[i] - '0' > 9) return 1;
    return !(length - start > 18 || (length - start > 1 && text[start] == '0'));
}
