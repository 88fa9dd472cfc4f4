import Compute
import Core

extension ResolvedLayer {
    /// The parameters of batch normalization, with PyTorch's names.
    static func batchNorm(
        _ epsilon: Float, _ momentum: Float, columns: Int, _ name: String, _ place: String
    ) throws(ParameterError) -> [ParameterDescription] {
        guard epsilon > 0 else { throw ParameterError(place, "epsilon must be above 0, not \(epsilon)") }
        guard momentum > 0, momentum <= 1 else {
            throw ParameterError(place, "momentum must be above 0 and at most 1, not \(momentum)")
        }
        func vector(_ own: String, _ value: Float, _ role: ParameterDescription.Role) -> ParameterDescription {
            ParameterDescription(name: "\(name).\(own)", shape: [columns], start: .constant(value), role: role)
        }
        return [
            vector("weight", 1, .trained), vector("bias", 0, .trained), vector("running_mean", 0, .statistic),
            vector("running_var", 1, .statistic),
            ParameterDescription(
                name: "\(name).num_batches_tracked", shape: [], start: .constant(0), role: .statistic),
        ]
    }

    /// A batch normalization that a batch of one example gives one row; itself, or inside of it.
    var normalizingSingleRows: ResolvedLayer? {
        if case .batchNorm = specification, input.rows == 1 { return self }
        return inner.lazy.compactMap(\.normalizingSingleRows).first
    }
}

/// Batch normalization (Ioffe and Szegedy 2015), as PyTorch's `BatchNorm1d` and `BatchNorm2d`.
extension LayerCompiler {
    func batchNorm(
        _ layer: ResolvedLayer, _ input: LayerFlow, _ epsilon: Float, _ momentum: Float
    ) throws(ComputeError) -> LayerFlow {
        let columns = input.shape.columns
        let (gain, shift) = (parameters.value("\(layer.name).weight"), parameters.value("\(layer.name).bias"))
        let runningMean = parameters.value("\(layer.name).running_mean")
        let runningVariance = parameters.value("\(layer.name).running_var")
        let output = try flow(input.shape)
        let inverse = try stream.allocate(rows: 1, columns: columns)
        let count = input.value.rows
        let mean: Matrix
        var scratch: Matrix?
        if usesBatchStatistics {
            mean = try stream.allocate(rows: 1, columns: columns)
            let sums = try stream.allocate(rows: 1, columns: columns)
            let products = try matrix(input.shape)
            let tracked = parameters.value("\(layer.name).num_batches_tracked")
            let one = try stream.upload([1] as [Float])
            add(forward: { stream throws(ComputeError) in
                try stream.columnSums(input.value, into: sums)
                try stream.combine(alpha: 1 / Float(count), sums, beta: 0, sums, into: mean)
                try stream.batchNormProducts(input.value, mean: mean, gradient: nil, into: products)
                try stream.columnSums(products, into: sums)
                // One row has no variance, and leaves the running statistics as they are.
                try stream.batchNormStatistics(
                    mean: mean, squares: sums, count: count, epsilon: epsilon, into: inverse,
                    running: count > 1 ? (runningMean, runningVariance, momentum) : nil)
                if count > 1 { try stream.combine(tracked, one, into: tracked) }
            })
            scratch = products
        } else {
            mean = runningMean
            add(forward: { stream throws(ComputeError) in
                try stream.batchNormStatistics(
                    mean: mean, squares: runningVariance, count: 1, epsilon: epsilon, into: inverse, running: nil)
            })
        }
        add(forward: { stream throws(ComputeError) in
            try stream.batchNorm(
                input.value, mean: mean, inverse: inverse, gain: gain, bias: shift, into: output.value)
        })
        guard training, let gradient = output.gradient else { return output }
        let products: Matrix
        if let scratch { products = scratch } else { products = try matrix(input.shape) }
        let gainGradient = parameters.gradient("\(layer.name).weight")
        let shiftGradient = parameters.gradient("\(layer.name).bias")
        let counted = usesBatchStatistics ? count : nil
        add(backward: { stream throws(ComputeError) in
            try stream.batchNormProducts(input.value, mean: mean, gradient: (inverse, gradient), into: products)
            try stream.columnSums(products, into: gainGradient)
            try stream.columnSums(gradient, into: shiftGradient)
            guard let inputGradient = input.gradient else { return }
            try stream.batchNormGradient(
                input.value, mean: mean, inverse: inverse, gain: gain, outputGradient: gradient,
                sums: (shiftGradient, gainGradient), count: counted, into: inputGradient)
        })
        return output
    }
}
