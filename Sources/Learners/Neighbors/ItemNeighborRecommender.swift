import Compute
import Core
import Tables

/// Ranks items by their similarity to what a person has: the sum over the person's items of the weight times the
/// similarity, where the candidate is among the item's neighbors (Deshpande and Karypis 2004). Ratings are predicted
/// as the item's mean plus the weighted mean of the deviations of the person's ratings of its neighbors (Sarwar et al.
/// 2001, with deviations).
final class ItemNeighborRecommender: Recommender {
    let itemCount: Int
    private let table: NeighborTable
    /// Row j: the items that have j among their neighbors, for predictions.
    private lazy var reverse = table.matrix.transposed()
    private let context: RecommenderContext

    init(table: NeighborTable, context: RecommenderContext) {
        self.table = table
        self.context = context
        itemCount = table.matrix.rows
    }

    private var predictsRatings: Bool { table.options.feedback == .explicit }

    private func weight(_ value: Float) -> Float {
        table.options.similarity.usesRatings ? value : table.options.confidence.weight(value)
    }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        let histories = try audience.histories(known: context.histories)
        var ranking = PersonRanking(itemCount: itemCount, threads: context.threads)
        ranking.positiveOnly = !predictsRatings
        let reverse = predictsRatings ? self.reverse : table.matrix
        return try ranking.topItems(
            people: histories.rows, count: count, exclusions: exclusions, bias: filter.bias(itemCount: itemCount)
        ) { person, scores in
            if self.predictsRatings {
                self.predict(histories, person, reverse, scores)
            } else {
                self.add(histories, person, to: scores)
            }
        }
    }

    private func add(_ histories: HostSparseMatrix, _ person: Int, to scores: UnsafeMutablePointer<Float>) {
        let (items, values) = (histories.columns(ofRow: person), histories.values(ofRow: person))
        for place in items.indices {
            let neighbors = table.matrix.range(ofRow: Int(items[place]))
            let weight = weight(values[place])
            for entry in neighbors {
                scores[Int(table.matrix.columnIndices[entry])] += weight * table.matrix.values[entry]
            }
        }
    }

    /// Predicted ratings of all items; −∞ where no rated item is a neighbor.
    private func predict(
        _ histories: HostSparseMatrix, _ person: Int, _ reverse: HostSparseMatrix,
        _ scores: UnsafeMutablePointer<Float>
    ) {
        let (items, values) = (histories.columns(ofRow: person), histories.values(ofRow: person))
        var totals = [Float](repeating: 0, count: itemCount)
        totals.withUnsafeMutableBufferPointer { totals in
            for place in items.indices {
                let deviation = values[place] - table.means[Int(items[place])]
                for entry in reverse.range(ofRow: Int(items[place])) {
                    let (item, similarity) = (Int(reverse.columnIndices[entry]), reverse.values[entry])
                    scores[item] += similarity * deviation
                    totals[item] += similarity
                }
            }
            for item in 0..<itemCount {
                scores[item] = totals[item] > 0 ? table.means[item] + scores[item] / totals[item] : -.infinity
            }
        }
    }

    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let histories = try audience.histories(known: context.histories)
        let result = HostBuffer<Float>(uninitializedCount: items.entryCount)
        let reverse = predictsRatings ? self.reverse : table.matrix
        Workers.share(tasks: (items.rows + 63) / 64, threads: context.threads) { group in
            let scores = HostBuffer<Float>(uninitializedCount: itemCount)
            for person in group * 64..<min(group * 64 + 64, items.rows) {
                scores.baseAddress.update(repeating: 0, count: itemCount)
                if predictsRatings {
                    predict(histories, person, reverse, scores.baseAddress)
                } else {
                    add(histories, person, to: scores.baseAddress)
                }
                for entry in items.range(ofRow: person) {
                    let score = scores[Int(items.columnIndices[entry])]
                    result[entry] = score == -.infinity ? .nan : score
                }
            }
        }
        return result.array
    }

    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        guard side == .items else {
            throw ParameterError(
                "user", "this model compares items; train one with --between users to compare users")
        }
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        try checkIndices(rows, below: itemCount, "items")
        var (items, scores): ([Int32], [Float]) = ([], [])
        for row in rows {
            let (columns, values) = (table.matrix.columns(ofRow: Int(row)), table.matrix.values(ofRow: Int(row)))
            let order = columns.indices.sorted { (-values[$0], columns[$0]) < (-values[$1], columns[$1]) }.prefix(count)
            items += order.map { columns[$0] } + [Int32](repeating: -1, count: count - order.count)
            scores += order.map { values[$0] } + [Float](repeating: -.infinity, count: count - order.count)
        }
        return TopItems(count: count, items: items, scores: scores)
    }

    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        if predictsRatings {
            let parts = history.map { ($0, table.matrix.value(row: Int(item), column: $0.item) ?? 0) }
            let total = parts.reduce(0) { $0 + Double($1.1) }
            return ContributingItem.ranked(
                parts.map { entry, similarity in
                    (
                        entry.item,
                        total > 0
                            ? Double(similarity) * Double(entry.value - table.means[Int(entry.item)]) / total : 0
                    )
                })
        }
        return ContributingItem.ranked(
            history.map {
                (
                    $0.item,
                    Double(weight($0.value)) * Double(table.matrix.value(row: Int($0.item), column: item) ?? 0)
                )
            })
    }
}
