import Compute
import Core

/// batchedGemm.
enum BatchedCases {
    static func batchedGemm(_ sweep: Sweep) -> [ConformanceCase] {
        var shapes = [(1, 1, 1, 1), (3, 11, 13, 5), (2, 33, 31, 17), (5, 12, 32, 16), (4, 4, 4, 0)]
        if sweep != .minimal { shapes += [(70, 16, 16, 16), (7, 64, 64, 64), (130, 3, 2, 9), (2, 65, 40, 300)] }
        if sweep == .full { shapes += [(64, 64, 64, 64), (3, 129, 127, 128), (1, 200, 100, 50), (1000, 1, 1, 1)] }
        var cases: [ConformanceCase] = []
        for (place, (count, m, n, k)) in shapes.enumerated() {
            for transposes in 0..<4 where sweep == .full || (place + transposes) % 2 == 0 {
                let (alpha, beta): (Float, Float) = [(1, 0), (-0.5, 1), (2, 0.25)][(place + transposes) % 3]
                cases.append(
                    batch(
                        count, m, n, k, transposes & 1 != 0, transposes & 2 != 0, Layout.all[(place + transposes) % 3],
                        alpha, beta))
            }
        }
        return cases
    }

    private static func batch(
        _ count: Int, _ m: Int, _ n: Int, _ k: Int, _ transposeA: Bool, _ transposeB: Bool, _ layout: Layout,
        _ alpha: Float, _ beta: Float
    ) -> ConformanceCase {
        let detail =
            "\(count) of \(m) × \(n) × \(k) \(transposeA ? "T" : "N")\(transposeB ? "T" : "N") \(layout)"
            + " alpha \(alpha) beta \(beta)"
        return ConformanceCase(.batchedGemm, detail) { run throws(ComputeError) in
            let (rowsA, columnsA) = transposeA ? (k, m) : (m, k)
            let (rowsB, columnsB) = transposeB ? (n, k) : (k, n)
            let left = run.uniform(count * rowsA * columnsA)
            let right = run.uniform(count * rowsB * columnsB)
            let previous = beta == 0 ? nil : run.uniform(count * m * n)
            let a = try run.input(left, rows: count * rowsA, columns: columnsA, layout, "a")
            let b = try run.input(right, rows: count * rowsB, columns: columnsB, layout, "b")
            let output = try run.output(rows: count * m, columns: n, layout, initial: previous)
            run.work = 2 * Double(count) * Double(m) * Double(n) * Double(k)
            try run.perform { stream throws(ComputeError) in
                try stream.batchedGemm(
                    count: count, a.matrix, transposeA: transposeA, b.matrix, transposeB: transposeB, alpha: alpha,
                    beta: beta, into: output.matrix)
            }
            var (values, magnitudes): ([Double], [Double]) = ([], [])
            for index in 0..<count {
                func part(_ table: [Float], _ rows: Int, _ columns: Int) -> OracleMatrix {
                    let size = rows * columns
                    return OracleMatrix(rows: rows, columns: columns, Array(table[index * size..<(index + 1) * size]))
                }
                let sums = Oracle.gemm(
                    part(left, rowsA, columnsA), transposeA: transposeA, part(right, rowsB, columnsB),
                    transposeB: transposeB, alpha: Double(alpha), beta: Double(beta), bias: nil,
                    output: previous.map { part($0, m, n) })
                values += sums.values.elements
                magnitudes += sums.magnitudes.elements
            }
            let error = Tolerance.sum(k)
            run.compare(output, values) { error * magnitudes[$0] }
        }
    }
}
