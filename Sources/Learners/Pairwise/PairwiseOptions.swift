import Core

/// What the gradient steps minimise.
public enum PairwiseLoss: String, Codable, Sendable, CaseIterable {
    /// −ln σ(score of what a user has − score of what the user does not have): Rendle, Freudenthaler, Gantner and
    /// Schmidt-Thieme, "BPR", UAI 2009.
    case bpr
    /// Weighted approximate ranks: items are drawn until one is found that ranks too high, and the step weighs the
    /// logarithm of the rank that the number of draws speaks for (Weston, Bengio and Usunier, "WSABIE", IJCAI 2011).
    case warp
}

/// How the item that a user does not have is drawn.
public enum NegativeSampling: String, Codable, Sendable, CaseIterable {
    /// All items alike.
    case uniform
    /// By the number of interactions.
    case popular
}

/// Parameters of learning from pairs.
public struct PairwiseOptions: Codable, Sendable, Equatable {
    public var loss = PairwiseLoss.bpr
    /// Dimension of the factors, 1 … 2,048; each item has a bias besides.
    public var factors = 64
    /// Passes over the interactions, at least 1.
    public var iterations = 60
    /// Above 0; falls linearly to a tenth.
    public var learningRate: Float = 0.1
    /// From 0 up: weight of the squared factors and biases.
    public var regularization: Float = 0.01
    /// How items that a user does not have are drawn.
    public var negatives = NegativeSampling.uniform
    /// For WARP: items drawn for one step at most, 1 … 64.
    public var trials = 16
    /// Standard deviation of the initial factors times √d.
    public var initialScale: Float = 0.5
    /// Seed of everything random.
    public var seed: UInt64 = 42

    /// What does well for a loss.
    public init(_ loss: PairwiseLoss = .bpr) {
        self.loss = loss
        if loss == .warp { (iterations, learningRate, regularization) = (30, 0.02, 0.03) }
    }

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard (1...2048).contains(factors) else { throw ParameterError("factors", "\(factors) is outside 1 … 2048") }
        guard iterations >= 1 else { throw ParameterError("iterations", "\(iterations) is below 1") }
        guard learningRate > 0, learningRate.isFinite else {
            throw ParameterError("learningRate", "\(learningRate) is not a number above 0")
        }
        guard regularization >= 0, regularization.isFinite else {
            throw ParameterError("regularization", "\(regularization) is not a number from 0 up")
        }
        guard learningRate * regularization < 1 else {
            throw ParameterError("regularization", "times the learning rate must be below 1")
        }
        guard (1...64).contains(trials) else { throw ParameterError("trials", "\(trials) is outside 1 … 64") }
        guard initialScale > 0, initialScale.isFinite else {
            throw ParameterError("initialScale", "\(initialScale) is not a number above 0")
        }
    }
}
