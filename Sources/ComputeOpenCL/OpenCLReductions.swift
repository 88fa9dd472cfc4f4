import Compute

/// Sums over rows and columns, Gram matrices and sparse products on CPU-class devices.
///
/// Launches: gram 2, columnSums 2, the others 1 each. Chunks of rows depend on the shape alone.
extension Lowering {
    func gram(_ operation: Gram) throws(ComputeError) {
        let (rows, d) = (operation.input.rows, operation.input.columns)
        let block = 96
        let blocks = ceilDivide(d, block)
        let pairs = blocks * (blocks + 1) / 2
        // Chunks of whole runs of 512 rows, which is where sums change to double precision.
        let chunksWanted = max(min(ceilDivide(128, pairs), ceilDivide(rows, 512)), 1)
        let chunkRows = max(roundUp(ceilDivide(rows, chunksWanted), 512), 512)
        let chunks = max(ceilDivide(rows, chunkRows), 1)
        let partial = try scratch(byteCount: chunks * pairs * block * block * 8)
        launch(
            "gram_cpu", "gram_partial", grid: WorkSize(pairs, chunks),
            [try matrix(operation.input), [.long(rows), .long(d), .long(chunkRows), .buffer(partial)]])
        launch(
            "gram_cpu", "gram_total", grid: WorkSize(block, pairs),
            [[.buffer(partial), .long(chunks), .long(d)], try matrix(operation.output)])
    }

    func columnSums(_ operation: ColumnSums) throws(ComputeError) {
        let (rows, columns) = (operation.input.rows, operation.input.columns)
        let chunkRows = max(ceilDivide(rows, 64), 256)
        let chunks = max(ceilDivide(rows, chunkRows), 1)
        let partial = try scratch(byteCount: chunks * columns * 8)
        launch(
            "reductions_cpu", "column_sums_partial", grid: WorkSize(ceilDivide(columns, 16), chunks),
            [try matrix(operation.input), [.long(rows), .long(columns), .long(chunkRows), .buffer(partial)]])
        launch(
            "reductions_cpu", "column_sums_total", grid: WorkSize(columns),
            [[.buffer(partial), .long(chunks), .long(columns)], try vector(operation.output)])
    }

    func rowNorms(_ operation: RowNorms) throws(ComputeError) {
        let (rows, columns) = (operation.input.rows, operation.input.columns)
        let rowBlock = max(16384 / max(columns, 1), 1)
        launch(
            "reductions_cpu", "row_norms", grid: WorkSize(ceilDivide(rows, rowBlock)),
            [
                try matrix(operation.input),
                [.long(rows), .long(columns), .int(operation.squared ? 1 : 0)], try vector(operation.output),
                [.long(rowBlock)],
            ])
    }

    /// Rows for one work-item, so that it has some tens of microseconds of work on average.
    private func rowBlock(_ sparse: SparseMatrix, d: Int) -> Int {
        let perRow = max(sparse.entryCount / max(sparse.rows, 1), 1) * max(d, 16)
        let bound = max(ceilDivide(sparse.rows, GemmTunables.busyGroups), 1)
        return min(max(131072 / perRow, 1), bound)
    }

    func sparseTimesDense(_ operation: SparseTimesDense) throws(ComputeError) {
        let (sparse, d) = (operation.sparse, operation.output.columns)
        let rowBlock = rowBlock(sparse, d: d)
        launch(
            "sparse_cpu", "sparse_times_dense", grid: WorkSize(ceilDivide(sparse.rows, rowBlock)),
            [
                try entries(sparse), try matrix(operation.dense), [.float(operation.alpha), .float(operation.beta)],
                try matrix(operation.output), [.long(sparse.rows), .long(d), .long(rowBlock)],
            ])
    }

    func observedLoss(_ operation: ObservedLoss) throws(ComputeError) {
        let (sparse, d) = (operation.sparse, operation.a.columns)
        let flags = (operation.weighted ? 1 : 0) | (operation.targets == nil ? 0 : 2)
        let rowBlock = rowBlock(sparse, d: d)
        launch(
            "sparse_cpu", "observed_loss", grid: WorkSize(ceilDivide(sparse.rows, rowBlock)),
            [
                try entries(sparse), try vector(operation.targets, else: sparse.values), [.int(Int32(flags))],
                try matrix(operation.a), try matrix(operation.b), try vector(operation.output),
                [.long(sparse.rows), .long(d), .long(rowBlock)],
            ])
    }

    func observedScores(_ operation: ObservedScores) throws(ComputeError) {
        let (pairs, d) = (operation.output.columns, operation.a.columns)
        let pairBlock = max(131072 / max(d, 16), 16)
        launch(
            "sparse_cpu", "observed_scores", grid: WorkSize(ceilDivide(pairs, pairBlock)),
            [
                try vector(operation.rowIndices), try vector(operation.columnIndices), try matrix(operation.a),
                [.long(operation.a.rows)], try matrix(operation.b), [.long(operation.b.rows)],
                try vector(operation.output), [.long(pairs), .long(d), .long(pairBlock)],
            ])
    }
}
