/// `codes[i, :] = input[i, :] / step`, rounded to even and limited to ±127, four bytes to a word; what the last word of a
/// row lacks is 0, and so is NaN.
public struct Quantize: Sendable {
    /// m × k
    public let input: Matrix
    /// The inverse of the step, which is what the codes are defined by.
    public let inverse: Float
    /// m × ⌈k / 4⌉, int32.
    public let codes: Matrix
}

/// `output[i, j] = activation(step · scales[j] · Σ a[i, ·] b[j, ·] + bias[j])`, the sum over bytes and exact.
public struct QuantizedGemm: Sendable {
    /// m × words, int32: codes of ``Quantize``.
    public let a: Matrix
    /// Of the codes of `a`.
    public let step: Float
    /// n × words, int32.
    public let b: Matrix
    /// 1 × n: steps of the codes of each row of `b`.
    public let scales: Matrix
    /// 1 × n, or nil for 0.
    public let bias: Matrix?
    public let activation: Activation
    /// m × n
    public let output: Matrix
}

/// Products of 8-bit integers.
extension Stream {
    /// Rounds to 8 bits: `codes = input / step`.
    ///
    /// - Parameters:
    ///   - input: m × k.
    ///   - step: above 0; what lies beyond 127 steps is cut off.
    ///   - codes: m × ⌈k / 4⌉, int32: four codes to a word, the first in its lowest byte.
    public func quantize(_ input: Matrix, step: Float, into codes: Matrix) throws(ComputeError) {
        let name = "quantize"
        try check(input, name)
        try check(codes, name, .int32)
        try require(
            codes.rows == input.rows && codes.columns == (input.columns + 3) / 4, name,
            "input \(input.shape), codes \(codes.shape); expected \(input.rows) × \((input.columns + 3) / 4)")
        try require(step > 0 && (1 / step).isFinite, name, "the step \(step) is not above 0")
        try requireDisjoint(codes, [input], name)
        guard codes.count > 0 else { return }
        try submit(.network(.quantize(Quantize(input: input, inverse: 1 / step, codes: codes))))
    }

    /// The product of two matrices of codes, the second transposed, scaled to float32.
    ///
    /// - Parameters:
    ///   - a: m × words, int32.
    ///   - step: what a code of `a` stands for.
    ///   - b: n × words, int32.
    ///   - scales: 1 × n: what a code of each row of `b` stands for.
    ///   - bias: 1 × n, or nil for 0.
    ///   - output: m × n.
    public func quantizedGemm(
        _ a: Matrix, step: Float, _ b: Matrix, scales: Matrix, bias: Matrix? = nil, activation: Activation = .identity,
        into output: Matrix
    ) throws(ComputeError) {
        let name = "quantizedGemm"
        try check(a, name, .int32)
        try check(b, name, .int32)
        try check(output, name)
        try checkRow(scales, b.rows, name, "scales")
        if let bias { try checkRow(bias, b.rows, name, "bias") }
        try require(
            a.columns == b.columns && output.rows == a.rows && output.columns == b.rows, name,
            "a \(a.shape), b \(b.shape), output \(output.shape)")
        // The largest sum that 32 bits hold, of products up to 255 · 127.
        try require(a.columns <= 1 << 14, name, "rows of \(a.columns) words are longer than 16384")
        try requireDisjoint(output, [a, b, scales] + (bias.map { [$0] } ?? []), name)
        guard output.count > 0 else { return }
        try submit(
            .network(
                .quantizedGemm(
                    QuantizedGemm(
                        a: a, step: step, b: b, scales: scales, bias: bias, activation: activation, output: output))))
    }
}
