import Compute

/// Batch normalization (kernels/network_batch_norm.cl), one launch each.
extension Lowering {
    func batchNorm(_ x: BatchNorm) throws(ComputeError) {
        try batchNorm(
            "batch_norm", rows: x.output.rows, columns: x.output.columns,
            [matrix(x.input), vector(x.mean), vector(x.inverse), vector(x.gain), vector(x.bias), matrix(x.output)])
    }

    func batchNormProducts(_ x: BatchNormProducts) throws(ComputeError) {
        try batchNorm(
            "batch_norm_products", rows: x.products.rows, columns: x.products.columns,
            [
                matrix(x.input), vector(x.mean), vector(x.gradient?.inverse ?? x.mean),
                matrix(x.gradient?.output ?? x.input), [.int(x.gradient == nil ? 0 : 1)], matrix(x.products),
            ])
    }

    func batchNormStatistics(_ x: BatchNormStatistics) throws(ComputeError) {
        try batchNorm(
            "batch_norm_statistics", rows: 1, columns: x.mean.columns,
            [
                vector(x.mean), vector(x.squares),
                [
                    .float(1 / Float(x.count)), .float(x.unbiased), .float(x.epsilon),
                    .float(x.running?.momentum ?? 0), .int(x.running == nil ? 0 : 1),
                ], vector(x.inverse), vector(x.running?.mean ?? x.inverse), vector(x.running?.variance ?? x.inverse),
            ])
    }

    func batchNormGradient(_ x: BatchNormGradient) throws(ComputeError) {
        try batchNorm(
            "batch_norm_gradient", rows: x.input.rows, columns: x.input.columns,
            [
                matrix(x.input), vector(x.mean), vector(x.inverse), vector(x.gain), matrix(x.outputGradient),
                vector(x.sums.outputGradient), vector(x.sums.products), [.float(x.reciprocal)],
                matrix(x.inputGradient),
            ])
    }

    private func batchNorm(
        _ kernel: String, rows: Int, columns: Int, _ arguments: [[KernelArgument]]
    ) throws(ComputeError) {
        try self.rows(
            "network_batch_norm", kernel, rows: rows, columns: columns, arguments + [[.long(columns)]])
    }
}
