import Core
import Tables

/// Figures of one pipeline, fold by fold.
public struct CrossValidated: Sendable {
    /// Values of all figures, in the order of ``SupervisedEvaluation/metricNames(_:)``, for each fold.
    public let folds: [[Double]]
    public let names: [String]
    /// Seconds for fits and predictions, all folds together.
    public let seconds: (fit: Double, predict: Double)

    /// A figure of every fold.
    public func values(_ metric: String) -> [Double] {
        guard let place = names.firstIndex(of: metric) else { return [] }
        return folds.map { $0[place] }
    }

    /// The mean of a figure over the folds.
    public func mean(_ metric: String) -> Double {
        let values = values(metric)
        return values.reduce(0, +) / Double(max(values.count, 1))
    }
}

/// Fits a pipeline on each fold's training part and judges it by its test part: preprocessing, sampling and calibration
/// see the training part only.
public enum CrossValidation {
    public static func run(
        _ pipeline: TablePipeline, on data: SupervisedTable, folds: [Fold], context: LearningContext,
        afterFold: (Int) throws -> Void = { _ in }
    ) throws -> CrossValidated {
        var (results, fitSeconds, predictSeconds): ([[Double]], Double, Double) = ([], 0, 0)
        for (number, fold) in folds.enumerated() {
            let started = monotonicSeconds()
            let fitted = try pipeline.fit(data.selecting(rows: fold.training), context: context.silent)
            let trained = monotonicSeconds()
            let test = data.selecting(rows: fold.test)
            let predictions = try fitted.predict(test.table, context: context.silent)
            results.append(
                SupervisedEvaluation.values(predictions, task: data.task, target: test.target, weights: test.weights)
                    .map(\.value))
            fitSeconds += trained - started
            predictSeconds += monotonicSeconds() - trained
            try afterFold(number)
        }
        return CrossValidated(
            folds: results, names: SupervisedEvaluation.metricNames(data.task.kind),
            seconds: (fitSeconds, predictSeconds))
    }

    /// The same figures of somebody who knows only the target of the training part.
    public static func baseline(_ data: SupervisedTable, folds: [Fold]) -> CrossValidated {
        let results = folds.map { fold -> [Double] in
            let priors = data.selecting(rows: fold.training).priors
            let test = data.selecting(rows: fold.test)
            let predictions = HostMatrix(rows: test.rows, columns: data.task.outputs)
            for row in 0..<test.rows {
                for output in priors.indices { predictions[row, output] = Float(priors[output]) }
            }
            return SupervisedEvaluation.values(
                predictions, task: data.task, target: test.target, weights: test.weights
            ).map(\.value)
        }
        return CrossValidated(
            folds: results, names: SupervisedEvaluation.metricNames(data.task.kind), seconds: (0, 0))
    }
}

/// Several learners on the same folds.
public struct LearnerComparison: Sendable {
    public struct Entry: Sendable {
        public let name: String
        /// Figures; nil when the learner failed.
        public let result: CrossValidated?
        /// Why it failed.
        public let failure: String?
        /// Of the paired test against the best learner, Holm's correction applied; nil for the best itself.
        public let pValue: Double?
        /// The mean difference to the best learner in the deciding figure; negative is worse.
        public let difference: Double?
        /// The central 95 % of the mean of the deciding figure, by the corrected variance.
        public let interval: (low: Double, high: Double)?
    }

    /// By the deciding figure, the best first; failures last.
    public let entries: [Entry]
    public let baseline: CrossValidated
    public let metric: String
    public let foldCount: Int

    /// Fits every pipeline on every fold.
    ///
    /// Differences are judged by the t-test with the variance corrected for training parts that overlap (Nadeau and
    /// Bengio 2003), and Holm's correction for the number of learners.
    /// - Parameter metric: the deciding figure; nil: ``SupervisedEvaluation/primaryMetric(_:)``.
    public static func run(
        _ pipelines: [(name: String, pipeline: TablePipeline)], on data: SupervisedTable, folds: [Fold],
        metric: String? = nil, context: LearningContext
    ) throws -> LearnerComparison {
        let metric = metric ?? SupervisedEvaluation.primaryMetric(data.task.kind)
        let names = SupervisedEvaluation.metricNames(data.task.kind)
        guard names.contains(metric) else {
            throw ParameterError("metric", "`\(metric)` is none of \(names.joined(separator: ", "))")
        }
        var results: [(name: String, result: CrossValidated?, failure: String?)] = []
        let total = pipelines.count * folds.count
        for (number, entry) in pipelines.enumerated() {
            do {
                let result = try CrossValidation.run(entry.pipeline, on: data, folds: folds, context: context) { fold in
                    try context.report(
                        "compare", completed: number * folds.count + fold + 1, total: total, unit: "fits")
                }
                results.append((entry.name, result, nil))
            } catch let error as CancellationError {
                throw error
            } catch {
                // One learner that can't do with these data must not lose the others' results.
                results.append((entry.name, nil, "\(error)"))
            }
        }
        let ratio =
            folds.reduce(0.0) { $0 + Double($1.test.count) / Double(max($1.training.count, 1)) } / Double(folds.count)
        return LearnerComparison(
            entries: ranked(results, metric: metric, testToTraining: ratio),
            baseline: CrossValidation.baseline(data, folds: folds), metric: metric, foldCount: folds.count)
    }

    private static func ranked(
        _ results: [(name: String, result: CrossValidated?, failure: String?)], metric: String, testToTraining: Double
    ) -> [Entry] {
        let sign = SupervisedEvaluation.isHigherBetter(metric) ? 1.0 : -1.0
        func score(_ result: CrossValidated?) -> Double {
            guard let mean = result?.mean(metric), mean.isFinite else { return -.infinity }
            return sign * mean
        }
        let ordered = results.enumerated().sorted {
            let (a, b) = (score($0.element.result), score($1.element.result))
            return a != b ? a > b : $0.offset < $1.offset
        }.map(\.element)
        guard let best = ordered.first?.result?.values(metric) else {
            return ordered.map {
                Entry(
                    name: $0.name, result: $0.result, failure: $0.failure, pValue: nil, difference: nil, interval: nil)
            }
        }
        var raw: [(place: Int, p: Double)] = []
        var differences = [Double?](repeating: nil, count: ordered.count)
        for (place, entry) in ordered.enumerated().dropFirst() {
            guard let own = entry.result?.values(metric) else { continue }
            let gaps = zip(own, best).map { sign * ($0 - $1) }
            differences[place] = gaps.reduce(0, +) / Double(gaps.count)
            raw.append((place, PairedTest.pValue(gaps, testToTraining: testToTraining)))
        }
        let adjusted = PairedTest.holm(raw)
        return ordered.enumerated().map { place, entry in
            Entry(
                name: entry.name, result: entry.result, failure: entry.failure, pValue: adjusted[place],
                difference: differences[place],
                interval: entry.result.map {
                    PairedTest.interval($0.values(metric), testToTraining: testToTraining)
                })
        }
    }
}

/// The corrected resampled t-test.
enum PairedTest {
    /// Two-sided p of the mean difference being 0. 1 for equal results, and where there is only one fold.
    static func pValue(_ differences: [Double], testToTraining: Double) -> Double {
        let n = Double(differences.count)
        guard n >= 2 else { return 1 }
        let mean = differences.reduce(0, +) / n
        let variance = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
        guard variance > 0 else { return mean == 0 ? 1 : 0 }
        let t = mean / ((1 / n + testToTraining) * variance).squareRoot()
        return StudentDistribution.twoSided(t, freedom: n - 1)
    }

    /// The central 95 % of a mean over folds.
    static func interval(_ values: [Double], testToTraining: Double) -> (low: Double, high: Double) {
        let n = Double(values.count)
        let mean = values.reduce(0, +) / n
        guard n >= 2 else { return (mean, mean) }
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
        let half =
            StudentDistribution.quantile975(freedom: n - 1) * ((1 / n + testToTraining) * variance).squareRoot()
        return (mean - half, mean + half)
    }

    /// Holm's step-down correction, by place.
    static func holm(_ raw: [(place: Int, p: Double)]) -> [Int: Double] {
        var (result, largest): ([Int: Double], Double) = ([:], 0)
        for (rank, entry) in raw.sorted(by: { $0.p != $1.p ? $0.p < $1.p : $0.place < $1.place }).enumerated() {
            largest = max(largest, min(1, entry.p * Double(raw.count - rank)))
            result[entry.place] = largest
        }
        return result
    }
}

/// Student's t distribution.
enum StudentDistribution {
    /// P(|T| ≥ |t|).
    static func twoSided(_ t: Double, freedom: Double) -> Double {
        incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5)
    }

    /// The t below which 97.5 % lie, by bisection.
    static func quantile975(freedom: Double) -> Double {
        var (low, high) = (0.0, 1000.0)
        for _ in 0..<100 {
            let middle = (low + high) / 2
            if twoSided(middle, freedom: freedom) > 0.05 { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }

    /// The regularized incomplete beta function, by Lentz's continued fraction (Numerical Recipes 6.4).
    static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
        if x <= 0 { return 0 }
        if x >= 1 { return 1 }
        let front = exponential(
            logGamma(a + b) - logGamma(a) - logGamma(b) + a * logarithm(x) + b * logarithm(1 - x))
        return x < (a + 1) / (a + b + 2)
            ? front * fraction(x, a, b) / a : 1 - front * fraction(1 - x, b, a) / b
    }

    private static func fraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
        func bounded(_ value: Double) -> Double { abs(value) < 1e-300 ? 1e-300 : value }
        var c = 1.0
        var d = 1 / bounded(1 - (a + b) * x / (a + 1))
        var h = d
        for step in 1...500 {
            let m = Double(step)
            let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            d = 1 / bounded(1 + even * d)
            c = bounded(1 + even / c)
            h *= d * c
            let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 / bounded(1 + odd * d)
            c = bounded(1 + odd / c)
            let change = d * c
            h *= change
            if abs(change - 1) < 1e-15 { break }
        }
        return h
    }
}
