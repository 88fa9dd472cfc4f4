import Compute

extension CPUBackend {
    /// Runs of small products, each a call of OpenBLAS in a worker.
    func batchedGemm(_ batch: BatchedGemm) {
        let (m, n, k) = (batch.m, batch.n, batch.k)
        // Some tens of microseconds a chunk: 2²¹ multiply-adds.
        let perChunk = max(1, (1 << 21) / max(m * n * max(k, 1), 1))
        let rowsA = batch.a.rows / batch.count
        let rowsB = batch.b.rows / batch.count
        pool.parallelFor(Chunks.count(batch.count, size: perChunk)) { chunk, _ in
            for index in Chunks.range(chunk, count: batch.count, size: perChunk) {
                Self.product(
                    m: m, n: n, k: k, alpha: batch.alpha, batch.a.floats + index * rowsA * batch.a.rowStride,
                    batch.a.rowStride, batch.transposeA, batch.b.floats + index * rowsB * batch.b.rowStride,
                    batch.b.rowStride, batch.transposeB, beta: batch.beta,
                    batch.output.floats + index * m * batch.output.rowStride, batch.output.rowStride)
            }
        }
    }
}
