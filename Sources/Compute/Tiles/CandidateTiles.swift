import Core

/// The candidates of a top-k search: on the device whole or, where it has no room for them, on the host, passing through
/// in tiles.
///
/// In tiles a search uploads all candidates once, each tile while the one before is searched, and waits once a tile for
/// its k best, which are merged on the host.
public final class CandidateTiles {
    private let stream: Stream
    private let host: HostMatrix
    private let whole: Matrix?
    private var slots: [Matrix] = []
    /// The candidates of each tile; one range when they are whole.
    public let tiles: [Range<Int>]

    /// - Parameters:
    ///   - host: n × d.
    ///   - stream: where to search.
    ///   - tileBytes: most bytes of a tile, of which two are on the device at a time; nil puts all candidates there when
    ///     they take no more than half of what is free, and else takes an eighth of that.
    public init(_ host: HostMatrix, on stream: Stream, tileBytes: Int? = nil) throws(ComputeError) {
        self.stream = stream
        self.host = host
        let bytes = 4 * host.rows * host.columns
        let limits = stream.device.limits
        let free = max(limits.memoryBytes - stream.device.allocatedBytes, 0)
        let fits = limits.sharesHostMemory || (bytes <= free / 2 && bytes <= limits.largestAllocationBytes)
        if fits && (tileBytes.map { bytes <= $0 } ?? true) {
            whole = try stream.wrap(host)
            tiles = [0..<host.rows]
            return
        }
        whole = nil
        let wanted = min(tileBytes ?? free / 8, limits.largestAllocationBytes)
        let rows = max(wanted / max(4 * host.columns, 1), 1)
        tiles = stride(from: 0, to: host.rows, by: rows).map { $0..<min($0 + rows, host.rows) }
        for _ in 0..<min(2, tiles.count) {
            slots.append(try stream.allocate(rows: min(rows, host.rows), columns: host.columns))
        }
    }

    /// The best `count` candidates of each query, as ``Stream/topK(queries:candidates:candidateBias:exclusions:indices:scores:)``
    /// finds them, brought to the host.
    ///
    /// - Parameters:
    ///   - queries: m × d on the device.
    ///   - count: places of each query.
    ///   - bias: n numbers, or nil for 0.
    ///   - exclusions: m × n, or nil.
    public func topK(
        queries: Matrix, count: Int, bias: [Float]? = nil, exclusions: HostSparseMatrix? = nil
    ) throws(ComputeError) -> (indices: [Int32], scores: [Float]) {
        if let exclusions, exclusions.rows != queries.rows || exclusions.columns != host.rows {
            throw .invalidArgument(
                operation: "topK",
                reason: "exclusions \(exclusions.rows) × \(exclusions.columns), \(queries.rows) queries, "
                    + "\(host.rows) candidates")
        }
        if let bias, bias.count != host.rows {
            throw .invalidArgument(
                operation: "topK", reason: "\(bias.count) biases for \(host.rows) candidates")
        }
        let indices = try stream.allocate(rows: queries.rows, columns: count, .int32)
        let scores = try stream.allocate(rows: queries.rows, columns: count)
        func search(
            _ candidates: Matrix, _ bias: [Float]?, _ exclusions: HostSparseMatrix?
        ) throws(ComputeError) -> (indices: [Int32], scores: [Float]) {
            let biases: Matrix? = if let bias { try stream.upload(bias) } else { nil }
            let excluded: SparseMatrix? = if let exclusions { try stream.wrap(exclusions) } else { nil }
            try stream.topK(
                queries: queries, candidates: candidates, candidateBias: biases, exclusions: excluded,
                indices: indices, scores: scores)
            return (try stream.download(indices, as: Int32.self), try stream.download(scores, as: Float.self))
        }
        if let whole { return try search(whole, bias, exclusions) }

        var best = BestPlaces(queries: queries.rows, count: count)
        guard !tiles.isEmpty else { return (best.indices, best.scores) }
        var next = try begin(0)
        for (place, tile) in tiles.enumerated() {
            let (candidates, upload) = next
            // Asked for before the search of this tile is enqueued, so that it runs beside it.
            if place + 1 < tiles.count { next = try begin(place + 1) }
            try stream.join(upload)
            let found = try search(
                candidates, bias.map { Array($0[tile]) }, exclusions.map { Self.columns(tile, of: $0) })
            best.merge(found.indices, found.scores, first: Int32(tile.lowerBound))
        }
        return (best.indices, best.scores)
    }

    private func begin(_ place: Int) throws(ComputeError) -> (Matrix, UploadAhead) {
        let (rows, d) = (tiles[place], host.columns)
        let slot = slots[place % 2].rows(0..<rows.count)
        return (slot, try stream.uploadAhead(host.storage, rows.lowerBound * d..<rows.upperBound * d, to: slot))
    }

    /// The pattern within a range of columns, which becomes column 0 and after. O(entries).
    private static func columns(_ range: Range<Int>, of matrix: HostSparseMatrix) -> HostSparseMatrix {
        var (pointers, indices): ([Int64], [Int32]) = ([0], [])
        for row in 0..<matrix.rows {
            for entry in matrix.range(ofRow: row) {
                let column = Int(matrix.columnIndices[entry])
                if range.contains(column) { indices.append(Int32(column - range.lowerBound)) }
            }
            pointers.append(Int64(indices.count))
        }
        return HostSparseMatrix(
            rows: matrix.rows, columns: range.count, rowPointers: HostBuffer(pointers),
            columnIndices: HostBuffer(indices), values: HostBuffer(repeating: 1, count: indices.count))
    }
}

/// The best places of each query so far, from lists that are each in order.
private struct BestPlaces {
    let queries, count: Int
    private(set) var indices: [Int32]
    private(set) var scores: [Float]

    init(queries: Int, count: Int) {
        (self.queries, self.count) = (queries, count)
        indices = [Int32](repeating: -1, count: queries * count)
        scores = [Float](repeating: -.infinity, count: queries * count)
    }

    /// Adds lists of candidates that come after all those so far: of equal scores the earlier ones stay before.
    mutating func merge(_ newIndices: [Int32], _ newScores: [Float], first: Int32) {
        for query in 0..<queries {
            let start = query * count
            let old = (Array(indices[start..<start + count]), Array(scores[start..<start + count]))
            var (own, other) = (0, 0)
            for place in start..<start + count {
                let candidate = newIndices[start + other]
                let takesNew = candidate >= 0 && (old.0[own] < 0 || newScores[start + other] > old.1[own])
                indices[place] = takesNew ? candidate + first : old.0[own]
                scores[place] = takesNew ? newScores[start + other] : old.1[own]
                if takesNew { other += 1 } else { own += 1 }
            }
        }
    }
}
