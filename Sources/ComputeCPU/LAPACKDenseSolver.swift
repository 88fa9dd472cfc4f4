import COpenBLAS
import Compute

/// ``DenseSolver`` by LAPACKE, called column-major. Row-major arguments are handed over as their transposes, which for
/// symmetric matrices makes no difference.
struct LAPACKDenseSolver: DenseSolver {
    func symmetricEigen(_ matrix: [Double], n: Int) throws(ComputeError) -> (values: [Double], vectors: [Double]) {
        try check(matrix, rows: n, columns: n, "symmetricEigen")
        guard n > 0 else { return ([], []) }
        var vectors = matrix
        var values = [Double](repeating: 0, count: n)
        let code = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 0x56, 0x4C, Int32(n), &vectors, Int32(n), &values)  // V, L
        guard code == 0 else {
            throw .numerical(operation: "symmetricEigen", reason: "dsyevd did not converge (code \(code))")
        }
        return (values, Self.transposed(vectors, rows: n, columns: n))
    }

    func cholesky(_ matrix: [Double], n: Int) throws(ComputeError) -> [Double] {
        try check(matrix, rows: n, columns: n, "cholesky")
        guard n > 0 else { return [] }
        var factor = matrix
        // The upper factor of a column-major matrix is, read row-major, the lower one.
        let code = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 0x55, Int32(n), &factor, Int32(n))  // U
        guard code == 0 else {
            throw .numerical(
                operation: "cholesky", reason: "the matrix is not positive definite (leading minor \(code))")
        }
        for i in 0..<n { for j in i + 1..<max(n, i + 1) { factor[i * n + j] = 0 } }
        return factor
    }

    func solvePositiveDefinite(
        _ matrix: [Double], n: Int, rhs: [Double], columns: Int
    ) throws(ComputeError) -> [Double] {
        let name = "solvePositiveDefinite"
        try check(matrix, rows: n, columns: n, name)
        try check(rhs, rows: n, columns: columns, name)
        guard n > 0, columns > 0 else { return rhs }
        var factor = matrix
        var solution = Self.transposed(rhs, rows: n, columns: columns)
        let code = LAPACKE_dposv(
            LAPACK_COL_MAJOR, 0x4C, Int32(n), Int32(columns), &factor, Int32(n), &solution,
            Int32(n))
        guard code == 0 else {
            throw .numerical(operation: name, reason: "the matrix is not positive definite (leading minor \(code))")
        }
        return Self.transposed(solution, rows: columns, columns: n)
    }

    func invertPositiveDefinite(_ matrix: UnsafeMutablePointer<Double>, n: Int) throws(ComputeError) {
        let name = "invertPositiveDefinite"
        guard n > 0 else { return }
        for place in 0..<n * n where !matrix[place].isFinite {
            throw .numerical(operation: name, reason: "the matrix has elements that are not finite")
        }
        var code = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 0x4C, Int32(n), matrix, Int32(n))  // L
        guard code == 0 else {
            throw .numerical(operation: name, reason: "the matrix is not positive definite (leading minor \(code))")
        }
        code = LAPACKE_dpotri(LAPACK_COL_MAJOR, 0x4C, Int32(n), matrix, Int32(n))
        guard code == 0 else { throw .numerical(operation: name, reason: "dpotri failed (code \(code))") }
        // Column-major, the lower triangle was written: element (i, j), i ≥ j, at j · n + i. The other one follows, in
        // blocks that fit the cache.
        let block = 64
        for first in stride(from: 0, to: n, by: block) {
            for second in stride(from: first, to: n, by: block) {
                for j in first..<min(first + block, n) {
                    for i in max(second, j + 1)..<max(min(second + block, n), max(second, j + 1)) {
                        matrix[i * n + j] = matrix[j * n + i]
                    }
                }
            }
        }
    }

    func qr(_ matrix: [Double], rows: Int, columns: Int) throws(ComputeError) -> (q: [Double], r: [Double]) {
        try check(matrix, rows: rows, columns: columns, "qr")
        guard rows >= columns else {
            throw .invalidArgument(operation: "qr", reason: "\(rows) × \(columns) has fewer rows than columns")
        }
        guard columns > 0 else { return ([], []) }
        var q = Self.transposed(matrix, rows: rows, columns: columns)
        var reflectors = [Double](repeating: 0, count: columns)
        var code = LAPACKE_dgeqrf(
            LAPACK_COL_MAJOR, Int32(rows), Int32(columns), &q, Int32(rows), &reflectors)
        guard code == 0 else { throw .numerical(operation: "qr", reason: "dgeqrf failed (code \(code))") }
        var r = [Double](repeating: 0, count: columns * columns)
        for i in 0..<columns { for j in i..<columns { r[i * columns + j] = q[j * rows + i] } }
        code = LAPACKE_dorgqr(
            LAPACK_COL_MAJOR, Int32(rows), Int32(columns), Int32(columns), &q, Int32(rows),
            reflectors)
        guard code == 0 else { throw .numerical(operation: "qr", reason: "dorgqr failed (code \(code))") }
        return (Self.transposed(q, rows: columns, columns: rows), r)
    }

    func singularValues(
        _ matrix: [Double], rows: Int, columns: Int
    ) throws(ComputeError) -> (u: [Double], values: [Double], vTransposed: [Double]) {
        try check(matrix, rows: rows, columns: columns, "singularValues")
        let rank = min(rows, columns)
        guard rank > 0 else { return ([], [], []) }
        var a = Self.transposed(matrix, rows: rows, columns: columns)
        var values = [Double](repeating: 0, count: rank)
        var u = [Double](repeating: 0, count: rows * rank)
        var vTransposed = [Double](repeating: 0, count: rank * columns)
        let code = LAPACKE_dgesdd(
            LAPACK_COL_MAJOR, 0x53, Int32(rows), Int32(columns), &a, Int32(rows), &values, &u,
            Int32(rows), &vTransposed, Int32(rank))  // S
        guard code == 0 else {
            throw .numerical(operation: "singularValues", reason: "dgesdd did not converge (code \(code))")
        }
        return (
            Self.transposed(u, rows: rank, columns: rows), values,
            Self.transposed(vTransposed, rows: columns, columns: rank)
        )
    }

    /// LAPACK may loop for ever on NaN: it is refused here.
    private func check(_ matrix: [Double], rows: Int, columns: Int, _ operation: String) throws(ComputeError) {
        guard rows >= 0, columns >= 0, matrix.count == rows * columns else {
            throw .invalidArgument(
                operation: operation, reason: "\(matrix.count) elements for \(rows) × \(columns)")
        }
        guard matrix.allSatisfy({ $0.isFinite }) else {
            throw .numerical(operation: operation, reason: "the matrix holds a number that is not finite")
        }
    }

    /// columns × rows from rows × columns, both row-major.
    private static func transposed(_ matrix: [Double], rows: Int, columns: Int) -> [Double] {
        var result = [Double](repeating: 0, count: rows * columns)
        for i in 0..<rows { for j in 0..<columns { result[j * rows + i] = matrix[i * columns + j] } }
        return result
    }
}
