import CVectorLoops
import Compute
import Core

/// Row systems of matrix factorization: loops of our own, a row at a time on one worker.
extension CPUBackend {
    /// Work of a chunk, in entries: some tenths of a millisecond, so that workers finish together.
    private static let entriesPerChunk = 4096

    func solveNormalEquations(_ equations: SolveNormalEquations) {
        let sparse = equations.sparse
        let (method, parameter) = equations.method.loopArguments
        var problem = apus_normal_equations(
            row_pointers: sparse.rowPointers.pointer(as: Int64.self),
            column_indices: sparse.columnIndices.pointer(as: Int32.self),
            weights: equations.weighted ? UnsafePointer(sparse.values.floats) : nil,
            targets: equations.targets.map { UnsafePointer($0.floats) },
            fixed: equations.fixed.floats, fixed_stride: Int64(equations.fixed.rowStride),
            diagonal: equations.diagonal.floats, row_regularization: equations.rowRegularization.floats,
            solution: equations.solution.floats, solution_stride: Int64(equations.solution.rowStride),
            d: Int64(equations.fixed.columns), method: method, parameter: parameter)
        let ranges = balancedRows(sparse, entriesPerChunk: Self.entriesPerChunk, rowCost: 16)
        let longestRow = (0..<sparse.rows).reduce(0) { max($0, sparse.entryCount(ofRow: $1)) }
        let scratchCount = Int(apus_normal_equations_scratch_floats(&problem, Int64(longestRow)))
        reserveScratch(count: scratchCount)
        withUnsafePointer(to: problem) { problem in
            pool.parallelFor(ranges.count) { chunk, worker in
                apus_solve_rows(
                    problem, Int64(ranges[chunk].lowerBound), Int64(ranges[chunk].upperBound), Int64(longestRow),
                    scratch(worker: worker, count: scratchCount))
            }
        }
    }
}

extension NormalEquationMethod {
    /// The values of the C interface.
    var loopArguments: (method: Int32, parameter: Int32) {
        switch self {
        case .exact: (Int32(APUS_NORMAL_EQUATIONS_EXACT.rawValue), 1)
        case .subspace(let blockSize): (Int32(APUS_NORMAL_EQUATIONS_SUBSPACE.rawValue), Int32(clamping: blockSize))
        case .conjugateGradient(let steps):
            (Int32(APUS_NORMAL_EQUATIONS_CONJUGATE_GRADIENT.rawValue), Int32(clamping: steps))
        }
    }
}
