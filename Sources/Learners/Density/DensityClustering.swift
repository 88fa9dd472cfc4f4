import CVectorLoops
import Core
import Tables

/// DBSCAN (Ester, Kriegel, Sander and Xu 1996), exact, in memory linear in the points.
///
/// Two points within ε of each other are neighbours; a point with enough neighbours is a core point; core points that are
/// neighbours share a cluster. The border rule: a point that is not core but has core neighbours joins the cluster of the
/// lowest number among theirs; clusters are numbered in the order of their first core points. The rest is noise. Distances
/// are in double precision, a distance of exactly ε counts, and the result depends on neither threads nor the order in which
/// anything is visited (but for the numbering).
///
/// Host work: comparing neighbours is no dense algebra. Complexity: n log n plus the pairs of points in neighbouring cells.
public struct DensityClustering {
    public let options: DensityOptions

    /// Throws ``ParameterError`` for options outside their ranges.
    public init(options: DensityOptions) throws {
        try options.validate()
        self.options = options
    }

    /// Finds clusters of points, n × d, finite. Throws ``DataError`` for other points, `CancellationError` when stopped.
    public func fit(_ points: HostMatrix, progress: ProgressHandler? = nil) throws -> DensityResult {
        guard points.columns > 0 else { throw DataError("the points have no columns") }
        guard points.rows < 1 << 31 else { throw DataError("\(points.rows) points are more than 2^31") }
        try KMeansPoints.requireFinite(points)
        let began = monotonicSeconds()
        let n = points.rows
        let threads = options.threads > 0 ? options.threads : Workers.processorCount
        func report(_ phase: Int) throws {
            let report = ProgressReport(
                phase: "cluster", completed: phase, total: 4, unit: "steps", elapsedSeconds: monotonicSeconds() - began)
            if progress?(report) == .stop { throw CancellationError() }
        }
        let cells = DensityCells(points, radius: options.radius)
        let sorted = monotonicSeconds()
        try report(1)
        let core = HostBuffer<UInt8>(repeating: 0, count: n)
        let minimum = Int64(options.minimumPoints)
        cells.withCells { data in
            cells.share(threads: threads) { range, scratch in
                apus_density_cores(
                    data, Int64(range.lowerBound), Int64(range.upperBound), minimum, core.baseAddress, scratch)
            }
        }
        let cored = monotonicSeconds()
        try report(2)
        let parents = HostBuffer<Int32>(uninitializedCount: n)
        for i in 0..<n { parents[i] = Int32(i) }
        cells.withCells { data in
            cells.share(threads: threads) { range, scratch in
                apus_density_join(
                    data, Int64(range.lowerBound), Int64(range.upperBound), core.baseAddress, parents.baseAddress,
                    scratch)
            }
        }
        let joined = monotonicSeconds()
        try report(3)
        // Where each of the caller's points is, so that clusters are numbered in the caller's order.
        let places = HostBuffer<Int32>(uninitializedCount: n)
        for i in 0..<n { places[Int(cells.order[i])] = Int32(i) }
        let numbers = HostBuffer<Int32>(repeating: -1, count: n)
        let labels = HostBuffer<Int32>(repeating: -1, count: n)
        var clusters: Int32 = 0
        for i in 0..<n where core[Int(places[i])] != 0 {
            let root = Int(apus_density_root(parents.baseAddress, places[i]))
            if numbers[root] < 0 {
                numbers[root] = clusters
                clusters += 1
            }
            labels[Int(places[i])] = numbers[root]
        }
        cells.withCells { data in
            cells.share(threads: threads) { range, scratch in
                apus_density_borders(
                    data, Int64(range.lowerBound), Int64(range.upperBound), core.baseAddress, labels.baseAddress,
                    scratch)
            }
        }
        var (result, isCore) = ([Int32](repeating: -1, count: n), [Bool](repeating: false, count: n))
        var sizes = [Int](repeating: 0, count: Int(clusters))
        for i in 0..<n {
            let place = Int(places[i])
            result[i] = labels[place]
            isCore[i] = core[place] != 0
            if result[i] >= 0 { sizes[Int(result[i])] += 1 }
        }
        try report(4)
        return DensityResult(
            labels: result, isCore: isCore, clusters: Int(clusters), sizes: sizes,
            seconds: (sorted - began, cored - sorted, joined - cored, monotonicSeconds() - joined))
    }
}
