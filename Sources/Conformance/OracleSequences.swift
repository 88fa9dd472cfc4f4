import Compute

#if canImport(Glibc)
    import Glibc
#endif

/// Attention and recurrent layers in double precision, straight from their formulas.
extension Oracle {
    /// Which keys a row of a sequence may see.
    public static func sees(_ query: Int, _ key: Int, causal: Bool, padding: [Int]?, first: Int) -> Bool {
        (!causal || key <= query) && (padding.map { $0[first + key] >= 0 } ?? true)
    }

    /// Probabilities and output of attention, and for each probability the sum of the magnitudes of its score's terms.
    public static func attention(
        queries: OracleMatrix, keys: OracleMatrix, values: OracleMatrix, length: Int, heads: Int, causal: Bool,
        scale: Double, padding: [Int]?
    ) -> (probabilities: OracleMatrix, output: OracleMatrix, magnitudes: OracleMatrix) {
        let (rows, width) = (queries.rows, queries.columns / heads)
        var probabilities = OracleMatrix(rows: rows * heads, columns: length)
        var magnitudes = probabilities
        var output = OracleMatrix(rows: rows, columns: queries.columns)
        for row in 0..<rows {
            let (first, position) = (row / length * length, row % length)
            for head in 0..<heads {
                let place = (row / length * heads + head) * length + position
                let seen = (0..<length).filter { sees(position, $0, causal: causal, padding: padding, first: first) }
                var scores: [Double] = []
                for key in seen {
                    var (sum, magnitude) = (0.0, 0.0)
                    for column in head * width..<(head + 1) * width {
                        let product = queries[row, column] * keys[first + key, column]
                        sum += product
                        magnitude += abs(product)
                    }
                    scores.append(scale * sum)
                    magnitudes[place, key] = abs(scale) * magnitude
                }
                let top = scores.max() ?? 0
                let powers = scores.map { exp($0 - top) }
                let total = powers.reduce(0, +)
                for (key, power) in zip(seen, powers) {
                    probabilities[place, key] = power / total
                    for column in head * width..<(head + 1) * width {
                        output[row, column] += power / total * values[first + key, column]
                    }
                }
            }
        }
        return (probabilities, output, magnitudes)
    }

    /// The gradients of attention from given probabilities.
    public struct AttentionGradients: Sendable {
        public var scores: OracleMatrix
        public var queries: OracleMatrix
        public var keys: OracleMatrix
        public var values: OracleMatrix
    }

    /// The gradients, and bounds of their errors in float32.
    public static func attentionGradient(
        queries: OracleMatrix, keys: OracleMatrix, values: OracleMatrix, probabilities: OracleMatrix,
        outputGradient: OracleMatrix, length: Int, heads: Int, scale: Double
    ) -> (exact: AttentionGradients, errors: AttentionGradients) {
        let (rows, width) = (queries.rows, queries.columns / heads)
        let none = OracleMatrix(rows: rows, columns: queries.columns)
        var exact = AttentionGradients(
            scores: OracleMatrix(rows: rows * heads, columns: length), queries: none, keys: none, values: none)
        var errors = exact
        let (ofWidth, ofLength) = (Tolerance.sum(width), Tolerance.sum(length))
        for row in 0..<rows {
            let first = row / length * length
            for head in 0..<heads {
                let place = (row / length * heads + head) * length + row % length
                let columns = head * width..<(head + 1) * width
                var slopes = [Double](repeating: 0, count: length)
                var sizes = slopes
                var (aligned, alignedSize) = (0.0, 0.0)
                for key in 0..<length {
                    for column in columns {
                        let product = outputGradient[row, column] * values[first + key, column]
                        slopes[key] += product
                        sizes[key] += abs(product)
                    }
                    aligned += probabilities[place, key] * slopes[key]
                    alignedSize += probabilities[place, key] * sizes[key]
                }
                for key in 0..<length {
                    let p = probabilities[place, key]
                    let score = scale * p * (slopes[key] - aligned)
                    let error = abs(scale) * p * (ofWidth + ofLength) * (sizes[key] + alignedSize)
                    exact.scores[place, key] = score
                    errors.scores[place, key] = error
                    for column in columns {
                        let (k, q) = (keys[first + key, column], queries[row, column])
                        let g = outputGradient[row, column]
                        exact.queries[row, column] += score * k
                        errors.queries[row, column] += (error + ofLength * abs(score)) * abs(k)
                        exact.keys[first + key, column] += score * q
                        errors.keys[first + key, column] += (error + ofLength * abs(score)) * abs(q)
                        exact.values[first + key, column] += p * g
                        errors.values[first + key, column] += ofLength * p * abs(g)
                    }
                }
            }
        }
        return (exact, errors)
    }

    /// One row of a recurrent step: x and r of all gates, the state before, and LSTM's memory.
    public static func recurrentStep(
        _ cell: RecurrentCell, inputs x: [Double], recurrent r: [Double], previous: [Double], memory: [Double]
    ) -> (kept: [Double], output: [Double]) {
        let n = previous.count
        func sigmoid(_ z: Double) -> Double { 1 / (1 + exp(-z)) }
        func gate(_ index: Int) -> [Double] { (0..<n).map { sigmoid(x[index * n + $0] + r[index * n + $0]) } }
        switch cell {
        case .simple:
            let h = (0..<n).map { tanh(x[$0] + r[$0]) }
            return (h, h)
        case .gru:
            let (reset, update, own) = (gate(0), gate(1), Array(r[2 * n..<3 * n]))
            let candidate = (0..<n).map { tanh(x[2 * n + $0] + reset[$0] * own[$0]) }
            let h = (0..<n).map { (1 - update[$0]) * candidate[$0] + update[$0] * previous[$0] }
            return (reset + update + candidate + own, h)
        case .lstm:
            let (take, keep, give) = (gate(0), gate(1), gate(3))
            let candidate = (0..<n).map { tanh(x[2 * n + $0] + r[2 * n + $0]) }
            let present = (0..<n).map { keep[$0] * memory[$0] + take[$0] * candidate[$0] }
            return (take + keep + candidate + give + present, (0..<n).map { give[$0] * tanh(present[$0]) })
        }
    }

    /// The gradients of a row of a recurrent step, from what it kept.
    public static func recurrentStepGradient(
        _ cell: RecurrentCell, kept k: [Double], previous: [Double], memory: [Double], gradient g: [Double],
        memoryGradient: [Double]
    ) -> (inputs: [Double], recurrent: [Double], previous: [Double], memory: [Double]) {
        let n = previous.count
        let all = 0..<n
        let zero = [Double](repeating: 0, count: n)
        switch cell {
        case .simple:
            let slope = all.map { g[$0] * (1 - k[$0] * k[$0]) }
            return (slope, slope, zero, memoryGradient)
        case .gru:
            let slope = all.map { g[$0] * (1 - k[n + $0]) * (1 - k[2 * n + $0] * k[2 * n + $0]) }
            let reset = all.map { slope[$0] * k[3 * n + $0] * k[$0] * (1 - k[$0]) }
            let update = all.map { g[$0] * (previous[$0] - k[2 * n + $0]) * k[n + $0] * (1 - k[n + $0]) }
            return (
                reset + update + slope, reset + update + all.map { slope[$0] * k[$0] }, all.map { g[$0] * k[n + $0] },
                memoryGradient
            )
        case .lstm:
            let shown = all.map { tanh(k[4 * n + $0]) }
            let inner = all.map { g[$0] * k[3 * n + $0] * (1 - shown[$0] * shown[$0]) + memoryGradient[$0] }
            let take = all.map { inner[$0] * k[2 * n + $0] * k[$0] * (1 - k[$0]) }
            let keep = all.map { inner[$0] * memory[$0] * k[n + $0] * (1 - k[n + $0]) }
            let candidate = all.map { inner[$0] * k[$0] * (1 - k[2 * n + $0] * k[2 * n + $0]) }
            let give = all.map { g[$0] * shown[$0] * k[3 * n + $0] * (1 - k[3 * n + $0]) }
            let gates = take + keep + candidate + give
            return (gates, gates, zero, all.map { inner[$0] * k[n + $0] })
        }
    }
}

/// The primitives of sequences on host memory.
extension OracleBackend {
    func run(_ x: Attention) throws(ComputeError) {
        let result = Oracle.attention(
            queries: try matrix(x.queries), keys: try matrix(x.keys), values: try matrix(x.values), length: x.length,
            heads: x.heads, causal: x.causal, scale: Double(x.scale), padding: try optionalIntegers(x.padding))
        try store(result.probabilities, to: x.probabilities)
        try store(result.output, to: x.output)
    }

    func run(_ x: AttentionGradient) throws(ComputeError) {
        let result = Oracle.attentionGradient(
            queries: try matrix(x.queries), keys: try matrix(x.keys), values: try matrix(x.values),
            probabilities: try matrix(x.probabilities), outputGradient: try matrix(x.outputGradient),
            length: x.length, heads: x.heads, scale: Double(x.scale)
        ).exact
        try store(result.scores, to: x.scoreGradients)
        try store(result.queries, to: x.queryGradient)
        try store(result.keys, to: x.keyGradient)
        try store(result.values, to: x.valueGradient)
    }

    func run(_ x: RecurrentStep) throws(ComputeError) {
        let (inputs, recurrent) = (try matrix(x.inputs), try matrix(x.recurrent))
        let previous = try matrix(x.previous)
        let memory = try memories(x.cell, x.previousKept, previous)
        let results = (0..<previous.rows).map {
            Oracle.recurrentStep(
                x.cell, inputs: Array(inputs.row($0)), recurrent: Array(recurrent.row($0)),
                previous: Array(previous.row($0)), memory: memory[$0])
        }
        try store(results.flatMap { $0.kept.map(Float.init) }, to: x.kept)
        try store(results.flatMap { $0.output.map(Float.init) }, to: x.output)
    }

    func run(_ x: RecurrentStepGradient) throws(ComputeError) {
        let (previous, kept, above) = (try matrix(x.previous), try matrix(x.kept), try matrix(x.outputGradient))
        let none = OracleMatrix(rows: previous.rows, columns: previous.columns)
        let carried = x.carried == nil ? none : try matrix(x.carried!)
        let inner = x.hasMemoryGradient ? try matrix(x.memoryGradient) : none
        let memory = try memories(x.cell, x.previousKept, previous)
        let results = (0..<previous.rows).map { row in
            Oracle.recurrentStepGradient(
                x.cell, kept: Array(kept.row(row)), previous: Array(previous.row(row)), memory: memory[row],
                gradient: zip(above.row(row), carried.row(row)).map { $0 + $1 },
                memoryGradient: Array(inner.row(row)))
        }
        try store(results.flatMap { $0.inputs.map(Float.init) }, to: x.inputGradient)
        try store(results.flatMap { $0.recurrent.map(Float.init) }, to: x.recurrentGradient)
        try store(results.flatMap { $0.previous.map(Float.init) }, to: x.previousGradient)
        if x.cell == .lstm { try store(results.flatMap { $0.memory.map(Float.init) }, to: x.memoryGradient) }
    }

    private func optionalIntegers(_ vector: Matrix?) throws(ComputeError) -> [Int]? {
        guard let vector else { return nil }
        return try integers(vector)
    }

    private func memories(
        _ cell: RecurrentCell, _ kept: Matrix?, _ previous: OracleMatrix
    ) throws(ComputeError) -> [[Double]] {
        let n = previous.columns
        guard cell == .lstm, let kept else {
            return [[Double]](repeating: [Double](repeating: 0, count: n), count: previous.rows)
        }
        let table = try matrix(kept)
        return (0..<previous.rows).map { Array(table.row($0).suffix(n)) }
    }
}
