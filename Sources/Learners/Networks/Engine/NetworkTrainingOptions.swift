import Compute
import Core

/// The optimizers of networks.
public enum NetworkOptimizer: String, Codable, Sendable, CaseIterable {
    /// Gradient descent with momentum.
    case sgd
    case adam
    /// Adam with decoupled weight decay.
    case adamw
    case adagrad
}

/// The optimizers of tables of vectors, of which a step changes the rows that its batch names.
public enum TableOptimizer: String, Codable, Sendable, CaseIterable {
    /// Gradient descent.
    case sgd
    /// Adam, whose moments rest while a row is not named.
    case lazyAdam = "lazy-adam"
    case adagrad
    /// Adagrad with one accumulator for a row: a sixteenth of the memory where vectors have 16 numbers.
    case rowWiseAdagrad = "row-wise-adagrad"
}

/// How the learning rate changes.
public enum LearningRateSchedule: String, Codable, Sendable, CaseIterable {
    case constant
    /// Times ``NetworkTrainingOptions/stepFactor`` every ``NetworkTrainingOptions/stepEpochs`` epochs.
    case step
    /// Half a cosine from the learning rate to 0 over all steps.
    case cosine
}

/// How a network is trained.
public struct NetworkTrainingOptions: Codable, Sendable, Equatable {
    /// Passes over the rows.
    public var epochs = 10
    /// Rows of a step.
    public var batchSize = 32
    public var optimizer = NetworkOptimizer.adam
    /// nil for 0.001, or 0.01 for gradient descent and Adagrad.
    public var learningRate: Float?
    /// Of tables of vectors; nil for the one that belongs to ``optimizer``: gradient descent without momentum, lazy Adam,
    /// or Adagrad. Penalties, weight decay and clipping are for the other parameters.
    public var tableOptimizer: TableOptimizer?
    /// Of gradient descent.
    public var momentum: Float = 0.9
    public var nesterov = false
    public var beta1: Float = 0.9
    public var beta2: Float = 0.999
    public var epsilon: Float = 1e-8
    public var schedule = LearningRateSchedule.constant
    public var stepEpochs = 10
    public var stepFactor: Float = 0.1
    /// Steps in which the learning rate rises from 0.
    public var warmUpSteps = 0
    /// Largest norm of a gradient, or nil for no clipping.
    public var clipNorm: Float?
    /// Penalty on absolute values.
    public var l1: Float = 0
    /// Penalty on squares, as part of the gradient.
    public var l2: Float = 0
    /// Decoupled weight decay, for adamw.
    public var weightDecay: Float = 0.01
    /// Batches whose gradients make one step.
    public var accumulate = 1
    /// Part of a label's probability that is spread over all classes.
    public var labelSmoothing: Float = 0
    /// Epochs without a better validation loss after which the training stops; nil for never.
    public var patience: Int?
    /// By how much a loss must fall, relative to the best, to be better.
    public var minimumImprovement = 1e-4
    /// Whether every epoch has the rows in another order; else in their own.
    public var shuffles = true
    /// Whether operands of products are rounded to bfloat16 while training; sums, and the weights that steps change, stay
    /// float32. nil for no.
    public var bfloat16: Bool?
    /// Seed of weights, shuffles and dropout.
    public var seed: UInt64 = 42

    public init() {}

    /// The learning rate that is used.
    public var effectiveLearningRate: Float {
        learningRate ?? (optimizer == .sgd || optimizer == .adagrad ? 0.01 : 0.001)
    }

    /// How products take their operands.
    public var precision: ProductPrecision { bfloat16 == true ? .bfloat16 : .float32 }

    /// The method of the primitive.
    public var method: OptimizerMethod {
        switch optimizer {
        case .sgd: .gradientDescent(momentum: momentum, nesterov: nesterov)
        case .adam, .adamw: .adam(beta1: beta1, beta2: beta2, epsilon: epsilon)
        case .adagrad: .adagrad(epsilon: epsilon)
        }
    }

    /// The method of the primitive for tables of vectors.
    public var tableMethod: RowUpdateMethod {
        let usual: TableOptimizer =
            switch optimizer {
            case .sgd: .sgd
            case .adam, .adamw: .lazyAdam
            case .adagrad: .adagrad
            }
        return switch tableOptimizer ?? usual {
        case .sgd: .gradientDescent
        case .lazyAdam: .adam(beta1: beta1, beta2: beta2, epsilon: epsilon)
        case .adagrad: .adagrad(epsilon: epsilon)
        case .rowWiseAdagrad: .rowWiseAdagrad(epsilon: epsilon)
        }
    }

    /// The learning rate of a step, counted from 0.
    public func rate(step: Int, epoch: Int, stepsPerEpoch: Int) -> Double {
        var rate = Double(effectiveLearningRate)
        switch schedule {
        case .constant: break
        case .step: rate *= power(Double(stepFactor), Double(epoch / max(stepEpochs, 1)))
        case .cosine:
            let all = max(epochs * stepsPerEpoch - warmUpSteps, 1)
            let done = min(max(step - warmUpSteps, 0), all)
            rate *= (1 + cosine(Double.pi * Double(done) / Double(all))) / 2
        }
        if step < warmUpSteps { rate *= Double(step + 1) / Double(warmUpSteps) }
        return rate
    }

    /// Throws ``ParameterError`` for values outside their ranges.
    public func validate() throws(ParameterError) {
        func require(_ holds: Bool, _ name: String, _ reason: String) throws(ParameterError) {
            if !holds { throw ParameterError(name, reason) }
        }
        try require(epochs >= 1, "epochs", "must be 1 or more, not \(epochs)")
        try require(batchSize >= 1, "batchSize", "must be 1 or more, not \(batchSize)")
        let rate = effectiveLearningRate
        try require(rate > 0 && rate.isFinite, "learningRate", "must be above 0, not \(rate)")
        try require(momentum >= 0 && momentum < 1, "momentum", "must be at least 0 and below 1, not \(momentum)")
        try require(!nesterov || momentum > 0, "nesterov", "needs a momentum above 0")
        try require(beta1 >= 0 && beta1 < 1, "beta1", "must be at least 0 and below 1, not \(beta1)")
        try require(beta2 >= 0 && beta2 < 1, "beta2", "must be at least 0 and below 1, not \(beta2)")
        try require(epsilon > 0, "epsilon", "must be above 0, not \(epsilon)")
        try require(stepEpochs >= 1, "stepEpochs", "must be 1 or more, not \(stepEpochs)")
        try require(stepFactor > 0 && stepFactor.isFinite, "stepFactor", "must be above 0, not \(stepFactor)")
        try require(warmUpSteps >= 0, "warmUpSteps", "must be 0 or more, not \(warmUpSteps)")
        try require(clipNorm.map { $0 > 0 } ?? true, "clipNorm", "must be above 0")
        try require(l1 >= 0 && l1.isFinite, "l1", "must be 0 or more, not \(l1)")
        try require(l2 >= 0 && l2.isFinite, "l2", "must be 0 or more, not \(l2)")
        try require(weightDecay >= 0 && weightDecay.isFinite, "weightDecay", "must be 0 or more, not \(weightDecay)")
        try require(accumulate >= 1, "accumulate", "must be 1 or more, not \(accumulate)")
        try require(
            labelSmoothing >= 0 && labelSmoothing < 1, "labelSmoothing",
            "must be at least 0 and below 1, not \(labelSmoothing)")
        try require(patience.map { $0 >= 1 } ?? true, "patience", "must be 1 or more")
    }
}
