import Compute
import Core

/// Every operation, in shapes that make several chunks of it and take each of the ways in which it divides its work.
enum CPUWorkload {
    /// The bits of the outputs of an operation.
    static func results(of operation: OperationKind, on stream: Stream) throws -> [[UInt32]] {
        switch operation {
        case .fill: try one(stream, 300, 700) { output throws in try stream.fill(output, with: 1.5) }
        case .copy:
            try one(stream, 300, 700) { output throws in
                try stream.copy(stream.upload(values(300, 700)), to: output)
            }
        case .gather:
            try one(stream, 9000, 33) { output throws in
                let rows = try stream.upload((0..<9000).map { Int32($0 * 7 % 501) - 1 })
                try stream.gather(stream.upload(values(500, 33)), rows: rows, into: output)
            }
        case .gemm: try gemm(stream)
        case .batchedGemm:
            try one(stream, 300 * 40, 30) { output throws in
                try stream.batchedGemm(
                    count: 300, stream.upload(values(300 * 20, 40)), transposeA: true,
                    stream.upload(values(300 * 20, 30)),
                    into: output)
            }
        case .gram:
            try [(70_000, 20), (5000, 300), (300, 600)].flatMap { rows, columns throws in
                try one(stream, columns, columns) { output throws in
                    try stream.gram(stream.upload(values(rows, columns)), into: output)
                }
            }
        case .sparseTimesDense:
            try [16, 70].flatMap { d throws in
                try one(stream, 3000, d) { output throws in
                    try stream.multiply(stream.wrap(sparse), stream.upload(values(800, d)), into: output)
                }
            }
        case .columnSums:
            try [(50_000, 20), (30, 30_000)].flatMap { rows, columns throws in
                try one(stream, 1, columns) { output throws in
                    try stream.columnSums(stream.upload(values(rows, columns)), into: output)
                }
            }
        case .rowNorms:
            try one(stream, 1, 9000) { output throws in
                try stream.rowNorms(stream.upload(values(9000, 37)), into: output)
            }
        case .scaleRows:
            try one(stream, 9000, 37) { output throws in
                try stream.scaleRows(
                    stream.upload(values(9000, 37)), by: stream.upload(values(1, 9000)), divide: true, into: output)
            }
        case .randomUniform:
            try one(stream, 301, 701) { output throws in
                try stream.randomUniform(output, seed: 3, stream: 4, start: 5)
            }
        case .residualTargets:
            try one(stream, 1, sparse.entryCount) { output throws in
                try stream.residualTargets(
                    stream.wrap(sparse), rowOffset: stream.upload(values(1, 3000)), constant: 0.5, into: output)
            }
        case .observedLoss:
            try one(stream, 1, 3000) { output throws in
                try stream.observedLoss(
                    stream.wrap(sparse), stream.upload(values(3000, 24)), stream.upload(values(800, 24)), into: output)
            }
        case .observedScores:
            try one(stream, 1, 9000) { output throws in
                let rows = try stream.upload((0..<9000).map { Int32($0 % 3000) })
                let columns = try stream.upload((0..<9000).map { Int32($0 * 7 % 801) })
                try stream.scores(
                    rows: rows, columns: columns, stream.upload(values(3000, 24)), stream.upload(values(800, 24)),
                    into: output)
            }
        case .solveNormalEquations: try solve(stream)
        case .topK: try topK(stream)
        case .assignNearest:
            try [(9000, 300, 24), (70_000, 12, 4), (500, 40, 600)].flatMap { n, k, d throws in
                let labels = try stream.allocate(rows: 1, columns: n, .int32)
                return try one(stream, 1, n) { output throws in
                    try stream.assignNearest(
                        points: stream.upload(values(n, d)), centers: stream.upload(values(k, d)), labels: labels,
                        distances: output)
                } + [stream.download(labels, as: Int32.self).map { UInt32(bitPattern: $0) }]
            }
        case .accumulateByLabel:
            try [(90_000, 30, 24), (9000, 5, 300)].flatMap { n, k, d throws in
                try one(stream, k, d) { output throws in
                    try stream.accumulateByLabel(
                        points: stream.upload(values(n, d)), labels: stream.upload((0..<n).map { Int32($0 * 7 % k) }),
                        weights: stream.upload(values(1, n)), sums: output,
                        totals: stream.allocate(rows: 1, columns: k))
                }
            }
        default: try network(operation, on: stream)
        }
    }

    private static func gemm(_ stream: Stream) throws -> [[UInt32]] {
        // Square, tall, wide, long sums, small.
        try [(500, 600, 400), (30_000, 40, 24), (20, 30_000, 24), (24, 40, 60_000), (300, 280, 20_000), (9, 9, 9)]
            .flatMap { m, n, k throws in
                try one(stream, m, n) { output throws in
                    try stream.gemm(
                        stream.upload(values(k, m)), transposeA: true, stream.upload(values(k, n)),
                        bias: stream.upload(values(1, n)), activation: .tanh, into: output)
                }
            }
    }

    private static func solve(_ stream: Stream) throws -> [[UInt32]] {
        let methods: [NormalEquationMethod] = [.exact, .subspace(blockSize: 8), .conjugateGradient(steps: 3)]
        return try methods.flatMap { method throws in
            try one(stream, 3000, 24) { output throws in
                try stream.fill(output, with: 0.1)
                try stream.solveNormalEquations(
                    stream.wrap(sparse), fixed: stream.upload(values(800, 24)),
                    diagonal: stream.upload([Float](repeating: 2, count: 24)),
                    rowRegularization: stream.upload([Float](repeating: 1, count: 3000)), method: method,
                    solution: output)
            }
        }
    }

    private static func topK(_ stream: Stream) throws -> [[UInt32]] {
        // Many queries; some; one; more places than candidates.
        try [(3000, 800, 5), (70, 60_000, 40), (1, 90_000, 10), (50, 800, 1000)].flatMap {
            m, n, k throws in
            let indices = try stream.allocate(rows: m, columns: k, .int32)
            let scores = try stream.allocate(rows: m, columns: k)
            try stream.topK(
                queries: stream.upload(values(m, 24)), candidates: stream.upload(values(n, 24)),
                candidateBias: stream.upload(values(1, n)), exclusions: m == 3000 ? stream.wrap(sparse) : nil,
                indices: indices, scores: scores)
            return [
                try stream.download(indices, as: Int32.self).map { UInt32(bitPattern: $0) },
                try stream.download(scores, as: Float.self).map(\.bitPattern),
            ]
        }
    }

    /// The bits of one output that `body` computes.
    static func one(
        _ stream: Stream, _ rows: Int, _ columns: Int, _ body: (Matrix) throws -> Void
    ) throws -> [[UInt32]] {
        let output = try stream.allocate(rows: rows, columns: columns)
        try body(output)
        return [try stream.download(output, as: Float.self).map(\.bitPattern)]
    }

    static func values(_ rows: Int, _ columns: Int) -> HostMatrix {
        let matrix = HostMatrix(rows: rows, columns: columns)
        let random = Philox(seed: 11, stream: UInt64(rows))
        for index in 0..<matrix.storage.count { matrix.storage[index] = random.uniform(UInt64(index)) - 0.5 }
        return matrix
    }

    /// 3,000 × 800 with rows of 0 to some 90 entries, and one of 700.
    private static let sparse: HostSparseMatrix = {
        let random = Philox(seed: 12, stream: 0)
        var pointers: [Int64] = [0]
        var indices: [Int32] = []
        var weights: [Float] = []
        for row in 0..<3000 {
            let step = row == 1500 ? 1 : 9 + row % 150
            var column = row == 1500 ? 0 : random.integer(UInt64(row), below: step)
            while column < (row == 1500 ? 700 : 800) && row % 50 != 0 || row == 1500 && column < 700 {
                indices.append(Int32(column))
                weights.append(random.uniform(UInt64(1 << 20 + indices.count)) + 0.5)
                column += step
            }
            pointers.append(Int64(indices.count))
        }
        return HostSparseMatrix(
            rows: 3000, columns: 800, rowPointers: HostBuffer(pointers), columnIndices: HostBuffer(indices),
            values: HostBuffer(weights))
    }()
}
