import Compute
import Core

/// The directions in which points vary most: eigenvectors of their covariance, by LAPACK.
public struct PrincipalComponents: Sendable {
    /// Means of the columns.
    public let mean: [Double]
    /// Component after component, of length 1; the largest element of each is positive.
    public let directions: [[Double]]
    /// Share of the variance that each explains.
    public let shares: [Double]

    /// Finds `count` components. n · d² operations on the device and a d × d eigenproblem on the host.
    ///
    /// - Throws: ``DataError`` for points that are not finite, and what the device throws.
    public init(_ points: HostMatrix, count: Int, stream: Compute.Stream) throws {
        let d = points.columns
        let mean = try KMeansPoints.columnMeans(points, stream: stream)
        let shifted = HostMatrix(
            rows: points.rows, columns: d, storage: HostBuffer(uninitializedCount: points.rows * d))
        for i in 0..<points.rows {
            for p in 0..<d { shifted[i, p] = Float(Double(points[i, p]) - mean[p]) }
        }
        let gram = try stream.allocate(rows: d, columns: d)
        try stream.gram(stream.wrap(shifted), into: gram)
        let matrix = try stream.download(gram).storage.array.map { Double($0) / Double(max(points.rows - 1, 1)) }
        let (values, vectors) = try stream.device.denseSolver.symmetricEigen(matrix, n: d)
        let total = values.reduce(0) { $0 + max($1, 0) }
        var (directions, shares): ([[Double]], [Double]) = ([], [])
        for column in (0..<d).reversed().prefix(count) {
            var direction = (0..<d).map { vectors[$0 * d + column] }
            if (direction.max { abs($0) < abs($1) } ?? 0) < 0 { direction = direction.map { -$0 } }
            directions.append(direction)
            shares.append(total > 0 ? max(values[column], 0) / total : 0)
        }
        (self.mean, self.directions, self.shares) = (mean, directions, shares)
    }

    /// The coordinates of a point along the components.
    public func coordinates(_ point: UnsafeMutableBufferPointer<Float>) -> [Double] {
        directions.map { direction in
            var sum = 0.0
            for p in direction.indices { sum += direction[p] * (Double(point[p]) - mean[p]) }
            return sum
        }
    }
}
