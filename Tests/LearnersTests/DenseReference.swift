import Core
import Glibc
import Learners

/// Rendle's loss and the systems of its half-steps, written out densely in double precision: what the library's
/// rotated, dual and blocked solvers must agree with.
struct DenseReference {
    let options: FactorizationOptions
    let mean: Double

    var scale: Double { 1 / Double(options.biasRegularization).squareRoot() }

    /// The rows solved against `fixed`, a row without entries being 0.
    func halfStep(_ observations: HostSparseMatrix, fixed: [[Double]], otherSideCount: Int) -> [[Double]] {
        let columns = fixed.first?.count ?? 0
        let implicit = options.feedback == .implicit
        var shared = [[Double]](repeating: [Double](repeating: 0, count: columns), count: columns)
        if implicit {
            for row in fixed { add(row, weight: Double(options.unobservedWeight), to: &shared) }
        }
        return (0..<observations.rows).map { row in
            let range = observations.range(ofRow: row)
            guard !range.isEmpty else { return [Double](repeating: 0, count: columns) }
            var system = shared
            var right = [Double](repeating: 0, count: columns)
            for entry in range {
                var vector = fixed[Int(observations.columnIndices[entry])]
                let value = Double(observations.values[entry])
                var (weight, target) = (confidence(value), 1.0)
                if !implicit {
                    (weight, target) = (1, value - mean - scale * vector[columns - 1])
                    vector[columns - 1] = scale
                }
                add(vector, weight: weight, to: &system)
                for k in 0..<columns { right[k] += weight * target * vector[k] }
            }
            let ridge = regularization(entries: range.count, otherSideCount: otherSideCount)
            for k in 0..<columns { system[k][k] += ridge }
            return solve(system, right)
        }
    }

    /// The loss, by a double sum over all pairs.
    func loss(_ observations: HostSparseMatrix, users: [[Double]], items: [[Double]]) -> Double {
        let occupiedUsers = (0..<observations.rows).count { !observations.range(ofRow: $0).isEmpty }
        let byItem = observations.transposed()
        let occupiedItems = (0..<byItem.rows).count { !byItem.range(ofRow: $0).isEmpty }
        var total = 0.0
        for (u, user) in users.enumerated() {
            var rated: [Int: Double] = [:]
            for entry in observations.range(ofRow: u) {
                rated[Int(observations.columnIndices[entry])] = Double(observations.values[entry])
            }
            for (i, item) in items.enumerated() {
                let score = predict(user, item)
                if options.feedback == .implicit {
                    total += Double(options.unobservedWeight) * score * score
                    if let value = rated[i] { total += confidence(value) * (score - 1) * (score - 1) }
                } else if let value = rated[i] {
                    total += (score - value) * (score - value)
                }
            }
            total +=
                regularization(entries: rated.count, otherSideCount: occupiedItems)
                * user.reduce(0) { $0 + $1 * $1 }
        }
        for (i, item) in items.enumerated() {
            total +=
                regularization(entries: byItem.range(ofRow: i).count, otherSideCount: occupiedUsers)
                * item.reduce(0) { $0 + $1 * $1 }
        }
        return total
    }

    /// Score or rating.
    func predict(_ user: [Double], _ item: [Double]) -> Double {
        let d = options.factors
        var sum = mean
        for k in 0..<d { sum += user[k] * item[k] }
        return options.feedback == .explicit ? sum + scale * (user[d] + item[d]) : sum
    }

    private func confidence(_ value: Double) -> Double {
        switch options.confidence {
        case .constant: 1
        case .linear: value
        case .log: log2(1 + value)
        }
    }

    /// λ · #ᵛ.
    func regularization(entries: Int, otherSideCount: Int) -> Double {
        let shared = options.feedback == .implicit ? Double(options.unobservedWeight) * Double(otherSideCount) : 0
        let frequency = max(Double(entries) + shared, 1)
        return Double(options.regularization) * pow(frequency, Double(options.regularizationExponent))
    }

    private func add(_ vector: [Double], weight: Double, to system: inout [[Double]]) {
        for i in vector.indices { for j in vector.indices { system[i][j] += weight * vector[i] * vector[j] } }
    }

    /// Gaussian elimination with partial pivoting.
    private func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
        var (a, b) = (matrix, right)
        let n = b.count
        for column in 0..<n {
            let pivot = (column..<n).max { abs(a[$0][column]) < abs(a[$1][column]) } ?? column
            a.swapAt(column, pivot)
            b.swapAt(column, pivot)
            for row in column + 1..<max(n, column + 1) {
                let factor = a[row][column] / a[column][column]
                for k in column..<n { a[row][k] -= factor * a[column][k] }
                b[row] -= factor * b[column]
            }
        }
        for row in stride(from: n - 1, through: 0, by: -1) {
            for k in row + 1..<max(n, row + 1) { b[row] -= a[row][k] * b[k] }
            b[row] /= a[row][row]
        }
        return b
    }
}
