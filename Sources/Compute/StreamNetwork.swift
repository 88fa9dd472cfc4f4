/// Layers and losses of neural networks.
extension Stream {
    /// `output = function(input)`, element by element; `output` may be `input`.
    public func activate(
        _ input: Matrix, _ function: ActivationFunction, into output: Matrix
    ) throws(ComputeError) {
        let name = "activation"
        try checkAlike([input, output], name)
        if !same(input, output) { try requireDisjoint(output, [input], name) }
        guard output.count > 0 else { return }
        try submit(.network(.activation(ApplyActivation(function: function, input: input, output: output))))
    }

    /// `inputGradient = outputGradient · function′`, which may be the same matrix.
    ///
    /// - Parameter values: the function's inputs where it needs them (``ActivationFunction/needsInputs``), else its
    ///   outputs.
    public func activationGradient(
        _ function: ActivationFunction, values: Matrix, outputGradient: Matrix, into inputGradient: Matrix
    ) throws(ComputeError) {
        let name = "activationGradient"
        try checkAlike([values, outputGradient, inputGradient], name)
        try requireDisjoint(inputGradient, [values], name)
        if !same(inputGradient, outputGradient) { try requireDisjoint(inputGradient, [outputGradient], name) }
        guard inputGradient.count > 0 else { return }
        try submit(
            .network(
                .activationGradient(
                    ActivationGradient(
                        function: function, values: values, outputGradient: outputGradient,
                        inputGradient: inputGradient))))
    }

    /// `output = alpha · a + beta · b`, where the output may be `a` or `b`; `b` is not read when `beta` is 0.
    public func combine(
        alpha: Float = 1, _ a: Matrix, beta: Float = 1, _ b: Matrix, into output: Matrix
    ) throws(ComputeError) {
        let name = "linearCombination"
        try checkAlike([a, b, output], name)
        for input in [a, b] where !same(input, output) { try requireDisjoint(output, [input], name) }
        guard output.count > 0 else { return }
        try submit(
            .network(.linearCombination(LinearCombination(alpha: alpha, a: a, beta: beta, b: b, output: output))))
    }

    /// The cross-entropy of rows of logits against labels, and its gradient times `scale`.
    ///
    /// - Parameters:
    ///   - logits: m × n.
    ///   - labels: 1 × m, int32; below 0 for a row that counts for nothing.
    ///   - weights: 1 × m, or nil for 1.
    ///   - smoothing: the part of the label's probability that is spread over all, at least 0 and below 1.
    ///   - scale: multiplies the gradient, not the losses; 1 / m for the mean.
    ///   - gradient: m × n; may be the logits themselves.
    ///   - losses: 1 × m.
    public func softmaxCrossEntropy(
        _ logits: Matrix, labels: Matrix, weights: Matrix? = nil, smoothing: Float = 0, scale: Float,
        gradient: Matrix, losses: Matrix
    ) throws(ComputeError) {
        let name = "softmaxCrossEntropy"
        try checkLabelled(logits, labels: labels, weights: weights, gradient: gradient, losses: losses, name)
        try require(smoothing >= 0 && smoothing < 1, name, "smoothing \(smoothing) is not in 0 ..< 1")
        guard logits.rows > 0 else { return }
        try submit(
            .network(
                .softmaxCrossEntropy(
                    SoftmaxCrossEntropy(
                        logits: logits, labels: labels, weights: weights, smoothing: smoothing, scale: scale,
                        gradient: gradient, losses: losses))))
    }

    /// Bayesian personalized ranking of rows of scores: how far the labelled one is above the others, and the gradient
    /// times `scale` (``RankingLoss``).
    ///
    /// - Parameters:
    ///   - scores: m × n, n at least 2.
    ///   - labels: 1 × m, int32; below 0 for a row that counts for nothing.
    ///   - weights: 1 × m, or nil for 1.
    ///   - scale: multiplies the gradient, not the losses; 1 / m for the mean.
    ///   - gradient: m × n; may be the scores themselves.
    ///   - losses: 1 × m.
    public func rankingLoss(
        _ scores: Matrix, labels: Matrix, weights: Matrix? = nil, scale: Float, gradient: Matrix, losses: Matrix
    ) throws(ComputeError) {
        let name = "rankingLoss"
        try checkLabelled(scores, labels: labels, weights: weights, gradient: gradient, losses: losses, name)
        guard scores.rows > 0 else { return }
        try require(scores.columns >= 2, name, "ranking needs at least 2 columns")
        try submit(
            .network(
                .rankingLoss(
                    RankingLoss(
                        scores: scores, labels: labels, weights: weights, scale: scale, gradient: gradient,
                        losses: losses))))
    }

    /// What the losses of rows against labels have in common.
    private func checkLabelled(
        _ scores: Matrix, labels: Matrix, weights: Matrix?, gradient: Matrix, losses: Matrix, _ name: String
    ) throws(ComputeError) {
        try checkAlike([scores, gradient], name)
        try checkRow(labels, scores.rows, name, "labels", .int32)
        if let weights { try checkRow(weights, scores.rows, name, "weights") }
        try checkRow(losses, scores.rows, name, "losses")
        if !same(scores, gradient) { try requireDisjoint(gradient, [scores], name) }
        try requireDisjoint(gradient, [losses, labels] + (weights.map { [$0] } ?? []), name)
        try requireDisjoint(losses, [scores, labels] + (weights.map { [$0] } ?? []), name)
    }

    /// Losses of single predictions, added up over each row, and their gradient times `scale`.
    ///
    /// - Parameters:
    ///   - targets: as large as the predictions.
    ///   - weights: 1 × m, or nil for 1.
    ///   - scale: multiplies the gradient, not the losses.
    ///   - gradient: m × n; may be the predictions themselves.
    ///   - losses: 1 × m.
    public func elementLoss(
        _ function: ElementLossFunction, _ predictions: Matrix, targets: Matrix, weights: Matrix? = nil,
        scale: Float, gradient: Matrix, losses: Matrix
    ) throws(ComputeError) {
        let name = "elementLoss"
        try checkAlike([predictions, targets, gradient], name)
        if let weights { try checkRow(weights, predictions.rows, name, "weights") }
        try checkRow(losses, predictions.rows, name, "losses")
        if case .huber(let delta) = function {
            try require(delta > 0, name, "Huber's delta \(delta) is not above 0")
        }
        if !same(predictions, gradient) { try requireDisjoint(gradient, [predictions], name) }
        let others = [targets] + (weights.map { [$0] } ?? [])
        try requireDisjoint(gradient, others + [losses], name)
        try requireDisjoint(losses, others + [predictions], name)
        guard predictions.rows > 0 else { return }
        try submit(
            .network(
                .elementLoss(
                    ElementLoss(
                        function: function, predictions: predictions, targets: targets, weights: weights,
                        scale: scale, gradient: gradient, losses: losses))))
    }

    /// `total[0] + total[1] += Σ input`, with an error of a few units of the 48th bit.
    ///
    /// - Parameters:
    ///   - input: 1 × n.
    ///   - total: 1 × 2, zeroes at the start.
    public func addToTotal(_ input: Matrix, _ total: Matrix) throws(ComputeError) {
        let name = "addToTotal"
        try check(input, name)
        try check(total, name)
        try require(
            (input.rows == 1 || input.count == 0) && total.rows == 1 && total.columns == 2, name,
            "input \(input.shape), total \(total.shape); expected 1 × n and 1 × 2")
        try requireDisjoint(total, [input], name)
        guard input.count > 0 else { return }
        try submit(.network(.addToTotal(AddToTotal(input: input, total: total))))
    }

    /// Zeroes elements with a probability, and divides the others by what is left; the same elements on every device,
    /// and in the backward pass, which is the same operation on gradients.
    ///
    /// - Parameters:
    ///   - probability: at least 0 and below 1.
    ///   - step: 1 × 1, int32, at least 0: other elements at every step.
    public func dropout(
        _ input: Matrix, probability: Float, seed: UInt64, stream: UInt64, step: Matrix, into output: Matrix
    ) throws(ComputeError) {
        let name = "dropout"
        try checkAlike([input, output], name)
        try checkRow(step, 1, name, "step", .int32)
        try require(probability >= 0 && probability < 1, name, "probability \(probability) is not in 0 ..< 1")
        if !same(input, output) { try requireDisjoint(output, [input], name) }
        guard output.count > 0 else { return }
        try submit(
            .network(
                .dropout(
                    Dropout(
                        input: input, output: output, probability: probability, seed: seed, stream: stream, step: step)
                )))
    }

    /// Standardizes every row, then scales and shifts its columns.
    ///
    /// - Parameters:
    ///   - gain: 1 × n.
    ///   - bias: 1 × n.
    ///   - output: m × n, not the input.
    ///   - statistics: 2 × m, for the gradient.
    public func layerNorm(
        _ input: Matrix, gain: Matrix, bias: Matrix, epsilon: Float = 1e-5, into output: Matrix, statistics: Matrix
    ) throws(ComputeError) {
        let name = "layerNorm"
        try checkAlike([input, output], name)
        try checkRow(gain, input.columns, name, "gain")
        try checkRow(bias, input.columns, name, "bias")
        try checkStatistics(statistics, input, name)
        try require(epsilon > 0, name, "epsilon \(epsilon) is not above 0")
        try requireDisjoint(output, [input, gain, bias], name)
        try requireDisjoint(statistics, [input, gain, bias, output], name)
        guard input.count > 0 else { return }
        try submit(
            .network(
                .layerNorm(
                    LayerNorm(
                        input: input, gain: gain, bias: bias, epsilon: epsilon, output: output, statistics: statistics)
                )))
    }

    /// The gradient of ``layerNorm(_:gain:bias:epsilon:into:statistics:)``.
    ///
    /// - Parameters:
    ///   - inputGradient: m × n; may be `outputGradient`.
    ///   - products: m × n; its column sums are the gradient of the gain.
    public func layerNormGradient(
        _ input: Matrix, statistics: Matrix, gain: Matrix, outputGradient: Matrix, into inputGradient: Matrix,
        products: Matrix
    ) throws(ComputeError) {
        let name = "layerNormGradient"
        try checkAlike([input, outputGradient, inputGradient, products], name)
        try checkRow(gain, input.columns, name, "gain")
        try checkStatistics(statistics, input, name)
        if !same(inputGradient, outputGradient) { try requireDisjoint(inputGradient, [outputGradient], name) }
        try requireDisjoint(inputGradient, [input, gain, statistics], name)
        try requireDisjoint(products, [input, gain, statistics, outputGradient, inputGradient], name)
        guard input.count > 0 else { return }
        try submit(
            .network(
                .layerNormGradient(
                    LayerNormGradient(
                        input: input, statistics: statistics, gain: gain, outputGradient: outputGradient,
                        inputGradient: inputGradient, products: products))))
    }

    private func checkStatistics(_ statistics: Matrix, _ input: Matrix, _ operation: String) throws(ComputeError) {
        try check(statistics, operation)
        try require(
            statistics.rows == 2 && statistics.columns == input.rows, operation,
            "statistics are \(statistics.shape), expected 2 × \(input.rows)")
    }

    /// Float32 matrices of one shape.
    func checkAlike(_ matrices: [Matrix], _ operation: String) throws(ComputeError) {
        for matrix in matrices { try check(matrix, operation) }
        let alike = matrices.allSatisfy { $0.rows == matrices[0].rows && $0.columns == matrices[0].columns }
        try require(alike, operation, "shapes differ: " + matrices.map(\.shape).joined(separator: ", "))
    }

    /// A vector of one row.
    func checkRow(
        _ vector: Matrix, _ count: Int, _ operation: String, _ name: String, _ type: ElementType = .float32
    ) throws(ComputeError) {
        try check(vector, operation, type)
        try require(
            vector.rows == 1 && vector.columns == count, operation, "\(name) is \(vector.shape), expected 1 × \(count)")
    }
}
