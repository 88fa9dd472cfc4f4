import Compute

/// The primitives on host memory: load to float64, ask the oracle, store as float32.
extension OracleBackend {
    func run(_ operation: Operation) throws(ComputeError) {
        switch operation {
        case .fill(let fill): try run(fill)
        case .copy(let copy):
            let bits = try load(copy.input, as: UInt32.self)
            try store(bits, to: copy.output)
        case .gather(let gather):
            let result = Oracle.gather(try matrix(gather.table), rows: try integers(gather.indices))
            try store(result, to: gather.output)
        case .gemm(let gemm): try run(gemm)
        case .batchedGemm(let batch):
            for index in 0..<batch.count {
                let (a, b, output) = batch.product(index)
                let sums = Oracle.gemm(
                    try matrix(a), transposeA: batch.transposeA, try matrix(b), transposeB: batch.transposeB,
                    alpha: Double(batch.alpha), beta: Double(batch.beta), bias: nil,
                    output: batch.beta == 0 ? nil : try matrix(output))
                try store(sums.values, to: output)
            }
        case .gram(let gram): try store(Oracle.gram(try matrix(gram.input)).values, to: gram.output)
        case .sparseTimesDense(let product):
            let sums = Oracle.sparseTimesDense(
                try sparse(product.sparse), try matrix(product.dense), alpha: Double(product.alpha),
                beta: Double(product.beta), output: product.beta == 0 ? nil : try matrix(product.output))
            try store(sums.values, to: product.output)
        case .columnSums(let sums): try store(Oracle.columnSums(try matrix(sums.input)).values, to: sums.output)
        case .rowNorms(let norms):
            try store(Oracle.rowNorms(try matrix(norms.input), squared: norms.squared), to: norms.output)
        case .scaleRows(let scale):
            let result = Oracle.scaleRows(
                try matrix(scale.input), by: try matrix(scale.factors).elements, divide: scale.divide)
            try store(result, to: scale.output)
        case .randomUniform(let random):
            let numbers = Oracle.randomUniform(
                rows: random.output.rows, columns: random.output.columns, seed: random.seed, stream: random.stream,
                start: random.start)
            try store(numbers, to: random.output)
        case .residualTargets(let residual): try run(residual)
        case .observedLoss(let loss):
            let result = Oracle.observedLoss(
                try sparse(loss.sparse), targets: try vector(loss.targets), weighted: loss.weighted,
                try matrix(loss.a), try matrix(loss.b))
            try store(result.values.map(Float.init), to: loss.output)
        case .observedScores(let scores):
            let sums = Oracle.observedScores(
                rows: try integers(scores.rowIndices), columns: try integers(scores.columnIndices),
                try matrix(scores.a), try matrix(scores.b))
            try store(sums.values, to: scores.output)
        case .solveNormalEquations(let solve): try run(solve)
        case .network(let operation): try run(operation)
        case .topK(let topK):
            let sums = Oracle.scores(
                queries: try matrix(topK.queries), candidates: try matrix(topK.candidates),
                candidateBias: try vector(topK.candidateBias))
            let excluded = try topK.exclusions.map { sparse throws(ComputeError) in
                Oracle.patterns(try self.sparse(sparse))
            }
            let best = Oracle.topK(scores: sums.values, excluded: excluded, k: topK.k)
            try store(best.indices, to: topK.indices)
            try store(best.scores, to: topK.scores)
        case .assignNearest(let assign):
            let nearest = Oracle.nearest(try matrix(assign.points), try matrix(assign.centers))
            try store(nearest.labels, to: assign.labels)
            if let distances = assign.distances { try store(nearest.distances.map(Float.init), to: distances) }
        case .accumulateByLabel(let accumulate):
            let result = Oracle.accumulate(
                try matrix(accumulate.points), labels: try integers(accumulate.labels),
                weights: try vector(accumulate.weights), count: accumulate.totals.columns)
            try store(result.sums, to: accumulate.sums)
            try store(result.totals.map(Float.init), to: accumulate.totals)
        }
    }

    private func run(_ fill: Fill) throws(ComputeError) {
        if fill.output.elementType == .int32 {
            let value = Int32(clamping: Int64(max(-0x1p62, min(0x1p62, fill.value))))
            try store([Int32](repeating: value, count: fill.output.count), to: fill.output)
        } else {
            try store([Float](repeating: fill.value, count: fill.output.count), to: fill.output)
        }
    }

    private func run(_ gemm: Gemm) throws(ComputeError) {
        let (a, b) = (
            Oracle.taken(try matrix(gemm.a), gemm.precision), Oracle.taken(try matrix(gemm.b), gemm.precision)
        )
        var result = Oracle.gemm(
            a, transposeA: gemm.transposeA, b, transposeB: gemm.transposeB,
            alpha: Double(gemm.alpha), beta: Double(gemm.beta), bias: try vector(gemm.bias),
            output: gemm.beta == 0 ? nil : try matrix(gemm.output)
        ).values
        for place in result.elements.indices {
            result.elements[place] = Oracle.activate(result.elements[place], gemm.activation).value
        }
        try store(result, to: gemm.output)
    }

    private func run(_ residual: ResidualTargets) throws(ComputeError) {
        let sparse = try sparse(residual.sparse)
        let sums = Oracle.residualTargets(
            sparse, rowOffset: try vector(residual.rowOffset), columnOffset: try vector(residual.columnOffset),
            constant: Double(residual.constant))
        let entries = sparse.rowPointers[0]..<sparse.rowPointers[sparse.rows]
        try store(sums.values, to: residual.output.columns(entries))
    }

    private func run(_ solve: SolveNormalEquations) throws(ComputeError) {
        let equations = OracleNormalEquations(
            sparse: try sparse(solve.sparse), weighted: solve.weighted, targets: try vector(solve.targets),
            fixed: try matrix(solve.fixed), diagonal: try matrix(solve.diagonal).elements,
            rowRegularization: try matrix(solve.rowRegularization).elements)
        for row in 0..<solve.solution.rows {
            let place = solve.solution.rows(row..<row + 1)
            let solution: [Double]
            switch solve.method {
            case .exact: solution = equations.exact(row: row)
            case .subspace(let blockSize):
                solution = equations.subspace(row: row, blockSize: blockSize, start: try matrix(place).elements)
            case .conjugateGradient(let steps):
                solution = equations.conjugateGradient(row: row, steps: steps, start: try matrix(place).elements)
            }
            try store(solution.map(Float.init), to: place)
        }
    }

    // MARK: Memory

    func load<Element>(_ matrix: Matrix, as type: Element.Type) throws(ComputeError) -> [Element] {
        let base = try address(of: matrix.storage).assumingMemoryBound(to: Element.self)
        var result: [Element] = []
        result.reserveCapacity(matrix.count)
        for row in 0..<matrix.rows {
            let start = base + matrix.offset + row * matrix.rowStride
            result.append(contentsOf: UnsafeBufferPointer(start: start, count: matrix.columns))
        }
        return result
    }

    func store<Element>(_ elements: [Element], to matrix: Matrix) throws(ComputeError) {
        let base = try address(of: matrix.storage).assumingMemoryBound(to: Element.self)
        for row in 0..<matrix.rows {
            let start = base + matrix.offset + row * matrix.rowStride
            for column in 0..<matrix.columns { start[column] = elements[row * matrix.columns + column] }
        }
    }

    func store(_ result: OracleMatrix, to matrix: Matrix) throws(ComputeError) {
        try store(result.elements.map(Float.init), to: matrix)
    }

    func matrix(_ matrix: Matrix) throws(ComputeError) -> OracleMatrix {
        OracleMatrix(rows: matrix.rows, columns: matrix.columns, try load(matrix, as: Float.self))
    }

    func vector(_ matrix: Matrix?) throws(ComputeError) -> [Double]? {
        guard let matrix else { return nil }
        return try self.matrix(matrix).elements
    }

    func integers(_ matrix: Matrix) throws(ComputeError) -> [Int] {
        try load(matrix, as: Int32.self).map(Int.init)
    }

    private func sparse(_ sparse: SparseMatrix) throws(ComputeError) -> OracleSparseMatrix {
        OracleSparseMatrix(
            rows: sparse.rows, columns: sparse.columns,
            rowPointers: try load(sparse.rowPointers, as: Int64.self).map(Int.init),
            columnIndices: try integers(sparse.columnIndices), values: try matrix(sparse.values).elements)
    }
}
