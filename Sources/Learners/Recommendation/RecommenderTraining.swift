import Compute
import Core
import Tables

/// What a training of a recommender is asked for, apart from the factorization itself.
public struct RecommenderTrainingOptions: Sendable {
    /// The factorization.
    public var factorization = FactorizationOptions()
    /// How the data are divided; `.none` trains on everything and evaluates nothing.
    public var split = SplitOptions(kind: .none)
    /// k of the metrics.
    public var cutoffs = [10, 20, 50, 100]
    /// Stops when the validation figure has not improved for so many iterations, and keeps the best; nil for never.
    public var earlyStopping: Int?
    /// Figure to validate by: a ranking metric such as `ndcg@100`; for explicit feedback always `rmse`.
    public var validationMetric = "ndcg@100"
    /// Whether to train once more on everything after the evaluation.
    public var refit = false

    public init() {}

    /// Name of the validation figure.
    var validationName: String { factorization.feedback == .explicit ? "rmse" : validationMetric }
}

/// Where a training stopped before its end.
public struct InterruptedTraining: Error {
    /// Enough to go on.
    public let checkpoint: FactorizationCheckpoint
}

/// What a training gives.
public struct RecommenderTrainingResult: Sendable {
    public let model: RecommenderModel
    /// Iteration by iteration.
    public let history: TrainingHistory
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
    /// The parameters with the solver resolved.
    public let options: FactorizationOptions
}

/// Trains a recommender from interactions: split, factorization, evaluation beside baselines, and a model in which
/// everyone in the data has an answer.
public struct RecommenderTraining {
    private let interactions: Interactions
    private let options: RecommenderTrainingOptions
    private let stream: Stream
    /// What the checkpoint of an interrupted run records of the request.
    public var request: [String: String] = [:]
    /// Titles of the items for the model, in their order.
    public var itemTitles: IdentifierIndex?
    /// Where to save the state, and every how many iterations; nil saves none on the way.
    public var checkpoints: (path: String, every: Int)?

    public init(interactions: Interactions, options: RecommenderTrainingOptions, stream: Stream) {
        self.interactions = interactions
        self.options = options
        self.stream = stream
    }

    /// Runs the training.
    ///
    /// - Parameters:
    ///   - resuming: a checkpoint of an interrupted run on the same data.
    ///   - warmStart: tables to start from instead of random ones.
    ///   - progress: called after every iteration.
    /// - Throws: ``InterruptedTraining`` when `progress` answers stop; ``ParameterError``, ``DataError``,
    ///   ``ComputeError``.
    public func run(
        resuming checkpoint: FactorizationCheckpoint? = nil, warmStart: FactorizationFactors? = nil,
        progress: ProgressHandler? = nil
    ) throws -> RecommenderTrainingResult {
        let start = monotonicSeconds()
        var splitOptions = options.split
        splitOptions.validation = options.earlyStopping != nil
        if options.earlyStopping != nil && splitOptions.kind == .none {
            throw ParameterError("earlyStopping", "needs a split to validate on")
        }
        // Without a split the matrices are used as they are, not copied.
        let split = splitOptions.kind == .none ? nil : try interactions.split(splitOptions)
        let data = try FactorizationData(
            byUser: split?.trainingByUser ?? interactions.byUser,
            byItem: split?.trainingByItem ?? interactions.byItem, options: options.factorization)
        if let checkpoint, checkpoint.fingerprint != interactions.fingerprint {
            throw DataError("the checkpoint belongs to other data than these; resume with the file it was made from")
        }
        let trainer = try FactorizationTrainer(
            data: data, options: checkpoint?.options ?? options.factorization, stream: stream,
            initial: checkpoint?.factors ?? warmStart, completedIterations: checkpoint?.history.iterations ?? 0)
        let prepared = monotonicSeconds()
        let evaluator = split.map { RecommenderEvaluator(split: $0, stream: stream) }
        var loop = TrainingLoop(
            trainer: trainer, evaluator: evaluator,
            validationSet: split.flatMap { split in
                split.validationSet.map { .init($0, training: split.trainingByUser) }
            }, options: options,
            history: checkpoint?.history ?? TrainingHistory(), best: checkpoint?.best)
        func state(_ loop: TrainingLoop) throws -> FactorizationCheckpoint {
            FactorizationCheckpoint(
                request: request, options: trainer.options, factors: try trainer.factors(), history: loop.history,
                best: loop.best, fingerprint: interactions.fingerprint)
        }
        let finished = try loop.run(progress: progress) { loop in
            if let checkpoints, loop.history.iterations % checkpoints.every == 0 {
                try state(loop).save(to: checkpoints.path)
            }
        }
        guard finished else { throw InterruptedTraining(checkpoint: try state(loop)) }
        let factors = try loop.best ?? trainer.factors()
        let trained = monotonicSeconds()
        var evaluation: RecommenderEvaluator.Result?
        if let split, let evaluator, split.test.entryCount > 0 {
            evaluation = try evaluator.evaluate(
                factors, on: .init(split.testSet, training: split.trainingByUser), cutoffs: options.cutoffs)
        }
        let evaluated = monotonicSeconds()
        var complete: FactorizationFactors
        if options.refit && splitOptions.kind != .none {
            complete = try refit(iterations: loop.history.bestIteration > 0 ? loop.history.bestIteration : nil)
        } else {
            complete = try split.map { try completed(factors, split: $0) } ?? factors
        }
        complete = try finite(complete)
        let done = monotonicSeconds()
        return RecommenderTrainingResult(
            model: RecommenderModel(
                factors: complete, users: interactions.users, items: interactions.items, itemTitles: itemTitles,
                seen: interactions.byUser,
                provenance: provenance(split: splitOptions, data: data, iterations: loop.history, evaluation)),
            history: loop.history, metrics: evaluation?.metrics ?? [], baselines: evaluation?.baselines ?? [],
            evaluated: evaluation?.evaluated ?? 0, warning: split?.warning,
            seconds: (prepared - start, trained - prepared + done - evaluated, evaluated - trained),
            options: trainer.options)
    }

    /// Refuses tables that diverged.
    private func finite(_ factors: FactorizationFactors) throws -> FactorizationFactors {
        for table in [factors.users, factors.items] where !table.storage.elements.allSatisfy({ $0.isFinite }) {
            throw ComputeError.numerical(
                operation: "train", reason: "the factors are not finite; raise the regularization")
        }
        return factors
    }

    /// Trains on everything, with the iterations that the evaluated run found best.
    private func refit(iterations: Int?) throws -> FactorizationFactors {
        var all = options.factorization
        if let iterations { all.iterations = iterations }
        let trainer = try FactorizationTrainer(
            data: try FactorizationData(
                byUser: interactions.byUser, byItem: interactions.byItem, options: options.factorization),
            options: all, stream: stream)
        try trainer.run { _ in .proceed }
        return try trainer.factors()
    }

    /// Gives factors to the users and items that the training did not see, from all their interactions.
    private func completed(_ factors: FactorizationFactors, split: InteractionSplit) throws -> FactorizationFactors {
        func missing(_ training: HostSparseMatrix, _ all: HostSparseMatrix) -> [Int32] {
            (0..<Int32(all.rows)).filter { row in
                training.range(ofRow: Int(row)).isEmpty && !all.range(ofRow: Int(row)).isEmpty
            }
        }
        let users = missing(split.trainingByUser, interactions.byUser)
        let items = missing(split.trainingByItem, interactions.byItem)
        let userTable = try folded(
            into: factors.users, rows: users, from: interactions.byUser, fixed: factors.items, factors: factors,
            occupied: FactorizationData.occupiedRows(split.trainingByItem))
        let itemTable = try folded(
            into: factors.items, rows: items, from: interactions.byItem, fixed: userTable, factors: factors,
            occupied: FactorizationData.occupiedRows(interactions.byUser))
        return FactorizationFactors(
            users: userTable, items: itemTable, mean: factors.mean, options: factors.options)
    }

    private func folded(
        into table: HostMatrix, rows: [Int32], from interactions: HostSparseMatrix, fixed: HostMatrix,
        factors: FactorizationFactors, occupied: Int
    ) throws -> HostMatrix {
        guard !rows.isEmpty else { return table }
        let solved = try FoldIn(fixed: fixed, factors: factors, occupiedFixedRows: occupied, stream: stream)
            .solve(interactions.selectingRows(rows))
        for (place, row) in rows.enumerated() {
            table.row(Int(row)).baseAddress?.update(from: solved.row(place).baseAddress!, count: table.columns)
        }
        return table
    }

    private func provenance(
        split: SplitOptions, data: FactorizationData, iterations: TrainingHistory,
        _ evaluation: RecommenderEvaluator.Result?
    ) -> ModelProvenance {
        var provenance = ModelProvenance()
        provenance.createdAt = secondsSince1970()
        let identity = stream.device.identity
        provenance.device = "\(identity.name): \(identity.model), \(identity.driver)"
        provenance.threads = stream.device.limits.computeUnits
        provenance.iterations = iterations.bestIteration > 0 ? iterations.bestIteration : iterations.iterations
        provenance.split = split.kind == .none ? nil : split
        provenance.refitted = options.refit
        provenance.trainedUsers = FactorizationData.occupiedRows(options.refit ? interactions.byUser : data.byUser)
        provenance.trainedItems = FactorizationData.occupiedRows(options.refit ? interactions.byItem : data.byItem)
        provenance.fingerprint = interactions.fingerprint
        provenance.configuration = request
        for metric in evaluation?.metrics ?? [] { provenance.metrics[metric.name] = metric.value }
        for baseline in evaluation?.baselines ?? [] {
            provenance.baselines[baseline.name] = Dictionary(
                baseline.metrics.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        }
        return provenance
    }
}
