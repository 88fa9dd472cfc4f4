import Compute

/// Operations on single elements; one family of kernels for all classes of device (kernels/elementwise.cl).
/// One launch each.
extension Lowering {
    /// How a rows × columns grid is cut: on CPUs into blocks of work for one work-item, elsewhere one element each.
    private struct Cut {
        var grid: WorkSize
        var group: WorkSize
        var blocks: [KernelArgument]
    }

    /// Elements for one work-item of a CPU: some microseconds of work.
    private static let elementsPerItem = 16384

    private func cut(rows: Int, columns: Int) -> Cut {
        guard isCPUClass else {
            let width = min(ceilDivide(columns, 64), 16384) * 64
            return Cut(
                grid: WorkSize(max(width, 64), min(max(rows, 1), 4096)), group: WorkSize(64),
                blocks: [.long(0), .long(0)])
        }
        let columnBlock = max(min(columns, Self.elementsPerItem), 1)
        let rowBlock = max(Self.elementsPerItem / columnBlock, 1)
        return Cut(
            grid: WorkSize(max(ceilDivide(columns, columnBlock), 1), max(ceilDivide(rows, rowBlock), 1)),
            group: WorkSize(1), blocks: [.long(columnBlock), .long(rowBlock)])
    }

    private func elementwise(
        _ kernel: String, rows: Int, columns: Int, _ arguments: [[KernelArgument]]
    ) {
        let cut = cut(rows: rows, columns: columns)
        launch(
            "elementwise", kernel, grid: cut.grid, group: cut.group,
            arguments + [[.long(rows), .long(columns)], cut.blocks])
    }

    func fill(_ operation: Fill) throws(ComputeError) {
        let output = operation.output
        let pattern: UInt32
        if output.elementType == .int32 {
            // Values outside the range of the type saturate, as a conversion in a kernel would; NaN gives 0.
            let value = operation.value
            let integer: Int32 =
                value.isNaN ? 0 : value >= 0x1p31 ? .max : value < -0x1p31 ? .min : Int32(value)
            pattern = UInt32(bitPattern: integer)
        } else {
            pattern = operation.value.bitPattern
        }
        let (rows, columns) = output.isContiguous ? (1, output.count) : (output.rows, output.columns)
        let cut = cut(rows: rows, columns: columns)
        launch(
            "elementwise", "fill", grid: cut.grid, group: cut.group,
            [try matrix(output), [.long(rows), .long(columns), .uint(pattern)], cut.blocks])
    }

    func copy(_ operation: Copy) throws(ComputeError) {
        let output = operation.output
        let flat = output.isContiguous && operation.input.isContiguous
        try elementwise(
            "copy", rows: flat ? 1 : output.rows, columns: flat ? output.count : output.columns,
            [matrix(operation.input), matrix(output)])
    }

    func gather(_ operation: Gather) throws(ComputeError) {
        try elementwise(
            "gather", rows: operation.output.rows, columns: operation.output.columns,
            [
                matrix(operation.table), [.long(operation.table.rows)], vector(operation.indices),
                matrix(operation.output),
            ])
    }

    func scaleRows(_ operation: ScaleRows) throws(ComputeError) {
        try elementwise(
            "scale_rows", rows: operation.output.rows, columns: operation.output.columns,
            [
                matrix(operation.input), vector(operation.factors), [.int(operation.divide ? 1 : 0)],
                matrix(operation.output),
            ])
    }

    func randomUniform(_ operation: RandomUniform) throws(ComputeError) {
        let output = operation.output
        let flat = output.isContiguous
        try elementwise(
            "random_uniform", rows: flat ? 1 : output.rows, columns: flat ? output.count : output.columns,
            [[.ulong(operation.seed), .ulong(operation.stream), .ulong(operation.start)], matrix(output)])
    }

    func residualTargets(_ operation: ResidualTargets) throws(ComputeError) {
        let sparse = operation.sparse
        let flags = (operation.rowOffset == nil ? 0 : 1) | (operation.columnOffset == nil ? 0 : 2)
        // A row is never cut, so blocks are of rows with about as many entries as an item should have.
        let perRow = max(sparse.entryCount / max(sparse.rows, 1), 1)
        let cut = cut(rows: sparse.rows, columns: perRow)
        launch(
            "elementwise", "residual_targets",
            grid: isCPUClass ? WorkSize(1, cut.grid.y) : WorkSize(64, cut.grid.y), group: cut.group,
            [
                try entries(sparse), try vector(operation.rowOffset, else: sparse.values),
                try vector(operation.columnOffset, else: sparse.values),
                [.int(Int32(flags)), .float(operation.constant)], try vector(operation.output),
                [.long(sparse.rows), .long(sparse.columns)], cut.blocks,
            ])
    }
}
