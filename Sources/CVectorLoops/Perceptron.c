#include "Perceptron.h"

#include <string.h>

#include "NetworkLoops.h"
#include "Vectors.h"

// A layer while it is trained. Wide layers (16 outputs or more) keep their weights as inputs × outputs, the vectors along
// the outputs, and a transposed copy for the gradient of their input; narrow ones as outputs × inputs.
struct perceptron_place {
    int64_t inputs, outputs;
    // Row strides of the weights: outputs or inputs rounded up to 16.
    int64_t stride;
    int wide;
    // Offsets in the vector of all parameters of the scratch memory.
    int64_t weight, bias;
    // inputs × outputs of a wide layer as outputs × inputs.
    float *transposed;
    int64_t transposed_stride;
    // batch × outputs, rows rounded up to 16.
    float *value, *gradient;
    int64_t value_stride;
};

static int64_t round16(int64_t n) { return (n + 15) / 16 * 16; }

static int64_t place_layers(const struct apus_perceptron *p, struct perceptron_place *places, float *scratch,
                            int64_t *parameter_count) {
    int64_t parameters = 0, used = 0;
    for (int64_t l = 0; l < p->layer_count; l++) {
        struct perceptron_place *place = &places[l];
        place->inputs = p->layers[l].inputs;
        place->outputs = p->layers[l].outputs;
        place->wide = place->outputs >= 16;
        place->stride = round16(place->wide ? place->outputs : place->inputs);
        place->weight = parameters;
        parameters += (place->wide ? place->inputs : place->outputs) * place->stride;
        place->bias = parameters;
        parameters += round16(place->outputs);
    }
    *parameter_count = parameters;
    for (int64_t l = 0; l < p->layer_count; l++) {
        struct perceptron_place *place = &places[l];
        place->transposed_stride = round16(place->inputs);
        place->transposed = scratch + used;
        if (l > 0 && place->wide) used += round16(place->outputs) * place->transposed_stride;
        place->value_stride = round16(place->outputs);
        place->value = scratch + used;
        used += p->batch * place->value_stride;
        place->gradient = scratch + used;
        used += p->batch * place->value_stride;
    }
    return used;
}

int64_t apus_perceptron_scratch_floats(const struct apus_perceptron *p) {
    struct perceptron_place places[apus_perceptron_layers];
    int64_t parameters;
    const int64_t used = place_layers(p, places, NULL, &parameters);
    // Parameters, their gradient and two moments; the batch's features, targets, weights, labels and losses.
    return used + 4 * parameters + p->batch * round16(p->layers[0].inputs) +
           p->batch * (round16(p->layers[p->layer_count - 1].outputs) + 3) + 64;
}

// Copies a vector of parameters into, or out of, the form in which layers are trained.
static void convert(const struct apus_perceptron *p, const struct perceptron_place *places, float *all, float *own,
                    int out) {
    for (int64_t l = 0; l < p->layer_count; l++) {
        const struct perceptron_place *place = &places[l];
        float *weight = all + p->layers[l].weight;
        for (int64_t o = 0; o < place->outputs; o++) {
            for (int64_t i = 0; i < place->inputs; i++) {
                float *mine = own + place->weight + (place->wide ? i * place->stride + o : o * place->stride + i);
                float *theirs = weight + o * place->inputs + i;
                if (out) *theirs = *mine; else *mine = *theirs;
            }
        }
        for (int64_t o = 0; o < place->outputs; o++) {
            float *mine = own + place->bias + o, *theirs = all + p->layers[l].bias + o;
            if (out) *theirs = *mine; else *mine = *theirs;
        }
    }
}

#define APUS_FUNCTION static

#if defined(__x86_64__)
#define APUS_NAME(name) apus_v4_##name
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#include "PerceptronBody.h"
#pragma clang attribute pop
#undef APUS_NAME

#define APUS_NAME(name) apus_v3_##name
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "PerceptronBody.h"
#pragma clang attribute pop
#undef APUS_NAME
#endif

#define APUS_NAME(name) apus_default_##name
#include "PerceptronBody.h"

void apus_perceptron_train(const struct apus_perceptron *problem, float *scratch) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4")) {
        apus_v4_train(problem, scratch);
        return;
    }
    if (__builtin_cpu_supports("x86-64-v3")) {
        apus_v3_train(problem, scratch);
        return;
    }
#endif
    apus_default_train(problem, scratch);
}
