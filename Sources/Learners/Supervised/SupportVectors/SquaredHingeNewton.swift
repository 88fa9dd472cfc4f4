import Compute
import Core

/// Linear support vector machines with the squared hinge by Newton steps on the primal (Keerthi and DeCoste 2005): for many
/// rows of few dense columns, where descent on the dual takes hundreds of passes to settle overlapping classes.
///
/// The objective is piecewise quadratic: a step solves (I + 2C Σ weight · x xᵀ) over the rows within the margin, and some ten
/// steps find the minimum. The intercept is penalised with the other coefficients, so that the minimum is the dual's.
/// O(rows · columns²) a step.
struct SquaredHingeNewton {
    let design: DesignMatrix
    let training: TrainingSet
    let c: Double

    /// Whether a step, which grows with the square of the columns, is cheap beside passes over the rows.
    static func pays(_ design: DesignMatrix) -> Bool {
        !design.isSparse && design.columns <= 128 && design.rows >= 16 * max(design.columns, 1)
    }

    /// One class against the rest.
    private struct Point {
        var coefficients: [Double]
        var value = 0.0
        var gradient: [Double] = []
        /// Curvature of every row's loss: 2C · weight within the margin, else 0.
        var curvature: [Double] = []
    }

    /// - Parameter tolerance: of the largest element of the gradient, against that at the start.
    func minimize(tolerance: Double, maximumIterations: Int, context: LearningContext) throws -> DualDescent.Solution {
        let k = training.task.kind == .binary ? 1 : training.task.labels.count
        let size = design.columns + 1
        var solution = DualDescent.Solution(
            coefficients: [Double](repeating: 0, count: size * k), passes: 0, converged: true, objective: 0)
        for output in 0..<k {
            let signs = training.target.map { Int($0) == (k == 1 ? 1 : output) ? 1.0 : -1.0 }
            var point = at([Double](repeating: 0, count: size), signs)
            let limit = tolerance * Self.largest(point.gradient)
            var isDone = false
            for iteration in 0..<maximumIterations where !isDone {
                try context.report(
                    completed: solution.passes, total: nil, unit: "iterations", figures: [("objective", point.value)])
                if Self.largest(point.gradient) <= limit {
                    isDone = true
                } else if let next = try step(from: point, signs, solver: context.stream.device.denseSolver) {
                    point = next
                    solution.passes += 1
                } else {
                    // No step helps any more: this is the minimum, to rounding.
                    isDone = true
                }
                if iteration == maximumIterations - 1, !isDone { solution.converged = false }
            }
            for place in 0..<size { solution.coefficients[place * k + output] = point.coefficients[place] }
            solution.objective += point.value
        }
        return solution
    }

    private func at(_ coefficients: [Double], _ signs: [Double]) -> Point {
        var point = Point(coefficients: coefficients)
        let rows = design.rows
        var scores = [Double](repeating: 0, count: rows)
        coefficients.withUnsafeBufferPointer { design.scores($0.baseAddress!, k: 1, into: &scores) }
        point.value = coefficients.reduce(0) { $0 + $1 * $1 / 2 }
        point.curvature = [Double](repeating: 0, count: rows)
        for row in 0..<rows {
            let miss = 1 - signs[row] * scores[row]
            guard miss > 0 else {
                scores[row] = 0
                continue
            }
            let scale = 2 * c * training.weight(row)
            point.value += scale / 2 * miss * miss
            point.curvature[row] = scale
            scores[row] = -scale * signs[row] * miss
        }
        point.gradient = [Double](repeating: 0, count: coefficients.count)
        design.gradient(scores, k: 1, into: &point.gradient)
        for place in coefficients.indices { point.gradient[place] += coefficients[place] }
        return point
    }

    /// The next point; nil where the value falls no further.
    private func step(from point: Point, _ signs: [Double], solver: any DenseSolver) throws -> Point? {
        let size = point.coefficients.count
        var hessian = design.weightedGram(point.curvature)
        for place in 0..<size { hessian[place * size + place] += 1 }
        let step = try solver.solvePositiveDefinite(hessian, n: size, rhs: point.gradient, columns: 1)
        let slope = zip(step, point.gradient).reduce(0) { $0 + $1.0 * $1.1 }
        var length = 1.0
        for _ in 0..<40 {
            let next = at(zip(point.coefficients, step).map { $0 - length * $1 }, signs)
            if next.value <= point.value - 1e-4 * length * slope { return next }
            length /= 2
        }
        return nil
    }

    private static func largest(_ gradient: [Double]) -> Double { gradient.reduce(0) { max($0, abs($1)) } }
}
