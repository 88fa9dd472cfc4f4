import Compute

/// The `DenseSolver` of the ``OracleDevice``: textbook methods in plain Swift, for small matrices.
public struct OracleDenseSolver: DenseSolver {
    public init() {}

    public func symmetricEigen(
        _ matrix: [Double], n: Int
    ) throws(ComputeError) -> (values: [Double], vectors: [Double]) {
        var a = matrix
        var vectors = [Double](repeating: 0, count: n * n)
        for i in 0..<n { vectors[i * n + i] = 1 }
        let scale = a.reduce(0) { $0 + $1 * $1 }
        // Cyclic Jacobi: converges quadratically, some ten sweeps are plenty.
        for _ in 0..<60 {
            var offDiagonal = 0.0
            for i in 0..<n {
                for j in 0..<i { offDiagonal += a[i * n + j] * a[i * n + j] }
            }
            if offDiagonal <= scale * 1e-32 { break }
            for p in 0..<max(n - 1, 0) {
                for q in p + 1..<n { Self.rotate(&a, &vectors, n, p, q) }
            }
        }
        let order = (0..<n).sorted { a[$0 * n + $0] < a[$1 * n + $1] }
        var sorted = [Double](repeating: 0, count: n * n)
        for (place, column) in order.enumerated() {
            for row in 0..<n { sorted[row * n + place] = vectors[row * n + column] }
        }
        return (order.map { a[$0 * n + $0] }, sorted)
    }

    private static func rotate(_ a: inout [Double], _ vectors: inout [Double], _ n: Int, _ p: Int, _ q: Int) {
        let apq = a[p * n + q]
        guard apq != 0 else { return }
        let theta = (a[q * n + q] - a[p * n + p]) / (2 * apq)
        let t = (theta < 0 ? -1.0 : 1.0) / (abs(theta) + (theta * theta + 1).squareRoot())
        let c = 1 / (t * t + 1).squareRoot()
        let s = t * c
        for k in 0..<n {
            let (x, y) = (a[k * n + p], a[k * n + q])
            a[k * n + p] = c * x - s * y
            a[k * n + q] = s * x + c * y
        }
        for k in 0..<n {
            let (x, y) = (a[p * n + k], a[q * n + k])
            a[p * n + k] = c * x - s * y
            a[q * n + k] = s * x + c * y
            let (v, w) = (vectors[k * n + p], vectors[k * n + q])
            vectors[k * n + p] = c * v - s * w
            vectors[k * n + q] = s * v + c * w
        }
    }

    public func cholesky(_ matrix: [Double], n: Int) throws(ComputeError) -> [Double] {
        guard let factor = Oracle.cholesky(matrix, n: n) else {
            throw .numerical(operation: "cholesky", reason: "the matrix is not positive definite")
        }
        return factor
    }

    public func solvePositiveDefinite(
        _ matrix: [Double], n: Int, rhs: [Double], columns: Int
    ) throws(ComputeError) -> [Double] {
        let factor = try cholesky(matrix, n: n)
        var result = rhs
        for column in 0..<columns {
            let x = Oracle.solveFactored(factor, n: n, rhs: (0..<n).map { rhs[$0 * columns + column] })
            for row in 0..<n { result[row * columns + column] = x[row] }
        }
        return result
    }

    public func qr(
        _ matrix: [Double], rows: Int, columns: Int
    ) throws(ComputeError) -> (q: [Double], r: [Double]) {
        var q = matrix
        var r = [Double](repeating: 0, count: columns * columns)
        for column in 0..<columns {
            // Gram–Schmidt done twice is as orthogonal as Householder's method.
            for _ in 0..<2 {
                for other in 0..<column {
                    var projection = 0.0
                    for row in 0..<rows { projection += q[row * columns + other] * q[row * columns + column] }
                    r[other * columns + column] += projection
                    for row in 0..<rows { q[row * columns + column] -= projection * q[row * columns + other] }
                }
            }
            var square = 0.0
            for row in 0..<rows { square += q[row * columns + column] * q[row * columns + column] }
            let norm = square.squareRoot()
            guard norm > 0 else {
                throw .numerical(operation: "qr", reason: "column \(column) depends on those before it")
            }
            r[column * columns + column] = norm
            for row in 0..<rows { q[row * columns + column] /= norm }
        }
        return (q, r)
    }

    public func singularValues(
        _ matrix: [Double], rows: Int, columns: Int
    ) throws(ComputeError) -> (u: [Double], values: [Double], vTransposed: [Double]) {
        guard rows >= columns else {
            let transposed = OracleMatrix(rows: rows, columns: columns, elements: matrix).transposed
            let (u, values, vTransposed) = try singularValues(transposed.elements, rows: columns, columns: rows)
            // The input is (U S Vᵀ)ᵀ = V S Uᵀ.
            return (
                OracleMatrix(rows: rows, columns: rows, elements: vTransposed).transposed.elements, values,
                OracleMatrix(rows: columns, columns: rows, elements: u).transposed.elements
            )
        }
        // One-sided Jacobi: rotate columns until they are orthogonal.
        var a = OracleMatrix(rows: rows, columns: columns, elements: matrix).transposed
        var v = OracleMatrix(rows: columns, columns: columns)
        for i in 0..<columns { v[i, i] = 1 }
        for _ in 0..<60 {
            var rotated = false
            for p in 0..<max(columns - 1, 0) {
                for q in p + 1..<columns {
                    let alpha = Oracle.dot(a.row(p), a.row(p)).value
                    let beta = Oracle.dot(a.row(q), a.row(q)).value
                    let gamma = Oracle.dot(a.row(p), a.row(q)).value
                    guard abs(gamma) > 1e-15 * (alpha * beta).squareRoot() else { continue }
                    rotated = true
                    let zeta = (beta - alpha) / (2 * gamma)
                    let t = (zeta < 0 ? -1.0 : 1.0) / (abs(zeta) + (zeta * zeta + 1).squareRoot())
                    let c = 1 / (t * t + 1).squareRoot()
                    let s = t * c
                    for k in 0..<rows {
                        let (x, y) = (a[p, k], a[q, k])
                        (a[p, k], a[q, k]) = (c * x - s * y, s * x + c * y)
                    }
                    for k in 0..<columns {
                        let (x, y) = (v[p, k], v[q, k])
                        (v[p, k], v[q, k]) = (c * x - s * y, s * x + c * y)
                    }
                }
            }
            if !rotated { break }
        }
        let norms = (0..<columns).map { Oracle.dot(a.row($0), a.row($0)).value.squareRoot() }
        let order = (0..<columns).sorted { norms[$0] > norms[$1] }
        var u = [Double](repeating: 0, count: rows * columns)
        for (place, column) in order.enumerated() where norms[column] > 0 {
            for row in 0..<rows { u[row * columns + place] = a[column, row] / norms[column] }
        }
        return (u, order.map { norms[$0] }, order.flatMap { Array(v.row($0)) })
    }
}
