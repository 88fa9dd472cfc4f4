import Compute

/// Many small products in one launch. On CPU-class devices a work-item does whole products, on others a work-group does
/// a tile of one.
extension Lowering {
    func batchedGemm(_ operation: BatchedGemm) throws(ComputeError) {
        let (a, b, output) = (operation.a, operation.b, operation.output)
        let (m, n, k) = (operation.m, operation.n, operation.k)
        // Some tens of microseconds a work-item, and enough of them for all threads.
        let worth = max((1 << 21) / max(m * n * max(k, 1), 1), 1)
        let perItem = min(worth, max(operation.count / GemmTunables.busyGroups, 1))
        func steps(_ matrix: Matrix, _ transposed: Bool) -> [KernelArgument] {
            transposed
                ? [.long(1), .long(matrix.rowStride)] : [.long(matrix.rowStride), .long(1)]
        }
        // More than a third-level cache has for one program.
        let prefetches = 4 * operation.count * (m * k + k * n + m * n) > 24 << 20
        launch(
            "gemm_cpu", "gemm_batch", options: "-D BATCHED" + (prefetches ? " -D PREFETCHES" : ""),
            grid: WorkSize(ceilDivide(operation.count, perItem)),
            [
                try vector(a), steps(a, operation.transposeA), [.long(batchStride(a, operation))],
                try vector(b), steps(b, operation.transposeB), [.long(batchStride(b, operation))],
                try matrix(output), [.long(batchStride(output, operation))],
                [
                    .long(operation.count), .long(m), .long(n), .long(k), .float(operation.alpha),
                    .float(operation.beta), .long(perItem),
                ],
            ])
    }

    func batchedGemmGPU(_ operation: BatchedGemm) throws(ComputeError) {
        let (m, n, k) = (operation.m, operation.n, operation.k)
        let depth = context.tuning[.gemmTileK]
        let tile = 32
        let (rowTiles, columnTiles) = (ceilDivide(m, tile), ceilDivide(n, tile))
        let items = tile / 4 * (tile / 4)
        launch(
            "gemm_gpu", "gemm",
            options: "-D TILE_M=\(tile) -D TILE_N=\(tile) -D WORK_M=4 -D WORK_N=4 -D TILE_BAND=1 -D BATCHED"
                + transpositions(operation.transposeA, operation.transposeB),
            grid: WorkSize(columnTiles * items, rowTiles, operation.count), group: WorkSize(items),
            [
                [size(m), size(n), size(k)], try matrix(operation.a), try matrix(operation.b),
                [.float(operation.alpha), .float(operation.beta), flag(false)], try vector(operation.a), [.int(0)],
                try matrix(operation.output),
                [
                    .long(max(roundUp(k, depth), depth)), .buffer(try storage(operation.output)),
                    .long(batchStride(operation.a, operation)), .long(batchStride(operation.b, operation)),
                    .long(batchStride(operation.output, operation)),
                ],
            ])
    }

    /// Elements from one matrix of a table to the next.
    private func batchStride(_ table: Matrix, _ operation: BatchedGemm) -> Int {
        table.rows / operation.count * table.rowStride
    }
}
