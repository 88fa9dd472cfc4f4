import Compute
import Core

/// Ranks, compares and explains with factors: the scoring side of a factorization model on a device.
///
/// Opening it uploads the two tables once. Not `Sendable`: one thread uses it at a time; a service opens one per
/// thread.
public final class FactorizationRecommender: Recommender {
    /// The model.
    public let factors: FactorizationFactors
    public let itemCount: Int
    private let stream: Stream
    private let users: Matrix
    private let items: Matrix
    private let itemCounts: [Float]
    private let userDegrees: [Int]
    private var preparedFoldIn: FoldIn?
    private var preparedItemFoldIn: FoldIn?
    private var preparedItemGram: HostMatrix?

    /// - Parameters:
    ///   - factors: the model.
    ///   - itemCounts: interactions of each item in training; items with 0 have no factors and are not recommended.
    ///   - userDegrees: interactions of each user in training.
    public init(
        factors: FactorizationFactors, itemCounts: [Float], userDegrees: [Int], stream: Stream
    ) throws(ComputeError) {
        precondition(itemCounts.count == factors.items.rows && userDegrees.count == factors.users.rows)
        self.factors = factors
        self.stream = stream
        self.itemCounts = itemCounts
        self.userDegrees = userDegrees
        itemCount = factors.items.rows
        let wide = factors.productForm()
        users = try stream.wrap(wide.users)
        items = try stream.wrap(wide.items)
    }

    /// Items that had interactions in training.
    var occupiedItems: Int { itemCounts.reduce(0) { $0 + ($1 > 0 ? 1 : 0) } }

    /// Host algebra of the device.
    var solver: any DenseSolver { stream.device.denseSolver }

    /// The Gram matrix of the items' factors, computed at first use.
    func itemGram() throws -> HostMatrix {
        if let preparedItemGram { return preparedItemGram }
        let d = factors.items.columns
        let gram = try stream.allocate(rows: d, columns: d)
        try stream.gram(try stream.wrap(factors.items), into: gram)
        let host = try stream.download(gram)
        preparedItemGram = host
        return host
    }

    /// Refuses indices outside a table: they come from the caller's data.
    static func check(_ indices: [Int32], below count: Int, _ name: String) throws(ParameterError) {
        for index in indices where index < 0 || Int(index) >= count {
            throw ParameterError(name, "\(index) is not one of 0 … \(count - 1)")
        }
    }

    /// People whose scores are computed at a time, so that results of all users need no more than some 64 MB.
    private static func batchSize(count: Int) -> Int { max(256, (1 << 23) / max(count, 1)) }

    public func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        if case .users(let selected) = audience { try Self.check(selected, below: factors.users.rows, "users") }
        let people = audience.count
        let unknown = itemCounts.map { $0 > 0 ? Float(0) : -.infinity }
        let bias = try stream.upload(filter.bias(itemCount: itemCount, base: unknown) ?? unknown)
        let exclusionRows = try exclusions.map { try stream.wrap($0) }
        let batch = min(Self.batchSize(count: count), max(people, 1))
        let indices = try stream.allocate(rows: batch, columns: count, .int32)
        let scores = try stream.allocate(rows: batch, columns: count)
        var allItems: [Int32] = []
        var allScores: [Float] = []
        allItems.reserveCapacity(people * count)
        allScores.reserveCapacity(people * count)
        for start in stride(from: 0, to: people, by: batch) {
            let range = start..<min(start + batch, people)
            let part = 0..<range.count
            try stream.topK(
                queries: try queries(audience, range), candidates: items, candidateBias: bias,
                exclusions: exclusionRows?.rows(range), indices: indices.rows(part), scores: scores.rows(part))
            allItems += try stream.download(indices.rows(part), as: Int32.self)
            allScores += try stream.download(scores.rows(part), as: Float.self)
        }
        if factors.mean != 0 { for place in allScores.indices { allScores[place] += factors.mean } }
        return TopItems(count: count, items: allItems, scores: allScores)
    }

    private func queries(_ audience: Audience, _ range: Range<Int>) throws -> Matrix {
        switch audience {
        case .users(let selected):
            let first = selected[range.lowerBound]
            let consecutive = range.allSatisfy { selected[$0] == first + Int32($0 - range.lowerBound) }
            if consecutive { return users.rows(Int(first)..<Int(first) + range.count) }
            let rows = try stream.allocate(rows: range.count, columns: users.columns)
            try stream.gather(users, rows: try stream.upload(Array(selected[range])), into: rows)
            return rows
        case .histories(let histories):
            let solved = try foldInUsers(histories.selectingRows(range.map { Int32($0) }))
            let wide =
                factors.options.feedback == .explicit
                ? FactorizationFactors.widened(solved, scale: factors.options.biasScale, ownBiasFirst: true) : solved
            return try stream.upload(wide)
        }
    }

    /// Factors of new users from their histories (rows × items), with the items held.
    public func foldInUsers(_ histories: HostSparseMatrix) throws -> HostMatrix {
        if preparedFoldIn == nil {
            preparedFoldIn = try FoldIn(
                fixed: factors.items, factors: factors,
                occupiedFixedRows: occupiedItems, stream: stream)
        }
        return try preparedFoldIn!.solve(histories)
    }

    /// Factors of new items from who interacted with them (rows × users), with the users held.
    public func foldInItems(_ interactions: HostSparseMatrix) throws -> HostMatrix {
        if preparedItemFoldIn == nil {
            preparedItemFoldIn = try FoldIn(
                fixed: factors.users, factors: factors,
                occupiedFixedRows: userDegrees.reduce(0) { $0 + ($1 > 0 ? 1 : 0) }, stream: stream)
        }
        return try preparedItemFoldIn!.solve(interactions)
    }

    /// Predictions for pairs of known users and items: scores (implicit) or ratings (explicit).
    ///
    /// - Throws: ``ParameterError`` when the lists are not equally long or name what the model doesn't have.
    public func predict(users userIndices: [Int32], items itemIndices: [Int32]) throws -> [Float] {
        guard userIndices.count == itemIndices.count else {
            throw ParameterError("items", "\(itemIndices.count) items for \(userIndices.count) users")
        }
        try Self.check(userIndices, below: factors.users.rows, "users")
        try Self.check(itemIndices, below: factors.items.rows, "items")
        let output = try stream.allocate(rows: 1, columns: userIndices.count)
        try stream.scores(
            rows: try stream.upload(userIndices), columns: try stream.upload(itemIndices), users, items, into: output)
        var predictions = try stream.download(output, as: Float.self)
        if factors.mean != 0 { for place in predictions.indices { predictions[place] += factors.mean } }
        return predictions
    }

    /// Which table to look for neighbours in.
    public enum Side: String, Sendable, CaseIterable {
        case users, items
    }

    /// The `count` rows most similar to each given row, by cosine of the factors; the row itself is left out, and so
    /// are rows without interactions.
    public func similar(_ side: Side, to rows: [Int32], count: Int) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        try Self.check(rows, below: side == .users ? factors.users.rows : factors.items.rows, side.rawValue)
        let d = factors.options.factors
        let table = try stream.wrap(side == .users ? factors.users : factors.items).columns(0..<d)
        let norms = try stream.allocate(rows: 1, columns: table.rows)
        try stream.rowNorms(table, into: norms)
        let normalized = try stream.allocate(rows: table.rows, columns: d)
        try stream.scaleRows(table, by: norms, divide: true, into: normalized)
        let queries = try stream.allocate(rows: rows.count, columns: d)
        try stream.gather(normalized, rows: try stream.upload(rows), into: queries)
        let known = side == .items ? itemCounts.map { $0 > 0 } : userDegrees.map { $0 > 0 }
        let bias = try stream.upload(known.map { $0 ? Float(0) : -.infinity })
        let itself = HostSparseMatrix(
            rows: rows.count, columns: table.rows,
            entries: rows.enumerated().map { (row: $0.offset, column: Int($0.element), value: 1) })
        let indices = try stream.allocate(rows: rows.count, columns: count, .int32)
        let scores = try stream.allocate(rows: rows.count, columns: count)
        try stream.topK(
            queries: queries, candidates: normalized, candidateBias: bias, exclusions: try stream.wrap(itself),
            indices: indices, scores: scores)
        return TopItems(
            count: count, items: try stream.download(indices, as: Int32.self),
            scores: try stream.download(scores, as: Float.self))
    }
}
