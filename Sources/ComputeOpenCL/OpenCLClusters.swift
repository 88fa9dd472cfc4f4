import Compute

/// Nearest centres and sums by label on CPU-class devices.
///
/// Launches: assignNearest 2 (1 without centres, 3 by products of bytes), accumulateByLabel 2.
extension Lowering {
    /// As in kernels/clusters_cpu.cl.
    private enum Cluster {
        static let panel = 32
        static let group = 12
        static let roundedFacts = 5
        /// Work-items of one launch, each with a panel of its own.
        static let items = 256
        /// Columns of a block, and doubles of all partial sums.
        static let blockColumns = 64
        static let partialDoubles = 1 << 23
    }

    func assignNearest(_ operation: AssignNearest) throws(ComputeError) {
        let (n, k, d) = (operation.points.rows, operation.centers.rows, operation.points.columns)
        let groups = ceilDivide(k, Cluster.group)
        let packed = try scratch(byteCount: groups * Cluster.group * d * 4)
        let halves = try scratch(byteCount: groups * Cluster.group * 4)
        let numbers = try scratch(byteCount: groups * Cluster.group * 4)
        let centers = try matrix(operation.centers)
        if groups > 0 {
            launch(
                "clusters_cpu", "assign_pack_centers", grid: WorkSize(groups),
                [centers, [.long(k), .long(d), .buffer(packed), .buffer(halves), .buffer(numbers)]])
        }
        let pointsPerItem = max(roundUp(ceilDivide(n, Cluster.items), Cluster.panel), Cluster.panel)
        let items = ceilDivide(n, pointsPerItem)
        let panels = try scratch(byteCount: items * Cluster.panel * d * 4)
        if AssignNearest.canRound(centers: k, columns: d), n > 0, let options = context.byteProductOptions {
            let padded = roundUp(k, Cluster.panel)
            let codes = try scratch(byteCount: padded * roundUp(d, 4))
            let facts = try scratch(byteCount: padded * Cluster.roundedFacts * 4)
            launch(
                "clusters_rounded_cpu", "assign_round_centers", options: options,
                grid: WorkSize(padded / Cluster.panel),
                [centers, [.long(k), .long(d), .buffer(codes), .buffer(facts), .long(padded)]])
            let floats = Cluster.group * (roundUp(d, 4) / 4 + padded)
            let memories = try scratch(byteCount: items * floats * 4)
            launch(
                "clusters_rounded_cpu", "assign_nearest_rounded", options: options, grid: WorkSize(items),
                [
                    try matrix(operation.points), [.long(n)], centers,
                    [
                        .long(k), .long(d), .buffer(codes), .buffer(facts), .long(padded), .buffer(memories),
                        .long(floats), .buffer(packed), .buffer(halves), .buffer(numbers), .buffer(panels),
                    ],
                    try vector(operation.labels), [flag(operation.distances != nil)],
                    try vector(operation.distances, else: operation.points), [.long(pointsPerItem)],
                ])
            return
        }
        launch(
            "clusters_cpu", "assign_nearest", grid: WorkSize(items),
            [
                try matrix(operation.points), [.long(n)], centers,
                [.long(k), .long(d), .buffer(packed), .buffer(halves), .buffer(numbers), .buffer(panels)],
                try vector(operation.labels), [flag(operation.distances != nil)],
                try vector(operation.distances, else: operation.points), [.long(pointsPerItem)],
            ])
    }

    func accumulateByLabel(_ operation: AccumulateByLabel) throws(ComputeError) {
        let (n, k, d) = (operation.points.rows, operation.sums.rows, operation.points.columns)
        let rowDoubles = k * (d + 1)
        let blocks = max(ceilDivide(d, Cluster.blockColumns), 1)
        let wanted = max(
            1, min(ceilDivide(64, blocks), n / max(4 * k, 1024), Cluster.partialDoubles / max(rowDoubles, 1)))
        let chunkRows = max(ceilDivide(n, wanted), 1)
        let chunks = max(ceilDivide(n, chunkRows), 1)
        let partial = try scratch(byteCount: chunks * rowDoubles * 8)
        launch(
            "clusters_cpu", "accumulate_partial", grid: WorkSize(blocks, chunks),
            [
                try matrix(operation.points), [.long(n), .long(d)], try vector(operation.labels),
                [flag(operation.weights != nil)], try vector(operation.weights, else: operation.points),
                [.long(k), .long(Cluster.blockColumns), .long(chunkRows), .buffer(partial)],
            ])
        launch(
            "clusters_cpu", "accumulate_total", grid: WorkSize(k),
            [
                [.buffer(partial), .long(chunks), .long(k), .long(d)], try matrix(operation.sums),
                try vector(operation.totals),
            ])
    }
}
