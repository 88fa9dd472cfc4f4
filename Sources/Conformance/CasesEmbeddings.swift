import Compute

/// Tables of vectors: sums of their rows, steps on the rows that a batch has touched, products of vectors.
enum EmbeddingCases {
    static func gatherBags(_ sweep: Sweep) -> [ConformanceCase] {
        let counts = [1, 2, 5]
        return sweep.rectangles.filter { $0.0 > 0 && $0.1 > 0 && $0.0 * $0.1 < 1 << 18 }.enumerated().map {
            index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let bags = counts[index % 3]
            let weighted = (index / 2) % 2 == 0
            return ConformanceCase(
                .gatherBags, "\(rows) × \(bags) of \(columns) columns \(layout)\(weighted ? ", weighted" : "")"
            ) { run throws(ComputeError) in
                let tableRows = 23
                // Bags of none, one, two, … identifiers; some are absent, one lies past the end.
                let sizes = (0..<bags).map { ($0 + index + 1) % 4 }
                let starts = sizes.reduce(into: [Int32(0)]) { $0.append($0.last! + Int32($1)) }
                let width = Int(starts.last!)
                var ids = run.integers(rows * width, -1...tableRows - 1).map(Int32.init)
                if index % 5 == 2, !ids.isEmpty { ids[ids.count / 2] = Int32(tableRows) }
                let table = OracleMatrix(rows: tableRows, columns: columns, run.uniform(tableRows * columns))
                let weights = weighted ? run.uniform(rows * width) : [Float](repeating: 1, count: rows * width)
                let t = try run.input(
                    table.elements.map(Float.init), rows: tableRows, columns: columns, layout, "table")
                let i = try run.input(ids, rows: rows, columns: width, layout)
                let s = try run.input(starts, .padded)
                let w = weighted ? try run.input(weights, rows: rows, columns: width, .padded, "weights") : nil
                let output = try run.output(rows: rows, columns: bags * columns, layout)
                run.work = Double(8 * rows * width * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.gatherBags(
                        t.matrix, ids: i.matrix, starts: s.matrix, weights: w?.matrix, into: output.matrix)
                }
                let result = Oracle.gatherBags(
                    table, ids: ids.map(Int.init), rows: rows, starts: starts.map(Int.init),
                    weights: weights.map(Double.init))
                run.compare(output, result.values) { (Tolerance.sum(4) + Tolerance.unit) * result.magnitudes[$0] }
            }
        }
    }

    static func pairProducts(_ sweep: Sweep) -> [ConformanceCase] {
        pairs(sweep).map { rows, vectors, d, layout in
            ConformanceCase(.pairProducts, "\(rows) × \(vectors) vectors of \(d) \(layout)") {
                run throws(ComputeError) in
                let values = run.uniform(rows * vectors * d)
                let input = try run.input(values, rows: rows, columns: vectors * d, layout)
                let output = try run.output(rows: rows, columns: vectors * (vectors - 1) / 2, layout)
                run.work = Double(rows * vectors * vectors * d)
                try run.perform { stream throws(ComputeError) in
                    try stream.pairProducts(input.matrix, vectors: vectors, into: output.matrix)
                }
                let table = OracleMatrix(rows: rows, columns: vectors * d, values)
                let results = (0..<rows).map { Oracle.pairProducts(Array(table.row($0)), vectors: vectors) }
                let magnitudes = results.flatMap(\.magnitudes)
                run.compare(output, results.flatMap(\.values)) { Tolerance.sum(d) * magnitudes[$0] }
            }
        }
    }

    static func pairProductsGradient(_ sweep: Sweep) -> [ConformanceCase] {
        pairs(sweep).map { rows, vectors, d, layout in
            ConformanceCase(.pairProductsGradient, "\(rows) × \(vectors) vectors of \(d) \(layout)") {
                run throws(ComputeError) in
                let pairs = vectors * (vectors - 1) / 2
                let (values, slopes) = (run.uniform(rows * vectors * d), run.uniform(rows * pairs))
                let input = try run.input(values, rows: rows, columns: vectors * d, layout)
                let outer = try run.input(slopes, rows: rows, columns: pairs, .padded)
                let output = try run.output(rows: rows, columns: vectors * d, layout)
                run.work = Double(2 * rows * vectors * vectors * d)
                try run.perform { stream throws(ComputeError) in
                    try stream.pairProductsGradient(
                        input.matrix, vectors: vectors, outputGradient: outer.matrix, into: output.matrix)
                }
                let table = OracleMatrix(rows: rows, columns: vectors * d, values)
                let gradients = OracleMatrix(rows: rows, columns: pairs, slopes)
                let results = (0..<rows).map {
                    Oracle.pairProductsGradient(
                        Array(table.row($0)), vectors: vectors, outputGradient: Array(gradients.row($0)))
                }
                let magnitudes = results.flatMap(\.magnitudes)
                run.compare(output, results.flatMap(\.values)) { Tolerance.sum(vectors) * magnitudes[$0] }
            }
        }
    }

    private static func pairs(_ sweep: Sweep) -> [(rows: Int, vectors: Int, d: Int, Layout)] {
        let vectors = sweep == .minimal ? [2, 5] : [2, 3, 9, 27]
        let lengths = sweep == .minimal ? [1, 17] : [1, 3, 8, 16, 17, 40]
        return vectors.enumerated().flatMap { i, n in
            lengths.enumerated().map { j, d in
                ([1, 13, 65, 130][(i + j) % 4], n, d, Layout.all[(i + 2 * j) % 3])
            }
        }
    }

    static func updateRows(_ sweep: Sweep) -> [ConformanceCase] {
        let methods: [RowUpdateMethod] = [
            .add, .gradientDescent, .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), .adagrad(epsilon: 1e-10),
            .rowWiseAdagrad(epsilon: 1e-8),
        ]
        return sweep.rectangles.filter { $0.0 > 0 && $0.1 > 0 && $0.0 * $0.1 < 1 << 18 }.enumerated().flatMap {
            index, shape in
            methods.enumerated().filter { sweep == .full || ($0.offset + index) % 2 == 0 }.map {
                let method = $0.element
                let layout = Layout.all[(index + $0.offset) % 3]
                return ConformanceCase(
                    .updateRows,
                    "\(method), \(shape.0) of gradient, \(shape.1) columns \(layout)\(index % 3 == 1 ? ", weighted" : "")"
                ) { run throws(ComputeError) in
                    try updateRows(
                        run, method, count: shape.0, columns: shape.1, layout, weighted: index % 3 == 1)
                }
            }
        }
    }

    private static func updateRows(
        _ run: CaseRun, _ method: RowUpdateMethod, count: Int, columns: Int, _ layout: Layout, weighted: Bool
    ) throws(ComputeError) {
        // As many entries in a row of the gradient as divide it.
        let blocks = [3, 2, 1].first { count % $0 == 0 }!
        let tableRows = 19
        // Rows of the table that a batch of `count` has touched, most of them several times.
        let touched = run.integers(count, 0...tableRows - 1)
        var segments: [Int: [Int32]] = [:]
        for (place, row) in touched.enumerated() { segments[row, default: []].append(Int32(place)) }
        let rows = segments.keys.sorted()
        // As many segments as there could be; those that are not there have row -1.
        let places = max(rows.count, min(count, tableRows)) + 1
        let ids = rows.map(Int32.init) + [Int32](repeating: -1, count: places - rows.count)
        var starts: [Int32] = [0]
        for row in rows { starts.append(starts.last! + Int32(segments[row]!.count)) }
        starts += [Int32](repeating: Int32(count), count: places - rows.count)
        let order = rows.flatMap { segments[$0]! }

        let gradients = OracleMatrix(rows: count, columns: columns, run.uniform(count * columns))
        let size = tableRows * columns
        let (values, firsts, seconds) = (run.uniform(size), run.uniform(size), run.uniform(size, 0.001, 1))
        let table = try run.output(rows: tableRows, columns: columns, layout, initial: values, "table")
        let gradient = try run.input(
            gradients.elements.map(Float.init), rows: count / blocks, columns: blocks * columns, layout, "gradient")
        let factors = weighted ? run.uniform(count, 0.25, 2) : [Float](repeating: 1, count: count)
        let (i, s, o) = (try run.input(ids, .padded), try run.input(starts), try run.input(order, .padded))
        let controls = try run.vector(OptimizerCases.controls, .padded, "controls")
        let f = weighted ? try run.vector(order.map { factors[Int($0)] }, .padded, "factors") : nil
        var (first, second): (Operand?, Operand?)
        var rowWise = false
        switch method {
        case .add, .gradientDescent: break
        case .adam:
            first = try run.output(rows: tableRows, columns: columns, .padded, initial: firsts, "first")
            second = try run.output(rows: tableRows, columns: columns, layout, initial: seconds, "second")
        case .adagrad: second = try run.output(rows: tableRows, columns: columns, layout, initial: seconds, "second")
        case .rowWiseAdagrad:
            rowWise = true
            second = try run.output(
                rows: tableRows, columns: 1, layout, initial: Array(seconds.prefix(tableRows)), "second")
        }
        run.work = Double(4 * count * columns)
        try run.perform { stream throws(ComputeError) in
            try stream.updateRows(
                method, of: table.matrix, ids: i.matrix, starts: s.matrix, order: o.matrix,
                factors: f?.matrix, gradient: gradient.matrix, first: first?.matrix, second: second?.matrix,
                controls: controls.matrix)
        }

        let factor = method == .add ? 1 : Double(OptimizerCases.controls[3])
        var expected = (0..<size).map {
            Oracle.OptimizedParameter(
                value: Double(values[$0]), first: Double(firsts[$0]),
                second: Double(rowWise ? seconds[$0 / columns] : seconds[$0]))
        }
        for row in rows {
            let terms = segments[row]!
            var sums = [Double](repeating: 0, count: columns)
            var errors = sums
            for term in terms {
                for column in 0..<columns {
                    let part = gradients[Int(term), column] * Double(factors[Int(term)]) * factor
                    sums[column] += part
                    errors[column] += abs(part)
                }
            }
            for column in 0..<columns { errors[column] *= Tolerance.sum(terms.count) / Tolerance.unit }
            let mean = sums.reduce(0) { $0 + $1 * $1 } / Double(columns)
            let meanError = zip(sums, errors).reduce(0) { $0 + 2 * abs($1.0) * $1.1 } / Double(columns)
            for column in 0..<columns {
                let place = row * columns + column
                let (g, error) = (sums[column], errors[column])
                let control = OptimizerCases.oracle(OptimizerCases.controls, factor: factor)
                switch method {
                case .add:
                    expected[place].value += g
                    expected[place].valueError = 2 * abs(expected[place].value) + error
                case .gradientDescent:
                    expected[place] = Oracle.step(
                        .gradientDescent(momentum: 0, nesterov: false), expected[place], gradient: g,
                        gradientError: error, controls: control)
                case .adam(let beta1, let beta2, let epsilon):
                    expected[place] = Oracle.step(
                        .adam(beta1: beta1, beta2: beta2, epsilon: epsilon), expected[place], gradient: g,
                        gradientError: error, controls: control)
                case .adagrad(let epsilon):
                    expected[place] = Oracle.step(
                        .adagrad(epsilon: epsilon), expected[place], gradient: g, gradientError: error,
                        controls: control)
                case .rowWiseAdagrad(let epsilon):
                    let state = expected[place].second + mean
                    let divisor = state.squareRoot() + Double(epsilon)
                    expected[place].second = state
                    expected[place].secondError =
                        meanError + mean * Tolerance.sum(columns) / Tolerance.unit + 4 * state
                    expected[place].value -= control.rate * g / divisor
                    expected[place].valueError =
                        2 * abs(expected[place].value)
                        + control.rate * (error + abs(g) * (12 + expected[place].secondError / state)) / divisor
                }
            }
        }
        run.compare(table, expected.map(\.value)) { Tolerance.unit * expected[$0].valueError }
        if let first { run.compare(first, expected.map(\.first)) { Tolerance.unit * expected[$0].firstError } }
        if let second {
            let states = rowWise ? stride(from: 0, to: size, by: columns).map { expected[$0] } : expected
            run.compare(second, states.map(\.second)) { Tolerance.unit * states[$0].secondError }
        }
    }
}
