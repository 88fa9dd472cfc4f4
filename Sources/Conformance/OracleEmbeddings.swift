import Compute

/// Tables of vectors and products of vectors, straight from their formulas.
extension Oracle {
    /// Sums of the rows of a table, with the sums of their magnitudes.
    public static func gatherBags(
        _ table: OracleMatrix, ids: [Int], rows: Int, starts: [Int], weights: [Double]
    ) -> (values: [Double], magnitudes: [Double]) {
        let width = rows > 0 ? ids.count / rows : 0
        var (values, magnitudes): ([Double], [Double]) = ([], [])
        for row in 0..<rows {
            for bag in 0..<starts.count - 1 {
                for column in 0..<table.columns {
                    var (sum, magnitude) = (0.0, 0.0)
                    for entry in starts[bag]..<starts[bag + 1] where ids[row * width + entry] >= 0 {
                        let id = ids[row * width + entry]
                        let term = id < table.rows ? weights[row * width + entry] * table[id, column] : .nan
                        sum += term
                        magnitude += abs(term)
                    }
                    values.append(sum)
                    magnitudes.append(magnitude)
                }
            }
        }
        return (values, magnitudes)
    }

    /// Products of the vectors of a row, with the sums of the magnitudes of their terms.
    public static func pairProducts(_ row: [Double], vectors: Int) -> (values: [Double], magnitudes: [Double]) {
        let d = row.count / vectors
        var (values, magnitudes): ([Double], [Double]) = ([], [])
        for a in 0..<vectors {
            for b in 0..<a {
                let terms = (0..<d).map { row[a * d + $0] * row[b * d + $0] }
                values.append(terms.reduce(0, +))
                magnitudes.append(terms.reduce(0) { $0 + abs($1) })
            }
        }
        return (values, magnitudes)
    }

    /// The gradient of ``pairProducts(_:vectors:)``.
    public static func pairProductsGradient(
        _ row: [Double], vectors: Int, outputGradient: [Double]
    ) -> (values: [Double], magnitudes: [Double]) {
        let d = row.count / vectors
        var values = [Double](repeating: 0, count: row.count)
        var magnitudes = values
        var pair = 0
        for a in 0..<vectors {
            for b in 0..<a {
                for j in 0..<d {
                    for (own, other) in [(a, b), (b, a)] {
                        let term = outputGradient[pair] * row[other * d + j]
                        values[own * d + j] += term
                        magnitudes[own * d + j] += abs(term)
                    }
                }
                pair += 1
            }
        }
        return (values, magnitudes)
    }
}

extension OracleBackend {
    func run(_ x: GatherBags) throws(ComputeError) {
        let ids = try integers(x.ids)
        let result = Oracle.gatherBags(
            try matrix(x.table), ids: ids, rows: x.ids.rows, starts: try integers(x.starts),
            weights: try vector(x.weights) ?? [Double](repeating: 1, count: ids.count))
        try store(result.values.map(Float.init), to: x.output)
    }

    func run(_ x: UpdateRows) throws(ComputeError) {
        let gradient = try matrix(x.gradient)
        let factors = try vector(x.factors)
        let (ids, starts, order) = (try integers(x.ids), try integers(x.starts), try integers(x.order))
        let controls = try vector(x.controls) ?? [0, 0, 0, 1]
        for (segment, id) in ids.enumerated() where id >= 0 && id < x.table.rows {
            var sums = [Double](repeating: 0, count: x.table.columns)
            for place in starts[segment]..<starts[segment + 1] {
                let (row, block) = (order[place] / x.blocks, order[place] % x.blocks)
                let factor = (factors?[place] ?? 1) * controls[3]
                for column in sums.indices { sums[column] += gradient[row, block * sums.count + column] * factor }
            }
            let method: OptimizerMethod
            var rowWise = false
            switch x.method {
            case .add: method = .gradientDescent(momentum: 0, nesterov: false)
            case .gradientDescent: method = .gradientDescent(momentum: 0, nesterov: false)
            case .adam(let beta1, let beta2, let epsilon): method = .adam(beta1: beta1, beta2: beta2, epsilon: epsilon)
            case .adagrad(let epsilon): method = .adagrad(epsilon: epsilon)
            case .rowWiseAdagrad(let epsilon):
                method = .adagrad(epsilon: epsilon)
                rowWise = true
            }
            let row = id..<id + 1
            var values = try matrix(x.table.rows(row)).elements
            var first = try vector(x.first?.rows(row))
            var second = try vector(x.second?.rows(row))
            let rate = x.method == .add ? -1 : controls[0]
            let mean = sums.reduce(0) { $0 + $1 * $1 } / Double(max(sums.count, 1))
            for column in values.indices {
                var state = Oracle.OptimizedParameter(
                    value: values[column], first: first?[column] ?? 0, second: rowWise ? 0 : second?[column] ?? 0)
                if rowWise {
                    // The square of this element gives way to the mean of all.
                    state.second = second![0] + mean - sums[column] * sums[column]
                }
                state = Oracle.step(
                    method, state, gradient: sums[column], gradientError: 0,
                    controls: (rate, controls[1], controls[2], controls[3]))
                values[column] = state.value
                first?[column] = state.first
                if !rowWise { second?[column] = state.second }
            }
            if rowWise { second![0] += mean }
            try store(values.map(Float.init), to: x.table.rows(row))
            if let first, let matrix = x.first { try store(first.map(Float.init), to: matrix.rows(row)) }
            if let second, let matrix = x.second { try store(second.map(Float.init), to: matrix.rows(row)) }
        }
    }
}
