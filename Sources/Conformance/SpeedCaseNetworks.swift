import Compute

/// The speed cases of what networks are made of: sizes of a middling net, of which GPUs get more rows.
extension SpeedCase {
    static func networks(_ scale: Int) -> [SpeedCase] {
        elements(8192 * scale) + rows(8192 * scale) + batchNorms(8192 * scale) + embeddings(2048 * scale)
            + sequences(32 * scale) + images(32 * scale) + bytes(4096 * scale) + [perceptron]
    }

    /// A case that moves `tables` matrices of rows × d between memory and processor.
    private static func moving(
        _ operation: OperationKind, _ rows: Int, _ d: Int, tables: Int, operations: Double = 0, _ words: String = "",
        _ prepare: @escaping @Sendable (SpeedOperands) throws(ComputeError) -> (Stream) throws(ComputeError) -> Void
    ) -> SpeedCase {
        SpeedCase(
            operation: operation, subject: "\(rows) × \(d)\(words.isEmpty ? "" : ", \(words)")", operations: operations,
            bytes: Double(tables) * Double(4 * rows * d), prepare: prepare)
    }

    private static func elements(_ n: Int) -> [SpeedCase] {
        let d = 512
        return [
            moving(.activation, n, d, tables: 2, "gelu") { operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(n, d), try operands.uniform(n, d))
                return { stream throws(ComputeError) in try stream.activate(input, .gelu, into: output) }
            },
            moving(.activationGradient, n, d, tables: 3, "gelu") { operands throws(ComputeError) in
                let (values, gradient) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let output = try operands.uniform(n, d)
                return { stream throws(ComputeError) in
                    try stream.activationGradient(.gelu, values: values, outputGradient: gradient, into: output)
                }
            },
            moving(.linearCombination, n, d, tables: 3) { operands throws(ComputeError) in
                let (a, b, output) = (
                    try operands.uniform(n, d), try operands.uniform(n, d), try operands.uniform(n, d)
                )
                return { stream throws(ComputeError) in try stream.combine(a, b, into: output) }
            },
            moving(.dropout, n, d, tables: 2) { operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let step = try operands.indices(1, below: 1)
                return { stream throws(ComputeError) in
                    try stream.dropout(input, probability: 0.1, seed: 1, stream: 2, step: step, into: output)
                }
            },
            moving(.elementLoss, n, d, tables: 3, "logistic") { operands throws(ComputeError) in
                let (logits, targets) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (gradient, losses) = (try operands.uniform(n, d), try operands.uniform(1, n))
                return { stream throws(ComputeError) in
                    try stream.elementLoss(
                        .logistic, logits, targets: targets, scale: 1, gradient: gradient, losses: losses)
                }
            },
            moving(.addToTotal, 1, n * 64, tables: 1) { operands throws(ComputeError) in
                let (input, total) = (try operands.uniform(1, n * 64), try operands.uniform(1, 2))
                return { stream throws(ComputeError) in try stream.addToTotal(input, total) }
            },
            moving(.optimizerStep, 1, n * d, tables: 7, "Adam") { operands throws(ComputeError) in
                let (parameters, gradient) = (try operands.uniform(1, n * d), try operands.uniform(1, n * d))
                let (first, second) = (try operands.uniform(1, n * d), try operands.uniform(1, n * d))
                let controls = try operands.stream.upload([1e-6, 1, 1, 1] as [Float])
                return { stream throws(ComputeError) in
                    try stream.optimizerStep(
                        .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), parameters: parameters, gradient: gradient,
                        first: first, second: second, controls: controls)
                }
            },
        ]
    }

    private static func rows(_ n: Int) -> [SpeedCase] {
        let d = 512
        return [
            moving(.softmaxCrossEntropy, n, d, tables: 2) { operands throws(ComputeError) in
                let (logits, gradient) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (labels, losses) = (try operands.indices(n, below: d), try operands.uniform(1, n))
                return { stream throws(ComputeError) in
                    try stream.softmaxCrossEntropy(logits, labels: labels, scale: 1, gradient: gradient, losses: losses)
                }
            },
            moving(.rankingLoss, n, d, tables: 2) { operands throws(ComputeError) in
                let (scores, gradient) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (labels, losses) = (try operands.indices(n, below: d), try operands.uniform(1, n))
                return { stream throws(ComputeError) in
                    try stream.rankingLoss(scores, labels: labels, scale: 1, gradient: gradient, losses: losses)
                }
            },
            moving(.layerNorm, n, d, tables: 2) { operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (gain, bias) = (try operands.uniform(1, d), try operands.uniform(1, d))
                let statistics = try operands.uniform(2, n)
                return { stream throws(ComputeError) in
                    try stream.layerNorm(input, gain: gain, bias: bias, into: output, statistics: statistics)
                }
            },
            moving(.layerNormGradient, n, d, tables: 4) { operands throws(ComputeError) in
                let (input, gradient) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (output, products) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (gain, statistics) = (try operands.uniform(1, d), try operands.uniform(2, n))
                return { stream throws(ComputeError) in
                    try stream.layerNormGradient(
                        input, statistics: statistics, gain: gain, outputGradient: gradient, into: output,
                        products: products)
                }
            },
        ]
    }

    private static func batchNorms(_ n: Int) -> [SpeedCase] {
        let d = 512
        return [
            moving(.batchNorm, n, d, tables: 2) { operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (mean, inverse) = (try operands.uniform(1, d), try operands.uniform(1, d))
                let (gain, bias) = (try operands.uniform(1, d), try operands.uniform(1, d))
                return { stream throws(ComputeError) in
                    try stream.batchNorm(input, mean: mean, inverse: inverse, gain: gain, bias: bias, into: output)
                }
            },
            moving(.batchNormProducts, n, d, tables: 2) { operands throws(ComputeError) in
                let (input, products) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let mean = try operands.uniform(1, d)
                return { stream throws(ComputeError) in
                    try stream.batchNormProducts(input, mean: mean, gradient: nil, into: products)
                }
            },
            moving(.batchNormStatistics, 1, n * 16, tables: 3) { operands throws(ComputeError) in
                let (mean, squares) = (try operands.uniform(1, n * 16), try operands.uniform(1, n * 16))
                let inverse = try operands.uniform(1, n * 16)
                return { stream throws(ComputeError) in
                    try stream.batchNormStatistics(
                        mean: mean, squares: squares, count: 100, epsilon: 1e-5, into: inverse, running: nil)
                }
            },
            moving(.batchNormGradient, n, d, tables: 3) { operands throws(ComputeError) in
                let (input, gradient) = (try operands.uniform(n, d), try operands.uniform(n, d))
                let (output, mean) = (try operands.uniform(n, d), try operands.uniform(1, d))
                let (inverse, gain) = (try operands.uniform(1, d), try operands.uniform(1, d))
                let (sums, products) = (try operands.uniform(1, d), try operands.uniform(1, d))
                return { stream throws(ComputeError) in
                    try stream.batchNormGradient(
                        input, mean: mean, inverse: inverse, gain: gain, outputGradient: gradient,
                        sums: (sums, products), count: n, into: output)
                }
            },
        ]
    }

    /// The tables of a net for advertisements: 26 columns of categories, vectors of 16.
    private static func embeddings(_ n: Int) -> [SpeedCase] {
        let (columns, d, tableRows) = (26, 16, 262_144)
        let entries = n * columns
        let all = columns * (columns - 1) / 2
        return [
            moving(.gatherBags, n, columns * d, tables: 2, "26 columns of \(tableRows) rows") {
                operands throws(ComputeError) in
                let (table, output) = (try operands.uniform(tableRows, d), try operands.uniform(n, columns * d))
                let ids = try operands.indices(n, columns, below: tableRows)
                let starts = try operands.stream.upload((0...columns).map { Int32($0) })
                return { stream throws(ComputeError) in
                    try stream.gatherBags(table, ids: ids, starts: starts, into: output)
                }
            },
            moving(.updateRows, entries, d, tables: 7, "Adam, each row once") { operands throws(ComputeError) in
                let rows = max(tableRows, entries)
                let (table, gradient) = (try operands.uniform(rows, d), try operands.uniform(n, columns * d))
                let (first, second) = (try operands.uniform(rows, d), try operands.uniform(rows, d))
                let ids = try operands.stream.upload((0..<entries).map { Int32($0) })
                let starts = try operands.stream.upload((0...entries).map { Int32($0) })
                let controls = try operands.stream.upload([1e-6, 1, 1, 1] as [Float])
                return { stream throws(ComputeError) in
                    try stream.updateRows(
                        .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), of: table, ids: ids, starts: starts, order: ids,
                        gradient: gradient, first: first, second: second, controls: controls)
                }
            },
            SpeedCase(
                operation: .pairProducts, subject: "\(n) rows of \(columns) × \(d)",
                operations: 2 * Double(n) * Double(all * d), bytes: Double(4 * n * (columns * d + all))
            ) { operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(n, columns * d), try operands.uniform(n, all))
                return { stream throws(ComputeError) in
                    try stream.pairProducts(input, vectors: columns, into: output)
                }
            },
            SpeedCase(
                operation: .pairProductsGradient, subject: "\(n) rows of \(columns) × \(d)",
                operations: 4 * Double(n) * Double(all * d), bytes: Double(4 * n * (2 * columns * d + all))
            ) { operands throws(ComputeError) in
                let (input, gradient) = (try operands.uniform(n, columns * d), try operands.uniform(n, all))
                let output = try operands.uniform(n, columns * d)
                return { stream throws(ComputeError) in
                    try stream.pairProductsGradient(input, vectors: columns, outputGradient: gradient, into: output)
                }
            },
        ]
    }

    private static func sequences(_ count: Int) -> [SpeedCase] {
        let (length, heads, d) = (64, 2, 64)
        let n = count * length
        let scores = 2 * Double(n) * Double(length) * Double(d)
        let probabilities = Double(4 * n * heads * length)
        let table = Double(4 * n * d)
        let units = 128
        return [
            SpeedCase(
                operation: .attention, subject: "\(count) sequences of \(length), \(heads) heads, d = \(d)",
                operations: 2 * scores, bytes: 4 * table + probabilities
            ) { operands throws(ComputeError) in
                let (queries, keys, values) = (
                    try operands.uniform(n, d), try operands.uniform(n, d), try operands.uniform(n, d)
                )
                let (kept, output) = (try operands.uniform(n * heads, length), try operands.uniform(n, d))
                return { stream throws(ComputeError) in
                    try stream.attention(
                        queries: queries, keys: keys, values: values, length: length, heads: heads, causal: false,
                        probabilities: kept, into: output)
                }
            },
            SpeedCase(
                operation: .attentionGradient, subject: "\(count) sequences of \(length), \(heads) heads, d = \(d)",
                operations: 4 * scores, bytes: 7 * table + 2 * probabilities
            ) { operands throws(ComputeError) in
                let (queries, keys, values) = (
                    try operands.uniform(n, d), try operands.uniform(n, d), try operands.uniform(n, d)
                )
                let (kept, gradient) = (try operands.uniform(n * heads, length), try operands.uniform(n, d))
                let scoreGradients = try operands.uniform(n * heads, length)
                let (a, b, c) = (try operands.uniform(n, d), try operands.uniform(n, d), try operands.uniform(n, d))
                return { stream throws(ComputeError) in
                    try stream.attentionGradient(
                        queries: queries, keys: keys, values: values, length: length, heads: heads, causal: false,
                        probabilities: kept, outputGradient: gradient, scoreGradients: scoreGradients,
                        queryGradient: a, keyGradient: b, valueGradient: c)
                }
            },
            // LSTM reads eight blocks and its memory, and writes five and the output.
            moving(.recurrentStep, n, units, tables: 15, "LSTM") { operands throws(ComputeError) in
                let (inputs, recurrent) = (try operands.uniform(n, 4 * units), try operands.uniform(n, 4 * units))
                let (previous, before) = (try operands.uniform(n, units), try operands.uniform(n, 5 * units))
                let (kept, output) = (try operands.uniform(n, 5 * units), try operands.uniform(n, units))
                return { stream throws(ComputeError) in
                    try stream.recurrentStep(
                        .lstm, inputs: inputs, recurrent: recurrent, previous: previous, previousKept: before,
                        kept: kept, into: output)
                }
            },
            moving(.recurrentStepGradient, n, units, tables: 18, "LSTM") { operands throws(ComputeError) in
                let (previous, before) = (try operands.uniform(n, units), try operands.uniform(n, 5 * units))
                let (kept, gradient) = (try operands.uniform(n, 5 * units), try operands.uniform(n, units))
                let (memory, past) = (try operands.uniform(n, units), try operands.uniform(n, units))
                let (inputs, recurrent) = (try operands.uniform(n, 4 * units), try operands.uniform(n, 4 * units))
                return { stream throws(ComputeError) in
                    try stream.recurrentStepGradient(
                        .lstm, previous: previous, previousKept: before, kept: kept, outputGradient: gradient,
                        memoryGradient: memory, hasMemoryGradient: false, inputGradient: inputs,
                        recurrentGradient: recurrent, previousGradient: past)
                }
            },
        ]
    }

    /// A convolution of 3 × 3 over pictures of 28 × 28 with 16 channels, and pooling of them.
    private static func images(_ count: Int) -> [SpeedCase] {
        let (side, channels) = (28, 16)
        let windows = WindowGrid(height: side, width: side, windowHeight: 3, windowWidth: 3, padding: 1)
        let pools = WindowGrid(height: side, width: side, windowHeight: 2, windowWidth: 2, stride: 2)
        let pixels = count * side * side
        let subject = "\(count) of \(side) × \(side) × \(channels)"
        let picture = Double(4 * pixels * channels)
        return [
            SpeedCase(operation: .unfold, subject: "\(subject), 3 × 3", operations: 0, bytes: 10 * picture) {
                operands throws(ComputeError) in
                let (input, output) = (
                    try operands.uniform(pixels, channels), try operands.uniform(pixels, 9 * channels)
                )
                return { stream throws(ComputeError) in try stream.unfold(input, windows, into: output) }
            },
            SpeedCase(operation: .fold, subject: "\(subject), 3 × 3", operations: 0, bytes: 10 * picture) {
                operands throws(ComputeError) in
                let (input, output) = (
                    try operands.uniform(pixels, 9 * channels), try operands.uniform(pixels, channels)
                )
                return { stream throws(ComputeError) in try stream.fold(input, windows, into: output) }
            },
            SpeedCase(operation: .pool, subject: "\(subject), 2 × 2", operations: 0, bytes: 1.5 * picture) {
                operands throws(ComputeError) in
                let (input, output) = (
                    try operands.uniform(pixels, channels), try operands.uniform(pixels / 4, channels)
                )
                let places = try operands.stream.allocate(rows: pixels / 4, columns: channels, .int32)
                return { stream throws(ComputeError) in
                    try stream.pool(input, pools, averages: false, into: output, places: places)
                }
            },
            SpeedCase(operation: .poolGradient, subject: "\(subject), 2 × 2", operations: 0, bytes: 1.5 * picture) {
                operands throws(ComputeError) in
                let (gradient, output) = (
                    try operands.uniform(pixels / 4, channels), try operands.uniform(pixels, channels)
                )
                let places = try operands.indices(pixels / 4, channels, below: 4)
                return { stream throws(ComputeError) in
                    try stream.poolGradient(gradient, places: places, pools, averages: false, into: output)
                }
            },
        ]
    }

    /// 256 steps of the small net that a churn model is; one piece of work on the CPU device, a list elsewhere.
    private static var perceptron: SpeedCase {
        let (rows, inputs, units, batch) = (8192, 20, 64, 32)
        let count = units * inputs + units + units + 1
        return SpeedCase(
            operation: .perceptronSteps, subject: "\(inputs)-\(units)-1, \(rows / batch) batches of \(batch), Adam",
            operations: 6 * Double(rows) * Double(count), bytes: Double(4 * rows * (inputs + 1))
        ) { operands throws(ComputeError) in
            let parameters = try operands.uniform(1, count)
            func part(_ offset: Int, _ rows: Int, _ columns: Int) throws(ComputeError) -> Matrix {
                try Matrix(
                    storage: parameters.storage, elementType: .float32, offset: offset, rows: rows, columns: columns,
                    rowStride: columns)
            }
            let layers = [
                PerceptronLayer(
                    weight: try part(0, units, inputs), bias: try part(units * inputs, 1, units), activation: .relu),
                PerceptronLayer(
                    weight: try part(units * inputs + units, 1, units), bias: try part(count - 1, 1, 1),
                    activation: .identity),
            ]
            let (first, second) = (try operands.uniform(1, count), try operands.uniform(1, count))
            let (features, targets) = (try operands.uniform(rows, inputs), try operands.uniform(rows, 1))
            let (order, total) = (try operands.indices(rows, below: rows), try operands.uniform(1, 2))
            let rates = (0..<rows / batch).flatMap { _ in [1e-6, 1, 1, 1] as [Float] }
            let controls = try operands.stream.allocate(rows: rows / batch, columns: 4)
            try operands.stream.upload(rates, to: controls)
            return { stream throws(ComputeError) in
                try stream.perceptronSteps(
                    layers, method: .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), parameters: parameters,
                    first: first, second: second, features: features, loss: .element(.logistic, targets: targets),
                    order: order, batch: batch, controls: controls, total: total)
            }
        }
    }

    private static func bytes(_ n: Int) -> [SpeedCase] {
        let (k, units) = (512, 256)
        return [
            SpeedCase(
                operation: .quantize, subject: "\(n) × \(k)", operations: 0, bytes: Double(5 * n * k)
            ) { operands throws(ComputeError) in
                let input = try operands.uniform(n, k)
                let codes = try operands.stream.allocate(rows: n, columns: k / 4, .int32)
                return { stream throws(ComputeError) in try stream.quantize(input, step: 0.01, into: codes) }
            },
            SpeedCase(
                operation: .quantizedGemm, subject: "\(n) × \(k) × \(units)",
                operations: 2 * Double(n) * Double(k) * Double(units),
                bytes: Double(n * k + units * k + 4 * n * units)
            ) { operands throws(ComputeError) in
                let a = try operands.indices(n, k / 4, below: 1 << 30)
                let b = try operands.indices(units, k / 4, below: 1 << 30)
                let (scales, output) = (try operands.uniform(1, units), try operands.uniform(n, units))
                return { stream throws(ComputeError) in
                    try stream.quantizedGemm(a, step: 0.01, b, scales: scales, into: output)
                }
            },
        ]
    }
}
