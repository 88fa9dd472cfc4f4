import Compute
import Core
import Tables

/// A learned neighborhood model.
///
/// Between items, the neighbors of every item are kept. Between users, the users' own rows are: anyone's neighbors,
/// also a new user's, are found among them when they are needed, which costs as much as to look them up.
public struct NeighborTable: LearnedRecommender {
    public static let kind = "neighbors"

    /// The parameters of the training.
    public let options: NeighborOptions
    /// Between items: items × items, the similarities of each item's neighbors. Between users: users × items, the
    /// values that the users were learned with.
    public let matrix: HostSparseMatrix
    /// Mean value of each row of the side (ratings).
    public let means: [Float]
    /// Mean of all values.
    public let mean: Float

    /// Learns from interactions.
    ///
    /// - Parameters:
    ///   - byUser: users × items.
    ///   - byItem: its transpose.
    ///   - threads: threads of the host that share the work; the result doesn't depend on them.
    /// - Throws: ``ParameterError``, ``DataError`` for values that the similarity can't use.
    public init(
        byUser: HostSparseMatrix, byItem: HostSparseMatrix, options: NeighborOptions, threads: Int,
        progress: ProgressHandler? = nil
    ) throws {
        try options.validate()
        guard byUser.entryCount > 0 else { throw DataError("there are no interactions to learn from") }
        self.options = options
        let rows = options.side == .items ? byItem : byUser
        let comparable = try ComparableRows(rows, options: options)
        matrix =
            options.side == .items
            ? try NeighborSearch.table(comparable, threads: threads, progress: progress) : byUser
        (means, mean) = Self.means(rows)
    }

    private init(options: NeighborOptions, matrix: HostSparseMatrix, means: [Float], mean: Float) {
        (self.options, self.matrix, self.means, self.mean) = (options, matrix, means, mean)
    }

    public func withHistories(_ histories: HostSparseMatrix) -> (any LearnedRecommender)? {
        guard options.side == .users else { return self }
        let (means, mean) = Self.means(histories)
        return NeighborTable(options: options, matrix: histories, means: means, mean: mean)
    }

    private static func means(_ rows: HostSparseMatrix) -> ([Float], Float) {
        var total = 0.0
        let means = (0..<rows.rows).map { row -> Float in
            var sum = 0.0
            for value in rows.values(ofRow: row) { sum += Double(value) }
            total += sum
            return Float(sum / Double(max(rows.range(ofRow: row).count, 1)))
        }
        return (means, Float(total / Double(max(rows.entryCount, 1))))
    }

    public var ratingMean: Float? { options.feedback == .explicit ? mean : nil }

    public func configuration() throws -> String { try Self.json(options) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        writer.add(matrix, as: prefix + (options.side == .items ? "neighbors" : "histories"))
        writer.add(prefix + "means", shape: [means.count], HostBuffer(means))
        writer.add(prefix + "mean", shape: [1], HostBuffer([mean]))
    }

    public init(_ section: ModelSection) throws {
        options = try section.decode()
        let options = options
        try section.checked { try options.validate() }
        let isItems = options.side == .items
        matrix = try section.sparse(
            isItems ? "neighbors" : "histories", rows: isItems ? section.items : section.users, columns: section.items)
        means = try section.file.floats(section.prefix + "means", shape: [matrix.rows]).array
        mean = try section.file.floats(section.prefix + "mean", shape: [1])[0]
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        options.side == .items
            ? ItemNeighborRecommender(table: self, context: context)
            : try UserNeighborRecommender(table: self, context: context)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [
            ("between", .text(options.side.rawValue)), ("similarity", .text(options.similarity.rawValue)),
            ("neighbors", .integer(options.neighbors)), ("shrinkage", .number(options.shrinkage)),
            ("significance", .number(options.significance)), ("minimum_common", .integer(options.minimumCommon)),
            ("feedback", .text(options.feedback.rawValue)), ("confidence", .text(options.confidence.rawValue)),
        ]
    }
}
