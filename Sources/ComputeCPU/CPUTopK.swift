import CVectorLoops
import Compute
import Core

/// Exact top-k, the selection fused with the product: scores are compared while they are in registers, and only those
/// that may be among the k best are ever written.
extension CPUBackend {
    /// Up to so many queries are scored by dot products: memory limits them, and packing would only cost.
    private static let fewQueries = 4

    func topK(_ topK: TopK) {
        let division = TopKDivision(topK)
        reserveScratch(count: division.scratchCount)
        if division.splits == 1 {
            pool.parallelFor(division.blocks) { block, worker in
                let memory = TopKScratch(scratch(worker: worker, count: division.scratchCount), division)
                let queries = division.queries(block)
                select(topK, queries, 0..<division.candidates, division, memory)
                for (place, query) in queries.enumerated() { write(&memory.states[place], topK, query) }
            }
        } else {
            topKSplit(topK, division)
        }
    }

    /// Few queries: every (block of queries, range of candidates) selects for itself; then the lists are merged. The ranges
    /// go by in rounds, each twice as many as before: what earlier rounds have found spares the later ones most of the
    /// candidates that would only fill their lists up.
    private func topKSplit(_ topK: TopK, _ division: TopKDivision) {
        let (splits, kept, m) = (division.splits, division.kept, topK.queries.rows)
        let most = (splits + 1) / 2
        let lists = HostBuffer<UInt64>(uninitializedCount: m * most * kept)
        let counts = HostBuffer<Int>(repeating: 0, count: m * most)
        let best = HostBuffer<UInt64>(uninitializedCount: m * kept)
        let found = HostBuffer<Int>(repeating: 0, count: m)
        // Below these scores nothing is among the best.
        let floors = HostBuffer<Float>(repeating: -.infinity, count: m)
        var done = 0
        while done < splits {
            let (first, width) = (done, min(max(done, 1), splits - done))
            pool.parallelFor(division.blocks * width) { task, worker in
                let memory = TopKScratch(scratch(worker: worker, count: division.scratchCount), division)
                let (queries, place) = (division.queries(task / width), task % width)
                select(topK, queries, division.candidates(first + place), division, memory, floors: floors)
                for (row, query) in queries.enumerated() {
                    let count = Int(apus_top_k_finish(&memory.states[row]))
                    counts[query * most + place] = count
                    (lists.baseAddress + (query * most + place) * kept)
                        .update(from: memory.states[row].keys, count: count)
                }
            }
            done += width
            let isLast = done == splits
            let size = 16
            pool.parallelFor(Chunks.count(m, size: size)) { chunk, worker in
                let memory = TopKScratch(scratch(worker: worker, count: division.scratchCount), division)
                for query in Chunks.range(chunk, count: m, size: size) {
                    apus_top_k_start(&memory.states[0], memory.keys, Int64(division.capacity), Int64(kept))
                    apus_top_k_merge(&memory.states[0], best.baseAddress + query * kept, Int64(found[query]))
                    for place in 0..<width {
                        let list = query * most + place
                        apus_top_k_merge(
                            &memory.states[0], lists.baseAddress + list * kept, Int64(counts[list]))
                    }
                    if isLast {
                        write(&memory.states[0], topK, query)
                        continue
                    }
                    found[query] = Int(apus_top_k_finish(&memory.states[0]))
                    (best.baseAddress + query * kept).update(from: memory.states[0].keys, count: found[query])
                    if found[query] == kept {
                        // Later ranges have higher numbers: what equals it there comes behind it.
                        floors[query] = apus_top_k_score(best[query * kept + kept - 1])
                    }
                }
            }
        }
    }

    /// Passes a range of candidates by a block of queries, tile after tile.
    private func select(
        _ topK: TopK, _ queries: Range<Int>, _ candidates: Range<Int>, _ division: TopKDivision,
        _ memory: TopKScratch, floors: HostBuffer<Float>? = nil
    ) {
        for (place, query) in queries.enumerated() {
            apus_top_k_start(
                &memory.states[place], memory.keys + place * division.capacity, Int64(division.capacity),
                Int64(division.kept))
            if let floors { memory.states[place].threshold = floors[query] }
        }
        guard !candidates.isEmpty else { return }
        let (d, count) = (Int64(topK.queries.columns), Int64(queries.count))
        let rows = topK.queries.floats + queries.lowerBound * topK.queries.rowStride
        let (table, stride) = (topK.candidates.floats, topK.candidates.rowStride)
        let bias = topK.candidateBias?.floats
        let pointers = topK.exclusions.map {
            UnsafePointer($0.rowPointers.pointer(as: Int64.self) + queries.lowerBound)
        }
        let excluded = topK.exclusions.map { UnsafePointer($0.columnIndices.pointer(as: Int32.self)) }
        if let rounded = topK.rounded, !division.isQuantized {
            selectRounded(topK, rounded, queries, candidates, memory)
            return
        }
        if topK.queries.rows <= Self.fewQueries {
            let first = candidates.lowerBound
            apus_top_k_rows(
                memory.states, count, rows, Int64(topK.queries.rowStride), table + first * stride, Int64(stride),
                Int64(candidates.count), Int32(first), bias.map { $0 + first }, d, pointers, excluded)
            return
        }
        var remaining = candidates
        if let quantized = memory.quantized {
            remaining = selectQuantized(topK, queries, candidates, division, memory, quantized)
            guard !remaining.isEmpty else { return }
        }
        apus_top_k_pack_queries(rows, Int64(topK.queries.rowStride), count, d, memory.queries)
        for first in Swift.stride(from: remaining.lowerBound, to: remaining.upperBound, by: division.tile) {
            let present = Int64(min(division.tile, remaining.upperBound - first))
            apus_top_k_pack_candidates(
                table + first * stride, Int64(stride), present, d, bias.map { $0 + first }, memory.candidates,
                memory.bias)
            apus_top_k_tiles(
                memory.states, count, memory.queries, memory.candidates, present, Int32(first), memory.bias, d,
                pointers, excluded)
        }
    }

    private func write(_ state: inout apus_top_k, _ topK: TopK, _ query: Int) {
        let found = apus_top_k_finish(&state)
        apus_top_k_write(
            state.keys, found, Int64(topK.k), topK.indices.pointer(as: Int32.self) + query * topK.indices.rowStride,
            topK.scores.floats + query * topK.scores.rowStride)
    }
}

/// How a search is divided among workers: fixed by its shape.
struct TopKDivision {
    /// Places that can be filled; at least 1, so that the lists have room.
    let kept: Int
    /// Keys of a list while it is collected.
    let capacity: Int
    /// Candidates, and queries.
    let candidates: Int, queryCount: Int
    /// Queries of a block: so many that packing the candidates for them costs little.
    let block: Int
    /// Candidates of a tile: packed, it stays in the second-level cache.
    let tile: Int
    /// Ranges of candidates for each block.
    let splits: Int
    let dimensions: Int
    /// Whether 8-bit products rule candidates out before they are scored.
    let isQuantized: Bool

    init(_ topK: TopK) {
        (queryCount, candidates, dimensions) = (topK.queries.rows, topK.candidates.rows, topK.queries.columns)
        kept = max(1, min(topK.k, candidates))
        capacity = 2 * kept + 24
        let columns = Int(APUS_TOP_K_COLUMNS), rows = Int(APUS_TOP_K_ROWS)
        tile = max(columns, min(2048, (1 << 16) / max(dimensions, 1)) / columns * columns)
        // Lists, and packed queries, of a block stay within some 8 MB each.
        let room = (1 << 20) / max(capacity, dimensions / 2, 1)
        // Rounded queries take a quarter of the memory.
        let canRound = (16...4096).contains(dimensions) && apus_top_k_quantized_available()
        block = min(queryCount, max(rows, min(canRound ? 1152 : 576, room) / rows * rows))
        // Enough tasks for some tens of workers, but ranges long enough that few of their candidates get on a list.
        let blocks = Chunks.count(queryCount, size: block)
        let listed = max(1, (1 << 22) / max(queryCount * kept, 1))
        splits = max(1, min(64 / max(blocks, 1), candidates / max(16 * kept, 2048), listed))
        // Rounding a candidate costs as much as some products with it, and short vectors gain little. Long lists let too
        // many through.
        isQuantized =
            block >= 48 && canRound && candidates >= 64 * kept
    }

    var blocks: Int { Chunks.count(queryCount, size: block) }

    func queries(_ block: Int) -> Range<Int> { Chunks.range(block, count: queryCount, size: self.block) }

    func candidates(_ split: Int) -> Range<Int> {
        candidates * split / splits..<candidates * (split + 1) / splits
    }

    // Offsets into a worker's scratch, in floats, whole cache lines each.
    static func lines(_ floats: Int) -> Int { (floats + 15) / 16 * 16 }
    var stateFloats: Int { Self.lines(block * MemoryLayout<apus_top_k>.stride / 4) }
    var keyFloats: Int { Self.lines(block * capacity * 2) }
    var queryFloats: Int {
        let rows = Int(APUS_TOP_K_ROWS)
        return Self.lines((block + rows - 1) / rows * rows * dimensions)
    }
    var candidateFloats: Int { Self.lines(tile * dimensions) }
    var quantizedFloats: Int { isQuantized ? QuantizedTopKScratch.floats(self) : 0 }
    var scratchCount: Int { stateFloats + keyFloats + queryFloats + candidateFloats + tile + quantizedFloats }
}

/// A worker's scratch, divided.
struct TopKScratch {
    let states: UnsafeMutablePointer<apus_top_k>
    let keys: UnsafeMutablePointer<UInt64>
    let queries: UnsafeMutablePointer<Float>
    let candidates: UnsafeMutablePointer<Float>
    let bias: UnsafeMutablePointer<Float>
    let quantized: QuantizedTopKScratch?

    init(_ memory: UnsafeMutablePointer<Float>, _ division: TopKDivision) {
        let raw = UnsafeMutableRawPointer(memory)
        states = raw.bindMemory(to: apus_top_k.self, capacity: division.block)
        keys = (raw + 4 * division.stateFloats).bindMemory(to: UInt64.self, capacity: division.keyFloats / 2)
        queries = memory + division.stateFloats + division.keyFloats
        candidates = queries + division.queryFloats
        bias = candidates + division.candidateFloats
        quantized =
            division.isQuantized
            ? QuantizedTopKScratch(memory + division.scratchCount - division.quantizedFloats, division) : nil
    }
}
