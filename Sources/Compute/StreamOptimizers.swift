/// Steps of optimizers.
extension Stream {
    /// One step of an optimizer on a vector of parameters; ``OptimizerStep`` has the formulas.
    ///
    /// - Parameters:
    ///   - parameters, gradient: 1 × n.
    ///   - first: 1 × n: needed by Adam, and by gradient descent with momentum.
    ///   - second: 1 × n: needed by Adam and Adagrad.
    ///   - controls: 1 × 4: learning rate, 1 / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), factor of the gradient. On the device, so
    ///     that a recorded plan can follow a schedule.
    ///   - norm: 1 × 1, the norm of the gradient; where it is there, the gradient is clipped to `largestNorm`.
    public func optimizerStep(
        _ method: OptimizerMethod, parameters: Matrix, gradient: Matrix, first: Matrix? = nil, second: Matrix? = nil,
        controls: Matrix, norm: Matrix? = nil, largestNorm: Float = .infinity, l1: Float = 0, l2: Float = 0,
        decay: Float = 0
    ) throws(ComputeError) {
        let name = "optimizerStep"
        let n = parameters.columns
        try checkRow(parameters, n, name, "parameters")
        try checkRow(gradient, n, name, "gradient")
        let (needsFirst, needsSecond) =
            switch method {
            case .gradientDescent(let momentum, _): (momentum != 0, false)
            case .adam: (true, true)
            case .adagrad: (false, true)
            }
        try require(!needsFirst || first != nil, name, "the method needs `first`")
        try require(!needsSecond || second != nil, name, "the method needs `second`")
        if let first { try checkRow(first, n, name, "first") }
        if let second { try checkRow(second, n, name, "second") }
        try checkRow(controls, 4, name, "controls")
        if let norm { try checkRow(norm, 1, name, "norm") }
        let read = [gradient, controls] + (norm.map { [$0] } ?? [])
        let written = [parameters] + (needsFirst ? [first!] : []) + (needsSecond ? [second!] : [])
        for (index, output) in written.enumerated() {
            try requireDisjoint(output, read + written[..<index], name)
        }
        guard n > 0 else { return }
        try submit(
            .network(
                .optimizerStep(
                    OptimizerStep(
                        method: method, parameters: parameters, gradient: gradient,
                        first: needsFirst ? first : nil, second: needsSecond ? second : nil, controls: controls,
                        norm: norm, largestNorm: largestNorm, l1: l1, l2: l2, decay: decay))))
    }

    /// A step on the rows of a table that a batch has touched; ``UpdateRows`` has the meaning of the segments.
    ///
    /// - Parameters:
    ///   - table: n × d.
    ///   - ids: 1 × s, int32: the table's row of each segment; below 0 for none. No row may be there twice.
    ///   - starts: 1 × (s + 1), int32.
    ///   - order: 1 × any, int32.
    ///   - gradient: m × d.
    ///   - first: n × d, for Adam.
    ///   - second: n × d for Adam and Adagrad, n × 1 for the row-wise one.
    ///   - controls: 1 × 4, as for ``optimizerStep(_:parameters:gradient:first:second:controls:norm:largestNorm:l1:l2:decay:)``.
    public func updateRows(
        _ method: RowUpdateMethod, of table: Matrix, ids: Matrix, starts: Matrix, order: Matrix, gradient: Matrix,
        first: Matrix? = nil, second: Matrix? = nil, controls: Matrix? = nil
    ) throws(ComputeError) {
        let name = "updateRows"
        try check(table, name)
        try check(gradient, name)
        try checkRow(ids, ids.columns, name, "ids", .int32)
        try checkRow(starts, ids.columns + 1, name, "starts", .int32)
        try checkRow(order, order.columns, name, "order", .int32)
        try require(
            table.columns == gradient.columns, name, "table \(table.shape), gradient \(gradient.shape)")
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
        let read = [ids, starts, order, gradient] + (controls.map { [$0] } ?? [])
        for (index, output) in ([table] + states).enumerated() {
            try requireDisjoint(output, read + ([table] + states)[..<index], name)
        }
        guard table.count > 0, ids.count > 0 else { return }
        try submit(
            .network(
                .updateRows(
                    UpdateRows(
                        method: method, table: table, ids: ids, starts: starts, order: order, gradient: gradient,
                        first: firstColumns > 0 ? first : nil, second: secondColumns > 0 ? second : nil,
                        controls: method == .add ? nil : controls))))
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
}
