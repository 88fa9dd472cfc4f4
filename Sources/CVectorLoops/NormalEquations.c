#include "NormalEquations.h"

#include "OpenCLSubset.h"

// The text is compiled once for each instruction set. Functions of one set call only each other, which clones of single
// functions could not promise, and a register tile is useless when its parts don't agree on what a register is.

#define APUS_FUNCTION static
#define APUS_INLINE static inline

#if defined(__x86_64__)
#define APUS_NAME(name) apus_v4_##name
#define APUS_WIDE_REGISTERS 1
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"), min_vector_width(512))), apply_to = function)
#include "NormalEquationsRows.h"
#pragma clang attribute pop
#undef APUS_NAME
#undef APUS_WIDE_REGISTERS

#define APUS_WIDE_REGISTERS 0
#define APUS_NAME(name) apus_v3_##name
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "NormalEquationsRows.h"
#pragma clang attribute pop
#undef APUS_NAME
#endif

#define APUS_NAME(name) apus_default_##name
#include "NormalEquationsRows.h"

int64_t apus_normal_equations_scratch_floats(const struct apus_normal_equations *problem, int64_t longest_row) {
    return apus_default_scratch_floats(problem->d, longest_row);
}

void apus_solve_rows(const struct apus_normal_equations *problem, int64_t row_begin, int64_t row_end,
                     int64_t longest_row, float *scratch) {
    if (row_begin >= row_end) return;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("x86-64-v4")) {
        apus_v4_solve_rows(problem, row_begin, row_end, longest_row, scratch);
        return;
    }
    if (__builtin_cpu_supports("x86-64-v3")) {
        apus_v3_solve_rows(problem, row_begin, row_end, longest_row, scratch);
        return;
    }
#endif
    apus_default_solve_rows(problem, row_begin, row_end, longest_row, scratch);
}
