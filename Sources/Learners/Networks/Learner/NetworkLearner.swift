import Compute
import Core
import Synchronization
import Tables

/// A multilayer perceptron for tables: classes or a number from columns.
public struct NetworkLearner: SupervisedLearner {
    public static let kind = "net"
    public static let title = "Neural network"
    public static let tasks: Set<SupervisedTask.Kind> = [.regression, .binary, .multiclass]
    public static let searchSpace: [SearchDimension] = [
        .range("learningRate", 1e-4, 1e-1, logarithmic: true),
        .choices(
            "hidden",
            [
                .list([.number(16)]), .list([.number(32)]), .list([.number(64), .number(64)]),
                .list([.number(128), .number(64)]),
            ]),
        .range("dropout", 0, 0.5), .range("l2", 1e-6, 1e-2, logarithmic: true),
    ]

    /// Units of the hidden layers.
    public var hidden = [64, 64]
    /// The layers as a text (``ArchitectureText``), in place of `hidden` and what goes with it; empty for these.
    public var architecture = ""
    public var activation = ActivationName.relu
    /// Part of the units that each step leaves out.
    public var dropout: Float = 0
    /// Whether the hidden layers are normalized.
    public var layerNorm = false
    public var optimizer = NetworkOptimizer.adam
    /// nil for 0.001, or 0.01 for sgd and adagrad.
    public var learningRate: Float?
    public var epochs = 10
    public var batchSize = 32
    /// Share of the training rows whose loss is watched.
    public var validation = 0.1
    /// Epochs without a better validation loss after which the training stops and goes back to the best; 0 for never.
    public var patience = 0
    public var schedule = LearningRateSchedule.constant
    public var warmUpSteps = 0
    public var momentum: Float = 0.9
    public var weightDecay: Float = 0.01
    public var l1: Float = 0
    public var l2: Float = 0
    /// Largest norm of a gradient; 0 for no limit.
    public var clipNorm: Float = 0
    public var labelSmoothing: Float = 0
    /// Huber's loss instead of squares, for numbers: errors beyond so many standard deviations count linearly; 0 for none.
    public var huber: Float = 0
    /// Batches whose gradients make one step.
    public var accumulate = 1
    public var seed: UInt64 = 42

    public init() {}

    public static var parameterNames: Set<String> { ["learningRate"] }

    /// The options of the engine.
    public var options: NetworkTrainingOptions {
        var options = NetworkTrainingOptions()
        options.epochs = epochs
        options.batchSize = batchSize
        options.optimizer = optimizer
        options.learningRate = learningRate
        options.momentum = momentum
        options.schedule = schedule
        options.warmUpSteps = warmUpSteps
        options.clipNorm = clipNorm > 0 ? clipNorm : nil
        options.l1 = l1
        options.l2 = l2
        options.weightDecay = weightDecay
        options.accumulate = accumulate
        options.labelSmoothing = labelSmoothing
        options.patience = patience > 0 ? patience : nil
        options.seed = seed
        return options
    }

    public func validate() throws {
        try options.validate()
        if !architecture.isEmpty { _ = try ArchitectureText.layers(architecture) }
        guard hidden.allSatisfy({ $0 >= 1 && $0 <= 1 << 20 }) else {
            throw ParameterError(
                "hidden", "units must be 1 or more, not \(hidden.map(String.init).joined(separator: ","))")
        }
        guard dropout >= 0, dropout < 1 else {
            throw ParameterError("dropout", "must be at least 0 and below 1, not \(dropout)")
        }
        guard validation >= 0, validation < 1 else {
            throw ParameterError("validation", "must be 0 or a share below 1, not \(validation)")
        }
        guard patience >= 0 else { throw ParameterError("patience", "must be 0 or more, not \(patience)") }
        guard patience == 0 || validation > 0 else {
            throw ParameterError("patience", "stopping early needs a validation part above 0")
        }
        guard clipNorm >= 0 else { throw ParameterError("clipNorm", "must be 0 or more, not \(clipNorm)") }
        guard huber >= 0 else { throw ParameterError("huber", "must be 0 or more, not \(huber)") }
    }

    /// The layers, with the one that makes the outputs.
    private func network(inputs: Int, outputs: Int) throws -> NetworkArchitecture {
        guard architecture.isEmpty else {
            return NetworkArchitecture(
                input: LayerShape(columns: inputs),
                layers: try ArchitectureText.layers(architecture) + [.dense(units: outputs, bias: true)])
        }
        return .perceptron(
            inputs: inputs, hidden: hidden, activation: activation, dropout: dropout, layerNorm: layerNorm,
            outputs: outputs)
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> NetworkPredictor {
        try validate()
        try training.validate()
        let features = training.features.dense
        let task = training.task
        let architecture = try network(
            inputs: features.columns, outputs: task.kind == .multiclass ? task.labels.count : 1)
        let objective: NetworkObjective =
            switch task.kind {
            case .binary: .binary
            case .multiclass: .classes
            case .regression: huber > 0 ? .huber(delta: huber) : .squared
            }
        let (mean, deviation) = task.kind == .regression ? moments(training) : (0, 1)
        let order = Philox(seed: seed, stream: NetworkRandom.split).permutation(count: training.rows)
        let watched = min(Int((Double(training.rows) * validation).rounded()), training.rows - 1)
        // The softmax loss smooths labels itself; the logistic one has them smoothed here: t(1 − s) + s/2.
        let smoothing = task.kind == .binary ? Double(labelSmoothing) : 0
        func data(_ rows: [Int], smoothing: Double) -> NetworkData {
            let values = HostMatrix(rows: rows.count, columns: features.columns)
            for (place, row) in rows.enumerated() { _ = values.row(place).update(fromContentsOf: features.row(row)) }
            let scale = training.weights.map { weights in
                Double(rows.count) / max(rows.reduce(0.0) { $0 + weights[$1] }, 1e-300)
            }
            return NetworkData(
                features: values,
                targets: objective == .classes
                    ? []
                    : rows.map {
                        Float((training.target[$0] - mean) / deviation * (1 - smoothing) + smoothing / 2)
                    },
                labels: objective == .classes ? rows.map { Int32(training.target[$0]) } : [],
                weights: scale.map { scale in rows.map { Float(training.weights![$0] * scale) } })
        }
        let part = data(order[watched...].sorted(), smoothing: smoothing)
        let trainer = try NetworkTrainer(
            architecture, objective: objective, options: options, stream: context.stream)
        let session = NetworkSession.current
        let result: NetworkTrainingResult
        do {
            result = try trainer.train(
                part, validation: watched > 0 ? data(order[..<watched].sorted(), smoothing: 0) : nil,
                resuming: session?.checkpoint(for: part), saving: session?.save,
                progress: { report in
                    do {
                        try context.report(
                            completed: report.completed, total: report.total, unit: report.unit,
                            figures: report.figures)
                        return .proceed
                    } catch { return .stop }
                })
        } catch let interruption as InterruptedNetworkTraining {
            session?.note(interruption.checkpoint)
            throw CancellationError()
        } catch let divergence as DivergedNetworkTraining {
            if let last = divergence.lastGood { session?.note(last) }
            throw divergence
        }
        return NetworkPredictor(
            architecture: architecture, objective: objective, weights: result.weights, history: result.history,
            mean: mean, deviation: deviation,
            featureMeans: ColumnMoments.of(training.features, weights: training.weights).means.map { Float($0) },
            task: task)
    }

    /// Mean and deviation of the target, so that the network predicts numbers around 0.
    private func moments(_ training: TrainingSet) -> (mean: Double, deviation: Double) {
        var (sum, total) = (0.0, 0.0)
        for row in 0..<training.rows {
            sum += training.weight(row) * training.target[row]
            total += training.weight(row)
        }
        let mean = sum / total
        var squares = 0.0
        for row in 0..<training.rows {
            squares += training.weight(row) * (training.target[row] - mean) * (training.target[row] - mean)
        }
        let deviation = (squares / total).squareRoot()
        return (mean, deviation > 0 ? deviation : 1)
    }
}

/// What a program that trains networks keeps for an interruption: where to go on from, and where it stopped.
///
/// Given to learners through ``current``, a task-local value, because a learner is a configuration and knows no files.
public final class NetworkSession: Sendable {
    @TaskLocal public static var current: NetworkSession?

    private struct State {
        var resuming: NetworkCheckpoint?
        var last: NetworkCheckpoint?
        var wasUsed = false
    }

    private let state: Mutex<State>
    private let request: [String: String]
    private let saved: (path: String, every: Int)?

    /// - Parameters:
    ///   - resuming: the state to go on from, when the data are the same.
    ///   - request: stored in checkpoints.
    ///   - saved: where a checkpoint is written every so many epochs.
    public init(
        resuming: NetworkCheckpoint? = nil, request: [String: String] = [:], saved: (path: String, every: Int)? = nil
    ) {
        state = Mutex(State(resuming: resuming))
        self.request = request
        self.saved = saved
    }

    /// The state where the training stopped, or the last good one.
    public var lastCheckpoint: NetworkCheckpoint? { state.withLock { $0.last } }

    /// Whether the state to go on from was of these data.
    public var wasUsed: Bool { state.withLock { $0.wasUsed } }

    func checkpoint(for data: NetworkData) -> NetworkCheckpoint? {
        let present = state.withLock { $0.resuming }
        guard let present, present.fingerprint == data.fingerprint else { return nil }
        state.withLock { $0.wasUsed = true }
        return present
    }

    func note(_ checkpoint: NetworkCheckpoint) {
        var checkpoint = checkpoint
        checkpoint.request = request
        state.withLock { $0.last = checkpoint }
    }

    func save(_ make: () throws -> NetworkCheckpoint) throws {
        guard let saved else { return }
        var checkpoint = try make()
        guard checkpoint.history.epochs % saved.every == 0 else { return }
        checkpoint.request = request
        try checkpoint.save(to: saved.path)
    }
}
