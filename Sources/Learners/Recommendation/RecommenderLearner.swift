import Compute
import Core
import Tables

/// Interactions as learners of recommenders take them.
public struct RecommenderData: Sendable {
    /// Names of the rows of `byUser`.
    public let users: IdentifierIndex
    /// Names of its columns.
    public let items: IdentifierIndex
    /// users × items.
    public let byUser: HostSparseMatrix
    /// Its transpose.
    public let byItem: HostSparseMatrix
    /// Seconds since 1970 of every entry of `byUser`; nil when unknown.
    public let times: HostBuffer<Int64>?

    public init(
        users: IdentifierIndex, items: IdentifierIndex, byUser: HostSparseMatrix, byItem: HostSparseMatrix,
        times: HostBuffer<Int64>? = nil
    ) {
        precondition(users.count == byUser.rows && items.count == byUser.columns)
        precondition(byItem.rows == byUser.columns && byItem.columns == byUser.rows)
        precondition(times.map { $0.count == byUser.entryCount } ?? true)
        self.users = users
        self.items = items
        self.byUser = byUser
        self.byItem = byItem
        self.times = times
    }
}

/// A way to learn a recommender from interactions: a kind with its parameters.
public protocol RecommenderLearner: Sendable {
    /// The kind of what it learns.
    var kind: String { get }
    /// Whether it needs to know when.
    var needsTimes: Bool { get }
    /// The most important parameters in one line, to tell it from others of its kind.
    var label: String { get }

    /// Learns. Deterministic: the same data, parameters and device give the same bits.
    ///
    /// - Throws: ``ParameterError``, ``DataError``, ``ComputeError``; `CancellationError` when `progress` answers stop.
    func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender
}

extension RecommenderLearner {
    public var needsTimes: Bool { false }
}

/// Learns ``FactorizationFactors``.
public struct FactorizationLearner: RecommenderLearner {
    public var options: FactorizationOptions
    public var kind: String { FactorizationFactors.kind }
    public var label: String {
        "\(options.factors) factors, regularization \(options.regularization), "
            + "unobserved weight \(options.unobservedWeight)"
    }

    public init(_ options: FactorizationOptions) { self.options = options }

    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        let trainer = try FactorizationTrainer(
            data: try FactorizationData(byUser: data.byUser, byItem: data.byItem, options: options), options: options,
            stream: stream)
        let start = monotonicSeconds()
        try trainer.run { report in
            let decision = progress?(
                ProgressReport(
                    phase: "train", completed: report.iteration, total: options.iterations, unit: "iterations",
                    elapsedSeconds: monotonicSeconds() - start))
            if decision == .stop, report.iteration < options.iterations { throw CancellationError() }
            return .proceed
        }
        return try trainer.factors()
    }
}

/// Learns a ``NeighborTable``.
public struct NeighborLearner: RecommenderLearner {
    public var options: NeighborOptions
    public var kind: String { NeighborTable.kind }
    public var label: String {
        "\(options.side.rawValue), \(options.similarity.rawValue), \(options.neighbors) neighbors"
            + (options.shrinkage > 0 ? ", shrinkage \(options.shrinkage)" : "")
    }

    public init(_ options: NeighborOptions) { self.options = options }

    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        try NeighborTable(
            byUser: data.byUser, byItem: data.byItem, options: options,
            threads: RecommenderContext.hostThreads(stream.device),
            progress: progress)
    }
}

/// Learns ``EASEWeights``.
public struct EASELearner: RecommenderLearner {
    public var options: EASEOptions
    /// Refuses to need more; nil for the memory of the machine.
    public var memoryLimitBytes: Int?
    public var kind: String { EASEWeights.kind }
    public var label: String { "regularization \(options.regularization)" }

    public init(_ options: EASEOptions, memoryLimitBytes: Int? = nil) {
        self.options = options
        self.memoryLimitBytes = memoryLimitBytes
    }

    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        try EASEWeights(
            byUser: data.byUser, options: options, stream: stream, memoryLimitBytes: memoryLimitBytes,
            progress: progress)
    }
}

/// Learns a ``PopularityTable``.
public struct PopularityLearner: RecommenderLearner {
    public var options: PopularityOptions
    public var kind: String { PopularityTable.kind }
    public var needsTimes: Bool { options.rule == .recent }
    public var label: String {
        options.rule == .recent ? "recent, \(options.windowDays) days" : options.rule.rawValue
    }

    public init(_ options: PopularityOptions) { self.options = options }

    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        try PopularityTable(byUser: data.byUser, times: data.times, options: options)
    }
}
