import Core
import Tables

/// How good predictions are, beside those of somebody who knows nothing, with intervals.
public struct SupervisedEvaluation: Sendable {
    /// Figures with the central 95 % of their bootstrap over the rows.
    public let metrics: [(name: String, value: MetricValue)]
    /// The same figures of the majority class at its rate in the training data, or of the mean.
    public let baselines: [(name: String, metrics: [(name: String, value: MetricValue)])]
    /// Rows judged.
    public let rows: Int
    /// From which probability on a row was said to be positive; nil but for two classes.
    public let threshold: Double?
    /// Weight of each pair of class and predicted class, class after class; empty for regression.
    public let confusion: [Double]
    /// Tenths of the rows by probability; only for two classes.
    public let deciles: [LiftDecile]
    /// Mean probability against share of positives, by tenths; only for two classes.
    public let calibration: [(probability: Double, share: Double, weight: Double)]
    public let rocCurve: [(x: Double, y: Double, threshold: Double)]
    public let precisionRecallCurve: [(x: Double, y: Double, threshold: Double)]

    /// A figure by name.
    public func metric(_ name: String) -> Double? { metrics.first { $0.name == name }?.value.value }

    /// The names of the figures of a task, the first being the one that `compare` and `tune` go by.
    public static func metricNames(_ task: SupervisedTask.Kind) -> [String] {
        switch task {
        case .binary: BinaryMetrics.names
        case .multiclass: MulticlassMetrics.names
        case .regression: RegressionMetrics.names
        }
    }

    /// Whether more of a figure is better.
    public static func isHigherBetter(_ metric: String) -> Bool {
        let lower = ["log_loss", "brier", "calibration_error", "rmse", "mae", "median_absolute_error"]
        return !lower.contains(metric) && !metric.hasPrefix("pinball")
    }

    /// The figure that `compare` and `tune` go by when none is named.
    public static func primaryMetric(_ task: SupervisedTask.Kind) -> String {
        switch task {
        case .binary: "roc_auc"
        case .multiclass: "log_loss"
        case .regression: "rmse"
        }
    }

    /// Values of all figures, without intervals. O(rows · log rows).
    public static func values(
        _ predictions: HostMatrix, task: SupervisedTask, target: [Double], weights: [Double]? = nil,
        threshold: Double = 0.5
    ) -> [(name: String, value: Double)] {
        let weights = weights ?? [Double](repeating: 1, count: target.count)
        let values = figures(predictions, task: task, target: target, threshold: threshold)(weights)
        return Array(zip(metricNames(task.kind), values)).map { (name: $0.0, value: $0.1) }
    }

    /// Judges predictions.
    ///
    /// - Parameters:
    ///   - predictions: rows × outputs.
    ///   - target: the truth: numbers, or indices of classes.
    ///   - weights: of the rows; nil when all weigh 1.
    ///   - priors: what somebody knows who has only seen the target of the training data: rates of the classes, or the
    ///     mean.
    ///   - threshold: from which probability on a row is said to be positive, for two classes.
    ///   - seed: of the bootstrap.
    ///   - threads: among which resamples are shared out.
    /// - Complexity: O(resamples · rows), resamples falling from 1000 to 100 beyond 10,000 rows.
    public static func evaluate(
        _ predictions: HostMatrix, task: SupervisedTask, target: [Double], weights: [Double]? = nil,
        priors: [Double], threshold: Double = 0.5, seed: UInt64, threads: Int
    ) throws -> SupervisedEvaluation {
        guard !target.isEmpty else { throw DataError("there are no rows to judge the model by") }
        let weights = weights ?? [Double](repeating: 1, count: target.count)
        let names = metricNames(task.kind)
        func judged(_ predictions: HostMatrix) -> [(name: String, value: MetricValue)] {
            let figures = figures(predictions, task: task, target: target, threshold: threshold)
            let intervals = WeightedBootstrap.intervals(
                weights: weights, count: names.count, seed: seed, threads: threads, figures)
            return zip(names, intervals).map { ($0, $1) }
        }
        let knownNothing = HostMatrix(rows: target.count, columns: predictions.columns)
        for row in 0..<target.count {
            for column in 0..<predictions.columns { knownNothing[row, column] = Float(priors[column]) }
        }
        var (confusion, deciles): ([Double], [LiftDecile]) = ([], [])
        var calibration: [(probability: Double, share: Double, weight: Double)] = []
        var curves: ([(x: Double, y: Double, threshold: Double)], [(x: Double, y: Double, threshold: Double)]) = (
            [], []
        )
        switch task.kind {
        case .regression: break
        case .binary:
            let metrics = binaryMetrics(predictions, target: target, threshold: threshold)
            deciles = metrics.deciles(weights: weights)
            calibration = metrics.calibration(weights: weights)
            curves = (metrics.rocCurve(weights: weights), metrics.precisionRecallCurve(weights: weights))
            confusion = [0, 0, 0, 0]
            for row in target.indices {
                confusion[Int(target[row]) * 2 + (Double(predictions[row, 1]) >= threshold ? 1 : 0)] += weights[row]
            }
        case .multiclass:
            confusion = MulticlassMetrics(probabilities: predictions, target: target.map { Int($0) })
                .confusion(weights: weights)
        }
        return SupervisedEvaluation(
            metrics: judged(predictions),
            baselines: [(task.isClassification ? "majority" : "mean", judged(knownNothing))],
            rows: target.count, threshold: task.kind == .binary ? threshold : nil, confusion: confusion,
            deciles: deciles, calibration: calibration, rocCurve: curves.0, precisionRecallCurve: curves.1)
    }

    /// The best threshold for a decision's worth, and the profit there, on some rows.
    public static func profit(
        _ predictions: HostMatrix, target: [Double], weights: [Double]? = nil, value: DecisionValue
    ) -> ProfitThreshold {
        binaryMetrics(predictions, target: target, threshold: 0.5).bestThreshold(
            weights: weights ?? [Double](repeating: 1, count: target.count), value: value)
    }

    /// The profit of a threshold on some rows.
    public static func profit(
        _ predictions: HostMatrix, target: [Double], weights: [Double]? = nil, value: DecisionValue, threshold: Double
    ) -> Double {
        binaryMetrics(predictions, target: target, threshold: threshold).profit(
            weights: weights ?? [Double](repeating: 1, count: target.count), value: value, threshold: threshold)
    }

    private static func binaryMetrics(
        _ predictions: HostMatrix, target: [Double], threshold: Double
    ) -> BinaryMetrics {
        BinaryMetrics(
            scores: (0..<predictions.rows).map { Double(predictions[$0, 1]) }, positive: target.map { $0 == 1 },
            threshold: threshold)
    }

    private static func figures(
        _ predictions: HostMatrix, task: SupervisedTask, target: [Double], threshold: Double
    ) -> @Sendable ([Double]) -> [Double] {
        switch task.kind {
        case .binary:
            let metrics = binaryMetrics(predictions, target: target, threshold: threshold)
            return { metrics.values(weights: $0) }
        case .multiclass:
            let metrics = MulticlassMetrics(probabilities: predictions, target: target.map { Int($0) })
            return { metrics.values(weights: $0) }
        case .regression:
            let metrics = RegressionMetrics(
                predicted: (0..<predictions.rows).map { Double(predictions[$0, 0]) }, target: target)
            return { metrics.values(weights: $0) }
        }
    }
}

/// Bootstrap of figures that are functions of the rows' weights.
enum WeightedBootstrap {
    /// Resamples: 1000 up to 10,000 rows, then as many as take the same time, but at least 100.
    static func resamples(rows: Int) -> Int { min(1000, max(100, 10_000_000 / max(rows, 1))) }

    /// The figures on all rows, with the central 95 % of those on resamples in which a figure is defined. O(resamples · rows).
    static func intervals(
        weights: [Double], count: Int, seed: UInt64, threads: Int, _ figures: @Sendable ([Double]) -> [Double]
    ) -> [MetricValue] {
        let rows = weights.count
        let rounds = resamples(rows: rows)
        let random = Philox(seed: seed, stream: 0x5742_4F4F_5453)
        let samples = HostBuffer<Double>(repeating: .nan, count: rounds * count)
        Workers.share(tasks: rounds, threads: threads) { round in
            var resampled = [Double](repeating: 0, count: rows)
            let start = UInt64(round) * UInt64(rows)
            for draw in 0..<rows {
                let row = random.integer(start + UInt64(draw), below: rows)
                resampled[row] += weights[row]
            }
            for (place, value) in figures(resampled).enumerated() {
                (samples.baseAddress + round * count)[place] = value
            }
        }
        return zip(0..<count, figures(weights)).map { place, value in
            let sorted = (0..<rounds).map { samples[$0 * count + place] }.filter { !$0.isNaN }.sorted()
            guard !sorted.isEmpty else { return MetricValue(value: value, low: value, high: value) }
            return MetricValue(
                value: value, low: sorted[Int(0.025 * Double(sorted.count - 1))],
                high: sorted[Int((0.975 * Double(sorted.count - 1)).rounded(.up))])
        }
    }
}
