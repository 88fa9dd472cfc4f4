import Compute
import Core

/// The loop of K-means over points that are on the device.
struct LloydIteration {
    private let prepared: KMeansPoints
    private let options: KMeansOptions
    private let usesBounds: Bool
    private let stream: Compute.Stream
    private let centers, labels, sums, totals: Matrix

    private var points: Matrix { prepared.onDevice }
    private var weights: [Float]? { prepared.weights }
    private var weightVector: Matrix? { prepared.weightsOnDevice }

    init(_ prepared: KMeansPoints, options: KMeansOptions, usesBounds: Bool, stream: Compute.Stream) throws {
        self.usesBounds = usesBounds
        self.prepared = prepared
        self.options = options
        self.stream = stream
        let (n, d, k) = (prepared.matrix.rows, prepared.matrix.columns, options.clusters)
        centers = try stream.allocate(rows: k, columns: d)
        labels = try stream.allocate(rows: 1, columns: n, .int32)
        sums = try stream.allocate(rows: k, columns: d)
        totals = try stream.allocate(rows: 1, columns: k)
    }

    /// - Parameter start: k × d, in the coordinates of the prepared points.
    func run(
        from start: HostMatrix, attempt: Int, startSeconds: Double, progress: ProgressHandler?
    ) throws -> KMeansResult {
        var present = start.storage.array
        if options.miniBatch > 0 {
            let batches = MiniBatchIteration(prepared: prepared, options: options, stream: stream)
            let seconds = try batches.run(&present, attempt: attempt, progress: progress)
            return try finish(
                present, history: [], seconds: seconds, refilled: 0, converged: false, startSeconds: startSeconds)
        }
        let plan = try stream.record { stream throws(ComputeError) in
            try stream.assignNearest(points: points, centers: centers, labels: labels)
            try stream.accumulateByLabel(
                points: points, labels: labels, weights: weightVector, sums: sums, totals: totals)
        }
        var (history, seconds, refilled, converged) = ([Double](), [Double](), 0, false)
        var bounds = usesBounds ? CenterBounds(prepared, clusters: options.clusters, stream: stream) : nil
        let began = monotonicSeconds()
        let threshold = options.tolerance * prepared.meanVariance
        while seconds.count < options.iterations && !converged {
            let started = monotonicSeconds()
            try stream.upload(present, to: centers)
            if let active = try bounds?.active(present, onDevice: centers) {
                try bounds?.assign(active, centers: centers, labels: labels)
                try accumulate()
            } else if bounds?.wants(iteration: seconds.count) == true {
                let distances = try stream.allocate(rows: 1, columns: points.rows)
                try stream.assignNearest(points: points, centers: centers, labels: labels, distances: distances)
                try accumulate()
                bounds?.remember(
                    labels: try stream.download(labels, as: Int32.self),
                    distances: try stream.download(distances, as: Float.self))
            } else {
                try stream.replay(plan)
            }
            var update = try CenterUpdate(
                sums: stream.download(sums, as: Float.self), totals: stream.download(totals, as: Float.self),
                columns: centers.columns, distance: options.distance)
            if update.emptyCount > 0 {
                let filled = try refill(update.totals)
                refilled += filled
                if filled > 0 {
                    bounds?.forget()
                    update = try CenterUpdate(
                        sums: stream.download(sums, as: Float.self), totals: stream.download(totals, as: Float.self),
                        columns: centers.columns, distance: options.distance)
                }
            }
            history.append(update.inertia(of: present, squares: prepared.squares))
            let before = present
            let movement = update.move(&present)
            bounds?.follow(from: before, to: present)
            converged = movement <= threshold
            seconds.append(monotonicSeconds() - started)
            let report = ProgressReport(
                phase: "cluster", completed: seconds.count, total: options.iterations, unit: "iterations",
                elapsedSeconds: monotonicSeconds() - began, figures: [("inertia", history.last ?? 0)])
            if progress?(report) == .stop { throw CancellationError() }
        }
        var result = try finish(
            present, history: history, seconds: seconds, refilled: refilled, converged: converged,
            startSeconds: startSeconds)
        result.spared = bounds?.spared ?? 0
        return result
    }

    private func accumulate() throws(ComputeError) {
        try stream.accumulateByLabel(
            points: points, labels: labels, weights: weightVector, sums: sums, totals: totals)
    }

    /// Labels and distances for the last centres, and the inertia in double precision.
    private func finish(
        _ present: [Float], history: [Double], seconds: [Double], refilled: Int, converged: Bool, startSeconds: Double
    ) throws -> KMeansResult {
        let (k, d) = (options.clusters, centers.columns)
        let distanceVector = try stream.allocate(rows: 1, columns: points.rows)
        try stream.upload(present, to: centers)
        try stream.assignNearest(points: points, centers: centers, labels: labels, distances: distanceVector)
        let found = try stream.download(labels, as: Int32.self)
        var distances = try stream.download(distanceVector, as: Float.self)
        if options.distance == .cosine {
            for i in distances.indices {
                distances[i] = KMeansPoints.cosineDistance(distances[i], prepared.matrix.row(i))
            }
        }
        var (inertia, sizes) = (0.0, [Int](repeating: 0, count: k))
        var clusterWeights = [Double](repeating: 0, count: k)
        for (i, label) in found.enumerated() where label >= 0 {
            let weight = Double(weights?[i] ?? 1)
            inertia += Double(distances[i]) * weight
            sizes[Int(label)] += 1
            clusterWeights[Int(label)] += weight
        }
        let result = HostMatrix(rows: k, columns: d)
        for j in 0..<k {
            for p in 0..<d { result[j, p] = Float(Double(present[j * d + p]) + prepared.shift[p]) }
        }
        return KMeansResult(
            centers: result, labels: found, distances: distances, inertia: inertia, totalInertia: prepared.totalInertia,
            sizes: sizes,
            weights: clusterWeights, iterations: seconds.count, converged: converged, history: history,
            refilled: refilled, startSeconds: startSeconds, iterationSeconds: seconds)
    }

    /// Moves the farthest points into empty clusters and accumulates again; answers how many were filled.
    private func refill(_ totals: [Double]) throws -> Int {
        let n = points.rows
        let distanceVector = try stream.allocate(rows: 1, columns: n)
        try stream.assignNearest(points: points, centers: centers, labels: labels, distances: distanceVector)
        var found = try stream.download(labels, as: Int32.self)
        let distances = try stream.download(distanceVector, as: Float.self)
        var left = totals
        let empty = totals.indices.filter { totals[$0] <= 0 }
        // Only so many of the farthest points can be needed that each cluster could lose all but one.
        let order = farthest(distances, count: empty.count + options.clusters)
        var filled = 0
        for i in order where filled < empty.count {
            let weight = Double(weights?[i] ?? 1)
            guard distances[i] > 0, weight > 0, found[i] >= 0, left[Int(found[i])] > weight else { continue }
            left[Int(found[i])] -= weight
            found[i] = Int32(empty[filled])
            filled += 1
        }
        guard filled > 0 else { return 0 }
        try stream.upload(found, to: labels)
        try accumulate()
        return filled
    }

    /// Indices of the largest distances, the largest first, equal ones by index.
    private func farthest(_ distances: [Float], count: Int) -> [Int] {
        func before(_ a: Int, _ b: Int) -> Bool {
            distances[a] != distances[b] ? distances[a] > distances[b] : a < b
        }
        guard count < distances.count else { return distances.indices.sorted(by: before) }
        let threshold = distances.sorted(by: >)[count - 1]
        return Array(distances.indices.filter { distances[$0] >= threshold }.sorted(by: before).prefix(2 * count))
    }
}

/// Sums of the clusters, and what becomes of the centres.
struct CenterUpdate {
    private let sums: [Float]
    let totals: [Double]
    private let columns: Int
    private let distance: ClusterDistance

    init(sums: [Float], totals: [Float], columns: Int, distance: ClusterDistance) {
        self.sums = sums
        self.totals = totals.map(Double.init)
        self.columns = columns
        self.distance = distance
    }

    var emptyCount: Int { totals.count { $0 <= 0 } }

    /// Σ w‖x − c‖² for the centres by which the points were labelled: Σ w‖x‖² − 2 Σ s·c + Σ t‖c‖².
    func inertia(of centers: [Float], squares: Double) -> Double {
        var inertia = squares
        for j in totals.indices {
            var (product, norm) = (0.0, 0.0)
            for p in j * columns..<(j + 1) * columns {
                let c = Double(centers[p])
                product += Double(sums[p]) * c
                norm += c * c
            }
            inertia += totals[j] * norm - 2 * product
        }
        return max(distance == .cosine ? inertia / 2 : inertia, 0)
    }

    /// Moves the centres to the means (for cosine, their directions); answers the sum of the squared movements. The centre
    /// of an empty cluster stays.
    func move(_ centers: inout [Float]) -> Double {
        var movement = 0.0
        for j in totals.indices where totals[j] > 0 {
            let range = j * columns..<(j + 1) * columns
            var scale = 1 / totals[j]
            if distance == .cosine {
                var norm = 0.0
                for p in range { norm += Double(sums[p]) * Double(sums[p]) }
                guard norm > 0 else { continue }
                scale = 1 / norm.squareRoot()
            }
            for p in range {
                let moved = Float(Double(sums[p]) * scale)
                let step = Double(moved) - Double(centers[p])
                movement += step * step
                centers[p] = moved
            }
        }
        return movement
    }
}
