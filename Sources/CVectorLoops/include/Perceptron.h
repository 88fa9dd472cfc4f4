// Training steps of a small multilayer perceptron in one call: everything stays in the nearest caches of one core.
#pragma once
#include <stdint.h>

enum { apus_perceptron_layers = 8 };

// y = f(x Wᵀ + b); the parameters lie at offsets of the vector of all, W as outputs × inputs.
struct apus_perceptron_layer {
    int64_t inputs, outputs;
    int64_t weight, bias;
    // 0 identity, 1 relu, 2 sigmoid, 3 tanh, as network_layers.cl numbers them.
    int activation;
};

struct apus_perceptron {
    int64_t layer_count;
    struct apus_perceptron_layer layers[apus_perceptron_layers];
    // `count` elements each; the moments may be NULL where the method has none.
    float *parameters, *first, *second;
    int64_t count;
    // As for apus_network_optimizer_step.
    int method;
    float beta1, beta2, epsilon, l1, l2, decay;
    const float *features;
    int64_t feature_stride;
    // One of the two: a row for each row of the features, `targets` with as many columns as the last layer's outputs.
    const float *targets;
    int64_t target_stride;
    const int32_t *labels;
    // NULL for 1.
    const float *weights;
    // Element loss as network_layers.cl numbers it; not used with labels.
    int loss;
    float loss_parameter, smoothing;
    // Rows of all batches, one batch after another; the last may be smaller.
    const int32_t *order;
    int64_t rows, batch;
    // Four numbers for each batch.
    const float *controls;
    // Two numbers, to which the losses are added.
    float *total;
};

// Floats of scratch memory that apus_perceptron_train needs.
int64_t apus_perceptron_scratch_floats(const struct apus_perceptron *problem);

// One step for each batch.
void apus_perceptron_train(const struct apus_perceptron *problem, float *scratch);
