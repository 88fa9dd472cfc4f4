import COpenBLAS
import CVectorLoops
import Compute
import Core

/// Exact top-k, the selection fused with the product: scores live in a tile that stays in the cache.
extension CPUBackend {
    private static let queryBlock = 128
    private static let candidateTile = 1024
    /// Fewer queries than this leave workers idle unless the candidates are split as well.
    private static let splitBelow = 1024
    private static let candidatesPerSplit = 16 * candidateTile

    func topK(_ topK: TopK) {
        let (m, n, k) = (topK.queries.rows, topK.candidates.rows, topK.k)
        let blocks = Chunks.count(m, size: Self.queryBlock)
        var splits = 1
        if m < Self.splitBelow {
            // Kept small enough that the lists to be merged stay below some 32 MB.
            splits = max(1, min(Chunks.count(n, size: Self.candidatesPerSplit), (1 << 22) / max(m * k, 1)))
        }
        let kept = min(k, n)
        if splits == 1 {
            let capacity = Self.capacity(k: kept)
            let keys = min(m, Self.queryBlock) * capacity * 2
            let tile = min(m, Self.queryBlock) * Self.candidateTile
            reserveScratch(count: tile + keys)
            pool.parallelFor(blocks) { block, worker in
                let queries = Chunks.range(block, count: m, size: Self.queryBlock)
                let memory = scratch(worker: worker, count: tile + keys)
                var states = select(topK, queries, 0..<n, kept: kept, tile: memory, keys: memory + tile)
                for (place, query) in queries.enumerated() { write(&states[place], topK, query) }
            }
        } else {
            topKSplit(topK, blocks: blocks, splits: splits, kept: kept)
        }
    }

    private static func capacity(k: Int) -> Int { 2 * k + 64 }

    /// Few queries: every (block of queries, range of candidates) selects for itself; then the lists are merged.
    private func topKSplit(_ topK: TopK, blocks: Int, splits: Int, kept: Int) {
        let (m, n) = (topK.queries.rows, topK.candidates.rows)
        let capacity = Self.capacity(k: kept)
        let block = min(m, Self.queryBlock)
        let tile = block * Self.candidateTile
        let lists = HostBuffer<UInt64>(uninitializedCount: m * splits * kept)
        let counts = HostBuffer<Int>(repeating: 0, count: m * splits)
        reserveScratch(count: tile + block * capacity * 2)
        pool.parallelFor(blocks * splits) { task, worker in
            let (queries, split) = (
                Chunks.range(task / splits, count: m, size: Self.queryBlock), task % splits
            )
            let memory = scratch(worker: worker, count: tile + block * capacity * 2)
            let candidates = n * split / splits..<n * (split + 1) / splits
            var states = select(topK, queries, candidates, kept: kept, tile: memory, keys: memory + tile)
            for (place, query) in queries.enumerated() {
                let found = Int(apus_top_k_finish(&states[place]))
                counts[query * splits + split] = found
                (lists.baseAddress + (query * splits + split) * kept).update(from: states[place].keys, count: found)
            }
        }
        reserveScratch(count: capacity * 2)
        pool.parallelFor(m) { query, worker in
            let memory = scratch(worker: worker, count: capacity * 2)
            var state = apus_top_k()
            memory.withMemoryRebound(to: UInt64.self, capacity: capacity) { keys in
                apus_top_k_start(&state, keys, Int64(capacity), Int64(kept))
            }
            for split in 0..<splits {
                apus_top_k_merge(
                    &state, lists.baseAddress + (query * splits + split) * kept, Int64(counts[query * splits + split]))
            }
            write(&state, topK, query)
        }
    }

    /// Passes a range of candidates by a block of queries, tile after tile.
    private func select(
        _ topK: TopK, _ queries: Range<Int>, _ candidates: Range<Int>, kept: Int, tile: UnsafeMutablePointer<Float>,
        keys: UnsafeMutablePointer<Float>
    ) -> [apus_top_k] {
        let d = topK.queries.columns
        let capacity = Self.capacity(k: kept)
        var states = [apus_top_k](repeating: apus_top_k(), count: queries.count)
        keys.withMemoryRebound(to: UInt64.self, capacity: queries.count * capacity) { keys in
            for place in 0..<queries.count {
                apus_top_k_start(&states[place], keys + place * capacity, Int64(capacity), Int64(kept))
            }
        }
        guard kept > 0 else { return states }
        let query = topK.queries.floats + queries.lowerBound * topK.queries.rowStride
        for start in stride(from: candidates.lowerBound, to: candidates.upperBound, by: Self.candidateTile) {
            let count = min(Self.candidateTile, candidates.upperBound - start)
            Self.product(
                m: queries.count, n: count, k: d, alpha: 1, query, topK.queries.rowStride, false,
                topK.candidates.floats + start * topK.candidates.rowStride, topK.candidates.rowStride, true, beta: 0,
                tile, Self.candidateTile)
            for (place, query) in queries.enumerated() {
                let (excluded, excludedCount) = exclusions(topK, query)
                apus_top_k_offer(
                    &states[place], tile + place * Self.candidateTile, Int64(count), Int32(start),
                    topK.candidateBias.map { $0.floats + start }, excluded, excludedCount)
            }
        }
        return states
    }

    private func exclusions(_ topK: TopK, _ query: Int) -> (UnsafePointer<Int32>?, Int64) {
        guard let exclusions = topK.exclusions else { return (nil, 0) }
        let pointers = exclusions.rowPointers.pointer(as: Int64.self)
        let first = pointers[query]
        return (
            UnsafePointer(exclusions.columnIndices.pointer(as: Int32.self) + Int(first)), pointers[query + 1] - first
        )
    }

    private func write(_ state: inout apus_top_k, _ topK: TopK, _ query: Int) {
        let found = apus_top_k_finish(&state)
        apus_top_k_write(
            state.keys, found, Int64(topK.k), topK.indices.pointer(as: Int32.self) + query * topK.indices.rowStride,
            topK.scores.floats + query * topK.scores.rowStride)
    }
}
