import Compute

/// Batch normalization: every element on its own, so that the tolerances are a few roundings.
enum BatchNormCases {
    static func batchNorm(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let inPlace = index % 2 == 0
            return ConformanceCase(
                .batchNorm, "\(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")"
            ) { run throws(ComputeError) in
                let values = run.uniform(rows * columns, -1, 2)
                let (mean, inverse) = (run.uniform(columns, 0, 1), run.uniform(columns, 0.5, 3))
                let (gain, bias) = (run.uniform(columns, 0.5, 2), run.uniform(columns))
                let output = try run.output(rows: rows, columns: columns, layout, initial: inPlace ? values : nil)
                let input = inPlace ? output : try run.input(values, rows: rows, columns: columns, layout)
                let (m, s) = (try run.vector(mean), try run.vector(inverse, .padded))
                let (g, b) = (try run.vector(gain, .padded), try run.vector(bias))
                run.work = Double(8 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.batchNorm(
                        input.matrix, mean: m.matrix, inverse: s.matrix, gain: g.matrix, bias: b.matrix,
                        into: output.matrix)
                }
                func parts(_ place: Int) -> (normal: Double, bias: Double) {
                    let j = place % columns
                    return (
                        (Double(values[place]) - Double(mean[j])) * Double(inverse[j]) * Double(gain[j]),
                        Double(bias[j])
                    )
                }
                run.compare(output, values.indices.map { parts($0).normal + parts($0).bias }) {
                    5 * Tolerance.unit * (abs(parts($0).normal) + abs(parts($0).bias))
                }
            }
        }
    }

    static func products(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.enumerated().flatMap { index, shape in
            [false, true].map { squares in
                let (rows, columns) = shape
                let layout = Layout.all[index % 3]
                return ConformanceCase(
                    .batchNormProducts, "\(squares ? "squares" : "gradients"), \(rows) × \(columns) \(layout)"
                ) { run throws(ComputeError) in
                    let (values, gradients) = (run.uniform(rows * columns, -1, 2), run.uniform(rows * columns))
                    let (mean, inverse) = (run.uniform(columns, 0, 1), run.uniform(columns, 0.5, 3))
                    let input = try run.input(values, rows: rows, columns: columns, layout)
                    let outer = try run.input(gradients, rows: rows, columns: columns, .padded)
                    let (m, s) = (try run.vector(mean, .padded), try run.vector(inverse))
                    let output = try run.output(rows: rows, columns: columns, layout)
                    run.work = Double(8 * rows * columns)
                    try run.perform { stream throws(ComputeError) in
                        try stream.batchNormProducts(
                            input.matrix, mean: m.matrix, gradient: squares ? nil : (s.matrix, outer.matrix),
                            into: output.matrix)
                    }
                    let expected = values.indices.map { place in
                        let centred = Double(values[place]) - Double(mean[place % columns])
                        return squares
                            ? centred * centred
                            : Double(gradients[place]) * centred * Double(inverse[place % columns])
                    }
                    run.compare(output, expected) { 5 * Tolerance.unit * abs(expected[$0]) }
                }
            }
        }
    }

    static func statistics(_ sweep: Sweep) -> [ConformanceCase] {
        let widths = Set(sweep.rectangles.map(\.1)).sorted()
        return widths.enumerated().flatMap { index, columns in
            [1, 2, 1000].map { count in
                let moves = (index + count) % 3 != 0
                return ConformanceCase(
                    .batchNormStatistics, "\(columns) columns of \(count)\(moves ? ", running" : "")"
                ) { run throws(ComputeError) in
                    let (mean, squares) = (run.uniform(columns), run.uniform(columns, 0, 3 * Float(count)))
                    let (oldMean, oldVariance) = (run.uniform(columns), run.uniform(columns, 0.5, 2))
                    let (m, s) = (try run.vector(mean, .padded), try run.vector(squares))
                    let inverse = try run.output(rows: 1, columns: columns, .padded)
                    let newMean = try run.output(rows: 1, columns: columns, initial: oldMean, "running mean")
                    let newVariance = try run.output(
                        rows: 1, columns: columns, .padded, initial: oldVariance, "running variance")
                    run.work = Double(8 * columns)
                    try run.perform { stream throws(ComputeError) in
                        try stream.batchNormStatistics(
                            mean: m.matrix, squares: s.matrix, count: count, epsilon: 1e-3, into: inverse.matrix,
                            running: moves ? (newMean.matrix, newVariance.matrix, 0.1) : nil)
                    }
                    let expected = squares.map {
                        1 / (Double($0) / Double(count) + Double(Float(1e-3))).squareRoot()
                    }
                    run.compare(inverse, expected) { 8 * Tolerance.unit * expected[$0] }
                    let momentum = moves ? Double(Float(0.1)) : 0
                    let unbiased = count > 1 ? 1 / Double(count - 1) : 0
                    run.compare(
                        newMean,
                        mean.indices.map {
                            Double(oldMean[$0]) + momentum * (Double(mean[$0]) - Double(oldMean[$0]))
                        }
                    ) { moves ? 4 * Tolerance.unit * (abs(Double(oldMean[$0])) + abs(Double(mean[$0]))) : 0 }
                    run.compare(
                        newVariance,
                        mean.indices.map {
                            Double(oldVariance[$0])
                                + momentum * (Double(squares[$0]) * unbiased - Double(oldVariance[$0]))
                        }
                    ) {
                        moves ? 6 * Tolerance.unit * (Double(oldVariance[$0]) + Double(squares[$0]) * unbiased) : 0
                    }
                }
            }
        }
    }

    static func gradient(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let (inPlace, fixed) = (index % 2 == 0, index % 5 == 3)
            return ConformanceCase(
                .batchNormGradient,
                "\(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")\(fixed ? ", fixed statistics" : "")"
            ) { run throws(ComputeError) in
                let (values, gradients) = (run.uniform(rows * columns, -1, 2), run.uniform(rows * columns))
                let (mean, inverse) = (run.uniform(columns, 0, 1), run.uniform(columns, 0.5, 3))
                let gain = run.uniform(columns, 0.5, 2)
                let (sums, aligned) = (run.uniform(columns, -3, 3), run.uniform(columns, -3, 3))
                let output = try run.output(rows: rows, columns: columns, layout, initial: inPlace ? gradients : nil)
                let outer = inPlace ? output : try run.input(gradients, rows: rows, columns: columns, .padded)
                let input = try run.input(values, rows: rows, columns: columns, layout)
                let (m, s, g) = (try run.vector(mean), try run.vector(inverse, .padded), try run.vector(gain))
                let (a, b) = (try run.vector(sums, .padded), try run.vector(aligned))
                run.work = Double(12 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.batchNormGradient(
                        input.matrix, mean: m.matrix, inverse: s.matrix, gain: g.matrix,
                        outputGradient: outer.matrix, sums: (a.matrix, b.matrix), count: fixed ? nil : max(rows, 1),
                        into: output.matrix)
                }
                let reciprocal = fixed ? 0 : 1 / Double(max(rows, 1))
                func parts(_ place: Int) -> (scale: Double, own: Double, mean: Double, aligned: Double) {
                    let j = place % columns
                    let normal = (Double(values[place]) - Double(mean[j])) * Double(inverse[j])
                    return (
                        Double(gain[j]) * Double(inverse[j]), Double(gradients[place]), Double(sums[j]) * reciprocal,
                        normal * Double(aligned[j]) * reciprocal
                    )
                }
                let expected = values.indices.map {
                    let part = parts($0)
                    return part.scale * (part.own - part.mean - part.aligned)
                }
                run.compare(output, expected) {
                    let part = parts($0)
                    return 10 * Tolerance.unit * part.scale * (abs(part.own) + abs(part.mean) + abs(part.aligned))
                }
            }
        }
    }
}
