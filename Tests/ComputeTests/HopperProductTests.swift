import Compute
import ComputeOpenCL
import Conformance
import Core
import Testing

/// Packing, index arithmetic and epilogue of kernels/gemm_hopper.cl, with wgmma replaced by its definition, and the edit of its
/// PTX.
@Suite("Hopper, emulated") struct HopperProductTests {
    typealias Support = OpenCLTestSupport

    private func open(_ units: TensorUnits = .emulatedHopper) throws -> OpenCLDevice {
        try Support.open(
            OpenCLDeviceOptions(kernelClass: .gpu, tuning: KernelTuning([.hopperLeast: 1]), tensorUnits: units))
    }

    @Test("The smallest cases of gemm, in either precision") func conforms() throws {
        let stream = try open().makeStream()
        for one in ConformanceSuite(.minimal).cases(of: .gemm) {
            let before = stream.counters.launches
            let result = one.run(on: stream)
            #expect(result.passed, "\(one.name): \(result.message)")
            // Three executions, of 3 launches at least each: it is these kernels that were tested.
            let mayBeEmpty = one.name.contains(" × 0 ") || one.name.hasPrefix("gemm 0 ") || one.name.contains("0 × ")
            #expect(mayBeEmpty || stream.counters.launches - before >= 9, "\(one.name)")
        }
    }

    /// Several tiles, stages and splits, with a part of each, against double precision.
    @Test(arguments: [(130, 140, 1100, false, true), (140, 130, 70, true, false)])
    func tilesAndSplits(_ m: Int, _ n: Int, _ k: Int, _ transposeA: Bool, _ transposeB: Bool) throws {
        let stream = try open().makeStream()
        let a = transposeA ? Support.random(k, m, seed: 1) : Support.random(m, k, seed: 1)
        let b = transposeB ? Support.random(n, k, seed: 2) : Support.random(k, n, seed: 2)
        for precision in ProductPrecision.allCases {
            let output = try stream.allocate(rows: m, columns: n)
            try stream.gemm(
                stream.wrap(a), transposeA: transposeA, stream.wrap(b), transposeB: transposeB, precision: precision,
                into: output)
            let found = try stream.download(output)
            var largest = 0.0
            for i in 0..<m {
                for j in 0..<n {
                    var (sum, magnitude) = (0.0, 0.0)
                    for p in 0..<k {
                        let term = Double(transposeA ? a[p, i] : a[i, p]) * Double(transposeB ? b[j, p] : b[p, j])
                        sum += term
                        magnitude += abs(term)
                    }
                    let error = abs(Double(found[i, j]) - sum) / magnitude
                    largest = max(largest, error.isNaN ? .infinity : error)
                }
            }
            #expect(largest < (precision == .float32 ? 5e-7 : 1e-2), "\(precision): \(largest)")
            #expect(precision == .float32 || largest > 1e-5, "rounded to bfloat16")
        }
    }

    /// Infinity has no parts, and numbers that round to it have none either: the ordinary units compute.
    @Test func valuesWithoutParts() throws {
        let stream = try open().makeStream()
        let (a, b) = (Support.random(64, 64, seed: 3), Support.random(64, 64, seed: 4))
        a.storage[64 * 3 + 5] = .infinity
        a.storage[64 * 7 + 9] = 3.4e38
        b.storage[64 * 9 + 1] = 0.5
        let output = try stream.allocate(rows: 64, columns: 64)
        try stream.gemm(stream.wrap(a), stream.wrap(b), into: output)
        let found = try stream.download(output)
        #expect(found[3, 0].isInfinite)
        #expect(abs(found[7, 1] / 1.7e38 - 1) < 1e-5)
        #expect(found[8, 1].isFinite)
    }

    @Test func editOfThePTX() throws {
        let text = """
            .version 9.0
            .target sm_90, texmode_independent
            \t.shared .align 1024 .b8 gemm_hopper_$_stages[32768];
            \t//STAGES 196608
            \t//WG wgmma.fence.sync.aligned;
            \t// begin inline asm
            """
        let edited = try #require(PTXText.withHopperInstructions(text))
        #expect(edited.contains(".target sm_90a, texmode_independent"))
        #expect(edited.contains("stages[196608];"))
        #expect(edited.contains("\nwgmma.fence.sync.aligned;"))
        #expect(edited.contains("// begin inline asm"))
        #expect(PTXText.withHopperInstructions(text.replacing("sm_90", with: "sm_80")) == nil)
        #expect(PTXText.withHopperInstructions(text.replacing("//STAGES", with: "//")) == nil)
    }
}
