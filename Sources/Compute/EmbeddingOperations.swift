/// What ``UpdateRows`` does with the gradient of a row.
public enum RowUpdateMethod: Sendable, Equatable {
    /// Adds it to the table, which is itself a gradient.
    case add
    /// Gradient descent.
    case gradientDescent
    /// Adam on the rows touched alone ("lazy").
    case adam(beta1: Float, beta2: Float, epsilon: Float)
    /// Adagrad.
    case adagrad(epsilon: Float)
    /// Adagrad with one accumulator for a row, the mean of the squares.
    case rowWiseAdagrad(epsilon: Float)
}

/// A step on the rows of a table that a batch has touched. Segment u stands for table row `ids[u]`, and its gradient is
/// the sum of the entries `order[starts[u]] ..< order[starts[u + 1]]` of `gradient`, in this order, each times its factor.
public struct UpdateRows: Sendable {
    public let method: RowUpdateMethod
    /// n × d
    public let table: Matrix
    /// 1 × s, int32, without repetition; below 0 for a segment that is not there.
    public let ids: Matrix
    /// 1 × (s + 1), int32, ascending.
    public let starts: Matrix
    /// 1 × any, int32: entries of `gradient`; entry p is the block p mod b of its row p / b.
    public let order: Matrix
    /// As long as `order`: what each entry is multiplied by; nil for 1.
    public let factors: Matrix?
    /// m × (b · d): b entries in a row, side by side.
    public let gradient: Matrix
    /// n × d: Adam's means.
    public let first: Matrix?
    /// n × d, or n × 1 for the row-wise method: squares.
    public let second: Matrix?
    /// 1 × 4 as for ``OptimizerStep``; not read when adding.
    public let controls: Matrix?

    /// Entries in a row of the gradient.
    public var blocks: Int { gradient.columns / max(table.columns, 1) }
}

/// Sums of rows of a table: `output[i, b · d + j] = Σ weights[i, e] · table[ids[i, e], j]` over the columns e of `ids` in
/// `starts[b] ..< starts[b + 1]`. An id below 0 counts for nothing, one past the end gives NaN.
public struct GatherBags: Sendable {
    /// n × d
    public let table: Matrix
    /// m × c, int32
    public let ids: Matrix
    /// 1 × (bags + 1), int32, ascending, from 0 to c.
    public let starts: Matrix
    /// m × c, or nil for 1.
    public let weights: Matrix?
    /// m × (bags · d)
    public let output: Matrix

    /// Number of sums in a row.
    public var bags: Int { starts.columns - 1 }
}

/// A row holds `vectors` vectors side by side; `output[i, a (a − 1) / 2 + b]` is the product of vectors a and b < a.
public struct PairProducts: Sendable {
    /// m × (vectors · d)
    public let input: Matrix
    public let vectors: Int
    /// m × (vectors · (vectors − 1) / 2)
    public let output: Matrix
}

/// The gradient of ``PairProducts``: that of a vector is the sum over all others of the gradient of their product times
/// the other.
public struct PairProductsGradient: Sendable {
    public let input: Matrix
    public let vectors: Int
    public let outputGradient: Matrix
    public let inputGradient: Matrix
}

/// Tables of vectors, and products of vectors.
extension Stream {
    /// A step on the rows of a table that a batch has touched; ``UpdateRows`` has the meaning of the segments.
    ///
    /// - Parameters:
    ///   - table: n × d.
    ///   - ids: 1 × s, int32: the table's row of each segment; below 0 for none. No row may be there twice.
    ///   - starts: 1 × (s + 1), int32.
    ///   - order: 1 × any, int32.
    ///   - factors: as long as `order`, or nil for 1.
    ///   - gradient: m × (b · d), with b entries in a row.
    ///   - first: n × d, for Adam.
    ///   - second: n × d for Adam and Adagrad, n × 1 for the row-wise one.
    ///   - controls: 1 × 4, as for ``optimizerStep(_:parameters:gradient:first:second:controls:norm:largestNorm:l1:l2:decay:)``.
    public func updateRows(
        _ method: RowUpdateMethod, of table: Matrix, ids: Matrix, starts: Matrix, order: Matrix,
        factors: Matrix? = nil, gradient: Matrix, first: Matrix? = nil, second: Matrix? = nil, controls: Matrix? = nil
    ) throws(ComputeError) {
        let name = "updateRows"
        try check(table, name)
        try check(gradient, name)
        try checkRow(ids, ids.columns, name, "ids", .int32)
        try checkRow(starts, ids.columns + 1, name, "starts", .int32)
        try checkRow(order, order.columns, name, "order", .int32)
        if let factors { try checkRow(factors, order.columns, name, "factors") }
        try require(
            table.columns == gradient.columns || table.columns > 0 && gradient.columns % table.columns == 0, name,
            "table \(table.shape), gradient \(gradient.shape)")
        let (firstColumns, secondColumns) =
            switch method {
            case .add, .gradientDescent: (0, 0)
            case .adam: (table.columns, table.columns)
            case .adagrad: (0, table.columns)
            case .rowWiseAdagrad: (0, 1)
            }
        try checkState(first, firstColumns, of: table, "first")
        try checkState(second, secondColumns, of: table, "second")
        if let controls { try checkRow(controls, 4, name, "controls") }
        try require(method == .add || controls != nil, name, "the method needs controls")
        let states = (firstColumns > 0 ? [first!] : []) + (secondColumns > 0 ? [second!] : [])
        let read = [ids, starts, order, gradient] + [controls, factors].compactMap { $0 }
        for (index, output) in ([table] + states).enumerated() {
            try requireDisjoint(output, read + ([table] + states)[..<index], name)
        }
        guard table.count > 0, ids.count > 0 else { return }
        try submit(
            .network(
                .updateRows(
                    UpdateRows(
                        method: method, table: table, ids: ids, starts: starts, order: order, factors: factors,
                        gradient: gradient, first: firstColumns > 0 ? first : nil,
                        second: secondColumns > 0 ? second : nil, controls: method == .add ? nil : controls))))
    }

    private func checkState(
        _ state: Matrix?, _ columns: Int, of table: Matrix, _ label: String
    ) throws(ComputeError) {
        guard columns > 0 else { return }
        let expected = "\(table.rows) × \(columns)"
        guard let state else {
            throw .invalidArgument(operation: "updateRows", reason: "the method needs `\(label)`, \(expected)")
        }
        try check(state, "updateRows")
        try require(
            state.rows == table.rows && state.columns == columns, "updateRows",
            "\(label) is \(state.shape), expected \(expected)")
    }

    /// Sums of the rows of a table that identifiers name; ``GatherBags`` has the formula.
    ///
    /// - Parameters:
    ///   - table: n × d.
    ///   - ids: m × c, int32; below 0 for none.
    ///   - starts: 1 × (bags + 1), int32: where in the columns of `ids` each sum begins.
    ///   - weights: m × c, or nil for 1.
    ///   - output: m × (bags · d).
    public func gatherBags(
        _ table: Matrix, ids: Matrix, starts: Matrix, weights: Matrix? = nil, into output: Matrix
    ) throws(ComputeError) {
        let name = "gatherBags"
        try check(table, name)
        try check(ids, name, .int32)
        try checkRow(starts, starts.columns, name, "starts", .int32)
        if let weights { try check(weights, name) }
        try check(output, name)
        try require(
            starts.columns >= 1 && output.rows == ids.rows && output.columns == (starts.columns - 1) * table.columns
                && (weights == nil || weights!.rows == ids.rows && weights!.columns == ids.columns), name,
            "table \(table.shape), ids \(ids.shape), starts \(starts.shape), output \(output.shape)")
        try requireDisjoint(output, [table, ids, starts] + (weights.map { [$0] } ?? []), name)
        guard output.count > 0 else { return }
        try submit(
            .network(
                .gatherBags(
                    GatherBags(table: table, ids: ids, starts: starts, weights: weights, output: output))))
    }

    /// The products of the vectors of every row with each other; ``PairProducts`` has their order.
    ///
    /// - Parameters:
    ///   - input: m × (vectors · d).
    ///   - vectors: 2 or more.
    ///   - output: m × (vectors · (vectors − 1) / 2).
    public func pairProducts(_ input: Matrix, vectors: Int, into output: Matrix) throws(ComputeError) {
        let name = "pairProducts"
        try check(input, name)
        try check(output, name)
        try checkPairs(input, vectors, output, name)
        try requireDisjoint(output, [input], name)
        guard output.count > 0 else { return }
        try submit(.network(.pairProducts(PairProducts(input: input, vectors: vectors, output: output))))
    }

    /// The gradient of ``pairProducts(_:vectors:into:)``.
    public func pairProductsGradient(
        _ input: Matrix, vectors: Int, outputGradient: Matrix, into inputGradient: Matrix
    ) throws(ComputeError) {
        let name = "pairProductsGradient"
        try checkAlike([input, inputGradient], name)
        try check(outputGradient, name)
        try checkPairs(input, vectors, outputGradient, name)
        try requireDisjoint(inputGradient, [input, outputGradient], name)
        guard inputGradient.count > 0 else { return }
        try submit(
            .network(
                .pairProductsGradient(
                    PairProductsGradient(
                        input: input, vectors: vectors, outputGradient: outputGradient, inputGradient: inputGradient)))
        )
    }

    private func checkPairs(
        _ input: Matrix, _ vectors: Int, _ output: Matrix, _ name: String
    ) throws(ComputeError) {
        try require(vectors >= 2, name, "\(vectors) vectors; 2 or more are needed")
        try require(
            input.columns % vectors == 0 && input.rows == output.rows
                && output.columns == vectors * (vectors - 1) / 2, name,
            "input \(input.shape) of \(vectors) vectors, products \(output.shape)")
    }
}
