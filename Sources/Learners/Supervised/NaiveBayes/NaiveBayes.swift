import Core
import Tables

/// Naive Bayes: classes by the product of each column's likelihood. One pass over the data; a good first answer for texts.
public struct NaiveBayes: SupervisedLearner {
    public typealias Predictor = NaiveBayesPredictor

    /// How a column's values are distributed within a class.
    public enum Variant: String, Codable, Sendable, CaseIterable {
        /// Multinomial for sparse features that are not negative (words), else binned.
        case auto
        /// Numbers in ranges of equally many rows, categories by their levels: of any distribution.
        case binned
        /// Counts, or weights, of words.
        case multinomial
        /// The multinomial of all other classes, for classes of unlike size (Rennie et al. 2003).
        case complement
        /// Whether a value is above ``NaiveBayes/binarize``.
        case bernoulli
        /// Numbers, normally distributed.
        case gaussian
    }

    public static let kind = "naive-bayes"
    public static let title = "Naive Bayes"
    public static let tasks: Set<SupervisedTask.Kind> = [.binary, .multiclass]
    public static let searchSpace: [SearchDimension] = [.range("alpha", 1e-3, 10, logarithmic: true)]

    public var variant = Variant.auto
    /// Added to every count, above 0 (Laplace smoothing is 1).
    public var alpha = 1.0
    /// Bernoulli: values above count as there.
    public var binarize = 0.0
    /// Binned: ranges of a number, 2 to 1000.
    public var bins = 10
    /// Gaussian: this share of the largest variance is added to all.
    public var varianceFloor = 1e-9
    /// Whether the classes' rates are learned, or all taken for alike.
    public var learnsPriors = true
    public var seed: UInt64 = 42

    public init() {}

    public static let needsCalibration = true
    public var featureStyle: FeatureStyle { .counts }

    public func validate() throws {
        guard alpha > 0, alpha.isFinite else { throw ParameterError("alpha", "must be above 0, not \(alpha)") }
        guard (2...1000).contains(bins) else { throw ParameterError("bins", "must be from 2 to 1000, not \(bins)") }
        guard varianceFloor >= 0 else { throw ParameterError("varianceFloor", "must be 0 or more") }
    }

    public func fit(_ training: TrainingSet, context: LearningContext) throws -> NaiveBayesPredictor {
        try validate()
        try training.validate()
        guard training.task.isClassification else {
            throw ParameterError("naive-bayes", "predicts classes; for numbers use linear")
        }
        let design = try DesignMatrix(training.features, threads: context.threads)
        try context.report(completed: 0, total: 1, unit: "passes")
        let chosen = try resolvedVariant(design)
        let classWeights = training.classWeights
        let total = classWeights.reduce(0, +)
        let logPriors = classWeights.map {
            learnsPriors ? logarithm($0 / total) : -logarithm(Double(classWeights.count))
        }
        let parameters: NaiveBayesPredictor.Parameters
        if chosen == .binned {
            parameters = .binned(
                try BinnedLikelihoods(training, bins: bins, alpha: alpha, classWeights: classWeights),
                logPriors: logPriors)
            return NaiveBayesPredictor(
                settings: .init(variant: chosen, binarize: binarize), parameters: parameters, training: training)
        }
        let statistics = ClassStatistics(training, design: design)
        switch chosen {
        case .multinomial, .auto, .binned:
            parameters = .linear(multinomial(statistics.sums, design.columns, logPriors))
        case .complement: parameters = .linear(complement(statistics.sums, design.columns, logPriors))
        case .bernoulli:
            let present = statistics.presence(above: Float(binarize))
            parameters = .linear(bernoulli(present, classWeights, design.columns, logPriors))
        case .gaussian:
            parameters = gaussian(statistics, classWeights, logPriors)
        }
        return NaiveBayesPredictor(
            settings: .init(variant: chosen, binarize: binarize), parameters: parameters, training: training)
    }

    private func resolvedVariant(_ design: DesignMatrix) throws -> Variant {
        func isNegativeFree() -> Bool {
            switch design.values {
            case .dense(let matrix): matrix.storage.elements.allSatisfy { $0 >= 0 }
            case .sparse(let matrix): matrix.values.elements.allSatisfy { $0 >= 0 }
            }
        }
        switch variant {
        case .auto: return design.isSparse && isNegativeFree() ? .multinomial : .binned
        case .multinomial, .complement:
            guard isNegativeFree() else {
                throw DataError(
                    "naive Bayes of counts needs values of 0 and more; use --variant gaussian, or a recipe without scaling"
                )
            }
            return variant
        default: return variant
        }
    }

    /// columns + 1 rows of a coefficient for each class, priors last.
    private func multinomial(_ sums: [Double], _ columns: Int, _ logPriors: [Double]) -> [Double] {
        let k = logPriors.count
        var weights = [Double](repeating: 0, count: columns * k) + logPriors
        for output in 0..<k {
            var total = 0.0
            for column in 0..<columns { total += sums[column * k + output] + alpha }
            let logTotal = logarithm(total)
            for column in 0..<columns {
                weights[column * k + output] = logarithm(sums[column * k + output] + alpha) - logTotal
            }
        }
        return weights
    }

    private func complement(_ sums: [Double], _ columns: Int, _ logPriors: [Double]) -> [Double] {
        let k = logPriors.count
        var weights = [Double](repeating: 0, count: (columns + 1) * k)
        let all = (0..<columns).map { column in (0..<k).reduce(0.0) { $0 + sums[column * k + $1] } }
        for output in 0..<k {
            var total = 0.0
            for column in 0..<columns { total += all[column] - sums[column * k + output] + alpha }
            let logTotal = logarithm(total)
            for column in 0..<columns {
                weights[column * k + output] = logTotal - logarithm(all[column] - sums[column * k + output] + alpha)
            }
        }
        return weights
    }

    private func bernoulli(
        _ present: [Double], _ classWeights: [Double], _ columns: Int, _ logPriors: [Double]
    ) -> [Double] {
        let k = logPriors.count
        var weights = [Double](repeating: 0, count: columns * k) + logPriors
        for output in 0..<k {
            for column in 0..<columns {
                let p = (present[column * k + output] + alpha) / (classWeights[output] + 2 * alpha)
                let absent = logarithm(1 - p)
                weights[column * k + output] = logarithm(p) - absent
                weights[columns * k + output] += absent
            }
        }
        return weights
    }

    private func gaussian(
        _ statistics: ClassStatistics, _ classWeights: [Double], _ logPriors: [Double]
    ) -> NaiveBayesPredictor.Parameters {
        let moments = statistics.moments(classWeights: classWeights)
        let floor = varianceFloor * moments.largestVariance
        return .gaussian(
            means: moments.means, variances: moments.variances.map { max($0 + floor, 1e-300) }, logPriors: logPriors)
    }
}

/// Sums over the rows of each class.
struct ClassStatistics {
    private let training: TrainingSet
    private let design: DesignMatrix
    private let k: Int
    /// columns × classes: weighted sums of the values.
    let sums: [Double]

    init(_ training: TrainingSet, design: DesignMatrix) {
        self.training = training
        self.design = design
        k = training.task.labels.count
        sums = Self.sums(training, design) { Double($0) }
    }

    private static func sums(
        _ training: TrainingSet, _ design: DesignMatrix, _ value: (Float) -> Double
    ) -> [Double] {
        let (columns, k) = (design.columns, training.task.labels.count)
        var sums = [Double](repeating: 0, count: columns * k)
        for row in 0..<training.rows {
            let (output, weight) = (Int(training.target[row]), training.weight(row))
            switch design.values {
            case .dense(let matrix):
                let values = matrix.row(row)
                for column in 0..<columns { sums[column * k + output] += weight * value(values[column]) }
            case .sparse(let matrix):
                for entry in matrix.range(ofRow: row) {
                    sums[Int(matrix.columnIndices[entry]) * k + output] += weight * value(matrix.values[entry])
                }
            }
        }
        return sums
    }

    /// columns × classes: weight of the rows with a value above `threshold`.
    func presence(above threshold: Float) -> [Double] {
        let counted = Self.sums(training, design) { $0 > threshold ? 1 : 0 }
        guard design.isSparse, threshold < 0 else { return counted }
        // What is not stored is 0, and 0 is above the threshold.
        let stored = Self.sums(training, design) { _ in 1 }
        let weights = training.classWeights
        return counted.indices.map { counted[$0] + weights[$0 % k] - stored[$0] }
    }

    /// Means and (population) variances of each class, in two passes, and the largest variance of a column over all rows.
    func moments(classWeights: [Double]) -> (means: [Double], variances: [Double], largestVariance: Double) {
        let columns = design.columns
        let means = sums.indices.map { sums[$0] / classWeights[$0 % k] }
        var squares = [Double](repeating: 0, count: columns * k)
        var stored = [Double](repeating: 0, count: columns * k)
        for row in 0..<training.rows {
            let (output, weight) = (Int(training.target[row]), training.weight(row))
            func add(_ column: Int, _ value: Float) {
                let difference = Double(value) - means[column * k + output]
                squares[column * k + output] += weight * difference * difference
                stored[column * k + output] += weight
            }
            switch design.values {
            case .dense(let matrix):
                let values = matrix.row(row)
                for column in 0..<columns { add(column, values[column]) }
            case .sparse(let matrix):
                for entry in matrix.range(ofRow: row) { add(Int(matrix.columnIndices[entry]), matrix.values[entry]) }
            }
        }
        let total = classWeights.reduce(0, +)
        var largest = 0.0
        for column in 0..<columns {
            var (mean, square) = (0.0, 0.0)
            for output in 0..<k {
                let place = column * k + output
                // Values that are not stored are 0.
                squares[place] += (classWeights[output] - stored[place]) * means[place] * means[place]
                mean += sums[place]
                square += squares[place] + classWeights[output] * means[place] * means[place]
            }
            mean /= total
            largest = max(largest, square / total - mean * mean)
        }
        return (means, squares.indices.map { squares[$0] / classWeights[$0 % k] }, largest)
    }
}
