import Core

/// Newton steps with l1 by coordinate descent, a class at a time, each with a line search on the true objective
/// (Friedman, Hastie and Tibshirani 2010; Yuan, Ho and Lin 2012).
enum ProximalNewton {
    /// - Returns: the minimum, (columns + 1) × k, and the rounds over the classes.
    static func minimize(
        _ objective: LogisticObjective, l1: Double, tolerance: Double, maximumIterations: Int, context: LearningContext
    ) throws -> (coefficients: [Double], iterations: Int, converged: Bool) {
        let (design, k) = (objective.design, objective.k)
        let (rows, columns) = (design.rows, design.columns)
        let descent = QuadraticDescent(design, l1: l1, l2: objective.l2, hasIntercept: objective.hasIntercept)
        var point = [Double](repeating: 0, count: objective.size)
        var gradient = point
        func penalty(_ point: [Double]) -> Double {
            var sum = 0.0
            for place in 0..<columns * k { sum += abs(point[place]) }
            return l1 * sum
        }
        var value = objective.value(point, gradient: &gradient) + penalty(point)
        var (u, h, steps) = (
            [Double](repeating: 0, count: rows), [Double](repeating: 0, count: rows),
            [Double](repeating: 0, count: rows)
        )
        let limit = tolerance * objective.totalWeight
        // The inner problem is solved as far as the outer one has come.
        var inner = max(limit, 0.1 * violation(point, gradient, l1, columns * k))
        for iteration in 0..<maximumIterations {
            let worst = violation(point, gradient, l1, columns * k)
            try context.report(
                completed: iteration, total: nil, unit: "iterations",
                figures: [("objective", value / objective.totalWeight)])
            if worst <= limit { return (point, iteration, true) }
            inner = max(0.1 * limit, min(inner, 0.1 * worst))
            var moved = false
            for output in 0..<k {
                // Residuals and curvature of this class where the last accepted point lies.
                for row in 0..<rows {
                    let p = objective.probabilities[row * k + output]
                    let truth = k == 1 ? objective.target[row] == 1 : Int(objective.target[row]) == output
                    u[row] = objective.weights[row] * (p - (truth ? 1 : 0))
                    h[row] = objective.weights[row] * max(p * (1 - p), 1e-9)
                }
                var own = (0...columns).map { point[$0 * k + output] }
                let before = own
                descent.run(&own, u: &u, h: h, steps: &steps, tolerance: inner, maximumPasses: 200)
                // What the model of the objective promises, for the line search.
                var promised = 0.0
                for column in 0...columns {
                    promised += gradient[column * k + output] * (own[column] - before[column])
                    if column < columns { promised += l1 * (abs(own[column]) - abs(before[column])) }
                }
                guard promised < 0 else { continue }
                var (length, next) = (1.0, point)
                for _ in 0..<30 {
                    for column in 0...columns {
                        next[column * k + output] = before[column] + length * (own[column] - before[column])
                    }
                    let reached = objective.value(next, gradient: &gradient) + penalty(next)
                    if reached <= value + 1e-4 * length * promised + 1e-14 * abs(value) {
                        (point, value, moved) = (next, reached, true)
                        break
                    }
                    length /= 2
                }
                if length < 1e-8 { _ = objective.value(point, gradient: &gradient) }
            }
            if !moved {
                _ = objective.value(point, gradient: &gradient)
                // Rounding ends the descent, or the inner problem was not solved well enough.
                if inner <= 0.1 * limit * 1.0001 { return (point, iteration, worst <= 1e-4 * objective.totalWeight) }
                inner *= 0.1
            }
        }
        return (point, maximumIterations, false)
    }

    /// The largest element of the least subgradient.
    private static func violation(_ point: [Double], _ gradient: [Double], _ l1: Double, _ penalised: Int) -> Double {
        var worst = 0.0
        for place in point.indices {
            let slope = gradient[place]
            let own: Double
            if place >= penalised {
                own = abs(slope)
            } else if point[place] == 0 {
                own = max(abs(slope) - l1, 0)
            } else {
                own = abs(slope + (point[place] > 0 ? l1 : -l1))
            }
            worst = max(worst, own)
        }
        return worst
    }
}
