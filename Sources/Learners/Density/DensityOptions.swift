import Core

/// Parameters of DBSCAN.
public struct DensityOptions: Codable, Sendable, Equatable {
    /// ε > 0: points at most this far from each other are neighbours.
    public var radius = 0.5
    /// A point with at least so many neighbours, itself counted, is a core point; at least 1.
    public var minimumPoints = 5
    /// Threads of the host; the result doesn't depend on them. 0: one for each processor.
    public var threads = 0

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard radius > 0, radius.isFinite else { throw ParameterError("radius", "\(radius) is not a number above 0") }
        guard minimumPoints >= 1 else { throw ParameterError("minimumPoints", "\(minimumPoints) is below 1") }
        guard threads >= 0 else { throw ParameterError("threads", "\(threads) is below 0") }
    }
}

/// What DBSCAN found.
public struct DensityResult: Sendable {
    /// Cluster of every point, from 0 in the order of their first core points; −1 for noise.
    public let labels: [Int32]
    /// Whether a point is a core point.
    public let isCore: [Bool]
    /// Number of clusters.
    public let clusters: Int
    /// Points of every cluster.
    public let sizes: [Int]
    /// Points in no cluster.
    public var noise: Int { labels.count - sizes.reduce(0, +) }
    /// Seconds: sorting points into cells, finding core points, joining them, border points.
    public let seconds: (sort: Double, cores: Double, join: Double, borders: Double)
}
