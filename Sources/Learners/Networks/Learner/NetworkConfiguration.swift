import Compute
import Core
import Tables

/// What all learners that train networks are asked, and how they do it.
public protocol NetworkConfiguration: SupervisedLearner where Predictor == NetworkPredictor {
    /// Units of the hidden layers.
    var hidden: [Int] { get set }
    var activation: ActivationName { get set }
    /// Part of the units that each step leaves out.
    var dropout: Float { get set }
    /// Whether the hidden layers are normalized.
    var layerNorm: Bool { get set }
    var optimizer: NetworkOptimizer { get set }
    /// nil for 0.001, or 0.01 for sgd and adagrad.
    var learningRate: Float? { get set }
    var epochs: Int { get set }
    var batchSize: Int { get set }
    /// Share of the training rows whose loss is watched.
    var validation: Double { get set }
    /// Epochs without a better validation loss after which the training stops and goes back to the best; 0 for never.
    var patience: Int { get set }
    var schedule: LearningRateSchedule { get set }
    var warmUpSteps: Int { get set }
    var momentum: Float { get set }
    var weightDecay: Float { get set }
    var l1: Float { get set }
    var l2: Float { get set }
    /// Largest norm of a gradient; 0 for no limit.
    var clipNorm: Float { get set }
    var labelSmoothing: Float { get set }
    /// Huber's loss instead of squares, for numbers: errors beyond so many standard deviations count linearly; 0 for none.
    var huber: Float { get set }
    /// Batches whose gradients make one step.
    var accumulate: Int { get set }
    /// Whether operands of products are rounded to bfloat16 while training; nil for no.
    var bfloat16: Bool? { get set }
}

extension NetworkConfiguration {
    /// The options of the engine, as far as all networks have them.
    var commonOptions: NetworkTrainingOptions {
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
        options.bfloat16 = bfloat16
        options.seed = seed
        return options
    }

    /// Throws ``ParameterError`` for values outside their ranges.
    func validateTraining() throws {
        try commonOptions.validate()
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
        guard clipNorm >= 0 else { throw ParameterError("clipNorm", "must be 0 or more, not \(clipNorm)") }
        guard huber >= 0 else { throw ParameterError("huber", "must be 0 or more, not \(huber)") }
    }

    /// Outputs of a network for a task.
    func outputs(_ task: SupervisedTask) -> Int { task.kind == .multiclass ? task.labels.count : 1 }

    /// The hidden layers of a perceptron, without the one that makes the outputs.
    var hiddenLayers: [LayerSpecification] {
        Array(
            NetworkArchitecture.perceptron(
                inputs: 1, hidden: hidden, activation: activation, dropout: dropout, layerNorm: layerNorm, outputs: 1
            ).layers.dropLast())
    }

    /// Trains a network whose last layer gives what the task needs.
    ///
    /// - Parameters:
    ///   - inputs: which columns are numbers and which identifiers; nil when all are numbers.
    ///   - predictor: what to start from, on whose scale the targets are then; nil for random weights.
    ///   - mask: 0 for parameters that stay 0; nil when all may change.
    ///   - scaling: what is taken from all numbers, and what they are then multiplied by.
    ///   - tableOptimizer: the optimizer of tables of vectors, when another than the usual one is wanted.
    func train(
        _ architecture: NetworkArchitecture, on training: TrainingSet, inputs: NetworkInputs?,
        from predictor: NetworkPredictor? = nil, mask: NetworkWeights? = nil, tableOptimizer: TableOptimizer? = nil,
        scaling: (shift: Float, factor: Float)? = nil, context: LearningContext
    ) throws -> NetworkPredictor {
        let task = training.task
        let scale = scaling ?? predictor?.scale
        let objective: NetworkObjective =
            switch task.kind {
            case .binary: .binary
            case .multiclass: .classes
            case .regression: huber > 0 ? .huber(delta: huber) : .squared
            }
        let (mean, deviation) =
            predictor.map { ($0.settings.mean, $0.settings.deviation) }
            ?? (task.kind == .regression ? moments(training) : (0, 1))
        guard patience == 0 || validation > 0 || training.watched != nil else {
            throw ParameterError("patience", "stopping early needs a validation part above 0")
        }
        // The softmax loss smooths labels itself; the logistic one has them smoothed here: t(1 − s) + s/2.
        let encoder = NetworkEncoder(
            inputs: inputs, scale: scale, objective: objective, mean: mean, deviation: deviation,
            smoothing: task.kind == .binary ? Double(labelSmoothing) : 0)
        let rows: (parts: any NetworkDataParts, validation: NetworkData?, counts: IdentifierCounts?)
        if let streamed = training.streamed {
            rows = try spill(streamed, sample: training, encoder)
        } else {
            rows = divide(training, encoder)
        }
        var others = rows.validation
        if let other = training.watched {
            others = encoder.encode(other.features, other.target, other.weights, isTrained: false)
        }
        var options = commonOptions
        options.tableOptimizer = tableOptimizer
        let trainer = try NetworkTrainer(
            architecture, objective: objective, options: options,
            weights: try predictor?.weights ?? NetworkSession.current?.start(architecture), mask: mask,
            stream: context.stream)
        let result = try train(trainer, rows.parts, validation: others, context)
        let made = NetworkPredictor(
            architecture: architecture, objective: objective,
            weights: rows.counts.map { result.weights.fillingUntouchedRows($0, architecture) } ?? result.weights,
            history: result.history, mean: mean, deviation: deviation, inputs: inputs,
            featureMeans: ColumnMoments.of(training.features, weights: training.weights).means.map { Float($0) },
            task: task)
        if let scale { return made.scaling(shift: scale.shift, factor: scale.factor) }
        return made
    }

    private func train(
        _ trainer: NetworkTrainer, _ parts: any NetworkDataParts, validation: NetworkData?,
        _ context: LearningContext
    ) throws -> NetworkTrainingResult {
        try NetworkSession.training(parts) { resuming, saving in
            try trainer.train(
                parts: parts, validation: validation, resuming: resuming, saving: saving,
                progress: { report in
                    do {
                        try context.report(
                            completed: report.completed, total: report.total, unit: report.unit,
                            figures: report.figures)
                        return .proceed
                    } catch { return .stop }
                })
        }
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
