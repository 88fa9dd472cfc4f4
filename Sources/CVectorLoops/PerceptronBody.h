// Included once for each instruction set by Perceptron.c.

#pragma clang fp contract(fast)
#define APUS_UNROLL _Pragma("clang loop unroll(full)")

// A tile of ROWS × (16 · VECTORS) of c = a · b + bias: a's element (i, k) at a[i · a_row + k · a_column], b's rows
// contiguous. With `mask` what lies where mask is not above 0 becomes 0 (the gradient of relu).
#define APUS_TILE(ROWS, VECTORS)                                                                                        \
    static inline __attribute__((always_inline)) void APUS_NAME(tile_##ROWS##_##VECTORS)(                               \
        const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_stride, int64_t k_count, float *c,   \
        int64_t c_stride, const float *bias, int relu, const float *mask, int64_t mask_stride) {                        \
        apus_float16 sum[ROWS][VECTORS];                                                                                \
        APUS_UNROLL for (int i = 0; i < ROWS; i++) {                                             \
            APUS_UNROLL for (int v = 0; v < VECTORS; v++) {                                      \
                sum[i][v] = bias ? APUS_LOAD(bias + 16 * v) : (apus_float16)0;                                          \
            }                                                                                                           \
        }                                                                                                               \
        for (int64_t k = 0; k < k_count; k++) {                                                                         \
            apus_float16 right[VECTORS];                                                                                \
            APUS_UNROLL for (int v = 0; v < VECTORS; v++) {                                      \
                right[v] = APUS_LOAD(b + k * b_stride + 16 * v);                                                        \
            }                                                                                                           \
            APUS_UNROLL for (int i = 0; i < ROWS; i++) {                                         \
                const apus_float16 left = a[i * a_row + k * a_column];                                                  \
                APUS_UNROLL for (int v = 0; v < VECTORS; v++) sum[i][v] += left * right[v];      \
            }                                                                                                           \
        }                                                                                                               \
        APUS_UNROLL for (int i = 0; i < ROWS; i++) {                                             \
            APUS_UNROLL for (int v = 0; v < VECTORS; v++) {                                      \
                apus_float16 value = sum[i][v];                                                                         \
                const apus_float16 zero = 0;                                                                            \
                if (relu) value = value < zero ? zero : value;                                                          \
                if (mask) value = APUS_LOAD(mask + i * mask_stride + 16 * v) > zero ? value : zero;                     \
                APUS_STORE(c + i * c_stride + 16 * v, value);                                                           \
            }                                                                                                           \
        }                                                                                                               \
    }

APUS_TILE(6, 4)
APUS_TILE(4, 4)
APUS_TILE(2, 4)
APUS_TILE(1, 4)
APUS_TILE(8, 2)
APUS_TILE(2, 2)
APUS_TILE(1, 2)
APUS_TILE(8, 1)
APUS_TILE(1, 1)

#define APUS_ROWS(ROWS, VECTORS)                                                                                   \
    for (; i + ROWS <= m; i += ROWS) {                                                                             \
        APUS_NAME(tile_##ROWS##_##VECTORS)(a + i * a_row, a_row, a_column, b + j, b_stride, k, c + i * c_stride + j, \
                                           c_stride, bias ? bias + j : 0, relu, mask ? mask + i * mask_stride + j : 0, \
                                           mask_stride);                                                           \
    }

// c = a · b, m × n with n a multiple of 16.
static inline __attribute__((always_inline)) void APUS_NAME(product_body)(
    const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_stride, int64_t m, int64_t n, int64_t k,
    float *c, int64_t c_stride, const float *bias, int relu, const float *mask, int64_t mask_stride) {
    int64_t j = 0;
    for (; j + 64 <= n; j += 64) {
        int64_t i = 0;
        APUS_ROWS(6, 4)
        APUS_ROWS(4, 4)
        APUS_ROWS(2, 4)
        APUS_ROWS(1, 4)
    }
    for (; j + 32 <= n; j += 32) {
        int64_t i = 0;
        APUS_ROWS(8, 2)
        APUS_ROWS(2, 2)
        APUS_ROWS(1, 2)
    }
    for (; j < n; j += 16) {
        int64_t i = 0;
        APUS_ROWS(8, 1)
        APUS_ROWS(1, 1)
    }
}

// Copies of the product with what is not asked for compiled away.
static __attribute__((noinline)) void APUS_NAME(product_bias)(
    const float *a, int64_t a_row, const float *b, int64_t b_stride, int64_t m, int64_t n, int64_t k, float *c,
    int64_t c_stride, const float *bias) {
    APUS_NAME(product_body)(a, a_row, 1, b, b_stride, m, n, k, c, c_stride, bias, 0, 0, 0);
}

static __attribute__((noinline)) void APUS_NAME(product_bias_relu)(
    const float *a, int64_t a_row, const float *b, int64_t b_stride, int64_t m, int64_t n, int64_t k, float *c,
    int64_t c_stride, const float *bias) {
    APUS_NAME(product_body)(a, a_row, 1, b, b_stride, m, n, k, c, c_stride, bias, 1, 0, 0);
}

static __attribute__((noinline)) void APUS_NAME(product_transposed)(
    const float *a, int64_t a_column, const float *b, int64_t b_stride, int64_t m, int64_t n, int64_t k, float *c,
    int64_t c_stride) {
    APUS_NAME(product_body)(a, 1, a_column, b, b_stride, m, n, k, c, c_stride, 0, 0, 0, 0);
}

static __attribute__((noinline)) void APUS_NAME(product_plain)(
    const float *a, int64_t a_row, const float *b, int64_t b_stride, int64_t m, int64_t n, int64_t k, float *c,
    int64_t c_stride) {
    APUS_NAME(product_body)(a, a_row, 1, b, b_stride, m, n, k, c, c_stride, 0, 0, 0, 0);
}

static __attribute__((noinline)) void APUS_NAME(product_masked)(
    const float *a, int64_t a_row, const float *b, int64_t b_stride, int64_t m, int64_t n, int64_t k, float *c,
    int64_t c_stride, const float *mask, int64_t mask_stride) {
    APUS_NAME(product_body)(a, a_row, 1, b, b_stride, m, n, k, c, c_stride, 0, 0, mask, mask_stride);
}

// to[j][i] = from[i][j]; both strides, and the rows that may be written, are multiples of 16.
static __attribute__((noinline)) void APUS_NAME(transpose)(const float *from, int64_t from_stride, int64_t rows,
                                                           int64_t columns, float *to, int64_t to_stride) {
    for (int64_t i = 0; i < rows; i += 16) {
        for (int64_t j = 0; j < columns; j += 16) {
            apus_float16 r[16], t[16];
            APUS_UNROLL for (int x = 0; x < 16; x++) r[x] = i + x < rows ? APUS_LOAD(from + (i + x) * from_stride + j) : 0;
#define APUS_MIX(FIRST, SECOND, ...) __builtin_shufflevector(FIRST, SECOND, __VA_ARGS__)
            // Four rounds that exchange ever larger squares.
            APUS_UNROLL for (int x = 0; x < 16; x += 2) {
                t[x] = APUS_MIX(r[x], r[x + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
                t[x + 1] = APUS_MIX(r[x], r[x + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
            }
            APUS_UNROLL for (int x = 0; x < 16; x++) {
                if (x & 2) continue;
                r[x] = APUS_MIX(t[x], t[x + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
                r[x + 2] = APUS_MIX(t[x], t[x + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
            }
            APUS_UNROLL for (int x = 0; x < 16; x++) {
                if (x & 4) continue;
                t[x] = APUS_MIX(r[x], r[x + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
                t[x + 4] = APUS_MIX(r[x], r[x + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
            }
            APUS_UNROLL for (int x = 0; x < 8; x++) {
                r[x] = APUS_MIX(t[x], t[x + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
                r[x + 8] = APUS_MIX(t[x], t[x + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
            }
            APUS_UNROLL for (int x = 0; x < 16; x++) APUS_STORE(to + (j + x) * to_stride + i, r[x]);
        }
    }
}

static void APUS_NAME(forward)(const struct apus_perceptron *p, struct perceptron_place *places, const float *x,
                               int64_t x_stride, int64_t rows, const float *own) {
    for (int64_t l = 0; l < p->layer_count; l++) {
        struct perceptron_place *place = &places[l];
        const float *weight = own + place->weight, *bias = own + place->bias;
        const int activation = p->layers[l].activation;
        if (place->wide) {
            if (activation == 1) {
                APUS_NAME(product_bias_relu)(x, x_stride, weight, place->stride, rows, place->value_stride,
                                             place->inputs, place->value, place->value_stride, bias);
            } else {
                APUS_NAME(product_bias)(x, x_stride, weight, place->stride, rows, place->value_stride, place->inputs,
                                        place->value, place->value_stride, bias);
            }
        } else {
            // The rows of x are padded with zeroes, as those of the weights are.
            for (int64_t b = 0; b < rows; b++) {
                for (int64_t o = 0; o < place->outputs; o++) {
                    apus_float16 s0 = 0, s1 = 0;
                    const float *left = x + b * x_stride, *right = weight + o * place->stride;
                    int64_t i = 0;
                    for (; i + 32 <= place->stride; i += 32) {
                        s0 += APUS_LOAD(left + i) * APUS_LOAD(right + i);
                        s1 += APUS_LOAD(left + i + 16) * APUS_LOAD(right + i + 16);
                    }
                    for (; i < place->stride; i += 16) s0 += APUS_LOAD(left + i) * APUS_LOAD(right + i);
                    s0 += s1;
                    place->value[b * place->value_stride + o] = bias[o] + apus_sum16(&s0);
                }
            }
        }
        if (activation > 1 || (activation == 1 && !place->wide)) {
            apus_network_activation(place->value, place->value_stride, place->value, place->value_stride,
                                    place->outputs, activation, 0, rows);
        }
        x = place->value;
        x_stride = place->value_stride;
    }
}

static void APUS_NAME(backward)(const struct apus_perceptron *p, struct perceptron_place *places, const float *features,
                                int64_t feature_stride, int64_t rows, const float *own, float *gradient) {
    for (int64_t l = p->layer_count - 1; l >= 0; l--) {
        struct perceptron_place *place = &places[l];
        const int activation = p->layers[l].activation;
        const float *x = l > 0 ? places[l - 1].value : features;
        const int64_t x_stride = l > 0 ? places[l - 1].value_stride : feature_stride;
        // The gradient of relu was masked by the layer above, but for the last one.
        if (activation > 1 || (activation == 1 && l + 1 == p->layer_count)) {
            apus_network_activation_gradient(place->value, place->value_stride, place->gradient, place->value_stride,
                                             place->gradient, place->value_stride, place->outputs, activation, 0, rows);
        }
        const float *mask = l > 0 && p->layers[l - 1].activation == 1 ? places[l - 1].value : 0;
        float *below = l > 0 ? places[l - 1].gradient : 0;
        const int64_t below_stride = l > 0 ? places[l - 1].value_stride : 0;
        float *weight_gradient = gradient + place->weight, *bias_gradient = gradient + place->bias;
        for (int64_t o = 0; o < place->value_stride; o += 16) {
            apus_float16 sum = 0;
            for (int64_t b = 0; b < rows; b++) sum += APUS_LOAD(place->gradient + b * place->value_stride + o);
            APUS_STORE(bias_gradient + o, sum);
        }
        if (place->wide) {
            APUS_NAME(product_transposed)(x, x_stride, place->gradient, place->value_stride, place->inputs,
                                          place->value_stride, rows, weight_gradient, place->stride);
            if (below && mask) {
                APUS_NAME(product_masked)(place->gradient, place->value_stride, place->transposed,
                                          place->transposed_stride, rows, below_stride, place->outputs, below,
                                          below_stride, mask, below_stride);
            } else if (below) {
                APUS_NAME(product_plain)(place->gradient, place->value_stride, place->transposed,
                                         place->transposed_stride, rows, below_stride, place->outputs, below,
                                         below_stride);
            }
        } else {
            APUS_NAME(product_transposed)(place->gradient, place->value_stride, x, x_stride, place->outputs,
                                          place->stride, rows, weight_gradient, place->stride);
            if (below && mask) {
                APUS_NAME(product_masked)(place->gradient, place->value_stride, own + place->weight, place->stride, rows,
                                          below_stride, place->outputs, below, below_stride, mask, below_stride);
            } else if (below) {
                APUS_NAME(product_plain)(place->gradient, place->value_stride, own + place->weight, place->stride, rows,
                                         below_stride, place->outputs, below, below_stride);
            }
        }
    }
}

static void APUS_NAME(train)(const struct apus_perceptron *p, float *scratch) {
    struct perceptron_place places[apus_perceptron_layers];
    int64_t count;
    memset(scratch, 0, sizeof(float) * (size_t)apus_perceptron_scratch_floats(p));
    scratch += place_layers(p, places, scratch, &count);
    float *own = scratch, *gradient = own + count, *first = gradient + count, *second = first + count;
    float *features = second + count;
    const int64_t feature_stride = round16(p->layers[0].inputs), inputs = p->layers[0].inputs;
    float *targets = features + p->batch * feature_stride;
    const struct perceptron_place *last = &places[p->layer_count - 1];
    float *weights = targets + p->batch * round16(last->outputs);
    float *losses = weights + p->batch;
    int32_t *labels = (int32_t *)(losses + p->batch);
    convert(p, places, p->parameters, own, 0);
    if (p->first) convert(p, places, p->first, first, 0);
    if (p->second) convert(p, places, p->second, second, 0);

    for (int64_t begin = 0, step = 0; begin < p->rows; begin += p->batch, step++) {
        const int64_t rows = p->rows - begin < p->batch ? p->rows - begin : p->batch;
        for (int64_t b = 0; b < rows; b++) {
            const int64_t row = p->order[begin + b];
            memcpy(features + b * feature_stride, p->features + row * p->feature_stride, sizeof(float) * (size_t)inputs);
            if (p->labels) {
                labels[b] = p->labels[row];
            } else {
                for (int64_t o = 0; o < last->outputs; o++) targets[b * last->outputs + o] = p->targets[row * p->target_stride + o];
            }
            if (p->weights) weights[b] = p->weights[row];
            if (begin + p->batch + b < p->rows) {
                __builtin_prefetch(p->features + p->order[begin + p->batch + b] * p->feature_stride);
            }
        }
        for (int64_t l = 1; l < p->layer_count; l++) {
            if (!places[l].wide) continue;
            APUS_NAME(transpose)(own + places[l].weight, places[l].stride, places[l].inputs, places[l].outputs,
                                 places[l].transposed, places[l].transposed_stride);
        }
        APUS_NAME(forward)(p, places, features, feature_stride, rows, own);
        const float scale = 1.0f / (float)rows;
        if (p->labels) {
            apus_network_softmax_cross_entropy(last->value, last->value_stride, labels, weights, p->weights ? 1 : 0,
                                               p->smoothing, scale, last->gradient, last->value_stride, losses,
                                               last->outputs, 0, rows);
        } else {
            apus_network_element_loss(last->value, last->value_stride, targets, last->outputs, weights,
                                      p->weights ? 1 : 0, p->loss, p->loss_parameter, scale, last->gradient,
                                      last->value_stride, losses, last->outputs, 0, rows);
        }
        apus_network_add_to_total(losses, rows, p->total, 0, 1);
        APUS_NAME(backward)(p, places, features, feature_stride, rows, own, gradient);
        apus_network_optimizer_step(own, gradient, first, second, p->controls + 4 * step, p->controls, 0, p->method,
                                    p->beta1, p->beta2, p->epsilon, p->l1, p->l2, p->decay, 0, count, 0,
                                    (count + apus_network_optimizer_block - 1) / apus_network_optimizer_block);
    }
    convert(p, places, p->parameters, own, 1);
    if (p->first) convert(p, places, p->first, first, 1);
    if (p->second) convert(p, places, p->second, second, 1);
}

#undef APUS_UNROLL
#undef APUS_TILE
#undef APUS_ROWS
#undef APUS_MIX
