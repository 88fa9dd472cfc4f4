import CVectorLoops
import Core

/// Minimises Σ (uᵢ·δᵢ + hᵢ·δᵢ²/2) + l1·‖β + δβ‖₁ + l2/2·‖β + δβ‖² over the coefficients of one score, where δᵢ is the change
/// of row i's score: by cyclic coordinate descent with an active set (Friedman, Hastie and Tibshirani 2010).
///
/// With residuals and curvature of a quadratic loss this is the fit itself; with those of another loss, its Newton step.
final class QuadraticDescent {
    private let design: DesignMatrix
    private let l1: Double
    private let l2: Double
    private let hasIntercept: Bool

    init(_ design: DesignMatrix, l1: Double, l2: Double, hasIntercept: Bool) {
        self.design = design
        self.l1 = l1
        self.l2 = l2
        self.hasIntercept = hasIntercept
    }

    /// - Parameters:
    ///   - coefficients: columns + 1, the intercept last; changed.
    ///   - u: gradient by each row's score; changed along.
    ///   - h: curvature by each row's score.
    ///   - steps: set to the change of each row's score.
    ///   - tolerance: ends when no coordinate moved the objective's gradient by more.
    /// - Returns: passes over coordinates.
    @discardableResult
    func run(
        _ coefficients: inout [Double], u: inout [Double], h: [Double], steps: inout [Double], tolerance: Double,
        maximumPasses: Int
    ) -> Int {
        let columns = design.columns
        for row in steps.indices { steps[row] = 0 }
        var active = [Bool](repeating: true, count: columns)
        var everything = true
        for pass in 1...maximumPasses {
            var largest = 0.0
            for column in 0..<columns where everything || active[column] {
                let moved = step(column, &coefficients[column], &u, h, &steps)
                active[column] = coefficients[column] != 0
                largest = max(largest, moved)
            }
            if hasIntercept {
                var (sum, curvature) = (0.0, 0.0)
                for row in u.indices { (sum, curvature) = (sum + u[row], curvature + h[row]) }
                if curvature > 0 {
                    let delta = -sum / curvature
                    coefficients[columns] += delta
                    for row in u.indices {
                        u[row] += delta * h[row]
                        steps[row] += delta
                    }
                    largest = max(largest, abs(sum))
                }
            }
            if largest <= tolerance {
                // The active ones have settled: only a pass over all says that no other wants to move.
                if everything { return pass }
                everything = true
            } else {
                everything = false
            }
        }
        return maximumPasses
    }

    /// Moves one coefficient to its minimum; returns how far that changed its gradient.
    private func step(
        _ column: Int, _ coefficient: inout Double, _ u: inout [Double], _ h: [Double], _ steps: inout [Double]
    ) -> Double {
        let rows = design.rows
        var squares = 0.0
        let sum: Double
        switch design.transposed {
        case .dense(let matrix):
            sum = apus_column_dot(matrix.storage.baseAddress + column * rows, u, h, Int64(rows), &squares)
        case .sparse(let matrix):
            let range = matrix.range(ofRow: column)
            sum = apus_sparse_column_dot(
                matrix.columnIndices.baseAddress + range.lowerBound, matrix.values.baseAddress + range.lowerBound, u, h,
                Int64(range.count), &squares)
        }
        let curvature = squares + l2
        guard curvature > 0 else { return 0 }
        // Soft threshold of the unconstrained minimum.
        let wanted = curvature * coefficient - (sum + l2 * coefficient)
        let next = wanted > l1 ? (wanted - l1) / curvature : wanted < -l1 ? (wanted + l1) / curvature : 0
        let delta = next - coefficient
        guard delta != 0 else { return 0 }
        coefficient = next
        switch design.transposed {
        case .dense(let matrix):
            apus_column_update(matrix.storage.baseAddress + column * rows, h, delta, &u, &steps, Int64(rows))
        case .sparse(let matrix):
            let range = matrix.range(ofRow: column)
            apus_sparse_column_update(
                matrix.columnIndices.baseAddress + range.lowerBound, matrix.values.baseAddress + range.lowerBound, h,
                delta, &u, &steps, Int64(range.count))
        }
        return abs(delta) * curvature
    }
}
