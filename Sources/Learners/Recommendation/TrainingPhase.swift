import Compute
import Core
import Tables

/// The part of a recommender's training that needs both orders of the interactions in memory.
final class TrainingPhase {
    let evaluator: RecommenderEvaluator
    /// Seconds until the first iteration could begin.
    private(set) var prepareSeconds = 0.0
    private let byUser: HostSparseMatrix
    private var byItem: HostSparseMatrix?
    private let validationSet: RecommenderEvaluator.HeldOut?
    private let options: RecommenderTrainingOptions
    private let stream: Stream

    /// Takes the items' order out of `split`.
    init(split: inout InteractionSplit, options: RecommenderTrainingOptions, stream: Stream) {
        self.options = options
        self.stream = stream
        evaluator = RecommenderEvaluator(split: split, stream: stream)
        byUser = split.trainingByUser
        validationSet = split.validationSet.map { .init($0, training: split.trainingByUser) }
        byItem = split.takeTrainingByItem()
    }

    /// Trains to the end, or until `progress` answers stop.
    func run(
        resuming checkpoint: FactorizationCheckpoint?, warmStart: FactorizationFactors?, progress: ProgressHandler?,
        afterIteration: (TrainingLoop) throws -> Void
    ) throws -> (loop: TrainingLoop, finished: Bool) {
        let start = monotonicSeconds()
        let trainer = try makeTrainer(resuming: checkpoint, warmStart: warmStart)
        prepareSeconds = monotonicSeconds() - start
        var loop = TrainingLoop(
            trainer: trainer, evaluator: evaluator,
            validationSet: validationSet, options: options,
            history: checkpoint?.history ?? TrainingHistory(), best: checkpoint?.best)
        let finished = try loop.run(progress: progress, afterIteration: afterIteration)
        return (loop, finished)
    }

    /// In a function of its own, so that nothing holds the original values once the trainer has its own.
    private func makeTrainer(
        resuming checkpoint: FactorizationCheckpoint?, warmStart: FactorizationFactors?
    ) throws -> FactorizationTrainer {
        guard let items = byItem.take() else { preconditionFailure("a training phase runs once") }
        return try FactorizationTrainer(
            data: try FactorizationData(byUser: byUser, byItem: items, options: options.factorization),
            options: checkpoint?.options ?? options.factorization, stream: stream,
            initial: checkpoint?.factors ?? warmStart, completedIterations: checkpoint?.history.iterations ?? 0)
    }
}
