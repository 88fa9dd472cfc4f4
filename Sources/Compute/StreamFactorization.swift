import Core

/// What matrix factorization, scoring and their evaluation need.
extension Stream {
    /// `output[e] = sparse.values[e] − rowOffset[row] − columnOffset[column] − constant` for every entry e of the
    /// rows of `sparse`, at the entry's own position.
    ///
    /// - Parameters:
    ///   - rowOffset: 1 × rows, or nil for 0.
    ///   - columnOffset: 1 × columns, or nil for 0.
    ///   - output: 1 × as many elements as `sparse.values` has; may be those values themselves.
    public func residualTargets(
        _ sparse: SparseMatrix, rowOffset: Matrix? = nil, columnOffset: Matrix? = nil, constant: Float = 0,
        into output: Matrix
    ) throws(ComputeError) {
        let name = "residualTargets"
        try check(sparse, name)
        try checkVector(rowOffset, count: sparse.rows, name, "rowOffset")
        try checkVector(columnOffset, count: sparse.columns, name, "columnOffset")
        try checkVector(output, count: sparse.values.columns, name, "output")
        guard sparse.entryCount > 0 else { return }
        try submit(
            .residualTargets(
                ResidualTargets(
                    sparse: sparse, rowOffset: rowOffset, columnOffset: columnOffset, constant: constant,
                    output: output)))
    }

    /// `output[i] = Σ_e w_e · (t_e − a_i · b_column(e))²` over the entries e of row i.
    ///
    /// - Parameters:
    ///   - sparse: m × n; its values are the weights w.
    ///   - targets: t, 1 × as many elements as `sparse.values`; nil stands for 1.
    ///   - weighted: whether the values weigh the squares; otherwise every weight is 1.
    ///   - a: m × d.
    ///   - b: n × d.
    ///   - output: 1 × m.
    /// - Complexity: 2 · entries · d.
    public func observedLoss(
        _ sparse: SparseMatrix, targets: Matrix? = nil, weighted: Bool = true, _ a: Matrix, _ b: Matrix,
        into output: Matrix
    ) throws(ComputeError) {
        let name = "observedLoss"
        try check(sparse, name)
        for matrix in [a, b] { try check(matrix, name) }
        try checkVector(targets, count: sparse.values.columns, name, "targets")
        try checkVector(output, count: sparse.rows, name, "output")
        try require(
            a.rows == sparse.rows && b.rows == sparse.columns && a.columns == b.columns, name,
            "sparse \(sparse.shape), a \(a.shape), b \(b.shape)")
        try requireDisjoint(output, [a, b], name)
        guard output.count > 0 else { return }
        try submit(
            .observedLoss(
                ObservedLoss(sparse: sparse, targets: targets, weighted: weighted, a: a, b: b, output: output)))
    }

    /// `output[e] = a[rows[e], :] · b[columns[e], :]`; an index outside its table gives NaN.
    ///
    /// - Parameters:
    ///   - rows: 1 × p, int32.
    ///   - columns: 1 × p, int32.
    ///   - output: 1 × p.
    /// - Complexity: 2 · p · d.
    public func scores(
        rows: Matrix, columns: Matrix, _ a: Matrix, _ b: Matrix, into output: Matrix
    ) throws(ComputeError) {
        let name = "observedScores"
        try check(rows, name, .int32)
        try check(columns, name, .int32)
        for matrix in [a, b, output] { try check(matrix, name) }
        try require(
            rows.rows == 1 && columns.rows == 1 && output.rows == 1 && rows.columns == columns.columns
                && rows.columns == output.columns && a.columns == b.columns, name,
            "rows \(rows.shape), columns \(columns.shape), a \(a.shape), b \(b.shape), output \(output.shape)")
        try requireDisjoint(output, [a, b, rows, columns], name)
        guard output.count > 0 else { return }
        try submit(
            .observedScores(ObservedScores(rowIndices: rows, columnIndices: columns, a: a, b: b, output: output)))
    }

    /// Solves, for each row u of `sparse` with entries e of weight w_e, target t_e and v_e = fixed[column of e]:
    ///
    ///     (diag(diagonal + rowRegularization[u]) + Σ_e w_e v_e v_eᵀ) · solution[u] = Σ_e w_e t_e v_e
    ///
    /// A row without entries gets 0.
    ///
    /// - Parameters:
    ///   - sparse: m × n; its values are the weights w ≥ 0.
    ///   - weighted: whether the values are the weights; otherwise every weight is 1.
    ///   - targets: t, 1 × as many elements as `sparse.values`; nil stands for 1.
    ///   - fixed: n × d, rotated into the basis in which the shared part is `diagonal`.
    ///   - diagonal: 1 × d; plus `rowRegularization` it must be positive.
    ///   - rowRegularization: 1 × m.
    ///   - method: exact, or an improvement of the present solution.
    ///   - solution: m × d.
    /// - Complexity: exact: Σ over rows of n'·d·min(n', d) + min(n', d)³/3 for n' entries; conjugate gradient:
    ///   4·(steps + 1)·entries·d; subspace: entries·d·(blockSize + 4) + rows·d·blockSize²/3.
    public func solveNormalEquations(
        _ sparse: SparseMatrix, weighted: Bool = true, targets: Matrix? = nil, fixed: Matrix, diagonal: Matrix,
        rowRegularization: Matrix, method: NormalEquationMethod, solution: Matrix
    ) throws(ComputeError) {
        let name = "solveNormalEquations"
        try check(sparse, name)
        for matrix in [fixed, solution] { try check(matrix, name) }
        try checkVector(targets, count: sparse.values.columns, name, "targets")
        try checkVector(diagonal, count: fixed.columns, name, "diagonal")
        try checkVector(rowRegularization, count: sparse.rows, name, "rowRegularization")
        try require(
            fixed.rows == sparse.columns && solution.rows == sparse.rows && solution.columns == fixed.columns, name,
            "sparse \(sparse.shape), fixed \(fixed.shape), solution \(solution.shape)")
        switch method {
        case .exact: break
        case .subspace(let blockSize):
            try require(blockSize > 0, name, "block size \(blockSize) is below 1")
        case .conjugateGradient(let steps):
            try require(steps > 0, name, "\(steps) conjugate-gradient steps; at least 1 is needed")
        }
        try requireDisjoint(solution, [fixed, diagonal, rowRegularization], name)
        guard solution.count > 0 else { return }
        try submit(
            .solveNormalEquations(
                SolveNormalEquations(
                    sparse: sparse, weighted: weighted, targets: targets, fixed: fixed, diagonal: diagonal,
                    rowRegularization: rowRegularization, method: method, solution: solution)))
    }

    /// For each query the candidates with the largest `query · candidate + candidateBias`, best first, equal scores by
    /// ascending index; never those in the query's row of `exclusions`, nor those whose score is −∞ or NaN. Places
    /// that stay empty hold index −1 and score −∞.
    ///
    /// - Parameters:
    ///   - queries: m × d.
    ///   - candidates: n × d.
    ///   - candidateBias: 1 × n, or nil for 0; −∞ takes a candidate out for every query.
    ///   - exclusions: m × n, or nil; only its pattern counts.
    ///   - indices: m × k, int32; k ≥ 1.
    ///   - scores: m × k.
    ///   - rounded: the candidates in 8 bits, by which a device may rule some out before it reads them; the results are the
    ///     same, unless they are trusted further than their error bound.
    /// - Complexity: 2 · m · n · d, the selection apart.
    public func topK(
        queries: Matrix, candidates: Matrix, candidateBias: Matrix? = nil, exclusions: SparseMatrix? = nil,
        indices: Matrix, scores: Matrix, rounded: RoundedCandidates? = nil
    ) throws(ComputeError) {
        let name = "topK"
        for matrix in [queries, candidates, scores] { try check(matrix, name) }
        try check(indices, name, .int32)
        try checkVector(candidateBias, count: candidates.rows, name, "candidateBias")
        try require(
            queries.columns == candidates.columns && indices.rows == queries.rows && scores.rows == queries.rows
                && indices.columns == scores.columns && (indices.columns > 0 || queries.rows == 0), name,
            "queries \(queries.shape), candidates \(candidates.shape), indices \(indices.shape), "
                + "scores \(scores.shape)")
        if let exclusions {
            try check(exclusions, name)
            try require(
                exclusions.rows == queries.rows && exclusions.columns == candidates.rows, name,
                "exclusions \(exclusions.shape), queries \(queries.shape), candidates \(candidates.shape)")
        }
        if let rounded {
            try require(
                rounded.matrix.rows == candidates.rows && rounded.matrix.columns == candidates.columns, name,
                "rounded candidates \(rounded.matrix.rows) × \(rounded.matrix.columns), candidates \(candidates.shape)")
            try require(
                (0...1).contains(rounded.errorShare), name, "a share \(rounded.errorShare) of the error, expected 0 … 1"
            )
        }
        try requireDisjoint(indices, [queries, candidates], name)
        try requireDisjoint(scores, [queries, candidates], name)
        guard indices.count > 0 else { return }
        try submit(
            .topK(
                TopK(
                    queries: queries, candidates: candidates, candidateBias: candidateBias, exclusions: exclusions,
                    indices: indices, scores: scores, rounded: rounded)))
    }

    private func checkVector(
        _ vector: Matrix?, count: Int, _ operation: String, _ name: String
    ) throws(ComputeError) {
        guard let vector else { return }
        try check(vector, operation)
        try require(
            vector.rows == 1 && vector.columns == count, operation, "\(name) is \(vector.shape), expected 1 × \(count)")
    }
}
