/// `output = (input − mean) · inverse · gain + bias`, column by column; may work in place.
public struct BatchNorm: Sendable {
    /// m × n
    public let input: Matrix
    /// 1 × n
    public let mean: Matrix
    /// 1 × n: the inverses of the deviations.
    public let inverse: Matrix
    /// 1 × n
    public let gain: Matrix
    /// 1 × n
    public let bias: Matrix
    /// m × n
    public let output: Matrix
}

/// What is added up over the columns: `(input − mean)²`, or `outputGradient · (input − mean) · inverse`, whose sums are the
/// gradient of the gain.
public struct BatchNormProducts: Sendable {
    /// m × n
    public let input: Matrix
    /// 1 × n
    public let mean: Matrix
    /// 1 × n and m × n; nil for the squares.
    public let gradient: (inverse: Matrix, output: Matrix)?
    /// m × n
    public let products: Matrix
}

/// `inverse = 1 / √(squares / count + epsilon)`, and running statistics that move by a momentum towards mean and unbiased
/// variance.
public struct BatchNormStatistics: Sendable {
    /// 1 × n
    public let mean: Matrix
    /// 1 × n: sums of the squares of the distances from the mean.
    public let squares: Matrix
    /// Elements of a column.
    public let count: Int
    public let epsilon: Float
    /// 1 × n
    public let inverse: Matrix
    /// Each 1 × n, and between 0 and 1; nil where nothing moves.
    public let running: (mean: Matrix, variance: Matrix, momentum: Float)?

    /// 1 / (count − 1); 0 where there is one element, which has no variance.
    public var unbiased: Float { count > 1 ? 1 / Float(count - 1) : 0 }
}

/// The gradient of ``BatchNorm`` with respect to its input:
/// `gain · inverse · (outputGradient − (Σ outputGradient + normal · Σ outputGradient · normal) / count)`, sums over columns.
public struct BatchNormGradient: Sendable {
    /// m × n
    public let input: Matrix
    /// 1 × n
    public let mean: Matrix
    /// 1 × n
    public let inverse: Matrix
    /// 1 × n
    public let gain: Matrix
    /// m × n
    public let outputGradient: Matrix
    /// Each 1 × n: the column sums of the gradient, and of ``BatchNormProducts``.
    public let sums: (outputGradient: Matrix, products: Matrix)
    /// 1 / count, or 0 where mean and inverse don't depend on the input.
    public let reciprocal: Float
    /// m × n; may be `outputGradient`.
    public let inputGradient: Matrix
}

/// Batch normalization (Ioffe and Szegedy 2015). The statistics of a batch are column sums between these steps.
extension Stream {
    /// Standardizes, scales and shifts every column.
    ///
    /// - Parameters:
    ///   - mean: 1 × n, as `inverse`, `gain` and `bias`.
    ///   - output: m × n; may be the input.
    public func batchNorm(
        _ input: Matrix, mean: Matrix, inverse: Matrix, gain: Matrix, bias: Matrix, into output: Matrix
    ) throws(ComputeError) {
        let name = "batchNorm"
        try checkAlike([input, output], name)
        let vectors = [("mean", mean), ("inverse", inverse), ("gain", gain), ("bias", bias)]
        for (label, vector) in vectors { try checkRow(vector, input.columns, name, label) }
        if !same(input, output) { try requireDisjoint(output, [input], name) }
        try requireDisjoint(output, vectors.map(\.1), name)
        guard input.count > 0 else { return }
        try submit(
            .network(
                .batchNorm(
                    BatchNorm(input: input, mean: mean, inverse: inverse, gain: gain, bias: bias, output: output))))
    }

    /// The squares of the distances from the mean; with a gradient its products with the normalized input.
    ///
    /// - Parameters:
    ///   - gradient: the inverse deviations, 1 × n, and the gradient of the output, m × n.
    ///   - products: m × n, not the input.
    public func batchNormProducts(
        _ input: Matrix, mean: Matrix, gradient: (inverse: Matrix, output: Matrix)?, into products: Matrix
    ) throws(ComputeError) {
        let name = "batchNormProducts"
        try checkAlike([input, gradient?.output ?? input, products], name)
        try checkRow(mean, input.columns, name, "mean")
        if let gradient { try checkRow(gradient.inverse, input.columns, name, "inverse") }
        try requireDisjoint(products, [input, mean] + (gradient.map { [$0.inverse, $0.output] } ?? []), name)
        guard input.count > 0 else { return }
        try submit(
            .network(
                .batchNormProducts(
                    BatchNormProducts(input: input, mean: mean, gradient: gradient, products: products))))
    }

    /// The inverse deviations, and the step of the running statistics.
    ///
    /// - Parameters:
    ///   - squares: 1 × n, sums over columns of ``batchNormProducts(_:mean:gradient:into:)``.
    ///   - count: elements of a column, 1 or more.
    ///   - epsilon: above 0.
    ///   - running: mean and variance, 1 × n each, and a momentum from 0 to 1.
    public func batchNormStatistics(
        mean: Matrix, squares: Matrix, count: Int, epsilon: Float, into inverse: Matrix,
        running: (mean: Matrix, variance: Matrix, momentum: Float)?
    ) throws(ComputeError) {
        let name = "batchNormStatistics"
        let columns = mean.columns
        try checkRow(mean, columns, name, "mean")
        try checkRow(squares, columns, name, "squares")
        try checkRow(inverse, columns, name, "inverse")
        try require(count > 0, name, "a count of \(count) is not above 0")
        try require(epsilon > 0, name, "epsilon \(epsilon) is not above 0")
        try requireDisjoint(inverse, [mean, squares], name)
        if let running {
            try checkRow(running.mean, columns, name, "running mean")
            try checkRow(running.variance, columns, name, "running variance")
            try require(
                running.momentum >= 0 && running.momentum <= 1, name, "momentum \(running.momentum) is not in 0 ... 1")
            try requireDisjoint(running.mean, [mean, squares, inverse, running.variance], name)
            try requireDisjoint(running.variance, [mean, squares, inverse], name)
        }
        guard columns > 0 else { return }
        try submit(
            .network(
                .batchNormStatistics(
                    BatchNormStatistics(
                        mean: mean, squares: squares, count: count, epsilon: epsilon, inverse: inverse,
                        running: running))))
    }

    /// The gradient of ``batchNorm(_:mean:inverse:gain:bias:into:)`` with respect to its input.
    ///
    /// - Parameters:
    ///   - sums: 1 × n each: the column sums of the gradient, and of its products with the normalized input.
    ///   - count: elements of a column; nil where mean and deviation don't depend on the input.
    ///   - inputGradient: m × n; may be `outputGradient`.
    public func batchNormGradient(
        _ input: Matrix, mean: Matrix, inverse: Matrix, gain: Matrix, outputGradient: Matrix,
        sums: (outputGradient: Matrix, products: Matrix), count: Int?, into inputGradient: Matrix
    ) throws(ComputeError) {
        let name = "batchNormGradient"
        try checkAlike([input, outputGradient, inputGradient], name)
        let vectors = [
            ("mean", mean), ("inverse", inverse), ("gain", gain), ("sums", sums.outputGradient),
            ("sums of products", sums.products),
        ]
        for (label, vector) in vectors { try checkRow(vector, input.columns, name, label) }
        try require(count ?? 1 > 0, name, "a count of \(count ?? 1) is not above 0")
        if !same(inputGradient, outputGradient) { try requireDisjoint(inputGradient, [outputGradient], name) }
        try requireDisjoint(inputGradient, [input] + vectors.map(\.1), name)
        guard input.count > 0 else { return }
        try submit(
            .network(
                .batchNormGradient(
                    BatchNormGradient(
                        input: input, mean: mean, inverse: inverse, gain: gain, outputGradient: outputGradient,
                        sums: sums, reciprocal: count.map { 1 / Float($0) } ?? 0, inputGradient: inputGradient))))
    }
}
