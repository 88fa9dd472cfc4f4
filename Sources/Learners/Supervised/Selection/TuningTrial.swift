import Core

/// One set of parameters that was tried.
public struct TuningTrial: Codable, Sendable {
    /// Place in [0, 1] along each dimension.
    public let place: [Double]
    public let parameters: [String: ParameterValue]
    /// The mean of the deciding figure over the inner folds; nil when the fit failed.
    public let score: Double?
    /// Share of the rows that it was tried on: 1, or less in an early rung of halving.
    public let share: Double
    public let seconds: Double
    /// Why the fit failed.
    public let failure: String?
}

/// How parameters to be tried are chosen.
public enum TuningMethod: String, Codable, Sendable, CaseIterable {
    /// At random.
    case random
    /// Many on few rows; the better third goes on to three times as many (Jamieson and Talwalkar 2016).
    case halving
    /// Where a Gaussian process expects the largest improvement (Jones, Schonlau and Welch 1998), after ten at random.
    case bayesian
}

/// What a search has done so far: saved, so that it can go on where it stopped.
public struct TuningState: Codable, Sendable {
    /// Identifies the data and the question: a state of another one is refused.
    public var question: String
    public var trials: [TuningTrial] = []
    /// Seconds of trials so far.
    public var seconds: Double { trials.reduce(0) { $0 + $1.seconds } }

    public init(question: String) { self.question = question }
}
