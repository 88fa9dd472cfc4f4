import Core

/// How far predicted numbers are from given ones.
struct RegressionMetrics {
    static let names = ["rmse", "mae", "r2", "median_absolute_error", "pinball@0.1", "pinball@0.5", "pinball@0.9"]

    private let target: [Double]
    private let predicted: [Double]
    /// Rows by rising absolute error.
    private let order: [Int]

    init(predicted: [Double], target: [Double]) {
        self.predicted = predicted
        self.target = target
        order = target.indices.sorted {
            let (a, b) = (abs(predicted[$0] - target[$0]), abs(predicted[$1] - target[$1]))
            return a != b ? a < b : $0 < $1
        }
    }

    func values(weights: [Double]) -> [Double] {
        var (total, sum) = (0.0, 0.0)
        for row in target.indices {
            total += weights[row]
            sum += weights[row] * target[row]
        }
        let mean = sum / total
        var (squares, absolutes, spread) = (0.0, 0.0, 0.0)
        var pinballs = [0.0, 0.0, 0.0]
        for row in target.indices {
            let (weight, difference) = (weights[row], target[row] - predicted[row])
            squares += weight * difference * difference
            absolutes += weight * abs(difference)
            spread += weight * (target[row] - mean) * (target[row] - mean)
            for (place, quantile) in [0.1, 0.5, 0.9].enumerated() {
                pinballs[place] += weight * max(quantile * difference, (quantile - 1) * difference)
            }
        }
        var (reached, median) = (0.0, 0.0)
        for row in order {
            reached += weights[row]
            if reached >= total / 2 {
                median = abs(predicted[row] - target[row])
                break
            }
        }
        return [
            (squares / total).squareRoot(), absolutes / total, spread > 0 ? 1 - squares / spread : .nan, median,
            pinballs[0] / total, pinballs[1] / total, pinballs[2] / total,
        ]
    }
}
