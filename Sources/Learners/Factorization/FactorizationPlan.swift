import Compute
import Core

/// What a training is expected to need, known before it starts.
public struct FactorizationPlan: Sendable {
    /// Host and device bytes at the peak, the interactions themselves included.
    public let memoryBytes: Int
    /// Of these, bytes on the device if it has memory of its own.
    public let deviceBytes: Int
    /// Bytes of a tile of interactions, where these do not fit on the device and pass through it; else nil.
    public let tileBytes: Int?
    /// Seconds for all iterations, evaluation apart; nil when the device's rate is unknown.
    public let seconds: Double?
    /// The solver that `auto` comes to.
    public let solver: FactorizationSolver

    /// Predicts memory and time.
    ///
    /// - Parameters:
    ///   - byUser: the training interactions, users × items.
    ///   - byItem: the transpose.
    ///   - options: the parameters.
    ///   - device: where it would run.
    ///   - rate: floating-point operations per second of a large product on the device, see
    ///     ``measureRate(stream:)``; nil predicts no time.
    public init(
        byUser: HostSparseMatrix, byItem: HostSparseMatrix, options: FactorizationOptions, device: any Device,
        rate: Double?
    ) {
        let resolved =
            options.solver == .auto
            ? SolverCost.cheapest(byUser: byUser, byItem: byItem, options: options) : options.solver
        solver = resolved
        let columns = options.tableColumns
        let (users, items) = (byUser.rows, byItem.rows)
        let interactions = byUser.byteCount + byItem.byteCount
        let tables = 4 * columns * (users + items)
        let chunk = GramRotation.chunkRows(columns: columns, deviceClass: device.identity.deviceClass)
        var working = 4 * columns * (min(chunk, max(users, items)) + 2 * columns) + 8 * (users + items)
        // The eigenproblem works in double precision on the host: matrix, vectors and LAPACK's workspace.
        working += 8 * 6 * columns * columns
        if options.feedback == .implicit && options.confidence == .log { working += 4 * byUser.entryCount }
        if options.feedback == .explicit {
            working += 2 * 4 * byUser.entryCount + tables
        }
        let longestRow = max(Self.longestRow(byUser), Self.longestRow(byItem))
        working += device.limits.computeUnits * 4 * Self.solverScratch(longestRow, columns)
        if device.identity.name != "cpu" {
            // Products of OpenCL devices pack their operands: a chunk of a table and the basis.
            working += 4 * columns * (min(chunk, max(users, items)) + columns)
            // Pools of devices take up to an eighth more than they are asked for, so that freed buffers fit again.
            working += (working + tables) / 8
        }
        // The finished tables are copied out while those of the device are still there.
        let copies = device.limits.sharesHostMemory ? tables : 2 * tables + interactions
        let targets = options.feedback == .explicit ? 2 * 4 * byUser.entryCount : 0
        let whole = (interactions + targets) / 8 * 9
        let resident = tables + working - targets
        tileBytes =
            device.limits.sharesHostMemory
            ? nil
            : Self.tileBytes(
                whole: whole, longestArray: max(4 * byUser.entryCount, 8 * (max(users, items) + 1)),
                free: device.limits.memoryBytes - resident, largest: device.limits.largestAllocationBytes)
        deviceBytes =
            device.limits.sharesHostMemory ? 0 : resident + (tileBytes.map { Self.tilesHeld * $0 } ?? whole)
        memoryBytes = interactions + tables + working + copies
        seconds = rate.map { rate in
            Double(options.iterations) * SolverCost.cost(resolved, byUser: byUser, byItem: byItem, options: options)
                / rate
        }
    }

    /// Two tiles of each side, with room for their targets and for what pools add.
    private static let tilesHeld = 6
    /// Smaller tiles would cost more in launches than they move.
    private static let smallestTile = 1 << 16

    /// nil where all interactions fit.
    private static func tileBytes(whole: Int, longestArray: Int, free: Int, largest: Int) -> Int? {
        if whole <= free && longestArray <= largest { return nil }
        return max(min(free / tilesHeld, largest), smallestTile)
    }

    /// Refuses a training that would pass a limit.
    /// - Throws: ``ComputeError/outOfMemory(device:requestedBytes:availableBytes:)``.
    public func check(memoryLimitBytes: Int?, alreadyUsedBytes: Int, device: any Device) throws(ComputeError) {
        if let memoryLimitBytes, memoryBytes > memoryLimitBytes - alreadyUsedBytes {
            throw .outOfMemory(
                device: "host", requestedBytes: memoryBytes, availableBytes: max(memoryLimitBytes - alreadyUsedBytes, 0)
            )
        }
        if !device.limits.sharesHostMemory, deviceBytes > device.limits.memoryBytes {
            throw .outOfMemory(
                device: device.identity.name, requestedBytes: deviceBytes, availableBytes: device.limits.memoryBytes)
        }
    }

    /// Floating-point operations per second of a 512³ product on the device; some milliseconds.
    public static func measureRate(stream: Stream) throws(ComputeError) -> Double {
        let n = 512
        let (a, b, c) = (
            try stream.allocate(rows: n, columns: n), try stream.allocate(rows: n, columns: n),
            try stream.allocate(rows: n, columns: n)
        )
        try stream.fill(a, with: 1)
        try stream.fill(b, with: 1)
        try stream.gemm(a, b, into: c)
        try stream.finish()
        var best = Double.infinity
        for _ in 0..<3 {
            let start = monotonicSeconds()
            try stream.gemm(a, b, into: c)
            try stream.finish()
            best = min(best, monotonicSeconds() - start)
        }
        return 2 * Double(n * n * n) / max(best, 1e-9)
    }

    private static func longestRow(_ matrix: HostSparseMatrix) -> Int {
        (0..<matrix.rows).reduce(0) { max($0, matrix.range(ofRow: $1).count) }
    }

    /// Elements of scratch of one worker, as the row solvers lay it out: the system or its blocks, vectors of the row,
    /// and the gathered factors, of which 8 MB are held at a time.
    private static func solverScratch(_ longestRow: Int, _ columns: Int) -> Int {
        let (wide, entries) = ((columns + 15) / 16 * 16, (longestRow + 15) / 16 * 16)
        let gathered = min(entries, max((8 << 20) / 4 / wide, 8)) + 8
        return 6 * (entries + 16) + 10 * (wide + 16) + (wide + 16) * (wide + 16) + max(gathered, 146) * wide
    }
}
