import Compute

/// Rounding to 8 bits, and products of what was rounded.
enum QuantizedCases {
    static func quantize(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.rectangles.filter { $0.0 > 0 && $0.1 > 0 }.enumerated().map { index, shape in
            let (rows, columns) = shape
            let layout = Layout.all[index % 3]
            return ConformanceCase(.quantize, "\(rows) × \(columns) \(layout)") { run throws(ComputeError) in
                // Beyond 127 steps too, halves that go to the even code, and what is no number.
                let step: Float = 0.03125
                var values = run.uniform(rows * columns, -5, 5)
                for place in values.indices where place % 7 == 3 {
                    values[place] = (Float(place % 200) - 100.5) * step
                }
                if index % 4 == 1 { values[values.count / 2] = .nan }
                let input = try run.input(values, rows: rows, columns: columns, layout)
                let words = (columns + 3) / 4
                let codes = try run.integerOutput(rows: rows, columns: words, layout)
                run.work = Double(5 * rows * columns)
                try run.perform { stream throws(ComputeError) in
                    try stream.quantize(input.matrix, step: step, into: codes.matrix)
                }
                run.compareExactly(codes, Oracle.quantize(values, columns: columns, inverse: 1 / step))
            }
        }
    }

    static func quantizedGemm(_ sweep: Sweep) -> [ConformanceCase] {
        sweep.products.filter { $0.0 > 0 && $0.1 > 0 && $0.2 > 0 }.enumerated().map { index, shape in
            let (m, n, k) = shape
            let layout = Layout.all[index % 3]
            let activation = Activation.allCases[index % 4]
            let hasBias = (index / 2) % 2 == 0
            return ConformanceCase(
                .quantizedGemm, "\(m) × \(n) × \(k) \(layout), \(activation)\(hasBias ? ", bias" : "")"
            ) { run throws(ComputeError) in
                let words = (k + 3) / 4
                // All bytes but −128, which rounding does not give.
                func codes(_ count: Int) -> [Int32] {
                    let bytes = run.integers(4 * count, -127...127)
                    var words = [UInt32](repeating: 0, count: count)
                    for (place, byte) in bytes.enumerated() {
                        let bits = UInt32(UInt8(bitPattern: Int8(byte)))
                        words[place / 4] |= bits << UInt32(8 * (place % 4))
                    }
                    return words.map { Int32(bitPattern: $0) }
                }
                let (left, right) = (codes(m * words), codes(n * words))
                let (scales, shift) = (run.uniform(n, 0.001, 0.01), run.uniform(n))
                let step = 0.004 / Float(k).squareRoot()
                let a = try run.input(left, rows: m, columns: words, layout, "a")
                let b = try run.input(right, rows: n, columns: words, layout, "b")
                let s = try run.vector(scales, .padded, "scales")
                let bias = hasBias ? try run.vector(shift, .padded, "bias") : nil
                let output = try run.output(rows: m, columns: n, layout)
                run.work = Double(2 * m * n) * Double(k)
                try run.perform { stream throws(ComputeError) in
                    try stream.quantizedGemm(
                        a.matrix, step: step, b.matrix, scales: s.matrix, bias: bias?.matrix, activation: activation,
                        into: output.matrix)
                }
                var (expected, tolerances): ([Double], [Double]) = ([], [])
                for i in 0..<m {
                    for j in 0..<n {
                        let sum = Oracle.dot(left[i * words..<(i + 1) * words], right[j * words..<(j + 1) * words])
                        let product = Double(sum) * Double(step) * Double(scales[j])
                        let value = product + (hasBias ? Double(shift[j]) : 0)
                        let error = 5 * Tolerance.unit * (abs(product) + abs(value))
                        let (result, slope) = Oracle.activate(value, activation.function)
                        expected.append(result)
                        let smooth = activation == .sigmoid || activation == .tanh
                        tolerances.append(smooth ? error * abs(slope) + error * error + 16 * Tolerance.unit : error)
                    }
                }
                run.compare(output, expected) { tolerances[$0] }
            }
        }
    }
}

/// Rounding to 8 bits.
extension Oracle {
    /// Codes of rows, four to a word.
    public static func quantize(_ values: [Float], columns: Int, inverse: Float) -> [Int32] {
        let words = (columns + 3) / 4
        let rows = columns > 0 ? values.count / columns : 0
        return (0..<rows * words).map { place in
            let (row, word) = (place / words, place % words)
            var bits: UInt32 = 0
            for part in 0..<4 where 4 * word + part < columns {
                let scaled = values[row * columns + 4 * word + part] * inverse
                guard !scaled.isNaN else { continue }
                let code = Int8(min(max(scaled.rounded(.toNearestOrEven), -127), 127))
                bits |= UInt32(UInt8(bitPattern: code)) << UInt32(8 * part)
            }
            return Int32(bitPattern: bits)
        }
    }

    /// The sum of the products of bytes.
    public static func dot(_ a: ArraySlice<Int32>, _ b: ArraySlice<Int32>) -> Int {
        var sum = 0
        for (left, right) in zip(a, b) {
            for shift in stride(from: Int32(0), to: 32, by: 8) {
                let (x, y) = (Int8(truncatingIfNeeded: left >> shift), Int8(truncatingIfNeeded: right >> shift))
                sum += Int(x) * Int(y)
            }
        }
        return sum
    }
}

extension OracleBackend {
    func run(_ x: Quantize) throws(ComputeError) {
        let values = try matrix(x.input).elements.map(Float.init)
        try store(Oracle.quantize(values, columns: x.input.columns, inverse: x.inverse), to: x.codes)
    }

    func run(_ x: QuantizedGemm) throws(ComputeError) {
        let (a, b) = (try integers(x.a).map(Int32.init), try integers(x.b).map(Int32.init))
        let (scales, bias) = (try matrix(x.scales).elements, try vector(x.bias))
        let words = x.a.columns
        var output: [Float] = []
        for i in 0..<x.a.rows {
            for j in 0..<x.b.rows {
                let sum = Oracle.dot(a[i * words..<(i + 1) * words], b[j * words..<(j + 1) * words])
                let value = Double(sum) * Double(x.step) * scales[j] + (bias?[j] ?? 0)
                output.append(Float(Oracle.activate(value, x.activation.function).value))
            }
        }
        try store(output, to: x.output)
    }
}
