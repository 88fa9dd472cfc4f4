import Compute
import Core

/// Rows of a table of factors that point the same way as others.
enum FactorSimilarity {
    /// The `count` rows most similar to each given row by cosine; the row itself and unknown rows are left out.
    static func nearest(
        table: Matrix, to rows: [Int32], isKnown: [Bool], count: Int, name: String, stream: Stream
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        try checkIndices(rows, below: table.rows, name)
        let norms = try stream.allocate(rows: 1, columns: table.rows)
        try stream.rowNorms(table, into: norms)
        let normalized = try stream.allocate(rows: table.rows, columns: table.columns)
        try stream.scaleRows(table, by: norms, divide: true, into: normalized)
        let queries = try stream.allocate(rows: rows.count, columns: table.columns)
        try stream.gather(normalized, rows: try stream.upload(rows), into: queries)
        let bias = try stream.upload(isKnown.map { $0 ? Float(0) : -.infinity })
        let itself = HostSparseMatrix(
            rows: rows.count, columns: table.rows,
            entries: rows.enumerated().map { (row: $0.offset, column: Int($0.element), value: 1) })
        let indices = try stream.allocate(rows: rows.count, columns: count, .int32)
        let scores = try stream.allocate(rows: rows.count, columns: count)
        try stream.topK(
            queries: queries, candidates: normalized, candidateBias: bias, exclusions: try stream.wrap(itself),
            indices: indices, scores: scores)
        return TopItems(
            count: count, items: try stream.download(indices, as: Int32.self),
            scores: try stream.download(scores, as: Float.self))
    }
}
