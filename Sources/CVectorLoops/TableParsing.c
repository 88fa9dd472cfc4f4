#include "include/TableParsing.h"
#include "ByteBits.h"
#include "JSONScanner.h"
#include "TableFields.h"
#include "VectorClones.h"

// Delimited text into typed columns. Separators are found 64 bytes at a time, outside of quotes, and listed for a window
// of text; then each column takes its fields from the list in a loop of its own type. Rows that are not plain go the
// general way, one by one.

enum { WINDOW = 16384 };

typedef struct {
    const uint8_t *text, *end;
    const apus_row_format *format;
    const apus_marker *keys, *missing;
    int32_t missing_count;
    int64_t longest_marker;
    uint64_t first_row;
    apus_table_column *columns;
    apus_table_report *report;
    uint8_t *scratch;  // 64 bytes of margin on both sides
    apus_field *fields;
    int64_t rows;
    int32_t out_of_memory;
} table_parser;

static int is_missing(const table_parser *parser, const uint8_t *text, int64_t length) {
    while (length > 0 && (*text == ' ' || *text == '\t')) text++, length--;
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    if (length == 0) return 1;
    if (length > parser->longest_marker) return 0;
    for (int32_t m = 0; m < parser->missing_count; m++) {
        const apus_marker *marker = &parser->missing[m];
        if (marker->length == length && memcmp(marker->text, text, (size_t)length) == 0) return 1;
    }
    return 0;
}

static void note_misfit(
    table_parser *parser, apus_table_column *column, const uint8_t *record, const uint8_t *text, int64_t length,
    int32_t kind) {
    if (column->misfits++ == 0) {
        column->misfit_record = record - parser->text;
        int inside = text >= parser->text && text < parser->end;
        column->misfit_offset = inside ? text - parser->text : -1;
        column->misfit_length = length;
    }
    if (kind > column->widest_misfit) column->widest_misfit = kind;
}

// A field that its type's quick way did not take; returns 1 when `result` is a number.
static int number_slowly(
    table_parser *parser, apus_table_column *column, const uint8_t *record, const uint8_t *text, int64_t length,
    double *result) {
    if (is_missing(parser, text, length)) return 0;
    int32_t code = apus_parse_number_slowly(text, length, result);
    if (code == APUS_ROW_FINE) return 1;
    if (code == APUS_ROW_NOT_FINITE) {
        column->infinite++;
        return 0;
    }
    note_misfit(parser, column, record, text, length, APUS_MISFIT_TEXT);
    return 0;
}

static void integer_misfit(
    table_parser *parser, apus_table_column *column, const uint8_t *record, const uint8_t *text, int64_t length) {
    if (is_missing(parser, text, length)) return;
    double number;
    int fits = apus_looks_like_number(text, length) && apus_parse_number_slowly(text, length, &number) == APUS_ROW_FINE;
    note_misfit(parser, column, record, text, length, fits ? APUS_MISFIT_NUMBER : APUS_MISFIT_TEXT);
}

static void store_text(table_parser *parser, apus_table_column *column, int64_t row, const uint8_t *text, int64_t length) {
    if (length <= parser->longest_marker && is_missing(parser, text, length)) length = 0;
    if (column->byte_count + length > column->byte_capacity) {
        int64_t capacity = column->byte_capacity * 2 + length + 4096;
        uint8_t *bytes = realloc(column->bytes, (size_t)capacity);
        if (!bytes) {
            parser->out_of_memory = 1;
            length = 0;
        } else {
            column->bytes = bytes;
            column->byte_capacity = capacity;
        }
    }
    if (length > 0) memcpy(column->bytes + column->byte_count, text, (size_t)length);
    column->byte_count += length;
    ((int64_t *)column->values)[row] = column->byte_count;
}

APUS_ALWAYS_INLINE void store_field(
    table_parser *parser, apus_table_column *column, int32_t type, int64_t row, const uint8_t *record,
    const uint8_t *text, int64_t length) {
    switch (type) {
    case APUS_COLUMN_NUMBER: {
        double value;
        if (!apus_quick_double(text, length, &value) && !number_slowly(parser, column, record, text, length, &value))
            value = __builtin_nan("");
        ((double *)column->values)[row] = value;
        break;
    }
    case APUS_COLUMN_INTEGER: {
        int64_t value;
        if (apus_parse_integer_inline(text, length, &value)) {
            value = INT64_MIN;
            integer_misfit(parser, column, record, text, length);
        }
        ((int64_t *)column->values)[row] = value;
        break;
    }
    case APUS_COLUMN_BOOLEAN: {
        int value = apus_parse_boolean(text, length);
        if (value < 0 && !is_missing(parser, text, length))
            note_misfit(parser, column, record, text, length, APUS_MISFIT_TEXT);
        ((int8_t *)column->values)[row] = (int8_t)value;
        break;
    }
    case APUS_COLUMN_DATE: {
        int64_t value;
        if (apus_parse_date(text, length, column->date_form, &value)) {
            value = INT64_MIN;
            if (!is_missing(parser, text, length))
                note_misfit(parser, column, record, text, length, APUS_MISFIT_TEXT);
        }
        ((int64_t *)column->values)[row] = value;
        break;
    }
    case APUS_COLUMN_CATEGORY: {
        int32_t code = -1;
        if (length > 0) {
            code = apus_intern(column->levels, text, length, parser->first_row + (uint64_t)row);
            if (__builtin_expect(code < 0, 0)) parser->out_of_memory = 1;
        }
        ((int32_t *)column->values)[row] = code;
        break;
    }
    case APUS_COLUMN_TEXT: store_text(parser, column, row, text, length); break;
    default: break;
    }
}

static void store_record(table_parser *parser, const uint8_t *record, const apus_field *fields) {
    for (int32_t c = 0; c < parser->format->field_count; c++) {
        apus_table_column *column = &parser->columns[c];
        const uint8_t *text = fields[c].text ? fields[c].text : parser->text;
        store_field(parser, column, column->type, parser->rows, record, text, fields[c].length);
    }
    parser->rows++;
}

static int32_t note_bad(
    table_parser *parser, int32_t code, const uint8_t *record, apus_field fault, int64_t count) {
    int fatal = !parser->format->skip_bad_rows;
    int64_t place = fatal ? 0 : parser->report->rows_bad;
    int inside = fault.text && fault.text >= parser->text && fault.text < parser->end;
    if (place < APUS_EXAMPLES)
        parser->report->bad[place] = (apus_bad_row){
            code, -1, record - parser->text, inside ? fault.text - parser->text : -1, fault.length, count};
    parser->report->rows_bad++;
    return fatal ? code : APUS_ROW_FINE;
}

// One record by the general way; the start of the next, or NULL when parsing must end with `*code`.
static const uint8_t *parse_record(table_parser *parser, const uint8_t *record, int32_t *code) {
    const uint8_t *end = parser->end, *next = end;
    if (*record == '\n') return record + 1;
    if (*record == '\r' && (record + 1 == end || record[1] == '\n')) return record + 1 == end ? end : record + 2;
    int64_t count = 0;
    apus_field fault = {0, 0};
    parser->report->rows_read++;
    int32_t problem = apus_split_record(
        parser->format, parser->scratch, record, end, parser->fields, &count, &next, &fault);
    if (!problem && count != parser->format->field_count) problem = APUS_ROW_RAGGED;
    if (problem) {
        *code = note_bad(parser, problem, record, fault, count);
        return *code ? NULL : next;
    }
    store_record(parser, record, parser->fields);
    return next;
}

typedef struct {
    int64_t found;     // separators listed
    int32_t doubled;   // whether a field may have doubled quotes
    int32_t irregular; // quotes inside of unquoted fields, or text after closing ones
} window_scan;

// Lists separators outside of quotes: positions relative to `start`.
APUS_VECTOR_CLONES
static window_scan scan_window(
    const uint8_t *start, int64_t span, uint8_t delimiter, int quoting, int32_t *separators) {
    window_scan result = {0, 0, 0};
    uint64_t inside_before = 0, boundary_before = 1;
    int64_t found = 0;
    for (int64_t i = 0; i < span; i += 64) {
        u8x64 v = *(const u8x64 *)(start + i);
        uint64_t bits = APUS_BITS_OF((v == (u8x64)(delimiter)) | (v == (u8x64)('\n')));
        if (quoting) {
            uint64_t quotes = APUS_BITS_OF(v == (u8x64)('"'));
            if (quotes | inside_before) {
                uint64_t inside = quotes;
                inside ^= inside << 1;
                inside ^= inside << 2;
                inside ^= inside << 4;
                inside ^= inside << 8;
                inside ^= inside << 16;
                inside ^= inside << 32;
                inside ^= inside_before;
                uint64_t boundary = bits | quotes;
                uint64_t opens = quotes & inside, closes = quotes & ~inside;
                uint8_t next = start[i + 64];
                uint64_t after = next == delimiter || next == '\n' || next == '"' || next == '\r' || next == 0;
                uint64_t returns = APUS_BITS_OF(v == (u8x64)('\r'));
                uint64_t ends = (boundary | returns) >> 1 | after << 63;
                if (span - i < 64) ends |= ~0ull << (span - i - 1);
                uint64_t valid = span - i < 64 ? (1ull << (span - i)) - 1 : ~0ull;
                result.irregular |= ((opens & ~(boundary << 1 | boundary_before)) & valid) != 0;
                result.irregular |= ((closes & ~ends) & valid) != 0;
                result.doubled |= (quotes & quotes << 1) != 0 || ((quotes & 1) && i > 0 && start[i - 1] == '"');
                boundary_before = boundary >> 63;
                inside_before = (uint64_t)((int64_t)inside >> 63);
                bits &= ~inside;
            } else {
                boundary_before = bits >> 63;
            }
        }
        if (span - i < 64) bits &= (1ull << (span - i)) - 1;
        int32_t base = (int32_t)i;
        int count = __builtin_popcountll(bits);
        int32_t *out = separators + found;
        // Twelve at a time whether they are there or not: cheaper than a branch for each.
        for (int k = 0; k < 12; k++) {
            out[k] = base + (int32_t)__builtin_ctzll(bits | 1ull << 63);
            bits &= bits - 1;
        }
        for (int k = 12; k < count; k++) {
            out[k] = base + (int32_t)__builtin_ctzll(bits | 1ull << 63);
            bits &= bits - 1;
        }
        found += count;
    }
    result.found = found;
    return result;
}

// One column of the rows of a window. `type` is a constant where this is called.
APUS_ALWAYS_INLINE void parse_column_typed(
    table_parser *parser, const uint8_t *start, const int32_t *separators, int64_t rows, int64_t c, int32_t type,
    int quoting, int doubled) {
    apus_table_column *column = &parser->columns[c];
    const int64_t fields = parser->format->field_count;
    const int last = c == fields - 1;
    for (int64_t r = 0; r < rows; r++) {
        const int32_t *at = separators + r * fields;
        const uint8_t *text = start + at[c] + 1, *stop = start + at[c + 1];
        if (last && stop > text && stop[-1] == '\r') stop--;
        if (quoting && *text == '"' && stop - text >= 2 && stop[-1] == '"') {
            text++;
            stop--;
            if (doubled && type >= APUS_COLUMN_CATEGORY && memchr(text, '"', (size_t)(stop - text))) {
                uint8_t *out = parser->scratch + 64;
                for (const uint8_t *q = text; q < stop; q++) {
                    *out++ = *q;
                    if (*q == '"') q++;
                }
                text = parser->scratch + 64;
                stop = out;
            }
        }
        store_field(parser, column, type, parser->rows + r, start + at[0] + 1, text, stop - text);
    }
}

static void parse_column(
    table_parser *parser, const uint8_t *start, const int32_t *separators, int64_t rows, int64_t c, int quoting,
    int doubled) {
    switch (parser->columns[c].type) {
#define APUS_TYPE(type) \
    case type: parse_column_typed(parser, start, separators, rows, c, type, quoting, doubled); break
        APUS_TYPE(APUS_COLUMN_NUMBER);
        APUS_TYPE(APUS_COLUMN_INTEGER);
        APUS_TYPE(APUS_COLUMN_BOOLEAN);
        APUS_TYPE(APUS_COLUMN_DATE);
        APUS_TYPE(APUS_COLUMN_CATEGORY);
        APUS_TYPE(APUS_COLUMN_TEXT);
#undef APUS_TYPE
    default: break;
    }
}

static int32_t parse_windows(table_parser *parser, int32_t quoting) {
    const int64_t fields = parser->format->field_count;
    const uint8_t delimiter = parser->format->delimiter[0], *end = parser->end, *record = parser->text;
    int32_t *separators = malloc(sizeof(int32_t) * (WINDOW + 128));
    if (!separators) return APUS_OUT_OF_MEMORY;
    int32_t code = APUS_ROW_FINE;
    while (record && record < end) {
        const uint8_t *start = record;
        int64_t span = end - record < WINDOW ? end - record : WINDOW;
        separators[0] = -1;
        window_scan scan = scan_window(start, span, delimiter, quoting, separators + 1);
        int64_t rows = 0;
        if (!scan.irregular) {
            int64_t whole = scan.found / fields;
            for (; rows < whole; rows++) {
                const int32_t *at = separators + rows * fields;
                unsigned wrong = start[at[fields]] ^ '\n';
                for (int64_t f = 1; f < fields; f++) wrong |= start[at[f]] ^ delimiter;
                // A blank line in a table of one column is no row.
                if (fields == 1) wrong |= at[1] == at[0] + 1 || (at[1] == at[0] + 2 && start[at[0] + 1] == '\r');
                if (wrong) break;
            }
            for (int64_t c = 0; c < fields; c++) parse_column(parser, start, separators, rows, c, quoting, scan.doubled);
            parser->rows += rows;
            parser->report->rows_read += rows;
            if (rows > 0) record = start + separators[rows * fields] + 1;
            if (rows == whole && rows > 0 && end - start > span) continue;
        }
        // What is left of the window: rows that are not plain, or one longer than a window.
        const uint8_t *stop = start + span;
        int one = rows == 0;
        while (record && record < end && (one || record < stop)) {
            record = parse_record(parser, record, &code);
            one = 0;
        }
        if (parser->out_of_memory) code = APUS_OUT_OF_MEMORY;
        if (code) break;
    }
    free(separators);
    return code;
}

static int32_t parse_object(
    table_parser *parser, const uint8_t *line, const uint8_t *end, apus_field *fault) {
    const int32_t count = parser->format->field_count;
    scanner s = {line, end, parser->scratch, 0};
    memset(parser->fields, 0, sizeof(apus_field) * (size_t)count);
    skip_spaces(&s);
    if (s.p >= s.end || *s.p != '{') return APUS_ROW_NOT_JSON;
    s.p++;
    skip_spaces(&s);
    int closed = 0;
    if (s.p < s.end && *s.p == '}') {
        s.p++;
        closed = 1;
    }
    int32_t guess = 0;
    while (!closed) {
        apus_field key, value;
        int kind = 0;
        skip_spaces(&s);
        if (s.p >= s.end || *s.p != '"' || !scan_string(&s, &key)) break;
        skip_spaces(&s);
        if (s.p >= s.end || *s.p != ':') break;
        s.p++;
        skip_spaces(&s);
        int quoted = s.p < s.end && *s.p == '"';
        if (!scan_value(&s, &value, &kind)) break;
        if (!quoted && value.length == 4 && memcmp(value.text, "null", 4) == 0) value.length = 0;
        // Members mostly come in the order of the first object.
        int32_t c = guess;
        for (int32_t tried = 0; tried < count; tried++, c = c + 1 == count ? 0 : c + 1) {
            const apus_marker *known = &parser->keys[c];
            if (known->length == key.length && memcmp(known->text, key.text, (size_t)key.length) == 0) {
                parser->fields[c] = value;
                guess = c + 1 == count ? 0 : c + 1;
                goto next;
            }
        }
        parser->report->unknown_members++;
    next:
        skip_spaces(&s);
        if (s.p < s.end && *s.p == ',') {
            s.p++;
            continue;
        }
        if (s.p < s.end && *s.p == '}') {
            s.p++;
            closed = 1;
        }
        break;
    }
    if (closed) skip_spaces(&s);
    if (!closed || s.p != s.end) {
        *fault = (apus_field){s.p < end ? s.p : line, 0};
        return APUS_ROW_NOT_JSON;
    }
    return APUS_ROW_FINE;
}

static int32_t parse_objects(table_parser *parser) {
    const uint8_t *line = parser->text, *end = parser->end;
    while (line < end) {
        const uint8_t *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) stop = end;
        const uint8_t *p = line;
        while (p < stop && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
        if (p < stop) {
            apus_field fault = {0, 0};
            parser->report->rows_read++;
            int32_t problem = parse_object(parser, line, stop, &fault);
            if (problem) {
                int32_t code = note_bad(parser, problem, line, fault, 0);
                if (code) return code;
            } else {
                store_record(parser, line, parser->fields);
            }
        }
        line = stop < end ? stop + 1 : end;
    }
    return APUS_ROW_FINE;
}

int32_t apus_parse_table(
    const uint8_t *text, int64_t length, const apus_row_format *format, int32_t has_quote, const apus_marker *keys,
    const apus_marker *missing, int32_t missing_count, uint64_t first_row, apus_table_column *columns,
    apus_table_report *report) {
    *report = (apus_table_report){0};
    if (length <= 0) return APUS_ROW_FINE;
    table_parser parser = {
        .text = text, .end = text + length, .format = format, .keys = keys, .missing = missing,
        .missing_count = missing_count, .first_row = first_row, .columns = columns, .report = report};
    for (int32_t m = 0; m < missing_count; m++)
        if (missing[m].length > parser.longest_marker) parser.longest_marker = missing[m].length;
    parser.scratch = malloc((size_t)length + 192);
    parser.fields = malloc(sizeof(apus_field) * (size_t)(format->field_count > 0 ? format->field_count : 1));
    int32_t code = APUS_OUT_OF_MEMORY;
    if (parser.scratch && parser.fields) {
        memset(parser.scratch, 0, 64);
        if (format->json) {
            code = parse_objects(&parser);
        } else if (format->delimiter_length == 1) {
            code = parse_windows(&parser, format->quoting && has_quote);
        } else {
            const uint8_t *record = text;
            code = APUS_ROW_FINE;
            while (record && record < parser.end) record = parse_record(&parser, record, &code);
        }
        if (!code && parser.out_of_memory) code = APUS_OUT_OF_MEMORY;
    }
    free(parser.scratch);
    free(parser.fields);
    report->rows_kept = parser.rows;
    return code;
}
