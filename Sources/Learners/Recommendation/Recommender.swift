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

/// Anything that ranks items for people: factorization, popularity, chance, and what later joins them.
public protocol Recommender {
    /// Number of items.
    var itemCount: Int { get }

    /// The `count` best items for each person, those in the person's row of `exclusions` left out.
    ///
    /// - Parameters:
    ///   - audience: whom for.
    ///   - count: places per person, at least 1.
    ///   - exclusions: people × items, usually what they have already; nil leaves nothing out.
    ///   - filter: what may appear at all.
    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems
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
        for (place, row) in selected.enumerated() {
            let source = range(ofRow: Int(row))
            let target = Int(pointers[place])
            (indices.baseAddress + target).update(
                from: columnIndices.baseAddress + source.lowerBound, count: source.count)
            (newValues.baseAddress + target).update(from: values.baseAddress + source.lowerBound, count: source.count)
        }
        return HostSparseMatrix(
            rows: selected.count, columns: columns, rowPointers: pointers, columnIndices: indices, values: newValues)
    }
}
