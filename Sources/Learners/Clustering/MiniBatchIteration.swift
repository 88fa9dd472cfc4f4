import Compute
import Core

/// Mini-batch K-means (Sculley 2010): each iteration looks at some points drawn at random and moves centres by the share
/// that the batch has among all points seen so far. Rougher and much quicker than whole passes; at the end all points get
/// their labels.
struct MiniBatchIteration {
    let prepared: KMeansPoints
    let options: KMeansOptions
    let stream: Compute.Stream

    /// Moves centres, in the coordinates of the prepared points; answers the seconds of each batch.
    func run(_ centers: inout [Float], attempt: Int, progress: ProgressHandler?) throws -> [Double] {
        let (n, d, k) = (prepared.matrix.rows, prepared.matrix.columns, options.clusters)
        let size = min(options.miniBatch, n)
        let batch = try stream.allocate(rows: size, columns: d)
        let rows = try stream.allocate(rows: 1, columns: size, .int32)
        let labels = try stream.allocate(rows: 1, columns: size, .int32)
        let weights = try stream.allocate(rows: 1, columns: size)
        let present = try stream.allocate(rows: k, columns: d)
        let sums = try stream.allocate(rows: k, columns: d)
        let totals = try stream.allocate(rows: 1, columns: k)
        let random = Philox(seed: options.seed, stream: 0x6D69_6E69 | UInt64(attempt) << 32)
        let plan = try stream.record { stream throws(ComputeError) in
            try stream.gather(prepared.onDevice, rows: rows, into: batch)
            try stream.assignNearest(points: batch, centers: present, labels: labels)
            try stream.accumulateByLabel(points: batch, labels: labels, weights: weights, sums: sums, totals: totals)
        }
        var seen = [Double](repeating: 0, count: k)
        var seconds: [Double] = []
        let began = monotonicSeconds()
        for iteration in 0..<options.iterations {
            let started = monotonicSeconds()
            let drawn = (0..<size).map { random.integer(UInt64(iteration * size + $0), below: n) }
            try stream.upload(drawn.map { Int32($0) }, to: rows)
            try stream.upload(drawn.map { prepared.weights?[$0] ?? 1 }, to: weights)
            try stream.upload(centers, to: present)
            try stream.replay(plan)
            let (sum, total) = (try stream.download(sums, as: Float.self), try stream.download(totals, as: Float.self))
            for j in 0..<k where total[j] > 0 {
                seen[j] += Double(total[j])
                let share = Double(total[j]) / seen[j]
                for p in j * d..<(j + 1) * d {
                    let mean = Double(sum[p]) / Double(total[j])
                    centers[p] = Float(Double(centers[p]) + (mean - Double(centers[p])) * share)
                }
                if options.distance == .cosine {
                    centers.withUnsafeMutableBufferPointer { centers in
                        let row = centers.baseAddress! + j * d
                        KMeansPoints.normalize(row, to: row, d)
                    }
                }
            }
            seconds.append(monotonicSeconds() - started)
            let report = ProgressReport(
                phase: "cluster", completed: seconds.count, total: options.iterations, unit: "batches",
                elapsedSeconds: monotonicSeconds() - began)
            if progress?(report) == .stop { throw CancellationError() }
        }
        return seconds
    }
}
