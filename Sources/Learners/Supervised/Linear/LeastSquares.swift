import Compute
import Core
import Tables

/// Weighted least squares with penalties, by four ways.
final class LeastSquares {
    struct Solution {
        /// Columns + 1, the intercept last.
        var coefficients: [Double]
        var standardErrors: [Double]?
        var iterations = 1
        var converged = true
    }

    private let design: DesignMatrix
    private let target: [Double]
    private let weights: [Double]
    private let totalWeight: Double
    private let l1: Double
    private let l2: Double
    private let hasIntercept: Bool
    /// Weighted means, 0 without an intercept.
    private let means: [Double]
    private let targetMean: Double

    init(_ training: TrainingSet, design: DesignMatrix, l1: Double, l2: Double, hasIntercept: Bool) {
        self.design = design
        target = training.target
        let weights = training.effectiveWeights
        self.weights = weights
        totalWeight = weights.reduce(0, +)
        self.l1 = l1
        self.l2 = l2
        self.hasIntercept = hasIntercept
        var sums = [Double](repeating: 0, count: design.columns + 1)
        weights.withUnsafeBufferPointer { design.gradient($0.baseAddress!, k: 1, into: &sums) }
        let total = totalWeight
        means = hasIntercept ? sums[..<design.columns].map { $0 / total } : sums[..<design.columns].map { _ in 0 }
        targetMean = hasIntercept ? zip(training.target, weights).reduce(0) { $0 + $1.0 * $1.1 } / total : 0
    }

    func objective(_ coefficients: [Double]) -> Double {
        let squares = residualSquares(coefficients)
        let own = coefficients[..<design.columns]
        return squares / 2 + own.reduce(0) { $0 + l1 * abs($1) + l2 / 2 * $1 * $1 }
    }

    private func residualSquares(_ coefficients: [Double]) -> Double {
        var scores = [Double](repeating: 0, count: design.rows)
        coefficients.withUnsafeBufferPointer { design.scores($0.baseAddress!, k: 1, into: &scores) }
        var sum = 0.0
        for row in scores.indices {
            let difference = scores[row] - target[row]
            sum += weights[row] * difference * difference
        }
        return sum
    }

    private func solution(_ own: [Double], inverse: [Double]?) -> Solution {
        let intercept = hasIntercept ? targetMean - zip(own, means).reduce(0) { $0 + $1.0 * $1.1 } : 0
        var result = Solution(coefficients: own + [intercept])
        let freedom = Double(design.rows - design.columns - (hasIntercept ? 1 : 0))
        guard let inverse, l1 == 0, l2 == 0, freedom > 0 else { return result }
        // σ² (XᵀWX)⁻¹ of the centred columns; the intercept's own variance and that of the means' part.
        let variance = residualSquares(result.coefficients) / freedom
        let d = design.columns
        var errors = (0..<d).map { max(variance * inverse[$0 * d + $0], 0).squareRoot() }
        var spread = hasIntercept ? 1 / totalWeight : 0
        for i in 0..<d { for j in 0..<d { spread += means[i] * inverse[i * d + j] * means[j] } }
        errors.append(hasIntercept ? max(variance * spread, 0).squareRoot() : 0)
        result.standardErrors = errors
        return result
    }

    // MARK: QR

    /// QR of √weight · (x − mean); where columns are collinear, the shortest solution by singular values of R.
    func byQR(_ solver: any DenseSolver) throws -> Solution {
        guard case .dense(let matrix) = design.values else { preconditionFailure("QR of sparse features") }
        let (rows, d) = (design.rows, design.columns)
        guard rows >= d else {
            throw ParameterError("solver", "qr needs as many rows as columns; there are \(rows) and \(d): use normal")
        }
        var centred = [Double](repeating: 0, count: rows * d)
        var right = [Double](repeating: 0, count: rows)
        for row in 0..<rows {
            let root = weights[row].squareRoot()
            let values = matrix.row(row)
            for column in 0..<d { centred[row * d + column] = root * (Double(values[column]) - means[column]) }
            right[row] = root * (target[row] - targetMean)
        }
        let (q, r) = try solver.qr(centred, rows: rows, columns: d)
        var projected = [Double](repeating: 0, count: d)
        for row in 0..<rows { for column in 0..<d { projected[column] += q[row * d + column] * right[row] } }
        let largest = (0..<d).reduce(0) { max($0, abs(r[$1 * d + $1])) }
        let isFull = (0..<d).allSatisfy { abs(r[$0 * d + $0]) > 1e-11 * largest }
        if isFull {
            var own = projected
            for i in stride(from: d - 1, through: 0, by: -1) {
                for j in i + 1..<max(d, i + 1) { own[i] -= r[i * d + j] * own[j] }
                own[i] /= r[i * d + i]
            }
            return solution(own, inverse: Self.inverseOfProduct(r, d))
        }
        let (u, values, vTransposed) = try solver.singularValues(r, rows: d, columns: d)
        var own = [Double](repeating: 0, count: d)
        for number in 0..<d where values[number] > 1e-11 * (values.first ?? 0) {
            var part = 0.0
            for i in 0..<d { part += u[i * d + number] * projected[i] }
            for i in 0..<d { own[i] += vTransposed[number * d + i] * part / values[number] }
        }
        return solution(own, inverse: nil)
    }

    /// (RᵀR)⁻¹ of an upper triangular matrix.
    private static func inverseOfProduct(_ r: [Double], _ d: Int) -> [Double] {
        // Columns of R⁻¹, upper triangular.
        var inverse = [Double](repeating: 0, count: d * d)
        for column in 0..<d {
            for i in stride(from: column, through: 0, by: -1) {
                var sum = i == column ? 1.0 : 0.0
                for j in i + 1..<max(column + 1, i + 1) { sum -= r[i * d + j] * inverse[j * d + column] }
                inverse[i * d + column] = sum / r[i * d + i]
            }
        }
        var product = [Double](repeating: 0, count: d * d)
        for i in 0..<d {
            for j in i..<d {
                var sum = 0.0
                for column in j..<d { sum += inverse[i * d + column] * inverse[j * d + column] }
                (product[i * d + j], product[j * d + i]) = (sum, sum)
            }
        }
        return product
    }

    // MARK: Normal equations

    func byNormalEquations(_ solver: any DenseSolver) throws -> Solution {
        let d = design.columns
        let gram = design.weightedGram(weights)
        var weighted = [Double](repeating: 0, count: design.rows)
        for row in weighted.indices { weighted[row] = weights[row] * (target[row] - targetMean) }
        var right = [Double](repeating: 0, count: d + 1)
        weighted.withUnsafeBufferPointer { design.gradient($0.baseAddress!, k: 1, into: &right) }
        right.removeLast()
        var centred = [Double](repeating: 0, count: d * d)
        for i in 0..<d {
            for j in 0..<d {
                centred[i * d + j] = gram[i * (d + 1) + j] - totalWeight * means[i] * means[j] + (i == j ? l2 : 0)
            }
        }
        let largest = (0..<d).reduce(0) { max($0, centred[$1 * d + $1]) }
        if let own = try? solver.solvePositiveDefinite(centred, n: d, rhs: right, columns: 1),
            let factor = try? solver.cholesky(centred, n: d),
            (0..<d).allSatisfy({ factor[$0 * d + $0] * factor[$0 * d + $0] > 1e-10 * largest })
        {
            var identity = [Double](repeating: 0, count: d * d)
            for place in 0..<d { identity[place * d + place] = 1 }
            let wantsErrors = l1 == 0 && l2 == 0
            return solution(
                own,
                inverse: wantsErrors
                    ? try solver.solvePositiveDefinite(centred, n: d, rhs: identity, columns: d) : nil)
        }
        let (values, vectors) = try solver.symmetricEigen(centred, n: d)
        var own = [Double](repeating: 0, count: d)
        for number in 0..<d where values[number] > 1e-10 * max(values.last ?? 0, 0) {
            var part = 0.0
            for i in 0..<d { part += vectors[i * d + number] * right[i] }
            for i in 0..<d { own[i] += vectors[i * d + number] * part / values[number] }
        }
        return solution(own, inverse: nil)
    }

    // MARK: Iterations

    /// What the tolerance is measured by: the spread of the target, summed over the rows.
    private var scale: Double {
        var sum = 0.0
        for row in target.indices { sum += weights[row] * (target[row] - targetMean) * (target[row] - targetMean) }
        return max((sum / totalWeight).squareRoot() * totalWeight, 1e-300)
    }

    func byCoordinates(tolerance: Double, maximumPasses: Int, _ context: LearningContext) throws -> Solution {
        try context.report(completed: 0, total: nil, unit: "passes")
        let descent = QuadraticDescent(design, l1: l1, l2: l2, hasIntercept: hasIntercept)
        var coefficients = [Double](repeating: 0, count: design.columns + 1)
        var u = target.indices.map { -weights[$0] * target[$0] }
        var steps = [Double](repeating: 0, count: design.rows)
        let passes = descent.run(
            &coefficients, u: &u, h: weights, steps: &steps, tolerance: tolerance * scale, maximumPasses: maximumPasses)
        return Solution(coefficients: coefficients, iterations: passes, converged: passes < maximumPasses)
    }

    /// Conjugate gradients on the normal equations, with the intercept as a column of its own.
    func byConjugateGradients(tolerance: Double, maximumSteps: Int, _ context: LearningContext) throws -> Solution {
        let (rows, size) = (design.rows, design.columns + 1)
        let (weights, target, l2, hasIntercept) = (weights, target, l2, hasIntercept)
        func applied(_ vector: [Double]) -> [Double] {
            var scores = [Double](repeating: 0, count: rows)
            vector.withUnsafeBufferPointer { design.scores($0.baseAddress!, k: 1, into: &scores) }
            for row in 0..<rows { scores[row] *= weights[row] }
            var result = [Double](repeating: 0, count: size)
            scores.withUnsafeBufferPointer { design.gradient($0.baseAddress!, k: 1, into: &result) }
            for place in 0..<size - 1 { result[place] += l2 * vector[place] }
            if !hasIntercept { result[size - 1] = 0 }
            return result
        }
        var residual = [Double](repeating: 0, count: size)
        var weighted = [Double](repeating: 0, count: rows)
        for row in 0..<rows { weighted[row] = weights[row] * target[row] }
        weighted.withUnsafeBufferPointer { design.gradient($0.baseAddress!, k: 1, into: &residual) }
        if !hasIntercept { residual[size - 1] = 0 }
        var point = [Double](repeating: 0, count: size)
        var direction = residual
        var square = LimitedMemoryBFGS.dot(residual, residual)
        let limit = tolerance * scale
        for step in 0..<maximumSteps {
            try context.report(completed: step, total: nil, unit: "steps")
            if residual.reduce(0, { max($0, abs($1)) }) <= limit {
                return Solution(coefficients: point, iterations: step)
            }
            let product = applied(direction)
            let curvature = LimitedMemoryBFGS.dot(direction, product)
            guard curvature > 0 else { return Solution(coefficients: point, iterations: step) }
            let length = square / curvature
            LimitedMemoryBFGS.add(length, direction, to: &point)
            LimitedMemoryBFGS.add(-length, product, to: &residual)
            let next = LimitedMemoryBFGS.dot(residual, residual)
            let ratio = next / square
            for place in 0..<size { direction[place] = residual[place] + ratio * direction[place] }
            square = next
        }
        return Solution(coefficients: point, iterations: maximumSteps, converged: false)
    }
}
