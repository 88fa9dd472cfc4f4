import Compute
import Core
import Tables

/// How the scores of a linear model become predictions.
public enum LinkFunction: String, Codable, Sendable {
    /// The score is the number.
    case identity
    /// One score, the log odds of the second class.
    case logistic
    /// A score for each class; probabilities by the softmax.
    case softmax
    /// A score for each class against the rest; logistic functions, divided by their sum.
    case oneVersusRest
}

/// Coefficients with a link: what linear and logistic regression and linear support vector machines learn.
///
/// Tensors: `predictor.coefficients` (F64, (columns + 1) × scores, the intercepts last), `predictor.standard_errors`
/// (the same shape, where known), `predictor.means` (F64, of the columns in the training data).
public struct LinearPredictor: SupervisedPredictor {
    public struct Settings: Codable, Sendable {
        public var link: LinkFunction
        /// Iterations that the fit took.
        public var iterations: Int
        /// Whether the fit reached its tolerance.
        public var converged: Bool
        /// The objective where it ended.
        public var objective: Double
        /// The solver that was used.
        public var solver: String
    }

    public let settings: Settings
    /// (columns + 1) × scores.
    let weights: [Double]
    let standardErrors: [Double]?
    /// Means of the columns in the training data: what a contribution is measured from.
    let means: [Double]
    /// Standard deviations of the columns there: what makes coefficients comparable.
    let deviations: [Double]
    let task: SupervisedTask
    let columnNames: [String]

    /// Scores of each row.
    var scoreCount: Int { settings.link == .identity || settings.link == .logistic ? 1 : task.labels.count }

    init(
        weights: [Double], standardErrors: [Double]?, settings: Settings, training: TrainingSet
    ) {
        self.weights = weights
        self.standardErrors = standardErrors
        self.settings = settings
        task = training.task
        columnNames = training.features.columns.map(\.name)
        (means, deviations) = ColumnMoments.of(training.features, weights: training.weights)
    }

    public init(
        settings: Settings, file: SafetensorsFile, task: SupervisedTask, columns: [FeatureDescription]
    ) throws {
        self.settings = settings
        self.task = task
        columnNames = columns.map(\.name)
        let scores = settings.link == .identity || settings.link == .logistic ? 1 : task.labels.count
        let shape = [columns.count + 1, scores]
        weights = try file.doubles("predictor.coefficients", shape: shape).array
        standardErrors =
            file.tensor("predictor.standard_errors") == nil
            ? nil : try file.doubles("predictor.standard_errors", shape: shape).array
        means = try file.doubles("predictor.means", shape: [columns.count]).array
        deviations = try file.doubles("predictor.deviations", shape: [columns.count]).array
    }

    public func write(to writer: inout SafetensorsWriter) {
        let shape = [columnNames.count + 1, scoreCount]
        writer.add("predictor.coefficients", shape: shape, HostBuffer(weights))
        if let standardErrors { writer.add("predictor.standard_errors", shape: shape, HostBuffer(standardErrors)) }
        writer.add("predictor.means", shape: [means.count], HostBuffer(means))
        writer.add("predictor.deviations", shape: [deviations.count], HostBuffer(deviations))
    }

    public var facts: [(name: String, value: Double)] {
        [
            ("iterations", Double(settings.iterations)), ("converged", settings.converged ? 1 : 0),
            ("objective", settings.objective),
        ]
    }

    // MARK: Prediction

    public func predict(_ features: Features, context: LearningContext) throws -> HostMatrix {
        let scores = try scores(features, context: context)
        if settings.link == .identity { return scores }
        let predictions = HostMatrix(rows: features.rows, columns: task.outputs)
        for row in 0..<features.rows {
            switch settings.link {
            case .identity: break
            case .logistic:
                let likelihood = 1 / (1 + exponential(-Double(scores[row, 0])))
                (predictions[row, 0], predictions[row, 1]) = (Float(1 - likelihood), Float(likelihood))
            case .softmax:
                var largest = -Float.infinity
                for output in 0..<task.outputs { largest = max(largest, scores[row, output]) }
                var sum = 0.0
                for output in 0..<task.outputs { sum += exponential(Double(scores[row, output] - largest)) }
                for output in 0..<task.outputs {
                    predictions[row, output] = Float(exponential(Double(scores[row, output] - largest)) / sum)
                }
            case .oneVersusRest:
                var sum = 0.0
                for output in 0..<task.outputs { sum += 1 / (1 + exponential(-Double(scores[row, output]))) }
                for output in 0..<task.outputs {
                    predictions[row, output] = Float(
                        1 / (1 + exponential(-Double(scores[row, output]))) / max(sum, 1e-300))
                }
            }
        }
        return predictions
    }

    /// rows × scores, on the device. O(values · scores).
    func scores(_ features: Features, context: LearningContext) throws -> HostMatrix {
        let (columns, k) = (columnNames.count, scoreCount)
        let stream = context.stream
        let coefficients = HostMatrix(rows: columns, columns: k, elements: weights[..<(columns * k)].map { Float($0) })
        let result = try stream.allocate(rows: features.rows, columns: k)
        switch features.values {
        case .dense(let matrix):
            let intercepts = try stream.wrap(
                HostMatrix(rows: 1, columns: k, elements: weights[(columns * k)...].map { Float($0) }))
            try stream.gemm(try stream.wrap(matrix), try stream.wrap(coefficients), bias: intercepts, into: result)
            return try stream.download(result)
        case .sparse(let matrix):
            try stream.multiply(try stream.wrap(matrix), try stream.wrap(coefficients), into: result)
            let scores = try stream.download(result)
            for row in 0..<scores.rows {
                for output in 0..<k { scores[row, output] += Float(weights[columns * k + output]) }
            }
            return scores
        }
    }

    // MARK: Explanation

    public var coefficients: [Coefficient]? {
        let k = scoreCount
        var result: [Coefficient] = []
        for (place, name) in (columnNames + ["(intercept)"]).enumerated() {
            for output in 0..<k {
                result.append(
                    Coefficient(
                        feature: name, label: k == 1 ? nil : task.labels[output], value: weights[place * k + output],
                        standardError: standardErrors.map { $0[place * k + output] }))
            }
        }
        return result
    }

    public var importances: FeatureImportances? {
        let k = scoreCount
        return FeatureImportances(
            measure: "|coefficient| · standard deviation",
            values: columnNames.indices.map { column in
                (0..<k).reduce(0.0) { $0 + abs(weights[column * k + $1]) } / Double(k) * deviations[column]
            })
    }

    public func contributions(
        of features: Features, output: Int, context: LearningContext
    ) throws -> FeatureContributions? {
        let (columns, k) = (columnNames.count, scoreCount)
        let score = k == 1 ? 0 : output
        // Of two classes, the first's log odds are the second's with the other sign.
        let sign = settings.link == .logistic && output == 0 ? -1.0 : 1.0
        let own = (0...columns).map { sign * weights[$0 * k + score] }
        let base = own[columns] + zip(own, means).reduce(0) { $0 + $1.0 * $1.1 }
        var values = [Double](repeating: 0, count: features.rows * columns)
        for row in 0..<features.rows {
            for column in 0..<columns { values[row * columns + column] = -own[column] * means[column] }
            switch features.values {
            case .dense(let matrix):
                for column in 0..<columns {
                    values[row * columns + column] += own[column] * Double(matrix[row, column])
                }
            case .sparse(let matrix):
                for entry in matrix.range(ofRow: row) {
                    let column = Int(matrix.columnIndices[entry])
                    values[row * columns + column] += own[column] * Double(matrix.values[entry])
                }
            }
        }
        let scale =
            switch settings.link {
            case .identity: "value"
            case .logistic: "log odds"
            case .softmax, .oneVersusRest: "score"
            }
        return FeatureContributions(base: base, values: values, columns: columns, scale: scale)
    }
}

/// Means and standard deviations of columns.
enum ColumnMoments {
    static func of(_ features: Features, weights: [Double]?) -> (means: [Double], deviations: [Double]) {
        let columns = features.columns.count
        var (sums, squares) = ([Double](repeating: 0, count: columns), [Double](repeating: 0, count: columns))
        var total = 0.0
        for row in 0..<features.rows {
            let weight = weights?[row] ?? 1
            total += weight
            switch features.values {
            case .dense(let matrix):
                let values = matrix.row(row)
                for column in 0..<columns {
                    let value = Double(values[column])
                    sums[column] += weight * value
                    squares[column] += weight * value * value
                }
            case .sparse(let matrix):
                for entry in matrix.range(ofRow: row) {
                    let (column, value) = (Int(matrix.columnIndices[entry]), Double(matrix.values[entry]))
                    sums[column] += weight * value
                    squares[column] += weight * value * value
                }
            }
        }
        let means = sums.map { $0 / max(total, 1e-300) }
        return (means, zip(squares, means).map { max($0 / max(total, 1e-300) - $1 * $1, 0).squareRoot() })
    }
}
