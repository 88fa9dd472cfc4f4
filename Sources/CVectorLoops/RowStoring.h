// What becomes of a row once its fields are known; shared by delimited text and JSON Lines.
#pragma once
#include "FieldParsing.h"

typedef struct {
    const uint8_t *text;
    int64_t length;
} apus_field;

typedef struct {
    const uint8_t *text;  // the block
    const apus_row_format *format;
    uint64_t block;
    apus_identifiers *users, *items;
    apus_row_store *store;
    apus_block_report *report;
    // Text of fields whose quotes or escapes had to be taken out; 64 bytes of margin on both sides.
    uint8_t *scratch;
    int64_t scratch_capacity;
} apus_parser;

// Stores one row. `role` becomes the role of the field at fault.
APUS_ALWAYS_INLINE int32_t apus_store_row(
    apus_parser *parser, apus_field user, apus_field item, apus_field value, apus_field time, apus_field event,
    int has_value, int has_time, int has_event, int32_t *role) {
    const apus_row_format *format = parser->format;
    apus_block_report *report = parser->report;
    apus_row_store *store = parser->store;
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
    if (number < report->minimum_value) report->minimum_value = number;
    if (number > report->maximum_value) report->maximum_value = number;
    if (format->has_minimum && number < format->minimum_value) {
        report->rows_below_minimum++;
        return APUS_ROW_FINE;
    }
    int64_t row = report->rows_kept;
    uint64_t position = parser->block << 32 | (uint64_t)row;
    int32_t u = apus_intern(parser->users, user.text, user.length, position);
    int32_t i = apus_intern(parser->items, item.text, item.length, position);
    if (__builtin_expect((u | i) < 0, 0)) {
        *role = u < 0 ? APUS_USER : APUS_ITEM;
        apus_identifiers *full = u < 0 ? parser->users : parser->items;
        return apus_identifiers_count(full) >= INT32_MAX ? APUS_TOO_MANY_IDENTIFIERS : APUS_OUT_OF_MEMORY;
    }
    store->users[row] = u;
    store->items[row] = i;
    store->values[row] = number;
    if (has_time) {
        if (store->times) store->times[row] = seconds;
        if (seconds < report->minimum_time) report->minimum_time = seconds;
        if (seconds > report->maximum_time) report->maximum_time = seconds;
    }
    report->rows_kept = row + 1;
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
