/// Decompositions of small dense matrices on the host, by LAPACK, in double precision.
///
/// The one declared piece of host algebra: learners are handed it openly. Matrices are n × n in row-major arrays (for a
/// symmetric matrix the order makes no difference).
public protocol DenseSolver: Sendable {
    /// Eigenvalues, ascending, and eigenvectors of a symmetric matrix: `matrix = V · diag(values) · Vᵀ`, V row-major
    /// with the eigenvectors as its columns. O(n³).
    func symmetricEigen(_ matrix: [Double], n: Int) throws(ComputeError) -> (values: [Double], vectors: [Double])

    /// The lower Cholesky factor L, `matrix = L · Lᵀ`, of a symmetric positive definite matrix, row-major with zeros
    /// above the diagonal. O(n³ / 3).
    func cholesky(_ matrix: [Double], n: Int) throws(ComputeError) -> [Double]

    /// Solves `matrix · X = rhs` for a symmetric positive definite matrix and `columns` right-hand sides (n × columns,
    /// row-major). O(n³ / 3 + n² · columns).
    func solvePositiveDefinite(
        _ matrix: [Double], n: Int, rhs: [Double], columns: Int
    ) throws(ComputeError) -> [Double]

    /// Replaces a symmetric positive definite matrix by its inverse, in place: for matrices so large that a copy
    /// matters. O(n³).
    func invertPositiveDefinite(_ matrix: UnsafeMutablePointer<Double>, n: Int) throws(ComputeError)

    /// The thin QR decomposition of a row-major rows × columns matrix with rows ≥ columns: Q is rows × columns with
    /// orthonormal columns, R columns × columns upper triangular. O(rows · columns²).
    func qr(_ matrix: [Double], rows: Int, columns: Int) throws(ComputeError) -> (q: [Double], r: [Double])

    /// The thin singular value decomposition of a row-major rows × columns matrix: U (rows × r), the r = min(rows,
    /// columns) singular values, descending, and Vᵀ (r × columns). O(rows · columns · r).
    func singularValues(
        _ matrix: [Double], rows: Int, columns: Int
    ) throws(ComputeError) -> (u: [Double], values: [Double], vTransposed: [Double])
}

extension DenseSolver {
    public func invertPositiveDefinite(_ matrix: UnsafeMutablePointer<Double>, n: Int) throws(ComputeError) {
        var identity = [Double](repeating: 0, count: n * n)
        for i in 0..<n { identity[i * n + i] = 1 }
        let copy = Array(UnsafeBufferPointer(start: matrix, count: n * n))
        let inverse = try solvePositiveDefinite(copy, n: n, rhs: identity, columns: n)
        for place in 0..<n * n { matrix[place] = inverse[place] }
    }
}
