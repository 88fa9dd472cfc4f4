import Compute

/// Operations whose kernels are written apart for GPU-class devices, in kernels/*_gpu.cl. Operations on single elements
/// have one form for all classes.
///
/// Launches: gemm 1, or 2 when the sum is split; gram 2; columnSums 2; rowNorms, sparseTimesDense, observedLoss and
/// observedScores 1; topK 2 for each batch of queries and pass over 3,968 places; solveNormalEquations at most 5 for
/// exact, 2 for conjugate gradients, 1 for subspaces. How work is divided depends on shapes alone.
extension Lowering {
    /// Work-groups that fill the device.
    var gpuGroups: Int { context.tuning[.gpuGroups] }
    /// Bytes of scratch that one launch may ask for; it then works in batches.
    static var gpuScratchBytes: Int { 128 << 20 }

    /// A size as the kernels take it; shapes are bounded by Int32 indices.
    func size(_ value: Int) -> KernelArgument { .int(Int32(clamping: value)) }

    func flag(_ value: Bool) -> KernelArgument { .int(value ? 1 : 0) }

    // MARK: Products

    /// Tiles of `gemm_gpu.cl`.
    private struct GemmTiles {
        let m: Int
        let n: Int
        let work: Int
        let depth: Int
        let pad: Int
        var items: Int { m / work * (n / work) }
        var options: String { "-D TILE_M=\(m) -D TILE_N=\(n) -D WORK_M=\(work) -D WORK_N=\(work)" }
        /// Bytes of local memory: two slices of each operand, TILE_K deep.
        var localBytes: Int { 2 * depth * (m + n + 2 * pad) * 4 }

        /// The largest that leave enough groups to fill a device.
        static func chosen(m: Int, n: Int, _ tuning: KernelTuning, localMemoryBytes: Int) -> GemmTiles {
            let sizes = [
                (tuning[.largeTile], tuning[.largeWork]), (tuning[.mediumTile], tuning[.mediumWork]), (32, 4),
            ]
            let all = sizes.map {
                GemmTiles(m: $0, n: $0, work: $1, depth: tuning[.gemmTileK], pad: tuning[.gemmPad])
            }
            let groups = tuning[.gpuGroups]
            let enough = all.first {
                ceilDivide(m, $0.m) * ceilDivide(n, $0.n) >= groups / 4 && $0.localBytes <= localMemoryBytes
            }
            return enough ?? all[2]
        }
    }

    /// What is done with a finished sum: alpha, beta, bias and activation, as the kernels take them.
    func epilogue(_ operation: Gemm) throws(ComputeError) -> [KernelArgument] {
        let activation: Int32 =
            switch operation.activation {
            case .identity: 0
            case .relu: 1
            case .sigmoid: 2
            case .tanh: 3
            }
        return [.float(operation.alpha), .float(operation.beta), flag(operation.bias != nil)]
            + (try vector(operation.bias, else: operation.a)) + [.int(activation)]
    }

    /// What compiles the sigmoid and tanh into an epilogue: they make its text several times as long.
    func smoothOption(_ operation: Gemm) -> String {
        switch operation.activation {
        case .identity, .relu: ""
        case .sigmoid, .tanh: " -D SMOOTH"
        }
    }

    /// What tells the programs of gemm_gpu.cl apart by their operands.
    func transpositions(_ a: Bool, _ b: Bool) -> String {
        " -D TRANSPOSE_A=\(a ? 1 : 0) -D TRANSPOSE_B=\(b ? 1 : 0)"
    }

    /// - Parameter guarded: a word on the device; nothing is done where it is 0.
    func gemmGPU(_ operation: Gemm, guarded: OpenCLStorage? = nil) throws(ComputeError) {
        if guarded == nil && usesWarpgroups(operation) { return try gemmHopper(operation) }
        if guarded == nil && usesTensorUnits(operation) { return try gemmTensor(operation) }
        let (m, n, k) = (operation.m, operation.n, operation.k)
        let tiles = GemmTiles.chosen(m: m, n: n, context.tuning, localMemoryBytes: context.limits.localMemoryBytes)
        let (rowTiles, columnTiles) = (ceilDivide(m, tiles.m), ceilDivide(n, tiles.n))
        // Long sums are split when there are few tiles; a split has to be worth its sums.
        let wanted = min(gpuGroups / (rowTiles * columnTiles), k / 512)
        let slice = wanted > 1 ? roundUp(ceilDivide(k, wanted), tiles.depth) : max(k, tiles.depth)
        let splits = max(ceilDivide(k, slice), 1)
        let epilogue = try epilogue(operation)
        let guardWord: [KernelArgument] = guarded.map { [.buffer($0)] } ?? []
        let options =
            tiles.options + (guarded == nil ? "" : " -D GUARDED")
            + (operation.precision == .bfloat16 ? " -D ROUND_BFLOAT16" : "") + smoothOption(operation)
        let output = try matrix(operation.output)
        let partial =
            splits > 1 ? try scratch(byteCount: splits * m * n * 4) : try storage(operation.output)
        let band = context.tuning[.gemmBand]
        launch(
            "gemm_gpu", "gemm",
            options: options + transpositions(operation.transposeA, operation.transposeB),
            grid: WorkSize(columnTiles * band * tiles.items, ceilDivide(rowTiles, band), splits),
            group: WorkSize(tiles.items),
            [
                [size(m), size(n), size(k)], try matrix(operation.a), try matrix(operation.b), epilogue, output,
                [.long(slice), .buffer(partial)], guardWord,
            ])
        if splits > 1 { combine(operation, splits: splits, partial, epilogue, output, guardWord) }
    }

    /// Adds up the sums of splits, and finishes the product.
    func combine(
        _ operation: Gemm, splits: Int, _ partial: OpenCLStorage, _ epilogue: [KernelArgument],
        _ output: [KernelArgument], _ guardWord: [KernelArgument] = []
    ) {
        let (m, n) = (operation.m, operation.n)
        launch(
            "gemm_gpu", "gemm_combine",
            options: "-D COMBINE" + (guardWord.isEmpty ? "" : " -D GUARDED") + smoothOption(operation),
            grid: WorkSize(roundUp(n, 64), roundUp(m, 4)), group: WorkSize(64, 4),
            [[size(m), size(n), size(splits), .buffer(partial)], epilogue, output, guardWord])
    }

    func gramGPU(_ operation: Gram) throws(ComputeError) {
        let (rows, d) = (operation.input.rows, operation.input.columns)
        // TILE is 64 and a work-item owns 4 x 4 sums.
        let side = ceilDivide(d, 64)
        let tiles = side * (side + 1) / 2
        let chunkRows = max(roundUp(ceilDivide(rows, ceilDivide(gpuGroups, tiles)), 16), 512)
        let chunks = ceilDivide(rows, chunkRows)
        let partial = try scratch(byteCount: max(chunks, 1) * tiles * 64 * 64 * 8)
        if chunks > 0 {
            launch(
                "gram_gpu", "gram_partial", grid: WorkSize(tiles * 256, chunks), group: WorkSize(256),
                [
                    [.long(rows), size(d)], try matrix(operation.input), [.long(chunkRows), .buffer(partial)],
                ])
        }
        launch(
            "gram_gpu", "gram_combine", grid: WorkSize(roundUp(d, 32), roundUp(d, 8)), group: WorkSize(32, 8),
            [[size(d), size(chunks), .buffer(partial)], try matrix(operation.output)])
    }

    func sparseTimesDenseGPU(_ operation: SparseTimesDense) throws(ComputeError) {
        let (rows, d) = (operation.sparse.rows, operation.output.columns)
        launch(
            "sparse_gpu", "sparse_times_dense", grid: WorkSize(ceilDivide(d, 64) * 32, roundUp(rows, 4)),
            group: WorkSize(32, 4),
            [
                [size(rows), size(d)], try entries(operation.sparse), try matrix(operation.dense),
                [.float(operation.alpha), .float(operation.beta)], try matrix(operation.output),
            ])
    }

    // MARK: Reductions

    func columnSumsGPU(_ operation: ColumnSums) throws(ComputeError) {
        let (rows, columns) = (operation.input.rows, operation.input.columns)
        let groups = ceilDivide(columns, 64)
        let chunkRows = max(ceilDivide(rows, ceilDivide(gpuGroups, groups)), 64)
        let chunks = ceilDivide(rows, chunkRows)
        let partial = try scratch(byteCount: max(chunks, 1) * columns * 8)
        if chunks > 0 {
            launch(
                "reductions_gpu", "column_sums_partial", grid: WorkSize(groups * 64, chunks * 4),
                group: WorkSize(64, 4),
                [
                    [.long(rows), size(columns)], try matrix(operation.input),
                    [.long(chunkRows), .buffer(partial)],
                ])
        }
        launch(
            "reductions_gpu", "column_sums_total", grid: WorkSize(groups * 64), group: WorkSize(64),
            [[size(columns), size(chunks), .buffer(partial)], try vector(operation.output)])
    }

    func rowNormsGPU(_ operation: RowNorms) throws(ComputeError) {
        let (rows, columns) = (operation.input.rows, operation.input.columns)
        launch(
            "reductions_gpu", "row_norms", grid: WorkSize(32, roundUp(rows, 4)), group: WorkSize(32, 4),
            [
                [size(rows), size(columns)], try matrix(operation.input), [flag(operation.squared)],
                try vector(operation.output),
            ])
    }

    // MARK: Observed entries

    func observedLossGPU(_ operation: ObservedLoss) throws(ComputeError) {
        let sparse = operation.sparse
        let rowGroup = context.tuning[.rowGroup]
        launch(
            "sparse_gpu", "observed_loss", grid: WorkSize(sparse.rows * rowGroup), group: WorkSize(rowGroup),
            [
                [size(sparse.rows), size(operation.a.columns)], try entries(sparse),
                [flag(operation.weighted), flag(operation.targets != nil)],
                try vector(operation.targets, else: sparse.values), try matrix(operation.a),
                try matrix(operation.b), try vector(operation.output),
            ])
    }

    func observedScoresGPU(_ operation: ObservedScores) throws(ComputeError) {
        let pairs = operation.output.columns
        let rowGroup = context.tuning[.rowGroup]
        launch(
            "sparse_gpu", "observed_scores", grid: WorkSize(roundUp(pairs, rowGroup)), group: WorkSize(rowGroup),
            [
                [size(pairs), size(operation.a.columns), size(operation.a.rows), size(operation.b.rows)],
                try vector(operation.rowIndices), try vector(operation.columnIndices), try matrix(operation.a),
                try matrix(operation.b), try vector(operation.output),
            ])
    }
}
