// Numbers and times, in line for the parsing loops.
#pragma once
#include "IdentifierTableInline.h"
#include "include/DelimitedText.h"

int32_t apus_parse_number_slowly(const uint8_t *text, int64_t length, double *result);

// Plain decimals such as 3, 42, 4.5 and -0.125 of at most 15 digits: mantissa and power of ten are exact in a double,
// so that one division rounds correctly. Everything else goes to strtod.
APUS_ALWAYS_INLINE int32_t apus_parse_value(const uint8_t *text, int64_t length, float *result) {
    static const double powers[16] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    unsigned first = (unsigned)text[0] - '0';
    if (length == 1 && first <= 9) {
        *result = (float)first;
        return APUS_ROW_FINE;
    }
    unsigned third = (unsigned)text[2] - '0';
    if (length == 3 && text[1] == '.' && first <= 9 && third <= 9) {
        *result = (float)(first * 10 + third) / 10.0f;
        return APUS_ROW_FINE;
    }
    if (length >= 1 && length <= 16) {
        int64_t i = text[0] == '-';
        uint64_t mantissa = 0;
        int64_t point = -1, digits = 0;
        for (; i < length; i++) {
            unsigned digit = (unsigned)text[i] - '0';
            if (digit <= 9) {
                mantissa = mantissa * 10 + digit;
                digits++;
            } else if (text[i] == '.' && point < 0) {
                point = i;
            } else {
                break;
            }
        }
        if (i == length && digits > 0 && digits <= 15) {
            double value = (double)mantissa;
            if (point >= 0) value /= powers[length - 1 - point];
            *result = (float)(text[0] == '-' ? -value : value);
            return APUS_ROW_FINE;
        }
    }
    double value;
    int32_t code = apus_parse_number_slowly(text, length, &value);
    if (code) return code;
    *result = (float)value;
    return __builtin_isfinite(*result) ? APUS_ROW_FINE : APUS_ROW_NOT_FINITE;
}

int32_t apus_parse_time_slowly(const uint8_t *text, int64_t length, int32_t calendar, int64_t *result);

// Ten digits, seconds since 2001-09-09, without a branch per digit; everything else goes the long way.
APUS_ALWAYS_INLINE int32_t apus_parse_time_inline(const uint8_t *text, int64_t length, int32_t calendar, int64_t *result) {
    if (length == 10 || length == 9) {
        uint64_t low = apus_load64(text + length - 8) ^ 0x3030303030303030ull;
        unsigned a = (unsigned)text[0] - '0', b = length == 10 ? (unsigned)text[1] - '0' : 0;
        if (apus_all_digits(low) && a <= 9 && b <= 9) {
            int64_t high = length == 10 ? a * 10 + b : a;
            *result = high * 100000000 + apus_eight_digits(low);
            return APUS_ROW_FINE;
        }
    }
    return apus_parse_time_slowly(text, length, calendar, result);
}
