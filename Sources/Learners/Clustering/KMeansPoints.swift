import Compute
import Core

/// Points as K-means works on them: shifted to their mean, so that float32 decides between centres as well far from the
/// origin as near it, or scaled to length 1.
public struct KMeansPoints {
    /// n × d, shifted or scaled.
    let matrix: HostMatrix
    /// The matrix on the device.
    let onDevice: Matrix
    /// Weights of the points, on both sides; nil for 1.
    let weights: [Float]?
    let weightsOnDevice: Matrix?
    /// What was subtracted: d zeros for cosine.
    let shift: [Double]
    /// Σ w‖x‖² of the matrix.
    let squares: Double
    /// The largest ‖x‖.
    let largestNorm: Double
    /// Inertia of a single cluster.
    let totalInertia: Double
    /// Mean variance of the columns, for the tolerance.
    let meanVariance: Double

    /// - Parameter overwrites: whether the points may be changed in place; otherwise they are copied.
    init(
        _ points: HostMatrix, weights: [Float]?, distance: ClusterDistance, overwrites: Bool, stream: Compute.Stream
    ) throws {
        let (n, d) = (points.rows, points.columns)
        let target =
            overwrites
            ? points : HostMatrix(rows: n, columns: d, storage: HostBuffer(uninitializedCount: n * d))
        matrix = target
        self.weights = weights
        weightsOnDevice = try weights.map { try stream.upload($0) }
        switch distance {
        case .euclidean:
            let mean = try Self.columnMeans(points, stream: stream)
            let shift = mean.map { Float($0) }
            self.shift = shift.map(Double.init)
            shift.withUnsafeBufferPointer { shift in
                for i in 0..<n {
                    let (source, row) = (points.storage.baseAddress + i * d, target.storage.baseAddress + i * d)
                    for j in 0..<d { row[j] = source[j] - shift[j] }
                }
            }
        case .cosine:
            shift = [Double](repeating: 0, count: d)
            for i in 0..<n {
                Self.normalize(points.storage.baseAddress + i * d, to: target.storage.baseAddress + i * d, d)
            }
        }
        onDevice = try stream.wrap(target)
        let norms = try stream.allocate(rows: 1, columns: n)
        try stream.rowNorms(onDevice, squared: true, into: norms)
        var (sum, plain, largest) = (0.0, 0.0, Float(0))
        for (i, norm) in try stream.download(norms, as: Float.self).enumerated() {
            sum += Double(norm) * Double(weights?[i] ?? 1)
            plain += Double(norm)
            largest = max(largest, norm)
        }
        squares = sum
        largestNorm = Double(largest).squareRoot()
        totalInertia = try Self.inertiaOfOne(
            onDevice, weights: weightsOnDevice, squares: sum, distance: distance, stream: stream)
        meanVariance = n > 0 && d > 0 ? plain / Double(n) / Double(d) : 0
    }

    /// Σ w‖x − mean‖², or Σ w (1 − cos) to the mean direction.
    private static func inertiaOfOne(
        _ points: Matrix, weights: Matrix?, squares: Double, distance: ClusterDistance, stream: Compute.Stream
    ) throws -> Double {
        let labels = try stream.upload([Int32](repeating: 0, count: points.rows))
        let sums = try stream.allocate(rows: 1, columns: points.columns)
        let totals = try stream.allocate(rows: 1, columns: 1)
        try stream.accumulateByLabel(
            points: points, labels: labels, weights: weights, sums: sums, totals: totals)
        var norm = 0.0
        for sum in try stream.download(sums, as: Float.self) { norm += Double(sum) * Double(sum) }
        let total = Double(try stream.download(totals, as: Float.self)[0])
        return distance == .cosine ? total - norm.squareRoot() : max(squares - norm / max(total, 1e-300), 0)
    }

    /// Means of the columns. Throws ``DataError`` for a value that is not finite.
    static func columnMeans(_ points: HostMatrix, stream: Compute.Stream) throws -> [Double] {
        let sums = try stream.allocate(rows: 1, columns: points.columns)
        try stream.columnSums(stream.wrap(points), into: sums)
        let values = try stream.download(sums, as: Float.self)
        guard values.allSatisfy(\.isFinite) else {
            try requireFinite(points)
            throw DataError("the points are too large for float32 sums; scale them")
        }
        return values.map { Double($0) / Double(max(points.rows, 1)) }
    }

    /// Throws ``DataError`` naming the first value that is not finite.
    static func requireFinite(_ points: HostMatrix, firstRow: Int = 0) throws {
        for i in 0..<points.rows {
            for (j, value) in points.row(i).enumerated() where !value.isFinite {
                throw DataError(
                    "row \(firstRow + i + 1) has the value \(value) in column \(j + 1); every value must be a finite number"
                )
            }
        }
    }

    /// 1 − cosine, from the squared distance of a scaled point to a centre of length 1: half of it, but 1 for a point of
    /// zeros, which has no direction.
    static func cosineDistance(_ squared: Float, _ point: UnsafeMutableBufferPointer<Float>) -> Float {
        abs(squared - 1) < 1e-4 && point.allSatisfy { $0 == 0 } ? 1 : squared / 2
    }

    /// Scales a row to length 1; a row of zeros stays. May work in place.
    static func normalize(_ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, _ d: Int) {
        var sum = 0.0
        for j in 0..<d { sum += Double(source[j]) * Double(source[j]) }
        let scale = sum > 0 ? 1 / sum.squareRoot() : 0
        for j in 0..<d { target[j] = Float(Double(source[j]) * scale) }
    }
}
