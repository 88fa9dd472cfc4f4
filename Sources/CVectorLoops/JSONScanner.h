// A scanner of JSON objects, one a line: in line for the readers of interactions and of tables.
#pragma once
#include "RowStoring.h"

// A scanner for one object per line. Members that are not asked for are skipped, whatever they hold; strings are
// unescaped only where they have a backslash.

typedef struct {
    const uint8_t *p, *end;
    uint8_t *scratch;  // for strings whose escapes are taken out; 64 bytes of margin
    int64_t used;  // bytes of the scratch in use
} scanner;

static inline void skip_spaces(scanner *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r')) s->p++;
}

static inline int hex4(const uint8_t *p, uint32_t *value) {
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i];
        uint32_t d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10u : c >= 'A' && c <= 'F' ? c - 'A' + 10u : 16u;
        if (d > 15) return 0;
        v = v << 4 | d;
    }
    *value = v;
    return 1;
}

static inline uint8_t *put_utf8(uint8_t *out, uint32_t c) {
    if (c < 0x80) {
        *out++ = (uint8_t)c;
    } else if (c < 0x800) {
        *out++ = (uint8_t)(0xC0 | c >> 6);
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (uint8_t)(0xE0 | c >> 12);
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    } else {
        *out++ = (uint8_t)(0xF0 | c >> 18);
        *out++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    }
    return out;
}

// A string whose opening quote is at p.
static inline int scan_string(scanner *s, apus_field *result) {
    const uint8_t *start = ++s->p;
    int escaped = 0;
    while (s->p < s->end && *s->p != '"') {
        if (*s->p < 0x20) return 0;
        if (*s->p == '\\') {
            escaped = 1;
            s->p++;
            if (s->p >= s->end) return 0;
        }
        s->p++;
    }
    if (s->p >= s->end) return 0;
    const uint8_t *stop = s->p++;
    if (!escaped) {
        *result = (apus_field){start, stop - start};
        return 1;
    }
    uint8_t *first = s->scratch + 64 + s->used, *out = first;
    for (const uint8_t *q = start; q < stop; q++) {
        if (*q != '\\') {
            *out++ = *q;
            continue;
        }
        uint32_t code, low;
        switch (*++q) {
        case '"': case '\\': case '/': *out++ = *q; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u':
            if (stop - q < 5 || !hex4(q + 1, &code) || code == 0) return 0;
            q += 4;
            if (code >= 0xDC00 && code <= 0xDFFF) return 0;
            if (code >= 0xD800 && code <= 0xDBFF) {
                if (stop - q < 7 || q[1] != '\\' || q[2] != 'u' || !hex4(q + 3, &low)) return 0;
                if (low < 0xDC00 || low > 0xDFFF) return 0;
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                q += 6;
            }
            out = put_utf8(out, code);
            break;
        default: return 0;
        }
    }
    s->used += out - first;
    *result = (apus_field){first, out - first};
    return 1;
}

enum { SCALAR = 1, NESTED = 2, NOTHING = 3 };  // NOTHING: null, true or false

static inline int is_number_byte(uint8_t c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static inline int scan_value(scanner *s, apus_field *result, int *kind) {
    if (s->p >= s->end) return 0;
    const uint8_t *start = s->p;
    if (*start == '"') {
        *kind = SCALAR;
        return scan_string(s, result);
    }
    if (*start == '{' || *start == '[') {
        *kind = NESTED;
        int64_t depth = 0;
        apus_field ignored;
        while (s->p < s->end) {
            uint8_t c = *s->p;
            if (c == '"') {
                int64_t used = s->used;
                if (!scan_string(s, &ignored)) return 0;
                s->used = used;
                continue;
            }
            s->p++;
            if (c == '{' || c == '[') depth++;
            if ((c == '}' || c == ']') && --depth == 0) {
                *result = (apus_field){start, s->p - start};
                return 1;
            }
        }
        return 0;
    }
    if (*start == '-' || (*start >= '0' && *start <= '9')) {
        *kind = SCALAR;
        while (s->p < s->end && is_number_byte(*s->p)) s->p++;
        *result = (apus_field){start, s->p - start};
        return 1;
    }
    // NaN and Infinity are no JSON, but Python writes them; the number parser refuses them by name.
    static const char *const words[] = {"null", "true", "false", "NaN", "Infinity"};
    for (int w = 0; w < 5; w++) {
        int64_t n = (int64_t)strlen(words[w]);
        if (s->end - start >= n && memcmp(start, words[w], (size_t)n) == 0) {
            *kind = w < 3 ? NOTHING : SCALAR;
            s->p += n;
            *result = (apus_field){start, n};
            return 1;
        }
    }
    return 0;
}
