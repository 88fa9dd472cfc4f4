import Core

/// What boosting makes small.
public enum BoostingLoss: String, Codable, Sendable, CaseIterable {
    /// Half the squared error of a number.
    case squared
    /// Pinball loss: the prediction is a quantile of the target.
    case quantile
    /// Negative log likelihood of two classes.
    case logistic
    /// Negative log likelihood of several classes; a tree for each in every round.
    case multinomial
}

/// How boosted trees are grown.
public struct GradientBoosting: Codable, Sendable, Equatable {
    /// Rounds at most; a round adds one tree, or one for each of several classes.
    public var rounds = 200
    /// What a tree's values are multiplied by, in (0, 1].
    public var learningRate = 0.05
    /// Leaves of a tree at most, 2 … 255. Trees grow leaf by leaf, the most useful split first.
    public var leaves = 16
    /// Splits from the root to a leaf at most; 0 for no limit.
    public var maximumDepth = 0
    /// Rows of a leaf at least (estimated from second derivatives while splits are sought).
    public var minimumLeafRows = 20
    /// Sum of second derivatives of a leaf at least.
    public var minimumChildWeight = 1e-3
    /// Penalty on the square of a leaf's value.
    public var l2 = 1.0
    /// Share of the rows that a round learns from, in (0, 1].
    public var rowFraction = 1.0
    /// Share of the columns that a tree may use, in (0, 1].
    public var columnFraction = 1.0
    /// Bins of a number or category at most, 2 … 255.
    public var bins = 255
    /// What is made small; nil for the loss that goes with the target.
    public var loss: BoostingLoss?
    /// The quantile that ``BoostingLoss/quantile`` predicts, in (0, 1).
    public var quantile = 0.5
    /// Stop after so many rounds without a better loss on held-out rows, and keep the best; 0 for never.
    public var earlyStopping = 0
    /// Share of the rows held out for that, in (0, 1).
    public var validationFraction = 0.1
    /// Added to a category's second derivative when categories are sorted by their gradient.
    public var categorySmoothing = 10.0
    /// Penalty on the values of categorical splits, on top of `l2`.
    public var categoryL2 = 10.0
    /// Categories on the smaller side of a split at most.
    public var categoryLimit = 32
    /// Seed of everything random.
    public var seed: UInt64 = 42

    public init() {}

    /// Throws ``ParameterError`` for a value outside its range.
    public func validate() throws {
        func check(_ holds: Bool, _ name: String, _ reason: String) throws {
            if !holds { throw ParameterError(name, reason) }
        }
        try check(rounds >= 1, "rounds", "must be 1 or more")
        try check(learningRate > 0 && learningRate <= 1, "learningRate", "must be above 0, at most 1")
        try check((2...255).contains(leaves), "leaves", "must be 2 to 255")
        try check(maximumDepth >= 0, "maximumDepth", "must not be negative; 0 means no limit")
        try check(minimumLeafRows >= 1, "minimumLeafRows", "must be 1 or more")
        try check(minimumChildWeight >= 0 && minimumChildWeight.isFinite, "minimumChildWeight", "must not be negative")
        try check(l2 >= 0 && l2.isFinite, "l2", "must not be negative")
        try check(rowFraction > 0 && rowFraction <= 1, "rowFraction", "must be above 0, at most 1")
        try check(columnFraction > 0 && columnFraction <= 1, "columnFraction", "must be above 0, at most 1")
        try check((2...255).contains(bins), "bins", "must be 2 to 255")
        try check(quantile > 0 && quantile < 1, "quantile", "must be between 0 and 1")
        try check(earlyStopping >= 0, "earlyStopping", "must not be negative; 0 means never")
        try check(validationFraction > 0 && validationFraction < 1, "validationFraction", "must be between 0 and 1")
        try check(categorySmoothing >= 0 && categoryL2 >= 0, "categoryL2", "must not be negative")
        try check(categoryLimit >= 1, "categoryLimit", "must be 1 or more")
    }
}
