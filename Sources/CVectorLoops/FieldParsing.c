#define _GNU_SOURCE
#include "FieldParsing.h"
#include "TableFields.h"
#include <locale.h>
#include <math.h>
#include <pthread.h>

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

static int is_space(uint8_t c) { return c == ' ' || c == '\t'; }

int32_t apus_parse_number_slowly(const uint8_t *text, int64_t length, double *result) {
    while (length > 0 && is_space(text[0])) text++, length--;
    while (length > 0 && is_space(text[length - 1])) length--;
    if (length == 0) return APUS_ROW_EMPTY_FIELD;
    if (length >= 400) return APUS_ROW_NOT_A_NUMBER;
    char copy[401];
    memcpy(copy, text, (size_t)length);
    copy[length] = 0;
    // strtod also takes hexadecimal numbers and "nan(...)", which no table means.
    for (int64_t i = 0; i < length; i++) {
        char c = copy[i];
        int plain = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
        if (plain) continue;
        const char *word = copy + (copy[0] == '+' || copy[0] == '-');
        static const char *const words[] = {"nan", "inf", "infinity"};
        for (int w = 0; w < 3; w++)
            if (strcasecmp(word, words[w]) == 0) return APUS_ROW_NOT_FINITE;
        return APUS_ROW_NOT_A_NUMBER;
    }
    // A host program may have set a locale whose decimal point is a comma.
    pthread_once(&c_locale_once, make_c_locale);
    char *end = NULL;
    *result = c_locale ? strtod_l(copy, &end, c_locale) : strtod(copy, &end);
    if (end != copy + length) return APUS_ROW_NOT_A_NUMBER;
    return isfinite(*result) ? APUS_ROW_FINE : APUS_ROW_NOT_FINITE;
}

int32_t apus_parse_number(const uint8_t *text, int64_t length, double *result) {
    return apus_parse_number_slowly(text, length, result);
}

static int digits(const uint8_t *p, int n, int *value) {
    int v = 0;
    for (int i = 0; i < n; i++) {
        unsigned d = (unsigned)p[i] - '0';
        if (d > 9) return 0;
        v = v * 10 + (int)d;
    }
    *value = v;
    return 1;
}

static int month_days(int year, int month) {
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

// Days since 1970-01-01 of the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
static int64_t days_from_civil(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

int32_t apus_is_calendar_date(const uint8_t *p, int64_t length) {
    int year, month, day;
    if (length != 8 || !digits(p, 4, &year) || !digits(p + 4, 2, &month) || !digits(p + 6, 2, &day)) return 0;
    return year >= 1900 && year <= 2199 && month >= 1 && month <= 12 && day >= 1 && day <= month_days(year, month);
}

// Seconds, or milli-, micro- or nanoseconds where seconds would lie beyond the year 5138.
static int64_t by_magnitude(int64_t t) {
    int64_t size = t < 0 ? -t : t;
    int64_t unit = size < 100000000000ll ? 1 : size < 100000000000000ll ? 1000 : size < 100000000000000000ll ? 1000000 : 1000000000;
    int64_t quotient = t / unit;
    return t % unit < 0 ? quotient - 1 : quotient;
}

int32_t apus_parse_time_slowly(const uint8_t *p, int64_t n, int32_t calendar, int64_t *result) {
    while (n > 0 && is_space(p[0])) p++, n--;
    while (n > 0 && is_space(p[n - 1])) n--;
    if (n == 0) return APUS_ROW_EMPTY_FIELD;
    int year, month, day;
    if (calendar) {
        if (!apus_is_calendar_date(p, n)) return APUS_ROW_NOT_A_TIME;
        digits(p, 4, &year), digits(p + 4, 2, &month), digits(p + 6, 2, &day);
        *result = days_from_civil(year, month, day) * 86400;
        return APUS_ROW_FINE;
    }
    if (n >= 10 && (p[4] == '-' || p[4] == '/') && p[7] == p[4]) {
        if (!digits(p, 4, &year) || !digits(p + 5, 2, &month) || !digits(p + 8, 2, &day)) return APUS_ROW_NOT_A_TIME;
        if (month < 1 || month > 12 || day < 1 || day > month_days(year, month)) return APUS_ROW_NOT_A_TIME;
        int64_t seconds = days_from_civil(year, month, day) * 86400;
        p += 10, n -= 10;
        if (n > 0) {
            int hour, minute, second = 0;
            if (n < 6 || (p[0] != ' ' && p[0] != 'T' && p[0] != 't') || p[3] != ':') return APUS_ROW_NOT_A_TIME;
            if (!digits(p + 1, 2, &hour) || !digits(p + 4, 2, &minute)) return APUS_ROW_NOT_A_TIME;
            p += 6, n -= 6;
            if (n >= 3 && p[0] == ':') {
                if (!digits(p + 1, 2, &second)) return APUS_ROW_NOT_A_TIME;
                p += 3, n -= 3;
                if (n >= 2 && (p[0] == '.' || p[0] == ',')) {
                    p++, n--;
                    if ((unsigned)p[0] - '0' > 9) return APUS_ROW_NOT_A_TIME;
                    while (n > 0 && (unsigned)p[0] - '0' <= 9) p++, n--;
                }
            }
            if (hour > 23 || minute > 59 || second > 60) return APUS_ROW_NOT_A_TIME;
            seconds += hour * 3600 + minute * 60 + second;
            while (n > 0 && p[0] == ' ') p++, n--;
            if (n == 1 && (p[0] == 'Z' || p[0] == 'z')) {
                n = 0;
            } else if (n == 3 && memcmp(p, "UTC", 3) == 0) {
                n = 0;
            } else if (n >= 3 && (p[0] == '+' || p[0] == '-')) {
                int hours, minutes = 0, sign = p[0] == '-' ? -1 : 1;
                if (!digits(p + 1, 2, &hours)) return APUS_ROW_NOT_A_TIME;
                p += 3, n -= 3;
                if (n > 0 && p[0] == ':') p++, n--;
                if (n > 0) {
                    if (n != 2 || !digits(p, 2, &minutes)) return APUS_ROW_NOT_A_TIME;
                    n = 0;
                }
                if (hours > 23 || minutes > 59) return APUS_ROW_NOT_A_TIME;
                seconds -= sign * (hours * 3600 + minutes * 60);
            }
            if (n != 0) return APUS_ROW_NOT_A_TIME;
        }
        *result = seconds;
        return APUS_ROW_FINE;
    }
    int64_t i = p[0] == '-' || p[0] == '+', start = i;
    uint64_t value = 0;
    for (; i < n && (unsigned)p[i] - '0' <= 9; i++) {
        if (i - start >= 18) return APUS_ROW_NOT_A_TIME;
        value = value * 10 + ((unsigned)p[i] - '0');
    }
    if (i == start) return APUS_ROW_NOT_A_TIME;
    if (i < n && p[i] == '.') {
        // Fractions of a second are cut off.
        for (i++; i < n && (unsigned)p[i] - '0' <= 9; i++) {}
    } else if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        double number;
        if (apus_parse_number_slowly(p, n, &number) || fabs(number) >= 1e18) return APUS_ROW_NOT_A_TIME;
        *result = by_magnitude((int64_t)number);
        return APUS_ROW_FINE;
    }
    if (i != n) return APUS_ROW_NOT_A_TIME;
    *result = by_magnitude(p[0] == '-' ? -(int64_t)value : (int64_t)value);
    return APUS_ROW_FINE;
}

int32_t apus_parse_time(const uint8_t *text, int64_t length, int32_t calendar, int64_t *result) {
    return apus_parse_time_slowly(text, length, calendar, result);
}

int32_t apus_parse_integer(const uint8_t *text, int64_t length, int64_t *result) {
    // The quick way reads bytes before the text.
    uint8_t copy[40] = {0};
    if (length < 1 || length > 20) return 1;
    memcpy(copy + 16, text, (size_t)length);
    return apus_parse_integer_inline(copy + 16, length, result);
}

// Day and month, or month and day, then a year of four digits, and a time of day or none.
static int32_t parse_day_and_month(const uint8_t *p, int64_t n, int32_t form, int64_t *result) {
    int64_t i = 0;
    int parts[3];
    uint8_t separator = 0;
    for (int k = 0; k < 3; k++) {
        int64_t start = i;
        int value = 0;
        while (i < n && (unsigned)p[i] - '0' <= 9 && i - start < 4) value = value * 10 + (p[i++] - '0');
        if (i == start || (k == 2 && i - start != 4) || (k < 2 && i - start > 2)) return APUS_ROW_NOT_A_TIME;
        parts[k] = value;
        if (k == 2) break;
        if (i >= n || (p[i] != '/' && p[i] != '.' && p[i] != '-') || (k == 1 && p[i] != separator))
            return APUS_ROW_NOT_A_TIME;
        separator = p[i++];
    }
    int day = form == APUS_DATE_DAY_FIRST ? parts[0] : parts[1], month = form == APUS_DATE_DAY_FIRST ? parts[1] : parts[0];
    if (month < 1 || month > 12 || day < 1 || day > month_days(parts[2], month)) return APUS_ROW_NOT_A_TIME;
    // The rest as after a date that has the year first.
    if (n - i > 40) return APUS_ROW_NOT_A_TIME;
    uint8_t rewritten[64] = "1970-01-01";
    memcpy(rewritten + 10, p + i, (size_t)(n - i));
    if (n - i > 4 && rewritten[10] == ' ' && rewritten[12] == ':') {
        // One digit for the hour.
        memmove(rewritten + 12, rewritten + 11, (size_t)(n - i - 1));
        rewritten[11] = '0';
        n++;
    }
    int64_t time;
    int32_t code = apus_parse_time_slowly(rewritten, 10 + n - i, 0, &time);
    if (code) return code;
    *result = days_from_civil(parts[2], month, day) * 86400 + time;
    return APUS_ROW_FINE;
}

int32_t apus_parse_date(const uint8_t *p, int64_t n, int32_t form, int64_t *result) {
    if (form == APUS_DATE_YEAR_FIRST) {
        int year, month, day;
        if (n == 10 && p[4] == '-' && p[7] == '-' && digits(p, 4, &year) && digits(p + 5, 2, &month)
            && digits(p + 8, 2, &day)) {
            if (month < 1 || month > 12 || day < 1 || day > month_days(year, month)) return APUS_ROW_NOT_A_TIME;
            *result = days_from_civil(year, month, day) * 86400;
            return APUS_ROW_FINE;
        }
    }
    while (n > 0 && is_space(p[0])) p++, n--;
    while (n > 0 && is_space(p[n - 1])) n--;
    switch (form) {
    case APUS_DATE_YEAR_FIRST:
        if (n < 10 || (p[4] != '-' && p[4] != '/')) return APUS_ROW_NOT_A_TIME;
        return apus_parse_time_slowly(p, n, 0, result);
    case APUS_DATE_CALENDAR: return apus_parse_time_slowly(p, n, 1, result);
    case APUS_DATE_SECONDS:
        if (n < 1 || (n >= 10 && (p[4] == '-' || p[4] == '/'))) return APUS_ROW_NOT_A_TIME;
        return apus_parse_time_slowly(p, n, 0, result);
    default: return parse_day_and_month(p, n, form, result);
    }
}
