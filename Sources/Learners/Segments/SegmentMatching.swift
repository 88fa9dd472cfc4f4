import Core

/// Numbers of clusters that stay when a model is fitted again.
public enum SegmentMatching {
    /// For each new centre its number: the old centres are matched to the new ones so that the sum of squared distances is
    /// smallest (Hungarian method, O(k³)); new clusters beyond the old ones get the numbers after them.
    public static func numbers(of new: HostMatrix, like old: HostMatrix) -> [Int] {
        let (n, m) = (new.rows, old.rows)
        let size = max(n, m)
        // Places without a partner cost nothing, so that they go where they disturb least.
        var cost = [[Double]](repeating: [Double](repeating: 0, count: size), count: size)
        for i in 0..<n {
            for j in 0..<m {
                for p in 0..<min(new.columns, old.columns) {
                    let x = Double(new[i, p]) - Double(old[j, p])
                    cost[i][j] += x * x
                }
            }
        }
        var numbers = assignment(cost)
        // Those that went beyond the old numbers are numbered in their order.
        var next = m
        for i in 0..<n where numbers[i] >= m || m == 0 {
            numbers[i] = next
            next += 1
        }
        guard n < m else { return Array(numbers.prefix(n)) }
        // Fewer clusters than before: numbers stay dense, in the order of the old ones.
        let order = (0..<n).sorted { numbers[$0] < numbers[$1] }
        var dense = [Int](repeating: 0, count: n)
        for (place, i) in order.enumerated() { dense[i] = place }
        return dense
    }

    /// The column of each row in the cheapest assignment (Kuhn and Munkres, with potentials).
    static func assignment(_ cost: [[Double]]) -> [Int] {
        let n = cost.count
        var (u, v) = ([Double](repeating: 0, count: n + 1), [Double](repeating: 0, count: n + 1))
        var (row, way) = ([Int](repeating: 0, count: n + 1), [Int](repeating: 0, count: n + 1))
        for i in stride(from: 1, through: n, by: 1) {
            row[0] = i
            var column = 0
            var least = [Double](repeating: .infinity, count: n + 1)
            var used = [Bool](repeating: false, count: n + 1)
            repeat {
                used[column] = true
                let current = row[column]
                var (delta, next) = (Double.infinity, 0)
                for j in 1...n where !used[j] {
                    let reduced = cost[current - 1][j - 1] - u[current] - v[j]
                    if reduced < least[j] { (least[j], way[j]) = (reduced, column) }
                    if least[j] < delta { (delta, next) = (least[j], j) }
                }
                for j in 0...n {
                    if used[j] {
                        u[row[j]] += delta
                        v[j] -= delta
                    } else {
                        least[j] -= delta
                    }
                }
                column = next
            } while row[column] != 0
            repeat {
                let previous = way[column]
                row[column] = row[previous]
                column = previous
            } while column != 0
        }
        var result = [Int](repeating: 0, count: n)
        for j in stride(from: 1, through: n, by: 1) { result[row[j] - 1] = j - 1 }
        return result
    }

    /// The same result with its clusters renumbered: cluster i becomes `numbers[i]`, a permutation.
    public static func renumbered(_ result: KMeansResult, _ numbers: [Int]) -> KMeansResult {
        let centers = HostMatrix(rows: result.centers.rows, columns: result.centers.columns)
        var (sizes, weights) = (result.sizes, result.weights)
        for (i, number) in numbers.enumerated() {
            centers.row(number).baseAddress?.update(from: result.centers.row(i).baseAddress!, count: centers.columns)
            sizes[number] = result.sizes[i]
            weights[number] = result.weights[i]
        }
        return KMeansResult(
            centers: centers, labels: result.labels.map { $0 < 0 ? -1 : Int32(numbers[Int($0)]) },
            distances: result.distances, inertia: result.inertia, totalInertia: result.totalInertia, sizes: sizes,
            weights: weights, iterations: result.iterations, converged: result.converged, history: result.history,
            refilled: result.refilled, startSeconds: result.startSeconds,
            iterationSeconds: result.iterationSeconds)
    }
}
