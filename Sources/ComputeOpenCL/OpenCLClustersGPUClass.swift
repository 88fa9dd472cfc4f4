import Compute

/// Nearest centres and sums by label on GPU-class devices (kernels/clusters_gpu.cl).
///
/// Launches: assignNearest 2, or 3 with distances; accumulateByLabel 6.
extension Lowering {
    /// Tunables of the kernels, as they are by default.
    private enum Cluster {
        static let tilePoints = 128
        static let items = 256
        static let scanItems = 64
        static let sumColumns = 32
        static let sumRows = 4
        /// Points of a chunk at least, and counts of all chunks at most.
        static let chunk = 512
        static let counts = 1 << 24
    }

    func assignNearestGPU(_ operation: AssignNearest) throws(ComputeError) {
        let (n, k, d) = (operation.points.rows, operation.centers.rows, operation.points.columns)
        let halves = try scratch(byteCount: k * 4)
        let (points, centers) = (try matrix(operation.points), try matrix(operation.centers))
        if k > 0 {
            launch(
                "clusters_gpu", "assign_half_norms", grid: WorkSize(roundUp(k, 32)), group: WorkSize(32),
                [[size(k), size(d)], centers, [.buffer(halves)]])
        }
        let labels = try vector(operation.labels)
        launch(
            "clusters_gpu", "assign_nearest", grid: WorkSize(ceilDivide(n, Cluster.tilePoints) * Cluster.items),
            group: WorkSize(Cluster.items),
            [[size(n), size(k), size(d)], points, centers, [.buffer(halves)], labels])
        guard let distances = operation.distances else { return }
        launch(
            "clusters_gpu", "assign_distances", grid: WorkSize(32, roundUp(n, 4)), group: WorkSize(32, 4),
            [[size(n), size(d)], points, centers, labels, try vector(distances)])
    }

    func accumulateByLabelGPU(_ operation: AccumulateByLabel) throws(ComputeError) {
        let (n, k, d) = (operation.points.rows, operation.sums.rows, operation.points.columns)
        let chunk = max(Cluster.chunk, ceilDivide(n * k, Cluster.counts))
        let chunks = ceilDivide(n, chunk)
        let counts = try scratch(byteCount: chunks * k * 4)
        let starts = try scratch(byteCount: (k + 1) * 4)
        let order = try scratch(byteCount: n * 4)
        // A label that has all points keeps at least so many groups busy.
        let columns = ceilDivide(d + 1, Cluster.sumColumns)
        let parts = max(1, min(64, ceilDivide(gpuGroups, columns * k), ceilDivide(n, 256)))
        let partial = try scratch(byteCount: parts * k * (d + 1) * 8)
        let labels = try vector(operation.labels)
        let sizes = [size(n), size(k), size(chunk), size(chunks)]
        let chunkGrid = WorkSize(roundUp(chunks, 32))
        if chunks > 0 {
            launch(
                "clusters_gpu", "label_count", grid: chunkGrid, group: WorkSize(32),
                [sizes, labels, [.buffer(counts)]])
        }
        launch(
            "clusters_gpu", "label_scan_chunks", grid: WorkSize(roundUp(k, 32)), group: WorkSize(32),
            [[size(k), size(chunks), .buffer(counts), .buffer(starts)]])
        launch(
            "clusters_gpu", "label_scan", grid: WorkSize(Cluster.scanItems), group: WorkSize(Cluster.scanItems),
            [[size(k), .buffer(starts)]])
        if chunks > 0 {
            launch(
                "clusters_gpu", "label_sort", grid: chunkGrid, group: WorkSize(32),
                [sizes, labels, [.buffer(counts), .buffer(starts), .buffer(order)]])
        }
        launch(
            "clusters_gpu", "label_sums", grid: WorkSize(columns * Cluster.sumColumns, parts * Cluster.sumRows, k),
            group: WorkSize(Cluster.sumColumns, Cluster.sumRows),
            [
                [size(k), size(d), size(parts)], try matrix(operation.points), [flag(operation.weights != nil)],
                try vector(operation.weights, else: operation.points),
                [.buffer(starts), .buffer(order), .buffer(partial)],
            ])
        launch(
            "clusters_gpu", "label_totals", grid: WorkSize(roundUp(d + 1, 32), k), group: WorkSize(32, 1),
            [
                [size(k), size(d), size(parts), .buffer(partial)], try matrix(operation.sums),
                try vector(operation.totals),
            ])
    }
}
