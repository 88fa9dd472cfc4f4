import Compute

/// The solver of factorization on CPU-class devices (kernels/normal_equations_cpu.cl).
extension Lowering {
    /// One work-item for each thread claims some rows at a time; a row is solved by one item. Launches: 2, of which the
    /// first resets the counter of claims. For problems large enough a program is compiled for their length of vectors and
    /// their method, which takes a second or two where it is not cached: loops then have known ends, and conjugate
    /// gradients keep their vectors in registers.
    func solveNormalEquations(_ operation: SolveNormalEquations) throws(ComputeError) {
        let (sparse, d) = (operation.sparse, operation.fixed.columns)
        let method: Int32
        let parameter: Int
        switch operation.method {
        case .exact: (method, parameter) = (0, 1)
        case .subspace(let blockSize): (method, parameter) = (1, blockSize)
        case .conjugateGradient(let steps): (method, parameter) = (2, steps)
        }
        let longest = (0..<sparse.rows).reduce(0) { max($0, sparse.entryCount(ofRow: $1)) }
        let rowsPerClaim = min(max(sparse.rows / 1024, 1), 64)
        let items = max(min(context.computeUnits, ceilDivide(sparse.rows, rowsPerClaim)), 1)
        let stride = roundUp(normalEquationsScratch(d: d, longestRow: longest), 16)
        let scratch = try scratch(byteCount: items * stride * MemoryLayout<Float>.size)
        let claims = try self.scratch(byteCount: MemoryLayout<Int32>.size)
        launch(
            "elementwise", "fill", grid: WorkSize(1),
            [[.buffer(claims), .long(0), .long(1), .long(1), .long(1), .uint(0), .long(1), .long(1)]])
        let flags = (operation.weighted ? 1 : 0) | (operation.targets == nil ? 0 : 2)
        let isWorthCompiling = sparse.entryCount * d >= context.tuning[.compiledSystems]
        launch(
            "normal_equations_cpu", "solve_normal_equations",
            options: isWorthCompiling ? "-D FACTORS=\(d) -D METHOD=\(method)" : "", grid: WorkSize(items),
            [
                try entries(sparse), try vector(operation.targets, else: sparse.values), [.int(Int32(flags))],
                try matrix(operation.fixed), try vector(operation.diagonal), try vector(operation.rowRegularization),
                try matrix(operation.solution),
                [
                    .long(sparse.rows), .long(d), .int(method), .int(Int32(clamping: parameter)), .long(longest),
                    .buffer(scratch), .long(stride), .buffer(claims), .int(Int32(rowsPerClaim)),
                ],
            ])
    }

    /// Floats of scratch memory for one work-item, for vectors of `d` elements and rows of up to `longestRow` entries:
    /// `scratch_floats` of the kernel, which does nothing when it is given less.
    private func normalEquationsScratch(d: Int, longestRow: Int) -> Int {
        // APUS_PANEL: vectors or coordinates of a panel.
        let panel = max(context.tuning[.primalPanel], context.tuning[.dualPanel])
        // APUS_GATHER_BYTES: vectors of a long row that are copied together.
        let gatherBytes = 4 << 20
        let wide = roundUp(d, 16)
        let slabs = wide / 16 + 1
        let gathered = max(min(gatherBytes / 4 / wide, roundUp(longestRow, 16)) / 8 * 8, 8)
        let panelFloats = max((panel + 16) * wide + 16, (gathered + 8) * wide)
        return 6 * (roundUp(longestRow, 16) + 16) + 10 * (wide + 16) + 128 * slabs * (slabs + 1) + panelFloats
    }
}
