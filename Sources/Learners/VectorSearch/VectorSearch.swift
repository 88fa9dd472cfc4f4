import Compute
import Core

/// Rows of an index that a query may or may not find.
public struct VectorFilter: Sendable {
    /// Rows that every query leaves out.
    public var excluded: Set<Int> = []
    /// The only rows that are found; nil for all.
    public var allowed: Set<Int>?
    /// For each query, rows that it leaves out, itself for example; empty for none.
    public var excludedByQuery: [[Int]] = []

    public init() {}
}

/// What queries found, best first.
public struct VectorMatches: Sendable {
    /// Places of each query.
    public let count: Int
    /// Query after query: rows of the index; −1 where fewer were to be found.
    public let rows: [Int32]
    /// Their similarities; for Euclidean their distances.
    public let similarities: [Float]

    /// The matches of one query.
    public func matches(of query: Int) -> [(row: Int, similarity: Float)] {
        (query * count..<(query + 1) * count).compactMap { rows[$0] < 0 ? nil : (Int(rows[$0]), similarities[$0]) }
    }
}

/// Exact search in an index, on a device. Used by one thread at a time.
///
/// Scores and selection are one operation; only what is found leaves the device. Equal similarities are ordered by row.
/// Complexity: 2 · queries · n · d operations; one query reads n · d numbers.
public final class VectorSearch {
    public let index: VectorIndex
    private let stream: Compute.Stream
    private let candidates: Matrix
    /// −½‖c‖² for Euclidean distances, and −∞ for removed rows; nil where neither is needed.
    private let ownBias: [Float]?

    /// Takes the index to the device. O(n · d).
    public init(_ index: VectorIndex, stream: Compute.Stream) throws {
        self.index = index
        self.stream = stream
        candidates = try stream.wrap(index.vectors)
        var bias: [Float]?
        if index.similarity == .euclidean {
            let norms = try stream.allocate(rows: 1, columns: index.count)
            try stream.rowNorms(candidates, squared: true, into: norms)
            bias = try stream.download(norms, as: Float.self).map { -0.5 * $0 }
        }
        if !index.removed.isEmpty {
            var present = bias ?? [Float](repeating: 0, count: index.count)
            for row in index.removed { present[row] = -.infinity }
            bias = present
        }
        ownBias = bias
    }

    /// The `count` most similar rows of each query.
    ///
    /// - Parameters:
    ///   - queries: m × d.
    ///   - count: places, at least 1; more than there are rows stay empty.
    /// - Throws: ``DataError`` for queries of another length or values that are not finite, ``ParameterError`` for a
    ///   count below 1, and what the device throws.
    public func search(
        _ queries: HostMatrix, count: Int, filter: VectorFilter = VectorFilter()
    ) throws -> VectorMatches {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        return try find(index.prepared(queries), count: count, filter: filter)
    }

    /// The `count` most similar other rows of each of some rows.
    public func neighbors(
        of rows: Range<Int>, count: Int, filter: VectorFilter = VectorFilter()
    ) throws -> VectorMatches {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let d = index.dimensions
        let queries = HostMatrix(
            rows: rows.count, columns: d, storage: HostBuffer(uninitializedCount: rows.count * d))
        queries.storage.baseAddress.update(
            from: index.vectors.storage.baseAddress + rows.lowerBound * d, count: rows.count * d)
        var filter = filter
        filter.excludedByQuery = rows.enumerated().map { place, row in
            [row] + (filter.excludedByQuery.isEmpty ? [] : filter.excludedByQuery[place])
        }
        return try find(queries, count: count, filter: filter)
    }

    private func find(_ queries: HostMatrix, count: Int, filter: VectorFilter) throws -> VectorMatches {
        let m = queries.rows
        let indices = try stream.allocate(rows: m, columns: count, .int32)
        let scores = try stream.allocate(rows: m, columns: count)
        let exclusions = try filter.excludedByQuery.isEmpty ? nil : stream.wrap(pattern(filter.excludedByQuery))
        try stream.topK(
            queries: stream.wrap(queries), candidates: candidates,
            candidateBias: bias(filter).map { try stream.upload($0) },
            exclusions: exclusions, indices: indices, scores: scores)
        let rows = try stream.download(indices, as: Int32.self)
        var similarities = try stream.download(scores, as: Float.self)
        if index.similarity == .euclidean {
            // From the differences: q·c − ½‖c‖² has lost digits.
            for place in similarities.indices {
                similarities[place] = rows[place] < 0 ? .infinity : distance(queries, place / count, Int(rows[place]))
            }
        }
        return VectorMatches(count: count, rows: rows, similarities: similarities)
    }

    private func bias(_ filter: VectorFilter) -> [Float]? {
        guard !filter.excluded.isEmpty || filter.allowed != nil else { return ownBias }
        var bias = ownBias ?? [Float](repeating: 0, count: index.count)
        if let allowed = filter.allowed {
            for row in bias.indices where !allowed.contains(row) { bias[row] = -.infinity }
        }
        for row in filter.excluded where bias.indices.contains(row) { bias[row] = -.infinity }
        return bias
    }

    private func pattern(_ lists: [[Int]]) -> HostSparseMatrix {
        var entries: [(row: Int, column: Int, value: Float)] = []
        for (query, rows) in lists.enumerated() {
            for row in Set(rows).sorted() where row < index.count { entries.append((query, row, 1)) }
        }
        return HostSparseMatrix(rows: lists.count, columns: index.count, entries: entries)
    }

    private func distance(_ queries: HostMatrix, _ query: Int, _ row: Int) -> Float {
        let d = index.dimensions
        let (a, b) = (queries.storage.baseAddress + query * d, index.vectors.storage.baseAddress + row * d)
        var sum = 0.0
        for p in 0..<d {
            let x = Double(a[p]) - Double(b[p])
            sum += x * x
        }
        return Float(sum.squareRoot())
    }
}
