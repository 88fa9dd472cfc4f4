/// Many small products at once: `output_i = alpha · op(a_i) · op(b_i) + beta · output_i` for i in `0 ..< count`.
///
/// The matrices of one operand stand below each other in one table, all of one shape: rows `i · r ..< (i + 1) · r` are
/// number i. A single small product costs less than its launch; a batch of them is worth one.
public struct BatchedGemm: Sendable {
    public let count: Int
    /// count · m × k, or count · k × m when transposed.
    public let a: Matrix
    public let transposeA: Bool
    /// count · k × n, or count · n × k when transposed.
    public let b: Matrix
    public let transposeB: Bool
    public let alpha: Float
    public let beta: Float
    /// count · m × n; not read when `beta` is 0.
    public let output: Matrix

    /// Rows of one output.
    public var m: Int { output.rows / count }
    /// Columns of one output.
    public var n: Int { output.columns }
    /// Length of the sums.
    public var k: Int { transposeA ? a.rows / count : a.columns }

    /// The operands of product number `index`.
    public func product(_ index: Int) -> (a: Matrix, b: Matrix, output: Matrix) {
        func part(_ table: Matrix) -> Matrix {
            let rows = table.rows / count
            return table.rows(index * rows..<(index + 1) * rows)
        }
        return (part(a), part(b), part(output))
    }
}

extension Stream {
    /// `output_i = alpha · op(a_i) · op(b_i) + beta · output_i` for `count` products of one shape, whose operands stand
    /// below each other in their tables.
    ///
    /// - Parameters:
    ///   - count: number of products, at least 1.
    ///   - a: count · m × k, or count · k × m with `transposeA`.
    ///   - b: count · k × n, or count · n × k with `transposeB`.
    ///   - output: count · m × n; not read when `beta` is 0; must not overlap an input.
    /// - Complexity: 2 · count · m · n · k floating-point operations.
    public func batchedGemm(
        count: Int, _ a: Matrix, transposeA: Bool = false, _ b: Matrix, transposeB: Bool = false, alpha: Float = 1,
        beta: Float = 0, into output: Matrix
    ) throws(ComputeError) {
        let name = "batchedGemm"
        for matrix in [a, b, output] { try check(matrix, name) }
        try require(count > 0, name, "a batch of \(count) products; at least 1 is needed")
        for (operand, matrix) in [("a", a), ("b", b), ("output", output)] {
            try require(
                matrix.rows % count == 0, name,
                "\(operand) is \(matrix.shape), whose rows don't divide into \(count) products")
        }
        let (m, k) = transposeA ? (a.columns, a.rows / count) : (a.rows / count, a.columns)
        let (k2, n) = transposeB ? (b.columns, b.rows / count) : (b.rows / count, b.columns)
        try require(
            k == k2 && output.rows == count * m && output.columns == n, name,
            "\(count) products: a \(a.shape)\(transposeA ? " transposed" : ""), "
                + "b \(b.shape)\(transposeB ? " transposed" : ""), output \(output.shape)")
        try requireDisjoint(output, [a, b], name)
        guard output.count > 0 else { return }
        try submit(
            .batchedGemm(
                BatchedGemm(
                    count: count, a: a, transposeA: transposeA, b: b, transposeB: transposeB, alpha: alpha, beta: beta,
                    output: output)))
    }
}
