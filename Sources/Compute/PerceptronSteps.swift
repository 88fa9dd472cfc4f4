/// A dense layer of ``PerceptronSteps``: `y = activation(x · weightᵀ + bias)`.
public struct PerceptronLayer: Sendable {
    /// outputs × inputs, without gaps, in the vector of parameters.
    public let weight: Matrix
    /// 1 × outputs, in the vector of parameters.
    public let bias: Matrix
    public let activation: Activation

    public init(weight: Matrix, bias: Matrix, activation: Activation) {
        self.weight = weight
        self.bias = bias
        self.activation = activation
    }
}

/// What the outputs of ``PerceptronSteps`` are compared with.
public enum PerceptronLoss: Sendable {
    /// Numbers: `targets` has a row for each row of the features.
    case element(ElementLossFunction, targets: Matrix)
    /// Classes: `labels` is 1 × rows, int32.
    case classes(labels: Matrix, smoothing: Float)
}

/// Training steps of a small multilayer perceptron, one for each batch of `order`: forward pass, loss, backward pass and
/// the optimizer, as the plain primitives do them. Fused, it never leaves a core's caches; devices that can't fuse it
/// don't support it, and use the plain primitives.
public struct PerceptronSteps: Sendable {
    public let layers: [PerceptronLayer]
    public let method: OptimizerMethod
    /// 1 × n: all parameters.
    public let parameters: Matrix
    /// 1 × n, where the method has it.
    public let first: Matrix?
    /// 1 × n, where the method has it.
    public let second: Matrix?
    public let l1: Float
    public let l2: Float
    public let decay: Float
    /// rows × inputs
    public let features: Matrix
    public let loss: PerceptronLoss
    /// 1 × rows, or nil for 1.
    public let weights: Matrix?
    /// 1 × any, int32: rows of the features, batch after batch.
    public let order: Matrix
    /// Rows of a batch; the last may have fewer.
    public let batch: Int
    /// steps × 4: rate, 1 / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), factor.
    public let controls: Matrix
    /// 1 × 2, to which the losses are added.
    public let total: Matrix
}

extension PerceptronSteps {
    /// The most layers of a fused perceptron.
    public static let mostLayers = 8
}

extension Stream {
    /// Training steps of a small perceptron in one go; ``PerceptronSteps`` has the meaning of the arguments.
    ///
    /// Rows of `order` that lie outside of the features are refused by nobody: they are the caller's to check.
    /// - Complexity: 6 · parameters · rows of the order, on one core.
    public func perceptronSteps(
        _ layers: [PerceptronLayer], method: OptimizerMethod, parameters: Matrix, first: Matrix? = nil,
        second: Matrix? = nil, l1: Float = 0, l2: Float = 0, decay: Float = 0, features: Matrix, loss: PerceptronLoss,
        weights: Matrix? = nil, order: Matrix, batch: Int, controls: Matrix, total: Matrix
    ) throws(ComputeError) {
        let name = "perceptronSteps"
        try require(
            (1...PerceptronSteps.mostLayers).contains(layers.count), name,
            "\(layers.count) layers; 1 to \(PerceptronSteps.mostLayers) can be fused")
        try checkRow(parameters, parameters.columns, name, "parameters")
        try check(features, name)
        var width = features.columns
        for (index, layer) in layers.enumerated() {
            try check(layer.weight, name)
            try require(
                layer.weight.columns == width && layer.weight.rows > 0 && layer.weight.isContiguous, name,
                "layer \(index) has weights \(layer.weight.shape) for \(width) inputs")
            width = layer.weight.rows
            try checkRow(layer.bias, width, name, "bias of layer \(index)")
            for part in [layer.weight, layer.bias] {
                let begin = part.offset - parameters.offset
                try require(
                    part.storage === parameters.storage && begin >= 0 && begin + part.count <= parameters.count, name,
                    "layer \(index) is not part of the parameters")
            }
        }
        let (needsFirst, needsSecond) =
            switch method {
            case .gradientDescent(let momentum, _): (momentum != 0, false)
            case .adam: (true, true)
            case .adagrad: (false, true)
            }
        try require(!needsFirst || first != nil, name, "the method needs `first`")
        try require(!needsSecond || second != nil, name, "the method needs `second`")
        if let first { try checkRow(first, parameters.columns, name, "first") }
        if let second { try checkRow(second, parameters.columns, name, "second") }
        switch loss {
        case .element(_, let targets):
            try check(targets, name)
            try require(
                targets.rows == features.rows && targets.columns == width, name,
                "targets are \(targets.shape), expected \(features.rows) × \(width)")
        case .classes(let labels, let smoothing):
            try checkRow(labels, features.rows, name, "labels", .int32)
            try require(smoothing >= 0 && smoothing < 1, name, "smoothing \(smoothing) is not in 0 ..< 1")
        }
        if let weights { try checkRow(weights, features.rows, name, "weights") }
        try checkRow(order, order.columns, name, "order", .int32)
        try require(batch > 0, name, "a batch of \(batch) rows")
        let count = (order.columns + batch - 1) / batch
        try check(controls, name)
        try require(
            controls.rows == count && controls.columns == 4 && controls.isContiguous, name,
            "controls are \(controls.shape), expected \(count) × 4")
        try checkRow(total, 2, name, "total")
        let states = (needsFirst ? [first!] : []) + (needsSecond ? [second!] : [])
        for (index, output) in ([parameters, total] + states).enumerated() {
            try requireDisjoint(output, [features, controls] + ([parameters, total] + states)[..<index], name)
        }
        guard order.count > 0 else { return }
        let steps = PerceptronSteps(
            layers: layers, method: method, parameters: parameters, first: needsFirst ? first : nil,
            second: needsSecond ? second : nil, l1: l1, l2: l2, decay: decay, features: features, loss: loss,
            weights: weights, order: order, batch: batch, controls: controls, total: total)
        if device.fusedOperations.contains(.perceptronSteps) {
            try submit(.network(.perceptronSteps(steps)))
        } else {
            try composePerceptronSteps(steps)
        }
    }
}
