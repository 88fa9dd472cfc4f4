import ArgumentParser
import Compute
import Core
import Devices
import Learners
import Tables

/// `apus train als`
struct TrainALSCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "als",
        abstract: "Train a recommender by matrix factorization (alternating least squares).",
        discussion: """
            Implicit feedback (the default) minimises Σ c(ŷ−1)² over the observed pairs + α₀ Σ ŷ² over all pairs \
            + λ Σ #ᵛ‖·‖²; explicit feedback predicts ratings with biases. Unless --split none, a part of the data is \
            held out and the model judged on it beside popular and random items; then everyone is folded in, so that \
            the saved model answers for all users of the file.
            """)

    @OptionGroup var data: InteractionFlags
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    @Option(help: "What the values are: implicit (evidence of interest) or explicit (ratings to predict).")
    var feedback = Feedback.implicit
    @Option(help: "Dimension of the factors, 1 to 2048.")
    var factors = 64
    @Option(help: "Passes over users and items.")
    var iterations = 16
    @Option(help: "λ, above 0 (default: 0.005 implicit, 0.1 explicit).")
    var regularization: Float?
    @Option(
        name: .customLong("regularization-exponent"), help: "ν: rows are regularized by λ·#ᵛ (0 alike, 1 by frequency)."
    )
    var regularizationExponent: Float = 1
    @Option(name: .customLong("unobserved-weight"), help: "α₀: weight of every pair being 0; implicit only.")
    var unobservedWeight: Float = 0.3
    @Option(
        help: """
            How values become confidences: constant, linear or log (default: constant with --minimum-value or without \
            values, linear with --event-weight, else log).
            """)
    var confidence: ConfidenceRule?
    @Option(name: .customLong("bias-regularization"), help: "Weight of the biases in λ, relative; explicit only.")
    var biasRegularization: Float = 1
    @Option(help: "auto, exact, subspace (iALS++) or cg (conjugate gradients).")
    var solver = FactorizationSolver.auto
    @Option(name: .customLong("block-size"), help: "Coordinates per block of the subspace solver.")
    var blockSize = 64
    @Option(name: .customLong("conjugate-gradient-steps"), help: "Steps for each row of the cg solver.")
    var conjugateGradientSteps = FactorizationOptions().conjugateGradientSteps
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @Flag(help: "Compute the exact loss after every iteration.")
    var loss = false

    @Option(help: "What is held out: time (default where there are times), random, users, leave-last-out, none.")
    var split: SplitKind?
    @Option(name: .customLong("test-fraction"), help: "Share that is held out (users: of each held-out history).")
    var testFraction = 0.2
    @Option(name: .customLong("held-out-users"), help: "Share of the users held out by --split users.")
    var heldOutUsers = 0.1
    @Option(
        name: .customLong("early-stopping"),
        help: "Stop after so many iterations without a better validation figure; keeps the best.")
    var earlyStopping: Int?
    @Option(name: .customLong("validation-metric"), help: "Figure to stop by, such as ndcg@100 or recall@20.")
    var validationMetric = "ndcg@100"
    @Flag(help: "Train once more on everything after the evaluation.")
    var refit = false

    @OptionGroup var names: TrainingItemNameFlags
    @Option(name: .customLong("warm-start"), help: "Start from the factors of this model.")
    var warmStart: String?
    @Option(help: "The model file to write.")
    var output: String
    @Option(help: "Where the state goes on Ctrl-C (default: the output and .checkpoint).")
    var checkpoint: String?
    @Option(name: .customLong("checkpoint-every"), help: "Save the state every so many iterations, too.")
    var checkpointEvery: Int?

    func validate() throws {
        if let earlyStopping, earlyStopping < 1 { throw ValidationError("--early-stopping must be 1 or more") }
        if let checkpointEvery, checkpointEvery < 1 { throw ValidationError("--checkpoint-every must be 1 or more") }
    }

    /// The options of the training, given what the file turned out to have.
    func trainingOptions(_ report: ReadReport) -> RecommenderTrainingOptions {
        var options = RecommenderTrainingOptions()
        options.factorization = factorization(hasValues: report.columnsByRole["value"] != nil)
        options.split = SplitOptions(
            kind: split ?? (report.hasTimeColumn ? .time : .random), seed: seed,
            testFraction: testFraction, heldOutUserFraction: heldOutUsers)
        options.earlyStopping = earlyStopping
        options.validationMetric = validationMetric
        options.refit = refit
        return options
    }

    private func factorization(hasValues: Bool) -> FactorizationOptions {
        var options = FactorizationOptions()
        options.feedback = feedback
        options.factors = factors
        options.iterations = iterations
        options.regularization = regularization ?? (feedback == .implicit ? 0.005 : 0.1)
        options.regularizationExponent = regularizationExponent
        options.unobservedWeight = unobservedWeight
        options.biasRegularization = biasRegularization
        options.solver = solver
        options.blockSize = blockSize
        options.conjugateGradientSteps = conjugateGradientSteps
        options.seed = seed
        options.computesLoss = loss
        if let confidence {
            options.confidence = confidence
        } else if !data.reading.eventWeights.isEmpty {
            options.confidence = .linear
        } else if data.reading.minimumValue != nil || !hasValues {
            options.confidence = .constant
        } else {
            options.confidence = .log
        }
        return options
    }

    func run() throws { try run(resuming: nil, arguments: Array(CommandLine.arguments.dropFirst())) }

    /// Trains, from the start or from a checkpoint.
    func run(resuming state: FactorizationCheckpoint?, arguments: [String]) throws {
        // What can be refused before any reading is.
        try factorization(hasValues: true).validate()
        try OutputFolder.check(output)
        let warmModel = try warmStart.map { try RecommenderModel(path: $0) }
        if let warmModel, warmModel.factors == nil {
            throw DataError("a warm start needs a model of kind `als`, not `\(warmModel.kind)`", file: warmStart)
        }
        MemoryMeter.start()
        let progress = ProgressDisplay(quiet: global.quiet)
        let started = monotonicSeconds()
        let device = try deviceOption.open(global)
        let stream = try device.makeStream()
        let needsTimes = split == nil || split == .time || split == .leaveLastOut
        var divided: DividedInteractions? = try data.readDivided(
            by: { trainingOptions($0).effectiveSplit }, needsTimes: needsTimes, global, progress)
        let summary = DataSummary(divided!)
        let titles = try names.titles(
            for: divided!.items, interactions: data.interactions, reading: data.reading, report: divided!.report,
            global: global)
        let loaded = monotonicSeconds()
        let options = trainingOptions(divided!.report)
        try plan(divided!.split, options.factorization, device: device, stream: stream)
        let warm = warmModel?.tables(users: divided!.users, items: divided!.items)

        let training = RecommenderTraining(divided: divided!, options: options, stream: stream)
        // The training lets go of the interactions when it can; nobody else may hold them then.
        divided = nil
        training.request = ["arguments": arguments.joined(separator: "\u{1F}")]
        training.itemTitles = titles
        let statePath = checkpoint ?? output + ".checkpoint"
        if let checkpointEvery {
            training.checkpoints = (statePath, checkpointEvery)
        }
        let result: RecommenderTrainingResult
        do {
            result = try training.run(resuming: state, warmStart: warm, progress: progress.handler)
        } catch let interruption as InterruptedTraining {
            ProgressDisplay.clearLine()
            try interruption.checkpoint.save(to: statePath)
            throw Failure.Interrupted(
                message: "interrupted after \(interruption.checkpoint.history.iterations) iterations; "
                    + "`apus resume --checkpoint \(statePath)` goes on from there")
        }
        ProgressDisplay.clearLine()
        let saveStarted = monotonicSeconds()
        try result.model.save(to: output)
        OutputFolder.removeFile(statePath)
        let saved = monotonicSeconds() - saveStarted
        if let warning = result.warning { global.remark("warning: \(warning)") }
        TrainingReport(
            command: self, result: result, data: summary, device: device,
            loadSeconds: loaded - started, saveSeconds: saved, totalSeconds: monotonicSeconds() - started
        ).print()
    }

    /// Says what the training is expected to need, and refuses it if that is too much.
    private func plan(
        _ split: InteractionSplit, _ options: FactorizationOptions, device: any Device, stream: Compute.Stream
    ) throws {
        let held = split.trainingByUser.byteCount + split.trainingByItem.byteCount
        let plan = FactorizationPlan(
            byUser: split.trainingByUser, byItem: split.trainingByItem, options: options, device: device,
            rate: try FactorizationPlan.measureRate(stream: stream))
        global.remark(
            "plan: solver \(plan.solver.rawValue), about \(byteSize(plan.memoryBytes)) of memory and "
                + "\(duration(plan.seconds ?? 0)) for \(options.iterations) iterations on \(device.identity.name)")
        try plan.check(
            memoryLimitBytes: global.memoryLimit?.bytes, alreadyUsedBytes: max(0, MemoryMeter.anonymousBytes() - held),
            device: device)
    }
}
