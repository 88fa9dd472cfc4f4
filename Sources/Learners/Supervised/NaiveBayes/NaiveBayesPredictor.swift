import Core
import Tables

/// Likelihoods of the columns in each class.
///
/// Tensors: `predictor.coefficients` (F64, (columns + 1) × classes, log priors last) of the variants that are linear in
/// the values, with ``LinearPredictor``'s others; `predictor.means`, `predictor.variances` (F64, columns × classes) and
/// `predictor.log_priors` of the Gaussian.
public struct NaiveBayesPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        public var variant: NaiveBayes.Variant
        public var binarize: Double
    }

    enum Parameters: Sendable {
        case linear([Double])
        case gaussian(means: [Double], variances: [Double], logPriors: [Double])
    }

    public let settings: Settings
    private let linear: LinearPredictor?
    private let means: [Double]
    private let variances: [Double]
    private let logPriors: [Double]
    private let task: SupervisedTask
    private let columnCount: Int

    init(settings: Settings, parameters: Parameters, training: TrainingSet) {
        self.settings = settings
        task = training.task
        columnCount = training.features.columns.count
        switch parameters {
        case .linear(let weights):
            linear = LinearPredictor(
                weights: weights, standardErrors: nil, settings: Self.linearSettings, training: training)
            (means, variances, logPriors) = ([], [], [])
        case .gaussian(let means, let variances, let logPriors):
            linear = nil
            (self.means, self.variances, self.logPriors) = (means, variances, logPriors)
        }
    }

    private static let linearSettings = LinearPredictor.Settings(
        link: .softmax, iterations: 1, converged: true, objective: 0, solver: "counting")

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        self.settings = settings
        self.task = task
        columnCount = columns.count
        if settings.variant == .gaussian {
            linear = nil
            let shape = [columns.count, task.labels.count]
            means = try file.doubles("predictor.means", shape: shape).array
            variances = try file.doubles("predictor.variances", shape: shape).array
            logPriors = try file.doubles("predictor.log_priors", shape: [task.labels.count]).array
        } else {
            linear = try LinearPredictor(settings: Self.linearSettings, file: file, task: task, columns: columns)
            (means, variances, logPriors) = ([], [], [])
        }
    }

    public func write(to writer: inout SafetensorsWriter) {
        if let linear { return linear.write(to: &writer) }
        let shape = [columnCount, task.labels.count]
        writer.add("predictor.means", shape: shape, HostBuffer(means))
        writer.add("predictor.variances", shape: shape, HostBuffer(variances))
        writer.add("predictor.log_priors", shape: [task.labels.count], HostBuffer(logPriors))
    }

    public var coefficients: [Coefficient]? { linear?.coefficients }

    public var importances: FeatureImportances? {
        if let linear { return linear.importances }
        // How far the classes' means are apart, in standard deviations.
        let k = task.labels.count
        return FeatureImportances(
            measure: "spread of the classes' means, in standard deviations",
            values: (0..<columnCount).map { column in
                let own = (0..<k).map { means[column * k + $0] }
                let variance = (0..<k).reduce(0.0) { $0 + variances[column * k + $1] } / Double(k)
                return ((own.max() ?? 0) - (own.min() ?? 0)) / max(variance, 1e-300).squareRoot()
            })
    }

    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? {
        guard linear == nil else {
            guard task.kind == .binary, let linear else {
                return try linear?.contributions(of: binarized(features), output: output, context: context)
            }
            // Of two classes, the difference of their scores is the log odds.
            let (features, other) = (binarized(features), 1 - output)
            guard let own = try linear.contributions(of: features, output: output, context: context),
                let theirs = try linear.contributions(of: features, output: other, context: context)
            else { return nil }
            return FeatureContributions(
                base: own.base - theirs.base, values: zip(own.values, theirs.values).map { $0 - $1 },
                columns: own.columns, scale: "log odds")
        }
        let k = task.labels.count
        let others = task.kind == .binary ? [1 - output] : (0..<k).filter { $0 != output }
        let matrix = features.dense
        var values = [Double](repeating: 0, count: features.rows * columnCount)
        for row in 0..<features.rows {
            for column in 0..<columnCount {
                let value = Double(matrix[row, column])
                let rest = others.reduce(0.0) { $0 + logDensity(value, column, $1) } / Double(others.count)
                values[row * columnCount + column] = logDensity(value, column, output) - rest
            }
        }
        let base = logPriors[output] - others.reduce(0.0) { $0 + logPriors[$1] } / Double(others.count)
        return FeatureContributions(
            base: base, values: values, columns: columnCount,
            scale: task.kind == .binary ? "log odds" : "score against the mean of the other classes")
    }

    private func logDensity(_ value: Double, _ column: Int, _ output: Int) -> Double {
        let place = column * task.labels.count + output
        let difference = value - means[place]
        return -0.5 * (logarithm(2 * Double.pi * variances[place]) + difference * difference / variances[place])
    }

    private func binarized(_ features: Features) -> Features {
        guard settings.variant == .bernoulli else { return features }
        let threshold = Float(settings.binarize)
        switch features.values {
        case .sparse(let matrix) where threshold >= 0:
            return Features(
                columns: features.columns,
                values: .sparse(
                    HostSparseMatrix(
                        rows: matrix.rows, columns: matrix.columns, rowPointers: matrix.rowPointers,
                        columnIndices: matrix.columnIndices,
                        values: HostBuffer(matrix.values.elements.map { $0 > threshold ? 1 : 0 }))))
        default:
            let matrix = features.dense
            return Features(
                columns: features.columns,
                values: .dense(
                    HostMatrix(
                        rows: matrix.rows, columns: matrix.columns,
                        storage: HostBuffer(matrix.storage.elements.map { $0 > threshold ? 1 : 0 }))))
        }
    }

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        if let linear { return try linear.predict(binarized(features), context: context) }
        let k = task.labels.count
        let predictions = HostMatrix(rows: features.rows, columns: k)
        let matrix = features.dense
        // Score = constant + Σ (x − mean)² · factor, summed in double precision: far values have scores of thousands.
        var constants = logPriors
        var factors = [Double](repeating: 0, count: columnCount * k)
        for column in 0..<columnCount {
            for output in 0..<k {
                let place = column * k + output
                constants[output] -= 0.5 * logarithm(2 * Double.pi * variances[place])
                factors[place] = -0.5 / variances[place]
            }
        }
        let (means, columns, start, weights) = (means, columnCount, constants, factors)
        let chunk = 512
        Workers.share(tasks: (features.rows + chunk - 1) / chunk, threads: context.threads) { number in
            for row in number * chunk..<min((number + 1) * chunk, matrix.rows) {
                var scores = start
                let values = matrix.row(row)
                for column in 0..<columns {
                    let value = Double(values[column])
                    for output in 0..<k {
                        let difference = value - means[column * k + output]
                        scores[output] += difference * difference * weights[column * k + output]
                    }
                }
                let largest = scores.max() ?? 0
                var sum = 0.0
                for output in 0..<k { sum += exponential(scores[output] - largest) }
                for output in 0..<k { predictions[row, output] = Float(exponential(scores[output] - largest) / sum) }
            }
        }
        return predictions
    }
}
