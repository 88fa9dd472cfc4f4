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

    /// People whose scores are computed at a time, so that results of all users need no more than some 64 MB.
    private static func batchSize(count: Int) -> Int { max(256, (1 << 23) / max(count, 1)) }

    public func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        if case .users(let selected) = audience { try checkIndices(selected, below: factors.users.rows, "users") }
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

    public func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        if case .users(let selected) = audience { try checkIndices(selected, below: factors.users.rows, "users") }
        var predictions: [Float] = []
        predictions.reserveCapacity(items.entryCount)
        for start in stride(from: 0, to: audience.count, by: Self.scoredPeople) {
            let range = start..<min(start + Self.scoredPeople, audience.count)
            let part = items.selectingRows(range.map { Int32($0) })
            guard part.entryCount > 0 else { continue }
            var rows: [Int32] = []
            for row in 0..<part.rows { for _ in part.range(ofRow: row) { rows.append(Int32(row)) } }
            let output = try stream.allocate(rows: 1, columns: rows.count)
            try stream.scores(
                rows: try stream.upload(rows), columns: try stream.upload(part.columnIndices.array),
                try queries(audience, range), self.items, into: output)
            predictions += try stream.download(output, as: Float.self)
        }
        if factors.mean != 0 { for place in predictions.indices { predictions[place] += factors.mean } }
        return predictions
    }

    /// People folded in at a time.
    private static let scoredPeople = 4096

    /// The `count` rows most similar to each given row, by cosine of the factors; the row itself is left out, and so
    /// are rows without interactions.
    public func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        let table = try stream.wrap(side == .users ? factors.users : factors.items)
        return try FactorSimilarity.nearest(
            table: table.columns(0..<factors.options.factors), to: rows,
            isKnown: side == .items ? itemCounts.map { $0 > 0 } : userDegrees.map { $0 > 0 }, count: count,
            name: side.rawValue, stream: stream)
    }
}

extension FactorizationFactors: LearnedRecommender {
    public static let kind = "als"
    public static let formatVersion = 1

    public var ratingMean: Float? { options.feedback == .explicit ? mean : nil }

    public func configuration() throws -> String { try Self.json(options) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        writer.add(prefix + "user_factors", shape: [users.rows, users.columns], users.storage)
        writer.add(prefix + "item_factors", shape: [items.rows, items.columns], items.storage)
        writer.add(prefix + "mean", shape: [1], HostBuffer([mean]))
    }

    public init(_ section: ModelSection) throws {
        let options: FactorizationOptions = try section.decode()
        try section.checked { try options.validate() }
        self.init(
            users: try section.table("user_factors", rows: section.users, columns: options.tableColumns),
            items: try section.table("item_factors", rows: section.items, columns: options.tableColumns),
            mean: try section.file.floats(section.prefix + "mean", shape: [1])[0], options: options)
    }

    /// Items without interactions have no say: factors that were folded in for them later are set to 0.
    public func open(_ context: RecommenderContext) throws -> any Recommender {
        var items = items
        let unseen = (0..<items.rows).filter { context.itemCounts[$0] == 0 && items.row($0).contains { $0 != 0 } }
        if !unseen.isEmpty {
            items = HostMatrix(
                rows: items.rows, columns: items.columns, storage: HostBuffer(items.storage.array))
            for item in unseen { items.row(item).baseAddress?.update(repeating: 0, count: items.columns) }
        }
        return try FactorizationRecommender(
            factors: FactorizationFactors(users: users, items: items, mean: mean, options: options),
            itemCounts: context.itemCounts, userDegrees: context.userDegrees, stream: context.stream)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [
            ("feedback", .text(options.feedback.rawValue)), ("factors", .integer(options.factors)),
            ("solver", .text(options.solver.rawValue)), ("regularization", .number(Double(options.regularization))),
            ("regularization_exponent", .number(Double(options.regularizationExponent))),
            ("unobserved_weight", .number(Double(options.unobservedWeight))),
            ("confidence", .text(options.confidence.rawValue)),
            ("bias_regularization", .number(Double(options.biasRegularization))),
            ("seed", .integer(Int(truncatingIfNeeded: options.seed))), ("mean", .number(Double(mean))),
        ]
    }
}
