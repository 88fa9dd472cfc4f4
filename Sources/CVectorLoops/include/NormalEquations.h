// The row-wise normal equations of alternating least squares on the CPU.
#pragma once

#include <stdint.h>

/// How the systems are solved; the values of ``apus_normal_equations/method``.
enum apus_normal_equation_method {
    /// The smaller of the d x d and the n x n system of each row, by Cholesky factorization.
    APUS_NORMAL_EQUATIONS_EXACT = 0,
    /// One pass over blocks of `parameter` coordinates, from the present solution (iALS++).
    APUS_NORMAL_EQUATIONS_SUBSPACE = 1,
    /// `parameter` preconditioned conjugate-gradient steps from the present solution.
    APUS_NORMAL_EQUATIONS_CONJUGATE_GRADIENT = 2,
};

/// For each row u, with entries e of weight w_e, target t_e and fixed vector v_e = fixed[column of e]:
///
///     (diag(diagonal + row_regularization[u]) + sum w_e v_e v_e^T) solution[u] = sum w_e t_e v_e
struct apus_normal_equations {
    /// Positions of the entries of row u in the arrays of entries: row_pointers[u] ..< row_pointers[u + 1].
    const int64_t *row_pointers;
    /// Row of `fixed` for every entry.
    const int32_t *column_indices;
    /// Weight, not negative, of every entry; null stands for 1. An entry of weight 0 is none.
    const float *weights;
    /// Target of every entry; null stands for 1.
    const float *targets;
    /// The fixed vectors, d elements each, `fixed_stride` elements apart.
    const float *fixed;
    int64_t fixed_stride;
    /// d elements; plus the row's regularization they are positive.
    const float *diagonal;
    /// One element for each row.
    const float *row_regularization;
    /// The solutions, d elements each, `solution_stride` elements apart; rows without entries become 0.
    float *solution;
    int64_t solution_stride;
    /// Length of the vectors, at least 1.
    int64_t d;
    /// A value of ``apus_normal_equation_method``.
    int32_t method;
    /// Block size or number of steps, at least 1; unused by the exact method.
    int32_t parameter;
};

/// Floats of scratch memory that one worker needs when no row has more than `longest_row` entries.
int64_t apus_normal_equations_scratch_floats(const struct apus_normal_equations *problem, int64_t longest_row);

/// Solves the rows row_begin ..< row_end. A row's solution does not depend on how the rows are divided up.
///
/// `scratch` is aligned to 64 bytes and has the size that ``apus_normal_equations_scratch_floats`` gives for the same
/// `longest_row`; no two calls use it at once.
void apus_solve_rows(
    const struct apus_normal_equations *problem, int64_t row_begin, int64_t row_end, int64_t longest_row,
    float *scratch);
