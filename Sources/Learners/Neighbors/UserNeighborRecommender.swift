import CVectorLoops
import Compute
import Core
import Synchronization
import Tables

/// Ranks items by what the most similar users have: the sum over a person's neighbors of similarity times weight.
/// Ratings are predicted as the person's mean plus the weighted mean of the neighbors' deviations from theirs (Resnick
/// et al. 1994).
///
/// A person is known by their history, so that a new user has neighbors like anyone else.
final class UserNeighborRecommender: Recommender {
    let itemCount: Int
    private let table: NeighborTable
    private let rows: ComparableRows
    private let context: RecommenderContext

    init(table: NeighborTable, context: RecommenderContext) throws {
        self.table = table
        self.context = context
        itemCount = table.matrix.columns
        rows = try ComparableRows(table.matrix, options: table.options)
    }

    private var options: NeighborOptions { table.options }
    private var predictsRatings: Bool { options.feedback == .explicit }

    private func weight(_ value: Float) -> Float {
        options.similarity.usesRatings ? value : options.confidence.weight(value)
    }

    /// Works on people in groups; each group has scratch of its own, so that results don't depend on who works.
    private func forEachGroup(
        people: Int, candidates: Int, _ body: (Range<Int>, Neighborhood) -> Void
    ) {
        let groups = (people + 63) / 64
        let next = Atomic<Int>(0)
        Workers.run(max(1, min(context.threads, groups))) { _ in
            let neighborhood = Neighborhood(rows: rows, candidates: candidates)
            while true {
                let group = next.add(1, ordering: .relaxed).oldValue
                guard group < groups else { return }
                body(group * 64..<min(group * 64 + 64, people), neighborhood)
            }
        }
    }

    /// The most similar users of one person at a time.
    private final class Neighborhood {
        let rows: ComparableRows
        let candidates: Int
        let scratch: NeighborScratch
        let users: HostBuffer<Int32>
        let similarities: HostBuffer<Float>
        private(set) var found = 0
        private var weights: HostBuffer<Float>

        init(rows: ComparableRows, candidates: Int) {
            self.rows = rows
            self.candidates = min(candidates, max(rows.rows.rows, 1))
            let capacity = self.candidates + max(self.candidates, 32)
            scratch = NeighborScratch(
                count: rows.rows.rows, states: 1, capacity: capacity, k: self.candidates, general: rows.isGeneral)
            users = HostBuffer(uninitializedCount: self.candidates)
            similarities = HostBuffer(uninitializedCount: self.candidates)
            weights = HostBuffer(uninitializedCount: rows.rows.columns)
        }

        func find(_ histories: HostSparseMatrix, _ person: Int, except user: Int) {
            let (items, values) = (histories.columns(ofRow: person), histories.values(ofRow: person))
            found = 0
            guard let first = items.baseAddress, !items.isEmpty else { return }
            rows.withData { data in
                let isUnit = data.pointee.values == nil
                let scale = rows.weigh(items, values, into: isUnit ? nil : weights.baseAddress)
                apus_neighbors_of(
                    data, first, isUnit ? nil : UnsafePointer(weights.baseAddress), Int64(items.count), scale,
                    Int64(user), &scratch.value)
            }
            found = scratch.finish(state: 0, users.baseAddress, similarities.baseAddress)
        }
    }

    /// The user of the model that each person is; −1 for histories.
    private func identities(_ audience: Audience) -> [Int] {
        switch audience {
        case .users(let selected): selected.map { Int($0) }
        case .histories(let matrix): [Int](repeating: -1, count: matrix.rows)
        }
    }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        let histories = try audience.histories(known: context.histories)
        let identities = identities(audience)
        // The neighbors first, then the items: both are shared out among the threads.
        let k = min(options.neighbors, max(rows.rows.rows, 1))
        let users = HostBuffer<Int32>(uninitializedCount: histories.rows * k)
        let similarities = HostBuffer<Float>(uninitializedCount: histories.rows * k)
        let found = HostBuffer<Int32>(repeating: 0, count: histories.rows)
        forEachGroup(people: histories.rows, candidates: k) { people, neighborhood in
            for person in people {
                neighborhood.find(histories, person, except: identities[person])
                found[person] = Int32(neighborhood.found)
                (users.baseAddress + person * k).update(from: neighborhood.users.baseAddress, count: neighborhood.found)
                (similarities.baseAddress + person * k).update(
                    from: neighborhood.similarities.baseAddress, count: neighborhood.found)
            }
        }
        var ranking = PersonRanking(itemCount: itemCount, threads: context.threads)
        ranking.positiveOnly = !predictsRatings
        return try ranking.topItems(
            people: histories.rows, count: count, exclusions: exclusions, bias: filter.bias(itemCount: itemCount)
        ) { person, scores in
            let neighbors = (0..<Int(found[person])).map {
                (Int(users[person * k + $0]), similarities[person * k + $0])
            }
            if self.predictsRatings {
                self.predictAll(self.mean(histories, person), neighbors, scores)
            } else {
                for (user, similarity) in neighbors {
                    for entry in self.table.matrix.range(ofRow: user) {
                        scores[Int(self.table.matrix.columnIndices[entry])] +=
                            similarity * self.weight(self.table.matrix.values[entry])
                    }
                }
            }
        }
    }

    private func mean(_ histories: HostSparseMatrix, _ person: Int) -> Float {
        let values = histories.values(ofRow: person)
        var sum = 0.0
        for value in values { sum += Double(value) }
        return values.isEmpty ? table.mean : Float(sum / Double(values.count))
    }

    private func predictAll(_ mean: Float, _ neighbors: [(Int, Float)], _ scores: UnsafeMutablePointer<Float>) {
        var totals = [Float](repeating: 0, count: itemCount)
        for (user, similarity) in neighbors {
            for entry in table.matrix.range(ofRow: user) {
                let item = Int(table.matrix.columnIndices[entry])
                scores[item] += similarity * (table.matrix.values[entry] - table.means[user])
                totals[item] += similarity
            }
        }
        for item in 0..<itemCount {
            scores[item] = totals[item] > 0 ? mean + scores[item] / totals[item] : -.infinity
        }
    }

    /// Neighbors looked through for those who rated an item, in units of the neighbors kept.
    private static let reach = 50

    /// Ratings rest on the nearest of those who rated the item, among the ``reach`` · k nearest of all.
    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let histories = try audience.histories(known: context.histories)
        let identities = identities(audience)
        let result = HostBuffer<Float>(uninitializedCount: items.entryCount)
        let candidates = predictsRatings ? options.neighbors * Self.reach : options.neighbors
        forEachGroup(people: items.rows, candidates: candidates) { people, neighborhood in
            // The place of each user among the person's neighbors; −1 for the others.
            var places = [Int32](repeating: -1, count: rows.rows.rows)
            var raters: [Int32] = []
            for person in people {
                let wanted = items.columns(ofRow: person)
                neighborhood.find(histories, person, except: identities[person])
                for place in 0..<neighborhood.found { places[Int(neighborhood.users[place])] = Int32(place) }
                let mean = mean(histories, person)
                for (entry, item) in zip(items.range(ofRow: person), wanted) {
                    raters.removeAll(keepingCapacity: true)
                    for user in rows.byFeature.columns(ofRow: Int(item)) where places[Int(user)] >= 0 {
                        raters.append(places[Int(user)])
                    }
                    raters.sort()
                    var (sum, total) = (Float(0), Float(0))
                    for place in raters.prefix(options.neighbors) {
                        let (user, similarity) = (
                            Int(neighborhood.users[Int(place)]), neighborhood.similarities[Int(place)]
                        )
                        guard let value = table.matrix.value(row: user, column: item) else { continue }
                        sum += similarity * (predictsRatings ? value - table.means[user] : self.weight(value))
                        total += similarity
                    }
                    result[entry] = !predictsRatings ? sum : total > 0 ? mean + sum / total : .nan
                }
                for place in 0..<neighborhood.found { places[Int(neighborhood.users[place])] = -1 }
            }
        }
        return result.array
    }

    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        guard side == .users else {
            throw ParameterError(
                "item", "this model compares users; train one with --between items to compare items")
        }
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        try checkIndices(rows, below: table.matrix.rows, "users")
        var items = [Int32](repeating: -1, count: rows.count * count)
        var scores = [Float](repeating: -.infinity, count: rows.count * count)
        let neighborhood = Neighborhood(rows: self.rows, candidates: count)
        for (place, row) in rows.enumerated() {
            neighborhood.find(table.matrix, Int(row), except: Int(row))
            for rank in 0..<neighborhood.found {
                items[place * count + rank] = neighborhood.users[rank]
                scores[place * count + rank] = neighborhood.similarities[rank]
            }
        }
        return TopItems(count: count, items: items, scores: scores)
    }

    /// A neighbor's part of the score is shared out over the features in common, as they make up the similarity.
    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        let person = HostSparseMatrix(
            rows: 1, columns: itemCount, entries: history.map { (0, Int($0.item), $0.value) })
        let neighborhood = Neighborhood(rows: rows, candidates: options.neighbors)
        neighborhood.find(person, 0, except: -1)
        let own = HostBuffer<Float>(uninitializedCount: max(person.entryCount, 1))
        _ = rows.weigh(person.columns(ofRow: 0), person.values(ofRow: 0), into: own.baseAddress)
        var parts = [Double](repeating: 0, count: person.entryCount)
        var total = 0.0
        for place in 0..<neighborhood.found {
            let user = Int(neighborhood.users[place])
            let similarity = Double(neighborhood.similarities[place])
            guard let value = table.matrix.value(row: user, column: item) else { continue }
            let effect = predictsRatings ? Double(value - table.means[user]) : Double(weight(value))
            total += similarity
            for (entry, share) in shares(person, own, user) { parts[entry] += similarity * effect * share }
        }
        let divisor = predictsRatings && total > 0 ? total : 1
        return ContributingItem.ranked(
            parts.indices.map { (person.columnIndices[$0], parts[$0] / divisor) })
    }

    /// What each common feature adds to the similarity with a user, in shares that add up to 1.
    private func shares(_ person: HostSparseMatrix, _ own: HostBuffer<Float>, _ user: Int) -> [(Int, Double)] {
        var common: [(Int, Double, Double)] = []
        for entry in 0..<person.entryCount {
            guard let other = rows.rows.value(row: user, column: person.columnIndices[entry]) else { continue }
            common.append((entry, Double(own[entry]), Double(other)))
        }
        guard !common.isEmpty else { return [] }
        var products: [Double]
        switch options.similarity {
        case .jaccard: products = common.map { _ in 1 }
        case .pearson:
            let a = common.reduce(0) { $0 + $1.1 } / Double(common.count)
            let b = common.reduce(0) { $0 + $1.2 } / Double(common.count)
            products = common.map { ($0.1 - a) * ($0.2 - b) }
        default: products = common.map { $0.1 * $0.2 }
        }
        let sum = products.reduce(0, +)
        guard abs(sum) > 1e-12 else { return common.map { ($0.0, 1 / Double(common.count)) } }
        products = products.map { $0 / sum }
        return zip(common, products).map { ($0.0, $1) }
    }
}
