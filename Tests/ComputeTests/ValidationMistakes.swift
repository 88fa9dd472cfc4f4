import Compute

/// One mistake for every check of the shared front.
extension ValidationTests {
    static let mistakes =
        memoryMistakes + productMistakes + factorizationMistakes + networkMistakes + sequenceMistakes
        + perceptronMistakes

    private static let memoryMistakes: [Mistake] = [
        Mistake("negative rows", "-1 × 2 is not a shape") { f throws(ComputeError) in _ = try f.m(-1, 2) },
        Mistake("negative columns", "2 × -1 is not a shape") { f throws(ComputeError) in _ = try f.m(2, -1) },
        Mistake("past the storage", "the storage has 24 bytes") { f throws(ComputeError) in
            let storage = try f.m(2, 3).storage
            _ = try Matrix(
                storage: storage, elementType: .float32, offset: 1, rows: 2, columns: 3, rowStride: 3)
        },
        Mistake("row stride below columns", "row stride 2 is not a matrix") { f throws(ComputeError) in
            let storage = try f.m(2, 3).storage
            _ = try Matrix(
                storage: storage, elementType: .float32, offset: 0, rows: 2, columns: 3, rowStride: 2)
        },
        Mistake("negative offset", "offset -1") { f throws(ComputeError) in
            let storage = try f.m(2, 3).storage
            _ = try Matrix(
                storage: storage, elementType: .float32, offset: -1, rows: 2, columns: 3, rowStride: 3)
        },
        Mistake("upload of another type", "int32 elements into a matrix of float32") { f throws(ComputeError) in
            try f.stream.upload([1, 2] as [Int32], to: try f.m(1, 2))
        },
        Mistake("upload of another count", "8 bytes into a matrix of 1 × 3") { f throws(ComputeError) in
            try f.stream.upload([1, 2] as [Float], to: try f.m(1, 3))
        },
        Mistake("download of another type", "expects int32, got a matrix of float32") { f throws(ComputeError) in
            _ = try f.stream.download(try f.m(1, 3), as: Int32.self)
        },
        Mistake("fill int64", "int64 is not supported") { f throws(ComputeError) in
            try f.stream.fill(try f.m(1, 3, .int64), with: 1)
        },
        Mistake("copy int64", "int64 is not supported") { f throws(ComputeError) in
            try f.stream.copy(try f.m(1, 3, .int64), to: try f.m(1, 3, .int64))
        },
        Mistake("copy between types", "expects int32, got a matrix of float32") { f throws(ComputeError) in
            try f.stream.copy(try f.m(1, 3, .int32), to: try f.m(1, 3))
        },
        Mistake("copy between shapes", "input is 2 × 3, output 3 × 2") { f throws(ComputeError) in
            try f.stream.copy(try f.m(2, 3), to: try f.m(3, 2))
        },
        Mistake("copy onto itself", "overlaps") { f throws(ComputeError) in
            let matrix = try f.m(2, 3)
            try f.stream.copy(matrix, to: matrix)
        },
        Mistake("copy between overlapping windows", "overlaps") { f throws(ComputeError) in
            let (a, b) = try f.overlapping()
            try f.stream.copy(a, to: b)
        },
        Mistake("copy between overlapping rows", "overlaps") { f throws(ComputeError) in
            let table = try f.m(5, 3)
            try f.stream.copy(table.rows(0..<3), to: table.rows(2..<5))
        },
        Mistake("gather with float indices", "expects int32") { f throws(ComputeError) in
            try f.stream.gather(try f.m(4, 3), rows: try f.m(1, 2), into: try f.m(2, 3))
        },
        Mistake("gather of another width", "table 4 × 3") { f throws(ComputeError) in
            try f.stream.gather(try f.m(4, 3), rows: try f.m(1, 2, .int32), into: try f.m(2, 4))
        },
        Mistake("gather of another count", "indices 1 × 2, output 3 × 3") { f throws(ComputeError) in
            try f.stream.gather(try f.m(4, 3), rows: try f.m(1, 2, .int32), into: try f.m(3, 3))
        },
        Mistake("gather by a column", "indices 2 × 1") { f throws(ComputeError) in
            try f.stream.gather(try f.m(4, 3), rows: try f.m(2, 1, .int32), into: try f.m(2, 3))
        },
        Mistake("gather into its table", "overlaps") { f throws(ComputeError) in
            let table = try f.m(4, 3)
            try f.stream.gather(table, rows: try f.m(1, 2, .int32), into: table.rows(1..<3))
        },
        Mistake("random int32", "expects float32") { f throws(ComputeError) in
            try f.stream.randomUniform(try f.m(1, 3, .int32), seed: 1, stream: 1)
        },
        Mistake("scale by too few", "factors 1 × 2") { f throws(ComputeError) in
            try f.stream.scaleRows(try f.m(3, 3), by: try f.m(1, 2), into: try f.m(3, 3))
        },
        Mistake("scale into another shape", "output 3 × 4") { f throws(ComputeError) in
            try f.stream.scaleRows(try f.m(3, 3), by: try f.m(1, 3), into: try f.m(3, 4))
        },
        Mistake("scale into an overlapping window", "overlaps") { f throws(ComputeError) in
            let (a, b) = try f.overlapping()
            try f.stream.scaleRows(a, by: try f.m(1, 3), into: b)
        },
        Mistake("scale over its factors", "overlaps") { f throws(ComputeError) in
            let table = try f.m(3, 3)
            try f.stream.scaleRows(table, by: table.rows(0..<1), into: table)
        },
    ]

    private static let productMistakes: [Mistake] = [
        Mistake("gemm of int32", "expects float32, got a matrix of int32") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3, .int32), try f.m(3, 2), into: try f.m(2, 2))
        },
        Mistake("gemm, inner sizes", "a 2 × 3, b 2 × 3, output 2 × 3") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3), try f.m(2, 3), into: try f.m(2, 3))
        },
        Mistake("gemm, inner sizes transposed", "a 2 × 3 transposed") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3), transposeA: true, try f.m(3, 2), into: try f.m(3, 2))
        },
        Mistake("gemm, b transposed", "b 3 × 2 transposed") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3), try f.m(3, 2), transposeB: true, into: try f.m(2, 3))
        },
        Mistake("gemm, output rows", "output 3 × 2") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3), try f.m(3, 2), into: try f.m(3, 2))
        },
        Mistake("gemm, output columns", "output 2 × 3") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3), try f.m(3, 2), into: try f.m(2, 3))
        },
        Mistake("gemm, bias", "bias is 1 × 3, the output has 2 columns") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3), try f.m(3, 2), bias: try f.m(1, 3), into: try f.m(2, 2))
        },
        Mistake("gemm, bias a column", "bias is 2 × 1") { f throws(ComputeError) in
            try f.stream.gemm(try f.m(2, 3), try f.m(3, 2), bias: try f.m(2, 1), into: try f.m(2, 2))
        },
        Mistake("gemm into a", "overlaps") { f throws(ComputeError) in
            let a = try f.m(2, 2)
            try f.stream.gemm(a, try f.m(2, 2), into: a)
        },
        Mistake("gemm into b", "overlaps") { f throws(ComputeError) in
            let b = try f.m(2, 2)
            try f.stream.gemm(try f.m(2, 2), b, into: b)
        },
        Mistake("gemm over its bias", "overlaps") { f throws(ComputeError) in
            let output = try f.m(2, 2)
            try f.stream.gemm(try f.m(2, 2), try f.m(2, 2), bias: output.rows(0..<1), into: output)
        },
        Mistake("an empty batch", "a batch of 0 products") { f throws(ComputeError) in
            try f.stream.batchedGemm(count: 0, try f.m(2, 3), try f.m(3, 2), into: try f.m(2, 2))
        },
        Mistake("a batch that doesn't divide", "a is 3 × 3, whose rows don't divide into 2 products") {
            f throws(ComputeError) in
            try f.stream.batchedGemm(count: 2, try f.m(3, 3), try f.m(6, 2), into: try f.m(4, 2))
        },
        Mistake("batch, inner sizes", "2 products: a 4 × 3, b 4 × 2, output 4 × 2") { f throws(ComputeError) in
            try f.stream.batchedGemm(count: 2, try f.m(4, 3), try f.m(4, 2), into: try f.m(4, 2))
        },
        Mistake("batch, output rows", "output 6 × 2") { f throws(ComputeError) in
            try f.stream.batchedGemm(count: 2, try f.m(4, 3), try f.m(6, 2), into: try f.m(6, 2))
        },
        Mistake("batch into a", "overlaps") { f throws(ComputeError) in
            let a = try f.m(4, 2)
            try f.stream.batchedGemm(count: 2, a, try f.m(4, 2), into: a)
        },
        Mistake("batch of int32", "expects float32, got a matrix of int32") { f throws(ComputeError) in
            try f.stream.batchedGemm(count: 2, try f.m(4, 3, .int32), try f.m(6, 2), into: try f.m(4, 2))
        },
        Mistake("gram, shape", "input 5 × 3, output 5 × 5") { f throws(ComputeError) in
            try f.stream.gram(try f.m(5, 3), into: try f.m(5, 5))
        },
        Mistake("gram into its input", "overlaps") { f throws(ComputeError) in
            let matrix = try f.m(3, 3)
            try f.stream.gram(matrix, into: matrix)
        },
        Mistake("sparse product, inner sizes", "sparse 3 × 4 with 2 entries, dense 3 × 2") {
            f throws(ComputeError) in
            try f.stream.multiply(f.sparse, try f.m(3, 2), into: try f.m(3, 2))
        },
        Mistake("sparse product, output", "output 4 × 2") { f throws(ComputeError) in
            try f.stream.multiply(f.sparse, try f.m(4, 2), into: try f.m(4, 2))
        },
        Mistake("sparse product into its input", "overlaps") { f throws(ComputeError) in
            let dense = try f.m(4, 2)
            try f.stream.multiply(f.sparse, dense, into: dense.rows(0..<3))
        },
        Mistake("column sums, shape", "input 3 × 4, output 1 × 3") { f throws(ComputeError) in
            try f.stream.columnSums(try f.m(3, 4), into: try f.m(1, 3))
        },
        Mistake("column sums into a column", "output 4 × 1") { f throws(ComputeError) in
            try f.stream.columnSums(try f.m(3, 4), into: try f.m(4, 1))
        },
        Mistake("column sums into the input", "overlaps") { f throws(ComputeError) in
            let matrix = try f.m(3, 4)
            try f.stream.columnSums(matrix, into: matrix.rows(1..<2))
        },
        Mistake("row norms, shape", "input 3 × 4, output 1 × 4") { f throws(ComputeError) in
            try f.stream.rowNorms(try f.m(3, 4), into: try f.m(1, 4))
        },
        Mistake("row norms into the input", "overlaps") { f throws(ComputeError) in
            let matrix = try f.m(4, 4)
            try f.stream.rowNorms(matrix, into: matrix.rows(0..<1))
        },
    ]

    private static let factorizationMistakes: [Mistake] = [
        Mistake("residuals, row offsets", "rowOffset is 1 × 4, expected 1 × 3") { f throws(ComputeError) in
            try f.stream.residualTargets(f.sparse, rowOffset: try f.m(1, 4), into: try f.m(1, 2))
        },
        Mistake("residuals, column offsets", "columnOffset is 1 × 3, expected 1 × 4") { f throws(ComputeError) in
            try f.stream.residualTargets(f.sparse, columnOffset: try f.m(1, 3), into: try f.m(1, 2))
        },
        Mistake("residuals, output", "output is 1 × 3, expected 1 × 2") { f throws(ComputeError) in
            try f.stream.residualTargets(f.sparse, into: try f.m(1, 3))
        },
        Mistake("loss, targets", "targets is 1 × 3, expected 1 × 2") { f throws(ComputeError) in
            try f.stream.observedLoss(
                f.sparse, targets: try f.m(1, 3), try f.m(3, 2), try f.m(4, 2), into: try f.m(1, 3))
        },
        Mistake("loss, output", "output is 1 × 4, expected 1 × 3") { f throws(ComputeError) in
            try f.stream.observedLoss(f.sparse, try f.m(3, 2), try f.m(4, 2), into: try f.m(1, 4))
        },
        Mistake("loss, dimensions", "a 3 × 2, b 4 × 3") { f throws(ComputeError) in
            try f.stream.observedLoss(f.sparse, try f.m(3, 2), try f.m(4, 3), into: try f.m(1, 3))
        },
        Mistake("loss, rows", "a 4 × 2, b 4 × 2") { f throws(ComputeError) in
            try f.stream.observedLoss(f.sparse, try f.m(4, 2), try f.m(4, 2), into: try f.m(1, 3))
        },
        Mistake("loss into a", "overlaps") { f throws(ComputeError) in
            let a = try f.m(3, 3)
            try f.stream.observedLoss(f.sparse, a, try f.m(4, 3), into: a.rows(1..<2))
        },
        Mistake("scores, types", "expects int32") { f throws(ComputeError) in
            try f.stream.scores(
                rows: try f.m(1, 2), columns: try f.m(1, 2, .int32), try f.m(3, 2), try f.m(4, 2),
                into: try f.m(1, 2))
        },
        Mistake("scores, counts", "rows 1 × 2, columns 1 × 3") { f throws(ComputeError) in
            try f.stream.scores(
                rows: try f.m(1, 2, .int32), columns: try f.m(1, 3, .int32), try f.m(3, 2), try f.m(4, 2),
                into: try f.m(1, 2))
        },
        Mistake("scores, output", "output 1 × 3") { f throws(ComputeError) in
            try f.stream.scores(
                rows: try f.m(1, 2, .int32), columns: try f.m(1, 2, .int32), try f.m(3, 2), try f.m(4, 2),
                into: try f.m(1, 3))
        },
        Mistake("scores, dimensions", "a 3 × 2, b 4 × 3") { f throws(ComputeError) in
            try f.stream.scores(
                rows: try f.m(1, 2, .int32), columns: try f.m(1, 2, .int32), try f.m(3, 2), try f.m(4, 3),
                into: try f.m(1, 2))
        },
        Mistake("solve, fixed", "fixed 3 × 2") { f throws(ComputeError) in
            try f.solve(fixed: try f.m(3, 2))
        },
        Mistake("solve, solution rows", "solution 4 × 2") { f throws(ComputeError) in
            try f.solve(solution: try f.m(4, 2))
        },
        Mistake("solve, solution columns", "solution 3 × 3") { f throws(ComputeError) in
            try f.solve(solution: try f.m(3, 3))
        },
        Mistake("solve, diagonal", "diagonal is 1 × 3, expected 1 × 2") { f throws(ComputeError) in
            try f.solve(diagonal: try f.m(1, 3))
        },
        Mistake("solve, regularization", "rowRegularization is 1 × 2, expected 1 × 3") { f throws(ComputeError) in
            try f.solve(regularization: try f.m(1, 2))
        },
        Mistake("solve, targets", "targets is 1 × 3, expected 1 × 2") { f throws(ComputeError) in
            try f.solve(targets: try f.m(1, 3))
        },
        Mistake("solve, block size", "block size 0 is below 1") { f throws(ComputeError) in
            try f.solve(method: .subspace(blockSize: 0))
        },
        Mistake("solve, steps", "0 conjugate-gradient steps; at least 1 is needed") { f throws(ComputeError) in
            try f.solve(method: .conjugateGradient(steps: 0))
        },
        Mistake("solve over the fixed rows", "overlaps") { f throws(ComputeError) in
            let table = try f.m(4, 2)
            try f.solve(fixed: table, solution: table.rows(0..<3))
        },
        Mistake("solve over the diagonal", "overlaps") { f throws(ComputeError) in
            let table = try f.m(3, 2)
            try f.solve(diagonal: table.rows(0..<1), solution: table)
        },
        Mistake("top-k, dimensions", "queries 2 × 3, candidates 5 × 2") { f throws(ComputeError) in
            try f.topK(candidates: try f.m(5, 2))
        },
        Mistake("top-k, indices of float32", "expects int32") { f throws(ComputeError) in
            try f.topK(indices: try f.m(2, 4))
        },
        Mistake("top-k, indices and scores", "indices 2 × 3, scores 2 × 4") { f throws(ComputeError) in
            try f.topK(indices: try f.m(2, 3, .int32))
        },
        Mistake("top-k, rows", "scores 3 × 4") { f throws(ComputeError) in
            try f.topK(indices: try f.m(3, 4, .int32), scores: try f.m(3, 4))
        },
        Mistake("top-k of no places", "indices 2 × 0") { f throws(ComputeError) in
            try f.topK(indices: try f.m(2, 0, .int32), scores: try f.m(2, 0))
        },
        Mistake("top-k, bias", "candidateBias is 1 × 4, expected 1 × 5") { f throws(ComputeError) in
            try f.topK(bias: try f.m(1, 4))
        },
        Mistake("top-k, exclusions", "exclusions 3 × 4 with 2 entries") { f throws(ComputeError) in
            try f.topK(exclusions: f.sparse)
        },
        Mistake("top-k over its queries", "overlaps") { f throws(ComputeError) in
            let queries = try f.m(2, 4)
            try f.topK(queries: queries, candidates: try f.m(5, 4), scores: queries)
        },
        Mistake("nearest centres, dimensions", "points 6 × 3, centers 2 × 4") { f throws(ComputeError) in
            try f.stream.assignNearest(
                points: try f.m(6, 3), centers: try f.m(2, 4), labels: try f.m(1, 6, .int32))
        },
        Mistake("nearest centres, labels of float32", "expects int32") { f throws(ComputeError) in
            try f.stream.assignNearest(points: try f.m(6, 3), centers: try f.m(2, 3), labels: try f.m(1, 6))
        },
        Mistake("nearest centres, distances", "distances is 1 × 5, expected 1 × 6") { f throws(ComputeError) in
            try f.stream.assignNearest(
                points: try f.m(6, 3), centers: try f.m(2, 3), labels: try f.m(1, 6, .int32), distances: try f.m(1, 5))
        },
        Mistake("nearest centres, distances over the points", "overlaps") { f throws(ComputeError) in
            let points = try f.m(3, 3)
            try f.stream.assignNearest(
                points: points, centers: try f.m(2, 3), labels: try f.m(1, 3, .int32), distances: points.rows(0..<1))
        },
        Mistake("sums by label, labels", "labels 1 × 5") { f throws(ComputeError) in
            try f.stream.accumulateByLabel(
                points: try f.m(6, 3), labels: try f.m(1, 5, .int32), sums: try f.m(2, 3), totals: try f.m(1, 2))
        },
        Mistake("sums by label, totals", "totals 1 × 3") { f throws(ComputeError) in
            try f.stream.accumulateByLabel(
                points: try f.m(6, 3), labels: try f.m(1, 6, .int32), sums: try f.m(2, 3), totals: try f.m(1, 3))
        },
        Mistake("sums by label, weights", "weights is 1 × 2, expected 1 × 6") { f throws(ComputeError) in
            try f.stream.accumulateByLabel(
                points: try f.m(6, 3), labels: try f.m(1, 6, .int32), weights: try f.m(1, 2), sums: try f.m(2, 3),
                totals: try f.m(1, 2))
        },
        Mistake("sums by label over the points", "overlaps") { f throws(ComputeError) in
            let points = try f.m(6, 3)
            try f.stream.accumulateByLabel(
                points: points, labels: try f.m(1, 6, .int32), sums: points.rows(0..<2), totals: try f.m(1, 2))
        },
    ]
}

extension ValidationTests.Fixture {
    func solve(
        targets: Matrix? = nil, fixed: Matrix? = nil, diagonal: Matrix? = nil, regularization: Matrix? = nil,
        method: NormalEquationMethod = .exact, solution: Matrix? = nil
    ) throws(ComputeError) {
        let (v, x) = (try m(4, 2), try m(3, 2))
        let (spread, ridge) = (try m(1, 2), try m(1, 3))
        try stream.solveNormalEquations(
            sparse, targets: targets, fixed: fixed ?? v, diagonal: diagonal ?? spread,
            rowRegularization: regularization ?? ridge, method: method, solution: solution ?? x)
    }

    func topK(
        queries: Matrix? = nil, candidates: Matrix? = nil, bias: Matrix? = nil, exclusions: SparseMatrix? = nil,
        indices: Matrix? = nil, scores: Matrix? = nil
    ) throws(ComputeError) {
        let (q, c) = (try m(2, 3), try m(5, 3))
        let (i, s) = (try m(2, 4, .int32), try m(2, 4))
        try stream.topK(
            queries: queries ?? q, candidates: candidates ?? c, candidateBias: bias, exclusions: exclusions,
            indices: indices ?? i, scores: scores ?? s)
    }
}
