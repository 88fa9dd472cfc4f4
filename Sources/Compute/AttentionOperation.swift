/// Scaled dot-product attention of many sequences of one length, head by head. With qᵢ, kⱼ, vⱼ the parts of a head of
/// rows i and j of one sequence (Vaswani and others 2017):
///
///     probabilities[i, :] = softmax over the keys j that row i may see of scale · qᵢ · kⱼ
///     output[i, head]     = Σ_j probabilities[i, j] · vⱼ
///
/// A row that may see no key gives 0.
public struct Attention: Sendable {
    /// Rows of one sequence.
    public let length: Int
    /// Parts that the columns are divided into.
    public let heads: Int
    /// Whether a row sees only itself and the rows before it.
    public let causal: Bool
    public let scale: Float
    /// (sequences · length) × (heads · width), all three.
    public let queries: Matrix
    public let keys: Matrix
    public let values: Matrix
    /// 1 × (sequences · length), int32: keys whose number is below 0 are seen by nobody; nil when all may be seen.
    public let padding: Matrix?
    /// (sequences · heads · length) × length: row `(sequence · heads + head) · length + i`.
    public let probabilities: Matrix
    /// (sequences · length) × (heads · width)
    public let output: Matrix

    /// Columns of a head.
    public var width: Int { queries.columns / heads }
}

/// The gradients of ``Attention``, from the probabilities that it left.
public struct AttentionGradient: Sendable {
    public let length: Int
    public let heads: Int
    public let causal: Bool
    public let scale: Float
    public let queries: Matrix
    public let keys: Matrix
    public let values: Matrix
    public let probabilities: Matrix
    /// (sequences · length) × (heads · width)
    public let outputGradient: Matrix
    /// As large as the probabilities: the gradients of the scores, scaled.
    public let scoreGradients: Matrix
    /// (sequences · length) × (heads · width), all three.
    public let queryGradient: Matrix
    public let keyGradient: Matrix
    public let valueGradient: Matrix

    /// Columns of a head.
    public var width: Int { queries.columns / heads }
}

extension Stream {
    /// Attention of sequences to themselves or to others of their length; ``Attention`` has the formula.
    ///
    /// - Parameters:
    ///   - queries, keys, values: (sequences · length) × (heads · width); windows of one table will do.
    ///   - length: rows of a sequence, at least 1.
    ///   - heads: at least 1, a divisor of the columns.
    ///   - causal: whether a row sees only itself and the rows before it.
    ///   - scale: of the scores; nil for 1 / √width.
    ///   - padding: 1 × rows, int32: keys whose number is below 0 are seen by nobody.
    ///   - probabilities: (rows · heads) × length.
    ///   - output: as large as the queries.
    /// - Complexity: 4 · rows · length · columns floating-point operations, half of them where `causal`.
    public func attention(
        queries: Matrix, keys: Matrix, values: Matrix, length: Int, heads: Int, causal: Bool, scale: Float? = nil,
        padding: Matrix? = nil, probabilities: Matrix, into output: Matrix
    ) throws(ComputeError) {
        let name = "attention"
        try checkAlike([queries, keys, values, output], name)
        try checkHeads(queries, length: length, heads: heads, probabilities, name)
        if let padding { try checkRow(padding, queries.rows, name, "padding", .int32) }
        let inputs = [queries, keys, values] + (padding.map { [$0] } ?? [])
        try requireDisjoint(output, inputs, name)
        try requireDisjoint(probabilities, inputs + [output], name)
        guard output.count > 0 else { return }
        try submit(
            .network(
                .attention(
                    Attention(
                        length: length, heads: heads, causal: causal,
                        scale: scale ?? 1 / Float(queries.columns / heads).squareRoot(), queries: queries, keys: keys,
                        values: values, padding: padding, probabilities: probabilities, output: output))))
    }

    /// The gradients of ``attention(queries:keys:values:length:heads:causal:scale:padding:probabilities:into:)``.
    ///
    /// - Parameters:
    ///   - probabilities: what the attention left; 0 where a key was not seen.
    ///   - scoreGradients: as large as the probabilities, for what the sums over queries and keys share.
    ///   - queryGradient, keyGradient, valueGradient: as large as the queries.
    public func attentionGradient(
        queries: Matrix, keys: Matrix, values: Matrix, length: Int, heads: Int, causal: Bool, scale: Float? = nil,
        probabilities: Matrix, outputGradient: Matrix, scoreGradients: Matrix, queryGradient: Matrix,
        keyGradient: Matrix, valueGradient: Matrix
    ) throws(ComputeError) {
        let name = "attentionGradient"
        try checkAlike([queries, keys, values, outputGradient, queryGradient, keyGradient, valueGradient], name)
        try checkHeads(queries, length: length, heads: heads, probabilities, name)
        try checkAlike([probabilities, scoreGradients], name)
        let inputs = [queries, keys, values, probabilities, outputGradient]
        let outputs = [scoreGradients, queryGradient, keyGradient, valueGradient]
        for (index, output) in outputs.enumerated() { try requireDisjoint(output, inputs + outputs[..<index], name) }
        guard queries.count > 0 else { return }
        try submit(
            .network(
                .attentionGradient(
                    AttentionGradient(
                        length: length, heads: heads, causal: causal,
                        scale: scale ?? 1 / Float(queries.columns / heads).squareRoot(), queries: queries, keys: keys,
                        values: values, probabilities: probabilities, outputGradient: outputGradient,
                        scoreGradients: scoreGradients, queryGradient: queryGradient, keyGradient: keyGradient,
                        valueGradient: valueGradient))))
    }

    private func checkHeads(
        _ queries: Matrix, length: Int, heads: Int, _ probabilities: Matrix, _ name: String
    ) throws(ComputeError) {
        try check(probabilities, name)
        try require(length > 0 && heads > 0, name, "sequences of \(length) with \(heads) heads")
        try require(
            queries.rows % length == 0, name, "\(queries.shape) does not divide into sequences of \(length) rows")
        try require(queries.columns % heads == 0, name, "\(queries.shape) does not divide into \(heads) heads")
        try require(
            probabilities.rows == queries.rows * heads && probabilities.columns == length, name,
            "probabilities are \(probabilities.shape), expected \(queries.rows * heads) × \(length)")
    }
}
