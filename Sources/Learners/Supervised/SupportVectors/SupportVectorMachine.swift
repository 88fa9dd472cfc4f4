import Compute
import Core
import Tables

/// Support vector machines: the widest margin between classes, linear or with a kernel.
///
/// Minimises ½‖w‖² + C · Σ weight · loss(margin). Several classes are told apart one against the rest. Scores are no
/// probabilities until they have been calibrated, which training does by default.
public struct SupportVectorMachine: SupervisedLearner {
    public typealias Predictor = SupportVectorPredictor

    public enum Kernel: String, Codable, Sendable, CaseIterable {
        /// x·y: for many rows, and for texts. By coordinate descent on the dual; with the squared hinge and few dense columns
        /// by Newton's method.
        case linear
        /// exp(−gamma · |x − y|²), by sequential minimal optimization.
        case rbf
        /// (gamma · x·y + offset)^degree.
        case polynomial
    }

    public enum Loss: String, Codable, Sendable, CaseIterable {
        /// max(0, 1 − margin).
        case hinge
        /// Its square; linear kernel only.
        case squaredHinge = "squared-hinge"
    }

    public static let kind = "svm"
    public static let title = "Support vector machine"
    public static let tasks: Set<SupervisedTask.Kind> = [.binary, .multiclass]
    public static let needsCalibration = true
    public static let searchSpace: [SearchDimension] = [.range("c", 1e-3, 1e2, logarithmic: true)]

    public var kernel = Kernel.linear
    /// Weight of the losses, above 0.
    public var c = 1.0
    /// Loss of the linear kernel; the others have the hinge.
    public var loss = Loss.squaredHinge
    /// Of the kernels; 0: 1 / (columns · variance of all values).
    public var gamma = 0.0
    /// Of the polynomial.
    public var degree = 3
    public var offset = 0.0
    /// RBF: this many random features in place of the kernel (Rahimi and Recht 2007), 0 for none: for many rows.
    public var randomFeatures = 0
    /// Stops when the optimality conditions hold within this; 0: 0.03 (linear; objectives are then within 1e-5 of the least),
    /// 0.001 (kernels). Newton's method: of the gradient's largest element, against the start; 0: 1e-6.
    public var tolerance = 0.0
    public var maximumIterations = 0
    /// Memory for rows of the kernel matrix, in MB.
    public var cache = 500
    public var seed: UInt64 = 42

    public init() {}

    public func validate() throws {
        guard c > 0, c.isFinite else { throw ParameterError("c", "must be above 0, not \(c)") }
        guard gamma >= 0, gamma.isFinite else { throw ParameterError("gamma", "must be 0 (by the data) or more") }
        guard (1...20).contains(degree) else { throw ParameterError("degree", "must be from 1 to 20, not \(degree)") }
        guard tolerance >= 0 else { throw ParameterError("tolerance", "must be 0 (default) or more") }
        guard maximumIterations >= 0 else { throw ParameterError("maximumIterations", "must be 0 (default) or more") }
        guard cache >= 1 else { throw ParameterError("cache", "must be 1 MB or more") }
        guard randomFeatures >= 0 else { throw ParameterError("randomFeatures", "must be 0 (none) or more") }
        if randomFeatures > 0, kernel != .rbf {
            throw ParameterError("randomFeatures", "stand for the rbf kernel; set kernel to rbf")
        }
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> SupportVectorPredictor {
        try validate()
        try training.validate()
        guard training.task.isClassification else {
            throw ParameterError("svm", "predicts classes; for numbers use linear, forest or boosting")
        }
        switch kernel {
        case .linear: return .init(linear: try fitLinear(training, context))
        case .rbf where randomFeatures > 0:
            let map = RandomFourierFeatures(
                columns: training.features.columns.count, count: randomFeatures,
                gamma: resolvedGamma(training.features), seed: seed)
            let mapped = TrainingSet(
                features: try map.apply(training.features, context: context), task: training.task,
                target: training.target, weights: training.weights, groups: training.groups)
            return .init(linear: try fitLinear(mapped, context), map: map)
        case .rbf, .polynomial: return .init(kernel: try fitKernel(training, context))
        }
    }

    private func fitLinear(_ training: TrainingSet, _ context: LearningContext) throws -> LinearPredictor {
        let design = try DesignMatrix(training.features, threads: context.threads)
        let isPrimal = loss == .squaredHinge && SquaredHingeNewton.pays(design)
        let most = maximumIterations > 0 ? maximumIterations : 1000
        let found =
            isPrimal
            ? try SquaredHingeNewton(design: design, training: training, c: c).minimize(
                tolerance: tolerance > 0 ? tolerance : 1e-6, maximumIterations: most, context: context)
            : try DualDescent(
                design: design, training: training, c: c, squared: loss == .squaredHinge, seed: seed
            ).minimize(tolerance: tolerance > 0 ? tolerance : 0.03, maximumPasses: most, context: context)
        return LinearPredictor(
            weights: found.coefficients, standardErrors: nil,
            settings: .init(
                link: training.task.kind == .binary ? .logistic : .oneVersusRest, iterations: found.passes,
                converged: found.converged, objective: found.objective,
                solver: isPrimal ? "newton" : "dual coordinate descent"),
            training: training)
    }

    private func fitKernel(_ training: TrainingSet, _ context: LearningContext) throws -> KernelPredictor {
        _ = try DesignMatrix(training.features, threads: context.threads)
        let kernel = KernelFunction(
            isRadial: self.kernel == .rbf, gamma: resolvedGamma(training.features), offset: offset, degree: degree)
        let points = training.features.dense
        let outputs = training.task.kind == .binary ? [1] : Array(training.task.labels.indices)
        let upper = training.effectiveWeights.map { c * $0 }
        var (coefficients, intercepts): ([[Double]], [Double]) = ([], [])
        var (iterations, converged) = (0, true)
        let rows = KernelRows(points: points, kernel: kernel, cacheBytes: cache << 20, threads: context.threads)
        for (number, label) in outputs.enumerated() {
            let signs = training.target.map { Int($0) == label ? 1.0 : -1.0 }
            let solution = try SequentialMinimalOptimization(rows: rows, signs: signs, upper: upper).minimize(
                tolerance: tolerance > 0 ? tolerance : 1e-3, maximumIterations: maximumIterations
            ) { step, gap in
                try context.report(
                    completed: step, total: nil, unit: "steps",
                    figures: [("class", Double(number + 1)), ("gap", gap)])
            }
            coefficients.append(zip(solution.alpha, signs).map { $0 * $1 })
            intercepts.append(solution.intercept)
            iterations += solution.iterations
            converged = converged && solution.converged
        }
        return KernelPredictor(
            points: points, coefficients: coefficients, intercepts: intercepts, kernel: kernel, task: training.task,
            iterations: iterations, converged: converged)
    }

    /// scikit-learn's `scale`: 1 / (columns · variance of all values).
    private func resolvedGamma(_ features: Features) -> Double {
        if gamma > 0 { return gamma }
        let count = Double(features.rows * features.columns.count)
        let values: UnsafeMutableBufferPointer<Float>
        switch features.values {
        case .dense(let matrix): values = matrix.storage.elements
        case .sparse(let matrix): values = matrix.values.elements
        }
        var (sum, squares) = (0.0, 0.0)
        for value in values { (sum, squares) = (sum + Double(value), squares + Double(value) * Double(value)) }
        let mean = sum / count
        // Values that a sparse matrix does not store are 0 and count all the same.
        let variance = squares / count - mean * mean
        return variance > 0 ? 1 / (Double(features.columns.count) * variance) : 1
    }
}
