import Core

/// Probabilities put right: fitted on predictions for rows that the learner had not seen.
///
/// For several classes, each one against the rest, divided by their sum.
public struct Calibration: Codable, Sendable, Equatable {
    public let kind: CalibrationKind
    /// One for each class (for two classes, for the positive one only).
    let curves: [Curve]

    /// A rising function from a probability to a probability.
    enum Curve: Codable, Sendable, Equatable {
        /// 1 / (1 + exp(slope · log odds + offset)).
        case logistic(slope: Double, offset: Double)
        /// Linear between points, flat outside.
        case steps(scores: [Double], values: [Double])

        func value(_ probability: Double) -> Double {
            switch self {
            case .logistic(let slope, let offset):
                return 1 / (1 + exponential(slope * Calibration.logOdds(probability) + offset))
            case .steps(let scores, let values):
                guard let first = scores.first, let last = scores.last else { return probability }
                if probability <= first { return values[0] }
                if probability >= last { return values[values.count - 1] }
                var (low, high) = (0, scores.count - 1)
                while high - low > 1 {
                    let middle = (low + high) / 2
                    if scores[middle] <= probability { low = middle } else { high = middle }
                }
                let span = scores[high] - scores[low]
                return values[low] + (span > 0 ? (values[high] - values[low]) * (probability - scores[low]) / span : 0)
            }
        }
    }

    /// - Parameters:
    ///   - kind: `platt` or `isotonic`.
    ///   - predictions: rows × classes, of rows that were not learned from.
    ///   - target: indices of the classes.
    public init(
        _ kind: CalibrationKind, predictions: HostMatrix, target: [Double], weights: [Double]?, task: SupervisedTask
    ) throws {
        guard task.isClassification else { throw ParameterError("calibration", "is for probabilities") }
        self.kind = kind
        let classes = task.kind == .binary ? [1] : Array(0..<task.outputs)
        curves = classes.map { place in
            let scores = (0..<predictions.rows).map { Double(predictions[$0, place]) }
            let positive = target.map { Int($0) == place }
            return kind == .isotonic
                ? Self.isotonic(scores, positive, weights) : Self.platt(scores, positive, weights)
        }
    }

    /// The predictions put right.
    public func apply(_ predictions: HostMatrix) -> HostMatrix {
        let result = HostMatrix(rows: predictions.rows, columns: predictions.columns)
        for row in 0..<predictions.rows {
            if curves.count == 1 {
                let value = curves[0].value(Double(predictions[row, 1]))
                (result[row, 0], result[row, 1]) = (Float(1 - value), Float(value))
                continue
            }
            let values = curves.indices.map { curves[$0].value(Double(predictions[row, $0])) }
            let sum = values.reduce(0, +)
            for (place, value) in values.enumerated() {
                result[row, place] = Float(sum > 0 ? value / sum : 1 / Double(values.count))
            }
        }
        return result
    }

    static func logOdds(_ probability: Double) -> Double {
        let bounded = min(max(probability, 1e-7), 1 - 1e-7)
        return logarithm(bounded / (1 - bounded))
    }

    /// Newton's method with Platt's targets (Lin, Lin and Weng 2007).
    private static func platt(_ scores: [Double], _ positive: [Bool], _ weights: [Double]?) -> Curve {
        let values = scores.map(logOdds)
        var (positives, negatives) = (0.0, 0.0)
        for row in scores.indices {
            if positive[row] { positives += weights?[row] ?? 1 } else { negatives += weights?[row] ?? 1 }
        }
        let (high, low) = ((positives + 1) / (positives + 2), 1 / (negatives + 2))
        func loss(_ a: Double, _ b: Double) -> Double {
            var sum = 0.0
            for row in values.indices {
                let (t, f) = (positive[row] ? high : low, values[row] * a + b)
                let own =
                    f >= 0
                    ? t * f + logarithmOfOnePlus(exponential(-f)) : (t - 1) * f + logarithmOfOnePlus(exponential(f))
                sum += (weights?[row] ?? 1) * own
            }
            return sum
        }
        var (a, b) = (0.0, logarithm((negatives + 1) / (positives + 1)))
        var current = loss(a, b)
        for _ in 0..<100 {
            var (haa, hbb, hab, ga, gb) = (1e-12, 1e-12, 0.0, 0.0, 0.0)
            for row in values.indices {
                let f = values[row] * a + b
                let p = f >= 0 ? exponential(-f) / (1 + exponential(-f)) : 1 / (1 + exponential(f))
                let weight = weights?[row] ?? 1
                let curvature = weight * p * (1 - p)
                haa += values[row] * values[row] * curvature
                hbb += curvature
                hab += values[row] * curvature
                let difference = weight * ((positive[row] ? high : low) - p)
                ga += values[row] * difference
                gb += difference
            }
            if abs(ga) < 1e-9, abs(gb) < 1e-9 { break }
            let determinant = haa * hbb - hab * hab
            let (da, db) = (-(hbb * ga - hab * gb) / determinant, -(haa * gb - hab * ga) / determinant)
            var step = 1.0
            while step >= 1e-10 {
                let next = loss(a + step * da, b + step * db)
                if next < current + 1e-4 * step * (ga * da + gb * db) {
                    (a, b, current) = (a + step * da, b + step * db, next)
                    break
                }
                step /= 2
            }
            if step < 1e-10 { break }
        }
        return .logistic(slope: a, offset: b)
    }

    /// Pool adjacent violators.
    private static func isotonic(_ scores: [Double], _ positive: [Bool], _ weights: [Double]?) -> Curve {
        let order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] < scores[$1] : $0 < $1 }
        var blocks: [(sum: Double, weight: Double, first: Double, last: Double)] = []
        var place = 0
        while place < order.count {
            // Equal scores are one point.
            let score = scores[order[place]]
            var block = (sum: 0.0, weight: 0.0, first: score, last: score)
            while place < order.count, scores[order[place]] == score {
                let weight = weights?[order[place]] ?? 1
                block.weight += weight
                if positive[order[place]] { block.sum += weight }
                place += 1
            }
            if block.weight == 0 { continue }
            while let before = blocks.last, before.sum * block.weight >= block.sum * before.weight {
                block = (before.sum + block.sum, before.weight + block.weight, before.first, block.last)
                blocks.removeLast()
            }
            blocks.append(block)
        }
        var (points, values): ([Double], [Double]) = ([], [])
        for block in blocks {
            points.append(block.first)
            values.append(block.sum / block.weight)
            if block.last > block.first {
                points.append(block.last)
                values.append(block.sum / block.weight)
            }
        }
        return .steps(scores: points, values: values)
    }
}
