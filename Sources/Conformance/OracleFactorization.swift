import Compute

#if canImport(Glibc)
    import Glibc
#endif

extension Oracle {
    /// `values[e] − rowOffset[row] − columnOffset[column] − constant` for the entries of the rows, in order from the
    /// first entry of the first row.
    public static func residualTargets(
        _ sparse: OracleSparseMatrix, rowOffset: [Double]?, columnOffset: [Double]?, constant: Double
    ) -> Sums {
        var values: [Double] = []
        var magnitudes: [Double] = []
        for row in 0..<sparse.rows {
            for entry in sparse.range(ofRow: row) {
                let terms = [
                    sparse.values[entry], rowOffset?[row] ?? 0, columnOffset?[sparse.columnIndices[entry]] ?? 0,
                    constant,
                ]
                values.append(terms[0] - terms[1] - terms[2] - terms[3])
                magnitudes.append(terms.reduce(0) { $0 + abs($1) })
            }
        }
        return Sums(
            values: OracleMatrix(rows: 1, columns: values.count, elements: values),
            magnitudes: OracleMatrix(rows: 1, columns: values.count, elements: magnitudes))
    }

    /// `Σ_e w_e · (t_e − a_i · b_column(e))²` for each row i, with the error that it may carry when the products have
    /// the relative error `productError` (of the sum of the magnitudes) and the sums `sumError`.
    public static func observedLoss(
        _ sparse: OracleSparseMatrix, targets: [Double]?, weighted: Bool, _ a: OracleMatrix, _ b: OracleMatrix,
        productError: Double = 0, sumError: (Int) -> Double = { _ in 0 }
    ) -> (values: [Double], errors: [Double]) {
        var values: [Double] = []
        var errors: [Double] = []
        for row in 0..<sparse.rows {
            var loss = 0.0
            var error = 0.0
            for entry in sparse.range(ofRow: row) {
                let (score, magnitude) = dot(a.row(row), b.row(sparse.columnIndices[entry]))
                let weight = weighted ? sparse.values[entry] : 1
                let difference = (targets?[entry] ?? 1) - score
                let differenceError = productError * (magnitude + abs(difference))
                loss += weight * difference * difference
                error += abs(weight) * (2 * abs(difference) + differenceError) * differenceError
            }
            values.append(loss)
            errors.append(error + sumError(sparse.range(ofRow: row).count) * abs(loss))
        }
        return (values, errors)
    }

    /// `a[rows[e], :] · b[columns[e], :]`; an index outside its table gives NaN.
    public static func observedScores(
        rows: [Int], columns: [Int], _ a: OracleMatrix, _ b: OracleMatrix
    ) -> Sums {
        var sums = Sums(
            values: OracleMatrix(rows: 1, columns: rows.count, repeating: .nan),
            magnitudes: OracleMatrix(rows: 1, columns: rows.count))
        for place in 0..<rows.count
        where rows[place] >= 0 && rows[place] < a.rows && columns[place] >= 0 && columns[place] < b.rows {
            let (value, magnitude) = dot(a.row(rows[place]), b.row(columns[place]))
            sums.values.elements[place] = value
            sums.magnitudes.elements[place] = magnitude
        }
        return sums
    }

    static func dot(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> (value: Double, magnitude: Double) {
        var value = 0.0
        var magnitude = 0.0
        for (x, y) in zip(a, b) {
            value += x * y
            magnitude += abs(x * y)
        }
        return (value, magnitude)
    }

    /// The lower Cholesky factor of a symmetric positive definite n × n matrix, or nil when it is not one.
    public static func cholesky(_ matrix: [Double], n: Int) -> [Double]? {
        var factor = [Double](repeating: 0, count: n * n)
        for column in 0..<n {
            for row in column..<n {
                var sum = matrix[row * n + column]
                for inner in 0..<column { sum -= factor[row * n + inner] * factor[column * n + inner] }
                if row == column {
                    guard sum > 0 else { return nil }
                    factor[row * n + row] = sum.squareRoot()
                } else {
                    factor[row * n + column] = sum / factor[column * n + column]
                }
            }
        }
        return factor
    }

    /// Solves `factor · factorᵀ · x = rhs`.
    static func solveFactored(_ factor: [Double], n: Int, rhs: [Double]) -> [Double] {
        var x = rhs
        for row in 0..<n {
            for inner in 0..<row { x[row] -= factor[row * n + inner] * x[inner] }
            x[row] /= factor[row * n + row]
        }
        for row in stride(from: n - 1, through: 0, by: -1) {
            for inner in row + 1..<max(n, row + 1) { x[row] -= factor[inner * n + row] * x[inner] }
            x[row] /= factor[row * n + row]
        }
        return x
    }
}

/// The systems of a `SolveNormalEquations`, row by row, in double precision.
public struct OracleNormalEquations: Sendable {
    public let sparse: OracleSparseMatrix
    public let weighted: Bool
    public let targets: [Double]?
    public let fixed: OracleMatrix
    public let diagonal: [Double]
    public let rowRegularization: [Double]

    public init(
        sparse: OracleSparseMatrix, weighted: Bool, targets: [Double]?, fixed: OracleMatrix, diagonal: [Double],
        rowRegularization: [Double]
    ) {
        self.sparse = sparse
        self.weighted = weighted
        self.targets = targets
        self.fixed = fixed
        self.diagonal = diagonal
        self.rowRegularization = rowRegularization
    }

    /// Dimension of the systems.
    public var dimension: Int { fixed.columns }

    /// The entries of a row that count: weight, target, fixed row. Weight 0 is no entry.
    func entries(ofRow row: Int) -> [(weight: Double, target: Double, vector: ArraySlice<Double>)] {
        sparse.range(ofRow: row).compactMap { entry in
            let weight = weighted ? sparse.values[entry] : 1
            guard weight != 0 else { return nil }
            return (weight, targets?[entry] ?? 1, fixed.row(sparse.columnIndices[entry]))
        }
    }

    /// `diagonal + rowRegularization[row]`.
    func ridge(ofRow row: Int) -> [Double] { diagonal.map { $0 + rowRegularization[row] } }

    /// The matrix (row-major) and the right-hand side of one row's system.
    public func system(ofRow row: Int) -> (matrix: [Double], rhs: [Double]) {
        let d = dimension
        var matrix = [Double](repeating: 0, count: d * d)
        var rhs = [Double](repeating: 0, count: d)
        for (place, value) in ridge(ofRow: row).enumerated() { matrix[place * d + place] = value }
        for (weight, target, vector) in entries(ofRow: row) {
            let v = Array(vector)
            for i in 0..<d {
                let left = weight * v[i]
                rhs[i] += left * target
                for j in 0..<d { matrix[i * d + j] += left * v[j] }
            }
        }
        return (matrix, rhs)
    }

    /// The solution by a dense Cholesky factorization; NaN when the system is not positive definite.
    public func exact(row: Int) -> [Double] {
        guard !entries(ofRow: row).isEmpty else { return [Double](repeating: 0, count: dimension) }
        let (matrix, rhs) = system(ofRow: row)
        guard let factor = Oracle.cholesky(matrix, n: dimension) else {
            return [Double](repeating: .nan, count: dimension)
        }
        return Oracle.solveFactored(factor, n: dimension, rhs: rhs)
    }

    /// One pass of Newton steps over the blocks of coordinates, in order.
    public func subspace(row: Int, blockSize: Int, start: [Double]) -> [Double] {
        let d = dimension
        let entries = entries(ofRow: row)
        guard !entries.isEmpty else { return [Double](repeating: 0, count: d) }
        let ridge = ridge(ofRow: row)
        var x = start
        for first in stride(from: 0, to: d, by: blockSize) {
            let block = first..<min(first + blockSize, d)
            let b = block.count
            var hessian = [Double](repeating: 0, count: b * b)
            var gradient = [Double](repeating: 0, count: b)
            for i in 0..<b {
                hessian[i * b + i] = ridge[first + i]
                gradient[i] = ridge[first + i] * x[first + i]
            }
            for (weight, target, vector) in entries {
                let residual = Oracle.dot(x[...], vector).value - target
                let part = Array(vector[vector.startIndex + first..<vector.startIndex + block.upperBound])
                for i in 0..<b {
                    gradient[i] += weight * residual * part[i]
                    for j in 0..<b { hessian[i * b + j] += weight * part[i] * part[j] }
                }
            }
            guard let factor = Oracle.cholesky(hessian, n: b) else { return [Double](repeating: .nan, count: d) }
            let step = Oracle.solveFactored(factor, n: b, rhs: gradient)
            for i in 0..<b { x[first + i] -= step[i] }
        }
        return x
    }

    /// Conjugate-gradient steps with the diagonal of the matrix as preconditioner: one of the allowed choices.
    public func conjugateGradient(row: Int, steps: Int, start: [Double]) -> [Double] {
        let d = dimension
        guard !entries(ofRow: row).isEmpty else { return [Double](repeating: 0, count: d) }
        let (matrix, rhs) = system(ofRow: row)
        func times(_ v: [Double]) -> [Double] {
            (0..<d).map { i in Oracle.dot(matrix[i * d..<(i + 1) * d], v[...]).value }
        }
        var x = start
        var residual = zip(rhs, times(x)).map { $0 - $1 }
        var z = (0..<d).map { residual[$0] / matrix[$0 * d + $0] }
        var direction = z
        var energy = Oracle.dot(residual[...], z[...]).value
        for _ in 0..<steps where energy > 0 {
            let image = times(direction)
            let curvature = Oracle.dot(direction[...], image[...]).value
            guard curvature > 0 else { break }
            let alpha = energy / curvature
            for i in 0..<d {
                x[i] += alpha * direction[i]
                residual[i] -= alpha * image[i]
                z[i] = residual[i] / matrix[i * d + i]
            }
            let next = Oracle.dot(residual[...], z[...]).value
            let beta = next / energy
            for i in 0..<d { direction[i] = z[i] + beta * direction[i] }
            energy = next
        }
        return x
    }

    /// `√((x − solution)ᵀ · A · (x − solution))`, the norm that conjugate gradient decreases.
    public func energyError(row: Int, _ x: [Double], solution: [Double]) -> Double {
        let difference = zip(x, solution).map { $0 - $1 }
        var energy = 0.0
        for (value, ridge) in zip(difference, ridge(ofRow: row)) { energy += ridge * value * value }
        for (weight, _, vector) in entries(ofRow: row) {
            let image = Oracle.dot(difference[...], vector).value
            energy += weight * image * image
        }
        return energy.squareRoot()
    }

    /// `‖Σ_e w_e |t_e| |v_e|‖`: what the rounding errors of a row's right-hand side scale with, however much of it
    /// cancels.
    public func rightHandMagnitude(row: Int) -> Double {
        var sums = [Double](repeating: 0, count: dimension)
        for (weight, target, vector) in entries(ofRow: row) {
            for (place, value) in vector.enumerated() { sums[place] += weight * abs(target * value) }
        }
        return sums.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }

    /// A bound on the largest eigenvalue of a row's matrix (the smaller of two of its norms), and one on its condition
    /// number: the former over the smallest element of the ridge, which is below the smallest eigenvalue.
    public func bounds(row: Int) -> (largest: Double, smallest: Double, condition: Double) {
        let d = dimension
        let matrix = system(ofRow: row).matrix
        let frobenius = matrix.reduce(0) { $0 + $1 * $1 }.squareRoot()
        let rowSums = (0..<d).map { matrix[$0 * d..<($0 + 1) * d].reduce(0) { $0 + abs($1) } }
        let largest = min(frobenius, rowSums.max() ?? 0)
        let smallest = ridge(ofRow: row).min() ?? 1
        return (largest, smallest, largest / smallest)
    }
}
