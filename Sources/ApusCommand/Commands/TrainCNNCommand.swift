import ArgumentParser
import Compute
import Core
import Devices
import Learners
import Tables

/// `apus train cnn`
struct TrainCNNCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cnn", abstract: "Train a convolutional network on pictures: IDX files or NumPy arrays.",
        discussion: """
            Convolutions of 3 × 3, each followed by the largest of 2 × 2, then dense layers; or the layers of a file. \
            The model is one of a table whose columns x0, x1, … are the pixels: `apus predict --data` takes IDX files \
            and NumPy arrays of pictures.
            """)

    @Option(help: "Pictures: IDX (plain, gzip or zstd), or .npy of pictures × height × width × channels.")
    var images: String
    @Option(help: "What they show: IDX or .npy, whole numbers from 0 on.")
    var labels: String
    @Option(name: .customLong("test-images"), help: "Pictures that judge.")
    var testImages: String?
    @Option(name: .customLong("test-labels"), help: "What these show.")
    var testLabels: String?
    @Option(help: "Height x width, or x channels, of pictures in a .npy matrix, such as 32x32x3.")
    var shape: String?
    @Option(help: "Channels of the convolutions, separated by commas.")
    var channels = "16,32"
    @Option(help: "Units of the dense layers behind them, separated by commas; none for none.")
    var hidden = "64"
    @Option(help: "A file with the layers, YAML, in place of --channels, --hidden, --activation and --layer-norm.")
    var architecture: String?
    @Option(name: .customLong("batch-size"), help: "Pictures of a step.")
    var batchSize = CNNLearner().batchSize
    @Option(help: "Batches whose gradients make one step.")
    var accumulate = 1
    @Option(help: "Share of the units of dense layers that each step leaves out.")
    var dropout = CNNLearner().dropout
    @Option(help: "How the learning rate changes: constant, step or cosine.")
    var schedule = CNNLearner().schedule
    @Option(help: "relu, gelu, silu, sigmoid, tanh or softmax.")
    var activation = ActivationName.relu
    @Option(help: "sgd, adam, adamw or adagrad.")
    var optimizer = NetworkOptimizer.adam
    @Option(name: .customLong("learning-rate"), help: "Above 0 (default: 0.001, or 0.01 for sgd and adagrad).")
    var learningRate: Float?
    @Option(help: "Passes over the pictures.")
    var epochs = CNNLearner().epochs
    @Option(help: "Share of the pictures whose loss is watched; 0 for none.")
    var validation = CNNLearner().validation
    @Option(help: "Stop after so many epochs without a lower validation loss, and keep the best; 0 for never.")
    var patience = 0
    @Option(name: .customLong("weight-decay"), help: "Of adamw.")
    var weightDecay = CNNLearner().weightDecay
    @Option(name: .customLong("label-smoothing"), help: "Part of a label that is spread over all classes.")
    var labelSmoothing: Float = 0
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @Option(help: "The model file to write.")
    var output: String?
    @OptionGroup var checkpoints: CheckpointFlags
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard (testImages == nil) == (testLabels == nil) else {
            throw ValidationError("--test-images and --test-labels go together")
        }
        _ = try NetworkFlags.units(hidden, "--hidden")
        _ = try NetworkFlags.units(channels, "--channels")
        _ = try parsedShape()
    }

    private func parsedShape() throws -> (height: Int, width: Int, channels: Int)? {
        guard let shape else { return nil }
        let parts = shape.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard (2...3).contains(parts.count), parts.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("--shape expects height x width, or x channels, such as 32x32x3, not `\(shape)`")
        }
        return (parts[0], parts[1], parts.count > 2 ? parts[2] : 1)
    }

    private func learner() throws -> CNNLearner {
        var learner = CNNLearner()
        learner.channels = try NetworkFlags.units(channels, "--channels")
        learner.hidden = try NetworkFlags.units(hidden, "--hidden")
        if let architecture { learner.architecture = try ArchitectureFile.text(architecture) }
        learner.batchSize = batchSize
        learner.accumulate = accumulate
        learner.dropout = dropout
        learner.schedule = schedule
        learner.activation = activation
        learner.optimizer = optimizer
        learner.learningRate = learningRate
        learner.epochs = epochs
        learner.validation = validation
        learner.patience = patience
        learner.weightDecay = weightDecay
        learner.labelSmoothing = labelSmoothing
        learner.seed = seed
        try learner.validate()
        return learner
    }

    func run() throws { try run(resuming: nil, arguments: Array(CommandLine.arguments.dropFirst())) }

    /// Trains, from the start or from a checkpoint.
    private func run(resuming state: NetworkCheckpoint?, arguments: [String]) throws {
        try checkpoints.run(
            resuming: state, arguments: arguments, output: output, data: "the pictures to learn from"
        ) { session in try run(session, arguments) }
    }

    private func run(_ session: NetworkSession, _ arguments: [String]) throws {
        MemoryMeter.start()
        let started = monotonicSeconds()
        let learner = try learner()
        if let output { try OutputFolder.check(output) }
        let device = try deviceOption.open(global)
        let files = try ImageFiles(images: images, labels: labels, shape: parsedShape())
        // In memory they are there as pixels, scaled, and divided into those to train on and to watch.
        let limit = global.memoryLimit?.bytes ?? physicalMemoryBytes()
        let isStreamed = files.byteCount > limit / 3
        let training =
            isStreamed
            ? try files.sample(max(limit / 16 / (4 * files.columns), 1000), seed: seed) : try files.all()
        if isStreamed {
            global.remark(
                "\(images) is larger than the memory for it: it is read in parts; the scale of the pixels comes from "
                    + "a sample of \(training.count) pictures")
        }
        var test: ImageSet?
        if let testImages, let testLabels {
            test = try ImageSet(images: testImages, labels: testLabels, shape: parsedShape())
        }
        // Before anything is trained, or written over.
        try session.begin(table: training.fingerprint)
        let loaded = monotonicSeconds()
        let progress = ProgressDisplay(quiet: global.quiet)
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let (model, evaluation) =
            isStreamed
            ? try ImageTraining.train(
                learner, streaming: files, sample: training, partBytes: max(limit / 16, 1 << 20),
                folder: OutputFolder.of(output), test: test, arguments: arguments, context: context)
            : try ImageTraining.train(learner, on: training, test: test, arguments: arguments, context: context)
        ProgressDisplay.clearLine()
        let finished = monotonicSeconds()
        if let output { try model.save(to: output) }
        let predictor = model.pipeline.predictor
        if global.json {
            var members: [(String, JSONValue)] = [
                ("model", .optional(output)), ("learner", .string(model.kind)),
                ("device", .string(device.identity.name)), ("rows", .integer(files.count)),
                (
                    "shape",
                    .array([training.shape.height, training.shape.width, training.shape.channels].map { .integer($0) })
                ),
                ("fit", .object(predictor.facts.map { ($0.name, JSONValue.number($0.value)) })),
            ]
            if let evaluation { members += EvaluationReport.json(evaluation, task: model.task) }
            members += [
                (
                    "seconds",
                    .object([
                        ("load", .number(loaded - started)), ("compile", .number(device.compileSeconds)),
                        ("train", .number(finished - loaded)),
                        ("per_iteration", .array(predictor.iterationSeconds.map { .number($0) })),
                    ])
                ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
            ]
            return Output.json(.object(members))
        }
        Output.line(
            "\(output.map { $0 + ": " } ?? "")\(CNNLearner.title), \(files.count) pictures of \(training.shape.height) × "
                + "\(training.shape.width) × \(training.shape.channels), \(model.task.labels.count) classes")
        Output.line(
            "seconds: load \(fixed(loaded - started, 2)), train and evaluate \(fixed(finished - loaded, 2)); peak memory "
                + byteSize(MemoryMeter.peakAnonymousBytes()))
        if let evaluation { EvaluationReport.print(evaluation, task: model.task) }
    }
}

extension TrainCNNCommand: ResumableNetworkCommand {
    mutating func resume(
        from state: NetworkCheckpoint, _ arguments: [String], at path: String, device: String?
    ) throws {
        if let device { deviceOption.device = device }
        checkpoints.resume(at: path)
        try run(resuming: state, arguments: arguments)
    }
}
