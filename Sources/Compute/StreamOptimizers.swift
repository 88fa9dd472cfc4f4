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
}
