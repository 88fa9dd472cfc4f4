import Compute

/// A number that decides how kernels are compiled or launched, but not what they compute.
///
/// Names are `file.NAME` for macros of a file of kernels/ (each in an `#ifndef` guard there) and `file.name` for what
/// only the host uses.
public enum KernelTunable: String, Sendable, CaseIterable {
    // CPU class
    case gemmBlock = "gemm_cpu.K_BLOCK"
    case gemmSmallBlock = "gemm_cpu.K_SMALL"
    case gemmTilesPerItem = "gemm_cpu.tiles_per_item"
    case gemmPanelsPerItem = "gemm_cpu.panels_per_item"
    case gemmSmallOperations = "gemm_cpu.small_operations"
    case topKTilesPerItem = "top_k_cpu.tiles_per_item"
    case primalPanel = "normal_equations_cpu.APUS_PRIMAL_PANEL"
    case dualPanel = "normal_equations_cpu.APUS_DUAL_PANEL"
    case lookaheadBytes = "normal_equations_cpu.APUS_LOOKAHEAD_BYTES"
    /// From how many numbers to read (entries times length of vectors) on a problem gets a program compiled for it.
    case compiledSystems = "normal_equations_cpu.compiled_systems"

    // GPU class
    case gpuGroups = "gpu.groups"
    case largeTile = "gemm_gpu.large_tile"
    case largeWork = "gemm_gpu.large_work"
    case mediumTile = "gemm_gpu.medium_tile"
    case mediumWork = "gemm_gpu.medium_work"
    case gemmTileK = "gemm_gpu.TILE_K"
    case gemmVector = "gemm_gpu.VECTOR"
    case gemmPad = "gemm_gpu.LOCAL_PAD"
    case gemmBand = "gemm_gpu.TILE_BAND"
    case gramTileK = "gram_gpu.TILE_K"
    case gramPad = "gram_gpu.LOCAL_PAD"
    case rowGroup = "sparse_gpu.ROW_GROUP"
    case sparseBlock = "sparse_gpu.SPARSE_BLOCK"
    case topKPad = "top_k_gpu.LOCAL_PAD"
    /// Whether float32 products go to NVIDIA's tensor units, as three products of TF32.
    case tensorProducts = "gemm_nvidia.three_tf32"
    /// The least rows, columns and terms for which they do.
    case tensorLeast = "gemm_nvidia.least"
    case tensorTileM = "gemm_nvidia.tile_m"
    case tensorTileN = "gemm_nvidia.tile_n"
    case tensorWarpM = "gemm_nvidia.warp_m"
    case tensorWarpN = "gemm_nvidia.warp_n"
    /// Whether float32 products go to the warpgroups of NVIDIA's Hopper, in three parts of bfloat16.
    case hopperProducts = "gemm_hopper.float32"
    /// The least products of numbers (rows times columns times terms) for which they, and those of bfloat16, do: below, the
    /// launches for packing take longer.
    case hopperLeast = "gemm_hopper.least_products"

    /// What is used where no table says otherwise; the same as in the guards of the kernels.
    public var defaultValue: Int {
        switch self {
        case .gemmBlock: 1024
        case .gemmSmallBlock: 256
        case .gemmTilesPerItem: 20
        case .gemmPanelsPerItem: 4
        case .gemmSmallOperations: 2 * 256 * 256 * 256
        case .topKTilesPerItem: 4
        case .primalPanel: 64
        case .dualPanel: 128
        case .lookaheadBytes: 131_072
        case .compiledSystems: 1 << 28
        case .gpuGroups: 512
        case .largeTile: 128
        case .largeWork: 8
        case .mediumTile: 64
        case .mediumWork: 4
        case .gemmTileK, .gramTileK: 16
        case .gemmVector, .gemmPad, .gramPad, .topKPad: 4
        case .gemmBand: 8
        case .rowGroup: 32
        case .sparseBlock: 256
        case .tensorProducts: 0
        case .tensorLeast: 256
        case .tensorTileM, .tensorTileN: 128
        case .tensorWarpM: 64
        case .tensorWarpN: 32
        case .hopperProducts: 1
        case .hopperLeast: 1 << 31
        }
    }

    /// Values worth trying. Some combinations do not compile or have no room; they lose.
    public var candidates: [Int] {
        switch self {
        case .gemmBlock: [256, 384, 512, 768, 1024, 2048]
        case .gemmSmallBlock: [128, 256, 512]
        case .gemmTilesPerItem: [6, 10, 20, 40]
        case .gemmPanelsPerItem: [1, 2, 4, 8]
        case .gemmSmallOperations: [1 << 20, 2 * 128 * 128 * 128, 2 * 256 * 256 * 256, 2 * 384 * 384 * 384]
        case .topKTilesPerItem: [2, 4, 8]
        case .primalPanel: [32, 64, 128]
        case .dualPanel: [64, 128, 256]
        case .lookaheadBytes: [32_768, 131_072, 524_288]
        // What it costs is compilation, which no measurement of a kernel sees.
        case .compiledSystems: [1 << 28]
        case .gpuGroups: [128, 256, 512, 1024, 2048]
        case .largeTile: [64, 128]
        case .largeWork: [4, 8]
        case .mediumTile: [32, 64]
        case .mediumWork: [4, 8]
        case .gemmTileK: [8, 16, 32]
        case .gramTileK: [8, 16, 32]
        case .gemmVector: [1, 2, 4]
        case .gemmPad, .gramPad, .topKPad: [0, 4, 8]
        case .gemmBand: [1, 4, 8, 16]
        case .rowGroup: [32, 64]
        case .sparseBlock: [128, 256, 512]
        case .tensorProducts: [0, 1]
        case .tensorLeast: [64, 128, 256, 512]
        case .tensorTileM, .tensorTileN: [64, 128, 256]
        case .tensorWarpM, .tensorWarpN: [32, 64]
        case .hopperProducts: [0, 1]
        case .hopperLeast: [1 << 29, 1 << 30, 1 << 31, 1 << 32]
        }
    }

    /// The operations whose results and speed depend on it.
    public var operations: [OperationKind] {
        switch self {
        case .gemmBlock: [.gemm, .topK]
        case .gemmSmallBlock, .gemmTilesPerItem, .gemmPanelsPerItem, .gemmSmallOperations, .largeTile,
            .largeWork, .mediumTile, .mediumWork, .gemmTileK, .gemmVector, .gemmPad, .gemmBand, .tensorProducts,
            .tensorLeast, .tensorTileM, .tensorTileN, .tensorWarpM, .tensorWarpN, .hopperProducts, .hopperLeast:
            [.gemm]
        case .topKTilesPerItem, .topKPad: [.topK]
        case .primalPanel, .dualPanel, .lookaheadBytes, .compiledSystems: [.solveNormalEquations]
        case .gramTileK, .gramPad: [.gram]
        case .rowGroup: [.observedLoss, .observedScores]
        case .sparseBlock: [.sparseTimesDense]
        case .gpuGroups: [.gemm, .gram, .topK, .columnSums]
        }
    }

    /// Whether it matters only where NVIDIA's tensor units are used.
    public var isOfTensorUnits: Bool { rawValue.hasPrefix("gemm_nvidia.") }

    /// Whether it matters only on Hopper.
    public var isOfHopper: Bool { rawValue.hasPrefix("gemm_hopper.") }

    /// The class of the kernels it belongs to.
    public var kernelClass: DeviceClass {
        let file = rawValue.prefix { $0 != "." }
        return file.hasSuffix("cpu") ? .cpu : .gpu
    }

    /// The file of kernels/ that is compiled with it, and the name of the macro; nil for what only the host uses.
    var macro: (file: String, name: String)? {
        let parts = rawValue.split(separator: ".").map(String.init)
        return parts[1].first?.isUppercase == true ? (parts[0], parts[1]) : nil
    }
}

/// A value for every tunable.
public struct KernelTuning: Sendable, Hashable {
    private var values: [Int]

    /// The defaults.
    public init() {
        values = KernelTunable.allCases.map(\.defaultValue)
    }

    /// The defaults with some values changed.
    public init(_ changes: [KernelTunable: Int]) {
        self.init()
        for (tunable, value) in changes { self[tunable] = value }
    }

    private static let places = Dictionary(
        uniqueKeysWithValues: KernelTunable.allCases.enumerated().map { ($1, $0) })

    public subscript(tunable: KernelTunable) -> Int {
        get { values[Self.places[tunable] ?? 0] }
        set { values[Self.places[tunable] ?? 0] = newValue }
    }

    /// What differs from the defaults.
    public var changes: [KernelTunable: Int] {
        Dictionary(
            uniqueKeysWithValues: KernelTunable.allCases.filter { self[$0] != $0.defaultValue }.map { ($0, self[$0]) })
    }

    /// Compiler options for a file of kernels/, but for macros that `own` options set.
    func options(forFile file: String, own: String) -> String {
        // The kernels of top_k_cpu.cl read what those of gemm_cpu.cl have packed.
        let files = file == "top_k_cpu" ? [file, "gemm_cpu"] : [file]
        return KernelTunable.allCases.compactMap { tunable in
            guard let macro = tunable.macro, files.contains(macro.file), !own.contains("-D \(macro.name)=") else {
                return nil
            }
            return "-D \(macro.name)=\(self[tunable])"
        }.joined(separator: " ")
    }
}
