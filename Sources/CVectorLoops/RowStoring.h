// What becomes of a row once its fields are known; shared by delimited text and JSON Lines.
#pragma once
#include "FieldParsing.h"

typedef struct {
    const uint8_t *text;
    int64_t length;
} apus_field;

// Where rows go, and what is counted for each. The fast loop holds one in registers, which it can do because nothing
// else has its address.
typedef struct {
    apus_identifiers *users, *items;
    int32_t *user_column, *item_column;
    float *value_column;
    int32_t *time_column;
    int64_t *wide_time_column;
    uint64_t first_position;
    int64_t rows_kept, rows_below_minimum;
    float minimum_value, maximum_value;
    int64_t minimum_time, maximum_time;
} apus_row_sink;

typedef struct {
    const uint8_t *text;  // the block
    const apus_row_format *format;
    apus_row_sink sink;
    apus_block_report *report;
    // Text of fields whose quotes or escapes had to be taken out; 64 bytes of margin on both sides.
    uint8_t *scratch;
    int64_t scratch_capacity;
} apus_parser;

// Stores one row. `role` becomes the role of the field at fault.
APUS_ALWAYS_INLINE int32_t apus_store_row(
    const apus_row_format *format, apus_row_sink *sink, apus_field user, apus_field item, apus_field value, apus_field time, apus_field event,
    int has_value, int has_time, int has_event, int32_t *role) {
    float number = 1;
    int64_t seconds = 0;
    if (__builtin_expect(user.length <= 0, 0)) {
        *role = APUS_USER;
        return APUS_ROW_EMPTY_FIELD;
    }
    if (__builtin_expect(item.length <= 0, 0)) {
        *role = APUS_ITEM;
        return APUS_ROW_EMPTY_FIELD;
    }
    if (has_value) {
        int32_t code = apus_parse_value(value.text, value.length, &number);
        if (__builtin_expect(code != 0, 0)) {
            *role = APUS_VALUE;
            return code;
        }
    }
    if (has_time) {
        int32_t code = apus_parse_time_inline(time.text, time.length, format->calendar_times, &seconds);
        if (__builtin_expect(code != 0, 0)) {
            *role = APUS_TIME;
            return code;
        }
    }
    if (has_event) {
        *role = APUS_EVENT;
        if (event.length <= 0) return APUS_ROW_EMPTY_FIELD;
        float weight = format->other_weight;
        int32_t kind = 0;
        for (; kind < format->event_count; kind++) {
            const apus_event_weight *known = &format->events[kind];
            if (known->length == event.length && memcmp(known->name, event.text, (size_t)event.length) == 0) break;
        }
        if (kind < format->event_count) {
            weight = format->events[kind].weight;
        } else if (!format->has_other_weight) {
            return APUS_ROW_UNKNOWN_EVENT;
        }
        number *= weight;
        if (!__builtin_isfinite(number)) {
            *role = APUS_VALUE;
            return APUS_ROW_NOT_FINITE;
        }
    }
    if (number < sink->minimum_value) sink->minimum_value = number;
    if (number > sink->maximum_value) sink->maximum_value = number;
    if (format->has_minimum && number < format->minimum_value) {
        sink->rows_below_minimum++;
        return APUS_ROW_FINE;
    }
    int64_t row = sink->rows_kept;
    if (has_time) {
        if (sink->time_column) {
            if (__builtin_expect(seconds != (int32_t)seconds, 0)) {
                *role = APUS_TIME;
                return APUS_TIME_NEEDS_64_BITS;
            }
            sink->time_column[row] = (int32_t)seconds;
        } else if (sink->wide_time_column) {
            sink->wide_time_column[row] = seconds;
        }
    }
    uint64_t position = sink->first_position + (uint64_t)row;
    int32_t u = apus_intern(sink->users, user.text, user.length, position);
    int32_t i = apus_intern(sink->items, item.text, item.length, position);
    if (__builtin_expect((u | i) < 0, 0)) {
        *role = u < 0 ? APUS_USER : APUS_ITEM;
        apus_identifiers *full = u < 0 ? sink->users : sink->items;
        return apus_identifiers_count(full) >= INT32_MAX ? APUS_TOO_MANY_IDENTIFIERS : APUS_OUT_OF_MEMORY;
    }
    sink->user_column[row] = u;
    sink->item_column[row] = i;
    sink->value_column[row] = number;
    if (has_time) {
        if (seconds < sink->minimum_time) sink->minimum_time = seconds;
        if (seconds > sink->maximum_time) sink->maximum_time = seconds;
    }
    sink->rows_kept = row + 1;
    return APUS_ROW_FINE;
}

// Notes a bad row; returns the code when parsing must end, 0 when the row is skipped.
static inline int32_t apus_note_bad_row(
    apus_parser *parser, int32_t code, int32_t role, const uint8_t *record, apus_field field, int64_t count) {
    apus_block_report *report = parser->report;
    int fatal = code >= APUS_OUT_OF_MEMORY || !parser->format->skip_bad_rows;
    int64_t place = fatal ? 0 : report->rows_bad;
    if (place < APUS_EXAMPLES) {
        report->bad[place] = (apus_bad_row){
            code, role, record - parser->text, field.text ? field.text - parser->text : -1, field.length, count};
    }
    report->rows_bad++;
    return fatal ? code : APUS_ROW_FINE;
}

int32_t apus_parse_json_lines(apus_parser *parser, int64_t length);

// Splits one record; `next` becomes the start of the following one. Fields beyond the format's count are counted only.
// The scratch, for fields with doubled quotes, is as long as the text and has 64 bytes of margin on both sides.
int32_t apus_split_record(
    const apus_row_format *format, uint8_t *scratch, const uint8_t *p, const uint8_t *end, apus_field *fields,
    int64_t *count, const uint8_t **next, apus_field *fault);
