import Core

/// What "near" means to K-means.
public enum ClusterDistance: String, Codable, Sendable, CaseIterable {
    /// Squared Euclidean distance; centres are means.
    case euclidean
    /// One minus the cosine (spherical K-means): points are scaled to length 1, centres are mean directions. A point of
    /// zeros has no direction; its distance is 1 to every centre, and it joins the cluster of the lowest index.
    case cosine
}

/// How the first centres are chosen.
public enum KMeansStart: String, Codable, Sendable, CaseIterable {
    /// ``plusPlus`` when that is quick, else ``parallel``.
    case auto
    /// Greedy k-means++ (Arthur and Vassilvitskii 2007): each centre the best of 2 + ln k points drawn by their squared
    /// distance from the centres so far.
    case plusPlus = "k-means++"
    /// k-means|| (Bahmani et al. 2012): five rounds of k points each, weighed by what they attract, reduced by k-means++.
    case parallel = "k-means||"
    /// Points drawn at random.
    case random
}

/// Parameters of K-means.
public struct KMeansOptions: Codable, Sendable, Equatable {
    /// k ≥ 1.
    public var clusters = 8
    /// Most passes over the points, at least 1; it ends earlier when no centre moves.
    public var iterations = 100
    /// Ends when the centres' squared movement, summed, falls to this share of the mean variance of the columns; 0 goes on
    /// until nothing moves.
    public var tolerance = 0.0
    /// Starts from which the one of the lowest inertia is kept; given centres are one start.
    public var restarts = 1
    /// How the first centres are chosen.
    public var start = KMeansStart.auto
    /// What near means.
    public var distance = ClusterDistance.euclidean
    /// Seed of everything random.
    public var seed: UInt64 = 42
    /// Points of a batch, drawn at random for each iteration, of which `iterations` are made; 0 for all points (Lloyd).
    public var miniBatch = 0
    /// The first centres are chosen from a sample of at most this many points (or 64 for each cluster, if more).
    public var startingSample = 100_000

    public init() {}

    /// Throws ``ParameterError`` for the first value outside its range.
    public func validate() throws(ParameterError) {
        guard (1...1 << 24).contains(clusters) else {
            throw ParameterError("clusters", "\(clusters) is outside 1 … 2^24")
        }
        guard iterations >= 1 else { throw ParameterError("iterations", "\(iterations) is below 1") }
        guard tolerance >= 0, tolerance.isFinite else {
            throw ParameterError("tolerance", "\(tolerance) is not a number from 0 up")
        }
        guard restarts >= 1 else { throw ParameterError("restarts", "\(restarts) is below 1") }
        guard miniBatch >= 0 else { throw ParameterError("miniBatch", "\(miniBatch) is below 0") }
        guard startingSample >= 1 else { throw ParameterError("startingSample", "\(startingSample) is below 1") }
    }
}

/// What K-means found.
public struct KMeansResult: Sendable {
    /// k × d, in the coordinates of the points; of length 1 for ``ClusterDistance/cosine``.
    public let centers: HostMatrix
    /// Cluster of every point.
    public let labels: [Int32]
    /// Squared distance of every point to its centre; 1 − cosine for ``ClusterDistance/cosine``.
    public let distances: [Float]
    /// Weighted sum of the distances, in double precision.
    public let inertia: Double
    /// What the inertia of a single cluster would be: what clustering is judged against.
    public let totalInertia: Double
    /// Points of every cluster.
    public let sizes: [Int]
    /// Weight of every cluster: its size where points have no weights.
    public let weights: [Double]
    /// Passes over the points.
    public let iterations: Int
    /// Whether it ended because the centres stood still (within the tolerance).
    public let converged: Bool
    /// Inertia before each update of the centres, to the accuracy of float32 sums.
    public let history: [Double]
    /// Empty clusters that were given a point, over all iterations.
    public let refilled: Int
    /// Points whose centre was known without comparing them with all, over all iterations.
    public var spared = 0
    /// Seconds: choosing the first centres, and each iteration.
    public let startSeconds: Double
    public let iterationSeconds: [Double]

    /// Clusters without a point: only when there are fewer different points than clusters.
    public var emptyClusters: Int { sizes.count { $0 == 0 } }
}
