import Compute
import Core

/// The identifiers of a batch as a layer with tables needs them: rows of its tables, put one below the other.
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
    /// Where the identifiers are the steps of a sequence.
    let ends: SequenceEnds?
    /// What was uploaded last.
    private(set) var hostIDs: [Int32]
    private(set) var hostWeights: [Float]

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
    }

    /// The entry of the gradient that belongs to a place of `hostIDs`: one for each bag of each row.
    func entry(_ place: Int) -> Int32 {
        Int32(place / entries.count * bags + entries[place % entries.count].bag)
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
