import CVectorLoops
import Compute

/// Batch normalization (kernels/network_batch_norm.cl).
extension CPUBackend {
    func batchNorm(_ x: BatchNorm) {
        chunks(x.output) { begin, end in
            apus_network_batch_norm(
                x.input.floats, x.input.stride, x.mean.floats, x.inverse.floats, x.gain.floats, x.bias.floats,
                x.output.floats, x.output.stride, Int64(x.output.columns), begin, end)
        }
    }

    func batchNormProducts(_ x: BatchNormProducts) {
        let outer = x.gradient?.output ?? x.input
        chunks(x.products) { begin, end in
            apus_network_batch_norm_products(
                x.input.floats, x.input.stride, x.mean.floats, (x.gradient?.inverse ?? x.mean).floats, outer.floats,
                outer.stride, x.gradient == nil ? 0 : 1, x.products.floats, x.products.stride,
                Int64(x.products.columns), begin, end)
        }
    }

    func batchNormStatistics(_ x: BatchNormStatistics) {
        apus_network_batch_norm_statistics(
            x.mean.floats, x.squares.floats, 1 / Float(x.count), x.unbiased, x.epsilon, x.running?.momentum ?? 0,
            x.running == nil ? 0 : 1, x.inverse.floats, (x.running?.mean ?? x.inverse).floats,
            (x.running?.variance ?? x.inverse).floats, Int64(x.mean.columns), 0, 1)
    }

    func batchNormGradient(_ x: BatchNormGradient) {
        chunks(x.inputGradient) { begin, end in
            apus_network_batch_norm_gradient(
                x.input.floats, x.input.stride, x.mean.floats, x.inverse.floats, x.gain.floats,
                x.outputGradient.floats, x.outputGradient.stride, x.sums.outputGradient.floats,
                x.sums.products.floats, x.reciprocal, x.inputGradient.floats, x.inputGradient.stride,
                Int64(x.input.columns), begin, end)
        }
    }
}
