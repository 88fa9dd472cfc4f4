import Compute
import Core

/// The identifiers of a batch as a layer with tables needs them: rows of its tables, put one below the other, and, for
/// training, the rows that the batch touches with the places where it does.
///
/// The host divides and sorts them, because it knows the rows of a batch before the device does; one upload for each
/// part, into memory allocated once.
final class IdentifierBatch {
    /// batch × entries, int32.
    let ids: Matrix
    /// 1 × (bags + 1), int32.
    let starts: Matrix
    /// batch × entries: one over the identifiers of a bag; nil where every bag is a sum.
    let weights: Matrix?
    private let entries: [Entry]
    private let bags: Int
    private let batch: Int
    /// For training.
    let touched: TouchedRows?
    /// Where the identifiers are the steps of a sequence.
    let ends: SequenceEnds?
    private var hostIDs: [Int32]
    private var hostWeights: [Float]

    /// Where an identifier comes from, and where its vector goes.
    private struct Entry {
        let column: Int
        let offset: Int32
        let bag: Int
        let averages: Bool
    }

    init(
        _ tables: [EmbeddingTable], _ arrangement: EmbeddingArrangement, batch: Int, training: Bool,
        stream: Compute.Stream
    ) throws(ComputeError) {
        var entries: [Entry] = []
        var starts: [Int32] = [0]
        var offset = 0
        for (index, table) in tables.enumerated() {
            for column in table.column..<table.column + table.count {
                entries.append(
                    Entry(
                        column: column, offset: Int32(offset),
                        bag: arrangement == .sum ? 0 : arrangement == .steps ? column - table.column : index,
                        averages: table.averages && table.count > 1))
                if arrangement == .steps { starts.append(Int32(entries.count)) }
            }
            offset += table.rows
            if arrangement == .append || arrangement == .replace { starts.append(Int32(entries.count)) }
        }
        if arrangement == .sum { starts.append(Int32(entries.count)) }
        self.entries = entries
        self.batch = batch
        bags = starts.count - 1
        let count = batch * entries.count
        let weighted = entries.contains(where: \.averages)
        ids = try stream.allocate(rows: batch, columns: entries.count, .int32)
        self.starts = try stream.upload(starts)
        weights = weighted ? try stream.allocate(rows: batch, columns: entries.count) : nil
        hostIDs = [Int32](repeating: -1, count: count)
        hostWeights = [Float](repeating: 1, count: weighted ? count : 0)
        ends =
            arrangement == .steps
            ? try SequenceEnds(batch: batch, length: entries.count, training: training, stream: stream) : nil
        touched = training ? try TouchedRows(count: count, limit: offset, weighted: weighted, stream: stream) : nil
    }

    /// Uploads the identifiers of some rows, as many as the batch has.
    func upload(
        _ rows: ArraySlice<Int32>, of data: IdentifierRows, _ stream: Compute.Stream
    ) throws(ComputeError) {
        let width = entries.count
        data.values.withUnsafeBufferPointer { values in
            hostIDs.withUnsafeMutableBufferPointer { ids in
                for (place, row) in rows.enumerated() {
                    let source = Int(row) * data.columns
                    for (index, entry) in entries.enumerated() {
                        let value = values[source + entry.column]
                        ids[place * width + index] = value < 0 ? -1 : value + entry.offset
                    }
                }
            }
        }
        if let weights {
            average()
            try stream.upload(hostWeights, to: weights)
        }
        try stream.upload(hostIDs, to: ids)
        try ends?.upload(hostIDs, stream)
        try touched?.upload(hostIDs, weights: hostWeights, stream) { place in
            Int32(place / width * self.bags + self.entries[place % width].bag)
        }
    }

    /// Sets the weights of the bags that are means.
    private func average() {
        let width = entries.count
        for place in 0..<batch {
            var index = 0
            while index < width {
                var end = index + 1
                while end < width, entries[end].offset == entries[index].offset { end += 1 }
                if entries[index].averages {
                    let present = (index..<end).count { hostIDs[place * width + $0] >= 0 }
                    for entry in index..<end { hostWeights[place * width + entry] = 1 / Float(max(present, 1)) }
                }
                index = end
            }
        }
    }
}

/// The rows of a table that a batch touches, each once, with the places where it does: what ``UpdateRows`` reads.
final class TouchedRows {
    /// 1 × places; −1 behind the last.
    let rows: Matrix
    /// 1 × (places + 1)
    let starts: Matrix
    /// 1 × places
    let order: Matrix
    /// 1 × places, or nil for 1.
    let factors: Matrix?
    private let passes: Int
    private var keys: [UInt64]
    private var other: [UInt64]
    private var hostRows: [Int32]
    private var hostStarts: [Int32]
    private var hostOrder: [Int32]
    private var hostFactors: [Float]
    private var counts: [Int]
    /// Rows of the batch before.
    private var used = 0

    /// Bits of a row that are sorted by at once.
    private static let digit = 11

    /// - Parameter limit: rows of the table.
    init(count: Int, limit: Int, weighted: Bool, stream: Compute.Stream) throws(ComputeError) {
        rows = try stream.allocate(rows: 1, columns: count, .int32)
        starts = try stream.allocate(rows: 1, columns: count + 1, .int32)
        order = try stream.allocate(rows: 1, columns: count, .int32)
        factors = weighted ? try stream.allocate(rows: 1, columns: count) : nil
        let bits = Int.bitWidth - max(limit - 1, 1).leadingZeroBitCount
        passes = (bits + Self.digit - 1) / Self.digit
        keys = [UInt64](repeating: 0, count: count)
        other = keys
        hostRows = [Int32](repeating: -1, count: count)
        hostStarts = [Int32](repeating: 0, count: count + 1)
        hostOrder = [Int32](repeating: 0, count: count)
        hostFactors = [Float](repeating: 1, count: weighted ? count : 0)
        counts = [Int](repeating: 0, count: 1 << Self.digit)
    }

    /// Uploads what a batch touches.
    ///
    /// - Parameters:
    ///   - ids: rows of the table, below 0 for none.
    ///   - weights: of each of them, where there are any.
    ///   - entry: the entry of the gradient that belongs to a place of `ids`.
    func upload(
        _ ids: [Int32], weights: [Float], _ stream: Compute.Stream, entry: (Int) -> Int32
    ) throws(ComputeError) {
        let present = sort(ids)
        var segments = 0
        keys.withUnsafeBufferPointer { keys in
            hostOrder.withUnsafeMutableBufferPointer { order in
                var last: UInt64 = .max
                for place in 0..<present {
                    let (row, source) = (keys[place] >> 32, Int(keys[place] & 0xFFFF_FFFF))
                    if row != last {
                        hostRows[segments] = Int32(row)
                        hostStarts[segments] = Int32(place)
                        segments += 1
                        last = row
                    }
                    order[place] = entry(source)
                    if factors != nil { hostFactors[place] = weights[source] }
                }
            }
        }
        for place in segments..<max(used, segments) { hostRows[place] = -1 }
        for place in segments..<hostStarts.count { hostStarts[place] = Int32(present) }
        used = segments
        try stream.upload(hostRows, to: rows)
        try stream.upload(hostStarts, to: starts)
        try stream.upload(hostOrder, to: order)
        if let factors { try stream.upload(hostFactors, to: factors) }
    }

    /// Leaves the rows in the upper halves of `keys`, ascending, and their places in the lower ones; those of a row in
    /// the order of the places. Answers how many there are.
    private func sort(_ ids: [Int32]) -> Int {
        var present = 0
        keys.withUnsafeMutableBufferPointer { keys in
            for (place, id) in ids.enumerated() where id >= 0 {
                keys[present] = UInt64(id) << 32 | UInt64(place)
                present += 1
            }
        }
        let mask = UInt64(1 << Self.digit - 1)
        for pass in 0..<passes {
            let shift = UInt64(32 + pass * Self.digit)
            keys.withUnsafeBufferPointer { keys in
                other.withUnsafeMutableBufferPointer { other in
                    counts.withUnsafeMutableBufferPointer { counts in
                        counts.update(repeating: 0)
                        for place in 0..<present { counts[Int(keys[place] >> shift & mask)] += 1 }
                        var sum = 0
                        for digit in counts.indices {
                            let count = counts[digit]
                            counts[digit] = sum
                            sum += count
                        }
                        for place in 0..<present {
                            let digit = Int(keys[place] >> shift & mask)
                            other[counts[digit]] = keys[place]
                            counts[digit] += 1
                        }
                    }
                }
            }
            swap(&keys, &other)
        }
        return present
    }
}

/// A step of a layer's tables on the rows that a batch touches.
struct TableUpdate {
    let table: TableParameters
    let touched: TouchedRows
    /// batch × (bags · units)
    let gradient: Matrix

    /// Enqueues the step.
    func run(_ method: RowUpdateMethod, controls: Matrix?, _ stream: Compute.Stream) throws(ComputeError) {
        try stream.updateRows(
            method, of: method == .add ? table.gradient! : table.values, ids: touched.rows, starts: touched.starts,
            order: touched.order, factors: touched.factors, gradient: gradient, first: table.first,
            second: table.second, controls: controls)
    }
}
