// The kernels of kernels/network_*.cl, which describes them, on the rows begin ..< end.
#pragma once
#include <stdint.h>

// Parameters in a block of apus_network_optimizer_step: its rows.
enum { apus_network_optimizer_block = 4096 };

void apus_network_activation(const float *input, int64_t input_stride, float *output, int64_t output_stride,
    int64_t columns, int function, int64_t begin, int64_t end);
void apus_network_activation_gradient(const float *values, int64_t values_stride,
    const float *output_gradient, int64_t output_gradient_stride,
    float *input_gradient, int64_t input_gradient_stride, int64_t columns, int function,
    int64_t begin, int64_t end);
void apus_network_linear_combination(float alpha, const float *a, int64_t a_stride, float beta,
    const float *b, int64_t b_stride, float *output, int64_t output_stride, int64_t columns,
    int64_t begin, int64_t end);
void apus_network_softmax_cross_entropy(const float *logits, int64_t logits_stride, const int *labels,
    const float *weights, int flags, float smoothing, float scale, float *gradient, int64_t gradient_stride,
    float *losses, int64_t columns, int64_t begin, int64_t end);
void apus_network_ranking_loss(const float *scores, int64_t scores_stride, const int *labels, const float *weights,
    int flags, float scale, float *gradient, int64_t gradient_stride, float *losses, int64_t columns, int64_t begin,
    int64_t end);
void apus_network_element_loss(const float *predictions, int64_t predictions_stride,
    const float *targets, int64_t targets_stride, const float *weights, int flags, int kind, float parameter,
    float scale, float *gradient, int64_t gradient_stride, float *losses, int64_t columns,
    int64_t begin, int64_t end);
void apus_network_add_to_total(const float *input, int64_t n, float *total, int64_t begin, int64_t end);
void apus_network_dropout(const float *input, int64_t input_stride, float *output, int64_t output_stride,
    int64_t columns, float probability, uint64_t seed, uint64_t stream, const int *step, int64_t all_rows,
    int64_t begin, int64_t end);
void apus_network_layer_norm(const float *input, int64_t input_stride, const float *gain, const float *bias,
    float epsilon, float *output, int64_t output_stride, float *statistics, int64_t statistics_stride,
    int64_t columns, int64_t begin, int64_t end);
void apus_network_layer_norm_gradient(const float *input, int64_t input_stride,
    const float *statistics, int64_t statistics_stride, const float *gain,
    const float *output_gradient, int64_t output_gradient_stride,
    float *input_gradient, int64_t input_gradient_stride, float *products, int64_t products_stride,
    int64_t columns, int64_t begin, int64_t end);
void apus_network_batch_norm(const float *input, int64_t input_stride, const float *mean, const float *inverse,
    const float *gain, const float *bias, float *output, int64_t output_stride, int64_t columns,
    int64_t begin, int64_t end);
void apus_network_batch_norm_products(const float *input, int64_t input_stride, const float *mean,
    const float *inverse, const float *output_gradient, int64_t output_gradient_stride, int flags,
    float *products, int64_t products_stride, int64_t columns, int64_t begin, int64_t end);
void apus_network_batch_norm_statistics(const float *mean, const float *squares, float reciprocal, float unbiased,
    float epsilon, float momentum, int flags, float *inverse, float *running_mean, float *running_variance,
    int64_t columns, int64_t begin, int64_t end);
void apus_network_batch_norm_gradient(const float *input, int64_t input_stride, const float *mean,
    const float *inverse, const float *gain, const float *output_gradient, int64_t output_gradient_stride,
    const float *sums, const float *aligned, float reciprocal, float *input_gradient,
    int64_t input_gradient_stride, int64_t columns, int64_t begin, int64_t end);
void apus_network_optimizer_step(float *parameters, const float *gradient, float *first, float *second,
    const float *controls, const float *norm, int flags, int method, float beta1, float beta2, float epsilon,
    float l1, float l2, float decay, float largest_norm, int64_t n, int64_t begin, int64_t end);
void apus_network_update_rows(float *table, int64_t table_stride, const int *ids, const int *starts,
    const int *order, const float *factors, int flags, const float *gradient, int64_t gradient_stride,
    float *first, int64_t first_stride, float *second, int64_t second_stride, const float *controls, int method,
    float beta1, float beta2, float epsilon, int64_t table_rows, int64_t columns, int64_t blocks,
    int64_t begin, int64_t end);
void apus_network_gather_bags(const float *table, int64_t table_stride, const int *ids, int64_t ids_stride,
    const int *starts, const float *weights, int64_t weights_stride, int flags, float *output,
    int64_t output_stride, int64_t table_rows, int64_t columns, int64_t bags, int64_t width,
    int64_t begin, int64_t end);
void apus_network_pair_products(const float *input, int64_t input_stride, float *output, int64_t output_stride,
    int64_t vectors, int64_t d, int64_t begin, int64_t end);
void apus_network_pair_products_gradient(const float *input, int64_t input_stride,
    const float *output_gradient, int64_t output_gradient_stride, float *input_gradient,
    int64_t input_gradient_stride, int64_t vectors, int64_t d, int64_t begin, int64_t end);
void apus_network_unfold(const float *input, int64_t input_stride, float *output, int64_t output_stride,
    int64_t channels, int64_t height, int64_t width, int64_t window_height, int64_t window_width,
    int64_t output_height, int64_t output_width, int64_t step, int64_t above, int64_t padding, int64_t begin, int64_t end);
void apus_network_fold(const float *windows, int64_t windows_stride, float *output, int64_t output_stride,
    int64_t channels, int64_t height, int64_t width, int64_t window_height, int64_t window_width,
    int64_t output_height, int64_t output_width, int64_t step, int64_t above, int64_t padding, int64_t begin, int64_t end);
void apus_network_pool(const float *input, int64_t input_stride, float *output, int64_t output_stride,
    int *places, int64_t places_stride, int64_t channels, int64_t height, int64_t width, int64_t window_height,
    int64_t window_width, int64_t output_height, int64_t output_width, int64_t step, int64_t above, int64_t padding, int averages,
    int64_t begin, int64_t end);
void apus_network_pool_gradient(const float *output_gradient, int64_t output_gradient_stride, const int *places,
    int64_t places_stride, float *input_gradient, int64_t input_gradient_stride, int64_t channels, int64_t height,
    int64_t width, int64_t window_height, int64_t window_width, int64_t output_height, int64_t output_width,
    int64_t step, int64_t above, int64_t padding, int averages, int64_t begin, int64_t end);
void apus_network_quantize(const float *input, int64_t input_stride, float inverse, int *codes,
    int64_t codes_stride, int64_t columns, int64_t begin, int64_t end);
void apus_network_quantized_gemm(const int *a, int64_t a_stride, float step, const int *b, int64_t b_stride,
    const float *scales, const float *bias, int flags, int function, float *output, int64_t output_stride,
    int64_t columns, int64_t words, int64_t begin, int64_t end);
void apus_network_attention(const float *queries, int64_t queries_stride, const float *keys, int64_t keys_stride,
    const float *values, int64_t values_stride, const int *padding, int flags, float scale,
    float *probabilities, int64_t probabilities_stride, float *output, int64_t output_stride,
    int64_t length, int64_t heads, int64_t width, int64_t begin, int64_t end);
void apus_network_attention_query_gradient(const float *keys, int64_t keys_stride,
    const float *values, int64_t values_stride, const float *probabilities, int64_t probabilities_stride,
    const float *output_gradient, int64_t output_gradient_stride, int flags, float scale,
    float *scores, int64_t scores_stride, float *gradient, int64_t gradient_stride,
    int64_t length, int64_t heads, int64_t width, int64_t begin, int64_t end);
void apus_network_attention_key_gradient(const float *queries, int64_t queries_stride,
    const float *probabilities, int64_t probabilities_stride,
    const float *output_gradient, int64_t output_gradient_stride, const float *scores, int64_t scores_stride,
    int flags, float *key_gradient, int64_t key_gradient_stride, float *value_gradient, int64_t value_gradient_stride,
    int64_t length, int64_t heads, int64_t width, int64_t begin, int64_t end);
void apus_network_recurrent_step(const float *inputs, int64_t inputs_stride, const float *recurrent, int64_t recurrent_stride,
    const float *previous, int64_t previous_stride, const float *previous_kept, int64_t previous_kept_stride,
    int flags, float *kept, int64_t kept_stride, float *output, int64_t output_stride, int cell, int64_t units,
    int64_t begin, int64_t end);
void apus_network_recurrent_step_gradient(const float *previous, int64_t previous_stride,
    const float *previous_kept, int64_t previous_kept_stride, const float *kept, int64_t kept_stride,
    const float *output_gradient, int64_t output_gradient_stride, const float *carried, int64_t carried_stride,
    int flags, float *memory_gradient, int64_t memory_gradient_stride, float *input_gradient, int64_t input_gradient_stride,
    float *recurrent_gradient, int64_t recurrent_gradient_stride, float *previous_gradient, int64_t previous_gradient_stride,
    int cell, int64_t units, int64_t begin, int64_t end);
