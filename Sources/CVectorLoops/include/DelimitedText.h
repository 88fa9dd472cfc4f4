#pragma once
#include <stdint.h>
#include "IdentifierTable.h"

/// Roles that a column can have, as indices of `apus_row_format.role_field`.
enum { APUS_USER = 0, APUS_ITEM = 1, APUS_VALUE = 2, APUS_TIME = 3, APUS_EVENT = 4, APUS_ROLES = 5 };

/// What is wrong with a row.
enum {
    APUS_ROW_FINE = 0,
    APUS_ROW_RAGGED,           ///< another number of fields than the header; `count` has it
    APUS_ROW_EMPTY_FIELD,      ///< an empty identifier, value, time or event
    APUS_ROW_NOT_A_NUMBER,     ///< the value is not a number
    APUS_ROW_NOT_FINITE,       ///< the value is NaN or infinite, or too large for float32
    APUS_ROW_NOT_A_TIME,
    APUS_ROW_UNKNOWN_EVENT,
    APUS_ROW_TEXT_AFTER_QUOTE,
    APUS_ROW_OPEN_QUOTE,
    APUS_ROW_NOT_JSON,
    APUS_ROW_MISSING_KEY,      ///< a JSON object without the key of a role
    APUS_ROW_WRONG_TYPE,       ///< a JSON value that is null, a list or an object where a text or number is needed
    APUS_ROW_TOO_LONG_FIELD,   ///< an identifier of 2^31 bytes or more
    APUS_OUT_OF_MEMORY,
    APUS_TOO_MANY_IDENTIFIERS,
    APUS_TIME_NEEDS_64_BITS,   ///< a time before 1901 or after 2038 where the store has 32 bits for it
};

/// One kind of event and what it weighs.
typedef struct {
    const uint8_t *name;
    int64_t length;
    float weight;
} apus_event_weight;

/// How rows look, and what becomes of them.
typedef struct {
    const uint8_t *delimiter;
    int32_t delimiter_length;
    int32_t quoting;               ///< whether double quotes enclose fields
    int32_t field_count;           ///< fields in every row
    int32_t role_field[APUS_ROLES];  ///< field of every role, -1 where there is none
    const uint8_t *role_key[APUS_ROLES];  ///< JSON Lines: the key of every role, or NULL
    int64_t role_key_length[APUS_ROLES];
    int32_t json;
    int32_t calendar_times;        ///< eight digits are yyyyMMdd
    int32_t has_minimum;
    float minimum_value;           ///< rows below are dropped
    const apus_event_weight *events;
    int32_t event_count;
    int32_t has_other_weight;
    float other_weight;            ///< of kinds that are not listed
    int32_t skip_bad_rows;
} apus_row_format;

/// Where the columns of the rows go. At most one of the columns for times is not NULL.
typedef struct {
    int32_t *users;
    int32_t *items;
    float *values;
    int32_t *times;       ///< seconds since 1970
    int64_t *wide_times;  ///< the same, for files with times that don't fit 32 bits
} apus_row_store;

enum { APUS_EXAMPLES = 4 };

/// A bad row.
typedef struct {
    int32_t code;
    int32_t role;          ///< role of the field concerned, or -1
    int64_t record_offset; ///< of the row in the block
    int64_t field_offset;  ///< of the field in the block, or -1
    int64_t field_length;
    int64_t count;         ///< number of fields of a ragged row
} apus_bad_row;

/// What was found in a block.
typedef struct {
    int64_t rows_read;
    int64_t rows_kept;
    int64_t rows_below_minimum;
    int64_t rows_bad;
    apus_bad_row bad[APUS_EXAMPLES];  ///< the first ones; only the first when bad rows are not skipped
    float minimum_value, maximum_value;
    int64_t minimum_time, maximum_time;
} apus_block_report;

/// What bytes a block has.
typedef struct {
    int64_t newlines;
    int32_t has_quote, has_nul, has_high;  ///< has_high: a byte of 0x80 or above
} apus_block_bytes;

/// One pass over the bytes.
void apus_scan_block(const uint8_t *text, int64_t length, apus_block_bytes *result);
/// Number of newlines.
int64_t apus_count_newlines(const uint8_t *text, int64_t length);
/// Offset of the first byte that is not UTF-8, or -1.
int64_t apus_invalid_utf8(const uint8_t *text, int64_t length);
/// End of the last complete record (just after its newline), 0 when there is none. The text begins at a record's
/// start. `open_quote` becomes the offset of a quote that is not closed, or -1.
int64_t apus_last_record_end(
    const uint8_t *text, int64_t length, const apus_row_format *format, int64_t *open_quote);
/// Parses whole records; interns users and items and stores columns. `block` distinguishes positions of identifiers:
/// a position is block << 32 | row. At least 64 bytes before and after the text must be readable. `has_quote` as found
/// by apus_scan_block. Returns a code; 0 also when bad rows were skipped.
int32_t apus_parse_block(
    const uint8_t *text, int64_t length, const apus_row_format *format, int32_t has_quote, uint64_t block,
    apus_identifiers *users, apus_identifiers *items, apus_row_store *store, apus_block_report *report);
/// Parses one number; returns 0, APUS_ROW_EMPTY_FIELD, APUS_ROW_NOT_A_NUMBER or APUS_ROW_NOT_FINITE.
int32_t apus_parse_number(const uint8_t *text, int64_t length, double *result);
/// Parses a time to seconds since 1970; returns 0 or APUS_ROW_NOT_A_TIME.
int32_t apus_parse_time(const uint8_t *text, int64_t length, int32_t calendar, int64_t *result);
/// 1 when the text is eight digits that form a date of the years 1900 to 2199.
int32_t apus_is_calendar_date(const uint8_t *text, int64_t length);
