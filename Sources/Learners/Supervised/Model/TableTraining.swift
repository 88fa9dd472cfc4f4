import Compute
import Core
import Tables

/// What is asked of a training on a table.
public struct TableTrainingOptions: Sendable {
    public var pipeline: TablePipeline
    /// Share that is held out and judged; 0 for none.
    public var testShare = 0.2
    /// How it is held out; nil: by time or groups where there is such a column, else at random, classes spread evenly.
    public var split: FoldKind?
    /// From which probability on a row is said to be positive; nil: 0.5, or by ``value``.
    public var threshold: Double?
    /// What decisions are worth: the threshold is then the one that earns most on the held-out rows.
    public var value: DecisionValue?
    /// Whether to train once more on everything after the evaluation.
    public var refit = false
    public var seed: UInt64 = 42
    public var arguments: [String] = []

    public init(pipeline: TablePipeline) { self.pipeline = pipeline }
}

/// A trained model and how good it is.
public struct TableTrainingResult: Sendable {
    public let model: TableModel
    /// nil when nothing was held out.
    public let evaluation: SupervisedEvaluation?
    /// Where decisions earn most on the held-out rows, when their worth was given.
    public let profit: ProfitThreshold?
    public let trainedRows: Int
    public let seconds: (prepare: Double, train: Double, evaluate: Double)
}

/// From a table to a model: divides, fits, judges.
public enum TableTraining {
    /// Trains a network on a table that is read a part at a time; see ``StreamedTable``.
    ///
    /// - Parameter sampleRows: rows at most of the sample that types, vocabularies and scales are taken from, and whose
    ///   held-out part is judged.
    public static func train(
        streaming table: StreamedTable, sampleRows: Int, options: TableTrainingOptions, context: LearningContext,
        begin: (SupervisedTable) throws -> Void = { _ in }
    ) throws -> TableTrainingResult {
        guard options.pipeline.learner is any NetworkConfiguration else {
            throw ParameterError(
                "memory-limit",
                "only networks train on more rows than memory holds; raise the limit, or train on a part")
        }
        guard options.pipeline.sampling == .none, !options.pipeline.balanced else {
            throw ParameterError(
                "sampling", "classes can't be balanced where rows are read in parts; use a weight column")
        }
        guard [.auto, .none].contains(options.pipeline.calibration), !options.refit,
            [nil, .random].contains(options.split)
        else {
            throw ParameterError(
                "memory-limit", "calibration, refit, and splits that are not random need all rows in memory")
        }
        var options = options
        options.split = .random
        let sample = try table.sample(rows: sampleRows)
        try begin(sample)
        context.streamed = table
        defer { context.streamed = nil }
        return try train(sample, fold: try table.fold(), options: options, context: context)
    }

    /// Trains on `data`. Deterministic for a seed and device, for every number of threads.
    public static func train(
        _ data: SupervisedTable, options: TableTrainingOptions, context: LearningContext
    ) throws -> TableTrainingResult {
        try train(data, fold: nil, options: options, context: context)
    }

    private static func train(
        _ data: SupervisedTable, fold given: Fold?, options: TableTrainingOptions, context: LearningContext
    ) throws -> TableTrainingResult {
        guard options.testShare >= 0, options.testShare < 1 else {
            throw ParameterError("test", "must be 0 (nothing is held out) or a share below 1, not \(options.testShare)")
        }
        if let threshold = options.threshold, !(0...1).contains(threshold) {
            throw ParameterError("threshold", "must be from 0 to 1, not \(threshold)")
        }
        if options.value != nil || options.threshold != nil, data.task.kind != .binary {
            throw ParameterError("value", "decisions by a threshold need a target of two classes")
        }
        if options.value != nil, options.testShare == 0 {
            throw ParameterError("value", "the best threshold is found on held-out rows; use a test share above 0")
        }
        let started = monotonicSeconds()
        let split = options.split ?? data.defaultFoldKind
        let all = Array(0..<data.rows)
        let fold =
            try given
            ?? (options.testShare > 0
                ? data.holdOut(split, share: options.testShare, seed: options.seed) : Fold(training: all, test: []))
        let training = fold.test.isEmpty ? data : data.selecting(rows: fold.training)
        let prepared = monotonicSeconds()
        var pipeline = try options.pipeline.fit(training, context: context)
        let trained = monotonicSeconds()

        var evaluation: SupervisedEvaluation?
        var profit: ProfitThreshold?
        var threshold = options.threshold ?? 0.5
        if !fold.test.isEmpty {
            let test = data.selecting(rows: fold.test)
            let predictions = try pipeline.predict(test.table, context: context)
            if let value = options.value {
                profit = SupervisedEvaluation.profit(
                    predictions, target: test.target, weights: test.weights, value: value)
                if options.threshold == nil, let profit { threshold = min(profit.threshold, 1) }
            }
            evaluation = try SupervisedEvaluation.evaluate(
                predictions, task: data.task, target: test.target, weights: test.weights, priors: training.priors,
                threshold: threshold, seed: options.seed, threads: context.threads)
        }
        let evaluated = monotonicSeconds()
        let refitted = options.refit && !fold.test.isEmpty
        if refitted { pipeline = try options.pipeline.fit(data, context: context) }

        var provenance = TableModelProvenance()
        provenance.createdAt = secondsSince1970()
        provenance.device = context.stream.device.identity.name
        provenance.threads = context.threads
        provenance.seed = options.seed
        provenance.rows = context.streamed?.rows ?? data.rows
        provenance.trainedRows = context.streamed?.trainedRows ?? (refitted ? data.rows : training.rows)
        provenance.split = split
        provenance.testShare = fold.test.isEmpty ? 0 : options.testShare
        provenance.refitted = refitted
        provenance.fingerprint = data.fingerprint
        provenance.priors = training.priors
        provenance.sampling = options.pipeline.sampling
        provenance.balanced = options.pipeline.balanced
        provenance.value = options.value
        provenance.notes = data.notes + pipeline.recipe.notes
        provenance.columns = data.table.schema.columns
        provenance.profile = TableProfile(distributionsOf: data.table)
        provenance.arguments = options.arguments
        // JSON has no NaN: figures that are not defined on the held-out rows are left out.
        for (name, value) in evaluation?.metrics ?? [] where value.value.isFinite { provenance.metrics[name] = value }
        for (name, metrics) in evaluation?.baselines ?? [] {
            provenance.baselines[name] = Dictionary(
                metrics.filter { $0.value.value.isFinite }.map { ($0.name, $0.value) }
            ) { first, _ in first }
        }
        let model = TableModel(
            learner: options.pipeline.learner, pipeline: pipeline, roles: data.roles, threshold: threshold,
            provenance: provenance)
        return TableTrainingResult(
            model: model, evaluation: evaluation, profit: profit, trainedRows: provenance.trainedRows,
            seconds: (
                prepared - started, trained - prepared + (monotonicSeconds() - evaluated), evaluated - trained
            ))
    }
}
