import Core

/// The items with the most interactions, for everybody: what any model must beat.
public struct PopularItems: Recommender {
    public let itemCount: Int
    private let counts: [Float]
    private let order: [Int32]

    /// - Parameter counts: interactions of each item; items with 0 are never recommended.
    public init(counts: [Float]) {
        itemCount = counts.count
        self.counts = counts
        order = (0..<Int32(counts.count)).filter { counts[Int($0)] > 0 }.sorted {
            (-counts[Int($0)], $0) < (-counts[Int($1)], $1)
        }
    }

    public func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let permitted = order.filter(filter.permits)
        return fill(people: audience.count, count: count, exclusions: exclusions) { _, place in
            place < permitted.count ? (permitted[place], counts[Int(permitted[place])]) : nil
        }
    }

    public func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        return items.columnIndices.elements.map { counts[Int($0)] }
    }
}

/// Items drawn at random from those that were interacted with: the floor of every metric.
public struct RandomItems: Recommender {
    public let itemCount: Int
    private let candidates: [Int32]
    private let seed: UInt64

    /// - Parameters:
    ///   - counts: interactions of each item; items with 0 are never drawn.
    ///   - seed: the draws are a function of it and of the person's place among those asked for at once.
    public init(counts: [Float], seed: UInt64) {
        itemCount = counts.count
        self.seed = seed
        candidates = (0..<Int32(counts.count)).filter { counts[Int($0)] > 0 }
    }

    public func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let permitted = candidates.filter(filter.permits)
        let random = Philox(seed: seed, stream: 0x5241_4E44)
        // A stride coprime to the number of items, from a random start, walks over all of them once.
        return fill(people: audience.count, count: count, exclusions: exclusions) { person, place in
            guard place < permitted.count else { return nil }
            let start = random.integer(UInt64(person) * 2, below: permitted.count)
            var stride = random.integer(UInt64(person) * 2 + 1, below: permitted.count) | 1
            while greatestCommonDivisor(stride, permitted.count) != 1 { stride += 2 }
            return (permitted[(start + place * stride) % permitted.count], -Float(place))
        }
    }

    /// Uniform numbers.
    public func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let random = Philox(seed: seed, stream: 0x5241_4E45)
        return (0..<items.entryCount).map { random.uniform(UInt64($0)) }
    }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return a
}

/// Takes candidates in the order that `candidate(person, place)` gives until `count` places are filled.
private func fill(
    people: Int, count: Int, exclusions: HostSparseMatrix?, candidate: (Int, Int) -> (Int32, Float)?
) -> TopItems {
    var items = [Int32](repeating: -1, count: people * count)
    var scores = [Float](repeating: -.infinity, count: people * count)
    for person in 0..<people {
        let excluded: Set<Int32> =
            exclusions.map { matrix in
                Set(matrix.range(ofRow: person).map { matrix.columnIndices[$0] })
            } ?? []
        var (place, filled) = (0, 0)
        while filled < count, let (item, score) = candidate(person, place) {
            place += 1
            if excluded.contains(item) { continue }
            items[person * count + filled] = item
            scores[person * count + filled] = score
            filled += 1
        }
    }
    return TopItems(count: count, items: items, scores: scores)
}
