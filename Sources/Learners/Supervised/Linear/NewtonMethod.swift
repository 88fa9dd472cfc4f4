import Compute
import Core

/// Newton's method with a line search, for objectives whose Hessian fits memory.
enum NewtonMethod {
    /// - Returns: the minimum and the iterations taken.
    static func minimize(
        _ objective: LogisticObjective, start: [Double], tolerance: Double, maximumIterations: Int,
        context: LearningContext
    ) throws -> (coefficients: [Double], iterations: Int, converged: Bool) {
        let size = objective.size
        var point = start
        var gradient = [Double](repeating: 0, count: size)
        var value = objective.value(point, gradient: &gradient)
        for iteration in 0..<maximumIterations {
            let steepest = gradient.reduce(0) { max($0, abs($1)) }
            try context.report(
                completed: iteration, total: nil, unit: "iterations",
                figures: [("objective", value / objective.totalWeight)])
            if steepest <= tolerance * objective.totalWeight { return (point, iteration, true) }
            let step = try solve(objective, gradient, solver: context.stream.device.denseSolver)
            let slope = zip(step, gradient).reduce(0) { $0 + $1.0 * $1.1 }
            // The step is a descent by −slope; halved until the value falls as it should.
            var (length, next, nextValue) = (1.0, point, value)
            var accepted = false
            for _ in 0..<40 {
                for place in 0..<size { next[place] = point[place] - length * step[place] }
                nextValue = objective.value(next, gradient: &gradient)
                if nextValue <= value - 1e-4 * length * slope + 1e-14 * abs(value) {
                    accepted = true
                    break
                }
                length /= 2
            }
            // No step helps any more: this is the minimum, to rounding.
            guard accepted else {
                _ = objective.value(point, gradient: &gradient)
                return (point, iteration, steepest <= 1e-4 * objective.totalWeight)
            }
            point = next
            value = nextValue
        }
        return (point, maximumIterations, false)
    }

    /// H⁻¹ · gradient. Several classes' scores may all be shifted alike without changing a prediction; the direction is
    /// given a curvature, which changes no step, since the gradient has no part in it.
    private static func solve(
        _ objective: LogisticObjective, _ gradient: [Double], solver: any DenseSolver
    ) throws -> [Double] {
        let (size, k) = (objective.size, objective.k)
        var hessian = objective.hessian()
        let largest = (0..<size).reduce(0.0) { max($0, hessian[$1 * size + $1]) }
        if k > 1 {
            let free = objective.l2 > 0 ? objective.design.columns * k : 0
            for first in stride(from: free, to: size, by: k) {
                for a in 0..<k { for b in 0..<k { hessian[(first + a) * size + first + b] += largest / Double(k) } }
            }
        }
        // Collinear columns without a penalty have no single minimum: growing curvature picks a short step.
        var jitter = 0.0
        while true {
            if let step = try? solver.solvePositiveDefinite(hessian, n: size, rhs: gradient, columns: 1) { return step }
            let added = max(jitter * 9, largest * 1e-12, 1e-300)
            jitter += added
            guard jitter < largest else {
                throw ComputeError.numerical(operation: "newton", reason: "the Hessian has no inverse")
            }
            for place in 0..<size { hessian[place * size + place] += added }
        }
    }
}
