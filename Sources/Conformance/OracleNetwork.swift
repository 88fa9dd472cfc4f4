import Compute
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// Layers and losses of networks.
extension Oracle {
    /// A function of layers and its derivative at `x`.
    public static func activate(_ x: Double, _ function: ActivationFunction) -> (value: Double, slope: Double) {
        switch function {
        case .identity: return (x, 1)
        case .relu: return (x < 0 ? 0 : x, x > 0 ? 1 : 0)
        case .sigmoid:
            let value = 1 / (1 + exp(-x))
            return (value, value * (1 - value))
        case .tanh:
            let value = tanh(x)
            return (value, 1 - value * value)
        case .gelu:
            let normal = 0.5 * erfc(-x / 2.0.squareRoot())
            return (x * normal, normal + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot())
        case .silu:
            let value = 1 / (1 + exp(-x))
            return (x * value, value * (1 + x * (1 - value)))
        case .softmax: preconditionFailure("a function of rows")
        }
    }

    /// A function of layers on every row.
    public static func activate(_ table: OracleMatrix, _ function: ActivationFunction) -> OracleMatrix {
        var result = table
        for row in 0..<table.rows {
            let places = row * table.columns..<(row + 1) * table.columns
            if function == .softmax {
                let top = table.elements[places].max() ?? 0
                let powers = table.elements[places].map { exp($0 - top) }
                let sum = powers.reduce(0, +)
                for (place, power) in zip(places, powers) { result.elements[place] = power / sum }
            } else {
                for place in places { result.elements[place] = activate(table.elements[place], function).value }
            }
        }
        return result
    }

    /// The gradient of the input from what ``ActivationGradient/values`` holds.
    public static func activationGradient(
        _ values: OracleMatrix, _ gradient: OracleMatrix, _ function: ActivationFunction
    ) -> OracleMatrix {
        var result = gradient
        for row in 0..<values.rows {
            let places = row * values.columns..<(row + 1) * values.columns
            if function == .softmax {
                let mean = places.reduce(0) { $0 + values.elements[$1] * gradient.elements[$1] }
                for place in places {
                    result.elements[place] = values.elements[place] * (gradient.elements[place] - mean)
                }
            } else {
                for place in places { result.elements[place] *= slope(values.elements[place], function) }
            }
        }
        return result
    }

    /// The derivative from what ``ActivationGradient/values`` holds.
    public static func slope(_ value: Double, _ function: ActivationFunction) -> Double {
        switch function {
        case .identity, .gelu, .silu: activate(value, function).slope
        case .relu: value > 0 ? 1 : 0
        case .sigmoid: value * (1 - value)
        case .tanh: 1 - value * value
        case .softmax: preconditionFailure("a function of rows")
        }
    }

    /// Loss and gradient of one row of logits; a label below 0 counts for nothing.
    public static func softmaxCrossEntropy(
        _ logits: [Double], label: Int, weight: Double, smoothing: Double, scale: Double
    ) -> (loss: Double, gradient: [Double], probabilities: [Double]) {
        let n = logits.count
        guard label >= 0 else { return (0, [Double](repeating: 0, count: n), [Double](repeating: 0, count: n)) }
        guard label < n else {
            return (.nan, [Double](repeating: .nan, count: n), [Double](repeating: 0, count: n))
        }
        let top = logits.max() ?? 0
        let powers = logits.map { exp($0 - top) }
        let sum = powers.reduce(0, +)
        var loss = 0.0
        var gradient: [Double] = []
        for (j, x) in logits.enumerated() {
            let q = smoothing / Double(n) + (j == label ? 1 - smoothing : 0)
            loss -= q * (x - top - log(sum))
            gradient.append(weight * scale * (powers[j] / sum - q))
        }
        return (weight * loss, gradient, powers.map { $0 / sum })
    }

    private static func softplus(_ z: Double) -> Double { max(z, 0) + log1p(exp(-abs(z))) }
    private static func sigmoid(_ z: Double) -> Double { 1 / (1 + exp(-z)) }

    /// Loss and gradient of one row of scores; a label below 0 counts for nothing.
    public static func rankingLoss(
        _ x: [Double], label: Int, weight: Double, scale: Double
    ) -> (loss: Double, gradient: [Double]) {
        guard label >= 0 else { return (0, [Double](repeating: 0, count: x.count)) }
        guard label < x.count else { return (.nan, [Double](repeating: .nan, count: x.count)) }
        let factor = weight / Double(x.count - 1)
        var loss = 0.0
        var gradient = [Double](repeating: 0, count: x.count)
        for j in x.indices where j != label {
            loss += factor * softplus(x[j] - x[label])
            gradient[j] = factor * scale * sigmoid(x[j] - x[label])
            gradient[label] -= gradient[j]
        }
        return (loss, gradient)
    }

    /// Loss and gradient of one row of predictions, and the magnitudes of what was added up.
    public static func elementLoss(
        _ function: ElementLossFunction, _ x: [Double], _ t: [Double], weight: Double, scale: Double
    ) -> (loss: Double, gradient: [Double], magnitude: Double) {
        var loss = 0.0
        var magnitude = 0.0
        var gradient = [Double](repeating: 0, count: x.count)
        for j in x.indices {
            let d = x[j] - t[j]
            switch function {
            case .squared:
                loss += d * d
                magnitude += d * d
                gradient[j] = 2 * d
            case .logistic:
                loss += softplus(x[j]) - x[j] * t[j]
                magnitude += softplus(x[j]) + abs(x[j] * t[j])
                gradient[j] = sigmoid(x[j]) - t[j]
            case .huber(let delta):
                let delta = Double(delta)
                let term = abs(d) <= delta ? d * d / 2 : delta * (abs(d) - delta / 2)
                loss += term
                magnitude += term + (abs(d) <= delta ? 0 : delta * delta)
                gradient[j] = max(-delta, min(delta, d))
            }
        }
        return (weight * loss, gradient.map { weight * scale * $0 }, abs(weight) * magnitude)
    }

    /// Which elements ``Dropout`` keeps, row after row.
    public static func kept(
        rows: Int, columns: Int, probability: Float, seed: UInt64, stream: UInt64, step: Int
    ) -> [Bool] {
        let generator = Philox(seed: seed, stream: stream)
        let padded = (columns + 3) / 4 * 4
        return (0..<rows * columns).map { place in
            let row = step * rows + place / columns
            return generator.uniform(UInt64(row * padded + place % columns)) >= probability
        }
    }

    /// Mean and inverse deviation of a row.
    public static func moments(_ row: [Double], epsilon: Double) -> (mean: Double, inverse: Double) {
        let n = Double(max(row.count, 1))
        let mean = row.reduce(0, +) / n
        let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
        return (mean, 1 / (variance + epsilon).squareRoot())
    }

    /// The gradient of layer normalization for one row: of its input, and the products with the normalized input.
    public static func layerNormGradient(
        _ row: [Double], mean: Double, inverse: Double, gain: [Double], outputGradient: [Double]
    ) -> (input: [Double], products: [Double], magnitude: Double) {
        let n = Double(max(row.count, 1))
        let normal = row.map { ($0 - mean) * inverse }
        let scaled = zip(outputGradient, gain).map { $0 * $1 }
        let sum = scaled.reduce(0, +) / n
        let aligned = zip(scaled, normal).reduce(0) { $0 + $1.0 * $1.1 } / n
        let magnitude = zip(scaled, normal).reduce(0) { $0 + abs($1.0) * (1 + abs($1.1)) } / n
        return (
            row.indices.map { inverse * (scaled[$0] - sum - normal[$0] * aligned) },
            zip(outputGradient, normal).map { $0 * $1 }, magnitude
        )
    }
}

/// Optimizers.
extension Oracle {
    /// One parameter with its state.
    public struct OptimizedParameter: Sendable {
        public var value: Double
        public var first: Double
        public var second: Double
        /// Bounds of the rounding errors in units of float32's roundoff.
        public var valueError = 0.0, firstError = 0.0, secondError = 0.0

        public init(value: Double, first: Double, second: Double) {
            self.value = value
            self.first = first
            self.second = second
        }
    }

    /// Learning rate, c₁, c₂ and factor: what ``OptimizerStep/controls`` holds.
    public typealias Controls = (rate: Double, correction1: Double, correction2: Double, factor: Double)

    /// One step for a parameter whose gradient, factor included, is `gradient`, known to within `gradientError` units.
    public static func step(
        _ method: OptimizerMethod, _ parameter: OptimizedParameter, gradient: Double, gradientError: Double,
        controls: Controls, l1: Double = 0, l2: Double = 0, decay: Double = 0
    ) -> OptimizedParameter {
        var p = parameter
        let old = p.value
        let sign = old > 0 ? 1.0 : old < 0 ? -1 : 0
        let g = gradient + l2 * old + l1 * sign
        let gError = gradientError + 3 * (abs(gradient) + l2 * abs(old) + l1)
        let rate = controls.rate
        p.value -= rate * decay * old
        p.valueError = 2 * abs(old) * (1 + rate * decay)
        switch method {
        case .gradientDescent(let momentum, let nesterov):
            let momentum = Double(momentum)
            var (step, error) = (g, gError)
            if momentum != 0 {
                p.first = momentum * p.first + g
                p.firstError = 3 * momentum * abs(parameter.first) + gError
                (step, error) =
                    nesterov ? (g + momentum * p.first, 2 * gError + 3 * p.firstError) : (p.first, p.firstError)
            }
            p.value -= rate * step
            p.valueError += rate * (error + 4 * abs(step))
        case .adam(let beta1, let beta2, let epsilon):
            let (beta1, beta2) = (Double(beta1), Double(beta2))
            p.first = beta1 * p.first + (1 - beta1) * g
            p.second = beta2 * p.second + (1 - beta2) * g * g
            p.firstError = 4 * beta1 * abs(parameter.first) + (1 - beta1) * (gError + 4 * abs(g))
            p.secondError = 4 * p.second + (1 - beta2) * 2 * abs(g) * gError
            let root = p.second.squareRoot()
            let divisor = root * controls.correction2 + Double(epsilon)
            let step = rate * controls.correction1 * p.first / divisor
            p.value -= step
            let rootError = root > 0 ? p.secondError / root : 0
            p.valueError +=
                rate * controls.correction1 * p.firstError / divisor + abs(step)
                * (12 + controls.correction2 * rootError / divisor)
        case .adagrad(let epsilon):
            p.second += g * g
            p.secondError = 3 * p.second + 2 * abs(g) * gError
            let root = p.second.squareRoot()
            let divisor = root + Double(epsilon)
            p.value -= rate * g / divisor
            let rootError = root > 0 ? p.secondError / root : 0
            p.valueError += rate * gError / divisor + rate * abs(g) / divisor * (12 + rootError / divisor)
        }
        return p
    }
}
