/// Dense and sparse products, sums and norms.
extension Stream {
    /// `output[...] = value`. float32 or int32.
    public func fill(_ output: Matrix, with value: Float) throws(ComputeError) {
        guard output.elementType != .int64 else {
            throw .invalidArgument(operation: "fill", reason: "int64 is not supported")
        }
        try check(output, "fill", output.elementType)
        guard output.count > 0 else { return }
        try submit(.fill(Fill(output: output, value: value)))
    }

    /// `output = input`; one shape, one type (float32 or int32), no overlap.
    public func copy(_ input: Matrix, to output: Matrix) throws(ComputeError) {
        guard input.elementType != .int64 else {
            throw .invalidArgument(operation: "copy", reason: "int64 is not supported")
        }
        try check(input, "copy", input.elementType)
        try check(output, "copy", input.elementType)
        try require(
            input.rows == output.rows && input.columns == output.columns, "copy",
            "input is \(input.shape), output \(output.shape)")
        try requireDisjoint(output, [input], "copy")
        guard output.count > 0 else { return }
        try submit(.copy(Copy(input: input, output: output)))
    }

    /// `output[i, :] = table[indices[i], :]`; an index outside the table gives a row of NaN.
    ///
    /// - Parameters:
    ///   - table: n × d, float32.
    ///   - indices: 1 × m, int32.
    ///   - output: m × d, float32.
    public func gather(_ table: Matrix, rows indices: Matrix, into output: Matrix) throws(ComputeError) {
        try check(table, "gather")
        try check(indices, "gather", .int32)
        try check(output, "gather")
        try require(
            indices.rows == 1 && output.rows == indices.columns && output.columns == table.columns, "gather",
            "table \(table.shape), indices \(indices.shape), output \(output.shape)")
        try requireDisjoint(output, [table, indices], "gather")
        guard output.count > 0 else { return }
        try submit(.gather(Gather(table: table, indices: indices, output: output)))
    }

    /// `output = activation(alpha · op(a) · op(b) + beta · output + bias)`, float32.
    ///
    /// - Parameters:
    ///   - a: m × k, or k × m with `transposeA`.
    ///   - b: k × n, or n × k with `transposeB`.
    ///   - bias: 1 × n, added to every row, or nil.
    ///   - precision: how the operands are taken; not every device has bfloat16 (``Device/productPrecisions``).
    ///   - output: m × n; not read when `beta` is 0; must not overlap an input.
    /// - Complexity: 2 · m · n · k floating-point operations.
    public func gemm(
        _ a: Matrix, transposeA: Bool = false, _ b: Matrix, transposeB: Bool = false, alpha: Float = 1,
        beta: Float = 0, bias: Matrix? = nil, activation: Activation = .identity,
        precision: ProductPrecision = .float32, into output: Matrix
    ) throws(ComputeError) {
        guard device.productPrecisions.contains(precision) else {
            throw .unsupported(
                device: device.identity.name, operation: "gemm", reason: "it has no products of \(precision.rawValue)")
        }
        for matrix in [a, b, output] { try check(matrix, "gemm") }
        let (m, k) = transposeA ? (a.columns, a.rows) : (a.rows, a.columns)
        let (k2, n) = transposeB ? (b.columns, b.rows) : (b.rows, b.columns)
        try require(
            k == k2 && output.rows == m && output.columns == n, "gemm",
            "a \(a.shape)\(transposeA ? " transposed" : ""), b \(b.shape)\(transposeB ? " transposed" : ""), "
                + "output \(output.shape)")
        if let bias {
            try check(bias, "gemm")
            try require(
                bias.rows == 1 && bias.columns == n, "gemm", "bias is \(bias.shape), the output has \(n) columns")
        }
        try requireDisjoint(output, [a, b] + (bias.map { [$0] } ?? []), "gemm")
        guard output.count > 0 else { return }
        try submit(
            .gemm(
                Gemm(
                    a: a, transposeA: transposeA, b: b, transposeB: transposeB, alpha: alpha, beta: beta, bias: bias,
                    activation: activation, precision: precision, output: output)))
    }

    /// `output = inputᵀ · input`: n × d gives d × d, both triangles. Chunks of rows are added up in wider precision.
    /// - Complexity: n · d² floating-point operations (one triangle).
    public func gram(_ input: Matrix, into output: Matrix) throws(ComputeError) {
        try check(input, "gram")
        try check(output, "gram")
        try require(
            output.rows == input.columns && output.columns == input.columns, "gram",
            "input \(input.shape), output \(output.shape)")
        try requireDisjoint(output, [input], "gram")
        guard output.count > 0 else { return }
        try submit(.gram(Gram(input: input, output: output)))
    }

    /// `output = alpha · sparse · dense + beta · output`; the output is not read when `beta` is 0.
    /// - Complexity: 2 · entries · d.
    public func multiply(
        _ sparse: SparseMatrix, _ dense: Matrix, alpha: Float = 1, beta: Float = 0, into output: Matrix
    ) throws(ComputeError) {
        try check(sparse, "sparseTimesDense")
        try check(dense, "sparseTimesDense")
        try check(output, "sparseTimesDense")
        try require(
            dense.rows == sparse.columns && output.rows == sparse.rows && output.columns == dense.columns,
            "sparseTimesDense", "sparse \(sparse.shape), dense \(dense.shape), output \(output.shape)")
        try requireDisjoint(output, [dense], "sparseTimesDense")
        guard output.count > 0 else { return }
        try submit(
            .sparseTimesDense(
                SparseTimesDense(sparse: sparse, dense: dense, alpha: alpha, beta: beta, output: output)))
    }

    /// `output[j] = Σ_i input[i, j]`, 1 × d, accumulated in wider precision.
    public func columnSums(_ input: Matrix, into output: Matrix) throws(ComputeError) {
        try check(input, "columnSums")
        try check(output, "columnSums")
        try require(
            output.rows == 1 && output.columns == input.columns, "columnSums",
            "input \(input.shape), output \(output.shape)")
        try requireDisjoint(output, [input], "columnSums")
        guard output.count > 0 else { return }
        try submit(.columnSums(ColumnSums(input: input, output: output)))
    }

    /// `output[i] = ‖input[i, :]‖` (1 × n), or its square.
    public func rowNorms(_ input: Matrix, squared: Bool = false, into output: Matrix) throws(ComputeError) {
        try check(input, "rowNorms")
        try check(output, "rowNorms")
        try require(
            output.rows == 1 && output.columns == input.rows, "rowNorms",
            "input \(input.shape), output \(output.shape)")
        try requireDisjoint(output, [input], "rowNorms")
        guard output.count > 0 else { return }
        try submit(.rowNorms(RowNorms(input: input, squared: squared, output: output)))
    }

    /// `output[i, :] = input[i, :] · factors[i]`, or divided by it (a factor of 0 then gives 0). `output` may be
    /// `input` itself.
    public func scaleRows(
        _ input: Matrix, by factors: Matrix, divide: Bool = false, into output: Matrix
    ) throws(ComputeError) {
        try check(input, "scaleRows")
        try check(factors, "scaleRows")
        try check(output, "scaleRows")
        try require(
            factors.rows == 1 && factors.columns == input.rows && output.rows == input.rows
                && output.columns == input.columns, "scaleRows",
            "input \(input.shape), factors \(factors.shape), output \(output.shape)")
        if !same(input, output) { try requireDisjoint(output, [input], "scaleRows") }
        try requireDisjoint(output, [factors], "scaleRows")
        guard output.count > 0 else { return }
        try submit(.scaleRows(ScaleRows(input: input, factors: factors, divide: divide, output: output)))
    }

    /// Philox uniforms in [0, 1): element (i, j) is number `start + i · columns + j`, to the bit on every device.
    public func randomUniform(
        _ output: Matrix, seed: UInt64, stream: UInt64, start: UInt64 = 0
    ) throws(ComputeError) {
        try check(output, "randomUniform")
        guard output.count > 0 else { return }
        try submit(.randomUniform(RandomUniform(seed: seed, stream: stream, start: start, output: output)))
    }

    // MARK: Checks

    func require(_ condition: Bool, _ operation: String, _ reason: @autoclosure () -> String) throws(ComputeError) {
        guard condition else { throw .invalidArgument(operation: operation, reason: reason()) }
    }

    func check(_ sparse: SparseMatrix, _ operation: String) throws(ComputeError) {
        try check(sparse.rowPointers, operation, .int64)
        try check(sparse.columnIndices, operation, .int32)
        try check(sparse.values, operation)
    }

    func same(_ a: Matrix, _ b: Matrix) -> Bool {
        a.storage === b.storage && a.offset == b.offset && a.rowStride == b.rowStride
    }

    /// Refuses an output whose elements lie among those of an input. Two windows of columns of one table do not
    /// overlap, although their address ranges do.
    func requireDisjoint(_ output: Matrix, _ inputs: [Matrix], _ operation: String) throws(ComputeError) {
        for input in inputs where input.storage === output.storage && input.count > 0 && output.count > 0 {
            let inputEnd = input.offset + (input.rows - 1) * input.rowStride + input.columns
            let outputEnd = output.offset + (output.rows - 1) * output.rowStride + output.columns
            if inputEnd <= output.offset || outputEnd <= input.offset { continue }
            if input.rowStride == output.rowStride {
                let stride = input.rowStride
                let a = input.offset % stride
                let b = output.offset % stride
                let wraps = a + input.columns > stride || b + output.columns > stride
                if !wraps && (a + input.columns <= b || b + output.columns <= a) { continue }
            }
            throw .invalidArgument(operation: operation, reason: "the output overlaps an input")
        }
    }
}
