import Compute

/// columnSums and rowNorms.
enum ReductionCases {
    static func columnSums(_ sweep: Sweep) -> [ConformanceCase] {
        var shapes = sweep.rectangles
        if sweep == .full { shapes += [(100_003, 5), (33_333, 65)] }
        var cases = shapes.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            return ConformanceCase(.columnSums, "\(rows) × \(columns) \(layout)") { run throws(ComputeError) in
                let values = OracleMatrix(rows: rows, columns: columns, run.uniform(rows * columns))
                let input = try run.input(values.elements.map(Float.init), rows: rows, columns: columns, layout)
                let output = try run.output(rows: 1, columns: columns, layout)
                run.work = Double(4 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.columnSums(input.matrix, into: output.matrix)
                }
                let sums = Oracle.columnSums(values)
                let error = Tolerance.sum(min(rows, Tolerance.columnSumChunk))
                run.compare(output, sums.values.elements) { error * sums.magnitudes.elements[$0] }
            }
        }
        if sweep != .minimal {
            cases.append(
                ConformanceCase(.columnSums, "50000 × 3 of integers, sums beyond 2^24") { run throws(ComputeError) in
                    let values = OracleMatrix(
                        rows: 50_000, columns: 3, elements: run.integers(150_000, 900...1023).map(Double.init))
                    let input = try run.input(values.elements.map(Float.init), rows: 50_000, columns: 3)
                    let output = try run.output(rows: 1, columns: 3)
                    try run.perform { stream throws(ComputeError) in
                        try stream.columnSums(input.matrix, into: output.matrix)
                    }
                    // Chunks of integers add up exactly; the one rounding is the last.
                    let expected = Oracle.columnSums(values).values.elements
                    run.compare(output, expected) { Tolerance.unit * expected[$0] }
                })
        }
        return cases
    }

    static func rowNorms(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            let squared = index % 2 == 0
            return ConformanceCase(.rowNorms, "\(rows) × \(columns) \(layout)\(squared ? " squared" : "")") {
                run throws(ComputeError) in
                var elements = run.uniform(rows * columns)
                // A row of zeros has norm 0, not NaN.
                for place in 0..<min(columns, elements.count) { elements[place] = 0 }
                let values = OracleMatrix(rows: rows, columns: columns, elements)
                let input = try run.input(elements, rows: rows, columns: columns, layout)
                let output = try run.output(rows: 1, columns: rows, layout)
                run.work = 2 * Double(rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.rowNorms(input.matrix, squared: squared, into: output.matrix)
                }
                let expected = Oracle.rowNorms(values, squared: squared).elements
                // The square root halves the relative error of its argument and adds its own (3 units in OpenCL).
                let error = squared ? Tolerance.sum(columns) : Tolerance.sum(columns) / 2 + 6 * Tolerance.unit
                run.compare(output, expected) { error * expected[$0] }
            }
        }
    }
}
