import Compute

/// The best candidates of each query on GPU-class devices (kernels/top_k_gpu.cl).
extension Lowering {
    /// Tunables of the kernels for one number of queries and places.
    private struct TopKTiles {
        /// TILE_Q, queries of a work-group.
        let queries: Int
        /// TILE_C, candidates of a tile.
        let candidates = 128
        /// LIST_CAPACITY, places of a list.
        let capacity: Int
        /// WORK_Q is 4; WORK_C is 8, or 4 for few queries.
        var items: Int { queries / 4 * (candidates / (queries == 16 ? 4 : 8)) }
        /// Lists of 4,096 places leave room for slices of half the depth only.
        var options: String {
            "-D TILE_Q=\(queries) -D LIST_CAPACITY=\(capacity)" + (queries == 16 ? " -D WORK_C=4" : "")
                + (capacity > 2048 ? " -D TILE_K=8" : "")
        }
        /// The most places of one pass.
        static let longestPass = 4096 - 128

        init(queries: Int, places: Int) {
            self.queries = queries <= 16 ? 16 : 64
            var capacity = 256
            // A list is sorted when the next tile might not fit: room for some hundred more than the places and that tile, so
            // that this is not too often.
            while capacity < 4096 && capacity - candidates - places < max(96, places / 2) { capacity *= 2 }
            self.capacity = capacity == 4096 && places <= 2048 - 128 ? 2048 : capacity
        }
    }

    func topKGPU(_ operation: TopK) throws(ComputeError) {
        var first = 0
        while first < operation.k {
            let places = min(operation.k - first, TopKTiles.longestPass)
            try topKPass(operation, first: first, places: places)
            first += places
        }
    }

    /// Finds places `first ..< first + places`: what comes after place `first - 1`, which an earlier pass has found.
    private func topKPass(_ operation: TopK, first: Int, places: Int) throws(ComputeError) {
        let (m, n, d) = (operation.queries.rows, operation.candidates.rows, operation.queries.columns)
        let tiles = TopKTiles(queries: m, places: places)
        let queryTiles = ceilDivide(m, tiles.queries)
        // A chunk has to be worth its lists.
        let chunksWanted = max(min(ceilDivide(gpuGroups, queryTiles), n / max(2048, 8 * places)), 1)
        let chunk = max(roundUp(ceilDivide(n, chunksWanted), tiles.candidates), tiles.candidates)
        let chunks = max(ceilDivide(n, chunk), 1)
        let tileBytes = chunks * tiles.queries * tiles.capacity * 8
        let batchTiles = max(min(Self.gpuScratchBytes / tileBytes, queryTiles), 1)
        let lists = batchTiles * tiles.queries * chunks
        let listScores = try scratch(byteCount: lists * tiles.capacity * 4)
        let listIndices = try scratch(byteCount: lists * tiles.capacity * 4)
        let listCounts = try scratch(byteCount: lists * 4)
        let found: [KernelArgument] = [.buffer(listScores), .buffer(listIndices), .buffer(listCounts)]
        let bias = try vector(operation.candidateBias, else: operation.queries)

        for firstTile in stride(from: 0, to: queryTiles, by: batchTiles) {
            let begin = firstTile * tiles.queries
            let rows = begin..<min(begin + batchTiles * tiles.queries, m)
            let rowTiles = ceilDivide(rows.count, tiles.queries)
            var exclusions: [KernelArgument] = [flag(operation.exclusions != nil)]
            if let sparse = operation.exclusions {
                exclusions += try pattern(sparse.rows(rows))
            } else {
                exclusions += try vector(nil, else: operation.queries) + vector(nil, else: operation.queries)
            }
            let last = max(first - 1, 0)
            launch(
                "top_k_gpu", "top_k_partial", options: tiles.options,
                grid: WorkSize(rowTiles * tiles.items, chunks), group: WorkSize(tiles.items),
                [
                    [size(rows.count), size(n), size(d), size(places)], try matrix(operation.queries.rows(rows)),
                    try matrix(operation.candidates), [flag(operation.candidateBias != nil)], bias, exclusions,
                    [size(chunk), flag(first > 0)],
                    try matrix(operation.scores.rows(rows).columns(last..<last + 1)),
                    try matrix(operation.indices.rows(rows).columns(last..<last + 1)), found,
                ])
            launch(
                "top_k_gpu", "top_k_merge", options: tiles.options, grid: WorkSize(rows.count * tiles.items),
                group: WorkSize(tiles.items),
                [
                    [size(places), size(chunks), size(rowTiles * tiles.queries)], exclusions, found,
                    try matrix(operation.indices.rows(rows).columns(first..<first + places)),
                    try matrix(operation.scores.rows(rows).columns(first..<first + places)),
                ])
        }
    }
}
