import Compute
import Core

/// Which points may have another nearest centre since they were last compared with all.
///
/// A point no farther from its centre than half the way from there to the next centre has no nearer one (triangle
/// inequality; Phillips 2002). Distances are kept as upper bounds that grow with every step of their centre (Hamerly 2010).
/// The bounds allow for what float32 can get wrong, so that labels are those of comparing everything, to the bit.
///
/// How many points would be spared is measured on some iterations; the bounds are used while that pays.
struct CenterBounds {
    /// Above this share of points that must be compared the bounds are not used.
    private static let worthwhileShare = 0.7

    private let prepared: KMeansPoints
    private let stream: Compute.Stream
    private let clusters: Int
    /// Labels of all points, and how far from their centres they are at most; empty while unknown.
    private var labels: [Int32] = []
    private var upper: [Float] = []
    /// The next iteration, from 0, whose labels are looked at.
    private var nextLook = 1
    /// Points that were not compared, over all iterations.
    private(set) var spared = 0

    /// Nil where comparing everything is cheap, or comparing the centres is not.
    init?(_ prepared: KMeansPoints, clusters: Int, stream: Compute.Stream) {
        let (n, d) = (prepared.matrix.rows, prepared.matrix.columns)
        guard clusters >= 4, clusters * d >= 32, 8 * clusters <= n else { return nil }
        (self.prepared, self.clusters, self.stream) = (prepared, clusters, stream)
    }

    var isKnown: Bool { !labels.isEmpty }

    /// Whether this iteration's labels and distances are wanted.
    mutating func wants(iteration: Int) -> Bool {
        guard iteration >= nextLook else { return false }
        nextLook = 2 * iteration + 1
        return true
    }

    mutating func remember(labels: [Int32], distances: [Float]) {
        self.labels = labels
        upper = distances.map { $0.squareRoot() * slack }
    }

    mutating func forget() {
        labels = []
        upper = []
    }

    /// A little more than sums of float32 can get wrong.
    private var slack: Float { 1 + 1e-5 + 2e-7 * Float(prepared.matrix.columns) }

    /// Lets the bounds follow the centres.
    mutating func follow(from old: [Float], to new: [Float]) {
        guard isKnown else { return }
        let d = prepared.matrix.columns
        let steps = (0..<clusters).map { j in
            var sum = 0.0
            for p in j * d..<(j + 1) * d {
                let step = Double(new[p]) - Double(old[p])
                sum += step * step
            }
            return Float(sum.squareRoot()) * slack
        }
        for i in upper.indices where labels[i] >= 0 { upper[i] = (upper[i] + steps[Int(labels[i])]) * 1.000001 }
    }

    /// The points that must be compared with the centres, which are on the device too; nil for all: the bounds don't pay.
    mutating func active(_ centers: [Float], onDevice: Matrix) throws -> [Int32]? {
        guard isKnown else { return nil }
        let reach = try halfWays(centers, onDevice)
        // Where 2 s (s − u) exceeds what either comparison can get wrong, nothing else is as near.
        let (largest, most) = (prepared.largestNorm, Self.largestNorm(centers, prepared.matrix.columns))
        let error = 8 * Self.rounding(prepared.matrix.columns) * (largest * most + most * most)
        var limits = [Float](repeating: -1, count: clusters)
        for (j, s) in reach.enumerated() where s > 0 {
            limits[j] = Float(s - error / (2 * s)) * 0.999999
        }
        var active: [Int32] = []
        for i in labels.indices where labels[i] < 0 || !(upper[i] < limits[Int(labels[i])]) {
            active.append(Int32(i))
        }
        guard Double(active.count) <= Self.worthwhileShare * Double(labels.count) else {
            forget()
            return nil
        }
        return active
    }

    /// Compares some points with the centres, and puts the labels of all on the device.
    mutating func assign(_ active: [Int32], centers: Matrix, labels target: Matrix) throws {
        spared += labels.count - active.count
        if !active.isEmpty {
            let (m, d) = (active.count, prepared.matrix.columns)
            let rows = try stream.allocate(rows: m, columns: d)
            let found = try stream.allocate(rows: 1, columns: m, .int32)
            let distances = try stream.allocate(rows: 1, columns: m)
            try stream.gather(prepared.onDevice, rows: stream.upload(active), into: rows)
            try stream.assignNearest(points: rows, centers: centers, labels: found, distances: distances)
            let (fresh, values) = (
                try stream.download(found, as: Int32.self), try stream.download(distances, as: Float.self)
            )
            let slack = slack
            for (place, i) in active.enumerated() {
                labels[Int(i)] = fresh[place]
                upper[Int(i)] = values[place].squareRoot() * slack
            }
        }
        try stream.upload(labels, to: target)
    }

    /// Half the distance of each centre from the next, at most; 0 where another is too near to tell.
    private func halfWays(_ centers: [Float], _ onDevice: Matrix) throws -> [Double] {
        let d = prepared.matrix.columns
        let norms = (0..<clusters).map { j in
            centers[j * d..<(j + 1) * d].reduce(0.0) { $0 + Double($1) * Double($1) }
        }
        let indices = try stream.allocate(rows: clusters, columns: 2, .int32)
        let scores = try stream.allocate(rows: clusters, columns: 2)
        try stream.topK(
            queries: onDevice, candidates: onDevice, candidateBias: stream.upload(norms.map { Float(-0.5 * $0) }),
            indices: indices, scores: scores)
        let found = try stream.download(indices, as: Int32.self)
        // Another centre may be nearer than the one found, by what float32 can't tell.
        let error = 8 * Self.rounding(d) * (norms.max() ?? 0)
        return (0..<clusters).map { j in
            guard let other = (0..<2).map({ Int(found[2 * j + $0]) }).first(where: { $0 != j && $0 >= 0 }) else {
                return 0
            }
            var sum = 0.0
            for p in 0..<d {
                let x = Double(centers[j * d + p]) - Double(centers[other * d + p])
                sum += x * x
            }
            return 0.5 * max(sum - error, 0).squareRoot()
        }
    }

    /// Relative error of a sum of d products in float32, in whatever order.
    private static func rounding(_ d: Int) -> Double { (8 + 4 * Double(d).squareRoot()) * 0x1p-24 }

    private static func largestNorm(_ centers: [Float], _ d: Int) -> Double {
        guard d > 0 else { return 0 }
        return stride(from: 0, to: centers.count, by: d).map { start in
            centers[start..<start + d].reduce(0.0) { $0 + Double($1) * Double($1) }
        }.max()?.squareRoot() ?? 0
    }
}
