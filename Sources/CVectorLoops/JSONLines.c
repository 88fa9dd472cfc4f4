#include "JSONScanner.h"

// Members that are not asked for are skipped, whatever they hold.
static int32_t parse_object(
    apus_parser *parser, const uint8_t *line, const uint8_t *end, int32_t *role, apus_field *fault, int64_t length) {
    const apus_row_format *format = parser->format;
    scanner s = {line, end, parser->scratch, 0};
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
