#pragma once
#include <stdint.h>
#include "RoundedRows.h"

// Walks in a layered graph of near neighbors (HNSW). Distances order rows as the search does: half(b) - q.b - e_q e_b,
// where halves and extras are 0 if there are none.

typedef struct apus_graph {
    int64_t d;
    /// Rows rounded to 8 bits; null to compare the vectors themselves.
    const uint8_t *codes;
    const float *scales;
    const float *vectors;  // count x d
    const float *halves;   // null for 0
    const float *extras;   // null for 0
    /// Lowest layer: base_links numbers a row, -1 behind the last.
    const int32_t *base;
    int64_t base_links;
    /// Layers above: those of row i are lists offsets[i] ..< offsets[i + 1] of `links` numbers each.
    const int32_t *offsets;
    const int32_t *upper;
    int64_t links;
} apus_graph;

/// A row that was found.
typedef struct apus_near {
    float distance;
    int32_t row;
} apus_near;

/// Memory of one walk. `visited` is all 0 between walks.
typedef struct apus_graph_memory {
    uint64_t *visited;  // a bit for each row
    int32_t *touched;   // room for all rows
    int8_t *code;       // a row of codes
} apus_graph_memory;

/// Walks a layer from the `count` rows in `beam`, whose distances need not be set, nearest rows first; answers how many rows
/// the beam then has, at most `width`, in order. `beam` has room for width + 1 and at least the rows given. `extra` is e_q.
int64_t apus_graph_walk(const apus_graph *graph, const apus_rounded_query *query, float extra, int64_t layer,
                        apus_near *beam, int64_t count, int64_t width, const apus_graph_memory *memory);

/// The code of a stored row as a query (only code, row, scale and offset are set).
void apus_graph_query_of_row(const apus_graph *graph, int32_t row, int8_t *code, apus_rounded_query *query);

/// Distances of a query from rows.
void apus_graph_distances(const apus_graph *graph, const apus_rounded_query *query, float extra, apus_near *rows,
                          int64_t count);

/// Of candidates in order of their distance from `row`, the first and each that is not nearer to one chosen
/// before than to `row`, `most` at most; answers how many.
int64_t apus_graph_choose(const apus_graph *graph, int32_t row, const apus_near *candidates, int64_t count, int64_t most,
                          int32_t *chosen, const apus_graph_memory *memory);

/// ½ of a row's squared length, of its code or of the vector, as the graph compares it.
float apus_graph_half(const apus_graph *graph, int32_t row);
