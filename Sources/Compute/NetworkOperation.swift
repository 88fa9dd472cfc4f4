/// The primitives of neural networks.
public enum NetworkOperation: Sendable {
    case activation(ApplyActivation)
    case activationGradient(ActivationGradient)
    case linearCombination(LinearCombination)
    case softmaxCrossEntropy(SoftmaxCrossEntropy)
    case rankingLoss(RankingLoss)
    case elementLoss(ElementLoss)
    case addToTotal(AddToTotal)
    case dropout(Dropout)
    case layerNorm(LayerNorm)
    case layerNormGradient(LayerNormGradient)
    case batchNorm(BatchNorm)
    case batchNormProducts(BatchNormProducts)
    case batchNormStatistics(BatchNormStatistics)
    case batchNormGradient(BatchNormGradient)
    case optimizerStep(OptimizerStep)
    case updateRows(UpdateRows)
    case gatherBags(GatherBags)
    case pairProducts(PairProducts)
    case pairProductsGradient(PairProductsGradient)
    case unfold(Unfold)
    case fold(Fold)
    case pool(Pool)
    case poolGradient(PoolGradient)
    case quantize(Quantize)
    case quantizedGemm(QuantizedGemm)
    case perceptronSteps(PerceptronSteps)
    case attention(Attention)
    case attentionGradient(AttentionGradient)
    case recurrentStep(RecurrentStep)
    case recurrentStepGradient(RecurrentStepGradient)

    var kind: OperationKind {
        switch self {
        case .activation: .activation
        case .activationGradient: .activationGradient
        case .linearCombination: .linearCombination
        case .softmaxCrossEntropy: .softmaxCrossEntropy
        case .rankingLoss: .rankingLoss
        case .elementLoss: .elementLoss
        case .addToTotal: .addToTotal
        case .dropout: .dropout
        case .layerNorm: .layerNorm
        case .layerNormGradient: .layerNormGradient
        case .batchNorm: .batchNorm
        case .batchNormProducts: .batchNormProducts
        case .batchNormStatistics: .batchNormStatistics
        case .batchNormGradient: .batchNormGradient
        case .optimizerStep: .optimizerStep
        case .updateRows: .updateRows
        case .gatherBags: .gatherBags
        case .pairProducts: .pairProducts
        case .pairProductsGradient: .pairProductsGradient
        case .unfold: .unfold
        case .fold: .fold
        case .pool: .pool
        case .poolGradient: .poolGradient
        case .quantize: .quantize
        case .quantizedGemm: .quantizedGemm
        case .perceptronSteps: .perceptronSteps
        case .attention: .attention
        case .attentionGradient: .attentionGradient
        case .recurrentStep: .recurrentStep
        case .recurrentStepGradient: .recurrentStepGradient
        }
    }
}

/// Functions that a layer of a network applies to every element, or, the last, to every row.
public enum ActivationFunction: String, Sendable, CaseIterable, Codable {
    /// x
    case identity
    /// max(x, 0)
    case relu
    /// 1 / (1 + e⁻ˣ)
    case sigmoid
    /// tanh x
    case tanh
    /// x · Φ(x), Φ the distribution function of the normal distribution
    case gelu
    /// x / (1 + e⁻ˣ)
    case silu
    /// eˣ / Σ eˣ over the columns of a row
    case softmax

    /// Whether the derivative is computed from the inputs; the other functions need only their outputs.
    public var needsInputs: Bool { self == .gelu || self == .silu }
}

/// `output = function(input)`; may work in place.
public struct ApplyActivation: Sendable {
    public let function: ActivationFunction
    public let input: Matrix
    public let output: Matrix
}

/// `inputGradient = outputGradient · function′`, for the softmax p `p · (outputGradient − Σ p · outputGradient)`; may work in
/// place.
public struct ActivationGradient: Sendable {
    public let function: ActivationFunction
    /// The inputs of functions that need them (``ActivationFunction/needsInputs``), of the others the outputs.
    public let values: Matrix
    public let outputGradient: Matrix
    public let inputGradient: Matrix
}

/// `output = alpha · a + beta · b`; the output may be `a` or `b`.
public struct LinearCombination: Sendable {
    public let alpha: Float
    public let a: Matrix
    /// Where 0, `b` is not read.
    public let beta: Float
    public let b: Matrix
    public let output: Matrix
}

/// With p = softmax(logits[i, :]) and the label's distribution q, `1 − smoothing` on the label plus `smoothing` spread
/// evenly: `losses[i] = −weights[i] · Σ q_j · ln p_j` and `gradient[i, :] = weights[i] · scale · (p − q)`.
public struct SoftmaxCrossEntropy: Sendable {
    /// m × n
    public let logits: Matrix
    /// 1 × m, int32; a label below 0 counts for nothing, one past the end gives NaN.
    public let labels: Matrix
    /// 1 × m, or nil for 1.
    public let weights: Matrix?
    public let smoothing: Float
    public let scale: Float
    /// m × n; may be the logits themselves.
    public let gradient: Matrix
    /// 1 × m
    public let losses: Matrix
}

/// Bayesian personalized ranking (Rendle, Freudenthaler, Gantner and Schmidt-Thieme, UAI 2009): the labelled score of a
/// row is to be above each of the others. `losses[i] = weights[i] / (n − 1) · Σ_{j ≠ label} ln(1 + e^(x_j − x_label))`
/// and its gradient, times `scale`.
public struct RankingLoss: Sendable {
    /// m × n, n at least 2.
    public let scores: Matrix
    /// 1 × m, int32; a label below 0 counts for nothing, one past the end gives NaN.
    public let labels: Matrix
    /// 1 × m, or nil for 1.
    public let weights: Matrix?
    public let scale: Float
    /// m × n; may be the scores themselves.
    public let gradient: Matrix
    /// 1 × m
    public let losses: Matrix
}

/// Losses of single predictions.
public enum ElementLossFunction: Sendable, Equatable {
    /// (x − t)²
    case squared
    /// ln(1 + eˣ) − t·x: the cross-entropy of a probability σ(x)
    case logistic
    /// (x − t)² / 2 up to a distance of `delta`, beyond linear: delta · (|x − t| − delta / 2)
    case huber(delta: Float)
}

/// `losses[i] = weights[i] · Σ_j loss(predictions[i, j], targets[i, j])` and its gradient, times `scale`.
public struct ElementLoss: Sendable {
    public let function: ElementLossFunction
    /// m × n
    public let predictions: Matrix
    /// m × n
    public let targets: Matrix
    /// 1 × m, or nil for 1.
    public let weights: Matrix?
    public let scale: Float
    /// m × n; may be the predictions themselves.
    public let gradient: Matrix
    /// 1 × m
    public let losses: Matrix
}

/// `total[0] + total[1] += Σ input`: element 1 holds what float32 can't in element 0.
public struct AddToTotal: Sendable {
    /// 1 × n
    public let input: Matrix
    /// 1 × 2
    public let total: Matrix
}

/// `output = input / (1 − probability)`, or 0 where Philox's number `(step · rows + i) · c + j`, c the columns rounded
/// up to a multiple of four, is below the probability. The same elements on every device; may work in place.
public struct Dropout: Sendable {
    public let input: Matrix
    public let output: Matrix
    public let probability: Float
    public let seed: UInt64
    public let stream: UInt64
    /// 1 × 1, int32: the number of the training step, so that a recorded plan draws anew each time.
    public let step: Matrix
}

/// `output = (input − mean) / √(variance + epsilon) · gain + bias` for every row.
public struct LayerNorm: Sendable {
    /// m × n
    public let input: Matrix
    /// 1 × n
    public let gain: Matrix
    /// 1 × n
    public let bias: Matrix
    public let epsilon: Float
    /// m × n; not the input.
    public let output: Matrix
    /// 2 × m: the means, and the inverses of the deviations.
    public let statistics: Matrix
}

/// The gradient of ``LayerNorm``: of its input, and `products = outputGradient · normalized input`, whose column sums
/// are the gradient of the gain.
public struct LayerNormGradient: Sendable {
    public let input: Matrix
    public let statistics: Matrix
    public let gain: Matrix
    public let outputGradient: Matrix
    /// m × n; may be `outputGradient`.
    public let inputGradient: Matrix
    /// m × n
    public let products: Matrix
}

/// How an optimizer turns a gradient into a step.
public enum OptimizerMethod: Sendable, Equatable, Codable {
    /// Gradient descent; `velocity = momentum · velocity + g` where there is a momentum.
    case gradientDescent(momentum: Float, nesterov: Bool)
    /// Kingma and Ba 2015.
    case adam(beta1: Float, beta2: Float, epsilon: Float)
    /// Duchi, Hazan and Singer 2011.
    case adagrad(epsilon: Float)
}

/// One step of an optimizer on a vector of parameters, with g = factor · gradient + l2 · parameters + l1 · sign:
///
/// - gradient descent: `parameters −= rate · g`, or `rate · velocity`;
/// - Adam: `first = β₁·first + (1−β₁)·g`, `second = β₂·second + (1−β₂)·g²`,
///   `parameters −= rate · c₁ · first / (√second · c₂ + ε)`;
/// - Adagrad: `second += g²`, `parameters −= rate · g / (√second + ε)`;
///
/// and before that `parameters −= rate · decay · parameters` (decoupled weight decay).
public struct OptimizerStep: Sendable {
    public let method: OptimizerMethod
    /// 1 × n
    public let parameters: Matrix
    /// 1 × n
    public let gradient: Matrix
    /// 1 × n: Adam's mean or the velocity; nil where the method has none.
    public let first: Matrix?
    /// 1 × n: the mean or the sum of squares; nil where the method has none.
    public let second: Matrix?
    /// 1 × 4: rate, c₁ = 1 / (1 − β₁ᵗ), c₂ = 1 / √(1 − β₂ᵗ), factor.
    public let controls: Matrix
    /// 1 × 1: the norm of the gradient, by which it is clipped to `largestNorm`; nil for no clipping.
    public let norm: Matrix?
    public let largestNorm: Float
    public let l1: Float
    public let l2: Float
    public let decay: Float
}
