// The kernels' text once more, as functions of the name and instruction set that the including file has set.
#include "../../kernels/tiles_cpu.cl"
#include "../../kernels/normal_equations_exact_cpu.cl"
#include "../../kernels/normal_equations_cpu.cl"

static void APUS_NAME(solve_rows)(const struct apus_normal_equations *problem, int64_t row_begin, int64_t row_end,
                                  int64_t longest_row, float *scratch) {
    APUS_NAME(Row) row = {
        .columns = problem->column_indices,
        .weights = problem->weights,
        .targets = problem->targets,
        .fixed = problem->fixed,
        .fixed_stride = problem->fixed_stride,
        .d = problem->d,
        .prefetched = problem->row_pointers[row_begin],
        .prefetch_end = problem->row_pointers[row_end],
    };
    APUS_NAME(lay_out)(&row, scratch, longest_row);
    for (int64_t u = row_begin; u < row_end; ++u) {
        APUS_NAME(solve_row)(&row, problem->row_pointers[u], problem->row_pointers[u + 1], problem->diagonal,
                             problem->row_regularization[u], problem->solution + u * problem->solution_stride,
                             problem->method, problem->parameter);
    }
}
