/// How columns go together.
public enum Correlation {
    /// Pearson's correlation over the rows where both have values; NaN when one of them is constant there. O(rows).
    public static func pearson(_ x: [Double], _ y: [Double]) -> Double {
        var (count, meanX, meanY, xx, yy, xy) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        // Updated means keep large values from cancelling (Welford).
        for row in x.indices where !x[row].isNaN && !y[row].isNaN {
            count += 1
            let (dx, dy) = (x[row] - meanX, y[row] - meanY)
            meanX += dx / count
            meanY += dy / count
            xx += dx * (x[row] - meanX)
            yy += dy * (y[row] - meanY)
            xy += dx * (y[row] - meanY)
        }
        return xx > 0 && yy > 0 ? min(max(xy / (xx * yy).squareRoot(), -1), 1) : .nan
    }

    /// All pairs. O(columns² · rows).
    public static func matrix(_ columns: [[Double]]) -> [[Double]] {
        var result = [[Double]](
            repeating: [Double](repeating: 1, count: columns.count), count: columns.count)
        for row in columns.indices {
            for column in 0..<row {
                let value = pearson(columns[row], columns[column])
                result[row][column] = value
                result[column][row] = value
            }
        }
        return result
    }
}
