import ComputeCPU
import Testing

@Suite("Kernels of OpenBLAS") struct OpenBLASKernelsTests {
    /// Debian 12's OpenBLAS takes the kernels of a Pentium 4 on a Xeon of 2023.
    @Test func fallbacksAreReplaced() {
        func better(_ chosen: String, _ capability: String, named: Bool = false) -> String? {
            OpenBLASKernels.better(than: chosen, capability: capability, named: named)
        }
        #expect(better("Prescott", "AVX-512") == "SkylakeX")
        #expect(better("Nehalem", "AVX2") == "Haswell")
        #expect(better("Prescott", "SSE2") == nil)
        #expect(better("Prescott", "AVX-512", named: true) == nil)
        #expect(better("Cooperlake", "AVX-512") == nil)
    }
}
