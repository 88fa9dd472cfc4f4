import Compute
import ComputeOpenCL
import Conformance
import Core
import Testing

/// Tunables change speed, never results.
@Suite struct KernelTuningTests {
    typealias Support = OpenCLTestSupport

    @Test func defaultsAreAmongTheCandidates() {
        for tunable in KernelTunable.allCases {
            #expect(tunable.candidates.contains(tunable.defaultValue), "\(tunable.rawValue)")
            #expect(!tunable.operations.isEmpty && KernelTuning()[tunable] == tunable.defaultValue)
        }
        let changed = KernelTuning([.gemmBlock: 512])
        #expect(changed.changes == [.gemmBlock: 512] && changed != KernelTuning())
    }

    @Test func theTableKnowsVendorsAndArchitectures() {
        func tuning(_ vendor: String, _ architecture: String, _ kernelClass: DeviceClass) -> KernelTuning {
            KernelTuningTable.tuning(vendor: vendor, architecture: architecture, kernelClass: kernelClass).tuning
        }
        #expect(tuning("NVIDIA Corporation", "sm_90", .gpu)[.gpuGroups] == 256)
        #expect(tuning("NVIDIA Corporation", "sm_86", .gpu)[.gpuGroups] == 512)
        #expect(tuning("Advanced Micro Devices, Inc.", "gfx90a", .gpu)[.rowGroup] == 64)
        #expect(tuning("Advanced Micro Devices, Inc.", "gfx1100", .gpu)[.rowGroup] == 32)
        #expect(tuning("Intel(R) Corporation", "Arc", .gpu)[.largeTile] == 64)
        #expect(tuning("GenuineIntel", "pthread-skylake-avx512", .cpu) == KernelTuning())
        #expect(tuning("AuthenticAMD", "pthread-haswell-AMD EPYC", .cpu)[.gemmBlock] == 384)
        #expect(tuning("Unheard of", "x", .gpu) == KernelTuning())
    }

    /// A value away from the default for each, on the smallest sweep; the tensor units have tests of their own.
    @Test(arguments: KernelTunable.allCases.filter { !$0.isOfTensorUnits && !$0.isOfHopper })
    func anotherValueIsRightOrRefused(_ tunable: KernelTunable) throws {
        for value in tunable.candidates.filter({ $0 != tunable.defaultValue }).prefix(1) {
            let options = OpenCLDeviceOptions(kernelClass: tunable.kernelClass, tuning: KernelTuning([tunable: value]))
            let stream = try Support.open(options).makeStream()
            for operation in tunable.operations {
                for one in ConformanceSuite.minimal.cases(of: operation) {
                    let result = one.run(on: stream)
                    // Some sizes are for devices with more local memory: the compiler then says so, once and for all.
                    if result.message.contains("could not compile") { break }
                    #expect(result.passed, "\(tunable.rawValue) = \(value): \(one.name): \(result.message)")
                }
            }
        }
    }

    /// Large problems of factorization get programs compiled for them: here small ones do, whose vectors are in registers
    /// (48, 128) or not.
    @Test func programsCompiledForAProblem() throws {
        let names = [
            "conjugate gradient d 33 ", "conjugate gradient d 48 ", "conjugate gradient d 128 ", "exact d 48 ",
            "subspace 16 d 33 ",
        ]
        let cases = ConformanceSuite(.full).cases(of: .solveNormalEquations)
        let tuning = KernelTuning([.compiledSystems: 0])
        let stream = try Support.open(OpenCLDeviceOptions(kernelClass: .cpu, tuning: tuning)).makeStream()
        for name in names {
            let one = try #require(cases.first { $0.name.contains(name) }, "\(name)")
            let result = one.run(on: stream)
            #expect(result.passed, "\(one.name): \(result.message)")
        }
    }
}
