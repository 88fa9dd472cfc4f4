import Compute
import Core
import Tables

/// Linear regression: minimises ½ Σ weight · (y − ŷ)² + l1 · ‖w‖₁ + l2/2 · ‖w‖², by default without a penalty and then with
/// standard errors.
///
/// scikit-learn's ridge of `alpha` is l2 = alpha; its lasso of `alpha` on n rows is l1 = n · alpha; its elastic net of
/// `alpha` and `l1_ratio` ρ is l1 = n · alpha · ρ, l2 = n · alpha · (1 − ρ). The intercept is not penalised.
public struct LinearRegression: SupervisedLearner {
    public typealias Predictor = LinearPredictor

    /// How the minimum is found.
    public enum Solver: String, Codable, Sendable, CaseIterable {
        /// Coordinate descent with l1, conjugate gradients for sparse features, QR for up to 20 million values without
        /// a penalty, else normal equations.
        case auto
        /// QR decomposition of the centred features (LAPACK, double precision): the most exact. No penalty.
        case qr
        /// Normal equations in double precision, by Cholesky or, where columns are collinear, by eigenvectors.
        case normal
        /// Coordinate descent: for l1.
        case coordinate
        /// Conjugate gradients, for many sparse columns.
        case conjugateGradient = "conjugate-gradient"
    }

    public static let kind = "linear"
    public static let title = "Linear regression"
    public static let tasks: Set<SupervisedTask.Kind> = [.regression]
    public static let searchSpace: [SearchDimension] = [.range("l2", 1e-3, 1e4, logarithmic: true)]

    /// Weight of the sum of magnitudes, 0 or more; some coefficients become exactly 0.
    public var l1 = 0.0
    /// Weight of half the sum of squares, 0 or more.
    public var l2 = 0.0
    public var solver = Solver.auto
    public var intercept = true
    /// For the iterative solvers: stops when no element of the gradient is larger than this, in units of the target's
    /// spread times the rows.
    public var tolerance = 1e-9
    public var maximumIterations = 10_000
    public var seed: UInt64 = 42

    public init() {}

    public func validate() throws {
        guard l1 >= 0, l1.isFinite else { throw ParameterError("l1", "must be 0 or more, not \(l1)") }
        guard l2 >= 0, l2.isFinite else { throw ParameterError("l2", "must be 0 or more, not \(l2)") }
        guard tolerance > 0 else { throw ParameterError("tolerance", "must be above 0, not \(tolerance)") }
        guard maximumIterations >= 1 else { throw ParameterError("maximumIterations", "must be 1 or more") }
        if l1 > 0, solver != .auto, solver != .coordinate {
            throw ParameterError("solver", "\(solver.rawValue) has no l1; use coordinate")
        }
        if l2 > 0, solver == .qr { throw ParameterError("solver", "qr has no penalty; use normal") }
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> LinearPredictor {
        try validate()
        try training.validate()
        guard training.task.kind == .regression else {
            throw ParameterError("linear", "predicts numbers; for classes use logistic")
        }
        let design = try DesignMatrix(training.features, threads: context.threads)
        let problem = LeastSquares(training, design: design, l1: l1, l2: l2, hasIntercept: intercept)
        let chosen = try resolvedSolver(design)
        let solver = context.stream.device.denseSolver
        let found: LeastSquares.Solution
        switch chosen {
        case .qr: found = try problem.byQR(solver)
        case .normal: found = try problem.byNormalEquations(solver)
        case .coordinate:
            found = try problem.byCoordinates(tolerance: tolerance, maximumPasses: maximumIterations, context)
        case .conjugateGradient, .auto:
            found = try problem.byConjugateGradients(tolerance: tolerance, maximumSteps: maximumIterations, context)
        }
        guard found.coefficients.allSatisfy({ $0.isFinite }) else {
            throw DataError("the fit did not stay finite: scale the features, or give the coefficients a penalty (l2)")
        }
        return LinearPredictor(
            weights: found.coefficients, standardErrors: found.standardErrors,
            settings: .init(
                link: .identity, iterations: found.iterations, converged: found.converged,
                objective: problem.objective(found.coefficients), solver: chosen.rawValue), training: training)
    }

    private func resolvedSolver(_ design: DesignMatrix) throws -> Solver {
        if solver == .qr || solver == .normal, design.isSparse {
            throw ParameterError("solver", "\(solver.rawValue) needs dense features; use conjugate-gradient")
        }
        guard solver == .auto else { return solver }
        if l1 > 0 { return .coordinate }
        if design.isSparse { return .conjugateGradient }
        let isSmall = design.rows * design.columns <= 20_000_000
        return l2 == 0 && isSmall && design.rows > design.columns ? .qr : .normal
    }
}
