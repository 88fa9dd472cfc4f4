import Compute

/// Batch normalization in double precision.
extension OracleBackend {
    func run(_ x: BatchNorm) throws(ComputeError) {
        var values = try matrix(x.input)
        let (mean, inverse) = (try matrix(x.mean).elements, try matrix(x.inverse).elements)
        let (gain, bias) = (try matrix(x.gain).elements, try matrix(x.bias).elements)
        for place in values.elements.indices {
            let j = place % values.columns
            values.elements[place] = (values.elements[place] - mean[j]) * inverse[j] * gain[j] + bias[j]
        }
        try store(values, to: x.output)
    }

    func run(_ x: BatchNormProducts) throws(ComputeError) {
        var values = try matrix(x.input)
        let mean = try matrix(x.mean).elements
        let gradient = try x.gradient.map { g throws(ComputeError) in
            (try matrix(g.inverse).elements, try matrix(g.output).elements)
        }
        for place in values.elements.indices {
            let centred = values.elements[place] - mean[place % values.columns]
            values.elements[place] =
                gradient.map { $0.1[place] * centred * $0.0[place % values.columns] } ?? centred * centred
        }
        try store(values, to: x.products)
    }

    func run(_ x: BatchNormStatistics) throws(ComputeError) {
        let (mean, squares) = (try matrix(x.mean).elements, try matrix(x.squares).elements)
        try store(
            squares.map { Float(1 / ($0 / Double(x.count) + Double(x.epsilon)).squareRoot()) }, to: x.inverse)
        guard let running = x.running else { return }
        let momentum = Double(running.momentum)
        let (oldMean, oldVariance) = (try matrix(running.mean).elements, try matrix(running.variance).elements)
        let unbiased = x.count > 1 ? 1 / Double(x.count - 1) : 0
        try store(mean.indices.map { Float(oldMean[$0] + momentum * (mean[$0] - oldMean[$0])) }, to: running.mean)
        try store(
            mean.indices.map { Float(oldVariance[$0] + momentum * (squares[$0] * unbiased - oldVariance[$0])) },
            to: running.variance)
    }

    func run(_ x: BatchNormGradient) throws(ComputeError) {
        let input = try matrix(x.input)
        var gradient = try matrix(x.outputGradient)
        let (mean, inverse) = (try matrix(x.mean).elements, try matrix(x.inverse).elements)
        let gain = try matrix(x.gain).elements
        let (sums, aligned) = (try matrix(x.sums.outputGradient).elements, try matrix(x.sums.products).elements)
        for place in gradient.elements.indices {
            let j = place % gradient.columns
            let normal = (input.elements[place] - mean[j]) * inverse[j]
            gradient.elements[place] =
                gain[j] * inverse[j]
                * (gradient.elements[place] - (sums[j] + normal * aligned[j]) * Double(x.reciprocal))
        }
        try store(gradient, to: x.inputGradient)
    }
}
