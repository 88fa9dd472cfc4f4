import Compute
import Core

/// Ranks items by their products with the state that a person's sequence leads to. Nobody is learned by name: whoever
/// has a history is answered by it.
final class SequenceRecommender: Recommender {
    let itemCount: Int
    private let model: SequenceModel
    private let context: RecommenderContext
    private let encoder: SequenceEncoder

    init(_ model: SequenceModel, context: RecommenderContext) throws {
        self.model = model
        self.context = context
        itemCount = model.items.rows
        encoder = try SequenceEncoder(
            model.options.network(),
            parameters: try DeviceParameters(model.weights, training: false, stream: context.stream),
            stream: context.stream)
    }

    /// The sequences of people, and who has none.
    private func sequences(_ histories: HostSparseMatrix) -> [[Int32]] {
        (0..<histories.rows).map { SequenceData.order(histories, row: $0, times: histories.times) }
    }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let histories = try audience.histories(known: context.histories)
        let stream = context.stream
        let bias = try stream.upload(
            (0..<itemCount).map {
                context.itemCounts[$0] > 0 && filter.permits(Int32($0)) ? Float(0) : -.infinity
            })
        let sequences = sequences(histories)
        var (items, scores): ([Int32], [Float]) = ([], [])
        for first in stride(from: 0, to: sequences.count, by: encoder.batch) {
            let part = first..<min(first + encoder.batch, sequences.count)
            let queries = try encoder.encode(part.map { sequences[$0][...] })
            let indices = try stream.allocate(rows: part.count, columns: count, .int32)
            let values = try stream.allocate(rows: part.count, columns: count)
            try stream.topK(
                queries: queries, candidates: encoder.items, candidateBias: bias,
                exclusions: try exclusions.map { try stream.wrap($0.selectingRows(part.map { Int32($0) })) },
                indices: indices, scores: values)
            items += try stream.download(indices, as: Int32.self)
            scores += try stream.download(values, as: Float.self)
        }
        // Nothing speaks for any item where there is no history.
        for (person, sequence) in sequences.enumerated() where sequence.isEmpty {
            for place in person * count..<(person + 1) * count { (items[place], scores[place]) = (-1, -.infinity) }
        }
        return TopItems(count: count, items: items, scores: scores)
    }

    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let sequences = sequences(try audience.histories(known: context.histories))
        let table = model.items
        var result: [Float] = []
        result.reserveCapacity(items.entryCount)
        for first in stride(from: 0, to: sequences.count, by: encoder.batch) {
            let part = first..<min(first + encoder.batch, sequences.count)
            let states = try context.stream.download(try encoder.encode(part.map { sequences[$0][...] }))
            for person in part {
                let own = states.row(person - first)
                for item in items.columns(ofRow: person) {
                    guard !sequences[person].isEmpty else {
                        result.append(.nan)
                        continue
                    }
                    var sum = 0.0
                    for (a, b) in zip(own, table.row(Int(item))) { sum += Double(a) * Double(b) }
                    result.append(Float(sum))
                }
            }
        }
        return result
    }

    /// What each item added when it came: the score behind it less the score behind the one before. These parts add up
    /// to the score; the history is to be in its order.
    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        let read = history.suffix(model.options.length).map(\.item)
        _ = try encoder.encode([read[...]])
        let states = try context.stream.download(encoder.allStates.rows(0..<read.count))
        let vector = model.items.row(Int(item))
        var before = 0.0
        return ContributingItem.ranked(
            read.enumerated().map { place, member in
                var score = 0.0
                for (a, b) in zip(states.row(place), vector) { score += Double(a) * Double(b) }
                defer { before = score }
                return (member, score - before)
            })
    }

    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        guard side == .items else {
            throw ParameterError("model", "a sequence model has no vectors of users; it compares items")
        }
        return try FactorSimilarity.nearest(
            table: encoder.items, to: rows, isKnown: context.itemCounts.map { $0 > 0 }, count: count,
            name: side.rawValue, stream: context.stream)
    }
}
