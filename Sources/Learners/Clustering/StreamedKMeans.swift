import Compute
import Core
import Tables

/// K-means over points that don't fit into memory: every iteration reads the file once, block after block; the next block
/// is read while the present one is worked on. Sums are in double precision over all blocks, so that the result is that of
/// ``KMeans`` but for rounding.
public struct StreamedKMeans {
    public let options: KMeansOptions
    private let stream: Compute.Stream
    private let blockBytes: Int

    /// - Parameter blockBytes: size of a block; two are in memory.
    /// - Throws: ``ParameterError`` for options outside their ranges, and for what needs all points in memory.
    public init(options: KMeansOptions, stream: Compute.Stream, blockBytes: Int = 32 << 20) throws {
        try options.validate()
        if options.restarts > 1 { throw ParameterError("restarts", "points that are streamed are clustered once") }
        self.options = options
        self.stream = stream
        self.blockBytes = max(blockBytes, 1 << 16)
    }

    /// What a pass over the file has added up.
    private struct Pass {
        var sums: [Double]
        var totals: [Double]
        var inertia = 0.0
        /// The points farthest from their centres, farthest first, with their clusters.
        var farthest: [(distance: Float, row: Int, cluster: Int, point: [Float])] = []
    }

    /// Finds clusters of the rows of a file in C order.
    ///
    /// - Parameters:
    ///   - initialCenters: k × d; nil to choose them from a sample of rows.
    ///   - labels: whether the result keeps the cluster and the distance of every row (8 bytes a row).
    /// - Throws: ``DataError`` for a file in Fortran order, fewer rows than clusters and values that are not finite.
    public func fit(
        _ file: NumPyFile, initialCenters: HostMatrix? = nil, labels keepsLabels: Bool = false,
        progress: ProgressHandler? = nil
    ) throws -> KMeansResult {
        let (n, d, k) = (file.rows, file.columns, options.clusters)
        guard n >= k else { throw DataError("\(n) points can't form \(k) clusters", file: file.path) }
        guard d > 0 else { throw DataError("the points have no columns", file: file.path) }
        if let initialCenters, initialCenters.rows != k || initialCenters.columns != d {
            throw DataError(
                "the initial centres are \(initialCenters.rows) × \(initialCenters.columns); \(k) × \(d) are needed")
        }
        let began = monotonicSeconds()
        let sample = try self.sample(file)
        let shift: [Float] =
            options.distance == .cosine
            ? [Float](repeating: 0, count: d)
            : try KMeansPoints.columnMeans(sample, stream: stream).map { Float($0) }
        var centers: [Float]
        if let initialCenters {
            centers = shifted(initialCenters, shift)
        } else {
            var start = options
            start.startingSample = sample.rows
            let points = HostMatrix(rows: sample.rows, columns: d, elements: shifted(sample, shift))
            centers = try KMeansSeeding(options: start, stream: stream, attempt: 0).centers(points, weights: nil)
                .storage.array
        }
        let startSeconds = monotonicSeconds() - began
        let reader = BlockReader(
            file: file, rowsOfBlock: max(1, blockBytes / (4 * d)), shift: shift, distance: options.distance)
        let loop = try BlockLoop(k: k, d: d, rows: min(reader.rowsOfBlock, n), stream: stream)
        var (history, seconds, refilled, converged) = ([Double](), [Double](), 0, false)
        while seconds.count < options.iterations && !converged {
            let started = monotonicSeconds()
            var pass = try self.pass(reader, loop, centers, accumulates: true)
            refilled += refill(&pass)
            history.append(options.distance == .cosine ? pass.inertia / 2 : pass.inertia)
            let update = CenterUpdate(
                sums: pass.sums.map { Float($0) }, totals: pass.totals.map { Float($0) }, columns: d,
                distance: options.distance)
            let movement = update.move(&centers)
            converged = movement <= options.tolerance * history[0] / Double(n) / Double(d)
            seconds.append(monotonicSeconds() - started)
            let report = ProgressReport(
                phase: "cluster", completed: seconds.count, total: options.iterations, unit: "passes",
                elapsedSeconds: monotonicSeconds() - began, figures: [("inertia", history.last ?? 0)])
            if progress?(report) == .stop { throw CancellationError() }
        }
        var (found, distances): ([Int32], [Float]) = ([], [])
        var sizes = [Int](repeating: 0, count: k)
        let last = try pass(reader, loop, centers, accumulates: true) { labels, values in
            for label in labels where label >= 0 { sizes[Int(label)] += 1 }
            if keepsLabels {
                found += labels
                distances += values.map { options.distance == .cosine ? $0 / 2 : $0 }
            }
        }
        // Σ‖x‖² = Σ‖x − c‖² + 2 Σ s·c − Σ t‖c‖², and of one cluster Σ‖x‖² − ‖Σ s‖² / n.
        var (squares, whole) = (last.inertia, [Double](repeating: 0, count: d))
        for j in 0..<k {
            for p in 0..<d {
                let c = Double(centers[j * d + p])
                squares += 2 * last.sums[j * d + p] * c - last.totals[j] * c * c
                whole[p] += last.sums[j * d + p]
            }
        }
        let norm = whole.reduce(0) { $0 + $1 * $1 }
        let result = HostMatrix(rows: k, columns: d)
        for j in 0..<k { for p in 0..<d { result[j, p] = Float(Double(centers[j * d + p]) + Double(shift[p])) } }
        let isCosine = options.distance == .cosine
        return KMeansResult(
            centers: result, labels: found, distances: distances, inertia: isCosine ? last.inertia / 2 : last.inertia,
            totalInertia: isCosine ? Double(n) - norm.squareRoot() : max(squares - norm / Double(n), 0), sizes: sizes,
            weights: sizes.map(Double.init), iterations: seconds.count, converged: converged, history: history,
            refilled: refilled, startSeconds: startSeconds, iterationSeconds: seconds)
    }

    /// One reading of the file.
    private func pass(
        _ reader: BlockReader, _ loop: BlockLoop, _ centers: [Float], accumulates: Bool,
        _ visit: ([Int32], [Float]) -> Void = { _, _ in }
    ) throws -> Pass {
        let k = options.clusters
        let d = reader.file.columns
        var pass = Pass(sums: [Double](repeating: 0, count: k * d), totals: [Double](repeating: 0, count: k))
        try stream.upload(centers, to: loop.centers)
        try reader.forEach { block, firstRow in
            let (labels, distances) = try loop.run(block, stream: stream)
            guard accumulates else { return visit(labels, distances) }
            for (place, sum) in try stream.download(loop.sums, as: Float.self).enumerated() {
                pass.sums[place] += Double(sum)
            }
            for (place, total) in try stream.download(loop.totals, as: Float.self).enumerated() {
                pass.totals[place] += Double(total)
            }
            var threshold = pass.farthest.count < 16 ? -1 : pass.farthest[15].distance
            for (place, distance) in distances.enumerated() {
                pass.inertia += Double(distance)
                guard distance > threshold else { continue }
                guard distance.isFinite else { try KMeansPoints.requireFinite(block, firstRow: firstRow); continue }
                pass.farthest.append((distance, firstRow + place, Int(labels[place]), Array(block.row(place))))
                pass.farthest.sort { $0.distance != $1.distance ? $0.distance > $1.distance : $0.row < $1.row }
                if pass.farthest.count > 16 { pass.farthest.removeLast() }
                threshold = pass.farthest.count < 16 ? -1 : pass.farthest[15].distance
            }
            guard pass.inertia.isFinite else {
                try KMeansPoints.requireFinite(block, firstRow: firstRow)
                throw DataError("the points are too large for float32; scale them")
            }
            visit(labels, distances)
        }
        return pass
    }

    /// Gives each empty cluster the farthest point that is left, as ``KMeans`` does; at most 16 a pass.
    private func refill(_ pass: inout Pass) -> Int {
        let d = pass.sums.count / max(pass.totals.count, 1)
        var (filled, next) = (0, 0)
        for empty in pass.totals.indices where pass.totals[empty] == 0 {
            while next < pass.farthest.count {
                let one = pass.farthest[next]
                next += 1
                guard one.distance > 0, pass.totals[one.cluster] > 1 else { continue }
                for p in 0..<d {
                    pass.sums[one.cluster * d + p] -= Double(one.point[p])
                    pass.sums[empty * d + p] = Double(one.point[p])
                }
                pass.totals[one.cluster] -= 1
                pass.totals[empty] = 1
                filled += 1
                break
            }
        }
        return filled
    }

    /// One row of each of equal ranges of rows.
    private func sample(_ file: NumPyFile) throws -> HostMatrix {
        let (n, d) = (file.rows, file.columns)
        let count = min(n, max(min(options.startingSample, 20_000), 32 * options.clusters))
        let random = Philox(seed: options.seed, stream: 0x7374_7265)
        let result = HostMatrix(rows: count, columns: d, storage: HostBuffer(uninitializedCount: count * d))
        for place in 0..<count {
            let range = n * place / count..<n * (place + 1) / count
            let row = range.lowerBound + random.integer(UInt64(place), below: range.count)
            try file.read(row..<row + 1, into: result.storage.baseAddress + place * d)
        }
        try KMeansPoints.requireFinite(result)
        return result
    }

    private func shifted(_ matrix: HostMatrix, _ shift: [Float]) -> [Float] {
        let d = matrix.columns
        let copy = HostMatrix(rows: matrix.rows, columns: d, storage: HostBuffer(matrix.storage.array))
        BlockReader.prepare(copy, shift: shift, distance: options.distance)
        return copy.storage.array
    }
}

/// Operations on one block, recorded for none: blocks differ in length and memory.
private struct BlockLoop {
    let centers, sums, totals, labels, distances: Matrix

    init(k: Int, d: Int, rows: Int, stream: Compute.Stream) throws {
        centers = try stream.allocate(rows: k, columns: d)
        sums = try stream.allocate(rows: k, columns: d)
        totals = try stream.allocate(rows: 1, columns: k)
        labels = try stream.allocate(rows: 1, columns: rows, .int32)
        distances = try stream.allocate(rows: 1, columns: rows)
    }

    func run(_ block: HostMatrix, stream: Compute.Stream) throws -> ([Int32], [Float]) {
        let points = try stream.wrap(block)
        let (own, far) = (labels.columns(0..<block.rows), distances.columns(0..<block.rows))
        try stream.assignNearest(points: points, centers: centers, labels: own, distances: far)
        try stream.accumulateByLabel(points: points, labels: own, sums: sums, totals: totals)
        return (try stream.download(own, as: Int32.self), try stream.download(far, as: Float.self))
    }
}

/// Reads a file block after block, one ahead.
private struct BlockReader {
    let file: NumPyFile
    let rowsOfBlock: Int
    let shift: [Float]
    let distance: ClusterDistance

    func forEach(_ body: (HostMatrix, Int) throws -> Void) throws {
        let (n, d) = (file.rows, file.columns)
        let blocks = (n + rowsOfBlock - 1) / rowsOfBlock
        func rows(_ block: Int) -> Range<Int> { block * rowsOfBlock..<min((block + 1) * rowsOfBlock, n) }
        let buffers = (0..<min(2, blocks)).map { _ in
            HostBuffer<Float>(uninitializedCount: min(rowsOfBlock, n) * d)
        }
        func read(_ block: Int) throws {
            try file.read(rows(block), into: buffers[block % 2].baseAddress)
        }
        if blocks > 0 { try read(0) }
        for block in 0..<blocks {
            var failures: [(any Error)?] = [nil, nil]
            failures.withUnsafeMutableBufferPointer { failures in
                let failures = failures.baseAddress!
                Workers.run(block + 1 < blocks ? 2 : 1) { worker in
                    do {
                        if worker == 1 {
                            try read(block + 1)
                        } else {
                            let range = rows(block)
                            let buffer = buffers[block % 2]
                            let matrix = HostMatrix(
                                rows: range.count, columns: d,
                                storage: HostBuffer(
                                    viewing: buffer.baseAddress, count: range.count * d,
                                    release: { withExtendedLifetime(buffer) {} }))
                            Self.prepare(matrix, shift: shift, distance: distance)
                            try body(matrix, range.lowerBound)
                        }
                    } catch {
                        failures[worker] = error
                    }
                }
            }
            for failure in failures { if let failure { throw failure } }
            // A file larger than memory would push out what others need.
            file.release(rows(block))
        }
    }

    /// Shifts or scales rows in place.
    static func prepare(_ matrix: HostMatrix, shift: [Float], distance: ClusterDistance) {
        let d = matrix.columns
        let base = matrix.storage.baseAddress
        if distance == .cosine {
            for i in 0..<matrix.rows { KMeansPoints.normalize(base + i * d, to: base + i * d, d) }
            return
        }
        shift.withUnsafeBufferPointer { shift in
            for i in 0..<matrix.rows {
                let row = base + i * d
                for p in 0..<d { row[p] -= shift[p] }
            }
        }
    }
}
