import Compute

/// Losses and their totals.
enum NetworkLossCases {
    static func softmaxCrossEntropy(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.filter { $0.1 > 0 }.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let inPlace = index % 2 == 0
            let weighted = (index / 2) % 2 == 0
            let smoothing: Float = (index / 3) % 2 == 0 ? 0 : 0.1
            let detail =
                "\(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")\(weighted ? " weighted" : "") "
                + "smoothed by \(smoothing)"
            return ConformanceCase(.softmaxCrossEntropy, detail) { run throws(ComputeError) in
                var values = run.uniform(rows * columns, -5, 5)
                // Rows far from 0 must not overflow.
                for place in values.indices where (place / columns) % 4 == 1 { values[place] += 500 }
                for place in values.indices where (place / columns) % 4 == 2 { values[place] *= 40 }
                let x = try LabelledRows(
                    run, values, rows: rows, columns: columns, layout, inPlace: inPlace, weighted: weighted)
                let scale: Float = 0.25
                try run.perform { stream throws(ComputeError) in
                    try stream.softmaxCrossEntropy(
                        x.scores.matrix, labels: x.labels.matrix, weights: x.weights?.matrix, smoothing: smoothing,
                        scale: scale, gradient: x.gradient.matrix, losses: x.losses.matrix)
                }
                let table = OracleMatrix(rows: rows, columns: columns, values)
                let results = (0..<rows).map {
                    Oracle.softmaxCrossEntropy(
                        Array(table.row($0)), label: Int(x.hostLabels[$0]), weight: Double(x.hostWeights[$0]),
                        smoothing: Double(smoothing), scale: Double(scale))
                }
                let error = Tolerance.sum(columns) + 16 * Tolerance.unit
                run.compare(x.losses, results.map(\.loss)) { row in
                    let range = table.row(row).max()! - table.row(row).min()!
                    return error * Double(x.hostWeights[row]) * (1 + range)
                }
                run.compare(x.gradient, results.flatMap(\.gradient)) { place in
                    let row = place / columns
                    let distance = table.row(row).max()! - table.elements[place]
                    let p = results[row].probabilities[place % columns]
                    return Double(x.hostWeights[row] * scale)
                        * (error * (p * (1 + distance) + 0x1p-100)
                            + 4 * Tolerance.unit * (Int(x.hostLabels[row]) == place % columns ? 1 : Double(smoothing))
                            + 1e-37)
                }
            }
        }
    }

    static func rankingLoss(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.filter { $0.1 >= 2 }.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let inPlace = index % 2 == 0
            let weighted = (index / 2) % 2 == 0
            let detail = "\(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")\(weighted ? " weighted" : "")"
            return ConformanceCase(.rankingLoss, detail) { run throws(ComputeError) in
                var values = run.uniform(rows * columns, -4, 4)
                for place in stride(from: 2, to: values.count, by: 11) { values[place] *= 30 }
                let x = try LabelledRows(
                    run, values, rows: rows, columns: columns, layout, inPlace: inPlace, weighted: weighted)
                let scale: Float = 0.25
                try run.perform { stream throws(ComputeError) in
                    try stream.rankingLoss(
                        x.scores.matrix, labels: x.labels.matrix, weights: x.weights?.matrix, scale: scale,
                        gradient: x.gradient.matrix, losses: x.losses.matrix)
                }
                let table = OracleMatrix(rows: rows, columns: columns, values)
                let results = (0..<rows).map {
                    Oracle.rankingLoss(
                        Array(table.row($0)), label: Int(x.hostLabels[$0]), weight: Double(x.hostWeights[$0]),
                        scale: Double(scale))
                }
                let error = Tolerance.sum(columns) + 16 * Tolerance.unit
                run.compare(x.losses, results.map(\.loss)) { row in
                    // Every term is off by its own rounding, and by that of the difference.
                    error * (abs(results[row].loss) + Double(x.hostWeights[row]))
                }
                run.compare(x.gradient, results.flatMap(\.gradient)) { place in
                    let row = place / columns
                    let own = abs(results[row].gradient[place % columns])
                    let factor = Double(x.hostWeights[row] * scale) / Double(columns - 1)
                    let terms = Int(x.hostLabels[row]) == place % columns ? Double(columns - 1) : 1
                    return (16 * Tolerance.unit * terms * factor) + error * own
                }
            }
        }
    }

    static func elementLoss(_ sweep: Sweep) -> [ConformanceCase] {
        let functions: [ElementLossFunction] = [.squared, .logistic, .huber(delta: 0.75)]
        return sweep.rectangles.filter { $0.1 > 0 }.enumerated().flatMap { index, shape in
            functions.enumerated().filter { sweep == .full || ($0.offset + index) % 2 == 0 }.map {
                let (rows, columns) = shape
                let function = $0.element
                let layout = Layout.all[(index + $0.offset) % 3]
                let inPlace = (index / 2) % 2 == 0
                let weighted = (index + $0.offset) % 3 != 0
                return ConformanceCase(
                    .elementLoss,
                    "\(function) \(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")"
                        + (weighted ? " weighted" : "")
                ) { run throws(ComputeError) in
                    try elementLoss(
                        run, function, rows: rows, columns: columns, layout, inPlace: inPlace, weighted: weighted)
                }
            }
        }
    }

    private static func elementLoss(
        _ run: CaseRun, _ function: ElementLossFunction, rows: Int, columns: Int, _ layout: Layout, inPlace: Bool,
        weighted: Bool
    ) throws(ComputeError) {
        var values = run.uniform(rows * columns, -4, 4)
        for place in stride(from: 2, to: values.count, by: 11) { values[place] *= 30 }
        let targets =
            function == .logistic
            ? run.integers(rows * columns, 0...1).map(Float.init) : run.uniform(rows * columns, -4, 4)
        let weights = weighted ? run.uniform(rows, 0, 3) : [Float](repeating: 1, count: rows)
        let scale: Float = 0.5
        let gradient = try run.output(
            rows: rows, columns: columns, layout, initial: inPlace ? values : nil, "gradient")
        let predictions = inPlace ? gradient : try run.input(values, rows: rows, columns: columns, layout)
        let t = try run.input(targets, rows: rows, columns: columns, .padded)
        let w = weighted ? try run.vector(weights, .padded) : nil
        let losses = try run.output(rows: 1, columns: rows, .padded, "losses")
        run.work = Double(10 * rows * columns)
        try run.perform { stream throws(ComputeError) in
            try stream.elementLoss(
                function, predictions.matrix, targets: t.matrix, weights: w?.matrix, scale: scale,
                gradient: gradient.matrix, losses: losses.matrix)
        }
        let table = OracleMatrix(rows: rows, columns: columns, values)
        let targetTable = OracleMatrix(rows: rows, columns: columns, targets)
        let results = (0..<rows).map {
            Oracle.elementLoss(
                function, Array(table.row($0)), Array(targetTable.row($0)), weight: Double(weights[$0]),
                scale: Double(scale))
        }
        let error = Tolerance.sum(columns) + 16 * Tolerance.unit
        run.compare(losses, results.map(\.loss)) { row in
            error * (results[row].magnitude + Double(weights[row]))
        }
        run.compare(gradient, results.flatMap(\.gradient)) { place in
            let row = place / columns
            let factor = Double(weights[row] * scale)
            return 16 * Tolerance.unit * (abs(results[row].gradient[place % columns]) + factor)
        }
    }

    static func addToTotal(_ sweep: Sweep) -> [ConformanceCase] {
        var sizes = Set(sweep.sizes + [1000]).subtracting([0]).sorted()
        if sweep == .full { sizes += [100_003] }
        var cases = sizes.map { n in
            ConformanceCase(.addToTotal, "\(n) numbers") { run throws(ComputeError) in
                let values = run.uniform(n)
                let input = try run.vector(values, n % 2 == 0 ? .padded : .packed)
                let total = try run.output(rows: 1, columns: 2, .padded, initial: [3, 1e-8], "total")
                run.work = Double(4 * n)
                try run.perform { stream throws(ComputeError) in
                    try stream.addToTotal(input.matrix, total.matrix)
                }
                let expected = values.reduce(3 + Double(Float(1e-8))) { $0 + Double($1) }
                let magnitude = values.reduce(0) { $0 + abs(Double($1)) }
                let parts = run.values(of: total).map(Double.init)
                run.judge(parts[0] + parts[1], expected, Tolerance.sum(n) * magnitude + 1e-13) { "the total" }
            }
        }
        cases.append(
            ConformanceCase(.addToTotal, "ones beyond 2^24, one by one") { run throws(ComputeError) in
                let input = try run.vector([1])
                let total = try run.output(rows: 1, columns: 2, initial: [16_777_216, 0.25], "total")
                try run.perform { stream throws(ComputeError) in
                    for _ in 0..<33 { try stream.addToTotal(input.matrix, total.matrix) }
                }
                let parts = run.values(of: total).map(Double.init)
                run.judge(parts[0] + parts[1], 16_777_249.25, 0) { "the total" }
            })
        return cases
    }
}

/// Rows of scores with labels, some of which are none or past the end, and weights: what two losses are judged on.
private struct LabelledRows {
    let scores: Operand
    let gradient: Operand
    let labels: Operand
    let weights: Operand?
    let losses: Operand
    let hostLabels: [Int32]
    let hostWeights: [Float]

    init(
        _ run: CaseRun, _ values: [Float], rows: Int, columns: Int, _ layout: Layout, inPlace: Bool, weighted: Bool
    ) throws(ComputeError) {
        var labels = run.integers(rows, 0...columns - 1).map(Int32.init)
        for row in stride(from: 3, to: rows, by: 7) { labels[row] = row % 2 == 0 ? -1 : Int32(columns) }
        hostLabels = labels
        hostWeights = weighted ? run.uniform(rows, 0, 3) : [Float](repeating: 1, count: rows)
        gradient = try run.output(rows: rows, columns: columns, layout, initial: inPlace ? values : nil, "gradient")
        scores = inPlace ? gradient : try run.input(values, rows: rows, columns: columns, layout)
        self.labels = try run.input(labels, .padded)
        weights = weighted ? try run.vector(hostWeights, .padded) : nil
        losses = try run.output(rows: 1, columns: rows, .padded, "losses")
        run.work = Double(10 * rows * columns)
    }
}
