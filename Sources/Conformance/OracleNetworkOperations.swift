import Compute

/// The primitives of networks on host memory.
extension OracleBackend {
    func run(_ operation: NetworkOperation) throws(ComputeError) {
        switch operation {
        case .activation(let x):
            try store(Oracle.activate(try matrix(x.input), x.function), to: x.output)
        case .activationGradient(let x):
            try store(
                Oracle.activationGradient(try matrix(x.values), try matrix(x.outputGradient), x.function),
                to: x.inputGradient)
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
        case .rankingLoss(let x):
            let scores = try matrix(x.scores)
            let (labels, weights) = (try integers(x.labels), try vector(x.weights))
            let results = (0..<scores.rows).map {
                Oracle.rankingLoss(
                    Array(scores.row($0)), label: labels[$0], weight: weights?[$0] ?? 1, scale: Double(x.scale))
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
        case .batchNorm(let x): try run(x)
        case .batchNormProducts(let x): try run(x)
        case .batchNormStatistics(let x): try run(x)
        case .batchNormGradient(let x): try run(x)
        case .optimizerStep(let x): try run(x)
        case .updateRows(let x): try run(x)
        case .gatherBags(let x): try run(x)
        case .unfold(let x): try run(x)
        case .fold(let x): try run(x)
        case .pool(let x): try run(x)
        case .poolGradient(let x): try run(x)
        case .quantize(let x): try run(x)
        case .quantizedGemm(let x): try run(x)
        case .pairProducts(let x):
            let input = try matrix(x.input)
            let products = (0..<input.rows).flatMap {
                Oracle.pairProducts(Array(input.row($0)), vectors: x.vectors).values
            }
            try store(products.map(Float.init), to: x.output)
        case .pairProductsGradient(let x):
            let (input, outer) = (try matrix(x.input), try matrix(x.outputGradient))
            let gradient = (0..<input.rows).flatMap {
                Oracle.pairProductsGradient(
                    Array(input.row($0)), vectors: x.vectors, outputGradient: Array(outer.row($0))
                ).values
            }
            try store(gradient.map(Float.init), to: x.inputGradient)
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
}
