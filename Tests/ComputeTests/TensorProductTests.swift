import Compute
import ComputeOpenCL
import Conformance
import Core
import Testing

/// Packing, index arithmetic and epilogue of kernels/gemm_nvidia.cl, with mma.sync replaced by its definition.
@Suite("Tensor units, emulated") struct TensorProductTests {
    typealias Support = OpenCLTestSupport

    /// - Parameter tile: rows, columns, and of these those of a warp.
    private func open(_ tile: (Int, Int, Int, Int) = (32, 32, 16, 16)) throws -> OpenCLDevice {
        let tuning = KernelTuning([
            .tensorProducts: 1, .tensorLeast: 1, .tensorTileM: tile.0, .tensorTileN: tile.1, .tensorWarpM: tile.2,
            .tensorWarpN: tile.3,
        ])
        return try Support.open(OpenCLDeviceOptions(kernelClass: .gpu, tuning: tuning, tensorUnits: .emulated))
    }

    @Test("Every case of gemm, in either precision", arguments: [(32, 32, 16, 16), (64, 32, 32, 32)])
    func conforms(_ tile: (Int, Int, Int, Int)) throws {
        let stream = try open(tile).makeStream()
        // Under Oclgrind the smallest sweep takes long enough.
        let sweep = environment("APUS_SWEEP") == "minimal" || tile.0 != 32 ? Sweep.minimal : .reduced
        for one in ConformanceSuite(sweep).cases(of: .gemm) {
            let before = stream.counters.launches
            let result = one.run(on: stream)
            #expect(result.passed, "\(one.name): \(result.message)")
            // Three executions, of 3 launches at least each: it is the tensor kernels that were tested.
            let mayBeEmpty = one.name.contains(" × 0 ") || one.name.hasPrefix("gemm 0 ") || one.name.contains("0 × ")
            #expect(mayBeEmpty || stream.counters.launches - before >= 9, "\(one.name)")
        }
    }

    /// The sizes that NVIDIA devices start from.
    @Test func defaultTiles() throws {
        let stream = try open((128, 128, 64, 32)).makeStream()
        for (m, n, k) in [(130, 129, 40), (128, 256, 33)] {
            for precision in ProductPrecision.allCases {
                let (a, b) = (Support.random(m, k, seed: 1), Support.random(k, n, seed: 2))
                let output = try stream.allocate(rows: m, columns: n)
                try stream.gemm(stream.wrap(a), stream.wrap(b), precision: precision, into: output)
                let found = try stream.download(output)
                let error = Self.largestError(found, a, b)
                #expect(error < (precision == .float32 ? 1e-6 : 1e-2), "\(m) × \(n) × \(k) \(precision): \(error)")
                #expect(precision == .float32 || error > 1e-5, "rounded to bfloat16")
            }
        }
    }

    /// What the issue demands of 3×TF32: no more than four times the error of float32, relative to the magnitudes.
    @Test func errorStaysWithinFourTimesThatOfFloat32() throws {
        let (m, n, k) = (48, 40, 700)
        let (a, b) = (Support.random(m, k, seed: 3), Support.random(k, n, seed: 4))
        func error(_ device: OpenCLDevice) throws -> Double {
            let stream = try device.makeStream()
            let output = try stream.allocate(rows: m, columns: n)
            try stream.gemm(stream.wrap(a), stream.wrap(b), into: output)
            return Self.largestError(try stream.download(output), a, b)
        }
        let plain = try error(try Support.open(OpenCLDeviceOptions(kernelClass: .gpu)))
        let split = try error(try open())
        #expect(split <= 4 * plain, "\(split) against \(plain)")
        #expect(split > 0 && plain > 0)
    }

    /// The units cut off what a sum can't hold: over a long sum of positive terms that alone would be some 1e-5.
    @Test func longSumsLoseNothingByCutting() throws {
        let (m, n, k) = (8, 8, 6000)
        let (a, b) = (Support.random(m, k, seed: 5), Support.random(k, n, seed: 6))
        for x in [a, b] { for place in 0..<x.storage.count { x.storage[place] = abs(x.storage[place]) } }
        let stream = try open().makeStream()
        let output = try stream.allocate(rows: m, columns: n)
        try stream.gemm(stream.wrap(a), stream.wrap(b), into: output)
        let error = Self.largestError(try stream.download(output), a, b)
        #expect(error < 2e-6, "\(error)")
    }

    @Test func isOffUnlessTunedAndDetected() throws {
        // Tuned, but PoCL is no NVIDIA device.
        let tuning = KernelTuning([.tensorProducts: 1, .tensorLeast: 1])
        let stream = try Support.open(OpenCLDeviceOptions(kernelClass: .gpu, tuning: tuning)).makeStream()
        let a = try stream.wrap(Support.random(64, 64, seed: 5))
        let output = try stream.allocate(rows: 64, columns: 64)
        try stream.gemm(a, a, into: output)
        #expect(stream.counters.launches == 1)
        #expect(try Support.open().probe()["tensor_units"]?.hasPrefix("none") == true)
    }

    @Test func bfloat16IsRefusedWhereThereIsNone() throws {
        let stream = try Support.open(OpenCLDeviceOptions(kernelClass: .cpu)).makeStream()
        let a = try stream.allocate(rows: 2, columns: 2)
        let output = try stream.allocate(rows: 2, columns: 2)
        let error = computeError { () throws(ComputeError) in
            try stream.gemm(a, a, precision: .bfloat16, into: output)
        }
        guard case .unsupported(_, "gemm", let reason) = error else {
            Issue.record("threw \(String(describing: error))")
            return
        }
        #expect(reason.contains("bfloat16"))
    }

    /// The largest error of an element, relative to the sum of the magnitudes of its terms.
    private static func largestError(_ found: HostMatrix, _ a: HostMatrix, _ b: HostMatrix) -> Double {
        var largest = 0.0
        for i in 0..<a.rows {
            for j in 0..<b.columns {
                var (sum, magnitude) = (0.0, 0.0)
                for p in 0..<a.columns {
                    let term = Double(a[i, p]) * Double(b[p, j])
                    sum += term
                    magnitude += abs(term)
                }
                let error = abs(Double(found[i, j]) - sum) / magnitude
                largest = max(largest, error.isNaN ? .infinity : error)
            }
        }
        return largest
    }
}
