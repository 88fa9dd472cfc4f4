#pragma once
#include <stdint.h>

/// Parsed rows of one block, with the maps from its reader's numbering to the final one (NULL: already final).
typedef struct {
    const int32_t *users;
    const int32_t *items;
    const float *values;
    const int32_t *times;       ///< or NULL
    const int64_t *wide_times;  ///< or NULL
    int64_t count;
    const int32_t *user_map;
    const int32_t *item_map;
} apus_run;

/// What becomes of several rows with the same user and item.
enum { APUS_DUPLICATES_SUM = 0, APUS_DUPLICATES_LAST = 1, APUS_DUPLICATES_MAXIMUM = 2, APUS_DUPLICATES_ERROR = 3 };

/// counts[user] += rows of that user.
void apus_count_users(const apus_run *runs, int64_t run_count, uint64_t *counts);
/// Writes item << 32 | bits of the value to entries[next[user]++].
void apus_scatter_by_user(const apus_run *runs, int64_t run_count, uint64_t *next, uint64_t *entries);
/// Writes the time to times[next[user]++], or to wide_times if that is not NULL.
void apus_scatter_times(
    const apus_run *runs, int64_t run_count, uint64_t *next, int32_t *times, int64_t *wide_times);
/// counts[column] += entries of that column.
void apus_count_columns(const int32_t *columns, int64_t count, uint64_t *counts);
/// Transposes rows first ..< last: indices[next[column]++] = row, values likewise.
void apus_scatter_by_column(
    int64_t first, int64_t last, const int64_t *row_pointers, const int32_t *columns, const float *values,
    uint64_t *next, int32_t *indices, float *transposed);
/// Sorts the entries of the rows first ..< last by item, keeping the order of equal items, merges duplicates, and
/// writes columns and values from the row's old start on; lengths[row] becomes what is left. Times, if either is given,
/// are brought into the same order in place; merged entries have the latest.
/// Returns the number of entries merged away, -1 when memory is out, or -2 for a duplicate under
/// APUS_DUPLICATES_ERROR, with its row and column.
int64_t apus_sort_rows(
    int64_t first, int64_t last, const int64_t *row_pointers, uint64_t *entries, int32_t *times,
    int64_t *wide_times, int64_t columns_count, int32_t rule, int32_t *columns, float *values, int64_t *lengths,
    int64_t *duplicate);
/// values[k] *= 0.5 ^ ((reference - times[k]) / half_life)
void apus_decay(
    float *values, const int32_t *times, const int64_t *wide_times, int64_t count, int64_t reference, double half_life_seconds);
/// A 128-bit hash of bytes; not cryptographic.
void apus_hash_bytes(const uint8_t *bytes, int64_t length, uint64_t seed, uint64_t result[2]);
/// 1 when every element lies in 0 ..< bound and, within each row of row_pointers, elements ascend strictly.
int32_t apus_indices_ascend(const int64_t *row_pointers, int64_t first, int64_t last, const int32_t *columns, int64_t bound);
