import Compute
import Core

/// K-means by Lloyd's iteration, on any device.
///
/// Each iteration is two operations: the nearest centre of every point, fused into the product of points and centres, and
/// the sums of the points of each cluster, accumulated in wider precision. Only k sums cross to the host, which moves the
/// centres in double precision.
///
/// An empty cluster is refilled: the point farthest from its centre (the lower index among equal ones) that is not the only
/// one of its cluster moves there, one point for each empty cluster. Same seed, device and thread count give the same bits.
///
/// Complexity: 2 · n · k · d operations an iteration, less for points whose centre can't have changed (``usesBounds``).
public struct KMeans {
    public let options: KMeansOptions
    /// Whether points that can't have another nearest centre are left out, where that pays; labels are the same.
    public var usesBounds = true
    private let stream: Compute.Stream

    /// Throws ``ParameterError`` for options outside their ranges.
    public init(options: KMeansOptions, stream: Compute.Stream) throws {
        try options.validate()
        self.options = options
        self.stream = stream
    }

    /// Finds clusters.
    ///
    /// - Parameters:
    ///   - points: n × d, finite; n at least the number of clusters.
    ///   - weights: one for each point, finite and not negative; nil for 1.
    ///   - initialCenters: k × d; nil to choose them as the options say.
    ///   - overwrites: whether the points may be shifted or scaled in place, which saves a copy.
    ///   - progress: called after every iteration; answering `.stop` ends with `CancellationError`.
    /// - Throws: ``DataError`` for points or weights that are not as said, and what the device throws.
    public func fit(
        _ points: HostMatrix, weights: [Float]? = nil, initialCenters: HostMatrix? = nil, overwrites: Bool = false,
        progress: ProgressHandler? = nil
    ) throws -> KMeansResult {
        try fit(
            prepare(points, weights: weights, overwrites: overwrites), initialCenters: initialCenters,
            progress: progress)
    }

    /// Shifts or scales the points and takes them to the device, once for any number of fits with these options' distance.
    public func prepare(
        _ points: HostMatrix, weights: [Float]? = nil, overwrites: Bool = false
    ) throws -> KMeansPoints {
        try check(points, weights)
        return try KMeansPoints(
            points, weights: weights, distance: options.distance, overwrites: overwrites, stream: stream)
    }

    /// Finds clusters of points that ``prepare(_:weights:overwrites:)`` has taken to the stream.
    public func fit(
        _ prepared: KMeansPoints, initialCenters: HostMatrix? = nil, progress: ProgressHandler? = nil
    ) throws -> KMeansResult {
        let (n, k) = (prepared.matrix.rows, options.clusters)
        guard n >= k else { throw DataError("\(n) points can't form \(k) clusters") }
        try check(initialCenters, columns: prepared.matrix.columns)
        let lloyd = try LloydIteration(
            prepared, options: options, usesBounds: usesBounds, stream: stream)
        var best: KMeansResult?
        for attempt in 0..<(initialCenters == nil ? options.restarts : 1) {
            let began = monotonicSeconds()
            let start: HostMatrix
            if let initialCenters {
                start = try moved(initialCenters, by: prepared.shift)
            } else {
                start = try KMeansSeeding(options: options, stream: stream, attempt: attempt)
                    .centers(prepared.matrix, weights: prepared.weights)
            }
            let result = try lloyd.run(
                from: start, attempt: attempt, startSeconds: monotonicSeconds() - began, progress: progress)
            if best.map({ result.inertia < $0.inertia }) ?? true { best = result }
        }
        return best!
    }

    private func check(_ points: HostMatrix, _ weights: [Float]?) throws {
        guard points.rows >= options.clusters else {
            throw DataError("\(points.rows) points can't form \(options.clusters) clusters")
        }
        guard points.columns > 0 else { throw DataError("the points have no columns") }
        guard let weights else { return }
        guard weights.count == points.rows else {
            throw DataError("there are \(points.rows) points and \(weights.count) weights")
        }
        if let wrong = weights.firstIndex(where: { !($0 >= 0 && $0.isFinite) }) {
            throw DataError("the weight of row \(wrong + 1) is \(weights[wrong]); weights are numbers from 0 up")
        }
        guard weights.contains(where: { $0 > 0 }) else { throw DataError("all weights are 0") }
    }

    private func check(_ centers: HostMatrix?, columns: Int) throws {
        guard let centers else { return }
        guard centers.rows == options.clusters, centers.columns == columns else {
            throw DataError(
                "the initial centres are \(centers.rows) × \(centers.columns); "
                    + "\(options.clusters) × \(columns) are needed")
        }
        try KMeansPoints.requireFinite(centers)
    }

    private func moved(_ centers: HostMatrix, by shift: [Double]) throws -> HostMatrix {
        let result = HostMatrix(rows: centers.rows, columns: centers.columns)
        for j in 0..<centers.rows {
            if options.distance == .cosine {
                KMeansPoints.normalize(
                    centers.row(j).baseAddress!, to: result.row(j).baseAddress!, centers.columns)
            } else {
                for p in 0..<centers.columns { result[j, p] = Float(Double(centers[j, p]) - shift[p]) }
            }
        }
        return result
    }
}
