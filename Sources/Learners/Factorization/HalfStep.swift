import Compute
import Core

/// One side of an alternating step: everything needed to solve all rows of one table while the other is fixed.
///
/// The same code trains both sides and folds in new rows, for either feedback, on any device.
///
/// **Implicit**: minimises Σ_observed c(ŷ−1)² + α₀ Σ_all ŷ² + λ Σ #ᵛ‖·‖². **Explicit**: minimises
/// Σ_observed (r − μ − b_u − b_i − x·y)² + λ Σ #ᵛ(‖·‖² + (b/s)²), where the last column of either table holds b/s and
/// the fixed table shows the constant s in its place; s = 1/√biasRegularization gives biases a weight of their own.
struct HalfStep {
    private let stream: Stream
    private let options: FactorizationOptions
    private let observations: SparseTiles
    private let rowRegularization: Matrix
    private let rotation: GramRotation?
    private let explicit: ExplicitParts?

    /// What only explicit feedback needs.
    private struct ExplicitParts {
        /// As many elements as the longest tile of the observations has values.
        let targets: Matrix
        /// Copy of the fixed table with the constant in its last column.
        let fixed: Matrix
        /// 1 × (d + 1): picks the last column, scaled.
        let selector: Matrix
        /// 1 × rows of the fixed table.
        let fixedBias: Matrix
        /// 1 × (d + 1) of zeros.
        let zeroDiagonal: Matrix
        let mean: Float
    }

    /// Allocates all that the step needs.
    ///
    /// - Parameters:
    ///   - observations: rows to solve × rows of the fixed table, whole or in tiles.
    ///   - rowRegularization: λ·#ᵛ for each row.
    ///   - rotation: shared by both sides of a training; implicit feedback only.
    ///   - mean: μ; explicit feedback only.
    init(
        stream: Stream, options: FactorizationOptions, observations: SparseTiles, rowRegularization: [Float],
        rotation: GramRotation?, mean: Float
    ) throws(ComputeError) {
        self.stream = stream
        self.options = options
        self.observations = observations
        self.rowRegularization = try stream.upload(rowRegularization)
        self.rotation = rotation
        guard options.feedback == .explicit else {
            explicit = nil
            return
        }
        let columns = options.tableColumns
        var selector = [Float](repeating: 0, count: columns)
        selector[columns - 1] = options.biasScale
        explicit = ExplicitParts(
            targets: try stream.allocate(rows: 1, columns: observations.longestTile),
            fixed: try stream.allocate(rows: observations.columns, columns: columns),
            selector: try stream.upload(selector),
            fixedBias: try stream.allocate(rows: 1, columns: observations.columns),
            zeroDiagonal: try stream.upload([Float](repeating: 0, count: columns)),
            mean: mean)
    }

    /// Solves `solution` with `fixed` held. `fixed`, and `solution` where the method starts from it, are rotated on
    /// the way. Nobody waits.
    func run(fixed: Matrix, solution: Matrix, method: NormalEquationMethod) throws(ComputeError) {
        if let explicit {
            try runExplicit(explicit, fixed: fixed, solution: solution, method: method)
        } else if let rotation {
            try rotation.prepare(fixed: fixed, unobservedWeight: options.unobservedWeight)
            try rotation.rotate(fixed)
            if method != .exact { try rotation.rotate(solution) }
            try solve(fixed: fixed, solution: solution, method: method)
        }
    }

    /// Solves with a fixed table that is in the prepared basis already: fold-in.
    func solve(fixed: Matrix, solution: Matrix, method: NormalEquationMethod) throws(ComputeError) {
        guard let rotation else { return }
        try observations.forEach { rows, tile throws(ComputeError) in
            try stream.solveNormalEquations(
                tile, weighted: options.confidence != .constant, fixed: fixed, diagonal: rotation.diagonal,
                rowRegularization: rowRegularization.columns(rows), method: method, solution: solution.rows(rows))
        }
    }

    private func runExplicit(
        _ parts: ExplicitParts, fixed: Matrix, solution: Matrix, method: NormalEquationMethod
    ) throws(ComputeError) {
        let last = options.tableColumns - 1
        try stream.gemm(parts.selector, fixed, transposeB: true, into: parts.fixedBias)
        try stream.copy(fixed, to: parts.fixed)
        try stream.fill(parts.fixed.columns(last..<last + 1), with: options.biasScale)
        try observations.forEach { rows, tile throws(ComputeError) in
            let targets = parts.targets.columns(0..<tile.values.columns)
            try stream.residualTargets(tile, columnOffset: parts.fixedBias, constant: parts.mean, into: targets)
            try stream.solveNormalEquations(
                tile, weighted: false, targets: targets, fixed: parts.fixed, diagonal: parts.zeroDiagonal,
                rowRegularization: rowRegularization.columns(rows), method: method, solution: solution.rows(rows))
        }
    }
}

extension FactorizationOptions {
    /// s: the last column of a table of explicit factors holds bias / s.
    var biasScale: Float { 1 / biasRegularization.squareRoot() }

    /// The method of the seam for a resolved solver.
    func method(_ solver: FactorizationSolver) -> NormalEquationMethod {
        switch solver {
        case .cg: .conjugateGradient(steps: conjugateGradientSteps)
        case .subspace: .subspace(blockSize: min(blockSize, tableColumns))
        case .exact, .auto: .exact
        }
    }
}
