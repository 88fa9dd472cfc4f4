import Compute
import Core

extension SequenceModel {
    /// How much each position of a sequence looks at each before it: by layer, by head, positions × positions; rows add
    /// up to 1.
    ///
    /// - Parameter items: at least one; of more than the model reads, the latest count.
    /// - Throws: ``ParameterError`` for an architecture without attention and items that are none; ``ComputeError``.
    public func attention(_ items: [Int32], stream: Stream) throws -> [[HostMatrix]] {
        guard options.architecture == .sasrec else {
            throw ParameterError("model", "\(options.architecture.rawValue) has no attention to show")
        }
        guard !items.isEmpty else { throw ParameterError("items", "an empty sequence looks at nothing") }
        try checkIndices(items, below: self.items.rows, "items")
        let encoder = try SequenceEncoder(
            options.network(), parameters: DeviceParameters(weights, training: false, stream: stream), batch: 1,
            stream: stream)
        _ = try encoder.encode([items[...]])
        let (length, count) = (options.length, min(items.count, options.length))
        return try encoder.attentions.map { layer in
            let all = try stream.download(layer)
            return (0..<options.heads).map { head in
                let part = HostMatrix(rows: count, columns: count)
                for row in 0..<count {
                    for column in 0..<count { part[row, column] = all[head * length + row, column] }
                }
                return part
            }
        }
    }

    /// The states behind everyone's latest item, with which items are compared: people × factors; 0 for people without a
    /// history. Throws ``ComputeError``.
    public func states(_ histories: HostSparseMatrix, stream: Stream) throws -> HostMatrix {
        let encoder = try SequenceEncoder(
            options.network(), parameters: DeviceParameters(weights, training: false, stream: stream), stream: stream)
        let result = HostMatrix(rows: histories.rows, columns: options.factors)
        for first in stride(from: 0, to: histories.rows, by: encoder.batch) {
            let part = first..<min(first + encoder.batch, histories.rows)
            let sequences = part.map { Self.order(histories, row: $0) }
            let states = try stream.download(try encoder.encode(sequences.map { $0[...] }))
            for (place, person) in part.enumerated() where !sequences[place].isEmpty {
                _ = result.row(person).update(fromContentsOf: states.row(place))
            }
        }
        return result
    }

    /// The items of a row of histories, the earliest first; without times, by their numbers.
    public static func order(_ histories: HostSparseMatrix, row: Int) -> [Int32] {
        SequenceData.order(histories, row: row, times: histories.times)
    }
}
