import Compute

/// A perceptron that is trained step by step, straight from the formulas.
public struct OraclePerceptron: Sendable {
    /// Where a layer lies in the vector of parameters.
    public struct Layer: Sendable {
        public var inputs: Int
        public var outputs: Int
        public var weight: Int
        public var bias: Int
        public var activation: Activation
    }

    public enum Loss: Sendable {
        case element(ElementLossFunction, targets: OracleMatrix)
        case classes(labels: [Int], smoothing: Double)
    }

    public var layers: [Layer]
    public var method: OptimizerMethod
    public var parameters: [Double]
    public var first: [Double]?
    public var second: [Double]?
    public var l1 = 0.0, l2 = 0.0, decay = 0.0
    public var features: OracleMatrix
    public var loss: Loss
    public var weights: [Double]?

    /// One step on some rows of the features; gives the sum of their losses.
    public mutating func step(rows: [Int], controls c: [Double]) -> Double {
        let (losses, gradient) = gradients(rows)
        let places = layers.flatMap { layer in
            Array(layer.weight..<layer.weight + layer.inputs * layer.outputs)
                + Array(layer.bias..<layer.bias + layer.outputs)
        }
        for place in places {
            let result = Oracle.step(
                method,
                Oracle.OptimizedParameter(
                    value: parameters[place], first: first?[place] ?? 0, second: second?[place] ?? 0),
                gradient: gradient[place] * c[3], gradientError: 0, controls: (c[0], c[1], c[2], c[3]), l1: l1, l2: l2,
                decay: decay)
            parameters[place] = result.value
            first?[place] = result.first
            second?[place] = result.second
        }
        return losses.reduce(0, +)
    }

    private func weight(_ layer: Layer) -> OracleMatrix {
        OracleMatrix(
            rows: layer.outputs, columns: layer.inputs,
            elements: Array(parameters[layer.weight..<layer.weight + layer.inputs * layer.outputs]))
    }

    /// Losses of the rows, and the gradient of their mean.
    private func gradients(_ rows: [Int]) -> (losses: [Double], gradient: [Double]) {
        var values = [
            OracleMatrix(rows: rows.count, columns: features.columns, elements: rows.flatMap { features.row($0) })
        ]
        for layer in layers {
            var output = Oracle.gemm(
                values.last!, transposeA: false, weight(layer), transposeB: true, alpha: 1, beta: 0,
                bias: Array(parameters[layer.bias..<layer.bias + layer.outputs]), output: nil
            ).values
            for place in output.elements.indices {
                output.elements[place] = Oracle.activate(output.elements[place], layer.activation).value
            }
            values.append(output)
        }
        let outputs = values.last!
        var losses: [Double] = []
        var gradient = OracleMatrix(rows: rows.count, columns: outputs.columns)
        for (place, row) in rows.enumerated() {
            let (one, scale) = (weights?[row] ?? 1, 1 / Double(rows.count))
            let slopes: [Double]
            switch loss {
            case .element(let function, let targets):
                let result = Oracle.elementLoss(
                    function, Array(outputs.row(place)), Array(targets.row(row)), weight: one, scale: scale)
                (slopes, losses) = (result.gradient, losses + [result.loss])
            case .classes(let labels, let smoothing):
                let result = Oracle.softmaxCrossEntropy(
                    Array(outputs.row(place)), label: labels[row], weight: one, smoothing: smoothing, scale: scale)
                (slopes, losses) = (result.gradient, losses + [result.loss])
            }
            for column in 0..<outputs.columns { gradient[place, column] = slopes[column] }
        }
        var all = [Double](repeating: 0, count: parameters.count)
        for (index, layer) in layers.enumerated().reversed() {
            for place in gradient.elements.indices {
                let y = values[index + 1].elements[place]
                switch layer.activation {
                case .identity: break
                case .relu: if !(y > 0) { gradient.elements[place] = 0 }
                case .sigmoid: gradient.elements[place] *= y * (1 - y)
                case .tanh: gradient.elements[place] *= 1 - y * y
                }
            }
            let weightGradient = Oracle.product(gradient.transposed, values[index]).values
            let biasGradient = Oracle.columnSums(gradient).values
            all.replaceSubrange(
                layer.weight..<layer.weight + weightGradient.elements.count, with: weightGradient.elements)
            all.replaceSubrange(layer.bias..<layer.bias + layer.outputs, with: biasGradient.elements)
            gradient = Oracle.product(gradient, weight(layer)).values
        }
        return (losses, all)
    }
}

extension OracleBackend {
    func run(_ x: PerceptronSteps) throws(ComputeError) {
        let loss: OraclePerceptron.Loss
        switch x.loss {
        case .element(let function, let targets): loss = .element(function, targets: try matrix(targets))
        case .classes(let labels, let smoothing):
            loss = .classes(labels: try integers(labels), smoothing: Double(smoothing))
        }
        var perceptron = OraclePerceptron(
            layers: x.layers.map {
                OraclePerceptron.Layer(
                    inputs: $0.weight.columns, outputs: $0.weight.rows,
                    weight: $0.weight.offset - x.parameters.offset, bias: $0.bias.offset - x.parameters.offset,
                    activation: $0.activation)
            }, method: x.method, parameters: try matrix(x.parameters).elements, first: try vector(x.first),
            second: try vector(x.second), l1: Double(x.l1), l2: Double(x.l2), decay: Double(x.decay),
            features: try matrix(x.features), loss: loss, weights: try vector(x.weights))
        let (order, controls) = (try integers(x.order), try matrix(x.controls))
        let old = try matrix(x.total).elements
        var sum = old[0] + old[1]
        for (step, begin) in stride(from: 0, to: order.count, by: x.batch).enumerated() {
            sum += perceptron.step(
                rows: Array(order[begin..<min(begin + x.batch, order.count)]), controls: Array(controls.row(step)))
        }
        try store([Float(sum), Float(sum - Double(Float(sum)))], to: x.total)
        try store(perceptron.parameters.map(Float.init), to: x.parameters)
        if let first = x.first { try store(perceptron.first!.map(Float.init), to: first) }
        if let second = x.second { try store(perceptron.second!.map(Float.init), to: second) }
    }
}
