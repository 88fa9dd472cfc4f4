#define _GNU_SOURCE  // memrchr
#include "include/DelimitedText.h"
#include "ByteBits.h"
#include "RowStoring.h"
#include "VectorClones.h"
#include <math.h>


APUS_VECTOR_CLONES
void apus_scan_block(const uint8_t *text, int64_t length, apus_block_bytes *result) {
    uint64_t quotes = 0, nuls = 0;
    int64_t newlines = 0, i = 0;
    u8x64 high = (u8x64)(0);
    for (; i + 64 <= length; i += 64) {
        u8x64 v = *(const u8x64 *)(text + i);
        high |= v;
        quotes |= APUS_BITS_OF(v == (u8x64)('"'));
        nuls |= APUS_BITS_OF(v == (u8x64)(0));
        newlines += __builtin_popcountll(APUS_BITS_OF(v == (u8x64)('\n')));
    }
    uint8_t tail = __builtin_reduce_or(high);
    for (; i < length; i++) {
        quotes |= text[i] == '"';
        nuls |= text[i] == 0;
        newlines += text[i] == '\n';
        tail |= text[i];
    }
    result->newlines = newlines;
    result->has_quote = quotes != 0;
    result->has_nul = nuls != 0;
    result->has_high = tail >= 0x80;
}

int64_t apus_count_newlines(const uint8_t *text, int64_t length) {
    apus_block_bytes bytes;
    apus_scan_block(text, length, &bytes);
    return bytes.newlines;
}

int64_t apus_invalid_utf8(const uint8_t *p, int64_t length) {
    int64_t i = 0;
    while (i < length) {
        while (i + 8 <= length && (apus_load64(p + i) & 0x8080808080808080ull) == 0) i += 8;
        if (i >= length) break;
        uint8_t c = p[i];
        if (c < 0x80) {
            i++;
            continue;
        }
        int more;
        uint8_t low = 0x80, high = 0xBF;
        if (c >= 0xC2 && c <= 0xDF) {
            more = 1;
        } else if (c >= 0xE0 && c <= 0xEF) {
            more = 2;
            if (c == 0xE0) low = 0xA0;
            if (c == 0xED) high = 0x9F;
        } else if (c >= 0xF0 && c <= 0xF4) {
            more = 3;
            if (c == 0xF0) low = 0x90;
            if (c == 0xF4) high = 0x8F;
        } else {
            return i;
        }
        if (i + more >= length || p[i + 1] < low || p[i + 1] > high) return i;
        for (int k = 2; k <= more; k++)
            if ((p[i + k] & 0xC0) != 0x80) return i;
        i += more + 1;
    }
    return -1;
}

static int is_delimiter(const uint8_t *p, const uint8_t *end, const apus_row_format *format) {
    return p[0] == format->delimiter[0]
        && (format->delimiter_length == 1
            || (end - p >= format->delimiter_length
                && memcmp(p, format->delimiter, (size_t)format->delimiter_length) == 0));
}

// A quote opens a field only at the field's start.
static int opens_field(const uint8_t *text, const uint8_t *quote, const apus_row_format *format) {
    if (quote == text || quote[-1] == '\n') return 1;
    int64_t before = quote - text;
    return before >= format->delimiter_length
        && memcmp(quote - format->delimiter_length, format->delimiter, (size_t)format->delimiter_length) == 0;
}

// The closing quote of a field whose content begins at `p`, NULL when there is none.
static const uint8_t *closing_quote(const uint8_t *p, const uint8_t *end, int *doubled) {
    for (;;) {
        const uint8_t *quote = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL;
        if (!quote) return NULL;
        if (quote + 1 < end && quote[1] == '"') {
            *doubled = 1;
            p = quote + 2;
            continue;
        }
        return quote;
    }
}

static const uint8_t *last_newline(const uint8_t *text, const uint8_t *end) {
    return text < end ? memrchr(text, '\n', (size_t)(end - text)) : NULL;
}

int64_t apus_last_record_end(
    const uint8_t *text, int64_t length, const apus_row_format *format, int64_t *open_quote) {
    const uint8_t *end = text + length, *p = text, *last = NULL;
    *open_quote = -1;
    if (!format->quoting || format->json) {
        last = last_newline(text, end);
        return last ? last + 1 - text : 0;
    }
    while (p < end) {
        const uint8_t *quote = memchr(p, '"', (size_t)(end - p));
        const uint8_t *newline = last_newline(p, quote ? quote : end);
        if (newline) last = newline;
        if (!quote) break;
        if (!opens_field(text, quote, format)) {
            p = quote + 1;
            continue;
        }
        int doubled = 0;
        const uint8_t *close = closing_quote(quote + 1, end, &doubled);
        if (!close) {
            *open_quote = quote - text;
            break;
        }
        p = close + 1;
    }
    return last ? last + 1 - text : 0;
}

int32_t apus_split_record(
    const apus_row_format *format, uint8_t *scratch, const uint8_t *p, const uint8_t *end, apus_field *fields,
    int64_t *count, const uint8_t **next, apus_field *fault) {
    int64_t used = 0, n = 0;
    for (;;) {
        apus_field field;
        if (format->quoting && p < end && *p == '"') {
            int doubled = 0;
            const uint8_t *open = p, *close = closing_quote(p + 1, end, &doubled);
            if (!close) {
                *fault = (apus_field){open, 1};
                *next = end;
                return APUS_ROW_OPEN_QUOTE;
            }
            field = (apus_field){open + 1, close - open - 1};
            if (doubled && n < format->field_count) {
                // The scratch is as large as the block, so that all fields of a record fit; 8 bytes between them are
                // enough for the loads that reach back.
                uint8_t *out = scratch + 64 + used;
                uint8_t *start = out;
                for (const uint8_t *q = open + 1; q < close; q++) {
                    *out++ = *q;
                    if (*q == '"') q++;
                }
                field = (apus_field){start, out - start};
                used += out - start;
            }
            p = close + 1;
            if (p < end && *p == '\r' && (p + 1 == end || p[1] == '\n')) p++;
            if (p < end && *p != '\n' && !is_delimiter(p, end, format)) {
                *fault = (apus_field){open, p - open};
                const uint8_t *line = memchr(p, '\n', (size_t)(end - p));
                *next = line ? line + 1 : end;
                return APUS_ROW_TEXT_AFTER_QUOTE;
            }
        } else {
            const uint8_t *start = p;
            while (p < end && *p != '\n' && !is_delimiter(p, end, format)) p++;
            int64_t length = p - start;
            if ((p == end || *p == '\n') && length > 0 && p[-1] == '\r') length--;
            field = (apus_field){start, length};
        }
        if (n < format->field_count) fields[n] = field;
        n++;
        if (p >= end || *p == '\n') break;
        p += format->delimiter_length;
    }
    *count = n;
    *next = p < end ? p + 1 : end;
    return APUS_ROW_FINE;
}

// One record by the general way; returns the start of the next, or NULL when parsing must end with `*code`.
static const uint8_t *parse_record(
    apus_parser *parser, const uint8_t *record, const uint8_t *end, apus_field *fields, int32_t *code) {
    const apus_row_format *format = parser->format;
    const uint8_t *next = end;
    *code = APUS_ROW_FINE;
    if (*record == '\n') return record + 1;
    if (*record == '\r' && (record + 1 == end || record[1] == '\n')) return record + 1 == end ? end : record + 2;
    int64_t count = 0;
    apus_field fault = {0, 0}, none = {0, 0};
    parser->report->rows_read++;
    int32_t problem = apus_split_record(format, parser->scratch, record, end, fields, &count, &next, &fault);
    int32_t role = -1;
    if (!problem && count != format->field_count) problem = APUS_ROW_RAGGED;
    if (!problem) {
        const int32_t *at = format->role_field;
        problem = apus_store_row(
            format, &parser->sink, fields[at[APUS_USER]], fields[at[APUS_ITEM]], at[APUS_VALUE] < 0 ? none : fields[at[APUS_VALUE]],
            at[APUS_TIME] < 0 ? none : fields[at[APUS_TIME]], at[APUS_EVENT] < 0 ? none : fields[at[APUS_EVENT]],
            at[APUS_VALUE] >= 0, at[APUS_TIME] >= 0, at[APUS_EVENT] >= 0, &role);
        if (problem && role >= 0 && at[role] >= 0) fault = fields[at[role]];
    }
    if (problem) {
        // Text without its doubled quotes lies outside the block.
        if (fault.text && (fault.text < parser->text || fault.text >= end)) fault = (apus_field){record, 0};
        *code = apus_note_bad_row(parser, problem, role, record, fault, count);
        if (*code) return NULL;
    }
    return next;
}

// The fast way, for one-byte delimiters and blocks without quotes: separators are found 64 bytes at a time and
// listed, then rows are taken from the list. A row that isn't plain goes the general way.
APUS_ALWAYS_INLINE int32_t parse_plain(
    apus_parser *parser, int64_t length, apus_field *fields, int has_value, int has_time, int has_event) {
    enum { WINDOW = 16384 };
    uint32_t separators[WINDOW + 64];
    const apus_row_format *format = parser->format;
    const uint8_t *text = parser->text, *end = text + length;
    const uint8_t delimiter = format->delimiter[0];
    const int64_t field_count = format->field_count;
    const int32_t user = format->role_field[APUS_USER], item = format->role_field[APUS_ITEM];
    const int32_t value = has_value ? format->role_field[APUS_VALUE] : 0;
    const int32_t time = has_time ? format->role_field[APUS_TIME] : 0;
    const int32_t event = has_event ? format->role_field[APUS_EVENT] : 0;
    int32_t code = APUS_ROW_FINE;
    const uint8_t *record = text;
    apus_row_sink sink = parser->sink;
    int64_t rows_read = 0;
    while (record && record < end) {
        // A window that ends before the end of the block ends anywhere; only its whole rows are used.
        int64_t span = end - record < WINDOW ? end - record : WINDOW;
        int64_t found = 0;
        for (int64_t i = 0; i < span; i += 64) {
            u8x64 v = *(const u8x64 *)(record + i);
            uint64_t bits = APUS_BITS_OF((v == (u8x64)(delimiter)) | (v == (u8x64)('\n')));
            if (span - i < 64) bits &= (1ull << (span - i)) - 1;
            uint32_t base = (uint32_t)i;
            int count = __builtin_popcountll(bits);
            uint32_t *out = separators + found;
            // Eight at a time whether they are there or not: cheaper than a branch for each.
            for (int k = 0; k < 12; k++) {
                out[k] = base + (uint32_t)__builtin_ctzll(bits | 1ull << 63);
                bits &= bits - 1;
            }
            if (__builtin_expect(count > 12, 0)) {
                for (int k = 12; k < 16; k++) {
                    out[k] = base + (uint32_t)__builtin_ctzll(bits | 1ull << 63);
                    bits &= bits - 1;
                }
                for (int k = 16; k < count; k++) {
                    out[k] = base + (uint32_t)__builtin_ctzll(bits);
                    bits &= bits - 1;
                }
            }
            found += count;
        }
        int64_t rows = found / field_count;
        const uint8_t *start = record;
        const uint32_t *at = separators;
        int plain = 1;
        for (int64_t r = 0; r < rows; r++, at += field_count) {
            unsigned wrong = start[at[field_count - 1]] ^ '\n';
            for (int64_t f = 0; f + 1 < field_count; f++) wrong |= start[at[f]] ^ delimiter;
            if (__builtin_expect(wrong, 0)) {
                plain = 0;
                break;
            }
            const uint8_t *next = start + at[field_count - 1];
            int64_t last = at[field_count - 1];
            // A carriage return before the newline belongs to the line's end.
            last -= next > record && next[-1] == '\r';
#define APUS_FIELD(f)                                                                                  \
    ({                                                                                                 \
        const uint8_t *s = (f) == 0 ? record : start + at[(f) - 1] + 1;                                \
        (apus_field){s, (start + ((f) == field_count - 1 ? last : (int64_t)at[f])) - s};               \
    })
            apus_field none = {0, 0};
            int32_t role = -1;
            int32_t problem = apus_store_row(
                format, &sink, APUS_FIELD(user), APUS_FIELD(item), has_value ? APUS_FIELD(value) : none,
                has_time ? APUS_FIELD(time) : none, has_event ? APUS_FIELD(event) : none, has_value, has_time,
                has_event, &role);
#undef APUS_FIELD
            if (__builtin_expect(problem != 0, 0)) {
                plain = 0;
                break;
            }
            rows_read++;
            record = next + 1;
        }
        if (!plain || rows == 0) {
            parser->sink = sink;
            record = parse_record(parser, record, end, fields, &code);
            sink = parser->sink;
            if (!record) break;
        }
    }
    parser->sink = sink;
    parser->report->rows_read += rows_read;
    return code;
}

APUS_VECTOR_CLONES
static int32_t parse_plain_value(apus_parser *parser, int64_t length, apus_field *fields) {
    return parse_plain(parser, length, fields, 1, 0, 0);
}

APUS_VECTOR_CLONES
static int32_t parse_plain_value_time(apus_parser *parser, int64_t length, apus_field *fields) {
    return parse_plain(parser, length, fields, 1, 1, 0);
}

APUS_VECTOR_CLONES
static int32_t parse_plain_any(apus_parser *parser, int64_t length, apus_field *fields) {
    const int32_t *at = parser->format->role_field;
    return parse_plain(parser, length, fields, at[APUS_VALUE] >= 0, at[APUS_TIME] >= 0, at[APUS_EVENT] >= 0);
}

static int32_t parse_text(apus_parser *parser, int64_t length, int32_t has_quote) {
    const apus_row_format *format = parser->format;
    int32_t code = APUS_ROW_FINE;
    if (format->json || (format->quoting && has_quote)) {
        parser->scratch_capacity = length + 192;
        parser->scratch = malloc((size_t)parser->scratch_capacity);
        if (!parser->scratch) return APUS_OUT_OF_MEMORY;
        memset(parser->scratch, 0, 64);
    }
    if (format->json) {
        code = apus_parse_json_lines(parser, length);
        free(parser->scratch);
        return code;
    }
    apus_field *fields = malloc(sizeof(apus_field) * (size_t)(format->field_count > 0 ? format->field_count : 1));
    if (!fields) {
        free(parser->scratch);
        return APUS_OUT_OF_MEMORY;
    }
    if (format->delimiter_length == 1 && !(format->quoting && has_quote)) {
        const int32_t *at = format->role_field;
        if (at[APUS_VALUE] >= 0 && at[APUS_EVENT] < 0) {
            code = at[APUS_TIME] >= 0 ? parse_plain_value_time(parser, length, fields)
                                      : parse_plain_value(parser, length, fields);
        } else {
            code = parse_plain_any(parser, length, fields);
        }
    } else {
        const uint8_t *record = parser->text, *end = record + length;
        while (record && record < end) record = parse_record(parser, record, end, fields, &code);
    }
    free(fields);
    free(parser->scratch);
    return code;
}

int32_t apus_parse_block(
    const uint8_t *text, int64_t length, const apus_row_format *format, int32_t has_quote, uint64_t block,
    apus_identifiers *users, apus_identifiers *items, apus_row_store *store, apus_block_report *report) {
    *report = (apus_block_report){0};
    apus_parser parser = {
        .text = text, .format = format, .report = report,
        .sink = {
            .users = users, .items = items, .user_column = store->users, .item_column = store->items,
            .value_column = store->values, .time_column = store->times, .wide_time_column = store->wide_times, .first_position = block << 32,
            .minimum_value = INFINITY, .maximum_value = -INFINITY, .minimum_time = INT64_MAX,
            .maximum_time = INT64_MIN}};
    int32_t code = length > 0 ? parse_text(&parser, length, has_quote) : APUS_ROW_FINE;
    report->rows_kept = parser.sink.rows_kept;
    report->rows_below_minimum = parser.sink.rows_below_minimum;
    report->minimum_value = parser.sink.minimum_value;
    report->maximum_value = parser.sink.maximum_value;
    report->minimum_time = parser.sink.minimum_time;
    report->maximum_time = parser.sink.maximum_time;
    return code;
}
