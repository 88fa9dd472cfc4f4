import Compute
import Core

/// gemm and gram.
enum ProductCases {
    private struct Epilogue {
        let alpha: Float
        let beta: Float
        let bias: Bool
        let activation: Activation
    }

    private static let epilogues = [
        Epilogue(alpha: 1, beta: 0, bias: false, activation: .identity),
        Epilogue(alpha: 0.5, beta: 0, bias: true, activation: .relu),
        Epilogue(alpha: 1, beta: 1, bias: false, activation: .identity),
        Epilogue(alpha: -0.75, beta: 0.5, bias: true, activation: .sigmoid),
        Epilogue(alpha: 1, beta: 0, bias: true, activation: .tanh),
        Epilogue(alpha: 2, beta: -1, bias: true, activation: .identity),
        Epilogue(alpha: 0, beta: 1, bias: false, activation: .identity),
        Epilogue(alpha: 1, beta: 0, bias: false, activation: .relu),
        Epilogue(alpha: 1, beta: 0, bias: true, activation: .identity),
        Epilogue(alpha: 0, beta: 0, bias: true, activation: .sigmoid),
        Epilogue(alpha: 1, beta: 1, bias: false, activation: .tanh),
    ]

    static func gemm(_ sweep: Sweep) -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        var index = 0
        for (shape, (m, n, k)) in sweep.products.enumerated() {
            for transposes in 0..<4 where sweep == .full || (shape + transposes) % 2 == 0 {
                cases.append(
                    gemm(
                        m, n, k, transposes & 1 != 0, transposes & 2 != 0, Layout.all[index % 3],
                        epilogues[index % epilogues.count]))
                index += 1
            }
        }
        for (place, (m, n, k)) in sweep.products.enumerated() where place % 3 == 1 {
            let epilogue = epilogues[place % epilogues.count]
            cases.append(
                gemm(m, n, k, place % 2 == 0, place % 4 < 2, Layout.all[place % 3], epilogue, precision: .bfloat16))
        }
        cases += [
            nonFiniteGemm(m: 35, n: 19, k: 24), integerGemm(m: 37, n: 41, k: 129), sameInput(rows: 33, columns: 17),
            windows(m: 29, n: 19, k: 21),
        ]
        return cases
    }

    private static func gemm(
        _ m: Int, _ n: Int, _ k: Int, _ transposeA: Bool, _ transposeB: Bool, _ layout: Layout, _ epilogue: Epilogue,
        precision: ProductPrecision = .float32
    ) -> ConformanceCase {
        let detail =
            "\(m) × \(n) × \(k) \(transposeA ? "T" : "N")\(transposeB ? "T" : "N") \(layout)"
            + " alpha \(epilogue.alpha) beta \(epilogue.beta)\(epilogue.bias ? " bias" : "")"
            + (epilogue.activation == .identity ? "" : " \(epilogue.activation)")
            + (precision == .float32 ? "" : " \(precision)")
        return ConformanceCase(.gemm, detail) { run throws(ComputeError) in
            // A device without this precision refuses it, for every operand; that is no failure.
            guard run.stream.device.productPrecisions.contains(precision) else { return }
            let left = OracleMatrix(rows: transposeA ? k : m, columns: transposeA ? m : k, run.uniform(m * k))
            let right = OracleMatrix(rows: transposeB ? n : k, columns: transposeB ? k : n, run.uniform(k * n))
            let previous = epilogue.beta == 0 ? nil : run.uniform(m * n)
            let biases = epilogue.bias ? run.uniform(n) : nil
            let a = try run.input(
                left.elements.map(Float.init), rows: left.rows, columns: left.columns, layout, "a")
            let b = try run.input(
                right.elements.map(Float.init), rows: right.rows, columns: right.columns, layout, "b")
            let bias = try biases.map { values throws(ComputeError) in try run.vector(values, layout, "bias") }
            let output = try run.output(rows: m, columns: n, layout, initial: previous)
            run.work = 2 * Double(m) * Double(n) * Double(k)
            try run.perform { stream throws(ComputeError) in
                try stream.gemm(
                    a.matrix, transposeA: transposeA, b.matrix, transposeB: transposeB, alpha: epilogue.alpha,
                    beta: epilogue.beta, bias: bias?.matrix, activation: epilogue.activation, precision: precision,
                    into: output.matrix)
            }
            let sums = Oracle.gemm(
                Oracle.taken(left, precision), transposeA: transposeA, Oracle.taken(right, precision),
                transposeB: transposeB,
                alpha: Double(epilogue.alpha),
                beta: Double(epilogue.beta), bias: biases?.map(Double.init),
                output: previous.map { OracleMatrix(rows: m, columns: n, $0) })
            compare(run, output, sums, length: k, epilogue.activation)
        }
    }

    /// Infinities, NaN and numbers next to the largest come out where they must, and nowhere else.
    private static func nonFiniteGemm(m: Int, n: Int, k: Int) -> ConformanceCase {
        ConformanceCase(.gemm, "\(m) × \(n) × \(k) with infinities and NaN") { run throws(ComputeError) in
            var left = OracleMatrix(rows: m, columns: k, run.uniform(m * k, 0.5, 1))
            var right = OracleMatrix(rows: k, columns: n, run.uniform(k * n, 0.5, 1))
            left.elements[2 * k + 3] = .infinity
            left.elements[5 * k] = -.infinity
            left.elements[7 * k + 9] = .nan
            left.elements[11 * k + 1] = Double(Float.greatestFiniteMagnitude)
            right.elements[4 * n + 1] = .infinity
            right.elements[6 * n + 18] = .nan
            for place in 0..<n { right.elements[n + place] = 0x1p-20 }
            let a = try run.input(left.elements.map(Float.init), rows: m, columns: k, .padded, "a")
            let b = try run.input(right.elements.map(Float.init), rows: k, columns: n, .padded, "b")
            let output = try run.output(rows: m, columns: n, .padded)
            try run.perform { stream throws(ComputeError) in
                try stream.gemm(a.matrix, b.matrix, into: output.matrix)
            }
            compare(run, output, Oracle.product(left, right), length: k, .identity)
        }
    }

    /// An error of the argument passes the activation multiplied by its slope, and by its curvature, which is below 1.
    static func compare(
        _ run: CaseRun, _ output: Operand, _ sums: Oracle.Sums, length: Int, _ activation: Activation
    ) {
        let images = sums.values.elements.map { Oracle.activate($0, activation) }
        run.compare(output, images.map(\.value)) { place in
            let error = Tolerance.sum(length) * sums.magnitudes.elements[place]
            switch activation {
            case .identity, .relu: return error
            case .sigmoid, .tanh: return error * (images[place].slope + error) + Tolerance.activation
            }
        }
    }

    private static func integerGemm(m: Int, n: Int, k: Int) -> ConformanceCase {
        ConformanceCase(.gemm, "\(m) × \(n) × \(k) of integers, exact") { run throws(ComputeError) in
            let left = OracleMatrix(rows: m, columns: k, elements: run.integers(m * k, -9...9).map(Double.init))
            let right = OracleMatrix(rows: n, columns: k, elements: run.integers(n * k, -9...9).map(Double.init))
            let a = try run.input(left.elements.map(Float.init), rows: m, columns: k, .padded, "a")
            let b = try run.input(right.elements.map(Float.init), rows: n, columns: k, .padded, "b")
            let output = try run.output(rows: m, columns: n, .padded)
            try run.perform { stream throws(ComputeError) in
                try stream.gemm(a.matrix, b.matrix, transposeB: true, into: output.matrix)
            }
            run.compare(output, Oracle.product(left, right.transposed).values.elements) { _ in 0 }
        }
    }

    private static func sameInput(rows: Int, columns: Int) -> ConformanceCase {
        ConformanceCase(.gemm, "\(rows) × \(columns) times its own transpose") { run throws(ComputeError) in
            let values = OracleMatrix(rows: rows, columns: columns, run.uniform(rows * columns))
            let a = try run.input(values.elements.map(Float.init), rows: rows, columns: columns, .padded)
            let output = try run.output(rows: rows, columns: rows)
            try run.perform { stream throws(ComputeError) in
                try stream.gemm(a.matrix, a.matrix, transposeB: true, into: output.matrix)
            }
            compare(run, output, Oracle.product(values, values.transposed), length: columns, .identity)
        }
    }

    private static func windows(m: Int, n: Int, k: Int) -> ConformanceCase {
        ConformanceCase(.gemm, "\(m) × \(n) × \(k) between two windows of one table") { run throws(ComputeError) in
            let left = OracleMatrix(rows: m, columns: k, run.uniform(m * k))
            let right = OracleMatrix(rows: k, columns: n, run.uniform(k * n))
            let (a, output) = try run.windows(
                left.elements.map(Float.init), rows: m, columns: k, outputColumns: n)
            let b = try run.input(right.elements.map(Float.init), rows: k, columns: n)
            try run.perform { stream throws(ComputeError) in
                try stream.gemm(a.matrix, b.matrix, into: output.matrix)
            }
            compare(run, output, Oracle.product(left, right), length: k, .identity)
        }
    }

    static func gram(_ sweep: Sweep) -> [ConformanceCase] {
        var shapes = sweep.rectangles
        if sweep == .full { shapes += [(20_011, 17), (3001, 129)] }
        var cases = shapes.filter { $0.1 <= 257 }.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            return ConformanceCase(.gram, "\(rows) × \(columns) \(layout)") { run throws(ComputeError) in
                let values = OracleMatrix(rows: rows, columns: columns, run.uniform(rows * columns))
                let input = try run.input(values.elements.map(Float.init), rows: rows, columns: columns, layout)
                let output = try run.output(rows: columns, columns: columns, layout)
                run.work = Double(rows) * Double(columns) * Double(columns)
                try run.perform { stream throws(ComputeError) in try stream.gram(input.matrix, into: output.matrix) }
                let sums = Oracle.gram(values)
                let error = Tolerance.sum(min(rows, Tolerance.gramChunk))
                run.compare(output, sums.values.elements) { error * sums.magnitudes.elements[$0] }
            }
        }
        if sweep != .minimal {
            // The sums pass 2²⁴, where float32 stops counting: only wider precision keeps what is added then.
            cases.append(
                ConformanceCase(.gram, "40000 × 3 of integers, sums beyond 2^24") { run throws(ComputeError) in
                    let values = OracleMatrix(
                        rows: 40_000, columns: 3, elements: run.integers(120_000, 24...31).map(Double.init))
                    let input = try run.input(values.elements.map(Float.init), rows: 40_000, columns: 3)
                    let output = try run.output(rows: 3, columns: 3)
                    try run.perform { stream throws(ComputeError) in
                        try stream.gram(input.matrix, into: output.matrix)
                    }
                    let expected = Oracle.gram(values).values.elements
                    run.compare(output, expected) { 2 * Tolerance.unit * expected[$0] }
                })
        }
        return cases
    }
}
