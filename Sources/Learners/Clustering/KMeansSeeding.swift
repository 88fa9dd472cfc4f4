import Compute
import Core

/// The first centres. All draws are made on the host, by the counter-based generator: the same on every device whose
/// distances round alike.
struct KMeansSeeding {
    let options: KMeansOptions
    let stream: Compute.Stream
    /// Number of the restart, from 0.
    let attempt: Int

    /// Streams of random numbers, one for each purpose and restart.
    private enum Purpose: UInt64 {
        case sample = 0x6B6D_0001
        case first, trials, rounds, reduction
    }

    private func random(_ purpose: Purpose) -> Philox {
        Philox(seed: options.seed, stream: purpose.rawValue | UInt64(attempt) << 32)
    }

    /// k rows of `points`.
    func centers(_ points: HostMatrix, weights: [Float]?) throws -> HostMatrix {
        let k = options.clusters
        let sample = sampled(points, weights: weights, count: max(options.startingSample, 64 * k))
        switch options.start {
        case .random:
            // Each stratum of the sample gives one point.
            return sampled(points, weights: weights, count: k).points
        case .plusPlus:
            return try plusPlus(sample.points, weights: sample.weights, purpose: .trials, trials: trials)
        case .parallel:
            return try parallel(sample.points, weights: sample.weights)
        case .auto:
            let (s, d) = (Double(sample.points.rows), Double(points.columns))
            let cost = s * Double(k) * Double(trials) * (27 * d + 200)
            return cost <= 1e11
                ? try plusPlus(sample.points, weights: sample.weights, purpose: .trials, trials: trials)
                : try parallel(sample.points, weights: sample.weights)
        }
    }

    private var trials: Int { 2 + Int(logarithm(Double(options.clusters))) }

    /// One point of each of `count` equal ranges of rows; all when there are not more.
    private func sampled(
        _ points: HostMatrix, weights: [Float]?, count: Int
    ) -> (points: HostMatrix, weights: [Float]?) {
        let n = points.rows
        guard n > count else { return (points, weights) }
        let random = random(.sample)
        let rows = (0..<count).map { place in
            let range = n * place / count..<n * (place + 1) / count
            return range.lowerBound + random.integer(UInt64(place), below: range.count)
        }
        return (gather(points, rows), weights.map { weights in rows.map { weights[$0] } })
    }

    private func gather(_ points: HostMatrix, _ rows: [Int]) -> HostMatrix {
        let d = points.columns
        let result = HostMatrix(
            rows: rows.count, columns: d, storage: HostBuffer(uninitializedCount: rows.count * d))
        for (place, row) in rows.enumerated() {
            (result.storage.baseAddress + place * d).update(from: points.storage.baseAddress + row * d, count: d)
        }
        return result
    }

    /// Squared distances to the nearest of some rows of the points themselves.
    private func distances(_ points: Matrix, to centers: Matrix, labels: Matrix, into output: Matrix) throws -> [Float]
    {
        try stream.assignNearest(points: points, centers: centers, labels: labels, distances: output)
        return try stream.download(output, as: Float.self)
    }

    /// Greedy k-means++. Points that coincide with a centre are never drawn; when none is left, any point is.
    private func plusPlus(
        _ points: HostMatrix, weights: [Float]?, purpose: Purpose, trials: Int
    ) throws -> HostMatrix {
        let (n, k) = (points.rows, options.clusters)
        let table = try stream.wrap(points)
        let labels = try stream.allocate(rows: 1, columns: n, .int32)
        let output = try stream.allocate(rows: 1, columns: n)
        let random = random(purpose)
        var chosen = [WeightedDraw(weights, count: n).index(random.uniform64(0))]
        var nearest = try distances(table, to: table.rows(chosen[0]..<chosen[0] + 1), labels: labels, into: output)
        var draw: UInt64 = 1
        while chosen.count < k {
            let choice = WeightedDraw(nearest, weights)
            var best: (row: Int, potential: Double, nearest: [Float])?
            for _ in 0..<trials {
                let row = choice.total > 0 ? choice.index(random.uniform64(draw)) : random.integer(draw, below: n)
                draw += 1
                if choice.total <= 0 {
                    best = (row, 0, nearest)
                    break
                }
                var candidate = try distances(table, to: table.rows(row..<row + 1), labels: labels, into: output)
                var potential = 0.0
                for i in 0..<n {
                    candidate[i] = min(candidate[i], nearest[i])
                    potential += Double(candidate[i]) * Double(weights?[i] ?? 1)
                }
                if best.map({ potential < $0.potential }) ?? true { best = (row, potential, candidate) }
            }
            if let best {
                chosen.append(best.row)
                nearest = best.nearest
            }
        }
        return gather(points, chosen)
    }

    /// k-means||: candidates in five rounds, then k-means++ on them, each with the weight of the points nearest to it.
    private func parallel(_ points: HostMatrix, weights: [Float]?) throws -> HostMatrix {
        let (n, k) = (points.rows, options.clusters)
        let table = try stream.wrap(points)
        let labels = try stream.allocate(rows: 1, columns: n, .int32)
        let output = try stream.allocate(rows: 1, columns: n)
        let random = random(.rounds)
        var candidates = [WeightedDraw(weights, count: n).index(self.random(.first).uniform64(0))]
        var nearest = try distances(
            table, to: table.rows(candidates[0]..<candidates[0] + 1), labels: labels, into: output)
        for round in 0..<5 {
            var total = 0.0
            for i in 0..<n { total += Double(nearest[i]) * Double(weights?[i] ?? 1) }
            guard total > 0 else { break }
            var drawn: [Int] = []
            for i in 0..<n {
                let share = Double(k) * Double(nearest[i]) * Double(weights?[i] ?? 1) / total
                if random.uniform64(UInt64(round * n + i)) < share { drawn.append(i) }
            }
            guard !drawn.isEmpty else { continue }
            candidates += drawn
            let fresh = try distances(table, to: stream.wrap(gather(points, drawn)), labels: labels, into: output)
            for i in 0..<n { nearest[i] = min(nearest[i], fresh[i]) }
        }
        guard candidates.count > k else {
            return try plusPlus(points, weights: weights, purpose: .reduction, trials: 1)
        }
        let chosen = gather(points, candidates)
        try stream.assignNearest(points: table, centers: stream.wrap(chosen), labels: labels)
        var masses = [Float](repeating: 0, count: candidates.count)
        for (i, label) in try stream.download(labels, as: Int32.self).enumerated() where label >= 0 {
            masses[Int(label)] += weights?[i] ?? 1
        }
        return try plusPlus(chosen, weights: masses, purpose: .reduction, trials: 2)
    }
}

/// Draws indices in proportion to masses.
private struct WeightedDraw {
    private var sums: [Double] = []
    var total: Double { sums.last ?? 0 }

    /// Masses, or 1 for each of `count`.
    init(_ masses: [Float]?, count: Int) {
        var sum = 0.0
        sums.reserveCapacity(count)
        for i in 0..<count {
            sum += Double(masses?[i] ?? 1)
            sums.append(sum)
        }
    }

    /// Products of two masses.
    init(_ masses: [Float], _ weights: [Float]?) {
        var sum = 0.0
        sums.reserveCapacity(masses.count)
        for i in masses.indices {
            sum += Double(masses[i]) * Double(weights?[i] ?? 1)
            sums.append(sum)
        }
    }

    /// The first index whose running sum is above `uniform · total`: never one of mass 0.
    func index(_ uniform: Double) -> Int {
        let target = uniform * total
        var (low, high) = (0, sums.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] > target { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
