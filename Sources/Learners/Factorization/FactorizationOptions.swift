import Core

/// What the values of the interactions are.
public enum Feedback: String, Codable, Sendable, CaseIterable {
    /// Evidence of interest: purchases, clicks, plays. What is absent counts as weak evidence of no interest.
    case implicit
    /// Ratings to be predicted. What is absent is unknown.
    case explicit
}

/// How the systems of a half-step are solved.
public enum FactorizationSolver: String, Codable, Sendable, CaseIterable {
    /// The cheapest of the others by the cost model of ``SolverCost``.
    case auto
    /// Cholesky of the smaller of the primal and the dual system of each row.
    case exact
    /// iALS++: Newton steps over blocks of coordinates.
    case subspace
    /// Preconditioned conjugate gradients in the rotated basis.
    case cg
}

/// How the value of an interaction becomes the confidence c of the implicit loss.
public enum ConfidenceRule: String, Codable, Sendable, CaseIterable {
    /// c = 1 for every observed pair: right when values only decided what counts as positive.
    case constant
    /// c = value: right for event weights that were chosen as such.
    case linear
    /// c = log₂(1 + value): right for counts with a heavy tail (Hu, Koren and Volinsky 2008).
    case log
}

/// Parameters of matrix factorization. Defaults follow Rendle, Krichene, Zhang and Koren, "Revisiting the performance
/// of iALS on item recommendation benchmarks", RecSys 2022, and "iALS++", 2021, but for λ and α₀: theirs (0.003 and 0.1) are
/// for 2,048 factors; these did better at 64 on five of six public and generated data sets.
public struct FactorizationOptions: Codable, Sendable, Equatable {
    /// What the values are.
    public var feedback: Feedback = .implicit
    /// Dimension d of the factors, 1 … 2,048.
    public var factors = 64
    /// Passes over users and items, at least 1.
    public var iterations = 16
    /// λ > 0: weight of the squared factors.
    public var regularization: Float = 0.005
    /// ν: row u is regularized by λ · #ᵛ, with # its (weighted) number of entries. 0: all rows alike; 1: by frequency.
    public var regularizationExponent: Float = 1
    /// α₀ ≥ 0: weight of every pair, observed or not, being 0. Implicit feedback only.
    public var unobservedWeight: Float = 0.3
    /// How values become confidences. Implicit feedback only.
    public var confidence: ConfidenceRule = .constant
    /// λ_b > 0 relative to `regularization`: weight of the squared biases. Explicit feedback only.
    public var biasRegularization: Float = 1
    /// How the systems are solved.
    public var solver: FactorizationSolver = .auto
    /// Coordinates per block of the subspace solver.
    public var blockSize = 64
    /// Steps of the conjugate-gradient solver for each row. The preconditioner is exact for the unobserved part, so that
    /// two steps from the last solution come nearer to the exact iteration than three without it (docs/PERFORMANCE.md).
    public var conjugateGradientSteps = 2
    /// Standard deviation of the initial factors times √d.
    public var initialScale: Float = 0.1
    /// Seed of the initial factors.
    public var seed: UInt64 = 42
    /// Whether to compute the loss after every iteration (costs about a tenth of an iteration).
    public var computesLoss = false

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard (1...2048).contains(factors) else {
            throw ParameterError("factors", "\(factors) is outside 1 … 2048")
        }
        guard iterations >= 1 else { throw ParameterError("iterations", "\(iterations) is below 1") }
        guard regularization > 0, regularization.isFinite else {
            throw ParameterError("regularization", "\(regularization) is not a number above 0")
        }
        guard regularizationExponent >= 0, regularizationExponent.isFinite else {
            throw ParameterError("regularizationExponent", "\(regularizationExponent) is not a number from 0 up")
        }
        guard unobservedWeight >= 0, unobservedWeight.isFinite else {
            throw ParameterError("unobservedWeight", "\(unobservedWeight) is not a number from 0 up")
        }
        guard biasRegularization > 0, biasRegularization.isFinite else {
            throw ParameterError("biasRegularization", "\(biasRegularization) is not a number above 0")
        }
        guard blockSize >= 1 else { throw ParameterError("blockSize", "\(blockSize) is below 1") }
        guard conjugateGradientSteps >= 1 else {
            throw ParameterError("conjugateGradientSteps", "\(conjugateGradientSteps) is below 1")
        }
        guard initialScale > 0, initialScale.isFinite else {
            throw ParameterError("initialScale", "\(initialScale) is not a number above 0")
        }
    }

    /// Columns of the factor tables: for explicit feedback the bias is one more.
    var tableColumns: Int { feedback == .explicit ? factors + 1 : factors }

    /// λ · #ᵛ for every row of `matrix`, where # = entries + α₀ · (rows of the other side that have entries).
    func rowRegularization(_ matrix: HostSparseMatrix, otherSideCount: Int) -> [Float] {
        (0..<matrix.rows).map { row in
            Float(rowRegularization(entryCount: matrix.range(ofRow: row).count, otherSideCount: otherSideCount))
        }
    }

    /// λ · #ᵛ for a row with so many entries.
    func rowRegularization(entryCount: Int, otherSideCount: Int) -> Double {
        let shared = feedback == .implicit ? Double(unobservedWeight) * Double(otherSideCount) : 0
        let frequency = max(Double(entryCount) + shared, 1)
        return Double(regularization) * power(frequency, Double(regularizationExponent))
    }
}
