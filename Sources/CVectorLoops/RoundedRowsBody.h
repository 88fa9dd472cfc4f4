// The text of RoundedRows.c and GraphSearch.c for one instruction set: APUS_NAME(name), APUS_CODE_PRODUCT.

#if defined(APUS_ROUNDED_VNNI)
// Sum of u times v over whole cache lines.
static inline int32_t APUS_NAME(code_product)(const uint8_t *u, const int8_t *v, int64_t bytes) {
    __m512i a = _mm512_setzero_si512(), b = a;
    int64_t p = 0;
    for (; p + 128 <= bytes; p += 128) {
        a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(u + p), _mm512_loadu_si512(v + p));
        b = _mm512_dpbusd_epi32(b, _mm512_loadu_si512(u + p + 64), _mm512_loadu_si512(v + p + 64));
    }
    if (p < bytes) a = _mm512_dpbusd_epi32(a, _mm512_loadu_si512(u + p), _mm512_loadu_si512(v + p));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}
#else
static inline int32_t APUS_NAME(code_product)(const uint8_t *u, const int8_t *v, int64_t bytes) {
    int32_t sum = 0;
    for (int64_t p = 0; p < bytes; p++) sum += (int32_t)u[p] * (int32_t)v[p];
    return sum;
}
#endif

#if defined(APUS_ROUNDED_SCAN)
static int64_t APUS_NAME(scan)(apus_top_k *states, int64_t query_count, const apus_rounded_query *queries,
                               const uint8_t *codes, const float *scales, const float *residuals, const float *norms,
                               const float *candidates, int64_t candidate_stride, int64_t candidate_count,
                               int32_t first_index, const float *bias, int64_t d, const int64_t *row_pointers,
                               const int32_t *excluded, float share) {
    int64_t bytes = apus_rounded_bytes(d), scored = 0;
    for (int64_t first = 0; first < candidate_count; first += 64) {
        int64_t count = candidate_count - first < 64 ? candidate_count - first : 64;
        for (int64_t q = 0; q < query_count; q++) {
            const apus_rounded_query *query = queries + q;
            int32_t products[64];
            for (int64_t j = 0; j < count; j++) {
                products[j] = APUS_NAME(code_product)(codes + (first + j) * bytes, query->code, bytes);
            }
            // What a score may be at most. "Not below" lets NaN pass.
            uint8_t passes[64];
            float threshold = states[q].threshold;
            int any = 0;
            for (int64_t j = 0; j < count; j++) {
                int64_t i = first + j;
                float own = bias ? bias[i] : 0;
                float size = own < INFINITY && own > -INFINITY ? (own < 0 ? -own : own) : 0;
                float reach = query->norm * residuals[i] + query->residual * norms[i] + 0x1p-22f * size;
                float score = query->scale * scales[i] * (float)(products[j] - query->offset) + own;
                passes[j] = !(score + share * reach < threshold);
                any |= passes[j];
            }
            if (!any) continue;
            const int32_t *listed = row_pointers ? excluded + row_pointers[q] : 0;
            int64_t listed_count = row_pointers ? row_pointers[q + 1] - row_pointers[q] : 0;
            for (int64_t j = 0; j < count; j++) {
                if (!passes[j]) continue;
                float score = apus_dot(query->row, candidates + (first + j) * candidate_stride, d);
                if (bias) score += bias[first + j];
                scored++;
                apus_top_k_offer_one(states + q, score, first_index + (int32_t)(first + j), listed, listed_count);
            }
        }
    }
    return scored;
}
#endif

#if defined(APUS_ROUNDED_GRAPH)
static inline float APUS_NAME(distance)(const apus_graph *graph, const apus_rounded_query *query, float extra,
                                        int32_t row, int64_t bytes) {
    float product;
    if (graph->codes) {
        int32_t sum = APUS_NAME(code_product)(graph->codes + row * bytes, query->code, bytes) - query->offset;
        product = query->scale * graph->scales[row] * (float)sum;
    } else {
        product = apus_dot(query->row, graph->vectors + row * graph->d, graph->d);
    }
    if (graph->extras) product += extra * graph->extras[row];
    return (graph->halves ? graph->halves[row] : 0) - product;
}

static inline void APUS_NAME(expect)(const apus_graph *graph, int32_t row, int64_t bytes) {
    const char *address = graph->codes ? (const char *)(graph->codes + row * bytes)
                                       : (const char *)(graph->vectors + row * graph->d);
    int64_t size = graph->codes ? bytes : 4 * graph->d;
    if (size > 512) size = 512;
    for (int64_t p = 0; p < size; p += 64) __builtin_prefetch(address + p);
    if (graph->codes) __builtin_prefetch(graph->scales + row);
}

static void APUS_NAME(distances)(const apus_graph *graph, const apus_rounded_query *query, float extra,
                                 apus_near *rows, int64_t count) {
    int64_t bytes = apus_rounded_bytes(graph->d);
    for (int64_t i = 0; i < count; i++) {
        rows[i].distance = APUS_NAME(distance)(graph, query, extra, rows[i].row, bytes);
    }
}

// The nearer, and of equally near ones the lower number, comes first.
static inline int64_t APUS_NAME(insert)(apus_near *beam, int64_t *count, int64_t width, apus_near one) {
    int64_t low = 0, high = *count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        // A row that was walked from has its sign bit set.
        int32_t row = beam[middle].row & 0x7FFFFFFF;
        if (beam[middle].distance < one.distance || (beam[middle].distance == one.distance && row < one.row)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low >= width) return -1;
    if (*count < width) (*count)++;
    memmove(beam + low + 1, beam + low, (size_t)(*count - 1 - low) * sizeof(apus_near));
    beam[low] = one;
    return low;
}

static int64_t APUS_NAME(walk)(const apus_graph *graph, const apus_rounded_query *query, float extra, int64_t layer,
                               apus_near *beam, int64_t given, int64_t width, const apus_graph_memory *memory) {
    int64_t bytes = apus_rounded_bytes(graph->d), touched = 0, count = 0, next = 0;
    int64_t most = layer == 0 ? graph->base_links : graph->links;
    // Entries are ordered in place: those before i are done.
    for (int64_t i = 0; i < given; i++) {
        apus_near one = {APUS_NAME(distance)(graph, query, extra, beam[i].row, bytes), beam[i].row};
        memory->visited[one.row >> 6] |= 1ull << (one.row & 63);
        memory->touched[touched++] = one.row;
        APUS_NAME(insert)(beam, &count, width, one);
    }
    int32_t fresh[256];
    while (next < count) {
        int32_t row = beam[next].row;
        if (row < 0) {
            next++;
            continue;
        }
        beam[next].row = row | (int32_t)0x80000000;
        const int32_t *links =
            layer == 0 ? graph->base + row * most : graph->upper + (graph->offsets[row] + layer - 1) * most;
        int64_t found = 0;
        for (int64_t j = 0; j < most && links[j] >= 0; j++) {
            int32_t other = links[j];
            uint64_t bit = 1ull << (other & 63);
            if (memory->visited[other >> 6] & bit) continue;
            memory->visited[other >> 6] |= bit;
            memory->touched[touched++] = other;
            fresh[found++] = other;
            APUS_NAME(expect)(graph, other, bytes);
        }
        for (int64_t j = 0; j < found; j++) {
            apus_near one = {APUS_NAME(distance)(graph, query, extra, fresh[j], bytes), fresh[j]};
            if (count == width && !(one.distance <= beam[count - 1].distance)) continue;
            int64_t place = APUS_NAME(insert)(beam, &count, width, one);
            if (place >= 0 && place < next) next = place;
        }
    }
    for (int64_t i = 0; i < count; i++) beam[i].row &= 0x7FFFFFFF;
    for (int64_t i = 0; i < touched; i++) memory->visited[memory->touched[i] >> 6] = 0;
    return count;
}

static void APUS_NAME(query_of_row)(const apus_graph *graph, int32_t row, int8_t *code, apus_rounded_query *query) {
    query->row = graph->vectors + row * graph->d;
    query->code = code;
    if (!graph->codes) return;
    int64_t bytes = apus_rounded_bytes(graph->d);
    const uint8_t *own = graph->codes + row * bytes;
    int32_t sum = 0;
    for (int64_t p = 0; p < bytes; p++) {
        code[p] = (int8_t)(own[p] ^ 0x80);
        sum += code[p];
    }
    query->scale = graph->scales[row];
    query->offset = 128 * sum;
}

static int64_t APUS_NAME(choose)(const apus_graph *graph, int32_t row, const apus_near *candidates, int64_t count,
                                 int64_t most, int32_t *chosen, const apus_graph_memory *memory) {
    int64_t bytes = apus_rounded_bytes(graph->d), found = 0;
    float base = graph->halves ? graph->halves[row] : 0;
    for (int64_t i = 0; i < count && found < most; i++) {
        int32_t one = candidates[i].row;
        apus_rounded_query query;
        bool apart = true;
        if (found > 0) {
            APUS_NAME(query_of_row)(graph, one, memory->code, &query);
            float limit = base + candidates[i].distance - (graph->halves ? graph->halves[one] : 0);
            float extra = graph->extras ? graph->extras[one] : 0;
            for (int64_t j = 0; j < found && apart; j++) {
                apart = APUS_NAME(distance)(graph, &query, extra, chosen[j], bytes) >= limit;
            }
        }
        if (apart) chosen[found++] = one;
    }
    return found;
}
#endif
