import Compute
import Core
import Tables

/// A multilayer perceptron for tables: classes or a number from columns.
public struct NetworkLearner: NetworkConfiguration {
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
    public var bfloat16: Bool?
    public var seed: UInt64 = 42

    public init() {}

    public static var parameterNames: Set<String> { ["learningRate", "bfloat16"] }

    public func validate() throws {
        try validateTraining()
        if !architecture.isEmpty { _ = try ArchitectureText.layers(architecture) }
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
        let architecture = try network(inputs: training.features.columns.count, outputs: outputs(training.task))
        return try train(architecture, on: training, inputs: nil, context: context)
    }
}
