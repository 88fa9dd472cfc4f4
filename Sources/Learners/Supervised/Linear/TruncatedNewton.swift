import Compute
import Core

/// Newton's method with steps found by conjugate gradients from products with the Hessian, which is never built (Nash
/// 1985; for logistic regression Lin, Weng and Keerthi 2008): for sparse features and many coefficients.
///
/// A product reads the features twice, as a gradient does; no history of steps is kept. On texts it reads them a third
/// less often than L-BFGS does for the same objective.
enum TruncatedNewton {
    /// Conjugate gradients end when what is left of the Newton system is this share of the gradient.
    static let residualShare = 0.1

    /// - Returns: the minimum and the iterations taken, each of some products with the Hessian.
    static func minimize(
        _ objective: LogisticObjective, start: [Double], tolerance: Double, maximumIterations: Int,
        context: LearningContext
    ) throws -> (coefficients: [Double], iterations: Int, converged: Bool) {
        let size = objective.size
        var work = Work(size: size, threads: context.threads)
        var point = start
        var next = start
        var gradient = [Double](repeating: 0, count: size)
        var value = objective.value(point, gradient: &gradient)
        for iteration in 0..<maximumIterations {
            let steepest = gradient.reduce(0) { max($0, abs($1)) }
            try context.report(
                completed: iteration, total: nil, unit: "iterations",
                figures: [("objective", value / objective.totalWeight)])
            if steepest <= tolerance * objective.totalWeight { return (point, iteration, true) }
            work.solve(objective, gradient)
            let slope = LimitedMemoryBFGS.dot(work.step, gradient, threads: context.threads)
            var (length, nextValue) = (1.0, value)
            var accepted = false
            for _ in 0..<40 where !accepted {
                for place in 0..<size { next[place] = point[place] + length * work.step[place] }
                nextValue = objective.value(next, gradient: &gradient)
                accepted = nextValue <= value + 1e-4 * length * slope + 1e-14 * abs(value)
                if !accepted { length /= 2 }
            }
            // No step helps any more: this is the minimum, to rounding.
            guard accepted else {
                _ = objective.value(point, gradient: &gradient)
                return (point, iteration, steepest <= 1e-4 * objective.totalWeight)
            }
            swap(&point, &next)
            value = nextValue
        }
        return (point, maximumIterations, false)
    }

    /// What conjugate gradients write to, allocated once.
    private struct Work {
        var step: [Double]
        private var residual: [Double]
        private var direction: [Double]
        private var product: [Double]
        private let threads: Int

        init(size: Int, threads: Int) {
            step = [Double](repeating: 0, count: size)
            (residual, direction, product) = (step, step, step)
            self.threads = threads
        }

        /// `step` becomes about −H⁻¹ · gradient, H being the Hessian where the objective was last taken.
        mutating func solve(_ objective: LogisticObjective, _ gradient: [Double]) {
            for place in step.indices {
                step[place] = 0
                residual[place] = -gradient[place]
                direction[place] = -gradient[place]
            }
            var square = LimitedMemoryBFGS.dot(residual, residual, threads: threads)
            let enough = residualShare * residualShare * square
            for _ in 0..<min(step.count, 1000) where square > enough {
                objective.hessianProduct(direction, into: &product)
                let curvature = LimitedMemoryBFGS.dot(direction, product, threads: threads)
                // Without a penalty a direction may have none: what was found so far descends.
                guard curvature > 1e-300, curvature.isFinite else { break }
                let length = square / curvature
                LimitedMemoryBFGS.add(length, direction, to: &step, threads: threads)
                LimitedMemoryBFGS.add(-length, product, to: &residual, threads: threads)
                let reached = LimitedMemoryBFGS.dot(residual, residual, threads: threads)
                let share = reached / square
                square = reached
                for place in direction.indices { direction[place] = residual[place] + share * direction[place] }
            }
            // Not one product was of use: the steepest descent.
            if step.allSatisfy({ $0 == 0 }) { for place in step.indices { step[place] = -gradient[place] } }
        }
    }
}
