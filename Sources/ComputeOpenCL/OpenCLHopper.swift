import COpenCL
import Compute

/// Products on the warpgroups of Hopper (kernels/gemm_hopper.cl).
extension Lowering {
    /// Whether a product goes there. Float32 loses nothing by it; small products gain nothing.
    func usesWarpgroups(_ operation: Gemm) -> Bool {
        let tuning = context.tuning
        guard operation.precision == .bfloat16 || tuning[.hopperProducts] == 1 else { return false }
        guard operation.m * operation.n * operation.k >= tuning[.hopperLeast] else { return false }
        let packed = HopperGemm(operation, context).packedBytes
        guard max(packed.a, packed.b) <= context.ledger.largestAllocationBytes,
            packed.a + packed.b <= context.ledger.limitBytes / 4
        else { return false }
        if case .works = context.warpgroups(operation.precision) { return true }
        return false
    }

    /// Launches: 3 for bfloat16. For float32 one more that clears the note of values without parts, and one (or two, see
    /// ``gemmGPU(_:guarded:)``) that computes on the ordinary units where there are any. One more where the sum is split.
    func gemmHopper(_ operation: Gemm) throws(ComputeError) {
        let hopper = HopperGemm(operation, context)
        let (m, n, k) = (operation.m, operation.n, operation.k)
        let hasParts = operation.precision == .float32
        let packedA = try scratch(byteCount: hopper.packedBytes.a)
        let packedB = try scratch(byteCount: hopper.packedBytes.b)
        let special = try scratch(byteCount: MemoryLayout<Int32>.size)
        let band = context.tuning[.gemmBand]
        let options = context.hopperOptions(operation.precision) + " -D TILE_BAND=\(band)"
        if hasParts {
            launch(
                "elementwise", "fill", grid: WorkSize(64), group: WorkSize(64),
                [[.buffer(special), .long(0), .long(1), .long(1), .long(1), .uint(0), .long(0), .long(0)]])
        }
        func pack(
            _ x: Matrix, _ count: Int, alongRows: Bool, groups: Int, _ packed: OpenCLStorage
        ) throws(ComputeError) {
            // Elements from one line (row of op(a), column of op(b)) to the next, and along the sum.
            let (line, step) = alongRows ? (x.rowStride, 1) : (1, x.rowStride)
            let group = alongRows ? WorkSize(16, 1, 8) : WorkSize(16, 8)
            launch(
                "gemm_hopper", "pack", options: options,
                grid: WorkSize(16, roundUp(groups, group.y), roundUp(hopper.blocks, group.z)), group: group,
                [
                    [
                        size(count), size(k), size(groups), size(hopper.blocks), .buffer(try storage(x)),
                        .long(x.offset), .long(line), .long(step), .buffer(packed), .buffer(special),
                    ]
                ])
        }
        try pack(operation.a, m, alongRows: !operation.transposeA, groups: hopper.rowTiles * 16, packedA)
        try pack(operation.b, n, alongRows: operation.transposeB, groups: hopper.columnGroups, packedB)
        let epilogue = try epilogue(operation)
        let output = try matrix(operation.output)
        let partial =
            hopper.splits > 1
            ? try scratch(byteCount: hopper.splits * m * n * 4) : try storage(operation.output)
        launch(
            "gemm_hopper", "gemm_hopper", options: options + smoothOption(operation),
            grid: WorkSize(
                hopper.columnTiles * band * HopperGemm.items, ceilDivide(hopper.rowTiles, band), hopper.splits),
            group: WorkSize(HopperGemm.items),
            [
                [
                    size(m), size(n), size(hopper.blocks), size(hopper.slice), size(hopper.rowTiles * 16),
                    size(hopper.columnGroups), .buffer(packedA), .buffer(packedB), .buffer(special),
                ], epilogue, output, [.buffer(partial)],
            ])
        if hopper.splits > 1 {
            combine(operation, splits: hopper.splits, partial, epilogue, output)
        }
        if hasParts { try gemmGPU(operation, guarded: special) }
    }
}

/// How a product is cut for gemm_hopper.cl.
private struct HopperGemm {
    static let items = 288
    private static let rows = 128
    /// 1 for bfloat16, 3 for float32.
    private let parts: Int
    private let tileColumns: Int
    let rowTiles, columnTiles: Int
    /// Blocks of 16 terms, whole stages.
    let blocks: Int
    /// Blocks of a split.
    let slice: Int

    init(_ operation: Gemm, _ context: OpenCLContext) {
        let isHalf = operation.precision == .bfloat16
        parts = isHalf ? 1 : 3
        tileColumns = isHalf ? 256 : 128
        let stage = isHalf ? 4 : 2
        rowTiles = ceilDivide(operation.m, Self.rows)
        columnTiles = ceilDivide(operation.n, tileColumns)
        blocks = max(roundUp(ceilDivide(operation.k, 16), stage), stage)
        // Long sums are split when the tiles are too few for the device; a split has to be worth its sums.
        let wanted = min(context.computeUnits / max(rowTiles * columnTiles, 1), blocks / 32)
        slice = wanted > 1 ? roundUp(ceilDivide(blocks, wanted), stage) : blocks
    }

    var splits: Int { ceilDivide(blocks, slice) }
    /// Groups of 8 columns.
    var columnGroups: Int { columnTiles * tileColumns / 8 }
    var packedBytes: (a: Int, b: Int) {
        (rowTiles * 16 * blocks * parts * 256, columnGroups * blocks * parts * 256)
    }
}

extension OpenCLContext {
    /// Whether products of this precision may go to warpgroups: detected at the first question, by a small product of
    /// whole numbers.
    func warpgroups(_ precision: ProductPrecision) -> TensorUnitProbe.Finding {
        guard tensorUnits != .off, kernelClass != .cpu else { return .fails("they are not wanted") }
        if tensorUnits == .emulated { return emulatesWarpgroups ? .works("") : .fails("they are not wanted") }
        guard isNVIDIA, architecture == "sm_90" else { return .fails("it is no Hopper") }
        return warpgroupProbe.finding(precision) {
            do throws(ComputeError) {
                return try tryWarpgroups(precision)
                    ? .works("") : .fails("wgmma runs, but its numbers are not the right ones")
            } catch {
                return .fails("\(error)")
            }
        }
    }

    /// Compiler options of gemm_hopper.cl.
    func hopperOptions(_ precision: ProductPrecision) -> String {
        "-D PARTS=\(precision == .bfloat16 ? 1 : 3)" + (tensorUnits == .emulated ? " -D EMULATED" : "")
    }

    /// A product of whole numbers that either precision has exactly, of odd sizes and more stages than local memory has.
    private func tryWarpgroups(_ precision: ProductPrecision) throws(ComputeError) -> Bool {
        let (m, n, k) = (130, 259, 400)
        func value(_ i: Int, _ j: Int) -> Float { Float((i * 7 + j * 5) % 17 - 8) }
        let backend = try OpenCLStreamBackend(context: self)
        func matrix(_ rows: Int, _ columns: Int) throws(ComputeError) -> Matrix {
            try Matrix(
                storage: backend.pool.allocate(byteCount: rows * columns * 4), elementType: .float32, offset: 0,
                rows: rows, columns: columns, rowStride: columns)
        }
        let (a, b, output) = (try matrix(m, k), try matrix(k, n), try matrix(m, n))
        for x in [a, b] {
            let numbers = (0..<x.rows).flatMap { i in (0..<x.columns).map { j in value(i, j) } }
            var failure: ComputeError?
            numbers.withUnsafeBytes { bytes in
                do throws(ComputeError) {
                    try backend.upload(
                        from: bytes.baseAddress!, to: x.storage, byteOffset: 0, byteCount: bytes.count)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
        let lowering = Lowering(context: self, pool: backend.pool)
        try lowering.gemmHopper(.plain(a, b, precision: precision, into: output))
        try backend.run(lowering.launches)
        var found = [Float](repeating: .nan, count: m * n)
        let count = found.count * 4
        var failure: ComputeError?
        found.withUnsafeMutableBytes { bytes in
            do throws(ComputeError) {
                try backend.download(
                    from: output.storage, byteOffset: 0, to: bytes.baseAddress!, byteCount: count)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return (0..<m).allSatisfy { i in
            (0..<n).allSatisfy { j in
                found[i * n + j] == (0..<k).reduce(Float(0)) { $0 + value(i, $1) * value($1, j) }
            }
        }
    }
}
