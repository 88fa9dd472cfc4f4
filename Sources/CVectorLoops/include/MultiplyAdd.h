#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Multiply-adds on twelve accumulators that stay in registers, `rounds` times over: the processor's limit. `wide` takes
/// accumulators of sixteen floats, else of eight: which of the two fits the registers depends on the processor.
/// Returns the floating-point operations done, a multiply-add counting as two.
double apus_multiply_add_loop(int64_t rounds, bool wide);
