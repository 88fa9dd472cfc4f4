import Compute

/// The solver of factorization on CPU-class devices.
extension Lowering {
    /// Chooses the form. Launches: 1.
    func solveNormalEquations(_ operation: SolveNormalEquations) throws(ComputeError) {
        switch operation.method {
        case .exact: try solveExactSimply(operation)
        case .subspace, .conjugateGradient:
            throw .unsupported(
                device: context.name, operation: "solveNormalEquations", reason: "only the exact method is there")
        }
    }

    /// One work-item a row at a time, with its d × d system in scratch memory.
    private func solveExactSimply(_ operation: SolveNormalEquations) throws(ComputeError) {
        let (sparse, d) = (operation.sparse, operation.fixed.columns)
        let perItem = (d * d + d) * MemoryLayout<Float>.size
        let items = max(min(256, (256 << 20) / max(perItem, 1), sparse.rows), 1)
        let flags = (operation.weighted ? 1 : 0) | (operation.targets == nil ? 0 : 2)
        let scratch = try scratch(byteCount: items * perItem)
        launch(
            "normal_equations_simple", "solve_exact", grid: WorkSize(items),
            [
                try entries(sparse), try vector(operation.targets, else: sparse.values), [.int(Int32(flags))],
                try matrix(operation.fixed), try vector(operation.diagonal), try vector(operation.rowRegularization),
                try matrix(operation.solution), [.long(sparse.rows), .long(d), .buffer(scratch)],
            ])
    }
}
