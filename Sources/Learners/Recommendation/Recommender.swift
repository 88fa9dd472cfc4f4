import Core

/// Whom to recommend to.
public enum Audience: Sendable {
    /// Users that the model knows, by index.
    case users([Int32])
    /// Anyone, by what they interacted with: rows × items.
    case histories(HostSparseMatrix)

    /// Number of people.
    public var count: Int {
        switch self {
        case .users(let indices): indices.count
        case .histories(let matrix): matrix.rows
        }
    }

    /// Some of the people, by their places.
    func selecting(_ places: [Int32]) -> Audience {
        switch self {
        case .users(let indices): .users(places.map { indices[Int($0)] })
        case .histories(let matrix): .histories(matrix.selectingRows(places))
        }
    }
}

/// What may be recommended.
public struct ItemFilter: Sendable {
    /// Items left out for everybody, by index.
    public var excluded: Set<Int32>
    /// When not nil, the only items that may appear.
    public var allowed: Set<Int32>?

    public init(excluded: Set<Int32> = [], allowed: Set<Int32>? = nil) {
        self.excluded = excluded
        self.allowed = allowed
    }

    /// Whether an item may appear.
    public func permits(_ item: Int32) -> Bool {
        !excluded.contains(item) && (allowed?.contains(item) ?? true)
    }

    /// −∞ for items that may not appear, 0 for the others; nil when all may.
    public func bias(itemCount: Int, base: [Float]? = nil) -> [Float]? {
        if excluded.isEmpty && allowed == nil { return base }
        return (0..<itemCount).map { permits(Int32($0)) ? base?[$0] ?? 0 : -.infinity }
    }
}

/// The best items of a group of people: `count` places each, best first.
public struct TopItems: Sendable {
    /// Places per person.
    public let count: Int
    /// Item in each place, person after person; −1 for an empty place.
    public let items: [Int32]
    /// Its score; −∞ for an empty place.
    public let scores: [Float]

    public init(count: Int, items: [Int32], scores: [Float]) {
        precondition(items.count == scores.count)
        self.count = count
        self.items = items
        self.scores = scores
    }

    /// The filled places of one person.
    public func row(_ person: Int) -> [(item: Int32, score: Float)] {
        (person * count..<(person + 1) * count).compactMap { place in
            items[place] >= 0 ? (items[place], scores[place]) : nil
        }
    }
}

/// Which of the two sides of the interactions is meant.
public enum RecommenderSide: String, Codable, Sendable, CaseIterable {
    case users, items
}

/// Anything that ranks items for people: factorization, neighbors, popularity, chance, and what later joins them.
///
/// Not `Sendable`: one thread uses it at a time; a service opens one per thread.
public protocol Recommender {
    /// Number of items.
    var itemCount: Int { get }

    /// The `count` best items for each person, those in the person's row of `exclusions` left out. Places stay empty
    /// where nothing speaks for any further item.
    ///
    /// - Parameters:
    ///   - audience: whom for; histories are folded in.
    ///   - count: places per person, at least 1.
    ///   - exclusions: people × items, usually what they have already; nil leaves nothing out.
    ///   - filter: what may appear at all.
    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems

    /// Scores (or predicted ratings) of given items: one for each entry of `items` (people × items), in order. NaN
    /// where the model has nothing to say.
    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float]

    /// The `count` rows of a side most similar to each given row, the row itself left out.
    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems

    /// Splits the score of an item into the parts that the person's own items contributed, largest first.
    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem]
}

extension Recommender {
    public func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        throw ParameterError("model", "this kind of model does not score single items")
    }

    public func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        throw ParameterError("model", "this kind of model does not compare \(side.rawValue)")
    }

    public func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        throw ParameterError("explain", "recommendations of this model do not rest on what a person has")
    }

    /// Scores of pairs of known users and items.
    ///
    /// - Throws: ``ParameterError`` when the lists are not equally long or name what the model doesn't have.
    public func predict(users: [Int32], items: [Int32]) throws -> [Float] {
        guard users.count == items.count else {
            throw ParameterError("items", "\(items.count) items for \(users.count) users")
        }
        try checkIndices(items, below: itemCount, "items")
        // Pairs of one user next to each other are one person.
        var people: [Int32] = []
        var pointers: [Int64] = [0]
        for place in users.indices {
            if place > 0, users[place] == users[place - 1], items[place] > items[place - 1] {
                pointers[pointers.count - 1] += 1
            } else {
                people.append(users[place])
                pointers.append(pointers[pointers.count - 1] + 1)
            }
        }
        let pairs = HostSparseMatrix(
            rows: people.count, columns: itemCount, rowPointers: HostBuffer(pointers), columnIndices: HostBuffer(items),
            values: HostBuffer(repeating: 1, count: items.count))
        return try scores(for: .users(people), of: pairs)
    }
}

extension Recommender {
    /// Refuses pairs whose shape does not fit.
    func checkPairs(_ audience: Audience, _ items: HostSparseMatrix) throws(ParameterError) {
        guard items.columns == itemCount, items.rows == audience.count else {
            throw ParameterError(
                "items", "\(items.rows) × \(items.columns) pairs for \(audience.count) people and \(itemCount) items")
        }
    }
}

/// Refuses indices outside a table: they come from the caller's data.
func checkIndices(_ indices: [Int32], below count: Int, _ name: String) throws(ParameterError) {
    for index in indices where index < 0 || Int(index) >= count {
        throw ParameterError(name, "\(index) is not one of 0 … \(count - 1)")
    }
}

extension HostSparseMatrix {
    /// The given rows, in their order, as a matrix of its own. O(entries copied).
    public func selectingRows(_ selected: [Int32]) -> HostSparseMatrix {
        let pointers = HostBuffer<Int64>(repeating: 0, count: selected.count + 1)
        for (place, row) in selected.enumerated() {
            pointers[place + 1] = pointers[place] + Int64(range(ofRow: Int(row)).count)
        }
        let entries = Int(pointers[selected.count])
        let indices = HostBuffer<Int32>(uninitializedCount: entries)
        let newValues = HostBuffer<Float>(uninitializedCount: entries)
        let newTimes = times.map { _ in HostBuffer<Int64>(uninitializedCount: entries) }
        for (place, row) in selected.enumerated() {
            let source = range(ofRow: Int(row))
            let target = Int(pointers[place])
            (indices.baseAddress + target).update(
                from: columnIndices.baseAddress + source.lowerBound, count: source.count)
            (newValues.baseAddress + target).update(from: values.baseAddress + source.lowerBound, count: source.count)
            if let times, let newTimes {
                (newTimes.baseAddress + target).update(from: times.baseAddress + source.lowerBound, count: source.count)
            }
        }
        return HostSparseMatrix(
            rows: selected.count, columns: columns, rowPointers: pointers, columnIndices: indices, values: newValues,
            times: newTimes)
    }

    /// The same entries in a matrix with more columns.
    func widened(toColumns newColumns: Int) -> HostSparseMatrix {
        precondition(newColumns >= columns)
        return HostSparseMatrix(
            rows: rows, columns: newColumns, rowPointers: rowPointers, columnIndices: columnIndices, values: values,
            times: times)
    }
}
