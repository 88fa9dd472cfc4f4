import Compute
import Core
import Tables

/// Logistic regression, binary or multinomial: minimises Σ weight · log loss + l1 · ‖w‖₁ + l2/2 · ‖w‖².
///
/// scikit-learn's `C` is 1/l2 (with l1 = 0); its elastic net of `C` and `l1_ratio` ρ has l1 = ρ/C, l2 = (1−ρ)/C.
/// The intercept is not penalised.
public struct LogisticRegression: SupervisedLearner {
    public typealias Predictor = LinearPredictor

    /// How the minimum is found.
    public enum Solver: String, Codable, Sendable, CaseIterable {
        /// Newton for few coefficients of dense features, coordinate descent with l1, else Newton by conjugate gradients.
        case auto
        /// Newton's method: few iterations, each with the Hessian of all coefficients. Dense features, no l1.
        case newton
        /// Newton's method, its steps by conjugate gradients: for sparse features and many coefficients. No l1.
        case newtonCG = "newton-cg"
        /// The limited-memory BFGS method. No l1.
        case lbfgs
        /// Proximal Newton steps by coordinate descent: for l1.
        case coordinate
        /// SAGA: a stochastic gradient with memory; passes of one row at a time.
        case stochastic
    }

    public static let kind = "logistic"
    public static let title = "Logistic regression"
    public static let tasks: Set<SupervisedTask.Kind> = [.binary, .multiclass]
    public static let searchSpace: [SearchDimension] = [.range("l2", 1e-3, 1e3, logarithmic: true)]

    /// Weight of the sum of magnitudes, 0 or more; some coefficients become exactly 0.
    public var l1 = 0.0
    /// Weight of half the sum of squares, 0 or more.
    public var l2 = 1.0
    public var solver = Solver.auto
    /// Whether there are intercepts.
    public var intercept = true
    /// Stops when no element of the gradient is larger than this, per unit of weight (stochastic: when no coefficient
    /// moves by more in a pass, in units of the largest); 0: 1e-8 (newton), 1e-7 (coordinate), 1e-5 (the others).
    public var tolerance = 0.0
    public var maximumIterations = 1000
    public var seed: UInt64 = 42

    public init() {}

    public func validate() throws {
        guard l1 >= 0, l1.isFinite else { throw ParameterError("l1", "must be 0 or more, not \(l1)") }
        guard l2 >= 0, l2.isFinite else { throw ParameterError("l2", "must be 0 or more, not \(l2)") }
        guard tolerance >= 0 else { throw ParameterError("tolerance", "must be 0 (by the solver) or more") }
        guard maximumIterations >= 1 else { throw ParameterError("maximumIterations", "must be 1 or more") }
        if l1 > 0, solver == .newton || solver == .newtonCG || solver == .lbfgs {
            throw ParameterError("solver", "\(solver.rawValue) has no l1; use coordinate or stochastic")
        }
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> LinearPredictor {
        try validate()
        try training.validate()
        guard training.task.isClassification else {
            throw ParameterError("logistic", "predicts classes; for numbers use linear")
        }
        let design = try DesignMatrix(training.features, threads: context.threads)
        let objective = LogisticObjective(training, design: design, l2: l2, hasIntercept: intercept)
        let chosen = try resolvedSolver(design, scores: objective.k)
        let start = [Double](repeating: 0, count: objective.size)
        let usual = chosen == .newton ? 1e-8 : chosen == .coordinate ? 1e-7 : 1e-5
        let tolerance = tolerance > 0 ? tolerance : usual
        let found: (coefficients: [Double], iterations: Int, converged: Bool)
        switch chosen {
        case .newton:
            found = try NewtonMethod.minimize(
                objective, start: start, tolerance: tolerance, maximumIterations: maximumIterations, context: context)
        case .coordinate:
            found = try ProximalNewton.minimize(
                objective, l1: l1, tolerance: tolerance, maximumIterations: maximumIterations, context: context)
        case .stochastic:
            found = try StochasticAverageGradient(objective, l1: l1).minimize(
                seed: seed, tolerance: tolerance, maximumPasses: maximumIterations, context: context)
        case .newtonCG, .auto:
            found = try TruncatedNewton.minimize(
                objective, start: start, tolerance: tolerance, maximumIterations: maximumIterations, context: context)
        case .lbfgs:
            let result = try LimitedMemoryBFGS.minimize(
                start: start, tolerance: tolerance, scale: objective.totalWeight, maximumIterations: maximumIterations,
                threads: context.threads,
                progress: { iteration, value in
                    try context.report(
                        completed: iteration, total: nil, unit: "iterations",
                        figures: [("objective", value / objective.totalWeight)])
                }
            ) { objective.value($0, gradient: $1) }
            found = (result.point, result.iterations, result.converged)
        }
        var value = objective.value(found.coefficients, gradient: nil)
        for place in 0..<design.columns * objective.k { value += l1 * abs(found.coefficients[place]) }
        guard value.isFinite else {
            throw DataError("the fit did not stay finite: give the coefficients a penalty (l2 above 0)")
        }
        return LinearPredictor(
            weights: found.coefficients,
            standardErrors: standardErrors(objective, solver: context.stream.device.denseSolver),
            settings: .init(
                link: training.task.kind == .binary ? .logistic : .softmax, iterations: found.iterations,
                converged: found.converged, objective: value, solver: chosen.rawValue), training: training)
    }

    /// The solver that `auto` stands for.
    private func resolvedSolver(_ design: DesignMatrix, scores: Int) throws -> Solver {
        let coefficients = (design.columns + 1) * scores
        if solver == .newton {
            guard !design.isSparse else { throw ParameterError("solver", "newton needs dense features; use newton-cg") }
            guard coefficients <= 5000 else {
                throw ParameterError("solver", "newton for \(coefficients) coefficients is too much; use newton-cg")
            }
        }
        guard solver == .auto else { return solver }
        if l1 > 0 { return .coordinate }
        return !design.isSparse && coefficients <= 500 ? .newton : .newtonCG
    }

    /// Standard errors by the inverse of the Hessian where the fit ended, for two classes and few coefficients without
    /// l1 (with l2, those of the penalised fit).
    private func standardErrors(_ objective: LogisticObjective, solver: any DenseSolver) -> [Double]? {
        guard objective.k == 1, l1 == 0, !objective.design.isSparse, objective.size <= 1000 else { return nil }
        return NormalErrors.ofInverse(objective.hessian(), n: objective.size, solver: solver)
    }
}

/// Standard errors from curvature.
enum NormalErrors {
    /// Roots of the diagonal of the inverse, or nil when the matrix is singular. O(n³).
    static func ofInverse(_ matrix: [Double], n: Int, solver: any DenseSolver) -> [Double]? {
        var identity = [Double](repeating: 0, count: n * n)
        for place in 0..<n { identity[place * n + place] = 1 }
        guard let inverse = try? solver.solvePositiveDefinite(matrix, n: n, rhs: identity, columns: n) else {
            return nil
        }
        let errors = (0..<n).map { max(inverse[$0 * n + $0], 0).squareRoot() }
        return errors.allSatisfy { $0.isFinite } ? errors : nil
    }
}
