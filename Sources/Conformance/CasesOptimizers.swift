import Compute

/// Steps of optimizers.
enum OptimizerCases {
    private static let methods: [OptimizerMethod] = [
        .gradientDescent(momentum: 0, nesterov: false), .gradientDescent(momentum: 0.9, nesterov: false),
        .gradientDescent(momentum: 0.5, nesterov: true), .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8),
        .adagrad(epsilon: 1e-10),
    ]

    /// Rate, c₁, c₂, factor.
    private static let controls: [Float] = [0.01, 1 / (1 - 0.729), 1.2, 0.5]

    private static func oracle(_ controls: [Float], factor: Double) -> Oracle.Controls {
        (Double(controls[0]), Double(controls[1]), Double(controls[2]), factor)
    }

    static func optimizerStep(_ sweep: Sweep) -> [ConformanceCase] {
        var sizes = Set(sweep.sizes).subtracting([0]).sorted()
        sizes += sweep == .minimal ? [] : [4095, 4097, 8192]
        if sweep == .full { sizes += [100_001] }
        return sizes.enumerated().flatMap { index, n in
            methods.enumerated().filter { sweep == .full || ($0.offset + index) % 2 == 0 }.map {
                let method = $0.element
                let regularized = (index + $0.offset) % 3 == 0
                let clip = (index + $0.offset) % 4
                return ConformanceCase(
                    .optimizerStep,
                    "\(method) of \(n)\(regularized ? " regularized" : "")"
                        + ["", " clipped", " not clipped", ""][clip]
                ) { run throws(ComputeError) in
                    try optimizerStep(run, method, n: n, regularized: regularized, clip: clip)
                }
            }
        }
    }

    private static func optimizerStep(
        _ run: CaseRun, _ method: OptimizerMethod, n: Int, regularized: Bool, clip: Int
    ) throws(ComputeError) {
        let (values, gradients) = (run.uniform(n), run.uniform(n))
        let (firsts, seconds) = (run.uniform(n), run.uniform(n, 0.001, 1))
        let (needsFirst, needsSecond) =
            switch method {
            case .gradientDescent(let momentum, _): (momentum != 0, false)
            case .adam: (true, true)
            case .adagrad: (false, true)
            }
        let parameters = try run.output(rows: 1, columns: n, .padded, initial: values, "parameters")
        let gradient = try run.vector(gradients, .padded, "gradient")
        let first = needsFirst ? try run.output(rows: 1, columns: n, initial: firsts, "first") : nil
        let second = needsSecond ? try run.output(rows: 1, columns: n, .aligned, initial: seconds, "second") : nil
        let controls = try run.vector(Self.controls, .padded, "controls")
        let length: Float = 10
        let norm = clip == 1 || clip == 2 ? try run.vector([length], .padded, "norm") : nil
        let largest: Float = clip == 1 ? 2 : 100
        let (l1, l2, decay): (Float, Float, Float) = regularized ? (0.01, 0.1, 0.2) : (0, 0, 0)
        run.work = Double(20 * n)
        try run.perform { stream throws(ComputeError) in
            try stream.optimizerStep(
                method, parameters: parameters.matrix, gradient: gradient.matrix, first: first?.matrix,
                second: second?.matrix, controls: controls.matrix, norm: norm?.matrix, largestNorm: largest, l1: l1,
                l2: l2, decay: decay)
        }
        var factor = Double(Self.controls[3])
        if clip == 1 { factor *= Double(largest) / (Double(length) * factor) }
        let expected = (0..<n).map { index in
            let g = Double(gradients[index]) * factor
            return Oracle.step(
                method,
                Oracle.OptimizedParameter(
                    value: Double(values[index]), first: Double(firsts[index]), second: Double(seconds[index])),
                gradient: g, gradientError: 6 * abs(g), controls: oracle(Self.controls, factor: factor),
                l1: Double(l1), l2: Double(l2), decay: Double(decay))
        }
        run.compare(parameters, expected.map(\.value)) { Tolerance.unit * (expected[$0].valueError + 1e-6) }
        if let first { run.compare(first, expected.map(\.first)) { Tolerance.unit * expected[$0].firstError } }
        if let second { run.compare(second, expected.map(\.second)) { Tolerance.unit * expected[$0].secondError } }
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
                    .updateRows, "\(method), \(shape.0) of gradient, \(shape.1) columns \(layout)"
                ) { run throws(ComputeError) in
                    try updateRows(run, method, count: shape.0, columns: shape.1, layout)
                }
            }
        }
    }

    private static func updateRows(
        _ run: CaseRun, _ method: RowUpdateMethod, count: Int, columns: Int, _ layout: Layout
    ) throws(ComputeError) {
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
            gradients.elements.map(Float.init), rows: count, columns: columns, layout, "gradient")
        let (i, s, o) = (try run.input(ids, .padded), try run.input(starts), try run.input(order, .padded))
        let controls = try run.vector(Self.controls, .padded, "controls")
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
                gradient: gradient.matrix, first: first?.matrix, second: second?.matrix, controls: controls.matrix)
        }

        let factor = method == .add ? 1 : Double(Self.controls[3])
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
                    sums[column] += gradients[Int(term), column] * factor
                    errors[column] += abs(gradients[Int(term), column] * factor)
                }
            }
            for column in 0..<columns { errors[column] *= Tolerance.sum(terms.count) / Tolerance.unit }
            let mean = sums.reduce(0) { $0 + $1 * $1 } / Double(columns)
            let meanError = zip(sums, errors).reduce(0) { $0 + 2 * abs($1.0) * $1.1 } / Double(columns)
            for column in 0..<columns {
                let place = row * columns + column
                let (g, error) = (sums[column], errors[column])
                let control = oracle(Self.controls, factor: factor)
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
