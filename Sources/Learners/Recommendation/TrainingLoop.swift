import Core

/// The iterations of one training, with validation, early stopping and progress.
struct TrainingLoop {
    let trainer: FactorizationTrainer
    let evaluator: RecommenderEvaluator?
    /// What early stopping judges by.
    let validationSet: RecommenderEvaluator.HeldOut?
    let options: RecommenderTrainingOptions
    private(set) var history: TrainingHistory
    /// The tables of the best iteration, when validating.
    private(set) var best: FactorizationFactors?
    private let began = monotonicSeconds()

    init(
        trainer: FactorizationTrainer, evaluator: RecommenderEvaluator?,
        validationSet: RecommenderEvaluator.HeldOut?, options: RecommenderTrainingOptions, history: TrainingHistory,
        best: FactorizationFactors?
    ) {
        self.trainer = trainer
        self.evaluator = evaluator
        self.validationSet = validationSet
        self.options = options
        self.history = history
        self.best = best
    }

    /// Runs to the end; false when `progress` asked to stop.
    mutating func run(
        progress: ProgressHandler?, afterIteration: (TrainingLoop) throws -> Void
    ) throws -> Bool {
        while trainer.iteration < options.factorization.iterations {
            if let patience = options.earlyStopping, history.bestIteration > 0,
                history.iterations - history.bestIteration >= patience
            {
                break
            }
            let report = try trainer.iterate()
            history.iterations = report.iteration
            history.seconds.append(report.seconds)
            if let loss = report.loss {
                guard loss.isFinite else {
                    throw ParameterError("regularization", "the loss is not finite; raise it")
                }
                history.losses.append(loss)
            }
            if options.earlyStopping != nil { try validate() }
            try afterIteration(self)
            var figures: [(name: String, value: Double)] = []
            if let loss = report.loss { figures.append(("loss", loss)) }
            if let validation = history.validation.last {
                figures.append((options.validationName, abs(validation)))
            }
            let decision = progress?(
                ProgressReport(
                    phase: "train", completed: report.iteration, total: options.factorization.iterations,
                    unit: "iterations", elapsedSeconds: monotonicSeconds() - began, figures: figures))
            if decision == .stop && trainer.iteration < options.factorization.iterations { return false }
        }
        return true
    }

    private mutating func validate() throws {
        guard let evaluator, let validationSet, validationSet.truth.entryCount > 0 else {
            throw DataError("nothing is left to validate on; use fewer held-out data or no early stopping")
        }
        let factors = try trainer.factors()
        let figure = try evaluator.validate(factors, on: validationSet, metric: options.validationMetric)
        history.validation.append(figure)
        if figure > history.bestValidation {
            history.bestValidation = figure
            history.bestIteration = history.iterations
            best = factors
        }
    }
}
