import Compute
import Core
import Tables

/// A trained recommender as it is saved: what was learned, identifiers, what everyone has, and where it came from.
public struct RecommenderModel: Sendable {
    /// What was learned.
    public let learned: any LearnedRecommender
    /// Names of the rows of the user table.
    public let users: IdentifierIndex
    /// Names of the rows of the item table.
    public let items: IdentifierIndex
    /// Titles of the items, in their order; empty strings where a title is missing.
    public var itemTitles: IdentifierIndex? {
        didSet { precondition(itemTitles.map { $0.count == items.count } ?? true) }
    }
    /// users × items: all interactions of the data, by which items are left out and recommendations explained.
    public let seen: HostSparseMatrix
    /// How the model came to be.
    public var provenance: ModelProvenance

    public init(
        learned: any LearnedRecommender, users: IdentifierIndex, items: IdentifierIndex,
        itemTitles: IdentifierIndex? = nil, seen: HostSparseMatrix, provenance: ModelProvenance
    ) {
        precondition(seen.rows == users.count && seen.columns == items.count)
        precondition(itemTitles.map { $0.count == items.count } ?? true)
        self.learned = learned
        self.users = users
        self.items = items
        self.itemTitles = itemTitles
        self.seen = seen
        self.provenance = provenance
    }

    /// The kind of what was learned.
    public var kind: String { type(of: learned).kind }

    /// The factor tables of a factorization; nil for the other kinds.
    public var factors: FactorizationFactors? { learned as? FactorizationFactors }

    /// Opens the model for questions on a device.
    public func open(on stream: Stream) throws -> any Recommender {
        try learned.open(RecommenderContext(stream: stream, histories: seen))
    }

    /// Interactions of each item: what the popular items are ranked by.
    public var itemCounts: [Float] {
        var counts = [Float](repeating: 0, count: items.count)
        for entry in 0..<seen.entryCount { counts[Int(seen.columnIndices[entry])] += 1 }
        return counts
    }

    /// The title of an item, or its identifier when it has none.
    public func title(of item: Int) -> String {
        if let title = itemTitles?[item], !title.isEmpty { return title }
        return items[item]
    }

    /// The items and values of one user.
    public func history(of user: Int) -> [(item: Int32, value: Float)] {
        seen.range(ofRow: user).map { (seen.columnIndices[$0], seen.values[$0]) }
    }
}

extension RecommenderModel {
    /// The tables in the order of other users and items, for a warm start: rows of users and items that the model does
    /// not know are 0, and are solved from the others in the first iteration. Nil for other kinds.
    public func tables(users newUsers: IdentifierIndex, items newItems: IdentifierIndex) -> FactorizationFactors? {
        guard let factors else { return nil }
        func reordered(_ table: HostMatrix, from old: IdentifierIndex, to new: IdentifierIndex) -> HostMatrix {
            let result = HostMatrix(rows: new.count, columns: table.columns)
            for row in 0..<new.count {
                guard let source = old.index(of: new.utf8(row)) else { continue }
                result.row(row).baseAddress?.update(from: table.row(source).baseAddress!, count: table.columns)
            }
            return result
        }
        return FactorizationFactors(
            users: reordered(factors.users, from: users, to: newUsers),
            items: reordered(factors.items, from: items, to: newItems), mean: factors.mean, options: factors.options)
    }
}
