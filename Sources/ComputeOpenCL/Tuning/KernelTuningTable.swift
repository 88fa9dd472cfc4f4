import Compute

/// Defaults by vendor and architecture, checked in. What `apus tune-kernels` finds on a machine goes before them.
///
/// Entries without a measurement say so: they follow what the vendors document about the width of a wave, local memory
/// and caches, and wait for the first run of `scripts/gpu-check` on such a device.
public enum KernelTuningTable {
    /// One line of the table.
    public struct Entry: Sendable {
        /// What the vendor's name contains, in lower case; empty for all.
        public let vendors: [String]
        /// What the architecture begins with (``OpenCLDeviceDescription/architecture``); empty for all of the vendor.
        public let architectures: [String]
        public let deviceClass: DeviceClass
        public let changes: [KernelTunable: Int]
        /// Where the values are from.
        public let source: String
    }

    /// The first entry that fits counts.
    public static let entries: [Entry] = [
        Entry(
            vendors: ["nvidia"], architectures: ["sm_90"], deviceClass: .gpu,
            changes: [.gpuGroups: 256, .largeTile: 64],
            source: "tuned on an H100 (Benchmarks/results/2026-11-26-nvidia-h100-80gb-hbm3.json)"),
        Entry(
            vendors: ["nvidia"], architectures: ["sm_100", "sm_120"], deviceClass: .gpu,
            changes: [.gpuGroups: 256], source: "untested: as for sm_90"),
        Entry(
            vendors: ["nvidia"], architectures: ["sm_8"], deviceClass: .gpu, changes: [:],
            source: "untested: the class's defaults"),
        Entry(
            vendors: ["nvidia"], architectures: ["sm_5", "sm_6", "sm_7"], deviceClass: .gpu,
            changes: [.gpuGroups: 256], source: "untested: fewer multiprocessors"),
        Entry(
            vendors: ["advanced micro devices", "amd"], architectures: ["gfx9"], deviceClass: .gpu,
            changes: [.rowGroup: 64, .gpuGroups: 1024], source: "untested: waves of 64, up to 304 units"),
        Entry(
            vendors: ["advanced micro devices", "amd"], architectures: ["gfx10", "gfx11", "gfx12"], deviceClass: .gpu,
            changes: [:], source: "untested: waves of 32"),
        Entry(
            vendors: ["intel"], architectures: [], deviceClass: .gpu, changes: [.largeTile: 64, .largeWork: 4],
            source: "untested: 128 registers a thread hold no 8 × 8 sums and their operands"),
        Entry(
            vendors: ["arm", "qualcomm", "imagination"], architectures: [], deviceClass: .gpu,
            changes: [.largeTile: 64, .largeWork: 4, .mediumTile: 32, .gpuGroups: 128],
            source: "untested: few registers, few units"),
        // PoCL's names begin with the processor that it compiles for, the nearest that LLVM knows.
        Entry(
            vendors: [], architectures: ["pthread-haswell", "cpu-haswell", "cpu-znver1", "cpu-znver2", "cpu-znver3"],
            deviceClass: .cpu, changes: [.gemmBlock: 384],
            source: "measured on PoCL 3.1: Zen 3 with AVX2 (docs/PERFORMANCE.md)"),
        Entry(
            vendors: [], architectures: [], deviceClass: .cpu, changes: [:],
            source: "measured on PoCL 3.1: Zen 4 and Zen 5 with AVX-512 (docs/PERFORMANCE.md)"),
    ]

    /// The values for a device, with the entry that they are from.
    public static func tuning(
        vendor: String, architecture: String, kernelClass: DeviceClass
    ) -> (tuning: KernelTuning, entry: Entry?) {
        let name = vendor.lowercased()
        let found = entries.first { entry in
            (kernelClass == .cpu) == (entry.deviceClass == .cpu)
                && (entry.vendors.isEmpty || entry.vendors.contains { name.contains($0) })
                && (entry.architectures.isEmpty || entry.architectures.contains { architecture.hasPrefix($0) })
        }
        return (KernelTuning(found?.changes ?? [:]), found)
    }
}
