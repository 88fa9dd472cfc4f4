extension Oracle {
    /// For each point the squared distance to every centre.
    public static func squaredDistances(_ points: OracleMatrix, _ centers: OracleMatrix) -> OracleMatrix {
        var result = OracleMatrix(rows: points.rows, columns: centers.rows)
        for i in 0..<points.rows {
            for j in 0..<centers.rows {
                var sum = 0.0
                for p in 0..<points.columns {
                    let difference = points[i, p] - centers[j, p]
                    sum += difference * difference
                }
                result[i, j] = sum
            }
        }
        return result
    }

    /// The nearest centre of each point, the lower index among equal ones, and its squared distance; −1 and ∞ where no
    /// distance is finite.
    public static func nearest(_ points: OracleMatrix, _ centers: OracleMatrix) -> (
        labels: [Int32], distances: [Double]
    ) {
        let all = squaredDistances(points, centers)
        var (labels, distances) = ([Int32](), [Double]())
        for i in 0..<points.rows {
            var (label, best) = (Int32(-1), Double.infinity)
            for j in 0..<centers.rows where all[i, j] < best { (label, best) = (Int32(j), all[i, j]) }
            labels.append(label)
            distances.append(best)
        }
        return (labels, distances)
    }

    /// Weighted sums of the points of each label and of the weights, with the sums of the magnitudes.
    public static func accumulate(
        _ points: OracleMatrix, labels: [Int], weights: [Double]?, count: Int
    ) -> (sums: OracleMatrix, totals: [Double], magnitudes: OracleMatrix) {
        var sums = OracleMatrix(rows: count, columns: points.columns)
        var magnitudes = sums
        var totals = [Double](repeating: 0, count: count)
        for (i, label) in labels.enumerated() where label >= 0 && label < count {
            let weight = weights?[i] ?? 1
            totals[label] += weight
            for p in 0..<points.columns {
                sums[label, p] += weight * points[i, p]
                magnitudes[label, p] += abs(weight * points[i, p])
            }
        }
        return (sums, totals, magnitudes)
    }
}
