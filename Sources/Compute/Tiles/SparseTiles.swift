import Core

/// The rows of a sparse matrix of the host, on a device whole or, where that has no room, in tiles: while one is
/// computed with, the next is on its way.
///
/// Bytes uploaded: nothing or the matrix once when it is whole; in tiles, every pass moves 8 bytes for each entry and
/// 8 · (rows + 1) for each tile.
public final class SparseTiles {
    /// Number of rows.
    public let rows: Int
    /// Number of columns.
    public let columns: Int
    /// Number of entries.
    public let entryCount: Int
    /// The rows of each tile; one range when the matrix is whole.
    public let tiles: [Range<Int>]
    /// Entries of the largest tile: the length of its values.
    public let longestTile: Int

    private let stream: Stream
    private let whole: SparseMatrix?
    private let host: HostSparseMatrix
    private var slots: [Slot] = []
    /// Row pointers of each tile, from 0.
    private var pointers: [HostBuffer<Int64>] = []

    private struct Slot {
        let rowPointers, columnIndices, values: Matrix
    }

    /// - Parameters:
    ///   - host: the matrix.
    ///   - stream: where it is used.
    ///   - tileBytes: most bytes of a tile, of which two are on the device at a time; a single row may have more. nil
    ///     puts the matrix there whole.
    public init(_ host: HostSparseMatrix, on stream: Stream, tileBytes: Int? = nil) throws(ComputeError) {
        self.host = host
        self.stream = stream
        (rows, columns, entryCount) = (host.rows, host.columns, host.entryCount)
        let cuts = tileBytes.map { Self.cut(host, tileBytes: $0) } ?? [0..<host.rows]
        tiles = cuts
        if cuts.count < 2 {
            whole = try stream.wrap(host)
            longestTile = host.entryCount
            return
        }
        whole = nil
        let longest = cuts.map { Self.entries(host, $0).count }.max() ?? 0
        longestTile = longest
        let most = (cuts.map(\.count).max() ?? 0) + 1
        pointers = cuts.map { rows in
            let start = host.rowPointers[rows.lowerBound]
            let own = HostBuffer<Int64>(uninitializedCount: rows.count + 1)
            for place in 0...rows.count { own[place] = host.rowPointers[rows.lowerBound + place] - start }
            return own
        }
        for _ in 0..<2 {
            slots.append(
                Slot(
                    rowPointers: try stream.allocate(rows: 1, columns: most, .int64),
                    columnIndices: try stream.allocate(rows: 1, columns: longest, .int32),
                    values: try stream.allocate(rows: 1, columns: longest)))
        }
    }

    /// Calls `body` for every tile in order, with its rows and their matrix.
    public func forEach(
        _ body: (_ rows: Range<Int>, _ tile: SparseMatrix) throws(ComputeError) -> Void
    ) throws(ComputeError) {
        if let whole { return try body(0..<rows, whole) }
        var next = try begin(0)
        for place in tiles.indices {
            let (tile, uploads) = next
            // Asked for before the work on this tile is enqueued: it waits for the tile before, whose place it takes.
            if place + 1 < tiles.count { next = try begin(place + 1) }
            for upload in uploads { try stream.join(upload) }
            try body(tiles[place], tile)
        }
    }

    private func begin(_ place: Int) throws(ComputeError) -> (SparseMatrix, [UploadAhead]) {
        let (slot, own) = (slots[place % 2], pointers[place])
        let entries = Self.entries(host, tiles[place])
        let tile = SparseMatrix(
            rows: own.count - 1, columns: columns, rowPointers: slot.rowPointers.columns(0..<own.count),
            columnIndices: slot.columnIndices.columns(0..<entries.count),
            values: slot.values.columns(0..<entries.count),
            hostRowPointers: own, firstRow: 0)
        let uploads = [
            try stream.uploadAhead(own, 0..<own.count, to: tile.rowPointers),
            try stream.uploadAhead(host.columnIndices, entries, to: tile.columnIndices),
            try stream.uploadAhead(host.values, entries, to: tile.values),
        ]
        return (tile, uploads)
    }

    private static func entries(_ host: HostSparseMatrix, _ rows: Range<Int>) -> Range<Int> {
        Int(host.rowPointers[rows.lowerBound])..<Int(host.rowPointers[rows.upperBound])
    }

    /// As many rows for each tile as its bytes allow, at least one.
    private static func cut(_ host: HostSparseMatrix, tileBytes: Int) -> [Range<Int>] {
        var (cuts, start): ([Range<Int>], Int) = ([], 0)
        for row in 0..<host.rows {
            let bytes = 8 * (entries(host, start..<row + 1).count + row + 2 - start)
            if bytes > tileBytes && row > start {
                cuts.append(start..<row)
                start = row
            }
        }
        if start < host.rows || cuts.isEmpty { cuts.append(start..<host.rows) }
        return cuts
    }
}
