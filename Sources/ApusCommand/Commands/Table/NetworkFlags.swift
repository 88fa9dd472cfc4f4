import ArgumentParser
import Charts
import Core
import Learners
import Tables

/// What every training of a network on a table is asked.
struct NetworkFlags: ParsableArguments {
    @Option(help: "relu, gelu, silu, sigmoid, tanh or softmax.")
    var activation = ActivationName.relu
    @Option(help: "Share of the units that each step leaves out.")
    var dropout: Float = 0
    @Flag(name: .customLong("layer-norm"), help: "Normalize the hidden layers.")
    var layerNorm = false
    @Option(help: "sgd, adam, adamw or adagrad.")
    var optimizer = NetworkOptimizer.adam
    @Option(name: .customLong("learning-rate"), help: "Above 0 (default: 0.001, or 0.01 for sgd and adagrad).")
    var learningRate: Float?
    @Option(help: "Passes over the rows.")
    var epochs = NetworkLearner().epochs
    @Option(help: "Batches whose gradients make one step.")
    var accumulate = 1
    @Option(help: "Share of the training rows whose loss is watched; 0 for none.")
    var validation = NetworkLearner().validation
    @Option(help: "Stop after so many epochs without a lower validation loss, and keep the best; 0 for never.")
    var patience = 0
    @Option(help: "How the learning rate changes: constant, step or cosine.")
    var schedule = LearningRateSchedule.constant
    @Option(name: .customLong("warm-up-steps"), help: "Steps in which the learning rate rises from 0.")
    var warmUpSteps = 0
    @Option(help: "Of sgd.")
    var momentum = NetworkLearner().momentum
    @Option(name: .customLong("weight-decay"), help: "Of adamw.")
    var weightDecay = NetworkLearner().weightDecay
    @Option(help: "Penalty on absolute values of the weights.")
    var l1: Float = 0
    @Option(help: "Penalty on squares of the weights.")
    var l2: Float = 0
    @Option(name: .customLong("clip-norm"), help: "Largest norm of a gradient; 0 for no limit (default: 0; for rnn 5).")
    var clipNorm: Float?
    @Option(name: .customLong("label-smoothing"), help: "Part of a label that is spread over all classes.")
    var labelSmoothing: Float = 0
    @Flag(help: "Round the operands of products to bfloat16 while training; sums and weights stay float32.")
    var bfloat16 = false
    @Option(help: "For numbers: errors beyond so many standard deviations count linearly; 0 for none.")
    var huber: Float = 0
    @Option(
        name: .customLong("validation-data"),
        help: "A table whose rows' loss is watched, in place of a share of the training rows.")
    var validationData: String?
    @Option(help: "Weights to start from: safetensors with the names of a PyTorch state_dict, as `apus export` writes.")
    var weights: String?
    @Option(name: .customLong("loss-plot"), help: "Draw the losses of the epochs into this SVG file.")
    var lossPlot: String?
    @OptionGroup var checkpoints: CheckpointFlags

    /// Units of layers from a list, or none.
    static func units(_ text: String, _ flag: String) throws -> [Int] {
        if text == "none" || text.isEmpty { return [] }
        return try text.split(separator: ",", omittingEmptySubsequences: false).map {
            guard let units = Int($0), units >= 1 else {
                throw ValidationError("\(flag) expects numbers of units such as 64,64, not `\(text)`")
            }
            return units
        }
    }

    func fill(_ learner: inout some NetworkConfiguration) {
        learner.activation = activation
        learner.dropout = dropout
        learner.layerNorm = layerNorm
        learner.optimizer = optimizer
        learner.learningRate = learningRate
        learner.epochs = epochs
        learner.accumulate = accumulate
        learner.validation = validation
        learner.patience = patience
        learner.schedule = schedule
        learner.warmUpSteps = warmUpSteps
        learner.momentum = momentum
        learner.weightDecay = weightDecay
        learner.l1 = l1
        learner.l2 = l2
        if let clipNorm { learner.clipNorm = clipNorm }
        learner.labelSmoothing = labelSmoothing
        learner.huber = huber
        learner.bfloat16 = bfloat16 ? true : nil
    }
}

/// The losses of a training as a picture.
enum LossPlot {
    static func write(_ history: NetworkHistory, to path: String) throws {
        func line(_ losses: [Double]) -> ChartSeries.Form {
            .line(losses.enumerated().map { (x: Double($0 + 1), y: $1) })
        }
        var series = [ChartSeries("training rows", line(history.losses))]
        if !history.validationLosses.isEmpty {
            series.append(ChartSeries("rows watched", line(history.validationLosses), dashed: true))
        }
        if let best = history.best, best < history.validationLosses.count {
            series.append(
                ChartSeries("best", .points([(x: Double(best + 1), y: history.validationLosses[best])])))
        }
        let file = try AtomicFile(path: path)
        try file.write(Chart("Loss by epoch", x: Axis("epoch"), y: Axis("loss"), series: series).svg())
        try file.commit()
    }
}

/// The columns of a table that a network reads.
struct NetworkColumnFlags: ParsableArguments {
    @Option(help: "Columns to learn from, separated by commas (default: all but the target).")
    var features: String?
    @Option(help: "How numbers are scaled: standard, min-max, robust or none.")
    var scale = NumberScaling.standard
}

/// A command that trains a network on a table, and can go on with a training that was interrupted.
protocol NetworkTrainingCommand: ParsableCommand, ResumableNetworkCommand {
    associatedtype Learner: NetworkConfiguration
    var network: NetworkFlags { get set }
    var columns: NetworkColumnFlags { get set }
    var training: TableTrainingFlags { get set }
    /// Columns that list events.
    var sequences: [String] { get }
    func learner() throws -> Learner
}

extension NetworkTrainingCommand {
    var sequences: [String] { [] }

    /// Trains, from the start or from a checkpoint.
    func run(resuming state: NetworkCheckpoint?, arguments: [String]) throws {
        if let plot = network.lossPlot { try OutputFolder.check(plot) }
        let names = columns.features.map { $0.split(separator: ",").map(String.init) }
        var training = training
        training.preparation.texts += sequences
        training.data.typing.types += sequences.map { "\($0)=text" }
        try network.checkpoints.run(
            resuming: state, arguments: arguments, output: training.output, data: "the rows to train on",
            weights: network.weights
        ) { _ in
            try training.run(
                try learner(), columns: names, scaling: columns.scale, watched: network.validationData
            ) { result in
                guard let predictor = result.model.pipeline.predictor as? NetworkPredictor else { return }
                if let plot = network.lossPlot { try LossPlot.write(predictor.settings.history, to: plot) }
            }
        }
    }

    mutating func resume(
        from state: NetworkCheckpoint, _ arguments: [String], at path: String, device: String?
    ) throws {
        if let device { training.deviceOption.device = device }
        network.checkpoints.resume(at: path)
        try run(resuming: state, arguments: arguments)
    }
}

extension ActivationName: ExpressibleByArgument {}
extension NetworkOptimizer: ExpressibleByArgument {}
extension LearningRateSchedule: ExpressibleByArgument {}

/// How the default preprocessing scales numbers.
enum NumberScaling: String, ExpressibleByArgument, CaseIterable {
    case standard
    case minMax = "min-max"
    case robust
    case none

    /// A recipe with its steps of scaling changed, or left out.
    func applied(to recipe: Recipe) -> Recipe {
        var steps: [RecipeStep] = []
        for step in recipe.steps {
            guard case .scale(let columns, _) = step else {
                steps.append(step)
                continue
            }
            switch self {
            case .standard: steps.append(.scale(columns, .standard))
            case .minMax: steps.append(.scale(columns, .minMax))
            case .robust: steps.append(.scale(columns, .robust))
            case .none: break
            }
        }
        return Recipe(steps)
    }
}
