import Compute
import Core
import Tables

/// What a fitting gives.
public struct FittedRecommender: Sendable {
    public let model: RecommenderModel
    /// Figures on the held-out part, in order; empty without a split.
    public let metrics: [(name: String, value: MetricValue)]
    /// The same of the baselines, by name.
    public let baselines: [(name: String, metrics: [(name: String, value: MetricValue)])]
    /// People (ranking) or ratings (explicit feedback) that the figures rest on.
    public let evaluated: Int
    /// What the reader of the figures must know; nil if nothing.
    public let warning: String?
    /// Seconds by phase: prepare, train, evaluate.
    public let seconds: (prepare: Double, train: Double, evaluate: Double)
}

/// Learns any kind of recommender: split, training, evaluation beside baselines, and a model for everyone in the data.
///
/// Matrix factorization has a training of its own, ``RecommenderTraining``, with checkpoints and early stopping.
public struct RecommenderFitting {
    /// What learns.
    public var learner: any RecommenderLearner
    /// How the data are divided; `.none` learns from everything and evaluates nothing.
    public var split = SplitOptions(kind: .none)
    /// k of the metrics.
    public var cutoffs = [10, 20, 50, 100]
    /// Whether to learn once more from everything after the evaluation. Without, what is held out is no evidence for
    /// the items, but still for the people: their whole histories are what they are answered by.
    public var refit = false
    /// Titles of the items, in their order.
    public var itemTitles: IdentifierIndex?
    /// Items that have no interactions but are to be in the model.
    public var newItems: [String] = []
    /// What the model records of the request.
    public var request: [String: String] = [:]

    public init(_ learner: any RecommenderLearner) { self.learner = learner }

    /// Runs.
    ///
    /// - Throws: ``ParameterError``, ``DataError``, ``ComputeError``; `CancellationError` when `progress` answers stop.
    public func run(
        _ interactions: Interactions, stream: Stream, progress: ProgressHandler? = nil
    ) throws -> FittedRecommender {
        let start = monotonicSeconds()
        let parts = try interactions.split(split)
        let items =
            newItems.isEmpty ? interactions.items : IdentifierIndex(interactions.items.strings + newItems)
        let all = RecommenderData(interactions, items: items)
        let training = split.kind == .none ? all : RecommenderData(interactions, training: parts, items: items)
        let prepared = monotonicSeconds()
        var learned = try learner.learn(training, stream: stream, progress: progress)
        let trained = monotonicSeconds()
        var result: RecommenderEvaluator.Result?
        if parts.test.entryCount > 0 {
            result = try RecommenderEvaluator(split: parts, items: items.count, stream: stream).evaluate(
                learned, on: .init(parts.testSet, training: parts.trainingByUser, items: items.count),
                cutoffs: cutoffs)
        }
        let evaluated = monotonicSeconds()
        if refit, split.kind != .none { learned = try learner.learn(all, stream: stream, progress: progress) }
        let done = monotonicSeconds()
        var provenance = ModelProvenance(stream: stream, fingerprint: interactions.fingerprint, request: request)
        provenance.split = split.kind == .none ? nil : split
        provenance.refitted = refit
        provenance.trainedUsers = FactorizationData.occupiedRows(training.byUser)
        provenance.trainedItems = FactorizationData.occupiedRows(training.byItem)
        provenance.record(result)
        return FittedRecommender(
            model: RecommenderModel(
                learned: learned, users: interactions.users, items: items,
                itemTitles: itemTitles, seen: all.byUser, provenance: provenance),
            metrics: result?.metrics ?? [], baselines: result?.baselines ?? [], evaluated: result?.evaluated ?? 0,
            warning: parts.warning,
            seconds: (prepared - start, trained - prepared + done - evaluated, evaluated - trained))
    }
}

extension ModelProvenance {
    /// Who made a model, when, on what.
    init(stream: Stream, fingerprint: DataFingerprint, request: [String: String]) {
        self.init()
        createdAt = secondsSince1970()
        let identity = stream.device.identity
        device = "\(identity.name): \(identity.model), \(identity.driver)"
        threads = stream.device.limits.computeUnits
        self.fingerprint = fingerprint
        configuration = request
    }

    /// The figures of an evaluation.
    mutating func record(_ result: RecommenderEvaluator.Result?) {
        for metric in result?.metrics ?? [] { metrics[metric.name] = metric.value }
        for baseline in result?.baselines ?? [] {
            baselines[baseline.name] = Dictionary(
                baseline.metrics.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        }
    }
}

extension RecommenderData {
    /// All interactions.
    ///
    /// - Parameter items: the items of the data, and perhaps more behind them.
    public init(_ interactions: Interactions, items: IdentifierIndex? = nil) {
        let items = items ?? interactions.items
        var byUser = interactions.byUser.widened(toColumns: items.count)
        byUser.times = interactions.times
        self.init(
            users: interactions.users, items: items, byUser: byUser,
            byItem: interactions.byItem.heightened(toRows: items.count), times: interactions.times)
    }

    /// The training part of a split of the interactions.
    public init(_ interactions: Interactions, training parts: InteractionSplit, items: IdentifierIndex? = nil) {
        let items = items ?? interactions.items
        self.init(
            users: interactions.users, items: items, byUser: parts.trainingByUser.widened(toColumns: items.count),
            byItem: parts.trainingByItem.heightened(toRows: items.count),
            times: parts.trainingByUser.times)
    }
}

extension HostSparseMatrix {
    /// The same entries in a matrix with more rows, which are empty.
    func heightened(toRows newRows: Int) -> HostSparseMatrix {
        precondition(newRows >= rows)
        if newRows == rows { return self }
        let pointers = HostBuffer<Int64>(uninitializedCount: newRows + 1)
        for row in 0...newRows { pointers[row] = rowPointers[min(row, rows)] }
        return HostSparseMatrix(
            rows: newRows, columns: columns, rowPointers: pointers, columnIndices: columnIndices, values: values)
    }
}
