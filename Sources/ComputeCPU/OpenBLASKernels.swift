import COpenBLAS
import CVectorLoops

#if canImport(Glibc)
    import Glibc
#endif

/// Which kernels OpenBLAS computes with.
package enum OpenBLASKernels {
    /// What an OpenBLAS that does not know a processor falls back to: kernels of 2004, at a tenth of the speed of one with
    /// AVX-512. Debian 12's 0.3.21 does so on Intel's from the fifth generation of Xeon on.
    private static let fallbacks: Set<String> = ["Prescott", "Core2", "Nehalem", "Katmai", "Northwood", "Barcelona"]

    /// The kernels to choose in place of those it has chosen; nil where they are good, or the user has named some.
    package static func better(than chosen: String, capability: String, named: Bool) -> String? {
        guard !named, fallbacks.contains(chosen) else { return nil }
        switch capability {
        case "AVX-512": return "SkylakeX"
        case "AVX2": return "Haswell"
        default: return nil
        }
    }

    /// Looks once, before OpenBLAS is used; answers the name of what is used.
    static let name: String = {
        let chosen = String(cString: openblas_get_corename())
        let capability = String(cString: apus_vector_capability())
        if let better = better(than: chosen, capability: capability, named: getenv("OPENBLAS_CORETYPE") != nil) {
            apus_openblas_choose(better)
        }
        return String(cString: openblas_get_corename())
    }()
}
