import Compute

/// The best candidates of each query on CPU-class devices.
///
/// Launches: up to 8 queries 1, or 2 when candidates are cut into chunks; more queries 1 + 2Q for each slab of
/// candidates (96 MB of packed panels) and Q slabs of queries, and 1 more when candidates are cut into chunks.
extension Lowering {
    private enum Flag {
        static let bias = 1
        static let exclusions = 2
        static let first = 4
        static let last = 8
    }

    /// Queries up to here are answered from the candidates where they are.
    private static let fewQueries = 8

    func topK(_ operation: TopK) throws(ComputeError) {
        try operation.queries.rows <= Self.fewQueries ? topKOfRows(operation) : topKOfTiles(operation)
    }

    /// Where lists are kept: in the result, or chunk by chunk in scratch memory to be joined.
    private struct Lists {
        let arguments: [KernelArgument]
        let scores: OpenCLStorage
        let indices: OpenCLStorage
        let chunkStride: Int
    }

    private func lists(_ operation: TopK, chunks: Int) throws(ComputeError) -> Lists {
        let (m, k) = (operation.queries.rows, operation.k)
        if chunks == 1 {
            return Lists(
                arguments: try matrix(operation.scores) + matrix(operation.indices) + [.long(0)],
                scores: try storage(operation.scores), indices: try storage(operation.indices), chunkStride: 0)
        }
        let scores = try scratch(byteCount: chunks * m * k * 4)
        let indices = try scratch(byteCount: chunks * m * k * 4)
        return Lists(
            arguments: [
                .buffer(scores), .long(0), .long(k), .buffer(indices), .long(0), .long(k), .long(m * k),
            ],
            scores: scores, indices: indices, chunkStride: m * k)
    }

    private func merge(_ operation: TopK, _ lists: Lists, chunks: Int) throws(ComputeError) {
        launch(
            "top_k_cpu", "top_k_merge", grid: WorkSize(operation.queries.rows),
            [
                [
                    .buffer(lists.scores), .buffer(lists.indices), .long(lists.chunkStride), .long(chunks),
                    .long(operation.k),
                ],
                try matrix(operation.scores), try matrix(operation.indices),
            ])
    }

    /// Bias and exclusions, or stand-ins that are not read.
    private func restrictions(_ operation: TopK) throws(ComputeError) -> (arguments: [KernelArgument], flags: Int) {
        var arguments = try vector(operation.candidateBias, else: operation.queries)
        if let exclusions = operation.exclusions {
            arguments += try pattern(exclusions)
        } else {
            arguments += try vector(nil, else: operation.queries) + vector(nil, else: operation.queries)
        }
        let flags =
            (operation.candidateBias == nil ? 0 : Flag.bias) | (operation.exclusions == nil ? 0 : Flag.exclusions)
        return (arguments, flags)
    }

    private func topKOfRows(_ operation: TopK) throws(ComputeError) {
        let (m, n, d, k) = (operation.queries.rows, operation.candidates.rows, operation.queries.columns, operation.k)
        // A chunk has to be worth its list.
        let chunkSize = max(ceilDivide(n, GemmTunables.busyGroups), 1024, 4 * k)
        let chunks = max(ceilDivide(n, chunkSize), 1)
        let lists = try lists(operation, chunks: chunks)
        let restrictions = try restrictions(operation)
        launch(
            "top_k_cpu", "top_k_rows", grid: WorkSize(ceilDivide(m, 4), chunks),
            [
                try matrix(operation.queries), try matrix(operation.candidates), restrictions.arguments,
                lists.arguments,
                [
                    .long(m), .long(n), .long(d), .long(k), .int(Int32(restrictions.flags)), .long(chunkSize),
                ],
            ])
        if chunks > 1 { try merge(operation, lists, chunks: chunks) }
    }

    private func topKOfTiles(_ operation: TopK) throws(ComputeError) {
        typealias T = GemmTunables
        let (m, n, d, k) = (operation.queries.rows, operation.candidates.rows, operation.queries.columns, operation.k)
        let slabElements = T.packedBytes / MemoryLayout<Float>.size / max(d, 1)
        let querySlab = max(slabElements / 48 * 48, 48)
        let candidateSlab = max(slabElements / T.tileColumns * T.tileColumns, T.tileColumns * 32)
        let packedQueries = try scratch(byteCount: roundUp(min(m, querySlab), T.tileRows) * d * 4)
        let packedCandidates = try scratch(byteCount: roundUp(min(n, candidateSlab), T.tileColumns) * d * 4)

        // Several panels of queries share a panel of candidates while it is in the cache.
        let tilesPerItem = context.tuning[.topKTilesPerItem]
        let items = ceilDivide(ceilDivide(min(m, querySlab), T.tileRows), tilesPerItem)
        let slabPanels = ceilDivide(min(n, candidateSlab), T.tileColumns)
        let longestList = max(ceilDivide(4 * k, T.tileColumns), 32)
        let chunksWanted = max(min(ceilDivide(T.busyGroups, items), slabPanels / longestList), 1)
        let panelsPerChunk = max(ceilDivide(slabPanels, chunksWanted), 1)
        let chunks = max(ceilDivide(slabPanels, panelsPerChunk), 1)
        let lists = try lists(operation, chunks: chunks)
        let restrictions = try restrictions(operation)

        for candidate in stride(from: 0, to: max(n, 1), by: candidateSlab) {
            let candidates = min(n - candidate, candidateSlab)
            if d > 0 && candidates > 0 {
                try packColumns(
                    operation.candidates, transposed: true, from: candidate, columns: candidates, k: d,
                    into: packedCandidates)
            }
            let flags =
                restrictions.flags | (candidate == 0 ? Flag.first : 0)
                | (candidate + candidateSlab >= n ? Flag.last : 0)
            for query in stride(from: 0, to: m, by: querySlab) {
                let queries = min(m - query, querySlab)
                if d > 0 {
                    try packRows(
                        operation.queries, transposed: false, from: query, rows: queries, k: d, into: packedQueries)
                }
                let groups = ceilDivide(ceilDivide(queries, T.tileRows), tilesPerItem)
                launch(
                    "top_k_cpu", "top_k_tiles", grid: WorkSize(groups, chunks),
                    [
                        [.buffer(packedQueries), .buffer(packedCandidates)], restrictions.arguments, lists.arguments,
                        [
                            .long(query), .long(queries), .long(candidate), .long(candidates), .long(d), .long(k),
                            .int(Int32(flags)), .int(Int32(tilesPerItem)), .long(panelsPerChunk),
                        ],
                    ])
            }
        }
        if chunks > 1 { try merge(operation, lists, chunks: chunks) }
    }
}
