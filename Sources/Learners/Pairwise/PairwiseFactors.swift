import Compute
import Core
import Tables

/// What BPR and WARP learn: factors of users and items, and a bias of each item.
public struct PairwiseFactors: LearnedRecommender {
    public static let kind = "bpr"

    public let options: PairwiseOptions
    /// users × factors; rows of users without interactions are 0.
    public let users: HostMatrix
    /// items × factors.
    public let items: HostMatrix
    /// What each item has for everybody.
    public let biases: [Float]

    /// Learns from interactions; their values do not count.
    ///
    /// - Parameter threads: threads of the host that share the work; the result doesn't depend on them.
    /// - Throws: ``ParameterError``, also for a learning rate at which the factors grow without bound; ``DataError``.
    /// - Complexity: iterations · interactions · factors.
    public init(
        byUser: HostSparseMatrix, options: PairwiseOptions, threads: Int, progress: ProgressHandler? = nil
    ) throws {
        let tables = try PairwiseTrainer(byUser: byUser, options: options, threads: threads).run(progress: progress)
        self.options = options
        users = tables.unpadded(tables.users, rows: byUser.rows)
        items = tables.unpadded(tables.items, rows: byUser.columns)
        biases = Array(tables.biases.elements.prefix(byUser.columns))
    }

    public func configuration() throws -> String { try Self.json(options) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        writer.add(prefix + "user_factors", shape: [users.rows, users.columns], users.storage)
        writer.add(prefix + "item_factors", shape: [items.rows, items.columns], items.storage)
        writer.add(prefix + "item_biases", shape: [biases.count], HostBuffer(biases))
    }

    public init(_ section: ModelSection) throws {
        options = try section.decode()
        let options = options
        try section.checked { try options.validate() }
        users = try section.table("user_factors", rows: section.users, columns: options.factors)
        items = try section.table("item_factors", rows: section.items, columns: options.factors)
        biases = try section.file.floats(section.prefix + "item_biases", shape: [section.items]).array
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        try PairwiseRecommender(learned: self, context: context)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [
            ("loss", .text(options.loss.rawValue)), ("factors", .integer(options.factors)),
            ("iterations", .integer(options.iterations)), ("learning_rate", .number(Double(options.learningRate))),
            ("regularization", .number(Double(options.regularization))),
            ("negatives", .text(options.negatives.rawValue)),
            ("seed", .integer(Int(truncatingIfNeeded: options.seed))),
        ]
    }
}

/// Learns ``PairwiseFactors``.
public struct PairwiseLearner: RecommenderLearner {
    public var options: PairwiseOptions
    public var kind: String { PairwiseFactors.kind }
    public var label: String {
        "\(options.loss.rawValue), \(options.factors) factors, learning rate \(options.learningRate), "
            + "regularization \(options.regularization), \(options.iterations) iterations"
    }

    public init(_ options: PairwiseOptions) { self.options = options }

    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        try PairwiseFactors(
            byUser: data.byUser, options: options, threads: RecommenderContext.hostThreads(stream.device),
            progress: progress)
    }
}
