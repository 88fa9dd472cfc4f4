import Compute

/// The solver of factorization on GPU-class devices (kernels/normal_equations_gpu.cl).
extension Lowering {
    /// Tunables of the direct solvers for systems up to some order.
    private struct SystemTiles {
        /// TILE
        let tile: Int
        /// LOCAL_ORDER; 0 when the triangle lies in scratch.
        let localOrder: Int
        /// ORDER_LIMIT
        let limit: Int
        var items: Int { tile * tile / 16 }
        var options: String { "-D TILE=\(tile) -D LOCAL_ORDER=\(localOrder) -D ORDER_LIMIT=\(limit)" }
        /// Bytes of local memory, as the kernels' own check counts them.
        private var localBytes: Int {
            let stride = tile + 4
            return
                (32 * stride + (tile + 8) * stride + 3 * tile + items + limit + tile
                + localOrder * (localOrder + 1) / 2 + 64) * 4
        }

        /// The smallest that hold systems of an order, and vectors of a length; nil when none do.
        static func chosen(order: Int, length: Int) -> SystemTiles? {
            let local = [32, 64, 128].filter { $0 >= order }.map {
                SystemTiles(tile: 32, localOrder: $0, limit: max($0, roundUp(length, 128)))
            }
            let all = local + [SystemTiles(tile: 64, localOrder: 0, limit: roundUp(max(order, length, 2048), 512))]
            // 48 KB is what every GPU has.
            return all.first { $0.localBytes <= 49152 }
        }
    }

    func solveNormalEquationsGPU(_ operation: SolveNormalEquations) throws(ComputeError) {
        let (rows, d) = (operation.sparse.rows, operation.fixed.columns)
        switch operation.method {
        case .exact:
            // Rows with fewer entries than dimensions by the dual system, by orders; the others by the primal one.
            var first = 0
            for last in [32, 64, 128, d - 1] where min(last, d - 1) >= first {
                try solveDirectly(operation, entries: first...min(last, d - 1), dual: true)
                first = min(last, d - 1) + 1
            }
            try solveDirectly(operation, entries: d...Int(Int32.max), dual: false)
        case .subspace(let blockSize):
            let width = min(blockSize, d)
            let tiles = try tiles(order: width, length: d)
            let longest = max((0..<rows).reduce(0) { max($0, operation.sparse.entryCount(ofRow: $1)) }, 1)
            let triangle = width * (width + 1) / 2
            let bytes = (longest + (tiles.localOrder > 0 ? 0 : triangle)) * 4
            let groups = groups(rows: rows, scratchBytes: bytes)
            let scores = try scratch(byteCount: groups * longest * 4)
            let triangles = try triangleScratch(tiles, count: groups * triangle, operation)
            launch(
                "normal_equations_gpu", "solve_subspace", options: tiles.options,
                grid: WorkSize(groups * tiles.items), group: WorkSize(tiles.items),
                [
                    [size(rows), .int(0), .int(Int32.max), size(d), size(width)], try system(operation),
                    [.buffer(scores), .long(longest), .buffer(triangles), .long(triangle)],
                ])
        case .conjugateGradient(let steps):
            let items = d <= 32 ? 32 : d <= 512 ? 64 : 256
            let width = ceilDivide(d, items)
            // A work-group works off a row; those of a popular item would keep it busy when all others are done, so that
            // long ones get several teams. Vectors of many registers leave room for fewer.
            let teams = max(512 / items / max(width / 4, 1), 1)
            let limit = teams > 1 ? Self.longRow : Int(Int32.max)
            let longRows = rowCount(operation, entries: (limit + 1)...Int.max)
            for (teams, entries, count) in [(teams, (limit + 1)...Int.max, longRows), (1, 0...limit, rows - longRows)]
            where count > 0 {
                let groups = min(count, 8 * gpuGroups)
                launch(
                    "normal_equations_gpu", "solve_conjugate_gradient",
                    options: "-D CG_ITEMS=\(items) -D CG_WIDTH=\(width) -D CG_TEAMS=\(teams)",
                    grid: WorkSize(groups * teams * items), group: WorkSize(teams * items),
                    [
                        [size(rows), size(entries.lowerBound), size(entries.upperBound), size(d), size(steps)],
                        try system(operation),
                    ])
            }
        }
    }

    /// Entries from which on a row is a long one: some hundred times what one batch of a work-group takes.
    private static let longRow = 1024

    private func rowCount(_ operation: SolveNormalEquations, entries: ClosedRange<Int>) -> Int {
        (0..<operation.sparse.rows).reduce(0) {
            $0 + (entries.contains(operation.sparse.entryCount(ofRow: $1)) ? 1 : 0)
        }
    }

    /// Solves the rows whose number of entries is in a range.
    private func solveDirectly(
        _ operation: SolveNormalEquations, entries: ClosedRange<Int>, dual: Bool
    ) throws(ComputeError) {
        let (rows, d) = (operation.sparse.rows, operation.fixed.columns)
        let count = rowCount(operation, entries: entries)
        guard count > 0 else { return }
        let order = dual ? entries.upperBound : d
        let tiles = try tiles(order: order, length: order)
        let triangle = order * (order + 1) / 2
        let groups = groups(rows: count, scratchBytes: tiles.localOrder > 0 ? 0 : triangle * 4)
        let triangles = try triangleScratch(tiles, count: groups * triangle, operation)
        launch(
            "normal_equations_gpu", "solve_direct", options: tiles.options,
            grid: WorkSize(groups * tiles.items), group: WorkSize(tiles.items),
            [
                [size(rows), size(entries.lowerBound), size(entries.upperBound), size(d), flag(dual)],
                try system(operation), [.buffer(triangles), .long(triangle)],
            ])
    }

    private func tiles(order: Int, length: Int) throws(ComputeError) -> SystemTiles {
        guard let tiles = SystemTiles.chosen(order: order, length: length) else {
            throw .unsupported(
                device: context.name, operation: OperationKind.solveNormalEquations.rawValue,
                reason: "vectors of \(max(order, length)) elements don't fit into 48 KB of local memory")
        }
        return tiles
    }

    /// Work-groups for some rows, so that their scratch is bounded.
    private func groups(rows: Int, scratchBytes: Int) -> Int {
        let most = scratchBytes > 0 ? max(4 * Self.gpuScratchBytes / scratchBytes, 1) : Int.max
        return max(min(rows, most, scratchBytes > 0 ? gpuGroups : 8 * gpuGroups), 1)
    }

    /// Memory for the triangles, or any buffer where they lie in local memory.
    private func triangleScratch(
        _ tiles: SystemTiles, count: Int, _ operation: SolveNormalEquations
    ) throws(ComputeError) -> OpenCLStorage {
        tiles.localOrder > 0 ? try storage(operation.solution) : try scratch(byteCount: count * 4)
    }

    /// The arguments that all kernels share.
    private func system(_ operation: SolveNormalEquations) throws(ComputeError) -> [KernelArgument] {
        let sparse = operation.sparse
        var arguments = try pattern(sparse)
        arguments.append(flag(operation.weighted))
        arguments += try vector(sparse.values)
        arguments.append(flag(operation.targets != nil))
        arguments += try vector(operation.targets, else: sparse.values)
        arguments += try matrix(operation.fixed) + vector(operation.diagonal)
        arguments += try vector(operation.rowRegularization) + matrix(operation.solution)
        return arguments
    }
}
