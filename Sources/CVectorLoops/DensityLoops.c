#include "DensityLoops.h"

#include <stdbool.h>
#include <string.h>

#include "VectorClones.h"
#include "Vectors.h"

typedef double apus_double8 __attribute__((ext_vector_type(8)));
typedef double apus_double8_unaligned __attribute__((ext_vector_type(8), aligned(8)));
typedef bool apus_bool8 __attribute__((ext_vector_type(8)));
#define LOAD8(pointer) (*(const apus_double8_unaligned *)(pointer))

// Which of up to 8 points from i on are within the radius of a point, a bit each.
APUS_INLINE uint32_t within8(const apus_density *s, const double *point, int64_t i, int64_t last) {
    apus_double8 sum = 0;
    if (i + 8 <= last || i + 8 <= s->count) {
        for (int64_t p = 0; p < s->d; p++) {
            apus_double8 x = LOAD8(s->coordinates + p * s->stride + i) - point[p];
            sum += x * x;
        }
    } else {
        for (int64_t lane = 0; lane < 8; lane++) {
            double total = i + lane < last ? 0 : 2 * s->radius2 + 1;
            for (int64_t p = 0; p < s->d && i + lane < last; p++) {
                double x = s->coordinates[p * s->stride + i + lane] - point[p];
                total += x * x;
            }
            sum[lane] = total;
        }
    }
    apus_bool8 inside = __builtin_convertvector(sum <= s->radius2, apus_bool8);
    uint8_t bits;
    memcpy(&bits, &inside, 1);
    return last - i < 8 ? bits & ((1u << (last - i)) - 1) : bits;
}

APUS_INLINE void point_at(const apus_density *s, int64_t i, double *point) {
    for (int64_t p = 0; p < s->d; p++) point[p] = s->coordinates[p * s->stride + i];
}

// Squared distance from a point, or between two boxes.
APUS_INLINE double point_box(const double *point, const double *box, int64_t d) {
    double sum = 0;
    for (int64_t p = 0; p < d; p++) {
        double below = box[2 * p] - point[p], above = point[p] - box[2 * p + 1];
        double gap = below > 0 ? below : above > 0 ? above : 0;
        sum += gap * gap;
    }
    return sum;
}

APUS_INLINE double box_box(const double *a, const double *b, int64_t d) {
    double sum = 0;
    for (int64_t p = 0; p < d; p++) {
        double left = a[2 * p] - b[2 * p + 1], right = b[2 * p] - a[2 * p + 1];
        double gap = left > 0 ? left : right > 0 ? right : 0;
        sum += gap * gap;
    }
    return sum;
}

static int64_t first_not_below(const int64_t *keys, int64_t count, int64_t key) {
    int64_t low = 0, high = count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (keys[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Squared distances of boxes round; a hair more than the radius keeps what is exactly on it.
#define REACHES(distance2, s) ((distance2) <= (s)->radius2 * (1 + 1e-12))

// `places`, one for each row and -1 at first, remembers where the rows of the last cell began: cells come in order.
static int64_t near_in_grid(const apus_density *s, int64_t key, const double *box, int64_t *found, int64_t *places) {
    int64_t count = 0;
    for (int64_t row = 0; row < s->row_count; row++) {
        int64_t middle = key + s->row_offsets[row], first = middle - s->reach, c = places ? places[row] : -1;
        if (c < 0) c = first_not_below(s->keys, s->cell_count, first);
        while (c < s->cell_count && s->keys[c] < first) c++;
        if (places) places[row] = c;
        for (; c < s->cell_count && s->keys[c] <= middle + s->reach; c++) {
            if (REACHES(box_box(box, s->bounds + c * 2 * s->d, s->d), s)) found[count++] = c;
        }
    }
    return count;
}

static int64_t near_in_tree(const apus_density *s, const double *box, int64_t *found) {
    int64_t count = 0, depth = 0, waiting[128];
    waiting[depth++] = 0;
    while (depth > 0) {
        int64_t node = waiting[--depth];
        if (!REACHES(box_box(box, s->tree_bounds + node * 2 * s->d, s->d), s)) continue;
        if (s->tree[3 * node] >= 0) {
            found[count++] = s->tree[3 * node];
        } else {
            waiting[depth++] = s->tree[3 * node + 1];
            waiting[depth++] = node + 1;
        }
    }
    return count;
}

// Cells that may hold points within the radius of a cell's.
static int64_t near_cell(const apus_density *s, int64_t cell, int64_t *found, int64_t *places) {
    const double *box = s->bounds + cell * 2 * s->d;
    return s->keys ? near_in_grid(s, s->keys[cell], box, found, places) : near_in_tree(s, box, found);
}

#define APUS_ROWS_OF_CELLS 32

static void forget(int64_t *places) {
    for (int row = 0; row < APUS_ROWS_OF_CELLS; row++) places[row] = -1;
}

APUS_VECTOR_CLONES
void apus_density_cores(const apus_density *s, int64_t first_cell, int64_t last_cell, int64_t minimum, uint8_t *core,
                        int64_t *found) {
    double point[s->d];
    int64_t places[APUS_ROWS_OF_CELLS];
    forget(places);
    for (int64_t cell = first_cell; cell < last_cell; cell++) {
        int64_t begin = s->cell_starts[cell], end = s->cell_starts[cell + 1];
        if (s->compact && end - begin >= minimum) {
            memset(core + begin, 1, (size_t)(end - begin));
            continue;
        }
        int64_t near = near_cell(s, cell, found, places);
        for (int64_t i = begin; i < end; i++) {
            point_at(s, i, point);
            int64_t count = 0;
            for (int64_t n = 0; n < near && count < minimum; n++) {
                int64_t other = found[n];
                if (s->d > 3 && !REACHES(point_box(point, s->bounds + other * 2 * s->d, s->d), s)) continue;
                for (int64_t j = s->cell_starts[other]; j < s->cell_starts[other + 1] && count < minimum; j += 8) {
                    count += __builtin_popcount(within8(s, point, j, s->cell_starts[other + 1]));
                }
            }
            core[i] = count >= minimum;
        }
    }
}

int32_t apus_density_root(int32_t *parents, int32_t point) {
    while (true) {
        int32_t parent = __atomic_load_n(parents + point, __ATOMIC_RELAXED);
        if (parent == point) return point;
        int32_t above = __atomic_load_n(parents + parent, __ATOMIC_RELAXED);
        // Halving the path; another thread may have moved it higher already, which is as good.
        if (above != parent) {
            __atomic_compare_exchange_n(parents + point, &parent, above, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }
        point = above;
    }
}

// The larger root is hung below the smaller, so that the forest's sets don't depend on the order of the threads.
static void join(int32_t *parents, int32_t a, int32_t b) {
    while (true) {
        a = apus_density_root(parents, a);
        b = apus_density_root(parents, b);
        if (a == b) return;
        int32_t high = a > b ? a : b, low = a > b ? b : a, expected = high;
        if (__atomic_compare_exchange_n(parents + high, &expected, low, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            return;
        }
    }
}

APUS_VECTOR_CLONES
void apus_density_join(const apus_density *s, int64_t first_cell, int64_t last_cell, const uint8_t *core,
                       int32_t *parents, int64_t *found) {
    double point[s->d];
    int64_t places[APUS_ROWS_OF_CELLS];
    forget(places);
    for (int64_t cell = first_cell; cell < last_cell; cell++) {
        int64_t begin = s->cell_starts[cell], end = s->cell_starts[cell + 1];
        int64_t first = begin;
        while (first < end && !core[first]) first++;
        if (first == end) continue;
        if (s->compact) {
            for (int64_t i = first + 1; i < end; i++) {
                if (core[i]) join(parents, (int32_t)first, (int32_t)i);
            }
        }
        int64_t near = near_cell(s, cell, found, places);
        for (int64_t n = 0; n < near; n++) {
            int64_t other = found[n];
            if (other > cell || (other == cell && s->compact)) continue;
            int64_t other_begin = s->cell_starts[other], other_end = s->cell_starts[other + 1];
            if (s->compact) {
                int64_t representative = other_begin;
                while (representative < other_end && !core[representative]) representative++;
                if (representative == other_end) continue;
                if (apus_density_root(parents, (int32_t)first) == apus_density_root(parents, (int32_t)representative)) {
                    continue;
                }
                bool joined = false;
                for (int64_t i = first; i < end && !joined; i++) {
                    if (!core[i]) continue;
                    point_at(s, i, point);
                    if (!REACHES(point_box(point, s->bounds + other * 2 * s->d, s->d), s)) continue;
                    for (int64_t j = representative; j < other_end && !joined; j += 8) {
                        for (uint32_t bits = within8(s, point, j, other_end); bits && !joined; bits &= bits - 1) {
                            if (core[j + __builtin_ctz(bits)]) joined = true;
                        }
                    }
                }
                if (joined) join(parents, (int32_t)first, (int32_t)representative);
                continue;
            }
            for (int64_t i = first; i < end; i++) {
                if (!core[i]) continue;
                point_at(s, i, point);
                if (!REACHES(point_box(point, s->bounds + other * 2 * s->d, s->d), s)) continue;
                for (int64_t j = other_begin; j < other_end; j += 8) {
                    for (uint32_t bits = within8(s, point, j, other_end); bits; bits &= bits - 1) {
                        int64_t neighbor = j + __builtin_ctz(bits);
                        if (core[neighbor]) join(parents, (int32_t)i, (int32_t)neighbor);
                    }
                }
            }
        }
    }
}

APUS_INLINE int32_t smallest_label(const apus_density *s, const double *point, const int64_t *found, int64_t near,
                                   const uint8_t *core, const int32_t *labels) {
    int32_t best = -1;
    for (int64_t n = 0; n < near; n++) {
        int64_t other = found[n];
        if (!REACHES(point_box(point, s->bounds + other * 2 * s->d, s->d), s)) continue;
        for (int64_t j = s->cell_starts[other]; j < s->cell_starts[other + 1]; j += 8) {
            for (uint32_t bits = within8(s, point, j, s->cell_starts[other + 1]); bits; bits &= bits - 1) {
                int64_t neighbor = j + __builtin_ctz(bits);
                if (core && !core[neighbor]) continue;
                if (best < 0 || labels[neighbor] < best) best = labels[neighbor];
            }
        }
    }
    return best;
}

APUS_VECTOR_CLONES
void apus_density_borders(const apus_density *s, int64_t first_cell, int64_t last_cell, const uint8_t *core,
                          int32_t *labels, int64_t *found) {
    double point[s->d];
    int64_t places[APUS_ROWS_OF_CELLS];
    forget(places);
    for (int64_t cell = first_cell; cell < last_cell; cell++) {
        int64_t begin = s->cell_starts[cell], end = s->cell_starts[cell + 1];
        int64_t near = -1;
        for (int64_t i = begin; i < end; i++) {
            if (core[i]) continue;
            if (near < 0) near = near_cell(s, cell, found, places);
            point_at(s, i, point);
            labels[i] = smallest_label(s, point, found, near, core, labels);
        }
    }
}

APUS_VECTOR_CLONES
int32_t apus_density_lookup(const apus_density *s, int64_t key, const double *point, const int32_t *labels,
                            int64_t *found) {
    double box[2 * s->d];
    for (int64_t p = 0; p < s->d; p++) box[2 * p] = box[2 * p + 1] = point[p];
    int64_t near = s->keys ? near_in_grid(s, key, box, found, 0) : near_in_tree(s, box, found);
    return smallest_label(s, point, found, near, 0, labels);
}

// MARK: Tree

typedef struct {
    const float *points;
    int64_t stride, d, leaf;
    int32_t *order;
    int64_t *leaf_starts, *tree;
    double *bounds;
    int64_t nodes, leaves;
} tree_builder;

// Rearranges order[begin ..< end] so that the middle one is where it would be if sorted, smaller ones before it.
static void select_middle(const tree_builder *b, int64_t begin, int64_t end, int64_t middle, int64_t dimension) {
    const float *x = b->points + dimension;
    while (end - begin > 1) {
        float first = x[b->order[begin] * b->stride], last = x[b->order[end - 1] * b->stride];
        float center = x[b->order[begin + (end - begin) / 2] * b->stride];
        float low = first < last ? first : last, high = first < last ? last : first;
        float pivot = center < low ? low : center > high ? high : center;
        int64_t less = begin, place = begin, more = end;
        while (place < more) {
            int32_t one = b->order[place];
            float value = x[one * b->stride];
            if (value < pivot) {
                b->order[place++] = b->order[less];
                b->order[less++] = one;
            } else if (value > pivot) {
                b->order[place] = b->order[--more];
                b->order[more] = one;
            } else {
                place++;
            }
        }
        if (middle < less) end = less;
        else if (middle >= more) begin = more;
        else return;
    }
}

static int64_t build(tree_builder *b, int64_t begin, int64_t end) {
    int64_t node = b->nodes++;
    double *bounds = b->bounds + node * 2 * b->d;
    for (int64_t p = 0; p < b->d; p++) {
        float low = b->points[b->order[begin] * b->stride + p], high = low;
        for (int64_t i = begin + 1; i < end; i++) {
            float value = b->points[b->order[i] * b->stride + p];
            if (value < low) low = value;
            if (value > high) high = value;
        }
        bounds[2 * p] = low;
        bounds[2 * p + 1] = high;
    }
    if (end - begin <= b->leaf) {
        b->tree[3 * node] = b->leaves;
        b->leaf_starts[b->leaves++] = begin;
        return node;
    }
    int64_t widest = 0;
    for (int64_t p = 1; p < b->d; p++) {
        if (bounds[2 * p + 1] - bounds[2 * p] > bounds[2 * widest + 1] - bounds[2 * widest]) widest = p;
    }
    int64_t middle = begin + (end - begin) / 2;
    select_middle(b, begin, end, middle, widest);
    b->tree[3 * node] = -1;
    build(b, begin, middle);
    b->tree[3 * node + 1] = build(b, middle, end);
    return node;
}

int64_t apus_density_tree(const float *points, int64_t stride, int64_t count, int64_t d, int64_t leaf, int32_t *order,
                          int64_t *leaf_starts, int64_t *tree, double *tree_bounds, int64_t *node_count) {
    tree_builder b = {points, stride, d, leaf, order, leaf_starts, tree, tree_bounds, 0, 0};
    if (count > 0) build(&b, 0, count);
    leaf_starts[b.leaves] = count;
    *node_count = b.nodes;
    return b.leaves;
}

void apus_density_sort(int64_t *keys, int32_t *numbers, int64_t count, int32_t bits, int64_t *key_scratch,
                    int32_t *number_scratch) {
    int64_t *from = keys, *to = key_scratch;
    int32_t *from_numbers = numbers, *to_numbers = number_scratch;
    for (int32_t shift = 0; shift < bits; shift += 11) {
        int64_t places[2049] = {0};
        for (int64_t i = 0; i < count; i++) places[((from[i] >> shift) & 2047) + 1]++;
        for (int64_t v = 0; v < 2048; v++) places[v + 1] += places[v];
        for (int64_t i = 0; i < count; i++) {
            int64_t place = places[(from[i] >> shift) & 2047]++;
            to[place] = from[i];
            to_numbers[place] = from_numbers[i];
        }
        int64_t *swap = from;
        from = to;
        to = swap;
        int32_t *swap_numbers = from_numbers;
        from_numbers = to_numbers;
        to_numbers = swap_numbers;
    }
    if (from != keys) {
        memcpy(keys, from, (size_t)count * 8);
        memcpy(numbers, from_numbers, (size_t)count * 4);
    }
}
