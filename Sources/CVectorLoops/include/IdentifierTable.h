#pragma once
#include <stdint.h>

/// An intern table: text -> dense index in order of first appearance. One is owned by one thread.
typedef struct apus_identifiers apus_identifiers;

/// NULL when memory is out.
apus_identifiers *apus_identifiers_create(void);
void apus_identifiers_destroy(apus_identifiers *table);
/// Number of distinct identifiers.
int64_t apus_identifiers_count(const apus_identifiers *table);
/// Bytes of all identifiers, one after another.
const uint8_t *apus_identifiers_bytes(const apus_identifiers *table);
/// count + 1 offsets into the bytes.
const int64_t *apus_identifiers_offsets(const apus_identifiers *table);
/// The position given with each identifier when it was first seen.
const uint64_t *apus_identifiers_first_positions(const apus_identifiers *table);
/// Index of the text, added when it is new; -1 when memory is out or 2^31 - 1 identifiers are there.
/// Reads nothing outside [text, text + length).
int32_t apus_identifiers_add(apus_identifiers *table, const uint8_t *text, int64_t length, uint64_t position);
/// Index of the text, or -1.
int32_t apus_identifiers_find(const apus_identifiers *table, const uint8_t *text, int64_t length);
