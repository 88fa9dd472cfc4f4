// Products of matrices of 8-bit codes, four to a word, on processors that add four products of bytes at once.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Rows of b in a panel, and the most rows of a in one call.
enum { APUS_QUANTIZED_PRODUCT_COLUMNS = 32, APUS_QUANTIZED_PRODUCT_ROWS = 96 };

bool apus_quantized_products_available(void);

// Packs panel number `panel` of b, n rows of `words` words; out has 32 words for each of them.
void apus_quantized_pack(const int32_t *b, int64_t b_stride, int64_t n, int64_t words, int64_t panel, uint32_t *out);

// output[i, j] = step · scales[j] · Σ a[i, ·] b[j, ·] + bias[j] for m ≤ 96 rows, or 0 where that is negative and relu is
// set. `panels` is all of b, packed.
void apus_quantized_product(
    const int32_t *a, int64_t a_stride, int64_t m, float step, const uint32_t *panels, const float *scales,
    const float *bias, int relu, float *output, int64_t output_stride, int64_t n, int64_t words);
