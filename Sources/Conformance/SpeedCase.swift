import Compute
import Core

/// One operation at a size at which its speed says something: what `apus doctor` measures.
public struct SpeedCase: Sendable {
    /// The primitive.
    public let operation: OperationKind
    /// The size, in words.
    public let subject: String
    /// Floating-point operations of a run; 0 for an operation that only moves bytes.
    public let operations: Double
    /// Bytes that a run moves between memory and processor at least.
    public let bytes: Double
    let prepare: @Sendable (SpeedOperands) throws(ComputeError) -> (Stream) throws(ComputeError) -> Void

    /// Draws the operands, warms up, and times runs.
    ///
    /// - Parameters:
    ///   - stream: where to run it.
    ///   - runs: timed runs; each repeats the operation until it lasts a hundredth of a second.
    /// - Returns: the median of the seconds that one execution took.
    public func medianSeconds(on stream: Stream, runs: Int = 5) throws(ComputeError) -> Double {
        let body = try prepare(SpeedOperands(stream: stream))
        try body(stream)
        try stream.finish()
        var (times, repetitions): ([Double], Int) = ([], 1)
        while times.count < max(runs, 1) {
            let start = monotonicSeconds()
            for _ in 0..<repetitions { try body(stream) }
            try stream.finish()
            let seconds = monotonicSeconds() - start
            if seconds < 0.01 && repetitions < 1 << 14 {
                repetitions = min(max(repetitions * 2, Int(0.015 / max(seconds, 1e-7)) * repetitions), 1 << 14)
            } else {
                times.append(seconds / Double(repetitions))
            }
        }
        return times.sorted()[times.count / 2]
    }

    /// The cases for a class of device: GPUs get more to do.
    public static func all(_ deviceClass: DeviceClass) -> [SpeedCase] {
        let scale = deviceClass == .cpu ? 1 : 4
        return moving(scale) + products(scale) + sums(scale) + observed(scale) + clusters(scale) + networks(scale)
    }

    /// What kernels are tuned by: the cases of ``all(_:)``, and products and systems of other shapes, so that a value
    /// that suits one size does not win at the cost of others.
    public static func tuning(_ deviceClass: DeviceClass) -> [SpeedCase] {
        let scale = deviceClass == .cpu ? 1 : 4
        return all(deviceClass) + [
            product(2048 * scale, 2048 * scale, 256), product(4096 * scale, 64, 512), product(128, 128, 128),
            product(512 * scale, 512 * scale, 512 * scale, transposed: true),
        ]
    }

    // MARK: Cases

    private static func product(_ m: Int, _ n: Int, _ k: Int, transposed: Bool = false) -> SpeedCase {
        let (rows, columns, inner) = (Double(m), Double(n), Double(k))
        return SpeedCase(
            operation: .gemm, subject: "\(m) × \(k) × \(n)\(transposed ? " transposed" : "")",
            operations: 2 * rows * columns * inner, bytes: 4 * (rows * inner + inner * columns + rows * columns)
        ) { operands throws(ComputeError) in
            let a = try transposed ? operands.uniform(k, m) : operands.uniform(m, k)
            let b = try transposed ? operands.uniform(n, k) : operands.uniform(k, n)
            let output = try operands.uniform(m, n)
            return { stream throws(ComputeError) in
                try stream.gemm(a, transposeA: transposed, b, transposeB: transposed, into: output)
            }
        }
    }

    private static func moving(_ scale: Int) -> [SpeedCase] {
        let (rows, d) = (65_536 * scale, 128)
        let table = Double(rows * d * 4)
        return [
            SpeedCase(operation: .fill, subject: "\(rows) × \(d)", operations: 0, bytes: table) {
                operands throws(ComputeError) in
                let output = try operands.uniform(rows, d)
                return { stream throws(ComputeError) in try stream.fill(output, with: 1) }
            },
            SpeedCase(operation: .copy, subject: "\(rows) × \(d)", operations: 0, bytes: 2 * table) {
                operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(rows, d), try operands.uniform(rows, d))
                return { stream throws(ComputeError) in try stream.copy(input, to: output) }
            },
            SpeedCase(operation: .gather, subject: "\(rows) of \(rows) × \(d)", operations: 0, bytes: 2 * table) {
                operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(rows, d), try operands.uniform(rows, d))
                let indices = try operands.indices(rows, below: rows)
                return { stream throws(ComputeError) in try stream.gather(input, rows: indices, into: output) }
            },
            SpeedCase(operation: .scaleRows, subject: "\(rows) × \(d)", operations: 0, bytes: 2 * table) {
                operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(rows, d), try operands.uniform(rows, d))
                let factors = try operands.uniform(1, rows)
                return { stream throws(ComputeError) in try stream.scaleRows(input, by: factors, into: output) }
            },
            SpeedCase(operation: .randomUniform, subject: "\(rows) × \(d)", operations: 0, bytes: table) {
                operands throws(ComputeError) in
                let output = try operands.uniform(rows, d)
                return { stream throws(ComputeError) in try stream.randomUniform(output, seed: 7, stream: 3) }
            },
        ]
    }

    private static func products(_ scale: Int) -> [SpeedCase] {
        let n = 1024 * scale
        let cube = 2 * Double(n) * Double(n) * Double(n)
        let (rows, d) = (65_536 * scale, 128)
        let (queries, candidates, k) = (256 * scale, 50_000 * scale, 10)
        return [
            SpeedCase(
                operation: .gemm, subject: "\(n) × \(n) × \(n)", operations: cube, bytes: 12 * Double(n) * Double(n)
            ) { operands throws(ComputeError) in
                let (a, b) = (try operands.uniform(n, n), try operands.uniform(n, n))
                let output = try operands.uniform(n, n)
                return { stream throws(ComputeError) in try stream.gemm(a, b, into: output) }
            },
            SpeedCase(
                operation: .batchedGemm, subject: "\(256 * scale) of 64 × 64 × 64",
                operations: Double(256 * scale) * 2 * 64 * 64 * 64, bytes: Double(256 * scale * 12 * 64 * 64)
            ) { operands throws(ComputeError) in
                let count = 256 * scale
                let (a, b) = (try operands.uniform(count * 64, 64), try operands.uniform(count * 64, 64))
                let output = try operands.uniform(count * 64, 64)
                return { stream throws(ComputeError) in try stream.batchedGemm(count: count, a, b, into: output) }
            },
            SpeedCase(
                operation: .gram, subject: "\(rows) × \(d)", operations: Double(rows * d * d),
                bytes: Double(4 * rows * d)
            ) { operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(rows, d), try operands.uniform(d, d))
                return { stream throws(ComputeError) in try stream.gram(input, into: output) }
            },
            SpeedCase(
                operation: .topK, subject: "\(queries) of \(candidates) × \(d), k = \(k)",
                operations: 2 * Double(queries) * Double(candidates) * Double(d),
                bytes: Double(4 * d * (queries + candidates) + 8 * queries * k)
            ) { operands throws(ComputeError) in
                let (wanted, table) = (try operands.uniform(queries, d), try operands.uniform(candidates, d))
                let indices = try operands.stream.allocate(rows: queries, columns: k, .int32)
                let scores = try operands.uniform(queries, k)
                return { stream throws(ComputeError) in
                    try stream.topK(queries: wanted, candidates: table, indices: indices, scores: scores)
                }
            },
        ]
    }

    private static func sums(_ scale: Int) -> [SpeedCase] {
        let (rows, d) = (65_536 * scale, 128)
        let (table, count) = (Double(rows * d * 4), Double(rows * d))
        return [
            SpeedCase(operation: .columnSums, subject: "\(rows) × \(d)", operations: count, bytes: table) {
                operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(rows, d), try operands.uniform(1, d))
                return { stream throws(ComputeError) in try stream.columnSums(input, into: output) }
            },
            SpeedCase(operation: .rowNorms, subject: "\(rows) × \(d)", operations: 2 * count, bytes: table) {
                operands throws(ComputeError) in
                let (input, output) = (try operands.uniform(rows, d), try operands.uniform(1, rows))
                return { stream throws(ComputeError) in try stream.rowNorms(input, squared: true, into: output) }
            },
        ]
    }

    private static func observed(_ scale: Int) -> [SpeedCase] {
        let (rows, columns, perRow, d) = (8192 * scale, 2048, 64, 64)
        let entries = Double(rows * perRow)
        let pattern = "\(rows) × \(columns), \(perRow) entries a row"
        let tables = Double(4 * d * (rows + columns))
        return [
            SpeedCase(
                operation: .sparseTimesDense, subject: "\(pattern), d = \(d)", operations: 2 * entries * Double(d),
                bytes: 8 * entries + tables
            ) { operands throws(ComputeError) in
                let sparse = try operands.sparse(rows, columns, perRow)
                let (dense, output) = (try operands.uniform(columns, d), try operands.uniform(rows, d))
                return { stream throws(ComputeError) in try stream.multiply(sparse, dense, into: output) }
            },
            SpeedCase(operation: .residualTargets, subject: pattern, operations: 0, bytes: 12 * entries) {
                operands throws(ComputeError) in
                let sparse = try operands.sparse(rows, columns, perRow)
                let output = try operands.uniform(1, rows * perRow)
                return { stream throws(ComputeError) in
                    try stream.residualTargets(sparse, constant: 1, into: output)
                }
            },
            SpeedCase(
                operation: .observedLoss, subject: "\(pattern), d = \(d)", operations: 2 * entries * Double(d),
                bytes: 8 * entries + tables
            ) { operands throws(ComputeError) in
                let sparse = try operands.sparse(rows, columns, perRow)
                let (a, b) = (try operands.uniform(rows, d), try operands.uniform(columns, d))
                let output = try operands.uniform(1, rows)
                return { stream throws(ComputeError) in try stream.observedLoss(sparse, a, b, into: output) }
            },
            SpeedCase(
                operation: .observedScores, subject: "\(rows * 8) pairs, d = \(d)",
                operations: 2 * Double(rows * 8 * d), bytes: Double(8 * rows * 8) + tables
            ) { operands throws(ComputeError) in
                let (i, j) = (
                    try operands.indices(rows * 8, below: rows), try operands.indices(rows * 8, below: columns)
                )
                let (a, b) = (try operands.uniform(rows, d), try operands.uniform(columns, d))
                let output = try operands.uniform(1, rows * 8)
                return { stream throws(ComputeError) in try stream.scores(rows: i, columns: j, a, b, into: output) }
            },
            SpeedCase(
                operation: .solveNormalEquations, subject: "\(pattern), d = \(d), exact",
                operations: entries * Double(d * d) + Double(rows * d * d * d) / 3, bytes: 8 * entries + tables
            ) { operands throws(ComputeError) in
                let sparse = try operands.sparse(rows, columns, perRow)
                let (fixed, solution) = (try operands.uniform(columns, d), try operands.uniform(rows, d))
                let diagonal = try operands.stream.upload([Float](repeating: 1, count: d))
                let ridge = try operands.stream.upload([Float](repeating: 1, count: rows))
                return { stream throws(ComputeError) in
                    try stream.solveNormalEquations(
                        sparse, weighted: false, fixed: fixed, diagonal: diagonal, rowRegularization: ridge,
                        method: .exact, solution: solution)
                }
            },
        ]
    }
}

extension SpeedCase {
    fileprivate static func clusters(_ scale: Int) -> [SpeedCase] {
        let (n, k, d) = (65_536 * scale, 256, 64)
        let table = Double(4 * n * d)
        return [
            SpeedCase(
                operation: .assignNearest, subject: "\(n) × \(d), k = \(k)",
                operations: 2 * Double(n) * Double(k) * Double(d), bytes: table + Double(4 * k * d + 4 * n)
            ) { operands throws(ComputeError) in
                let (points, centers) = (try operands.uniform(n, d), try operands.uniform(k, d))
                let labels = try operands.stream.allocate(rows: 1, columns: n, .int32)
                return { stream throws(ComputeError) in
                    try stream.assignNearest(points: points, centers: centers, labels: labels)
                }
            },
            SpeedCase(
                operation: .accumulateByLabel, subject: "\(n) × \(d), k = \(k)", operations: Double(n * d),
                bytes: table + Double(4 * k * d + 4 * n)
            ) { operands throws(ComputeError) in
                let (points, sums) = (try operands.uniform(n, d), try operands.uniform(k, d))
                let (labels, totals) = (try operands.indices(n, below: k), try operands.uniform(1, k))
                return { stream throws(ComputeError) in
                    try stream.accumulateByLabel(points: points, labels: labels, sums: sums, totals: totals)
                }
            },
        ]
    }
}

/// Operands of speed cases: random where the time might depend on it.
final class SpeedOperands {
    let stream: Stream
    private var draws: UInt64 = 0

    init(stream: Stream) { self.stream = stream }

    func uniform(_ rows: Int, _ columns: Int) throws(ComputeError) -> Matrix {
        draws += 1
        let output = try stream.allocate(rows: rows, columns: columns)
        try stream.randomUniform(output, seed: 99, stream: draws)
        return output
    }

    func indices(_ count: Int, below bound: Int) throws(ComputeError) -> Matrix {
        try indices(1, count, below: bound)
    }

    func indices(_ rows: Int, _ columns: Int, below bound: Int) throws(ComputeError) -> Matrix {
        draws += 1
        let random = Philox(seed: 99, stream: draws)
        let output = try stream.allocate(rows: rows, columns: columns, .int32)
        try stream.upload((0..<rows * columns).map { Int32(random.integer(UInt64($0), below: bound)) }, to: output)
        return output
    }

    /// As many entries in every row, at columns that a stride apart from a random start.
    func sparse(_ rows: Int, _ columns: Int, _ perRow: Int) throws(ComputeError) -> SparseMatrix {
        draws += 1
        let random = Philox(seed: 99, stream: draws)
        let step = columns / perRow
        var (pointers, indices): ([Int64], [Int32]) = ([0], [])
        indices.reserveCapacity(rows * perRow)
        for row in 0..<rows {
            let start = random.integer(UInt64(row), below: step)
            for entry in 0..<perRow { indices.append(Int32(start + entry * step)) }
            pointers.append(Int64(indices.count))
        }
        return try stream.wrap(
            HostSparseMatrix(
                rows: rows, columns: columns, rowPointers: HostBuffer(pointers), columnIndices: HostBuffer(indices),
                values: HostBuffer(repeating: 1, count: indices.count)))
    }
}
