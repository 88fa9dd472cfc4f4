#include "IdentifierTableInline.h"
#include <sys/mman.h>

// Mapped, not from malloc, which after a few large frees would take it from its heap, touch all of it to make it zero,
// and keep it.
static uint32_t *direct_create(void) {
    void *p = mmap(
        NULL, APUS_DIRECT_LIMIT * sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int slots_create(apus_slots *s, uint64_t capacity) {
    s->slots = calloc(capacity, sizeof(apus_slot));
    s->mask = capacity - 1;
    s->used = 0;
    return s->slots != NULL;
}

apus_identifiers *apus_identifiers_create(void) {
    apus_identifiers *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->direct = direct_create();
    t->capacity = 1024;
    t->offsets = malloc((t->capacity + 1) * sizeof(int64_t));
    t->first = malloc(t->capacity * sizeof(uint64_t));
    t->bytes_capacity = 16384;
    t->bytes = malloc(t->bytes_capacity);
    int fine = slots_create(&t->brief, 1024) & slots_create(&t->lengthy, 1024);
    if (!fine || !t->direct || !t->offsets || !t->first || !t->bytes) {
        apus_identifiers_destroy(t);
        return NULL;
    }
    t->offsets[0] = 0;
    return t;
}

void apus_identifiers_destroy(apus_identifiers *t) {
    if (!t) return;
    if (t->direct) munmap(t->direct, APUS_DIRECT_LIMIT * sizeof(uint32_t));
    free(t->brief.slots);
    free(t->lengthy.slots);
    free(t->bytes);
    free(t->offsets);
    free(t->first);
    free(t);
}

int64_t apus_identifiers_count(const apus_identifiers *t) { return t->count; }
const uint8_t *apus_identifiers_bytes(const apus_identifiers *t) { return t->bytes; }
const int64_t *apus_identifiers_offsets(const apus_identifiers *t) { return t->offsets; }
const uint64_t *apus_identifiers_first_positions(const apus_identifiers *t) { return t->first; }

int32_t apus_identifiers_append(apus_identifiers *t, const uint8_t *text, int64_t length, uint64_t position) {
    if (t->count >= INT32_MAX) return -1;
    if ((uint64_t)t->count == t->capacity) {
        uint64_t capacity = t->capacity * 2;
        int64_t *offsets = realloc(t->offsets, (capacity + 1) * sizeof(int64_t));
        if (!offsets) return -1;
        t->offsets = offsets;
        uint64_t *first = realloc(t->first, capacity * sizeof(uint64_t));
        if (!first) return -1;
        t->first = first;
        t->capacity = capacity;
    }
    uint64_t start = (uint64_t)t->offsets[t->count];
    if (start + (uint64_t)length > t->bytes_capacity) {
        uint64_t capacity = t->bytes_capacity * 2;
        if (capacity < start + (uint64_t)length) capacity = start + (uint64_t)length;
        uint8_t *bytes = realloc(t->bytes, capacity);
        if (!bytes) return -1;
        t->bytes = bytes;
        t->bytes_capacity = capacity;
    }
    memcpy(t->bytes + start, text, (size_t)length);
    t->first[t->count] = position;
    t->offsets[t->count + 1] = (int64_t)start + length;
    return (int32_t)t->count++;
}

static int slots_grow(apus_slots *s, uint64_t (*home)(uint64_t)) {
    apus_slots bigger;
    if (!slots_create(&bigger, (s->mask + 1) * 2)) return 0;
    for (uint64_t i = 0; i <= s->mask; i++) {
        if (!s->slots[i].index) continue;
        uint64_t place = home(s->slots[i].key) & bigger.mask;
        while (bigger.slots[place].index) place = (place + 1) & bigger.mask;
        bigger.slots[place] = s->slots[i];
    }
    bigger.used = s->used;
    free(s->slots);
    *s = bigger;
    return 1;
}

static uint64_t brief_home(uint64_t key) {
    uint64_t h = (key ^ 0x9E3779B97F4A7C15ull) * 0xD6E8FEB86659FD93ull;
    return h ^ (h >> 32);
}

static uint64_t lengthy_home(uint64_t hash) { return hash; }

static uint64_t hash_text(const uint8_t *p, int64_t length) {
    uint64_t h = 0x2D358DCCAA6C78A5ull ^ (uint64_t)length;
    int64_t n = length;
    while (n > 16) {
        h = apus_multiply_mix(apus_load64(p) ^ 0x8BB84B93962EACC9ull, apus_load64(p + 8) ^ h);
        p += 16;
        n -= 16;
    }
    uint64_t a = 0, b = 0;
    if (n >= 8) {
        a = apus_load64(p);
        b = apus_load64(p + n - 8);
    } else {
        memcpy(&a, p, (size_t)n);
    }
    h = apus_multiply_mix(a ^ 0x8BB84B93962EACC9ull, b ^ h);
    return apus_multiply_mix(h, 0x4B33A62ED433D4A3ull);
}

// Text of at most 8 bytes may still hold a NUL when it comes from memory and not from a file; the length in the slot
// keeps "a" and "a\0" apart.
static int32_t brief(apus_identifiers *t, uint64_t key, const uint8_t *text, int64_t length, uint64_t position, int add) {
    uint64_t place = brief_home(key) & t->brief.mask;
    for (;;) {
        apus_slot *slot = &t->brief.slots[place];
        if (!slot->index) break;
        if (slot->key == key && slot->length == (uint32_t)length) return (int32_t)(slot->index - 1);
        place = (place + 1) & t->brief.mask;
    }
    if (!add) return -1;
    int32_t index = apus_identifiers_append(t, text, length, position);
    if (index < 0) return -1;
    t->brief.slots[place] = (apus_slot){key, (uint32_t)index + 1, (uint32_t)length};
    if (++t->brief.used * 2 > t->brief.mask && !slots_grow(&t->brief, brief_home)) return -1;
    return index;
}

static int32_t lengthy(apus_identifiers *t, const uint8_t *text, int64_t length, uint64_t position, int add) {
    uint64_t hash = hash_text(text, length);
    uint64_t place = hash & t->lengthy.mask;
    for (;;) {
        apus_slot *slot = &t->lengthy.slots[place];
        if (!slot->index) break;
        if (slot->key == hash) {
            int64_t start = t->offsets[slot->index - 1];
            if (t->offsets[slot->index] - start == length && memcmp(t->bytes + start, text, (size_t)length) == 0)
                return (int32_t)(slot->index - 1);
        }
        place = (place + 1) & t->lengthy.mask;
    }
    if (!add) return -1;
    int32_t index = apus_identifiers_append(t, text, length, position);
    if (index < 0) return -1;
    t->lengthy.slots[place] = (apus_slot){hash, (uint32_t)index + 1, (uint32_t)length};
    if (++t->lengthy.used * 2 > t->lengthy.mask && !slots_grow(&t->lengthy, lengthy_home)) return -1;
    return index;
}

int32_t apus_identifiers_brief(apus_identifiers *t, uint64_t key, const uint8_t *text, int64_t length, uint64_t position) {
    return brief(t, key, text, length, position, 1);
}

int32_t apus_identifiers_lengthy(apus_identifiers *t, const uint8_t *text, int64_t length, uint64_t position) {
    return lengthy(t, text, length, position, 1);
}

int32_t apus_identifiers_add(apus_identifiers *t, const uint8_t *text, int64_t length, uint64_t position) {
    if (length > 8) return lengthy(t, text, length, position, 1);
    // apus_intern reads up to eight bytes before the text.
    uint8_t buffer[16] = {0};
    memcpy(buffer + 8, text, (size_t)length);
    if (length == 0 || memchr(text, 0, (size_t)length))
        return brief(t, apus_load64(buffer + 8), text, length, position, 1);
    return apus_intern(t, buffer + 8, length, position);
}

int32_t apus_identifiers_find(const apus_identifiers *table, const uint8_t *text, int64_t length) {
    apus_identifiers *t = (apus_identifiers *)table;
    if (length > 8) return lengthy(t, text, length, 0, 0);
    uint8_t buffer[16] = {0};
    memcpy(buffer + 8, text, (size_t)length);
    uint64_t key = apus_load64(buffer + 8);
    if (length >= 1 && length <= 7 && !memchr(text, 0, (size_t)length)) {
        uint64_t x = apus_load64(buffer + length);
        unsigned shift = (unsigned)(64 - 8 * length);
        uint64_t y = ((x ^ 0x3030303030303030ull) >> shift) << shift;
        if (apus_all_digits(y) && (text[0] != '0' || length == 1)) {
            uint32_t value = apus_eight_digits(y);
            if (value < APUS_DIRECT_LIMIT) return (int32_t)t->direct[value] - 1;
        }
    }
    return brief(t, key, text, length, 0, 0);
}
