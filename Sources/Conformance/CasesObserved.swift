import Compute
import Core

/// sparseTimesDense, residualTargets, observedLoss and observedScores.
enum ObservedCases {
    /// Rows and columns of the sparse matrix, and columns of the dense one.
    private static func shapes(_ sweep: Sweep) -> [(Int, Int, Int)] {
        var all = sweep.sizes.enumerated().map { index, size in
            (
                sweep.sizes[(index + 2) % sweep.sizes.count] + 5, max(size, 3),
                sweep.sizes[(index * 3 + 1) % sweep.sizes.count]
            )
        }
        all += [(0, 7, 5), (5, 0, 3), (1, 1, 1)]
        if sweep != .minimal { all += [(40, 600, 64), (300, 50, 17), (7, 2000, 130)] }
        if sweep == .full { all += [(2000, 300, 33), (12, 9000, 16), (60, 700, 257)] }
        return all
    }

    static func sparseTimesDense(_ sweep: Sweep) -> [ConformanceCase] {
        let factors: [(Float, Float)] = [(1, 0), (0.5, 0), (1, 1), (-2, 0.5), (0, 1)]
        return shapes(sweep).enumerated().map { index, shape in
            let (rows, columns, d) = shape
            let layout = Layout.all[index % 3]
            let (alpha, beta) = factors[index % factors.count]
            let range = SparsePattern.range(rows, index)
            let detail =
                "\(rows) × \(columns) × \(d) \(layout) alpha \(alpha) beta \(beta)\(range == nil ? "" : " rows of")"
            return ConformanceCase(.sparseTimesDense, detail) { run throws(ComputeError) in
                let host = SparsePattern.matrix(rows: rows, columns: columns, run)
                let table = OracleMatrix(rows: columns, columns: d, run.uniform(columns * d))
                let sparse = try run.sparse(host, rows: range)
                let dense = try run.input(table.elements.map(Float.init), rows: columns, columns: d, layout)
                let count = sparse.oracle.rows * d
                let previous = beta == 0 ? nil : run.uniform(count)
                let output = try run.output(rows: sparse.oracle.rows, columns: d, layout, initial: previous)
                run.work = 2 * Double(sparse.device.entryCount) * Double(d)
                try run.perform { stream throws(ComputeError) in
                    try stream.multiply(sparse.device, dense.matrix, alpha: alpha, beta: beta, into: output.matrix)
                }
                let sums = Oracle.sparseTimesDense(
                    sparse.oracle, table, alpha: Double(alpha), beta: Double(beta),
                    output: previous.map { OracleMatrix(rows: sparse.oracle.rows, columns: d, $0) })
                run.compare(output, sums.values.elements) { place in
                    Tolerance.sum(sparse.oracle.range(ofRow: place / d).count) * sums.magnitudes.elements[place]
                }
            }
        }
    }

    static func residualTargets(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).enumerated().map { index, shape in
            let (rows, columns, _) = shape
            let range = SparsePattern.range(rows, index)
            let inPlace = index % 3 == 1
            let (withRow, withColumn) = (index % 4 != 1, index % 4 != 2)
            let detail =
                "\(rows) × \(columns)\(range == nil ? "" : " rows of")\(inPlace ? " in place" : "")"
                + "\(withRow ? " row" : "")\(withColumn ? " column" : "")"
            return ConformanceCase(.residualTargets, detail) { run throws(ComputeError) in
                let host = SparsePattern.matrix(rows: rows, columns: columns, run)
                let sparse = try run.sparse(host, rows: range)
                let rowValues = withRow ? run.uniform(sparse.oracle.rows) : nil
                let columnValues = withColumn ? run.uniform(columns) : nil
                let rowOffset = try rowValues.map { x throws(ComputeError) in try run.vector(x, .padded) }
                let columnOffset = try columnValues.map { x throws(ComputeError) in try run.vector(x, .aligned) }
                let pointers = sparse.oracle.rowPointers
                let entries = pointers[0]..<pointers[pointers.count - 1]
                // Only the entries of the range's rows may be written.
                let whole = inPlace ? sparse.values : try run.output(rows: 1, columns: host.entryCount, .padded)
                if !inPlace { whole.table.writable = Array(repeating: false, count: whole.table.words.count) }
                let part = Operand(table: whole.table, matrix: whole.matrix.columns(entries))
                run.allowWriting(part)
                run.work = 4 * Double(entries.count)
                try run.perform { stream throws(ComputeError) in
                    try stream.residualTargets(
                        sparse.device, rowOffset: rowOffset?.matrix, columnOffset: columnOffset?.matrix, constant: 0.3,
                        into: whole.matrix)
                }
                let sums = Oracle.residualTargets(
                    sparse.oracle, rowOffset: rowValues?.map(Double.init), columnOffset: columnValues?.map(Double.init),
                    constant: Double(Float(0.3)))
                run.compare(part, sums.values.elements) { 3 * Tolerance.unit * sums.magnitudes.elements[$0] }
            }
        }
    }

    static func observedLoss(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).enumerated().map { index, shape in
            let (rows, columns, d) = shape
            let layout = Layout.all[index % 3]
            let range = SparsePattern.range(rows, index)
            let (weighted, withTargets) = (index % 3 != 0, index % 4 != 1)
            let detail =
                "\(rows) × \(columns) × \(d) \(layout)\(range == nil ? "" : " rows of")"
                + "\(weighted ? " weighted" : "")\(withTargets ? " targets" : "")"
            return ConformanceCase(.observedLoss, detail) { run throws(ComputeError) in
                let host = SparsePattern.matrix(rows: rows, columns: columns, run)
                let sparse = try run.sparse(host, rows: range)
                let m = sparse.oracle.rows
                let left = OracleMatrix(rows: m, columns: d, run.uniform(m * d))
                let right = OracleMatrix(rows: columns, columns: d, run.uniform(columns * d))
                let targetValues = withTargets ? run.uniform(host.entryCount, -2, 5) : nil
                let targets = try targetValues.map { x throws(ComputeError) in try run.vector(x, .padded) }
                let a = try run.input(left.elements.map(Float.init), rows: m, columns: d, layout, "a")
                let b = try run.input(right.elements.map(Float.init), rows: columns, columns: d, layout, "b")
                let output = try run.output(rows: 1, columns: m, layout)
                run.work = 2 * Double(sparse.device.entryCount) * Double(d)
                try run.perform { stream throws(ComputeError) in
                    try stream.observedLoss(
                        sparse.device, targets: targets?.matrix, weighted: weighted, a.matrix, b.matrix,
                        into: output.matrix)
                }
                let expected = Oracle.observedLoss(
                    sparse.oracle, targets: targetValues?.map(Double.init), weighted: weighted, left, right,
                    productError: Tolerance.sum(d), sumError: Tolerance.sum)
                run.compare(output, expected.values) { expected.errors[$0] }
            }
        }
    }

    static func observedScores(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).enumerated().map { index, shape in
            let (m, n, d) = shape
            let pairs = [0, 1, 17, 64, 1000][index % (sweep == .minimal ? 4 : 5)]
            let layout = Layout.all[index % 3]
            return ConformanceCase(.observedScores, "\(pairs) of \(m) × \(n) × \(d) \(layout)") {
                run throws(ComputeError) in
                let left = OracleMatrix(rows: m, columns: d, run.uniform(m * d))
                let right = OracleMatrix(rows: n, columns: d, run.uniform(n * d))
                // From −1 to one past the end: some of the pairs lie outside.
                var rowIndices = run.integers(pairs, -1...m)
                var columnIndices = run.integers(pairs, -1...n)
                if pairs > 16 {
                    rowIndices[5] = Int(Int32.max)
                    columnIndices[6] = Int(Int32.min)
                }
                let a = try run.input(left.elements.map(Float.init), rows: m, columns: d, layout, "a")
                let b = try run.input(right.elements.map(Float.init), rows: n, columns: d, layout, "b")
                let rows = try run.input(rowIndices.map(Int32.init), .padded)
                let columns = try run.input(columnIndices.map(Int32.init), layout)
                let output = try run.output(
                    rows: 1, columns: pairs, layout, initial: Array(repeating: 0, count: pairs))
                run.work = 2 * Double(pairs) * Double(d)
                try run.perform { stream throws(ComputeError) in
                    try stream.scores(
                        rows: rows.matrix, columns: columns.matrix, a.matrix, b.matrix, into: output.matrix)
                }
                let sums = Oracle.observedScores(rows: rowIndices, columns: columnIndices, left, right)
                run.compare(output, sums.values.elements) { Tolerance.sum(d) * sums.magnitudes.elements[$0] }
            }
        }
    }
}
