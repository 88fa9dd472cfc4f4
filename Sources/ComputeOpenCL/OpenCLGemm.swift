import CKernels
import Compute

/// Sizes that the kernels of gemm_cpu.cl and top_k_cpu.cl share with the host and that nothing tunes.
enum GemmTunables {
    /// Whether the register tile is that of 32 registers of 512 bits: see vectors_cpu.cl. Devices that run kernels for
    /// CPUs are this processor.
    static let hasWideRegisters = apus_has_512_bit_registers() != 0
    /// The register tile.
    static let tileRows = hasWideRegisters ? 12 : 6
    static let tileColumns = hasWideRegisters ? 32 : 16
    /// Bytes of packed panels of one operand; larger operands are packed slab by slab.
    static let packedBytes = 96 << 20
    /// Products of fewer rows and of fewer operations than this need no packing: gemm_small.
    static let smallRows = 264
    /// Work-groups that keep all threads busy although their speeds differ.
    static let busyGroups = 64

    /// Whether the rows of a register tile, read where they are, would push each other out of a first-level cache: 64
    /// sets of lines of 64 bytes, of 8 ways in most processors. Rows whose distance is a power of two share one set or
    /// two. Such matrices are packed, which costs a pass over them; read in place they took 1.3 times as long at
    /// 2048 x 2048 x 2048.
    /// - Parameter stride: elements from one row to the next.
    static func rowsCollide(stride: Int) -> Bool {
        let sets = (0..<tileRows).map { $0 * stride / 16 % 64 }
        return sets.contains { set in sets.count { $0 == set } >= 6 }
    }
}

/// Dense products on CPU-class devices.
///
/// Launches: 1 for small products whose A is not transposed. Else, for S slabs of op(b)'s columns and R slabs of op(a)'s
/// rows (1 each below 96 MB of packed panels): S · 2 when A is not transposed, S · (1 + 2R) when it is; without the
/// packing, when the inner dimension is 0.
extension Lowering {
    func gemm(_ operation: Gemm) throws(ComputeError) {
        let (m, n, k) = (operation.m, operation.n, operation.k)
        typealias T = GemmTunables
        if !operation.transposeA && m <= T.smallRows && 2 * m * n * k <= context.tuning[.gemmSmallOperations] {
            return try gemmSmall(operation)
        }
        let packsRows =
            operation.transposeA || (n >= 4 * T.tileColumns && GemmTunables.rowsCollide(stride: operation.a.rowStride))
        let slabElements = T.packedBytes / MemoryLayout<Float>.size / max(k, 1)
        let rowSlab = packsRows ? max(slabElements / T.tileRows * T.tileRows, T.tileRows * 20) : max(m, 1)
        let columnSlab = max(slabElements / T.tileColumns * T.tileColumns, T.tileColumns * 8)
        let packedB = try scratch(byteCount: roundUp(min(n, columnSlab), T.tileColumns) * k * 4)
        let packedA = packsRows ? try scratch(byteCount: roundUp(min(m, rowSlab), T.tileRows) * k * 4) : packedB

        for column in stride(from: 0, to: n, by: columnSlab) {
            let columns = min(n - column, columnSlab)
            if k > 0 { try packB(operation, from: column, columns: columns, into: packedB) }
            for row in stride(from: 0, to: m, by: rowSlab) {
                let rows = min(m - row, rowSlab)
                if packsRows && k > 0 { try packA(operation, from: row, rows: rows, into: packedA) }
                let output = operation.output.rows(row..<row + rows).columns(column..<column + columns)
                let shape = gemmGrid(rows: rows, columns: columns, readsRowsInPlace: !packsRows)
                let common: [[KernelArgument]] = [
                    [.buffer(packedB)], try matrix(output),
                    [.long(rows), .long(columns), .long(k), .float(operation.alpha), .float(operation.beta)],
                    try vector(operation.bias?.columns(column..<column + columns), else: output),
                    [
                        .int(operation.bias == nil ? 0 : 1), .int(activationNumber(operation.activation)),
                        .int(Int32(shape.tilesPerItem)), .int(Int32(shape.panelsPerItem)),
                    ],
                ]
                if packsRows {
                    launch("gemm_cpu", "gemm_packed", grid: shape.grid, [[.buffer(packedA)]] + common)
                } else {
                    let slab = operation.a.rows(row..<row + rows)
                    launch("gemm_cpu", "gemm_rows", grid: shape.grid, [try matrix(slab)] + common)
                }
            }
        }
    }

    private func gemmSmall(_ operation: Gemm) throws(ComputeError) {
        let b = operation.b
        let tiles = ceilDivide(operation.m, GemmTunables.tileRows)
        let panels = ceilDivide(operation.n, GemmTunables.tileColumns)
        // Groups of some microseconds: more groups than threads, but not so many that starting them costs more.
        let wanted = max(2 * operation.m * operation.n * operation.k >> 18, 2)
        let tilesPerItem = max(tiles * panels / max(wanted, panels), 1)
        launch(
            "gemm_cpu", "gemm_small", grid: WorkSize(panels, ceilDivide(tiles, tilesPerItem)),
            [
                try matrix(operation.a), try vector(b),
                [
                    .long(operation.transposeB ? 1 : b.rowStride), .long(operation.transposeB ? b.rowStride : 1),
                ],
                try matrix(operation.output),
                [
                    .long(operation.m), .long(operation.n), .long(operation.k), .float(operation.alpha),
                    .float(operation.beta),
                ],
                try vector(operation.bias, else: operation.output),
                [
                    .int(operation.bias == nil ? 0 : 1), .int(activationNumber(operation.activation)),
                    .int(Int32(tilesPerItem)),
                ],
            ])
    }

    private func packA(
        _ operation: Gemm, from row: Int, rows: Int, into packed: OpenCLStorage
    ) throws(ComputeError) {
        try packRows(
            operation.a, transposed: operation.transposeA, from: row, rows: rows, k: operation.k, into: packed)
    }

    private func packB(
        _ operation: Gemm, from column: Int, columns: Int, into packed: OpenCLStorage
    ) throws(ComputeError) {
        try packColumns(
            operation.b, transposed: operation.transposeB, from: column, columns: columns, k: operation.k, into: packed)
    }

    /// Panels of the register tile's rows of a matrix, or of its transpose.
    func packRows(
        _ a: Matrix, transposed: Bool, from row: Int, rows: Int, k: Int, into packed: OpenCLStorage
    ) throws(ComputeError) {
        let (rowStep, columnStep) = transposed ? (1, a.rowStride) : (a.rowStride, 1)
        launch(
            "gemm_cpu", "gemm_pack_a", grid: WorkSize(ceilDivide(rows, GemmTunables.tileRows)),
            [
                [
                    .buffer(try storage(a)), .long(a.offset + row * rowStep), .long(rowStep), .long(columnStep),
                    .long(rows), .long(k), .buffer(packed),
                ]
            ])
    }

    /// Panels of the register tile's columns of a matrix, or of its transpose.
    func packColumns(
        _ b: Matrix, transposed: Bool, from column: Int, columns: Int, k: Int, into packed: OpenCLStorage
    ) throws(ComputeError) {
        let (rowStep, columnStep) = transposed ? (1, b.rowStride) : (b.rowStride, 1)
        launch(
            "gemm_cpu", "gemm_pack_b", grid: WorkSize(ceilDivide(columns, GemmTunables.tileColumns)),
            [
                [
                    .buffer(try storage(b)), .long(b.offset + column * columnStep), .long(rowStep), .long(columnStep),
                    .long(columns), .long(k), .buffer(packed),
                ]
            ])
    }

    /// How many tiles and panels a work-item takes: many, so that packed panels are used again from the cache, but
    /// with enough work-groups for all threads.
    private func gemmGrid(
        rows: Int, columns: Int, readsRowsInPlace: Bool
    ) -> (grid: WorkSize, tilesPerItem: Int, panelsPerItem: Int) {
        let tiles = ceilDivide(rows, GemmTunables.tileRows)
        let panels = ceilDivide(columns, GemmTunables.tileColumns)
        var tilesPerItem = context.tuning[.gemmTilesPerItem]
        // Rows read in place are used for several panels while they are in the cache.
        var panelsPerItem = readsRowsInPlace ? (panels <= 8 ? panels : context.tuning[.gemmPanelsPerItem]) : 1
        func groups() -> Int { ceilDivide(tiles, tilesPerItem) * ceilDivide(panels, panelsPerItem) }
        while groups() < GemmTunables.busyGroups && panelsPerItem > 1 { panelsPerItem = ceilDivide(panelsPerItem, 2) }
        while groups() < GemmTunables.busyGroups && tilesPerItem > 1 { tilesPerItem = ceilDivide(tilesPerItem, 2) }
        let grid = WorkSize(ceilDivide(panels, panelsPerItem), ceilDivide(tiles, tilesPerItem))
        return (grid, tilesPerItem, panelsPerItem)
    }

    private func activationNumber(_ activation: Activation) -> Int32 {
        switch activation {
        case .identity: 0
        case .relu: 1
        case .sigmoid: 2
        case .tanh: 3
        }
    }
}
