import Compute

/// Mistakes with the primitives of networks.
extension ValidationTests {
    static let networkMistakes: [Mistake] = [
        Mistake("activation into another shape", "shapes differ: 2 × 3, 3 × 2") { f throws(ComputeError) in
            try f.stream.activate(try f.m(2, 3), .relu, into: try f.m(3, 2))
        },
        Mistake("activation into an overlapping window", "overlaps") { f throws(ComputeError) in
            let (a, b) = try f.overlapping()
            try f.stream.activate(a, .gelu, into: b)
        },
        Mistake("gradient over the values", "overlaps") { f throws(ComputeError) in
            let values = try f.m(2, 3)
            try f.stream.activationGradient(.tanh, values: values, outputGradient: try f.m(2, 3), into: values)
        },
        Mistake("combination of two shapes", "shapes differ: 2 × 3, 2 × 4, 2 × 3") { f throws(ComputeError) in
            try f.stream.combine(try f.m(2, 3), try f.m(2, 4), into: try f.m(2, 3))
        },
        Mistake("cross-entropy with float labels", "expects int32") { f throws(ComputeError) in
            try f.stream.softmaxCrossEntropy(
                try f.m(2, 3), labels: try f.m(1, 2), scale: 1, gradient: try f.m(2, 3), losses: try f.m(1, 2))
        },
        Mistake("cross-entropy with too few labels", "labels is 1 × 1, expected 1 × 2") { f throws(ComputeError) in
            try f.stream.softmaxCrossEntropy(
                try f.m(2, 3), labels: try f.m(1, 1, .int32), scale: 1, gradient: try f.m(2, 3),
                losses: try f.m(1, 2))
        },
        Mistake("cross-entropy smoothed away", "smoothing 1.0 is not in 0 ..< 1") { f throws(ComputeError) in
            try f.stream.softmaxCrossEntropy(
                try f.m(2, 3), labels: try f.m(1, 2, .int32), smoothing: 1, scale: 1, gradient: try f.m(2, 3),
                losses: try f.m(1, 2))
        },
        Mistake("losses in the gradient", "overlaps") { f throws(ComputeError) in
            let gradient = try f.m(2, 2)
            try f.stream.softmaxCrossEntropy(
                try f.m(2, 2), labels: try f.m(1, 2, .int32), scale: 1, gradient: gradient,
                losses: gradient.rows(0..<1))
        },
        Mistake("ranking of one column", "ranking needs at least 2 columns") { f throws(ComputeError) in
            try f.stream.rankingLoss(
                try f.m(2, 1), labels: try f.m(1, 2, .int32), scale: 1, gradient: try f.m(2, 1), losses: try f.m(1, 2))
        },
        Mistake("ranking with float labels", "expects int32") { f throws(ComputeError) in
            try f.stream.rankingLoss(
                try f.m(2, 3), labels: try f.m(1, 2), scale: 1, gradient: try f.m(2, 3), losses: try f.m(1, 2))
        },
        Mistake("Huber without distance", "delta 0.0 is not above 0") { f throws(ComputeError) in
            try f.stream.elementLoss(
                .huber(delta: 0), try f.m(2, 1), targets: try f.m(2, 1), scale: 1, gradient: try f.m(2, 1),
                losses: try f.m(1, 2))
        },
        Mistake("total of one element", "expected 1 × n and 1 × 2") { f throws(ComputeError) in
            try f.stream.addToTotal(try f.m(1, 3), try f.m(1, 1))
        },
        Mistake("dropout of all", "probability 1.0 is not in 0 ..< 1") { f throws(ComputeError) in
            try f.stream.dropout(
                try f.m(2, 3), probability: 1, seed: 1, stream: 1, step: try f.m(1, 1, .int32), into: try f.m(2, 3))
        },
        Mistake("dropout without a step", "step is 1 × 2, expected 1 × 1") { f throws(ComputeError) in
            try f.stream.dropout(
                try f.m(2, 3), probability: 0.5, seed: 1, stream: 1, step: try f.m(1, 2, .int32),
                into: try f.m(2, 3))
        },
        Mistake("layer norm in place", "overlaps") { f throws(ComputeError) in
            let x = try f.m(2, 3)
            try f.stream.layerNorm(
                x, gain: try f.m(1, 3), bias: try f.m(1, 3), into: x, statistics: try f.m(2, 2))
        },
        Mistake("layer norm, gain", "gain is 1 × 2, expected 1 × 3") { f throws(ComputeError) in
            try f.stream.layerNorm(
                try f.m(2, 3), gain: try f.m(1, 2), bias: try f.m(1, 3), into: try f.m(2, 3),
                statistics: try f.m(2, 2))
        },
        Mistake("layer norm, statistics", "statistics are 2 × 3, expected 2 × 2") { f throws(ComputeError) in
            try f.stream.layerNormGradient(
                try f.m(2, 3), statistics: try f.m(2, 3), gain: try f.m(1, 3), outputGradient: try f.m(2, 3),
                into: try f.m(2, 3), products: try f.m(2, 3))
        },
        Mistake("batch norm, mean", "mean is 1 × 2, expected 1 × 3") { f throws(ComputeError) in
            try f.stream.batchNorm(
                try f.m(2, 3), mean: try f.m(1, 2), inverse: try f.m(1, 3), gain: try f.m(1, 3),
                bias: try f.m(1, 3), into: try f.m(2, 3))
        },
        Mistake("batch norm's products over its input", "overlaps") { f throws(ComputeError) in
            let x = try f.m(2, 3)
            try f.stream.batchNormProducts(x, mean: try f.m(1, 3), gradient: nil, into: x)
        },
        Mistake("statistics of no rows", "a count of 0 is not above 0") { f throws(ComputeError) in
            try f.stream.batchNormStatistics(
                mean: try f.m(1, 3), squares: try f.m(1, 3), count: 0, epsilon: 1e-5, into: try f.m(1, 3),
                running: nil)
        },
        Mistake("batch norm's gradient, sums", "sums is 1 × 4, expected 1 × 3") { f throws(ComputeError) in
            try f.stream.batchNormGradient(
                try f.m(2, 3), mean: try f.m(1, 3), inverse: try f.m(1, 3), gain: try f.m(1, 3),
                outputGradient: try f.m(2, 3), sums: (outputGradient: try f.m(1, 4), products: try f.m(1, 3)),
                count: 2, into: try f.m(2, 3))
        },
        Mistake("Adam without its mean", "the method needs `first`") { f throws(ComputeError) in
            try f.stream.optimizerStep(
                .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8), parameters: try f.m(1, 3), gradient: try f.m(1, 3),
                second: try f.m(1, 3), controls: try f.m(1, 4))
        },
        Mistake("optimizer, controls", "controls is 1 × 3, expected 1 × 4") { f throws(ComputeError) in
            try f.stream.optimizerStep(
                .gradientDescent(momentum: 0, nesterov: false), parameters: try f.m(1, 3), gradient: try f.m(1, 3),
                controls: try f.m(1, 3))
        },
        Mistake("optimizer over its gradient", "overlaps") { f throws(ComputeError) in
            let parameters = try f.m(1, 3)
            try f.stream.optimizerStep(
                .gradientDescent(momentum: 0, nesterov: false), parameters: parameters, gradient: parameters,
                controls: try f.m(1, 4))
        },
        Mistake("rows, widths", "table 5 × 3, gradient 2 × 4") { f throws(ComputeError) in
            try f.stream.updateRows(
                .add, of: try f.m(5, 3), ids: try f.m(1, 2, .int32), starts: try f.m(1, 3, .int32),
                order: try f.m(1, 2, .int32), gradient: try f.m(2, 4))
        },
        Mistake("rows, starts", "starts is 1 × 2, expected 1 × 3") { f throws(ComputeError) in
            try f.stream.updateRows(
                .add, of: try f.m(5, 3), ids: try f.m(1, 2, .int32), starts: try f.m(1, 2, .int32),
                order: try f.m(1, 2, .int32), gradient: try f.m(2, 3))
        },
        Mistake("rows, state", "second is 5 × 3, expected 5 × 1") { f throws(ComputeError) in
            try f.stream.updateRows(
                .rowWiseAdagrad(epsilon: 1e-8), of: try f.m(5, 3), ids: try f.m(1, 2, .int32),
                starts: try f.m(1, 3, .int32), order: try f.m(1, 2, .int32), gradient: try f.m(2, 3),
                second: try f.m(5, 3), controls: try f.m(1, 4))
        },
        Mistake("rows, factors", "factors is 1 × 3, expected 1 × 2") { f throws(ComputeError) in
            try f.stream.updateRows(
                .add, of: try f.m(5, 3), ids: try f.m(1, 2, .int32), starts: try f.m(1, 3, .int32),
                order: try f.m(1, 2, .int32), factors: try f.m(1, 3), gradient: try f.m(2, 3))
        },
        Mistake("bags, output", "starts 1 × 3, output 4 × 9") { f throws(ComputeError) in
            try f.stream.gatherBags(
                try f.m(5, 3), ids: try f.m(4, 2, .int32), starts: try f.m(1, 3, .int32), into: try f.m(4, 9))
        },
        Mistake("bags over their table", "overlaps") { f throws(ComputeError) in
            let table = try f.m(5, 3)
            try f.stream.gatherBags(
                table, ids: try f.m(5, 1, .int32), starts: try f.m(1, 2, .int32), into: table)
        },
        Mistake("a window larger than its picture", "a window of 5 × 5, stride 1, padding 0 does not fit 4 × 4") {
            f throws(ComputeError) in
            try f.stream.unfold(
                try f.m(16, 1), WindowGrid(height: 4, width: 4, windowHeight: 5, windowWidth: 5), into: try f.m(1, 25))
        },
        Mistake("windows, shapes", "pixels 16 × 2, windows 9 × 4 of 3 × 3 places") { f throws(ComputeError) in
            try f.stream.fold(
                try f.m(9, 4), WindowGrid(height: 4, width: 4, windowHeight: 2, windowWidth: 2), into: try f.m(16, 2))
        },
        Mistake("pooling, places", "places 4 × 2, output 4 × 1") { f throws(ComputeError) in
            try f.stream.pool(
                try f.m(16, 1), WindowGrid(height: 4, width: 4, windowHeight: 2, windowWidth: 2, stride: 2),
                averages: false, into: try f.m(4, 1), places: try f.m(4, 2, .int32))
        },
        Mistake("rounding, step", "the step 0.0 is not above 0") { f throws(ComputeError) in
            try f.stream.quantize(try f.m(2, 5), step: 0, into: try f.m(2, 2, .int32))
        },
        Mistake("rounding, codes", "codes 2 × 1; expected 2 × 2") { f throws(ComputeError) in
            try f.stream.quantize(try f.m(2, 5), step: 1, into: try f.m(2, 1, .int32))
        },
        Mistake("integers, shapes", "a 2 × 3, b 4 × 2, output 2 × 4") { f throws(ComputeError) in
            try f.stream.quantizedGemm(
                try f.m(2, 3, .int32), step: 1, try f.m(4, 2, .int32), scales: try f.m(1, 4), into: try f.m(2, 4))
        },
        Mistake("products of one vector", "1 vectors; 2 or more") { f throws(ComputeError) in
            try f.stream.pairProducts(try f.m(2, 4), vectors: 1, into: try f.m(2, 0))
        },
        Mistake("products, shapes", "input 2 × 6 of 3 vectors, products 2 × 4") { f throws(ComputeError) in
            try f.stream.pairProductsGradient(
                try f.m(2, 6), vectors: 3, outputGradient: try f.m(2, 4), into: try f.m(2, 6))
        },
    ]
}

/// Mistakes with fused perceptrons, which are refused like the others where they are supported at all.
extension ValidationTests {
    static let perceptronMistakes: [Mistake] = [
        Mistake("a perceptron of no layers", "0 layers; 1 to 8 can be fused") { f throws(ComputeError) in
            try f.perceptron(layers: [])
        },
        Mistake("a perceptron that does not fit its features", "layer 0 has weights 2 × 4 for 3 inputs") {
            f throws(ComputeError) in
            let p = try f.m(1, 11)
            try f.perceptron(
                parameters: p,
                layers: [
                    PerceptronLayer(weight: try f.window(p, 0, 2, 4), bias: try f.window(p, 8, 1, 2), activation: .relu)
                ])
        },
        Mistake("a layer that lies elsewhere", "layer 0 is not part of the parameters") { f throws(ComputeError) in
            try f.perceptron(
                layers: [PerceptronLayer(weight: try f.m(1, 3), bias: try f.m(1, 1), activation: .relu)])
        },
        Mistake("a perceptron's controls", "controls are 1 × 4, expected 2 × 4") { f throws(ComputeError) in
            try f.perceptron(controls: try f.m(1, 4))
        },
        Mistake("a perceptron's targets", "targets are 4 × 1, expected 5 × 1") { f throws(ComputeError) in
            try f.perceptron(targets: try f.m(4, 1))
        },
    ]
}

extension ValidationTests.Fixture {
    func window(_ vector: Matrix, _ offset: Int, _ rows: Int, _ columns: Int) throws(ComputeError) -> Matrix {
        try Matrix(
            storage: vector.storage, elementType: .float32, offset: offset, rows: rows, columns: columns,
            rowStride: columns)
    }

    /// One layer of 3 inputs and an output, on 5 rows in batches of 2.
    func perceptron(
        parameters: Matrix? = nil, layers: [PerceptronLayer]? = nil, targets: Matrix? = nil, controls: Matrix? = nil
    ) throws(ComputeError) {
        let own = try m(1, 4)
        let (x, y, c) = (try m(5, 3), try m(5, 1), try m(2, 4))
        let layer = PerceptronLayer(
            weight: try window(own, 0, 1, 3), bias: try window(own, 3, 1, 1), activation: .identity)
        try stream.perceptronSteps(
            layers ?? [layer], method: .gradientDescent(momentum: 0, nesterov: false), parameters: parameters ?? own,
            features: x, loss: .element(.squared, targets: targets ?? y), order: try m(1, 3, .int32), batch: 2,
            controls: controls ?? c, total: try m(1, 2))
    }
}
