import Core

/// Work on matrices of the host that need not fit on the device.
extension Stream {
    /// Bytes that tiles may take on this device: what is free, or less.
    private func tileBudget(_ wanted: Int?) -> Int {
        let limits = device.limits
        return min(wanted ?? Int.max, max(limits.memoryBytes - device.allocatedBytes, 0) / 8 * 7)
    }

    /// `op(a) · op(b)` of matrices of the host of any size, through the device in tiles: while one pair of tiles is
    /// multiplied, the next is uploaded.
    ///
    /// Tiles are squares of some side t that fits six times: 2 · m · n · k / t elements are uploaded, but for shorter
    /// sides, and m · n downloaded.
    ///
    /// - Parameter memoryBytes: most bytes on the device; nil for what is free.
    /// - Throws: ``ComputeError/outOfMemory(device:requestedBytes:availableBytes:)`` where not even tiles of 64 × 64 fit.
    public func hostGemm(
        _ a: HostMatrix, transposeA: Bool = false, _ b: HostMatrix, transposeB: Bool = false, memoryBytes: Int? = nil
    ) throws(ComputeError) -> HostMatrix {
        let (m, k) = transposeA ? (a.columns, a.rows) : (a.rows, a.columns)
        let (k2, n) = transposeB ? (b.columns, b.rows) : (b.rows, b.columns)
        try require(
            k == k2, "gemm",
            "a \(a.rows) × \(a.columns)\(transposeA ? " transposed" : ""), b \(b.rows) × \(b.columns)"
                + (transposeB ? " transposed" : ""))
        let result = HostMatrix(rows: m, columns: n)
        guard m > 0, n > 0 else { return result }
        let cut = try productTile(m: m, n: n, k: k, memoryBytes: memoryBytes)
        let work = try TiledProduct(
            stream: self, a: a, transposeA: transposeA, b: b, transposeB: transposeB, result: result, tile: cut)
        try work.run()
        return result
    }

    /// The sides of tiles of which two of each operand and two of the result fit.
    private func productTile(
        m: Int, n: Int, k: Int, memoryBytes: Int?
    ) throws(ComputeError) -> (m: Int, n: Int, k: Int) {
        let budget = tileBudget(memoryBytes)
        // Pools take up to an eighth more than is asked for, and kernels their own scratch, as large as the operands.
        func bytes(_ side: Int) -> Int {
            let (rows, columns, depth) = (min(side, m), min(side, n), min(side, k))
            return 4 * (3 * (rows * depth + depth * columns) + rows * columns) / 8 * 9
        }
        var side = 1 << 17
        while side > 64, bytes(side) > budget || 4 * side * side > device.limits.largestAllocationBytes { side /= 2 }
        guard bytes(side) <= budget else {
            throw .outOfMemory(
                device: device.identity.name, requestedBytes: bytes(side), availableBytes: max(budget, 0))
        }
        return (min(side, m), min(side, n), max(min(side, k), 1))
    }
}

/// One product in tiles.
private final class TiledProduct {
    private let stream: Stream
    private let a, b, result: HostMatrix
    private let transposeA, transposeB: Bool
    private let steps: [Step]
    private var slotsA, slotsB: [Slot]
    private let output: Matrix

    /// One product of two tiles, added to what comes before it in the same tile of the result.
    private struct Step {
        let rows, columns, depth: Range<Int>
        let isFirst, isLast: Bool
    }

    /// Room for a tile of an operand, and which it holds.
    private struct Slot {
        let storage: Matrix
        let staging: HostBuffer<Float>
        var rows = 0..<0
        var columns = 0..<0
        var upload: UploadAhead?
    }

    init(
        stream: Stream, a: HostMatrix, transposeA: Bool, b: HostMatrix, transposeB: Bool, result: HostMatrix,
        tile: (m: Int, n: Int, k: Int)
    ) throws(ComputeError) {
        self.stream = stream
        (self.a, self.b, self.result) = (a, b, result)
        (self.transposeA, self.transposeB) = (transposeA, transposeB)
        func cuts(_ count: Int, _ size: Int) -> [Range<Int>] {
            count == 0 ? [0..<0] : stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
        }
        let depths = cuts(transposeA ? a.rows : a.columns, tile.k)
        var steps: [Step] = []
        for columns in cuts(result.columns, tile.n) {
            for rows in cuts(result.rows, tile.m) {
                for (place, depth) in depths.enumerated() {
                    steps.append(
                        Step(
                            rows: rows, columns: columns, depth: depth, isFirst: place == 0,
                            isLast: place == depths.count - 1))
                }
            }
        }
        self.steps = steps
        func slots(_ elements: Int) throws(ComputeError) -> [Slot] {
            var made: [Slot] = []
            for _ in 0..<min(2, steps.count) {
                made.append(
                    Slot(
                        storage: try stream.allocate(rows: 1, columns: max(elements, 1)),
                        staging: HostBuffer(uninitializedCount: max(elements, 1))))
            }
            return made
        }
        slotsA = try slots(tile.m * tile.k)
        slotsB = try slots(tile.k * tile.n)
        output = try stream.allocate(rows: tile.m, columns: tile.n)
    }

    func run() throws(ComputeError) {
        var (next, placeA, placeB) = (try begin(steps[0], 0, 0), 0, 0)
        for (index, step) in steps.enumerated() {
            let tiles = next
            if index + 1 < steps.count {
                // A tile that stays is not uploaded again; one that changes takes the other place.
                let following = steps[index + 1]
                if !holds(slotsA[placeA], a, transposeA, following.rows, following.depth) { placeA = 1 - placeA }
                if !holds(slotsB[placeB], b, transposeB, following.depth, following.columns) { placeB = 1 - placeB }
                next = try begin(following, placeA, placeB)
            }
            for upload in tiles.uploads { try stream.join(upload) }
            let target = try Matrix(
                storage: output.storage, elementType: .float32, offset: output.offset, rows: step.rows.count,
                columns: step.columns.count, rowStride: step.columns.count)
            try stream.gemm(
                tiles.a, transposeA: transposeA, tiles.b, transposeB: transposeB, beta: step.isFirst ? 0 : 1,
                into: target)
            if step.isLast { try collect(target, step) }
        }
    }

    private func holds(
        _ slot: Slot, _ operand: HostMatrix, _ transposed: Bool, _ first: Range<Int>, _ second: Range<Int>
    ) -> Bool {
        slot.upload != nil && slot.rows == (transposed ? second : first)
            && slot.columns == (transposed ? first : second)
    }

    private func begin(
        _ step: Step, _ placeA: Int, _ placeB: Int
    ) throws(ComputeError) -> (a: Matrix, b: Matrix, uploads: [UploadAhead]) {
        let left = try fill(&slotsA[placeA], a, transposeA, step.rows, step.depth)
        let right = try fill(&slotsB[placeB], b, transposeB, step.depth, step.columns)
        return (left.0, right.0, [left.1, right.1])
    }

    /// Puts a window of an operand, seen as it enters the product, into a slot that may hold it already.
    private func fill(
        _ slot: inout Slot, _ operand: HostMatrix, _ transposed: Bool, _ first: Range<Int>, _ second: Range<Int>
    ) throws(ComputeError) -> (Matrix, UploadAhead) {
        let (rows, columns) = transposed ? (second, first) : (first, second)
        let matrix = try Matrix(
            storage: slot.storage.storage, elementType: .float32, offset: slot.storage.offset, rows: rows.count,
            columns: columns.count, rowStride: columns.count)
        if let upload = slot.upload, slot.rows == rows, slot.columns == columns { return (matrix, upload) }
        let upload: UploadAhead
        if columns.count == operand.columns {
            let start = rows.lowerBound * operand.columns
            upload = try stream.uploadAhead(operand.storage, start..<start + matrix.count, to: matrix)
        } else {
            // The staging memory may still be on its way to the device.
            if slot.upload != nil { try stream.finish() }
            for (place, row) in rows.enumerated() {
                (slot.staging.baseAddress + place * columns.count).update(
                    from: operand.storage.baseAddress + row * operand.columns + columns.lowerBound,
                    count: columns.count)
            }
            upload = try stream.uploadAhead(slot.staging, 0..<matrix.count, to: matrix)
        }
        (slot.rows, slot.columns, slot.upload) = (rows, columns, upload)
        return (matrix, upload)
    }

    private func collect(_ tile: Matrix, _ step: Step) throws(ComputeError) {
        let found = try stream.download(tile)
        for (place, row) in step.rows.enumerated() {
            (result.storage.baseAddress + row * result.columns + step.columns.lowerBound).update(
                from: found.storage.baseAddress + place * found.columns, count: found.columns)
        }
    }
}
