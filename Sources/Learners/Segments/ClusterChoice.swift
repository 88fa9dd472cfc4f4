import Compute
import Core

/// Figures by which a number of clusters is chosen.
public struct ClusterChoice: Sendable, Codable {
    /// One number of clusters and how well it does.
    public struct Candidate: Sendable, Codable {
        public let clusters: Int
        public let inertia: Double
        /// Mean silhouette of a sample, −1 … 1, with its standard error; NaN for one cluster.
        public let silhouette: Double
        public let silhouetteError: Double
        /// Gap statistic (Tibshirani, Walther and Hastie 2001) and its standard error.
        public let gap: Double
        public let gapError: Double
        /// Mean adjusted Rand index of clusterings of two halves of the points, on the points of both: 1 is the same.
        public let stability: Double
    }

    public let candidates: [Candidate]
    /// The number of the highest silhouette.
    public let best: Int
    /// The smallest number whose gap is not below the next one's less its error; nil when there is none.
    public let bestByGap: Int?
}

/// Tries numbers of clusters.
public struct ClusterChooser {
    /// K-means; `clusters` is overridden.
    public var means = KMeansOptions()
    /// Points looked at for silhouettes, gaps and stability.
    public var sample = 2000
    /// Uniform reference sets for the gap, and pairs of halves for the stability.
    public var references = 10
    public var resamples = 5

    public init() {}

    /// Tries each number of `range`. Complexity: some 2 + 2 · `resamples` fits of the sample and `references` of uniform
    /// ones for each, and one of all points.
    ///
    /// - Throws: ``ParameterError`` for a range from below 1, ``DataError`` for fewer points than its end.
    public func choose(
        _ points: HostMatrix, range: ClosedRange<Int>, stream: Compute.Stream, progress: ProgressHandler? = nil
    ) throws -> (choice: ClusterChoice, results: [KMeansResult]) {
        guard range.lowerBound >= 1 else { throw ParameterError("clusters", "\(range.lowerBound) is below 1") }
        guard points.rows >= range.upperBound else {
            throw DataError("\(points.rows) points can't form \(range.upperBound) clusters")
        }
        let rows = sampled(points.rows, count: max(sample, 2 * range.upperBound), stream: 1)
        let few = gather(points, rows)
        let references = try (0..<references).map { try uniform(like: few, number: $0) }
        var (candidates, results): ([ClusterChoice.Candidate], [KMeansResult]) = ([], [])
        let began = monotonicSeconds()
        for k in range {
            let result = try KMeans(options: options(k, restarts: max(means.restarts, 3)), stream: stream).fit(points)
            results.append(result)
            let (silhouette, error) = Silhouette.mean(
                few, labels: rows.map { result.labels[$0] }, cosine: means.distance == .cosine)
            let own = try logInertia(few, k, stream)
            let others = try references.map { try logInertia($0, k, stream) }
            let mean = others.reduce(0, +) / Double(max(others.count, 1))
            let deviation = (others.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(others.count, 1)))
                .squareRoot()
            candidates.append(
                ClusterChoice.Candidate(
                    clusters: k, inertia: result.inertia, silhouette: silhouette, silhouetteError: error,
                    gap: mean - own, gapError: deviation * (1 + 1 / Double(max(others.count, 1))).squareRoot(),
                    stability: try stability(few, k, stream)))
            let report = ProgressReport(
                phase: "choose", completed: k - range.lowerBound + 1, total: range.count, unit: "numbers",
                elapsedSeconds: monotonicSeconds() - began)
            if progress?(report) == .stop { throw CancellationError() }
        }
        let best = candidates.filter { !$0.silhouette.isNaN }.max { $0.silhouette < $1.silhouette } ?? candidates[0]
        let byGap = zip(candidates, candidates.dropFirst()).first { $0.gap >= $1.gap - $1.gapError }?.0.clusters
        return (ClusterChoice(candidates: candidates, best: best.clusters, bestByGap: byGap), results)
    }

    private func options(_ k: Int, restarts: Int, seed: UInt64 = 0) -> KMeansOptions {
        var options = means
        options.clusters = k
        options.restarts = restarts
        options.seed = means.seed &+ seed
        return options
    }

    private func logInertia(_ points: HostMatrix, _ k: Int, _ stream: Compute.Stream) throws -> Double {
        let inertia = try KMeans(options: options(k, restarts: 2), stream: stream).fit(points).inertia
        return logarithm(max(inertia, 1e-300))
    }

    /// Two overlapping halves are clustered, and all points given to both sets of centres.
    private func stability(_ points: HostMatrix, _ k: Int, _ stream: Compute.Stream) throws -> Double {
        var sum = 0.0
        for pair in 0..<resamples {
            let labels = try (0..<2).map { half -> [Int32] in
                let random = Philox(seed: means.seed, stream: 0x6368_6F69 | UInt64(2 * pair + half) << 32)
                let order = random.permutation(count: points.rows).prefix(max(points.rows * 7 / 10, k)).sorted()
                let means = try KMeans(options: options(k, restarts: 2, seed: UInt64(2 * pair + half)), stream: stream)
                let result = try means.fit(gather(points, order))
                return try SegmentModel(
                    result: result, options: means.options, features: nil, provenance: ModelProvenance()
                ).assign(points, stream: stream).labels
            }
            sum += RandIndex.adjusted(labels[0], labels[1])
        }
        return sum / Double(max(resamples, 1))
    }

    private func sampled(_ n: Int, count: Int, stream: UInt64) -> [Int] {
        guard n > count else { return Array(0..<n) }
        let random = Philox(seed: means.seed, stream: 0x6368_0000 + stream)
        return (0..<count).map { place in
            let range = n * place / count..<n * (place + 1) / count
            return range.lowerBound + random.integer(UInt64(place), below: range.count)
        }
    }

    /// As many points, uniform in the box of the points.
    private func uniform(like points: HostMatrix, number: Int) throws -> HostMatrix {
        let (n, d) = (points.rows, points.columns)
        var (low, high) = ([Float](repeating: .infinity, count: d), [Float](repeating: -.infinity, count: d))
        for i in 0..<n {
            for (p, x) in points.row(i).enumerated() { (low[p], high[p]) = (min(low[p], x), max(high[p], x)) }
        }
        let random = Philox(seed: means.seed, stream: 0x6761_7000 + UInt64(number))
        let result = HostMatrix(rows: n, columns: d)
        for i in 0..<n {
            for p in 0..<d { result[i, p] = low[p] + (high[p] - low[p]) * random.uniform(UInt64(i * d + p)) }
        }
        return result
    }

    private func gather(_ points: HostMatrix, _ rows: [Int]) -> HostMatrix {
        let result = HostMatrix(rows: rows.count, columns: points.columns)
        for (place, row) in rows.enumerated() {
            result.row(place).baseAddress?.update(from: points.row(row).baseAddress!, count: points.columns)
        }
        return result
    }
}

/// How much nearer points are to their own cluster than to the next (Rousseeuw 1987).
public enum Silhouette {
    /// Mean and standard error over the points, among themselves; NaN for fewer than two clusters. A point that is alone
    /// counts 0. O(n² · d).
    public static func mean(_ points: HostMatrix, labels: [Int32], cosine: Bool = false) -> (Double, Double) {
        let (n, d) = (points.rows, points.columns)
        let count = Int(labels.max() ?? -1) + 1
        var sizes = [Double](repeating: 0, count: max(count, 1))
        for label in labels where label >= 0 { sizes[Int(label)] += 1 }
        guard sizes.count(where: { $0 > 0 }) >= 2 else { return (.nan, .nan) }
        let scaled = HostMatrix(rows: n, columns: d, storage: HostBuffer(points.storage.array))
        if cosine {
            for i in 0..<n { KMeansPoints.normalize(points.row(i).baseAddress!, to: scaled.row(i).baseAddress!, d) }
        }
        var (sum, squares, counted) = (0.0, 0.0, 0.0)
        var sums = [Double](repeating: 0, count: sizes.count)
        for i in 0..<n where labels[i] >= 0 {
            for j in sums.indices { sums[j] = 0 }
            let a = scaled.storage.baseAddress + i * d
            for j in 0..<n where labels[j] >= 0 {
                let b = scaled.storage.baseAddress + j * d
                var square: Float = 0
                for p in 0..<d { square += (a[p] - b[p]) * (a[p] - b[p]) }
                sums[Int(labels[j])] += cosine ? Double(square) / 2 : Double(square).squareRoot()
            }
            let own = Int(labels[i])
            var value = 0.0
            if sizes[own] > 1 {
                let inner = sums[own] / (sizes[own] - 1)
                var outer = Double.infinity
                for j in sums.indices where j != own && sizes[j] > 0 { outer = min(outer, sums[j] / sizes[j]) }
                value = max(inner, outer) > 0 ? (outer - inner) / max(inner, outer) : 0
            }
            (sum, squares, counted) = (sum + value, squares + value * value, counted + 1)
        }
        let mean = sum / counted
        let variance = max(squares / counted - mean * mean, 0)
        return (mean, (variance / counted).squareRoot())
    }
}

/// Agreement of two clusterings beyond chance (Hubert and Arabie 1985).
public enum RandIndex {
    /// 1 for the same clusters, 0 on average for unrelated ones. O(n + pairs of clusters).
    public static func adjusted(_ a: [Int32], _ b: [Int32]) -> Double {
        precondition(a.count == b.count)
        var (cells, rows, columns): ([Int64: Double], [Int32: Double], [Int32: Double]) = ([:], [:], [:])
        for (x, y) in zip(a, b) {
            cells[Int64(x) << 32 | Int64(UInt32(bitPattern: y)), default: 0] += 1
            rows[x, default: 0] += 1
            columns[y, default: 0] += 1
        }
        func pairs(_ counts: some Sequence<Double>) -> Double { counts.reduce(0) { $0 + $1 * ($1 - 1) / 2 } }
        let (both, first, second) = (
            pairs(cells.values.sorted()), pairs(rows.values.sorted()), pairs(columns.values.sorted())
        )
        let all = Double(a.count) * Double(a.count - 1) / 2
        let expected = all > 0 ? first * second / all : 0
        let largest = (first + second) / 2
        return largest == expected ? 1 : (both - expected) / (largest - expected)
    }
}
