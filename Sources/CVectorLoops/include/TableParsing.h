#pragma once
#include "DelimitedText.h"

/// How the fields of a column are parsed.
enum {
    APUS_COLUMN_SKIPPED = 0,
    APUS_COLUMN_NUMBER,    ///< double, NaN is missing
    APUS_COLUMN_INTEGER,   ///< int64_t, INT64_MIN is missing
    APUS_COLUMN_BOOLEAN,   ///< int8_t, -1 is missing
    APUS_COLUMN_DATE,      ///< int64_t seconds since 1970, INT64_MIN is missing
    APUS_COLUMN_CATEGORY,  ///< int32_t numbers of the intern table, -1 is missing
    APUS_COLUMN_TEXT,      ///< int64_t ends in the column's bytes
};

/// How dates are written.
enum {
    APUS_DATE_YEAR_FIRST = 0,  ///< 2026-01-31 or 2026/01/31, with a time or without
    APUS_DATE_DAY_FIRST,       ///< 31.01.2026, 31/01/2026
    APUS_DATE_MONTH_FIRST,     ///< 01/31/2026
    APUS_DATE_CALENDAR,        ///< 20260131
    APUS_DATE_SECONDS,         ///< numbers: (milli-, micro-, nano-) seconds since 1970
};

/// What a value that does not fit its column's type could be.
enum { APUS_MISFIT_NONE = 0, APUS_MISFIT_NUMBER = 1, APUS_MISFIT_TEXT = 2 };

/// A text that stands for a missing value.
typedef struct {
    const uint8_t *text;
    int64_t length;
} apus_marker;

/// One column of one block.
typedef struct {
    int32_t type;
    int32_t date_form;
    void *values;              ///< room for all rows of the block
    apus_identifiers *levels;  ///< of a category column
    uint8_t *bytes;            ///< of a text column, from malloc
    int64_t byte_count, byte_capacity;
    int64_t misfits;           ///< values that don't fit the type, stored as missing
    int32_t widest_misfit;
    int64_t infinite;          ///< infinite numbers, stored as missing
    int64_t misfit_record, misfit_offset, misfit_length;  ///< the first one's record and field in the block
} apus_table_column;

/// What a block had.
typedef struct {
    int64_t rows_read, rows_kept, rows_bad, unknown_members;
    apus_bad_row bad[APUS_EXAMPLES];
} apus_table_report;

/// Parses whole records into columns. `format` gives delimiter, quoting, field count, json and the rule for bad rows;
/// its roles are not used. `keys` are the members of JSON objects, `field_count` of them. `first_row` marks positions
/// in the intern tables. At least 64 bytes before and after the text must be readable. Returns a code as
/// apus_parse_block.
int32_t apus_parse_table(
    const uint8_t *text, int64_t length, const apus_row_format *format, int32_t has_quote, const apus_marker *keys,
    const apus_marker *missing, int32_t missing_count, uint64_t first_row, apus_table_column *columns,
    apus_table_report *report);

/// Parses one date; 0 when it is one.
int32_t apus_parse_date(const uint8_t *text, int64_t length, int32_t form, int64_t *result);
/// Parses one whole number of at most 18 digits without leading zeros; 0 when it is one.
int32_t apus_parse_integer(const uint8_t *text, int64_t length, int64_t *result);
