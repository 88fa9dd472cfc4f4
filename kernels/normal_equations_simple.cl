// The normal equations of each row by Cholesky, in the plainest form: one work-item a row at a time, the d x d system
// in a slice of a scratch buffer. For CPU-class devices, and the reference for the faster forms. Work-groups of 1.

#pragma OPENCL EXTENSION cl_khr_fp64 : enable

// Flags: 1 the values are weights, 2 there are targets. Grid: items; item q takes the rows q, q + items, ...
// scratch: items x (d * d + d) floats.
__kernel void solve_exact(
    __global const long *row_pointers, long row_pointers_offset, __global const int *column_indices,
    long column_indices_offset, __global const float *values, long values_offset, __global const float *targets,
    long targets_offset, int flags, __global const float *fixed_factors, long fixed_offset, long fixed_stride,
    __global const float *diagonal, long diagonal_offset, __global const float *row_regularization,
    long row_regularization_offset, __global float *solution, long solution_offset, long solution_stride, long rows,
    long d, __global float *scratch) {
    __global float *matrix = scratch + (long)get_global_id(0) * (d * d + d);
    __global float *rhs = matrix + d * d;
    for (long u = get_global_id(0); u < rows; u += get_global_size(0)) {
        const long first = row_pointers[row_pointers_offset + u];
        const long last = row_pointers[row_pointers_offset + u + 1];
        __global float *x = solution + solution_offset + u * solution_stride;
        if (first == last) {
            for (long j = 0; j < d; ++j) x[j] = 0.0f;
            continue;
        }
        for (long i = 0; i < d; ++i) {
            for (long j = 0; j <= i; ++j) matrix[i * d + j] = 0.0f;
            matrix[i * d + i] = diagonal[diagonal_offset + i] + row_regularization[row_regularization_offset + u];
            rhs[i] = 0.0f;
        }
        for (long e = first; e < last; ++e) {
            const float weight = flags & 1 ? values[values_offset + e] : 1.0f;
            const float target = flags & 2 ? targets[targets_offset + e] : 1.0f;
            __global const float *v =
                fixed_factors + fixed_offset + (long)column_indices[column_indices_offset + e] * fixed_stride;
            for (long i = 0; i < d; ++i) {
                const float scaled = weight * v[i];
                __global float *row = matrix + i * d;
                for (long j = 0; j <= i; ++j) row[j] += scaled * v[j];
                rhs[i] += scaled * target;
            }
        }
        for (long i = 0; i < d; ++i) {
            __global float *row = matrix + i * d;
            for (long j = 0; j <= i; ++j) {
                __global const float *other = matrix + j * d;
                double sum = row[j];
                for (long p = 0; p < j; ++p) sum -= (double)row[p] * (double)other[p];
                row[j] = i == j ? (float)sqrt(sum) : (float)(sum / other[j]);
            }
        }
        for (long i = 0; i < d; ++i) {
            double sum = rhs[i];
            for (long p = 0; p < i; ++p) sum -= (double)matrix[i * d + p] * (double)rhs[p];
            rhs[i] = (float)(sum / matrix[i * d + i]);
        }
        for (long i = d - 1; i >= 0; --i) {
            double sum = rhs[i];
            for (long p = i + 1; p < d; ++p) sum -= (double)matrix[p * d + i] * (double)rhs[p];
            rhs[i] = (float)(sum / matrix[i * d + i]);
        }
        for (long j = 0; j < d; ++j) x[j] = rhs[j];
    }
}
