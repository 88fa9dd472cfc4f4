// Products of matrices rounded to bfloat16, added up in float32, on processors that multiply pairs of such numbers.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// Lines of an operand that are packed together: of the left one rows, of the right one columns.
enum { APUS_BFLOAT16_ROWS = 12, APUS_BFLOAT16_COLUMNS = 32 };

bool apus_bfloat16_products_available(void);

// Rounds, ties to even, lines of `depth` numbers and packs them in groups of `width` lines, 12 or 32, in pairs along the
// depth: pair q of line l of group g is out[(g · pairs + q) · width + l], pairs being half the depth, rounded up; a missing
// last number is 0, as are the lines that the last group lacks. Number p of line l is x[l · stride + p], or, unless `along`,
// x[p · stride + l].
void apus_bfloat16_pack(const float *x, int64_t stride, bool along, int64_t lines, int64_t depth, int64_t width,
                        uint32_t *out);

// c = alpha · a · b + beta · c for m rows and n columns of c, which is not read when beta is 0. a is packed in groups of 12
// rows, b in panels of 32 columns, of `pairs` pairs each.
void apus_bfloat16_product(const uint32_t *a, int64_t m, const uint32_t *b, int64_t n, int64_t pairs, float alpha,
                           float beta, float *c, int64_t stride);

// Rounds to the nearest bfloat16, ties to even: rows × columns, `out` without gaps. For every processor.
void apus_bfloat16_round(const float *x, int64_t stride, int64_t rows, int64_t columns, float *out);
