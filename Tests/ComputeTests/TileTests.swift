import Compute
import ComputeOpenCL
import Conformance
import Core
import Testing

/// Work that passes through a device in tiles gives what it gives in one piece, within the memory it was allowed.
@Suite struct TileTests {
    typealias Support = OpenCLTestSupport

    /// Copies, as devices with memory of their own do.
    private func open(_ memoryLimit: Int? = nil) throws -> OpenCLDevice {
        try Support.open(OpenCLDeviceOptions(memoryLimitBytes: memoryLimit, copiesHostMemory: true))
    }

    @Test func uploadsAheadComeBeforeWhatJoinsThem() throws {
        let stream = try open().makeStream()
        let size = 1 << 19
        let (first, second) = (
            HostBuffer<Float>(repeating: 1, count: size), HostBuffer<Float>(repeating: 2, count: size)
        )
        let tables = [try stream.allocate(rows: 1, columns: size), try stream.allocate(rows: 1, columns: size)]
        let sums = try stream.allocate(rows: 40, columns: 1)
        for round in 0..<40 {
            let upload = try stream.uploadAhead(
                round % 3 == 0 ? first : second, 0..<size, to: tables[round % 2])
            try stream.join(upload)
            try stream.columnSums(
                Matrix(
                    storage: tables[round % 2].storage, elementType: .float32, offset: 0, rows: size, columns: 1,
                    rowStride: 1), into: sums.rows(round..<round + 1))
        }
        let found = try stream.download(sums).storage.array
        #expect(found == (0..<40).map { Float(size) * ($0 % 3 == 0 ? 1 : 2) })
        #expect(stream.counters.bytesUploaded == 40 * size * 4)
    }

    @Test func uploadsAheadAreChecked() throws {
        let stream = try open().makeStream()
        let host = HostBuffer<Float>(repeating: 1, count: 10)
        let matrix = try stream.allocate(rows: 2, columns: 3)
        for range in [0..<5, 5..<11] {
            #expect(throws: ComputeError.self) { _ = try stream.uploadAhead(host, range, to: matrix) }
        }
        let integers = HostBuffer<Int32>(repeating: 1, count: 6)
        #expect(throws: ComputeError.self) { _ = try stream.uploadAhead(integers, 0..<6, to: matrix) }
    }

    @Test(arguments: [64, 400, 5000, 1 << 20]) func sparseRowsInTiles(_ tileBytes: Int) throws {
        let host = Support.randomSparse(203, 90, perRow: 12, seed: 9)
        let dense = Support.random(90, 16, seed: 10)
        let stream = try open().makeStream()
        let whole = try stream.allocate(rows: 203, columns: 16)
        try stream.multiply(stream.wrap(host), stream.wrap(dense), into: whole)
        let output = try stream.allocate(rows: 203, columns: 16)
        let right = try stream.wrap(dense)
        let tiles = try SparseTiles(host, on: stream, tileBytes: tileBytes)
        for _ in 0..<2 {
            try stream.fill(output, with: .nan)
            let before = stream.counters.bytesUploaded
            try tiles.forEach { rows, tile throws(ComputeError) in
                try stream.multiply(tile, right, into: output.rows(rows))
            }
            let moved = stream.counters.bytesUploaded - before
            #expect(moved == (tiles.tiles.count < 2 ? 0 : 8 * host.entryCount + 8 * (203 + tiles.tiles.count)))
            #expect(try stream.download(output).storage.array == stream.download(whole).storage.array)
        }
        #expect((tiles.tiles.count == 1) == (tileBytes == 1 << 20) && tiles.tiles.last?.upperBound == 203)
    }

    @Test(arguments: [(300, 200, 250), (1, 700, 33), (129, 64, 900), (5, 7, 0)])
    func productsLargerThanTheDevice(_ m: Int, _ n: Int, _ k: Int) throws {
        for (transposeA, transposeB) in [(false, false), (true, true)] {
            let limit = 300 << 10
            let device = try open(limit)
            let stream = try device.makeStream()
            let a = Support.random(transposeA ? k : m, transposeA ? m : k, seed: 1)
            let b = Support.random(transposeB ? n : k, transposeB ? k : n, seed: 2)
            let found = try stream.hostGemm(a, transposeA: transposeA, b, transposeB: transposeB)
            var largest = 0.0
            for i in 0..<m {
                for j in 0..<n {
                    var sum = 0.0
                    for p in 0..<k {
                        sum += Double(transposeA ? a[p, i] : a[i, p]) * Double(transposeB ? b[j, p] : b[p, j])
                    }
                    largest = max(largest, abs(Double(found[i, j]) - sum))
                }
            }
            #expect(largest < 2e-6 * Double(max(k, 4)), "\(transposeA)")
            #expect(device.allocatedBytes <= limit)
        }
    }

    @Test(arguments: [400, 3000, 1 << 22]) func candidatesInTiles(_ tileBytes: Int) throws {
        let (m, n, d, k) = (9, 231, 8, 7)
        // Whole numbers: ties are many, and decided by the index alone.
        func whole(_ matrix: HostMatrix) -> HostMatrix {
            for place in 0..<matrix.storage.count { matrix.storage[place] = (matrix.storage[place] * 4).rounded() }
            return matrix
        }
        let (queries, candidates) = (whole(Support.random(m, d, seed: 3)), whole(Support.random(n, d, seed: 4)))
        let exclusions = Support.randomSparse(m, n, perRow: 30, seed: 5)
        let bias = (0..<n).map { $0 % 5 == 0 ? -Float.infinity : Float($0 % 3) }
        let stream = try open().makeStream()
        let asked = try stream.wrap(queries)
        let tiles = try CandidateTiles(candidates, on: stream, tileBytes: tileBytes)
        #expect((tiles.tiles.count == 1) == (tileBytes == 1 << 22))
        for (bias, exclusions) in [(nil, nil), (bias, exclusions), (bias.map { _ in -Float.infinity }, nil)] {
            let found = try tiles.topK(queries: asked, count: k, bias: bias, exclusions: exclusions)
            let indices = try stream.allocate(rows: m, columns: k, .int32)
            let scores = try stream.allocate(rows: m, columns: k)
            try stream.topK(
                queries: asked, candidates: stream.wrap(candidates), candidateBias: bias.map { try stream.upload($0) },
                exclusions: exclusions.map { try stream.wrap($0) }, indices: indices, scores: scores)
            #expect(try found.indices == stream.download(indices, as: Int32.self))
            #expect(try found.scores == stream.download(scores, as: Float.self))
        }
        #expect(throws: ComputeError.self) { _ = try tiles.topK(queries: asked, count: k, bias: [1]) }
    }

    @Test func tooLittleForAnyTileIsSaid() throws {
        let stream = try open(16 << 10).makeStream()
        let a = Support.random(200, 200, seed: 1)
        #expect {
            _ = try stream.hostGemm(a, a)
        } throws: { error in
            guard case .outOfMemory(_, let requested, let available)? = error as? ComputeError else { return false }
            return requested > available && "\(error)".contains("--memory-limit")
        }
    }

    /// The copy of the next tile runs while the present one computes: in the order of the queue it could not.
    @Test func copiesRunBesideKernels() throws {
        let stream = try open().makeStream()
        let n = 1536
        let a = try stream.upload(Support.random(n, n, seed: 1))
        let c = try stream.allocate(rows: n, columns: n)
        let host = HostBuffer<Float>(repeating: 1, count: 4 << 20)
        let target = try stream.allocate(rows: 1, columns: host.count)
        func run(_ copies: Bool, _ computes: Bool) throws -> Double {
            try stream.finish()
            let start = monotonicSeconds()
            let upload = copies ? try stream.uploadAhead(host, 0..<host.count, to: target) : nil
            if computes { for _ in 0..<3 { try stream.gemm(a, a, into: c) } }
            if let upload { try stream.join(upload) }
            let enqueued = monotonicSeconds() - start
            try stream.finish()
            return enqueued
        }
        _ = try run(true, true)
        // The host is back before the work is done: it waits for neither.
        let computing = monotonicSeconds()
        let enqueued = try run(true, true)
        let whole = monotonicSeconds() - computing
        #expect(enqueued < whole / 2, "\(enqueued) of \(whole) s")
    }
}
