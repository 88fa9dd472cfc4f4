import Compute

/// Activations, dropout and layer normalization.
enum NetworkLayerCases {
    static func activation(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.enumerated().flatMap { index, shape in
            ActivationFunction.allCases.enumerated().filter { sweep == .full || ($0.offset + index) % 3 == 0 }.map {
                let function = $0.element
                let (rows, columns) = shape
                let layout = Layout.all[(index / 2 + $0.offset) % 3]
                let inPlace = (index + $0.offset) % 2 == 0
                return ConformanceCase(
                    .activation, "\(function) \(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")"
                ) { run throws(ComputeError) in
                    let values = arguments(run, rows * columns)
                    let output = try run.output(
                        rows: rows, columns: columns, layout, initial: inPlace ? values : nil)
                    let input = inPlace ? output : try run.input(values, rows: rows, columns: columns, layout)
                    run.work = Double(4 * rows * columns)
                    try run.perform { stream throws(ComputeError) in
                        try stream.activate(input.matrix, function, into: output.matrix)
                    }
                    let exact = function == .relu || function == .identity
                    let table = OracleMatrix(rows: rows, columns: columns, values)
                    let expected = Oracle.activate(table, function).elements
                    run.compare(output, expected) { place in
                        if function == .softmax {
                            // The distance from the largest is rounded before eˣ, and what is below e⁻⁸⁷ is not 0.
                            let distance = table.row(place / columns).max()! - table.elements[place]
                            return (Tolerance.sum(columns) + 16 * Tolerance.unit) * expected[place] * (1 + distance)
                                + 1e-37
                        }
                        return exact ? 0 : 16 * Tolerance.unit * (1 + abs(Double(values[place])))
                    }
                }
            }
        }
    }

    static func activationGradient(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.enumerated().flatMap { index, shape in
            ActivationFunction.allCases.enumerated().filter { sweep == .full || ($0.offset + index) % 3 == 0 }.map {
                let function = $0.element
                let (rows, columns) = shape
                let layout = Layout.all[(index / 2 + $0.offset) % 3]
                let inPlace = (index + $0.offset) % 2 == 0
                return ConformanceCase(
                    .activationGradient, "\(function) \(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")"
                ) { run throws(ComputeError) in
                    var values = arguments(run, rows * columns)
                    if !function.needsInputs {
                        values = Oracle.activate(OracleMatrix(rows: rows, columns: columns, values), function)
                            .elements.map(Float.init)
                    }
                    let gradients = run.uniform(rows * columns, -2, 2)
                    let output = try run.output(
                        rows: rows, columns: columns, layout, initial: inPlace ? gradients : nil)
                    let gradient = inPlace ? output : try run.input(gradients, rows: rows, columns: columns, layout)
                    let input = try run.input(values, rows: rows, columns: columns, .padded)
                    run.work = Double(12 * rows * columns)
                    try run.perform { stream throws(ComputeError) in
                        try stream.activationGradient(
                            function, values: input.matrix, outputGradient: gradient.matrix, into: output.matrix)
                    }
                    let (table, slopes) = (
                        OracleMatrix(rows: rows, columns: columns, values),
                        OracleMatrix(rows: rows, columns: columns, gradients)
                    )
                    run.compare(output, Oracle.activationGradient(table, slopes, function).elements) { place in
                        if function == .softmax {
                            let (own, others) = (table.row(place / columns), slopes.row(place / columns))
                            let magnitude = zip(own, others).reduce(0) { $0 + $1.0 * abs($1.1) }
                            return (Tolerance.sum(columns) + 16 * Tolerance.unit) * table.elements[place]
                                * (abs(slopes.elements[place]) + magnitude) + 1e-37
                        }
                        return 16 * Tolerance.unit * (1 + abs(Double(values[place]))) * abs(Double(gradients[place]))
                    }
                }
            }
        }
    }

    /// Small and large arguments, both signs, and zero.
    private static func arguments(_ run: CaseRun, _ count: Int) -> [Float] {
        var values = run.uniform(count, -6, 6)
        let special: [Float] = [0, 30, -30, 100, -100, 0.6249, 1e-4, -0.626]
        for place in values.indices where place % 5 == 3 { values[place] = special[(place / 5) % special.count] }
        return values
    }

    static func linearCombination(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let (alpha, beta) = [(1, 1), (0.5, -2), (-1, 0)][index % 3] as (Float, Float)
            let place = ["", " onto a", " onto b"][(index / 3) % 3]
            return ConformanceCase(
                .linearCombination, "\(alpha) a + \(beta) b, \(rows) × \(columns) \(layout)\(place)"
            ) { run throws(ComputeError) in
                let (x, y) = (run.uniform(rows * columns), run.uniform(rows * columns))
                // What is not read may be anything.
                let shown = beta == 0 ? [Float](repeating: .nan, count: y.count) : y
                let output = try run.output(
                    rows: rows, columns: columns, layout, initial: place == " onto a" ? x : place == "" ? nil : shown)
                let a = place == " onto a" ? output : try run.input(x, rows: rows, columns: columns, layout)
                let b = place == " onto b" ? output : try run.input(shown, rows: rows, columns: columns, .padded)
                run.work = Double(12 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.combine(alpha: alpha, a.matrix, beta: beta, b.matrix, into: output.matrix)
                }
                let terms = x.indices.map { (Double(alpha * x[$0]), Double(beta * y[$0])) }
                run.compare(output, x.indices.map { Double(alpha) * Double(x[$0]) + Double(beta) * Double(y[$0]) }) {
                    3 * Tolerance.unit * (abs(terms[$0].0) + abs(terms[$0].1))
                }
            }
        }
    }

    static func dropout(_ sweep: Sweep) -> [ConformanceCase] {
        let steps = [0, 1, 77, 1_000_000]
        let probabilities: [Float] = [0, 0.1, 0.5, 0.9]
        return sweep.rectangles.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let inPlace = index % 2 == 0
            let probability = probabilities[(index / 2) % 4]
            let number = steps[(index / 3) % 4]
            return ConformanceCase(
                .dropout,
                "\(probability) of \(rows) × \(columns) \(layout), step \(number)\(inPlace ? " in place" : "")"
            ) { run throws(ComputeError) in
                let values = run.uniform(rows * columns, 0.5, 2)
                let output = try run.output(rows: rows, columns: columns, layout, initial: inPlace ? values : nil)
                let input = inPlace ? output : try run.input(values, rows: rows, columns: columns, layout)
                let step = try run.input([Int32(number)], .padded)
                let seed = 0x0123_4567_89AB_CDEF &+ UInt64(index)
                run.work = Double(8 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.dropout(
                        input.matrix, probability: probability, seed: seed, stream: 5, step: step.matrix,
                        into: output.matrix)
                }
                let kept = Oracle.kept(
                    rows: rows, columns: columns, probability: probability, seed: seed, stream: 5, step: number)
                let scale = 1 / (1 - Double(probability))
                run.compare(output, values.indices.map { kept[$0] ? Double(values[$0]) * scale : 0 }) { place in
                    kept[place] ? 8 * Tolerance.unit * scale * Double(values[place]) : 0
                }
            }
        }
    }

    static func layerNorm(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.filter { $0.1 > 0 }.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            return ConformanceCase(.layerNorm, "\(rows) × \(columns) \(layout)") { run throws(ComputeError) in
                let values = run.uniform(rows * columns, -1, 2)
                let (gain, bias) = (run.uniform(columns, 0.5, 2), run.uniform(columns))
                let input = try run.input(values, rows: rows, columns: columns, layout)
                let (g, b) = (try run.vector(gain, .padded), try run.vector(bias))
                let output = try run.output(rows: rows, columns: columns, layout)
                let statistics = try run.output(rows: 2, columns: rows, .padded, "statistics")
                run.work = Double(8 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.layerNorm(
                        input.matrix, gain: g.matrix, bias: b.matrix, into: output.matrix,
                        statistics: statistics.matrix)
                }
                let table = OracleMatrix(rows: rows, columns: columns, values)
                let moments = (0..<rows).map { Oracle.moments(Array(table.row($0)), epsilon: Double(Float(1e-5))) }
                let sizes = (0..<rows).map { table.row($0).reduce(0) { $0 + abs($1) } / Double(columns) }
                let error = Tolerance.sum(columns) + 16 * Tolerance.unit
                run.compare(statistics, moments.map(\.mean) + moments.map(\.inverse)) { place in
                    let row = place % max(rows, 1)
                    return place < rows
                        ? error * sizes[row] : error * moments[row].inverse * (1 + sizes[row] * moments[row].inverse)
                }
                var expected: [Double] = []
                for row in 0..<rows {
                    expected += table.row(row).enumerated().map {
                        ($1 - moments[row].mean) * moments[row].inverse * Double(gain[$0]) + Double(bias[$0])
                    }
                }
                run.compare(output, expected) { place in
                    let (row, column) = (place / columns, place % columns)
                    let normal = abs(expected[place] - Double(bias[column]))
                    let shift = sizes[row] * moments[row].inverse * Double(gain[column])
                    return error
                        * ((normal + shift) * (1 + sizes[row] * moments[row].inverse) + abs(Double(bias[column])))
                }
            }
        }
    }

    static func layerNormGradient(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.filter { $0.1 > 0 }.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let inPlace = index % 2 == 0
            return ConformanceCase(
                .layerNormGradient, "\(rows) × \(columns) \(layout)\(inPlace ? " in place" : "")"
            ) { run throws(ComputeError) in
                let values = run.uniform(rows * columns, -1, 2)
                let gradients = run.uniform(rows * columns)
                let gain = run.uniform(columns, 0.5, 2)
                let means = run.uniform(rows, 0, 1)
                let inverses = run.uniform(rows, 0.5, 3)
                let input = try run.input(values, rows: rows, columns: columns, layout)
                let statistics = try run.input(means + inverses, rows: 2, columns: rows, .padded)
                let g = try run.vector(gain, .padded)
                let output = try run.output(
                    rows: rows, columns: columns, layout, initial: inPlace ? gradients : nil)
                let outer = inPlace ? output : try run.input(gradients, rows: rows, columns: columns, .padded)
                let products = try run.output(rows: rows, columns: columns, .padded, "products")
                run.work = Double(12 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.layerNormGradient(
                        input.matrix, statistics: statistics.matrix, gain: g.matrix, outputGradient: outer.matrix,
                        into: output.matrix, products: products.matrix)
                }
                let table = OracleMatrix(rows: rows, columns: columns, values)
                let outerTable = OracleMatrix(rows: rows, columns: columns, gradients)
                let results = (0..<rows).map {
                    Oracle.layerNormGradient(
                        Array(table.row($0)), mean: Double(means[$0]), inverse: Double(inverses[$0]),
                        gain: gain.map(Double.init), outputGradient: Array(outerTable.row($0)))
                }
                let error = Tolerance.sum(columns) + 16 * Tolerance.unit
                run.compare(products, results.flatMap(\.products)) { place in
                    let (row, column) = (place / columns, place % columns)
                    return error * (abs(results[row].products[column]) + abs(outerTable[row, column]) * 4)
                }
                run.compare(output, results.flatMap(\.input)) { place in
                    let row = place / columns
                    let normal = abs((table.elements[place] - Double(means[row])) * Double(inverses[row]))
                    let own = abs(outerTable.elements[place] * Double(gain[place % columns]))
                    return error * Double(inverses[row]) * (own + results[row].magnitude * (1 + normal)) * 2
                }
            }
        }
    }
}
