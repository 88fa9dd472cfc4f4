import CVectorLoops
import Compute
import Core

/// Nearest centres and sums by label.
extension CPUBackend {
    /// Multiply-adds of one task; below that sharing costs more than it brings.
    private static let workPerTask = 1 << 21

    func assignNearest(_ assign: AssignNearest) {
        let (points, centers) = (assign.points, assign.centers)
        let (n, k, d) = (points.rows, centers.rows, points.columns)
        let group = Int(APUS_CLUSTER_GROUP), panel = Int(APUS_CLUSTER_PANEL)
        let groups = Chunks.count(k, size: group)
        let packed = HostBuffer<Float>(uninitializedCount: groups * group * (d + 1))
        let halves = packed.baseAddress + groups * group * d
        let numbers = HostBuffer<Int32>(uninitializedCount: groups * group)
        let (source, stride) = (centers.floats, Int64(centers.rowStride))
        pool.parallelFor(groups) { index, _ in
            apus_cluster_pack(
                source, stride, Int64(k), Int64(d), Int64(index), packed.baseAddress, halves, numbers.baseAddress)
        }
        let rounded = RoundedCenters(assign, pool: pool)
        let size = max(1, min(256, Self.workPerTask / max(panel * k * d, 1))) * panel
        let memory = max(panel * max(d, 1), rounded?.memoryFloats ?? 0)
        reserveScratch(count: memory)
        let labels = assign.labels.pointer(as: Int32.self)
        let distances = assign.distances?.floats
        pool.parallelFor(Chunks.count(n, size: size)) { chunk, worker in
            let range = Chunks.range(chunk, count: n, size: size)
            var first = Int64(range.lowerBound)
            if let rounded {
                first = apus_cluster_assign_rounded(
                    points.floats, Int64(points.rowStride), first, Int64(range.upperBound), source, stride, Int64(k),
                    Int64(d), rounded.codes.baseAddress, rounded.facts.baseAddress, Int64(rounded.padded),
                    scratch(worker: worker, count: memory), labels, distances)
            }
            apus_cluster_assign(
                points.floats, Int64(points.rowStride), first, Int64(range.upperBound), source,
                stride, Int64(k), Int64(d), packed.baseAddress, halves, numbers.baseAddress,
                scratch(worker: worker, count: memory), labels, distances)
        }
    }

    func accumulateByLabel(_ accumulate: AccumulateByLabel) {
        let points = accumulate.points
        let (n, k, d) = (points.rows, accumulate.sums.rows, points.columns)
        // Sums of up to 16 chunks, in 64 MB at most, and blocks of columns beside them.
        let rowDoubles = k * (d + 1)
        let wanted = max(1, min(16, n / max(4 * k, 1024), (1 << 23) / max(rowDoubles, 1)))
        let chunkRows = max(1, Chunks.count(n, size: wanted))
        let chunks = max(1, Chunks.count(n, size: chunkRows))
        let block = 64
        let blocks = max(1, Chunks.count(d, size: block))
        let partial = HostBuffer<Double>(uninitializedCount: chunks * rowDoubles)
        let labels = accumulate.labels.pointer(as: Int32.self)
        let weights = accumulate.weights?.floats
        pool.parallelFor(chunks * blocks) { task, _ in
            let (chunk, column) = (task / blocks, task % blocks * block)
            let width = min(block, d - column)
            let range = Chunks.range(chunk, count: n, size: chunkRows)
            let sums = partial.baseAddress + chunk * rowDoubles
            let totals = sums + k * d
            for label in 0..<k where width > 0 {
                (sums + label * d + column).update(repeating: 0, count: width)
            }
            if column == 0 { totals.update(repeating: 0, count: k) }
            apus_cluster_accumulate(
                points.floats, Int64(points.rowStride), Int64(range.lowerBound), Int64(range.upperBound),
                Int64(column), Int64(width), labels, weights, Int64(k), sums, Int64(d), column == 0 ? totals : nil)
        }
        let output = accumulate.sums
        let size = Chunks.rows(columns: d)
        pool.parallelFor(Chunks.count(k, size: size)) { task, _ in
            let range = Chunks.range(task, count: k, size: size)
            let sums = partial.baseAddress
            apus_sum_parts(
                sums, Int64(chunks), Int64(rowDoubles), Int64(range.lowerBound * d), Int64(range.upperBound * d))
            apus_sum_parts(
                sums, Int64(chunks), Int64(rowDoubles), Int64(k * d + range.lowerBound),
                Int64(k * d + range.upperBound))
            for label in range {
                let row = output.floats + label * output.rowStride
                for column in 0..<d { row[column] = Float(sums[label * d + column]) }
                accumulate.totals.floats[label] = Float(sums[k * d + label])
            }
        }
    }
}

/// Centres in 8 bits, where products of their codes with those of the points rule out most of them.
private struct RoundedCenters {
    let codes: HostBuffer<UInt8>
    let facts: HostBuffer<Float>
    /// Centres of all panels.
    let padded: Int
    private let dimensions: Int

    /// Nil where the plain way is as fast, or the processor can't.
    init?(_ assign: AssignNearest, pool: WorkerPool) {
        let (k, d) = (assign.centers.rows, assign.centers.columns)
        guard AssignNearest.canRound(centers: k, columns: d), Processor.hasByteProducts else { return nil }
        let panel = Int(APUS_CLUSTER_ROUNDED_PANEL)
        let panels = Chunks.count(k, size: panel)
        let padded = panels * panel
        let codes = HostBuffer<UInt8>(uninitializedCount: padded * ((d + 3) / 4 * 4))
        let facts = HostBuffer<Float>(uninitializedCount: Int(APUS_CLUSTER_ROUNDED_FACTS) * padded)
        let (source, stride) = (assign.centers.floats, Int64(assign.centers.rowStride))
        pool.parallelFor(panels) { index, _ in
            apus_cluster_round(
                source, stride, Int64(k), Int64(d), Int64(index), codes.baseAddress, facts.baseAddress, Int64(padded))
        }
        (self.codes, self.facts, self.padded, dimensions) = (codes, facts, padded, d)
    }

    /// Numbers that a worker needs.
    var memoryFloats: Int { Int(APUS_CLUSTER_ROUNDED_POINTS) * ((dimensions + 3) / 4 + padded) }
}
