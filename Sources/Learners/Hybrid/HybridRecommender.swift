import Core

/// Blends the lists of its parts.
final class HybridRecommender: Recommender {
    let itemCount: Int
    private let parts: [(recommender: any Recommender, weight: Double)]
    private let depth: Int
    /// What the model's users have.
    private let known: HostSparseMatrix

    init(parts: [(any Recommender, Double)], depth: Int, known: HostSparseMatrix) {
        self.parts = parts.map { (recommender: $0.0, weight: $0.1) }
        self.depth = depth
        self.known = known
        itemCount = parts.first?.0.itemCount ?? 0
    }

    /// A person's list of one part, its scores scaled to 0.1 … 1.
    static func scaled(_ list: [(item: Int32, score: Float)]) -> [(item: Int32, score: Float)] {
        guard let best = list.first?.score, let least = list.last?.score, best > least else {
            return list.map { ($0.item, 1) }
        }
        return list.map { ($0.item, 0.1 + 0.9 * ($0.score - least) / (best - least)) }
    }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        var items = [Int32](repeating: -1, count: audience.count * count)
        var scores = [Float](repeating: -.infinity, count: audience.count * count)
        let batch = 4096
        for first in stride(from: 0, to: audience.count, by: batch) {
            let part = (first..<min(first + batch, audience.count)).map { Int32($0) }
            let (own, excluded) = (audience.selecting(part), exclusions.map { $0.selectingRows(part) })
            let blended = try blend(own, count: max(depth, count), exclusions: excluded, filter: filter)
            for (person, sums) in blended.enumerated() {
                let best = sums.sorted { (-$0.value, $0.key) < (-$1.value, $1.key) }.prefix(count)
                for (place, entry) in best.enumerated() {
                    items[(first + person) * count + place] = entry.key
                    scores[(first + person) * count + place] = entry.value
                }
            }
        }
        return TopItems(count: count, items: items, scores: scores)
    }

    /// Each person's blended scores of the items on some part's list.
    private func blend(
        _ audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> [[Int32: Float]] {
        let tops = try parts.filter { $0.weight > 0 }.map { part in
            (
                try part.recommender.topItems(for: audience, count: count, exclusions: exclusions, filter: filter),
                Float(part.weight)
            )
        }
        return (0..<audience.count).map { person in
            var sums: [Int32: Float] = [:]
            for (top, weight) in tops {
                for (item, score) in Self.scaled(top.row(person)) { sums[item, default: 0] += weight * score }
            }
            return sums
        }
    }

    /// The scores that the items have among what a person does not have; NaN for those on no part's list.
    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let histories = try audience.histories(known: known)
        var result: [Float] = []
        result.reserveCapacity(items.entryCount)
        let batch = 4096
        for first in stride(from: 0, to: audience.count, by: batch) {
            let part = (first..<min(first + batch, audience.count)).map { Int32($0) }
            var owned: [(row: Int, column: Int, value: Float)] = []
            for (place, person) in part.enumerated() {
                let wanted = Set(items.columns(ofRow: Int(person)))
                for item in histories.columns(ofRow: Int(person)) where !wanted.contains(item) {
                    owned.append((place, Int(item), 1))
                }
            }
            let blended = try blend(
                audience.selecting(part), count: depth,
                exclusions: HostSparseMatrix(rows: part.count, columns: itemCount, entries: owned), filter: ItemFilter()
            )
            for (place, person) in part.enumerated() {
                for item in items.columns(ofRow: Int(person)) { result.append(blended[place][item] ?? .nan) }
            }
        }
        return result
    }

    /// What the part with the greatest weight that compares this side says.
    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        for part in parts.sorted(by: { $0.weight > $1.weight }) {
            do { return try part.recommender.similar(side, to: rows, count: count) } catch let error as ParameterError {
                // A mistake of the caller's is one for every part.
                if error.parameter == "count" || error.reason.contains("is not one of") { throw error }
            }
        }
        throw ParameterError("model", "no part of this hybrid compares \(side.rawValue)")
    }

    /// The parts' explanations by share, weighted by the parts.
    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        var sums: [Int32: Double] = [:]
        var explained = false
        for part in parts where part.weight > 0 {
            guard let own = try? part.recommender.explain(item: item, history: history) else { continue }
            explained = true
            for member in own {
                sums[member.item, default: 0] += part.weight * (member.contribution < 0 ? -member.share : member.share)
            }
        }
        guard explained else {
            throw ParameterError("explain", "no part of this hybrid can say what its recommendations rest on")
        }
        return ContributingItem.ranked(sums.map { ($0.key, $0.value) })
    }
}
