#include "GraphSearch.h"

#include "Vectors.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define APUS_ROUNDED_GRAPH
#include "RoundedRowsSets.h"

int64_t apus_graph_walk(const apus_graph *graph, const apus_rounded_query *query, float extra, int64_t layer,
                        apus_near *beam, int64_t count, int64_t width, const apus_graph_memory *memory) {
    APUS_DISPATCH(walk, graph, query, extra, layer, beam, count, width, memory);
}

void apus_graph_query_of_row(const apus_graph *graph, int32_t row, int8_t *code, apus_rounded_query *query) {
    APUS_DISPATCH(query_of_row, graph, row, code, query);
}

void apus_graph_distances(const apus_graph *graph, const apus_rounded_query *query, float extra, apus_near *rows,
                          int64_t count) {
    APUS_DISPATCH(distances, graph, query, extra, rows, count);
}

int64_t apus_graph_choose(const apus_graph *graph, int32_t row, const apus_near *candidates, int64_t count, int64_t most,
                          int32_t *chosen, const apus_graph_memory *memory) {
    APUS_DISPATCH(choose, graph, row, candidates, count, most, chosen, memory);
}

float apus_graph_half(const apus_graph *graph, int32_t row) {
    if (!graph->codes) {
        const float *own = graph->vectors + row * graph->d;
        double sum = 0;
        for (int64_t p = 0; p < graph->d; p++) sum += (double)own[p] * own[p];
        return (float)(sum / 2);
    }
    int64_t bytes = apus_rounded_bytes(graph->d), sum = 0;
    const uint8_t *own = graph->codes + row * bytes;
    for (int64_t p = 0; p < bytes; p++) sum += (own[p] - 128) * (own[p] - 128);
    return (float)((double)graph->scales[row] * graph->scales[row] * (double)sum / 2);
}
