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

    /// The split with the validation set that early stopping needs: what data are divided by.
    public var effectiveSplit: SplitOptions {
        var effective = split
        effective.validation = earlyStopping != nil && split.kind != .none
        return effective
    }

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
///
/// Lets go of the interactions as soon as it does not need them, so that the peak of memory is that of the training.
/// Runs once.
public final class RecommenderTraining {
    private var divided: DividedInteractions?
    private let users: IdentifierIndex
    private let items: IdentifierIndex
    private let fingerprint: DataFingerprint
    private let options: RecommenderTrainingOptions
    private let stream: Stream
    /// What the checkpoint of an interrupted run records of the request.
    public var request: [String: String] = [:]
    /// Titles of the items for the model, in their order.
    public var itemTitles: IdentifierIndex?
    /// Where to save the state, and every how many iterations; nil saves none on the way.
    public var checkpoints: (path: String, every: Int)?

    /// Trains on interactions that were divided while they were read, by `options.split`: the least memory.
    public init(divided: DividedInteractions, options: RecommenderTrainingOptions, stream: Stream) {
        self.divided = divided
        users = divided.users
        items = divided.items
        fingerprint = divided.fingerprint
        self.options = options
        self.stream = stream
    }

    /// Divides interactions that are in memory by `options.split`, and trains.
    public convenience init(
        interactions: Interactions, options: RecommenderTrainingOptions, stream: Stream
    ) throws {
        self.init(
            divided: DividedInteractions(
                users: interactions.users, items: interactions.items,
                split: try interactions.split(options.effectiveSplit), report: interactions.report,
                fingerprint: interactions.fingerprint),
            options: options, stream: stream)
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
        guard var split = divided?.split else {
            throw ParameterError("training", "this training has run; make a new one")
        }
        divided = nil
        if options.earlyStopping != nil && options.split.kind == .none {
            throw ParameterError("earlyStopping", "needs a split to validate on")
        }
        if let checkpoint, checkpoint.fingerprint != fingerprint {
            throw DataError("the checkpoint belongs to other data than these; resume with the file it was made from")
        }
        let trainedCounts = (
            users: FactorizationData.occupiedRows(split.trainingByUser),
            items: FactorizationData.occupiedRows(split.trainingByItem)
        )
        let phase = TrainingPhase(split: &split, options: options, stream: stream)
        let (factors, history, trainedOptions) = try train(phase, checkpoint, warmStart, progress)
        let trained = monotonicSeconds()
        var evaluation: RecommenderEvaluator.Result?
        if split.test.entryCount > 0 {
            evaluation = try phase.evaluator.evaluate(
                factors, on: .init(split.testSet, training: split.trainingByUser), cutoffs: options.cutoffs)
        }
        let evaluated = monotonicSeconds()
        let seen = split.trainingByUser.merged(with: split.heldOut)
        var complete = factors
        if options.split.kind != .none {
            complete =
                options.refit
                ? try refit(seen, iterations: history.bestIteration > 0 ? history.bestIteration : nil)
                : try completed(factors, seen: seen, split: split, trainingCounts: phase.evaluator.itemCounts)
        }
        complete = try finite(complete)
        let done = monotonicSeconds()
        var provenance = provenance(history: history, evaluation)
        provenance.trainedUsers = options.refit ? FactorizationData.occupiedRows(seen) : trainedCounts.users
        provenance.trainedItems = trainedCounts.items
        return RecommenderTrainingResult(
            model: RecommenderModel(
                learned: complete, users: users, items: items, itemTitles: itemTitles, seen: seen,
                provenance: provenance),
            history: history, metrics: evaluation?.metrics ?? [], baselines: evaluation?.baselines ?? [],
            evaluated: evaluation?.evaluated ?? 0, warning: split.warning,
            seconds: (
                phase.prepareSeconds, trained - start - phase.prepareSeconds + done - evaluated, evaluated - trained
            ),
            options: trainedOptions)
    }

    /// In a function of its own, so that the trainer and all that it holds are gone when it returns.
    private func train(
        _ phase: TrainingPhase, _ checkpoint: FactorizationCheckpoint?, _ warmStart: FactorizationFactors?,
        _ progress: ProgressHandler?
    ) throws -> (FactorizationFactors, TrainingHistory, FactorizationOptions) {
        let (loop, finished) = try phase.run(resuming: checkpoint, warmStart: warmStart, progress: progress) { loop in
            if let checkpoints, loop.history.iterations % checkpoints.every == 0 {
                try state(loop).save(to: checkpoints.path)
            }
        }
        guard finished else { throw InterruptedTraining(checkpoint: try state(loop)) }
        return (try loop.best ?? loop.trainer.factors(), loop.history, loop.trainer.options)
    }

    private func state(_ loop: TrainingLoop) throws -> FactorizationCheckpoint {
        FactorizationCheckpoint(
            request: request, options: loop.trainer.options, factors: try loop.trainer.factors(),
            history: loop.history, best: loop.best, fingerprint: fingerprint)
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
    private func refit(_ seen: HostSparseMatrix, iterations: Int?) throws -> FactorizationFactors {
        var all = options.factorization
        if let iterations { all.iterations = iterations }
        let trainer = try FactorizationTrainer(
            data: try FactorizationData(byUser: seen, byItem: seen.transposed(), options: options.factorization),
            options: all, stream: stream)
        try trainer.run { _ in .proceed }
        return try trainer.factors()
    }

    /// Gives factors to the users and items that the training did not see, from all their interactions.
    private func completed(
        _ factors: FactorizationFactors, seen: HostSparseMatrix, split: InteractionSplit, trainingCounts: [Float]
    ) throws -> FactorizationFactors {
        let users = (0..<Int32(seen.rows)).filter { row in
            split.trainingByUser.range(ofRow: Int(row)).isEmpty && !seen.range(ofRow: Int(row)).isEmpty
        }
        let userTable = try folded(
            into: factors.users, rows: users, from: seen, fixed: factors.items, factors: factors,
            occupied: trainingCounts.count { $0 > 0 })
        var isNew = trainingCounts.map { $0 == 0 }
        let heldOutByItem = split.heldOut.transposed()
        for item in 0..<isNew.count where heldOutByItem.range(ofRow: item).isEmpty { isNew[item] = false }
        let items = (0..<Int32(isNew.count)).filter { isNew[Int($0)] }
        // Nobody in the training had these items, so that their held-out interactions are all there are.
        let itemTable = try folded(
            into: factors.items, rows: items, from: heldOutByItem, fixed: userTable, factors: factors,
            occupied: FactorizationData.occupiedRows(seen))
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

    private func provenance(history: TrainingHistory, _ evaluation: RecommenderEvaluator.Result?) -> ModelProvenance {
        var provenance = ModelProvenance(stream: stream, fingerprint: fingerprint, request: request)
        provenance.iterations = history.bestIteration > 0 ? history.bestIteration : history.iterations
        provenance.split = options.split.kind == .none ? nil : options.effectiveSplit
        provenance.refitted = options.refit
        provenance.record(evaluation)
        return provenance
    }
}
