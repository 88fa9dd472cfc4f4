#include "RowStoring.h"

// A scanner for one object per line. Members that are not asked for are skipped, whatever they hold; strings are
// unescaped only where they have a backslash.

typedef struct {
    const uint8_t *p, *end;
    apus_parser *parser;
    int64_t used;  // bytes of the scratch in use
} scanner;

static void skip_spaces(scanner *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r')) s->p++;
}

static int hex4(const uint8_t *p, uint32_t *value) {
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

static uint8_t *put_utf8(uint8_t *out, uint32_t c) {
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
static int scan_string(scanner *s, apus_field *result) {
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
    uint8_t *first = s->parser->scratch + 64 + s->used, *out = first;
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

static int is_number_byte(uint8_t c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static int scan_value(scanner *s, apus_field *result, int *kind) {
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

static int32_t parse_object(
    apus_parser *parser, const uint8_t *line, const uint8_t *end, int32_t *role, apus_field *fault, int64_t length) {
    const apus_row_format *format = parser->format;
    scanner s = {line, end, parser, 0};
    apus_field fields[APUS_ROLES] = {{0, 0}};
    int kinds[APUS_ROLES] = {0};
    skip_spaces(&s);
    if (s.p >= s.end || *s.p != '{') return APUS_ROW_NOT_JSON;
    s.p++;
    skip_spaces(&s);
    if (s.p < s.end && *s.p == '}') {
        s.p++;
    } else {
        for (;;) {
            apus_field key, value;
            int kind = 0;
            skip_spaces(&s);
            if (s.p >= s.end || *s.p != '"' || !scan_string(&s, &key)) break;
            skip_spaces(&s);
            if (s.p >= s.end || *s.p != ':') break;
            s.p++;
            skip_spaces(&s);
            if (!scan_value(&s, &value, &kind)) break;
            for (int r = 0; r < APUS_ROLES; r++) {
                if (format->role_key[r] && format->role_key_length[r] == key.length
                    && memcmp(format->role_key[r], key.text, (size_t)key.length) == 0) {
                    fields[r] = value;
                    kinds[r] = kind;
                }
            }
            skip_spaces(&s);
            if (s.p < s.end && *s.p == ',') {
                s.p++;
                continue;
            }
            if (s.p < s.end && *s.p == '}') {
                s.p++;
                kind = -1;
            }
            if (kind == -1) goto closed;
            break;
        }
        *fault = (apus_field){s.p < end ? s.p : line, 0};
        return APUS_ROW_NOT_JSON;
    }
closed:
    skip_spaces(&s);
    if (s.p != s.end) {
        *fault = (apus_field){s.p, 0};
        return APUS_ROW_NOT_JSON;
    }
    for (int r = 0; r < APUS_ROLES; r++) {
        if (!format->role_key[r]) continue;
        *role = r;
        if (!kinds[r]) return APUS_ROW_MISSING_KEY;
        if (kinds[r] != SCALAR) {
            *fault = fields[r];
            return APUS_ROW_WRONG_TYPE;
        }
    }
    *role = -1;
    int32_t problem = apus_store_row(
        format, &parser->sink, fields[APUS_USER], fields[APUS_ITEM], fields[APUS_VALUE], fields[APUS_TIME], fields[APUS_EVENT],
        format->role_key[APUS_VALUE] != NULL, format->role_key[APUS_TIME] != NULL,
        format->role_key[APUS_EVENT] != NULL, role);
    if (problem && *role >= 0) *fault = fields[*role];
    if (fault->text && (fault->text < parser->text || fault->text >= parser->text + length))
        *fault = (apus_field){line, 0};
    return problem;
}

int32_t apus_parse_json_lines(apus_parser *parser, int64_t length) {
    const uint8_t *line = parser->text, *end = line + length;
    while (line < end) {
        const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        const uint8_t *p = line;
        while (p < stop && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
        if (p < stop) {
            int32_t role = -1;
            apus_field fault = {0, 0};
            parser->report->rows_read++;
            int32_t problem = parse_object(parser, line, stop, &role, &fault, length);
            if (problem) {
                int32_t code = apus_note_bad_row(parser, problem, role, line, fault, 0);
                if (code) return code;
            }
        }
        line = stop < end ? stop + 1 : end;
    }
    return APUS_ROW_FINE;
}
