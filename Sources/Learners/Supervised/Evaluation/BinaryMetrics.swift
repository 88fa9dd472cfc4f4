import Core

/// How well probabilities of a positive class tell the two classes apart.
///
/// Sorted once; every figure is then a sum over that order with weights, so that a resample of the bootstrap is another
/// set of weights and costs O(rows).
struct BinaryMetrics {
    /// The figures, in the order of what ``values(weights:)`` gives.
    static let names = [
        "roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "balanced_accuracy", "precision", "recall", "f1",
        "lift@10%", "gain@10%", "calibration_error",
    ]
    /// Probabilities nearer to 0 or 1 count as this in the log loss: one unit of float32, as scikit-learn does for
    /// predictions of that type.
    static let smallestProbability = 1.1920928955078125e-07
    /// Bins of equal width of the calibration error.
    static let bins = 10

    private let order: [Int]
    private let scores: [Double]
    private let positive: [Bool]
    private let threshold: Double

    /// - Parameters:
    ///   - scores: probability of the positive class of each row.
    ///   - positive: whether the row belongs to it.
    ///   - threshold: from which probability on a row is said to be positive.
    init(scores: [Double], positive: [Bool], threshold: Double) {
        let order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        self.order = order
        self.scores = order.map { scores[$0] }
        self.positive = order.map { positive[$0] }
        self.threshold = threshold
    }

    /// Values by ``names``; NaN where one is not defined (no positives, no rows).
    func values(weights: [Double]) -> [Double] {
        var (positives, negatives) = (0.0, 0.0)
        var (truePositives, falsePositives) = (0.0, 0.0)
        var (loss, squares) = (0.0, 0.0)
        var binSums = [Double](repeating: 0, count: 3 * Self.bins)
        for place in order.indices {
            let weight = weights[order[place]]
            if weight == 0 { continue }
            let score = scores[place]
            let isPositive = positive[place]
            if isPositive { positives += weight } else { negatives += weight }
            if score >= threshold {
                if isPositive { truePositives += weight } else { falsePositives += weight }
            }
            let likelihood = min(max(isPositive ? score : 1 - score, Self.smallestProbability), 1)
            loss -= weight * logarithm(likelihood)
            let difference = score - (isPositive ? 1 : 0)
            squares += weight * difference * difference
            let bin = min(max(Int(score * Double(Self.bins)), 0), Self.bins - 1)
            binSums[3 * bin] += weight
            binSums[3 * bin + 1] += weight * score
            if isPositive { binSums[3 * bin + 2] += weight }
        }
        let total = positives + negatives
        let (auc, averagePrecision) = areas(weights: weights, positives: positives, negatives: negatives)
        let falseNegatives = positives - truePositives
        let trueNegatives = negatives - falsePositives
        let precision = truePositives + falsePositives > 0 ? truePositives / (truePositives + falsePositives) : 0
        let recall = truePositives / positives
        let found = found(atShare: 0.1, weights: weights, total: total)
        var calibration = 0.0
        for bin in 0..<Self.bins { calibration += abs(binSums[3 * bin + 1] - binSums[3 * bin + 2]) }
        return [
            auc, averagePrecision, loss / total, squares / total, (truePositives + trueNegatives) / total,
            (recall + trueNegatives / negatives) / 2, precision, recall,
            2 * truePositives / (2 * truePositives + falsePositives + falseNegatives),
            found / (0.1 * positives), found / positives, calibration / total,
        ]
    }

    /// Areas under the ROC curve (ties count half) and the precision–recall curve (average precision, as a step function).
    private func areas(weights: [Double], positives: Double, negatives: Double) -> (roc: Double, precision: Double) {
        var (area, average) = (0.0, 0.0)
        var (above, belowOrEqual) = (0.0, 0.0)
        var place = 0
        while place < order.count {
            let score = scores[place]
            var (tiedPositives, tiedNegatives) = (0.0, 0.0)
            while place < order.count, scores[place] == score {
                let weight = weights[order[place]]
                if positive[place] { tiedPositives += weight } else { tiedNegatives += weight }
                place += 1
            }
            area += tiedNegatives * (above + tiedPositives / 2)
            above += tiedPositives
            belowOrEqual += tiedNegatives
            if tiedPositives > 0 { average += tiedPositives / positives * above / (above + belowOrEqual) }
        }
        return (area / (positives * negatives), positives > 0 ? average : .nan)
    }

    /// Weight of the positives among the best `share` of all; rows of equal score are taken in part.
    private func found(atShare share: Double, weights: [Double], total: Double) -> Double {
        let room = share * total
        var (taken, found) = (0.0, 0.0)
        var place = 0
        while place < order.count, taken < room {
            let score = scores[place]
            var (tied, tiedPositives) = (0.0, 0.0)
            while place < order.count, scores[place] == score {
                let weight = weights[order[place]]
                tied += weight
                if positive[place] { tiedPositives += weight }
                place += 1
            }
            let part = tied > 0 ? min(1, (room - taken) / tied) : 0
            found += part * tiedPositives
            taken += tied
        }
        return found
    }

    // MARK: Curves

    /// Points of the ROC curve: (false positive rate, true positive rate, threshold), thinned to `limit` points.
    func rocCurve(weights: [Double], limit: Int = 400) -> [(x: Double, y: Double, threshold: Double)] {
        var points: [(x: Double, y: Double, threshold: Double)] = [(0, 0, .infinity)]
        let (positives, negatives) = totals(weights)
        var (above, below) = (0.0, 0.0)
        for place in order.indices {
            let weight = weights[order[place]]
            if positive[place] { above += weight } else { below += weight }
            if place + 1 == order.count || scores[place + 1] != scores[place] {
                points.append((below / negatives, above / positives, scores[place]))
            }
        }
        return thinned(points, limit)
    }

    /// Points of the precision–recall curve: (recall, precision, threshold), thinned to `limit` points.
    func precisionRecallCurve(weights: [Double], limit: Int = 400) -> [(x: Double, y: Double, threshold: Double)] {
        var points: [(x: Double, y: Double, threshold: Double)] = []
        let (positives, _) = totals(weights)
        var (above, below) = (0.0, 0.0)
        for place in order.indices {
            let weight = weights[order[place]]
            if positive[place] { above += weight } else { below += weight }
            if place + 1 == order.count || scores[place + 1] != scores[place], above + below > 0 {
                points.append((above / positives, above / (above + below), scores[place]))
            }
        }
        return thinned(points, limit)
    }

    private func totals(_ weights: [Double]) -> (positives: Double, negatives: Double) {
        var (positives, negatives) = (0.0, 0.0)
        for place in order.indices {
            if positive[place] { positives += weights[order[place]] } else { negatives += weights[order[place]] }
        }
        return (positives, negatives)
    }

    private func thinned<Point>(_ points: [Point], _ limit: Int) -> [Point] {
        guard points.count > limit, let last = points.last else { return points }
        return (0..<limit - 1).map { points[$0 * (points.count - 1) / (limit - 1)] } + [last]
    }

    /// The rows in ten parts of equal weight, from the likeliest to the least likely.
    func deciles(weights: [Double]) -> [LiftDecile] {
        let (positives, negatives) = totals(weights)
        let total = positives + negatives
        guard total > 0 else { return [] }
        var (counts, found, expected) = (
            [Double](repeating: 0, count: 10), [Double](repeating: 0, count: 10), [Double](repeating: 0, count: 10)
        )
        var lowest = [Double](repeating: .infinity, count: 10)
        var taken = 0.0
        for place in order.indices {
            let weight = weights[order[place]]
            let decile = min(Int(10 * (taken + weight / 2) / total), 9)
            taken += weight
            counts[decile] += weight
            expected[decile] += weight * scores[place]
            lowest[decile] = min(lowest[decile], scores[place])
            if positive[place] { found[decile] += weight }
        }
        var sum = 0.0
        var seen = 0.0
        return (0..<10).map { decile in
            sum += found[decile]
            seen += counts[decile]
            let rate = counts[decile] > 0 ? found[decile] / counts[decile] : .nan
            return LiftDecile(
                decile: decile + 1, weight: counts[decile], positives: found[decile],
                meanProbability: counts[decile] > 0 ? expected[decile] / counts[decile] : .nan,
                lowestProbability: lowest[decile], rate: rate, lift: rate / (positives / total),
                cumulativeGain: positives > 0 ? sum / positives : .nan,
                cumulativeLift: seen > 0 ? sum / seen / (positives / total) : .nan)
        }
    }

    /// Mean probability against share of positives, in ten bins of equal weight.
    func calibration(weights: [Double]) -> [(probability: Double, share: Double, weight: Double)] {
        deciles(weights: weights).reversed().filter { $0.weight > 0 }.map {
            ($0.meanProbability, $0.rate, $0.weight)
        }
    }

    /// The threshold that earns most, when each true positive earns `value.truePositive` and so on.
    func bestThreshold(weights: [Double], value: DecisionValue) -> ProfitThreshold {
        let (positives, negatives) = totals(weights)
        var profit = positives * value.falseNegative + negatives * value.trueNegative
        var best = ProfitThreshold(threshold: .infinity, profit: profit, share: 0)
        let total = positives + negatives
        var taken = 0.0
        for place in order.indices {
            let weight = weights[order[place]]
            taken += weight
            profit +=
                weight
                * (positive[place]
                    ? value.truePositive - value.falseNegative : value.falsePositive - value.trueNegative)
            let ends = place + 1 == order.count || scores[place + 1] != scores[place]
            if ends, profit > best.profit {
                best = ProfitThreshold(threshold: scores[place], profit: profit, share: taken / total)
            }
        }
        return best
    }

    /// Profit of saying positive from `threshold` on.
    func profit(weights: [Double], value: DecisionValue, threshold: Double) -> Double {
        var profit = 0.0
        for place in order.indices {
            let weight = weights[order[place]]
            if scores[place] >= threshold {
                profit += weight * (positive[place] ? value.truePositive : value.falsePositive)
            } else {
                profit += weight * (positive[place] ? value.falseNegative : value.trueNegative)
            }
        }
        return profit
    }
}

/// A tenth of the rows, by probability.
public struct LiftDecile: Sendable {
    /// From 1, the likeliest.
    public let decile: Int
    /// Rows, or their weight.
    public let weight: Double
    public let positives: Double
    public let meanProbability: Double
    public let lowestProbability: Double
    /// Share of positives.
    public let rate: Double
    /// The rate over that of all rows.
    public let lift: Double
    /// Share of all positives in this decile and those before it.
    public let cumulativeGain: Double
    /// Rate of this decile and those before it over that of all rows.
    public let cumulativeLift: Double
}

/// What each kind of decision is worth, in money: `tp=40,fp=-2`.
public struct DecisionValue: Sendable, Codable, Equatable {
    public var truePositive: Double
    public var falsePositive: Double
    public var trueNegative: Double
    public var falseNegative: Double

    public init(truePositive: Double, falsePositive: Double, trueNegative: Double = 0, falseNegative: Double = 0) {
        self.truePositive = truePositive
        self.falsePositive = falsePositive
        self.trueNegative = trueNegative
        self.falseNegative = falseNegative
    }

    /// From a text such as `tp=40,fp=-2`; what is not named is worth 0.
    /// Throws ``ParameterError`` for another form.
    public init(_ text: String) throws {
        self.init(truePositive: 0, falsePositive: 0)
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let value = Double(parts[1]), value.isFinite else {
                throw ParameterError("value", "expects tp=40,fp=-2 (also tn and fn), not `\(text)`")
            }
            switch parts[0] {
            case "tp": truePositive = value
            case "fp": falsePositive = value
            case "tn": trueNegative = value
            case "fn": falseNegative = value
            default: throw ParameterError("value", "`\(parts[0])` is none of tp, fp, tn, fn")
            }
        }
    }

    /// From which probability on a positive decision is worth more than a negative one, if the probabilities are right;
    /// nil when one decision is always the better.
    public var threshold: Double? {
        let gain = truePositive - falseNegative
        let cost = trueNegative - falsePositive
        guard gain + cost > 0, gain >= 0, cost >= 0 else { return nil }
        return cost / (gain + cost)
    }
}

/// The threshold that earned most on some rows.
public struct ProfitThreshold: Sendable, Codable, Equatable {
    /// From which probability on a row is said to be positive; infinite when nobody is.
    public let threshold: Double
    /// Sum over the rows.
    public let profit: Double
    /// Share of the rows that are said to be positive.
    public let share: Double
}
