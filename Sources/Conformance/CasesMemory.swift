import Compute

/// fill, copy, gather, scaleRows, randomUniform: exact, but for division.
enum MemoryCases {
    static func fill(_ sweep: Sweep) -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        let values: [Float] = [0, 1.5, -0.1, -.infinity, .nan]
        for (index, (rows, columns)) in sweep.rectangles.enumerated() {
            let layout = Layout.all[index % 3]
            let value = values[index % values.count]
            cases.append(
                ConformanceCase(.fill, "\(rows) × \(columns) \(layout) with \(value)") { run throws(ComputeError) in
                    let output = try run.output(
                        rows: rows, columns: columns, layout, initial: run.uniform(rows * columns))
                    run.work = Double(4 * rows * columns)
                    try run.perform { stream throws(ComputeError) in try stream.fill(output.matrix, with: value) }
                    // A NaN may come with any payload.
                    run.compare(output, Array(repeating: Double(value), count: rows * columns)) { _ in 0 }
                })
        }
        let integers: [(Float, Int32)] = [(-1, -1), (2.75, 2), (-2.75, -2), (0, 0), (16_777_216, 16_777_216)]
        for (index, (value, expected)) in integers.enumerated() {
            let layout = Layout.all[index % 3]
            cases.append(
                ConformanceCase(.fill, "int32 17 × 33 \(layout) with \(value)") { run throws(ComputeError) in
                    let output = try run.integerOutput(rows: 17, columns: 33, layout)
                    try run.perform { stream throws(ComputeError) in try stream.fill(output.matrix, with: value) }
                    run.compareExactly(output, Array(repeating: expected, count: 17 * 33))
                })
        }
        return cases
    }

    static func copy(_ sweep: Sweep) -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        for (index, (rows, columns)) in sweep.rectangles.enumerated() {
            let (from, to) = (Layout.all[index % 3], Layout.all[(index / 3) % 3])
            cases.append(
                ConformanceCase(.copy, "\(rows) × \(columns) \(from) to \(to)") { run throws(ComputeError) in
                    var values = run.uniform(rows * columns)
                    // Bits, not numbers, are copied.
                    let specials: [Float] = [-0.0, .infinity, .nan, .leastNonzeroMagnitude]
                    for (place, special) in specials.enumerated()
                    where place < values.count { values[values.count - 1 - place] = special }
                    let input = try run.input(values, rows: rows, columns: columns, from)
                    let output = try run.output(rows: rows, columns: columns, to)
                    run.work = Double(8 * rows * columns)
                    try run.perform { stream throws(ComputeError) in try stream.copy(input.matrix, to: output.matrix) }
                    run.compareExactly(output, values)
                })
        }
        cases.append(
            ConformanceCase(.copy, "int32 1 × 257") { run throws(ComputeError) in
                let values = run.integers(257, -1_000_000...1_000_000).map(Int32.init)
                let input = try run.input(values, .padded)
                let output = try run.integerOutput(rows: 1, columns: 257, .aligned)
                try run.perform { stream throws(ComputeError) in try stream.copy(input.matrix, to: output.matrix) }
                run.compareExactly(output, values)
            })
        cases.append(
            ConformanceCase(.copy, "33 × 17 between two windows of one table") { run throws(ComputeError) in
                let values = run.uniform(33 * 17)
                let (input, output) = try run.windows(values, rows: 33, columns: 17, outputColumns: 17)
                try run.perform { stream throws(ComputeError) in try stream.copy(input.matrix, to: output.matrix) }
                run.compareExactly(output, values)
            })
        return cases
    }

    static func gather(_ sweep: Sweep) -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        for (index, (rows, columns)) in sweep.rectangles.enumerated() {
            for tableRows in [0, 1, 37, 1000].prefix(sweep == .minimal ? 3 : 4) where (index + tableRows) % 2 == 0 {
                let layout = Layout.all[index % 3]
                cases.append(
                    ConformanceCase(.gather, "\(rows) of \(tableRows) × \(columns) \(layout)") {
                        run throws(ComputeError) in
                        let values = run.uniform(tableRows * columns)
                        var indices = run.integers(rows, 0...max(tableRows - 1, 0)).map(Int32.init)
                        // One index in seven lies outside the table.
                        for place in stride(from: 0, to: rows, by: 7) {
                            indices[place] = [-1, Int32(tableRows), .max, .min][(place / 7) % 4]
                        }
                        let table = try run.input(values, rows: tableRows, columns: columns, layout)
                        let places = try run.input(indices, .padded)
                        let output = try run.output(
                            rows: rows, columns: columns, layout, initial: Array(repeating: 0, count: rows * columns))
                        run.work = Double(8 * rows * columns)
                        try run.perform { stream throws(ComputeError) in
                            try stream.gather(table.matrix, rows: places.matrix, into: output.matrix)
                        }
                        let expected = Oracle.gather(
                            OracleMatrix(rows: tableRows, columns: columns, values), rows: indices.map(Int.init))
                        run.compare(output, expected.elements) { _ in 0 }
                    })
            }
        }
        return cases
    }

    static func scaleRows(_ sweep: Sweep) -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        for (index, (rows, columns)) in sweep.rectangles.enumerated() {
            let divide = index % 2 == 1
            let inPlace = index % 3 == 2
            let layout = Layout.all[(index / 2) % 3]
            let detail =
                "\(rows) × \(columns) \(layout)\(divide ? " divided" : "")\(inPlace ? " in place" : "")"
            cases.append(
                ConformanceCase(.scaleRows, detail) { run throws(ComputeError) in
                    let values = run.uniform(rows * columns)
                    var factors = run.uniform(rows, 0.5, 2)
                    for place in stride(from: 0, to: rows, by: 5) { factors[place] = place % 2 == 0 ? 0 : -3 }
                    if rows > 4 { factors[3] = -0.0 }
                    let output = try run.output(
                        rows: rows, columns: columns, layout, initial: inPlace ? values : nil)
                    let input = inPlace ? output : try run.input(values, rows: rows, columns: columns, layout)
                    let scale = try run.vector(factors, .padded)
                    run.work = Double(rows * columns)
                    try run.perform { stream throws(ComputeError) in
                        try stream.scaleRows(input.matrix, by: scale.matrix, divide: divide, into: output.matrix)
                    }
                    let expected = Oracle.scaleRows(
                        OracleMatrix(rows: rows, columns: columns, values), by: factors.map(Double.init),
                        divide: divide
                    ).elements
                    // A product rounds once, alike everywhere. OpenCL allows a quotient 2.5 units of the last place.
                    run.compare(output, divide ? expected : expected.map { Double(Float($0)) }) { place in
                        divide ? 6 * Tolerance.unit * abs(expected[place]) : 0
                    }
                })
        }
        cases.append(
            ConformanceCase(.scaleRows, "65 × 17 between two windows of one table") { run throws(ComputeError) in
                let values = run.uniform(65 * 17)
                let factors = run.uniform(65)
                let (input, output) = try run.windows(values, rows: 65, columns: 17, outputColumns: 17)
                let scale = try run.vector(factors)
                try run.perform { stream throws(ComputeError) in
                    try stream.scaleRows(input.matrix, by: scale.matrix, into: output.matrix)
                }
                run.compareExactly(output, values.indices.map { values[$0] * factors[$0 / 17] })
            })
        return cases
    }

    static func randomUniform(_ sweep: Sweep) -> [ConformanceCase] {
        let starts: [UInt64] = [0, 1, 2, 3, 4, 1001, (1 << 32) - 6, (1 << 34) - 5, (1 << 40) + 3]
        return sweep.rectangles.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let start = starts[index % starts.count]
            return ConformanceCase(.randomUniform, "\(rows) × \(columns) \(layout) from \(start)") {
                run throws(ComputeError) in
                let seed = 0x1234_5678_9ABC_DEF0 &+ UInt64(index)
                let stream64 = index % 2 == 0 ? UInt64(index) : 0xFEDC_BA98_7654_3210
                let output = try run.output(rows: rows, columns: columns, layout)
                run.work = Double(4 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.randomUniform(output.matrix, seed: seed, stream: stream64, start: start)
                }
                run.compareExactly(
                    output,
                    Oracle.randomUniform(rows: rows, columns: columns, seed: seed, stream: stream64, start: start))
            }
        }
    }
}
