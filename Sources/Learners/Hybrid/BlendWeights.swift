import Core

/// Chooses the weights of a blend by the NDCG of held-out people: coordinate by coordinate, from the best part alone
/// and from equal weights, until nothing gets better.
struct BlendWeights {
    /// Of each person: items that any part names, as a table of candidates × parts, and which of them are to be found.
    private struct Person {
        var scores: [Float]
        var isHit: [Bool]
        var wanted: Int
    }
    private let people: [Person]
    private let parts: Int
    private let cutoff: Int
    private let discounts: [Double]

    init(tops: [TopItems], truth: HostSparseMatrix, cutoff: Int) {
        parts = tops.count
        self.cutoff = cutoff
        discounts = (0..<cutoff).map { 1 / log2OfOnePlus(Double($0 + 1)) }
        people = (0..<truth.rows).compactMap { person in
            let wanted = truth.columns(ofRow: person)
            guard !wanted.isEmpty else { return nil }
            var places: [Int32: Int] = [:]
            var result = Person(scores: [], isHit: [], wanted: wanted.count)
            for (part, top) in tops.enumerated() {
                for (item, score) in HybridRecommender.scaled(top.row(person)) {
                    let place = places[item] ?? result.isHit.count
                    if place == result.isHit.count {
                        places[item] = place
                        result.scores += [Float](repeating: 0, count: tops.count)
                        result.isHit.append(truth.value(row: person, column: item) != nil)
                    }
                    result.scores[place * tops.count + part] = score
                }
            }
            return result
        }
    }

    func best() -> [Double] {
        let equal = [Double](repeating: 1 / Double(parts), count: parts)
        let singles = (0..<parts).map { part in (0..<parts).map { $0 == part ? 1.0 : 0.0 } }
        var (best, figure) = (equal, quality(equal))
        for single in singles {
            let own = quality(single)
            if own > figure { (best, figure) = (single, own) }
        }
        for start in [best, equal] {
            var (weights, current) = (start, quality(start))
            for _ in 0..<4 {
                let before = current
                for part in 0..<parts {
                    let base = weights[part] > 0 ? weights[part] : 0.25 / Double(parts)
                    for factor in [0, 0.5, 0.8, 1.25, 2, 4] {
                        var changed = weights
                        changed[part] = base * factor
                        let sum = changed.reduce(0, +)
                        guard sum > 0 else { continue }
                        changed = changed.map { $0 / sum }
                        let own = quality(changed)
                        if own > current { (weights, current) = (changed, own) }
                    }
                }
                if current <= before { break }
            }
            if current > figure { (best, figure) = (weights, current) }
        }
        return best
    }

    /// Mean NDCG of the blend.
    private func quality(_ weights: [Double]) -> Double {
        let floats = weights.map { Float($0) }
        var sum = 0.0
        for person in people {
            let blended = person.isHit.indices.map { place in
                (0..<parts).reduce(Float(0)) { $0 + floats[$1] * person.scores[place * parts + $1] }
            }
            let order = blended.indices.sorted { (-blended[$0], $0) < (-blended[$1], $1) }.prefix(cutoff)
            var gain = 0.0
            for (place, candidate) in order.enumerated() where person.isHit[candidate] { gain += discounts[place] }
            sum += gain / discounts.prefix(min(cutoff, person.wanted)).reduce(0, +)
        }
        return people.isEmpty ? 0 : sum / Double(people.count)
    }
}
