import Compute
import Core
import Tables

/// Ranks by the product of a person's row with the weights, on the device; the best are chosen on the host.
final class EASERecommender: Recommender {
    let itemCount: Int
    private let learned: EASEWeights
    private let context: RecommenderContext
    private let weights: Matrix

    init(learned: EASEWeights, context: RecommenderContext) throws {
        self.learned = learned
        self.context = context
        itemCount = learned.weights.rows
        weights = try context.stream.wrap(learned.weights)
    }

    /// People whose scores are in memory at a time: some 32 MB.
    private var batch: Int { max(64, (1 << 23) / max(itemCount, 1)) }

    private func scored(_ histories: HostSparseMatrix, _ body: (Range<Int>, HostMatrix) throws -> Void) throws {
        let weighted = histories.mapValues(learned.options.confidence.weight)
        let rows = try context.stream.wrap(weighted)
        let scores = try context.stream.allocate(rows: min(batch, max(histories.rows, 1)), columns: itemCount)
        for first in stride(from: 0, to: histories.rows, by: batch) {
            let range = first..<min(first + batch, histories.rows)
            let part = scores.rows(0..<range.count)
            try context.stream.multiply(rows.rows(range), weights, into: part)
            try body(range, try context.stream.download(part))
        }
    }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let histories = try audience.histories(known: context.histories)
        var ranking = PersonRanking(itemCount: itemCount, threads: context.threads)
        ranking.positiveOnly = false
        // Without evidence there is no weight: such items would share a score of 0 with whatever is irrelevant.
        let unknown = context.itemCounts.map { $0 > 0 ? Float(0) : -.infinity }
        let bias = filter.bias(itemCount: itemCount, base: unknown)
        var (items, best): ([Int32], [Float]) = ([], [])
        try scored(histories) { range, scores in
            let part = range.map { Int32($0) }
            let top = try ranking.topItems(
                people: range.count, count: count, exclusions: exclusions?.selectingRows(part), bias: bias
            ) { person, output in
                // Nothing is known of a person without a history.
                if histories.range(ofRow: range.lowerBound + person).isEmpty {
                    output.update(repeating: -.infinity, count: self.itemCount)
                } else {
                    output.update(from: scores.row(person).baseAddress!, count: self.itemCount)
                }
            }
            items += top.items
            best += top.scores
        }
        return TopItems(count: count, items: items, scores: best)
    }

    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let histories = try audience.histories(known: context.histories)
        var result: [Float] = []
        result.reserveCapacity(items.entryCount)
        try scored(histories) { range, scores in
            for person in range {
                for item in items.columns(ofRow: person) { result.append(scores[person - range.lowerBound, Int(item)]) }
            }
        }
        return result
    }

    /// Items by their weight on each other, the mean of both directions.
    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        guard side == .items else {
            throw ParameterError("user", "EASE has weights between items only; train als or neighbors for users")
        }
        try checkIndices(rows, below: itemCount, "items")
        let ranking = PersonRanking(itemCount: itemCount, threads: 1)
        return try ranking.topItems(people: rows.count, count: count, exclusions: nil, bias: nil) { person, output in
            let row = Int(rows[person])
            for item in 0..<self.itemCount {
                output[item] = (self.learned.weights[row, item] + self.learned.weights[item, row]) / 2
            }
            output[row] = 0
        }
    }

    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        return ContributingItem.ranked(
            history.map {
                (
                    $0.item,
                    Double(learned.options.confidence.weight($0.value))
                        * Double(learned.weights[Int($0.item), Int(item)])
                )
            })
    }
}
