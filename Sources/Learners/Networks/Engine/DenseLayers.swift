import Compute
import Core

/// Dense layers, activations, dropout, normalization, residuals.
extension LayerCompiler {
    /// y = f(x · Wᵀ + b). Backward: dz = dy · f′, dx = dz · W, dW = dzᵀ · x, db = Σ dz.
    func dense(_ layer: ResolvedLayer, _ input: LayerFlow, _ fused: Activation?) throws(ComputeError) -> LayerFlow {
        try product(
            input, weight: "\(layer.name).weight", bias: layer.parameters.count > 1 ? "\(layer.name).bias" : nil,
            columns: layer.output.columns, fused, layer: layer.name, inputGradient: input.gradient)
    }

    /// A product with a weight of outputs × inputs, in 8 bits where the layer is.
    ///
    /// - Parameter inputGradient: where the gradient of the input goes; may be the input itself, which is then not needed
    ///   any more.
    func product(
        _ input: LayerFlow, weight: String, bias: String?, columns: Int, _ fused: Activation? = nil,
        layer: String, inputGradient: Matrix?
    ) throws(ComputeError) -> LayerFlow {
        var shape = input.shape
        shape.columns = columns
        let output = try flow(shape)
        let w = parameters.value(weight)
        let b = bias.map { parameters.value($0) }
        productInputs.append((layer, input.value))
        let precision = precision
        if !training, let codes = quantized?[layer] {
            let rounded = try stream.allocate(rows: input.value.rows, columns: codes.codes.columns, .int32)
            add(forward: { stream throws(ComputeError) in
                try stream.quantize(input.value, step: codes.step, into: rounded)
                try stream.quantizedGemm(
                    rounded, step: codes.step, codes.codes, scales: codes.scales, bias: b,
                    activation: fused ?? .identity, into: output.value)
            })
            return output
        }
        add(forward: { stream throws(ComputeError) in
            try stream.gemm(
                input.value, w, transposeB: true, bias: b, activation: fused ?? .identity, precision: precision,
                into: output.value)
        })
        guard training, let gradient = output.gradient else { return output }
        let weightGradient = parameters.gradient(weight)
        let biasGradient = bias.map { parameters.gradient($0) }
        add(backward: { stream throws(ComputeError) in
            if let fused {
                try stream.activationGradient(
                    fused.function, values: output.value, outputGradient: gradient, into: gradient)
            }
            try stream.gemm(gradient, transposeA: true, input.value, precision: precision, into: weightGradient)
            if let biasGradient { try stream.columnSums(gradient, into: biasGradient) }
            if let inputGradient { try stream.gemm(gradient, w, precision: precision, into: inputGradient) }
        })
        return output
    }

    func activation(_ function: ActivationFunction, _ input: LayerFlow) throws(ComputeError) -> LayerFlow {
        let output = try flow(input.shape)
        add(
            forward: { stream throws(ComputeError) in
                try stream.activate(input.value, function, into: output.value)
            },
            backward: { stream throws(ComputeError) in
                guard let inputGradient = input.gradient else { return }
                try stream.activationGradient(
                    function, values: function.needsInputs ? input.value : output.value,
                    outputGradient: output.gradient!, into: inputGradient)
            })
        return output
    }

    func dropout(_ probability: Float, _ input: LayerFlow) throws(ComputeError) -> LayerFlow {
        guard dropsOut, probability > 0 else { return input }
        let output = try flow(input.shape)
        let (seed, number, step) = (seed, nextDropout(), step)
        add(
            forward: { stream throws(ComputeError) in
                try stream.dropout(
                    input.value, probability: probability, seed: seed, stream: number, step: step, into: output.value)
            },
            backward: { stream throws(ComputeError) in
                guard let inputGradient = input.gradient else { return }
                try stream.dropout(
                    output.gradient!, probability: probability, seed: seed, stream: number, step: step,
                    into: inputGradient)
            })
        return output
    }

    func layerNorm(_ layer: ResolvedLayer, _ input: LayerFlow, _ epsilon: Float) throws(ComputeError) -> LayerFlow {
        try layerNorm("\(layer.name).weight", "\(layer.name).bias", input, epsilon)
    }

    func layerNorm(
        _ weight: String, _ bias: String, _ input: LayerFlow, _ epsilon: Float
    ) throws(ComputeError) -> LayerFlow {
        let output = try flow(input.shape)
        let (gain, shift) = (parameters.value(weight), parameters.value(bias))
        let statistics = try stream.allocate(rows: 2, columns: input.value.rows)
        add(forward: { stream throws(ComputeError) in
            try stream.layerNorm(
                input.value, gain: gain, bias: shift, epsilon: epsilon, into: output.value, statistics: statistics)
        })
        guard training, let gradient = output.gradient else { return output }
        let products = try matrix(input.shape)
        let inputGradient: Matrix
        if let present = input.gradient { inputGradient = present } else { inputGradient = try matrix(input.shape) }
        let (gainGradient, shiftGradient) = (parameters.gradient(weight), parameters.gradient(bias))
        add(backward: { stream throws(ComputeError) in
            try stream.layerNormGradient(
                input.value, statistics: statistics, gain: gain, outputGradient: gradient, into: inputGradient,
                products: products)
            try stream.columnSums(products, into: gainGradient)
            try stream.columnSums(gradient, into: shiftGradient)
        })
        return output
    }

    func residual(_ layer: ResolvedLayer, _ input: LayerFlow) throws(ComputeError) -> LayerFlow {
        try residual(input) { flow throws(ComputeError) in try self.compile(layer.children, flow) }
    }

    /// x plus what `body` makes of it.
    func residual(
        _ input: LayerFlow, _ body: (LayerFlow) throws(ComputeError) -> LayerFlow
    ) throws(ComputeError) -> LayerFlow {
        let output = try flow(input.shape)
        // Runs last, when the layers inside have written their part.
        add(backward: { stream throws(ComputeError) in
            guard let inputGradient = input.gradient else { return }
            try stream.combine(inputGradient, output.gradient!, into: inputGradient)
        })
        let inner = try body(input)
        add(
            forward: { stream throws(ComputeError) in try stream.combine(input.value, inner.value, into: output.value)
            },
            backward: { stream throws(ComputeError) in
                // The layers inside may spoil the gradient that they are given.
                try stream.copy(output.gradient!, to: inner.gradient!)
            })
        return output
    }
}
