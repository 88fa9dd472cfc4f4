/// Steps of a perceptron by the plain primitives: for devices that don't fuse them.
extension Stream {
    func composePerceptronSteps(_ x: PerceptronSteps) throws(ComputeError) {
        let composition = try PerceptronComposition(x, rows: min(x.batch, x.order.columns), stream: self)
        var smaller: PerceptronComposition?
        for step in 0..<x.controls.rows {
            let rows = step * x.batch..<min((step + 1) * x.batch, x.order.columns)
            if rows.count == composition.rows {
                try composition.step(rows, controls: x.controls.rows(step..<step + 1), self)
            } else {
                if smaller == nil { smaller = try PerceptronComposition(x, rows: rows.count, stream: self) }
                try smaller!.step(rows, controls: x.controls.rows(step..<step + 1), self)
            }
        }
    }
}

/// The buffers of a step for one number of rows.
private struct PerceptronComposition {
    let x: PerceptronSteps
    let rows: Int
    let features: Matrix
    let targets: Matrix
    /// `targets` as int32.
    let labels: Matrix?
    let weights: Matrix?
    let losses: Matrix
    /// Of each layer: its outputs, and their gradient.
    let values: [Matrix]
    let slopes: [Matrix]
    /// 1 × all parameters.
    let gradient: Matrix

    init(_ x: PerceptronSteps, rows: Int, stream: Stream) throws(ComputeError) {
        self.x = x
        self.rows = rows
        features = try stream.allocate(rows: rows, columns: x.features.columns)
        switch x.loss {
        case .element(_, let all):
            targets = try stream.allocate(rows: rows, columns: all.columns)
            labels = nil
        case .classes:
            targets = try stream.allocate(rows: rows, columns: 1)
            labels = try Self.view(targets, .int32, rows: 1, columns: rows)
        }
        weights = x.weights == nil ? nil : try stream.allocate(rows: rows, columns: 1)
        losses = try stream.allocate(rows: 1, columns: rows)
        var values: [Matrix] = []
        var slopes: [Matrix] = []
        for layer in x.layers {
            values.append(try stream.allocate(rows: rows, columns: layer.weight.rows))
            slopes.append(try stream.allocate(rows: rows, columns: layer.weight.rows))
        }
        self.values = values
        self.slopes = slopes
        gradient = try stream.allocate(rows: 1, columns: x.parameters.columns)
    }

    func step(_ range: Range<Int>, controls: Matrix, _ stream: Stream) throws(ComputeError) {
        let order = x.order.columns(range)
        try stream.gather(x.features, rows: order, into: features)
        for (index, layer) in x.layers.enumerated() {
            try stream.gemm(
                index == 0 ? features : values[index - 1], layer.weight, transposeB: true, bias: layer.bias,
                activation: layer.activation, into: values[index])
        }
        var ownWeights: Matrix?
        if let all = x.weights, let weights {
            try stream.gather(
                try Self.view(all, .float32, rows: all.columns, columns: 1), rows: order, into: weights)
            ownWeights = try Self.view(weights, .float32, rows: 1, columns: rows)
        }
        let scale = 1 / Float(rows)
        switch x.loss {
        case .element(let function, let all):
            try stream.gather(all, rows: order, into: targets)
            try stream.elementLoss(
                function, values.last!, targets: targets, weights: ownWeights, scale: scale, gradient: slopes.last!,
                losses: losses)
        case .classes(let all, let smoothing):
            // Words are copied, whatever they mean.
            try stream.gather(
                try Self.view(all, .float32, rows: all.columns, columns: 1), rows: order, into: targets)
            try stream.softmaxCrossEntropy(
                values.last!, labels: labels!, weights: ownWeights, smoothing: smoothing, scale: scale,
                gradient: slopes.last!, losses: losses)
        }
        try stream.addToTotal(losses, x.total)
        for (index, layer) in x.layers.enumerated().reversed() {
            if layer.activation != .identity {
                try stream.activationGradient(
                    layer.activation.function, values: values[index], outputGradient: slopes[index],
                    into: slopes[index])
            }
            try stream.gemm(
                slopes[index], transposeA: true, index == 0 ? features : values[index - 1],
                into: try own(gradient, layer.weight))
            try stream.columnSums(slopes[index], into: try own(gradient, layer.bias))
            if index > 0 { try stream.gemm(slopes[index], layer.weight, into: slopes[index - 1]) }
        }
        // Layer by layer, so that nothing between them changes.
        for layer in x.layers {
            for part in [layer.weight, layer.bias] {
                let first = try x.first.map { m throws(ComputeError) in try flat(own(m, part)) }
                let second = try x.second.map { m throws(ComputeError) in try flat(own(m, part)) }
                try stream.optimizerStep(
                    x.method, parameters: try flat(part), gradient: try flat(own(gradient, part)), first: first,
                    second: second, controls: controls, l1: x.l1, l2: x.l2, decay: x.decay)
            }
        }
    }

    /// The place of a part of the parameters in a vector that lies as they do.
    private func own(_ vector: Matrix, _ part: Matrix) throws(ComputeError) -> Matrix {
        try Matrix(
            storage: vector.storage, elementType: .float32,
            offset: vector.offset + part.offset - x.parameters.offset, rows: part.rows, columns: part.columns,
            rowStride: part.columns)
    }

    private func flat(_ matrix: Matrix) throws(ComputeError) -> Matrix {
        try Self.view(matrix, .float32, rows: 1, columns: matrix.count)
    }

    private static func view(
        _ matrix: Matrix, _ type: ElementType, rows: Int, columns: Int
    ) throws(ComputeError) -> Matrix {
        try Matrix(
            storage: matrix.storage, elementType: type, offset: matrix.offset, rows: rows, columns: columns,
            rowStride: columns)
    }
}

extension Activation {
    /// The function of ``Stream/activationGradient(_:values:outputGradient:into:)``.
    public var function: ActivationFunction {
        switch self {
        case .identity: .identity
        case .relu: .relu
        case .sigmoid: .sigmoid
        case .tanh: .tanh
        }
    }
}
