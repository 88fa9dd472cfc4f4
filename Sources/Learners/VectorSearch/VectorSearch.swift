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

/// Search in an index, on a device. Used by one thread at a time.
///
/// Exact: scores and selection are one operation; only what is found leaves the device. Equal similarities are ordered by
/// row. Complexity: 2 · queries · n · d operations; one query reads n · d numbers, or as many bytes where the index has
/// codes. Walks in a graph are host work.
public final class VectorSearch {
    public let index: VectorIndex
    private let stream: Compute.Stream
    private let candidates: Matrix
    /// −½‖c‖² for Euclidean distances, and −∞ for removed rows; nil where neither is needed.
    private let ownBias: [Float]?
    private var walks: GraphSearch?
    /// Rows that nobody may find are passed through on a walk; so many times the width of a search is the most that they
    /// may cost before all rows are searched instead.
    private static let mostWidening = 12.0

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
        _ queries: HostMatrix, count: Int, filter: VectorFilter = VectorFilter(), mode: VectorSearchMode = .exact
    ) throws -> VectorMatches {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        return try find(index.prepared(queries), count: count, filter: filter, mode: mode)
    }

    /// The `count` most similar other rows of each of some rows.
    public func neighbors(
        of rows: Range<Int>, count: Int, filter: VectorFilter = VectorFilter(), mode: VectorSearchMode = .exact
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
        return try find(queries, count: count, filter: filter, mode: mode)
    }

    private func find(
        _ queries: HostMatrix, count: Int, filter: VectorFilter, mode: VectorSearchMode
    ) throws -> VectorMatches {
        if case .graph(let width) = mode, let graph = index.graph {
            if let width, width < 1 { throw ParameterError("width", "\(width) is below 1") }
            return try walk(graph, queries, count: count, width: width ?? graph.options.searchWidth, filter)
        }
        let m = queries.rows
        let indices = try stream.allocate(rows: m, columns: count, .int32)
        let scores = try stream.allocate(rows: m, columns: count)
        let exclusions = try filter.excludedByQuery.isEmpty ? nil : stream.wrap(pattern(filter.excludedByQuery))
        try stream.topK(
            queries: stream.wrap(queries), candidates: candidates,
            candidateBias: bias(filter).map { try stream.upload($0) },
            exclusions: exclusions, indices: indices, scores: scores,
            rounded: index.rounded.map {
                RoundedCandidates($0, errorShare: mode == .rounded ? VectorSearchMode.errorShare : 1)
            })
        let rows = try stream.download(indices, as: Int32.self)
        var similarities = try stream.download(scores, as: Float.self)
        if index.similarity == .euclidean {
            // From the differences: q·c − ½‖c‖² has lost digits.
            for place in similarities.indices {
                similarities[place] =
                    rows[place] < 0
                    ? .infinity
                    : index.distance(queries.storage.baseAddress + place / count * index.dimensions, Int(rows[place]))
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

    /// By the graph; queries that meet too few rows that they may find search all.
    private func walk(
        _ graph: NeighborGraph, _ queries: HostMatrix, count: Int, width: Int, _ filter: VectorFilter
    ) throws -> VectorMatches {
        var isFound: [Bool]?
        var allowed = index.count
        if !filter.excluded.isEmpty || filter.allowed != nil || !index.removed.isEmpty {
            let mask = (bias(filter) ?? []).map { $0 > -.infinity }
            allowed = mask.count { $0 }
            isFound = mask
        }
        let widening = Double(index.count) / Double(max(allowed, 1))
        guard widening <= Self.mostWidening else {
            return try find(queries, count: count, filter: filter, mode: .exact)
        }
        let search =
            walks
            ?? GraphSearch(
                index, graph: graph,
                pool: WorkerPool(threadCount: RecommenderContext.hostThreads(stream.device)))
        walks = search
        let found = search.search(
            queries, count: count, width: Int((Double(max(width, count)) * widening).rounded(.up)), isFound: isFound,
            left: filter.excludedByQuery)
        var rows = [Int32](repeating: -1, count: queries.rows * count)
        var similarities = [Float](
            repeating: index.similarity == .euclidean ? .infinity : -.infinity, count: queries.rows * count)
        for (query, list) in found.enumerated() {
            var list = list
            let left = filter.excludedByQuery.isEmpty ? [] : filter.excludedByQuery[query]
            if list.count < min(count, allowed - left.count) {
                var own = filter
                own.excludedByQuery = left.isEmpty ? [] : [left]
                let d = index.dimensions
                let one = HostMatrix(
                    rows: 1, columns: d, elements: Array(queries.storage.elements[query * d..<(query + 1) * d]))
                let exact = try find(one, count: count, filter: own, mode: .exact)
                list = exact.matches(of: 0).map { (Int32($0.row), $0.similarity) }
            }
            for (place, match) in list.enumerated() {
                rows[query * count + place] = match.row
                similarities[query * count + place] = match.similarity
            }
        }
        return VectorMatches(count: count, rows: rows, similarities: similarities)
    }
}
