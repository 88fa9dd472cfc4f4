import Core
import Tables

/// SAGA (Defazio, Bach and Lacoste-Julien 2014): a stochastic gradient with the memory of each row's last one, so that it
/// reaches the minimum and not only its neighbourhood, with the proximal step of l1.
///
/// Between two rows that have a column, its coefficients follow a recurrence with constant gradient, which is caught up
/// with at once when the column is needed: a step costs the entries of one row.
final class StochasticAverageGradient {
    private let objective: LogisticObjective
    private let l1: Double
    private let l2: Double
    private let k: Int
    private let columns: Int
    /// Step size, in units of the mean loss.
    private let eta: Double
    private let decay: Double
    private var point: [Double]
    /// Mean gradient of the remembered rows.
    private var average: [Double]
    /// rows × k: weight · (probability − truth) where each row was last seen.
    private var memory: [Double]
    /// Steps that each column's coefficients have behind them.
    private var caughtUp: [Int]
    private var steps = 0

    init(_ objective: LogisticObjective, l1: Double) {
        self.objective = objective
        let scale = 1 / objective.totalWeight
        self.l1 = l1 * scale
        l2 = objective.l2 * scale
        k = objective.k
        columns = objective.design.columns
        let rows = objective.design.rows
        // The steepest row decides the step: its curvature is at most a quarter (half for several classes) of its square.
        var steepest = 0.0
        for row in 0..<rows {
            let square = Self.squaredNorm(objective.design, row) + (objective.hasIntercept ? 1 : 0)
            steepest = max(steepest, square * objective.weights[row] * scale * Double(rows))
        }
        let smoothness = (k == 1 ? 0.25 : 0.5) * steepest + l2
        eta = 1 / (3 * max(smoothness, 1e-300))
        decay = 1 - eta * l2
        point = [Double](repeating: 0, count: objective.size)
        average = point
        memory = [Double](repeating: 0, count: rows * k)
        caughtUp = [Int](repeating: 0, count: columns)
    }

    private static func squaredNorm(_ design: DesignMatrix, _ row: Int) -> Double {
        switch design.values {
        case .dense(let matrix): matrix.row(row).reduce(0) { $0 + Double($1) * Double($1) }
        case .sparse(let matrix):
            matrix.range(ofRow: row).reduce(0) { $0 + Double(matrix.values[$1]) * Double(matrix.values[$1]) }
        }
    }

    /// - Returns: the minimum and the passes taken.
    func minimize(
        seed: UInt64, tolerance: Double, maximumPasses: Int, context: LearningContext
    ) throws -> (coefficients: [Double], iterations: Int, converged: Bool) {
        let rows = objective.design.rows
        let random = Philox(seed: seed, stream: 0x5341_4741)
        var before = point
        for pass in 0..<maximumPasses {
            try context.report(completed: pass, total: maximumPasses, unit: "passes")
            for draw in 0..<rows { visit(random.integer(UInt64(pass * rows + draw), below: rows), of: rows) }
            for column in 0..<columns { catchUp(column) }
            let moved = zip(point, before).reduce(0.0) { max($0, abs($1.0 - $1.1)) }
            let size = point.reduce(0.0) { max($0, abs($1)) }
            if moved <= tolerance * max(size, 1e-12) { return (point, pass + 1, true) }
            before = point
        }
        return (point, maximumPasses, false)
    }

    private func visit(_ row: Int, of rows: Int) {
        var scores = (0..<k).map { objective.hasIntercept ? point[columns * k + $0] : 0 }
        forEachEntry(row) { column, value in
            catchUp(column)
            for output in 0..<k { scores[output] += value * point[column * k + output] }
        }
        let weight = objective.weights[row]
        let truth = Int(objective.target[row])
        if k == 1 {
            scores[0] = weight * (1 / (1 + exponential(-scores[0])) - Double(truth))
        } else {
            let largest = scores.max() ?? 0
            for output in 0..<k { scores[output] = exponential(scores[output] - largest) }
            let sum = scores.reduce(0, +)
            for output in 0..<k { scores[output] = weight * (scores[output] / sum - (output == truth ? 1 : 0)) }
        }
        // Residuals now in scores. Per unit of weight, the mean over rows is the sum over totalWeight.
        let (mean, single) = (1 / objective.totalWeight, Double(rows) / objective.totalWeight)
        forEachEntry(row) { column, value in
            for output in 0..<k {
                let place = column * k + output
                let change = value * (scores[output] - memory[row * k + output])
                let moved = decay * point[place] - eta * (change * single + average[place])
                point[place] = soft(moved)
                average[place] += change * mean
            }
            caughtUp[column] = steps + 1
        }
        if objective.hasIntercept {
            for output in 0..<k {
                let place = columns * k + output
                let change = scores[output] - memory[row * k + output]
                point[place] -= eta * (change * single + average[place])
                average[place] += change * mean
            }
        }
        for output in 0..<k { memory[row * k + output] = scores[output] }
        steps += 1
    }

    private func forEachEntry(_ row: Int, _ body: (Int, Double) -> Void) {
        switch objective.design.values {
        case .dense(let matrix):
            for column in 0..<columns { body(column, Double(matrix[row, column])) }
        case .sparse(let matrix):
            for entry in matrix.range(ofRow: row) {
                body(Int(matrix.columnIndices[entry]), Double(matrix.values[entry]))
            }
        }
    }

    private func soft(_ value: Double) -> Double {
        let threshold = eta * l1
        return value > threshold ? value - threshold : value < -threshold ? value + threshold : 0
    }

    /// Does the steps in which no row had the column.
    private func catchUp(_ column: Int) {
        let missed = steps - caughtUp[column]
        guard missed > 0 else { return }
        for output in 0..<k {
            let place = column * k + output
            point[place] = advanced(point[place], gradient: average[place], steps: missed)
        }
        caughtUp[column] = steps
    }

    /// `steps` steps x ← soft(decay · x − eta · gradient), without doing them one by one: between changes of sign the
    /// recurrence is linear, and it changes its sign once at most.
    private func advanced(_ start: Double, gradient: Double, steps: Int) -> Double {
        var (value, left) = (start, steps)
        if value != 0 {
            let sign = value > 0 ? 1.0 : -1.0
            let constant = eta * (gradient + l1 * sign)
            if linear(value, constant, left) * sign >= 0 { return linear(value, constant, left) }
            // The first step that would cross zero.
            var (low, high) = (0, left)
            while high - low > 1 {
                let middle = (low + high) / 2
                if linear(value, constant, middle) * sign >= 0 { low = middle } else { high = middle }
            }
            value = soft(decay * linear(value, constant, low) - eta * gradient)
            left -= low + 1
            if value * sign > 0 { value = 0 }
        }
        guard left > 0 else { return value }
        if value == 0, abs(gradient) <= l1 { return 0 }
        let sign = value != 0 ? (value > 0 ? 1.0 : -1.0) : (gradient > 0 ? -1.0 : 1.0)
        return linear(value, eta * (gradient + l1 * sign), left)
    }

    /// x after `steps` steps x ← decay · x − constant.
    private func linear(_ start: Double, _ constant: Double, _ steps: Int) -> Double {
        if l2 == 0 { return start - constant * Double(steps) }
        let factor = power(decay, Double(steps))
        return factor * start - constant * (1 - factor) / (eta * l2)
    }
}
