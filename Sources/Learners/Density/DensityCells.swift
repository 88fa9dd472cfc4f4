import CVectorLoops
import Core
import Tables

/// Points sorted into cells whose neighbours are found quickly: a grid of side ε/√d in up to three dimensions, leaves of a
/// k-d tree in more. Memory is linear in the points.
final class DensityCells {
    /// Number, in the caller's order, of each sorted point.
    let order: HostBuffer<Int32>
    let cellCount: Int
    private let dimensions: Int
    private let count: Int
    private let radius: Double
    private let coordinates: HostBuffer<Double>
    private let starts: HostBuffer<Int64>
    private let bounds: HostBuffer<Double>
    private let grid: Grid?
    private let tree: (nodes: HostBuffer<Int64>, bounds: HostBuffer<Double>)?

    /// Points of a leaf.
    private static let leaf = 64

    /// The side of the cells and how cells become keys.
    private struct Grid {
        let minimum: [Double]
        let side: Double
        let strides: [Int64]
        let extents: [Int64]
        let rowOffsets: HostBuffer<Int64>
        let reach: Int64
        var keys = HostBuffer<Int64>(uninitializedCount: 0)

        /// The key of the cell of a point; cells outside the points' range are kept from overflowing.
        func key(_ point: (Int) -> Double) -> Int64 {
            var key: Int64 = 0
            for p in strides.indices {
                let place = ((point(p) - minimum[p]) / side).rounded(.down)
                key += Int64(max(-8, min(place, Double(extents[p] + 8)))) * strides[p]
            }
            return key
        }
    }

    init(_ points: HostMatrix, radius: Double) {
        (count, dimensions, self.radius) = (points.rows, points.columns, radius)
        let (n, d) = (points.rows, points.columns)
        let order = HostBuffer<Int32>(uninitializedCount: n)
        for i in 0..<n { order[i] = Int32(i) }
        self.order = order
        if var grid = Self.grid(points, radius: radius) {
            let (keys, scratch) = (HostBuffer<Int64>(uninitializedCount: n), HostBuffer<Int64>(uninitializedCount: n))
            let base = points.storage.baseAddress
            var largest: Int64 = 0
            for i in 0..<n {
                let key = grid.key { Double(base[i * d + $0]) }
                keys[i] = key
                largest = max(largest, key)
            }
            let numbers = HostBuffer<Int32>(uninitializedCount: n)
            apus_density_sort(
                keys.baseAddress, order.baseAddress, Int64(n), Int32(64 - largest.leadingZeroBitCount),
                scratch.baseAddress, numbers.baseAddress)
            var (cells, starts): ([Int64], [Int64]) = ([], [])
            for i in 0..<n where i == 0 || keys[i] != keys[i - 1] {
                cells.append(keys[i])
                starts.append(Int64(i))
            }
            starts.append(Int64(n))
            grid.keys = HostBuffer(cells)
            self.grid = grid
            self.starts = HostBuffer(starts)
            tree = nil
            cellCount = cells.count
        } else {
            let most = max(2 * (2 * n / Self.leaf + 2), 4)
            let starts = HostBuffer<Int64>(uninitializedCount: most + 1)
            let nodes = HostBuffer<Int64>(uninitializedCount: 3 * 2 * most)
            let nodeBounds = HostBuffer<Double>(uninitializedCount: 2 * d * 2 * most)
            var nodeCount: Int64 = 0
            cellCount = Int(
                apus_density_tree(
                    points.storage.baseAddress, Int64(d), Int64(n), Int64(d), Int64(Self.leaf), order.baseAddress,
                    starts.baseAddress, nodes.baseAddress, nodeBounds.baseAddress, &nodeCount))
            self.starts = starts
            tree = (nodes, nodeBounds)
            grid = nil
        }
        // Vectors of eight may be read past the end.
        coordinates = HostBuffer(repeating: .infinity, count: (n + 8) * d)
        bounds = HostBuffer(uninitializedCount: max(cellCount, 1) * 2 * d)
        let base = points.storage.baseAddress
        for i in 0..<n {
            let row = base + Int(order[i]) * d
            for p in 0..<d { coordinates[p * (n + 8) + i] = Double(row[p]) }
        }
        for cell in 0..<cellCount {
            for p in 0..<d {
                var (low, high) = (Double.infinity, -Double.infinity)
                for i in Int(starts[cell])..<Int(starts[cell + 1]) {
                    low = min(low, coordinates[p * (n + 8) + i])
                    high = max(high, coordinates[p * (n + 8) + i])
                }
                bounds[(cell * d + p) * 2] = low
                bounds[(cell * d + p) * 2 + 1] = high
            }
        }
    }

    /// nil for more than three dimensions, and where the cells could not be numbered.
    private static func grid(_ points: HostMatrix, radius: Double) -> Grid? {
        let (n, d) = (points.rows, points.columns)
        guard d <= 3, n > 0 else { return nil }
        // A hair less, so that all points of a cell are within the radius of each other.
        let side = radius / Double(d).squareRoot() * (1 - 1e-9)
        var (minimum, maximum) = ([Double](repeating: .infinity, count: d), [Double](repeating: -.infinity, count: d))
        let base = points.storage.baseAddress
        for i in 0..<n {
            for p in 0..<d {
                let x = Double(base[i * d + p])
                minimum[p] = min(minimum[p], x)
                maximum[p] = max(maximum[p], x)
            }
        }
        let reach = d == 1 ? 1 : 2
        var (strides, extents) = ([Int64](repeating: 1, count: d), [Int64](repeating: 1, count: d))
        var size = 1.0
        for p in (0..<d).reversed() {
            let cells = ((maximum[p] - minimum[p]) / side).rounded(.down) + 1
            // Wide enough that neighbours past an edge never run into the next row.
            let padded = cells + Double(4 * reach + 16)
            strides[p] = Int64(size)
            size *= padded
            guard size < 0x1p60, cells > 0 else { return nil }
            extents[p] = Int64(cells)
        }
        var rows: [Int64] = [0]
        for p in 0..<d - 1 {
            rows = rows.flatMap { row in (-reach...reach).map { row + Int64($0) * strides[p] } }
        }
        return Grid(
            minimum: minimum, side: side, strides: strides, extents: extents, rowOffsets: HostBuffer(rows.sorted()),
            reach: Int64(reach))
    }

    /// The cells as the C loops take them; valid within `body`.
    func withCells<Result>(_ body: (UnsafePointer<apus_density>) throws -> Result) rethrows -> Result {
        var cells = apus_density()
        cells.coordinates = UnsafePointer(coordinates.baseAddress)
        cells.stride = Int64(count + 8)
        cells.count = Int64(count)
        cells.d = Int64(dimensions)
        cells.cell_starts = UnsafePointer(starts.baseAddress)
        cells.cell_count = Int64(cellCount)
        cells.bounds = UnsafePointer(bounds.baseAddress)
        cells.radius2 = radius * radius
        cells.compact = grid == nil ? 0 : 1
        if let grid {
            cells.keys = UnsafePointer(grid.keys.baseAddress)
            cells.row_offsets = UnsafePointer(grid.rowOffsets.baseAddress)
            cells.row_count = Int64(grid.rowOffsets.count)
            cells.reach = grid.reach
        } else if let tree {
            cells.tree = UnsafePointer(tree.nodes.baseAddress)
            cells.tree_bounds = UnsafePointer(tree.bounds.baseAddress)
        }
        return try withExtendedLifetime(self) { try body(&cells) }
    }

    /// Ranges of cells of about equal numbers of points, fixed by the points alone.
    var tasks: [Range<Int>] {
        let target = max(count / 256, 512)
        var (ranges, first) = ([Range<Int>](), 0)
        for cell in 0..<cellCount where Int(starts[cell + 1] - starts[first]) >= target || cell == cellCount - 1 {
            ranges.append(first..<cell + 1)
            first = cell + 1
        }
        return ranges
    }

    /// Calls `body` with ranges of cells and scratch of the thread.
    func share(threads: Int, _ body: (Range<Int>, UnsafeMutablePointer<Int64>) -> Void) {
        let tasks = tasks
        let scratch = (0..<max(threads, 1)).map { _ in HostBuffer<Int64>(uninitializedCount: cellCount + 1) }
        let parts = max(1, min(threads, tasks.count))
        let next = TaskCounter()
        Workers.run(parts) { worker in
            while let task = next.take(below: tasks.count) { body(tasks[task], scratch[worker].baseAddress) }
        }
    }

    /// The smallest label within the radius of a point; −1 without one. `labels` are in the sorted order.
    func lookup(
        _ point: UnsafePointer<Double>, labels: UnsafePointer<Int32>, scratch: UnsafeMutablePointer<Int64>
    ) -> Int32 {
        guard cellCount > 0 else { return -1 }
        let key = grid?.key { point[$0] } ?? 0
        return withCells { apus_density_lookup($0, key, point, labels, scratch) }
    }
}
