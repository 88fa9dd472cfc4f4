import Compute

/// The primitives of networks on host memory.
extension OracleBackend {
    func run(_ operation: NetworkOperation) throws(ComputeError) {
        switch operation {
        case .activation(let x):
            var values = try matrix(x.input)
            for place in values.elements.indices {
                values.elements[place] = Oracle.activate(values.elements[place], x.function).value
            }
            try store(values, to: x.output)
        case .activationGradient(let x):
            let values = try matrix(x.values)
            var gradient = try matrix(x.outputGradient)
            for place in gradient.elements.indices {
                gradient.elements[place] *= Oracle.slope(values.elements[place], x.function)
            }
            try store(gradient, to: x.inputGradient)
        case .linearCombination(let x):
            var a = try matrix(x.a)
            let b = x.beta == 0 ? a : try matrix(x.b)
            for place in a.elements.indices {
                a.elements[place] = Double(x.alpha) * a.elements[place] + Double(x.beta) * b.elements[place]
            }
            try store(a, to: x.output)
        case .softmaxCrossEntropy(let x):
            let logits = try matrix(x.logits)
            let (labels, weights) = (try integers(x.labels), try vector(x.weights))
            let results = (0..<logits.rows).map {
                Oracle.softmaxCrossEntropy(
                    Array(logits.row($0)), label: labels[$0], weight: weights?[$0] ?? 1,
                    smoothing: Double(x.smoothing), scale: Double(x.scale))
            }
            try store(results.flatMap { $0.gradient.map(Float.init) }, to: x.gradient)
            try store(results.map { Float($0.loss) }, to: x.losses)
        case .elementLoss(let x):
            let (predictions, targets) = (try matrix(x.predictions), try matrix(x.targets))
            let weights = try vector(x.weights)
            let results = (0..<predictions.rows).map {
                Oracle.elementLoss(
                    x.function, Array(predictions.row($0)), Array(targets.row($0)), weight: weights?[$0] ?? 1,
                    scale: Double(x.scale))
            }
            try store(results.flatMap { $0.gradient.map(Float.init) }, to: x.gradient)
            try store(results.map { Float($0.loss) }, to: x.losses)
        case .addToTotal(let x):
            let old = try matrix(x.total).elements
            let sum = try matrix(x.input).elements.reduce(old[0] + old[1], +)
            try store([Float(sum), Float(sum - Double(Float(sum)))], to: x.total)
        case .dropout(let x):
            var values = try matrix(x.input)
            let kept = Oracle.kept(
                rows: values.rows, columns: values.columns, probability: x.probability, seed: x.seed,
                stream: x.stream, step: try integers(x.step)[0])
            for place in values.elements.indices {
                values.elements[place] = kept[place] ? values.elements[place] / (1 - Double(x.probability)) : 0
            }
            try store(values, to: x.output)
        case .layerNorm(let x):
            var values = try matrix(x.input)
            let (gain, bias) = (try matrix(x.gain).elements, try matrix(x.bias).elements)
            var statistics = OracleMatrix(rows: 2, columns: values.rows)
            for row in 0..<values.rows {
                let (mean, inverse) = Oracle.moments(Array(values.row(row)), epsilon: Double(x.epsilon))
                (statistics[0, row], statistics[1, row]) = (mean, inverse)
                for column in 0..<values.columns {
                    values[row, column] = (values[row, column] - mean) * inverse * gain[column] + bias[column]
                }
            }
            try store(values, to: x.output)
            try store(statistics, to: x.statistics)
        case .layerNormGradient(let x):
            let (values, outer) = (try matrix(x.input), try matrix(x.outputGradient))
            let (statistics, gain) = (try matrix(x.statistics), try matrix(x.gain).elements)
            let results = (0..<values.rows).map {
                Oracle.layerNormGradient(
                    Array(values.row($0)), mean: statistics[0, $0], inverse: statistics[1, $0], gain: gain,
                    outputGradient: Array(outer.row($0)))
            }
            try store(results.flatMap { $0.products.map(Float.init) }, to: x.products)
            try store(results.flatMap { $0.input.map(Float.init) }, to: x.inputGradient)
        case .optimizerStep(let x): try run(x)
        case .updateRows(let x): try run(x)
        case .perceptronSteps(let x): try run(x)
        case .attention(let x): try run(x)
        case .attentionGradient(let x): try run(x)
        case .recurrentStep(let x): try run(x)
        case .recurrentStepGradient(let x): try run(x)
        }
    }

    private func run(_ x: OptimizerStep) throws(ComputeError) {
        let (values, gradient) = (try matrix(x.parameters).elements, try matrix(x.gradient).elements)
        let (first, second) = (try vector(x.first), try vector(x.second))
        let controls = try matrix(x.controls).elements
        var factor = controls[3]
        if let norm = try vector(x.norm), norm[0] * abs(factor) > Double(x.largestNorm) {
            factor *= Double(x.largestNorm) / (norm[0] * abs(factor))
        }
        let results = values.indices.map {
            Oracle.step(
                x.method,
                Oracle.OptimizedParameter(value: values[$0], first: first?[$0] ?? 0, second: second?[$0] ?? 0),
                gradient: gradient[$0] * factor, gradientError: 0,
                controls: (controls[0], controls[1], controls[2], factor), l1: Double(x.l1), l2: Double(x.l2),
                decay: Double(x.decay))
        }
        try store(results.map { Float($0.value) }, to: x.parameters)
        if let first = x.first { try store(results.map { Float($0.first) }, to: first) }
        if let second = x.second { try store(results.map { Float($0.second) }, to: second) }
    }

    private func run(_ x: UpdateRows) throws(ComputeError) {
        let gradient = try matrix(x.gradient)
        let (ids, starts, order) = (try integers(x.ids), try integers(x.starts), try integers(x.order))
        let controls = try vector(x.controls) ?? [0, 0, 0, 1]
        for (segment, id) in ids.enumerated() where id >= 0 && id < x.table.rows {
            var sums = [Double](repeating: 0, count: gradient.columns)
            for place in starts[segment]..<starts[segment + 1] {
                for column in sums.indices { sums[column] += gradient[order[place], column] * controls[3] }
            }
            let method: OptimizerMethod
            var rowWise = false
            switch x.method {
            case .add: method = .gradientDescent(momentum: 0, nesterov: false)
            case .gradientDescent: method = .gradientDescent(momentum: 0, nesterov: false)
            case .adam(let beta1, let beta2, let epsilon): method = .adam(beta1: beta1, beta2: beta2, epsilon: epsilon)
            case .adagrad(let epsilon): method = .adagrad(epsilon: epsilon)
            case .rowWiseAdagrad(let epsilon):
                method = .adagrad(epsilon: epsilon)
                rowWise = true
            }
            let row = id..<id + 1
            var values = try matrix(x.table.rows(row)).elements
            var first = try vector(x.first?.rows(row))
            var second = try vector(x.second?.rows(row))
            let rate = x.method == .add ? -1 : controls[0]
            let mean = sums.reduce(0) { $0 + $1 * $1 } / Double(max(sums.count, 1))
            for column in values.indices {
                var state = Oracle.OptimizedParameter(
                    value: values[column], first: first?[column] ?? 0, second: rowWise ? 0 : second?[column] ?? 0)
                if rowWise {
                    // The square of this element gives way to the mean of all.
                    state.second = second![0] + mean - sums[column] * sums[column]
                }
                state = Oracle.step(
                    method, state, gradient: sums[column], gradientError: 0,
                    controls: (rate, controls[1], controls[2], controls[3]))
                values[column] = state.value
                first?[column] = state.first
                if !rowWise { second?[column] = state.second }
            }
            if rowWise { second![0] += mean }
            try store(values.map(Float.init), to: x.table.rows(row))
            if let first, let matrix = x.first { try store(first.map(Float.init), to: matrix.rows(row)) }
            if let second, let matrix = x.second { try store(second.map(Float.init), to: matrix.rows(row)) }
        }
    }
}
