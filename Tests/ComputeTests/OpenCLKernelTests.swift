import Compute
import ComputeOpenCL
import Core
import Testing

/// Values of the kernels against plain loops in double precision, at sizes around the tiles.
@Suite struct OpenCLKernelTests {
    typealias Support = OpenCLTestSupport
    let device: OpenCLDevice
    let stream: Compute.Stream

    init() throws {
        device = try Support.open()
        stream = try device.makeStream()
    }

    private func product(
        _ a: HostMatrix, _ transposeA: Bool, _ b: HostMatrix, _ transposeB: Bool, m: Int, n: Int, k: Int
    ) -> [Double] {
        var result = [Double](repeating: 0, count: m * n)
        for i in 0..<m {
            for j in 0..<n {
                for p in 0..<k {
                    result[i * n + j] +=
                        Double(transposeA ? a[p, i] : a[i, p]) * Double(transposeB ? b[j, p] : b[p, j])
                }
            }
        }
        return result
    }

    @Test(arguments: [
        (1, 1, 1), (12, 32, 16), (11, 31, 7), (13, 33, 17), (25, 65, 513), (100, 1, 40), (1, 100, 1030), (37, 530, 20),
        (3, 5, 0), (300, 70, 64), (254, 33, 1100), (245, 96, 300),
    ])
    func gemm(_ m: Int, _ n: Int, _ k: Int) throws {
        for (transposeA, transposeB) in [(false, false), (false, true), (true, false), (true, true)] {
            for variant in 0..<3 {
                let a = Support.random(transposeA ? k : m, transposeA ? m : k, seed: 1)
                let b = Support.random(transposeB ? n : k, transposeB ? k : n, seed: 2)
                let c = Support.random(m, n, seed: 3)
                let bias = Support.random(1, n, seed: 4)
                let beta: Float = variant == 0 ? 0 : -0.5
                var expected = product(a, transposeA, b, transposeB, m: m, n: n, k: k)
                for i in 0..<m {
                    for j in 0..<n {
                        var value = 1.5 * expected[i * n + j]
                        if beta != 0 { value += Double(beta) * Double(c[i, j]) }
                        if variant > 0 { value += Double(bias[0, j]) }
                        expected[i * n + j] = variant == 2 ? max(value, 0) : value
                    }
                }
                let pad = variant * 3
                let output = try Support.padded(
                    stream, variant == 0 ? HostMatrix(rows: m, columns: n, repeating: .nan) : c, pad: pad)
                try stream.gemm(
                    Support.padded(stream, a, pad: pad), transposeA: transposeA, Support.padded(stream, b, pad: pad),
                    transposeB: transposeB, alpha: 1.5, beta: beta,
                    bias: variant > 0 ? Support.padded(stream, bias, pad: pad) : nil,
                    activation: variant == 2 ? .relu : .identity, into: output)
                let found = try stream.download(output)
                #expect(
                    Support.deviation(found, expected) < 2e-6 * Double(max(k, 4)),
                    "\(transposeA) \(transposeB) \(variant)")
            }
        }
    }

    @Test(arguments: [(1, 1), (700, 17), (513, 96), (64, 97), (1500, 200), (0, 5), (5000, 33)])
    func gram(_ n: Int, _ d: Int) throws {
        let input = Support.random(n, d, seed: 5)
        let output = try Support.padded(stream, HostMatrix(rows: d, columns: d, repeating: .nan), pad: 3)
        try stream.gram(Support.padded(stream, input, pad: 3), into: output)
        let expected = product(input, true, input, false, m: d, n: d, k: n)
        let deviation = Support.deviation(try stream.download(output), expected)
        #expect(deviation < 2e-7 * Double(max(n, 8)))
    }

    @Test(arguments: [(1, 1), (700, 17), (3, 200), (1000, 64), (0, 5)])
    func sumsAndNorms(_ n: Int, _ d: Int) throws {
        let host = Support.random(n, d, seed: 6)
        let input = try Support.padded(stream, host, pad: 5)
        let sums = try stream.allocate(rows: 1, columns: d)
        try stream.columnSums(input, into: sums)
        let expected = (0..<d).map { j in (0..<n).reduce(0.0) { $0 + Double(host[$1, j]) } }
        #expect(Support.deviation(try stream.download(sums), expected) < 1e-4)
        let norms = try stream.allocate(rows: 1, columns: n)
        for squared in [true, false] {
            try stream.rowNorms(input, squared: squared, into: norms)
            let expected = (0..<n).map { i in
                let sum = (0..<d).reduce(0.0) { $0 + Double(host[i, $1]) * Double(host[i, $1]) }
                return squared ? sum : sum.squareRoot()
            }
            #expect(Support.deviation(try stream.download(norms), expected) < 1e-4)
        }
    }

    @Test(arguments: [1, 16, 31, 64, 100]) func sparse(_ d: Int) throws {
        let (m, n) = (203, 90)
        let host = Support.randomSparse(m, n, perRow: 12, seed: 9)
        let sparse = try stream.wrap(host)
        let (a, b) = (Support.random(m, d, seed: 10), Support.random(n, d, seed: 11))
        let output = try Support.padded(stream, a, pad: 2)
        try stream.multiply(sparse, Support.padded(stream, b, pad: 1), alpha: 2, beta: 0.5, into: output)
        var expected = a.storage.array.map { 0.5 * Double($0) }
        var losses = [Double](repeating: 0, count: m)
        for i in 0..<m {
            for e in host.range(ofRow: i) {
                let column = Int(host.columnIndices[e])
                var dot = 0.0
                for j in 0..<d {
                    expected[i * d + j] += 2 * Double(host.values[e]) * Double(b[column, j])
                    dot += Double(a[i, j]) * Double(b[column, j])
                }
                losses[i] += Double(host.values[e]) * (0.25 - dot) * (0.25 - dot)
            }
        }
        #expect(Support.deviation(try stream.download(output), expected) < 2e-5)
        let targets = try stream.allocate(rows: 1, columns: host.entryCount)
        try stream.fill(targets, with: 0.25)
        let loss = try stream.allocate(rows: 1, columns: m)
        try stream.observedLoss(sparse, targets: targets, stream.wrap(a), stream.wrap(b), into: loss)
        let found = try stream.download(loss)
        for i in 0..<m { #expect(abs(Double(found.storage[i]) - losses[i]) <= 1e-5 * (1 + losses[i])) }
    }

    @Test func scoresGatherAndScale() throws {
        let (m, n, d) = (20, 30, 37)
        let (a, b) = (Support.random(m, d, seed: 12), Support.random(n, d, seed: 13))
        let rows = try stream.upload([Int32]([0, 19, 5, 20, -1, 3]))
        let columns = try stream.upload([Int32]([29, 0, 7, 1, 2, 30]))
        let output = try stream.allocate(rows: 1, columns: 6)
        try stream.scores(rows: rows, columns: columns, stream.wrap(a), stream.wrap(b), into: output)
        let found = try stream.download(output).storage.array
        for (place, pair) in [(0, 29), (19, 0), (5, 7)].enumerated() {
            let expected = (0..<d).reduce(0.0) { $0 + Double(a[pair.0, $1]) * Double(b[pair.1, $1]) }
            #expect(abs(Double(found[place]) - expected) < 1e-5)
        }
        #expect(found[3].isNaN && found[4].isNaN && found[5].isNaN)

        let gathered = try stream.allocate(rows: 6, columns: d)
        try stream.gather(stream.wrap(a), rows: rows, into: gathered)
        let table = try stream.download(gathered)
        #expect(table[1, 36] == a[19, 36] && table[3, 0].isNaN && table[4, 36].isNaN && table[5, 2] == a[3, 2])

        let scaled = try stream.upload(a)
        let factors = (0..<m).map { Float($0) / 2 }
        try stream.scaleRows(scaled, by: stream.upload(factors), divide: true, into: scaled)
        let quotient = try stream.download(scaled)
        #expect(quotient[0, 3] == 0 && quotient[7, 36] == a[7, 36] / 3.5)
    }

    @Test func randomUniformHasTheBitsOfTheHost() throws {
        let output = try Support.padded(stream, HostMatrix(rows: 33, columns: 21), pad: 4)
        try stream.randomUniform(output, seed: 0x1234_5678_9ABC_DEF0, stream: 99, start: (1 << 34) + 3)
        let philox = Philox(seed: 0x1234_5678_9ABC_DEF0, stream: 99)
        let found = try stream.download(output).storage.array
        #expect(found == (0..<33 * 21).map { philox.uniform((1 << 34) + 3 + UInt64($0)) })
    }

    @Test func residualTargetsTouchOnlyTheirRows() throws {
        let host = Support.randomSparse(50, 20, perRow: 6, seed: 14)
        let sparse = try stream.wrap(host)
        let output = try stream.allocate(rows: 1, columns: host.entryCount)
        try stream.fill(output, with: -9)
        let rowOffsets = Support.random(1, 30, seed: 15)
        let columnOffsets = Support.random(1, 20, seed: 16)
        try stream.residualTargets(
            sparse.rows(10..<40), rowOffset: stream.wrap(rowOffsets), columnOffset: stream.wrap(columnOffsets),
            constant: 0.5, into: output)
        let found = try stream.download(output).storage
        for row in 0..<50 {
            for e in host.range(ofRow: row) {
                let expected =
                    (10..<40).contains(row)
                    ? host.values[e] - rowOffsets[0, row - 10] - columnOffsets[0, Int(host.columnIndices[e])] - 0.5 : -9
                #expect(abs(found[e] - expected) < 1e-6)
            }
        }
    }

    @Test(arguments: [(1, 5), (40, 24), (7, 65)]) func normalEquations(_ m: Int, _ d: Int) throws {
        let n = 60
        let host = Support.randomSparse(m, n, perRow: 15, seed: 17)
        let fixed = Support.random(n, d, seed: 18)
        let diagonal = (0..<d).map { 1 + Float($0) / 8 }
        let regularization = (0..<m).map { 0.5 + Float($0) / 16 }
        let solution = try Support.padded(stream, HostMatrix(rows: m, columns: d, repeating: .nan), pad: 3)
        try stream.solveNormalEquations(
            stream.wrap(host), fixed: Support.padded(stream, fixed, pad: 1), diagonal: stream.upload(diagonal),
            rowRegularization: stream.upload(regularization), method: .exact, solution: solution)
        let x = try stream.download(solution)
        for u in 0..<m {
            // The residual of the system, rather than a second solver.
            for i in 0..<d {
                var residual = Double(diagonal[i] + regularization[u]) * Double(x[u, i])
                for e in host.range(ofRow: u) {
                    let column = Int(host.columnIndices[e])
                    let dot = (0..<d).reduce(0.0) { $0 + Double(fixed[column, $1]) * Double(x[u, $1]) }
                    residual += Double(host.values[e]) * (dot - 1) * Double(fixed[column, i])
                }
                #expect(abs(residual) < 1e-4)
            }
        }
    }
}
