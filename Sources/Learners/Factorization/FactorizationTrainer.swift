import Compute
import Core

/// What one iteration did.
public struct IterationReport: Sendable {
    /// Iterations completed, this one included.
    public let iteration: Int
    /// Seconds of the iteration, evaluation apart.
    public let seconds: Double
    /// The exact loss, when asked for.
    public let loss: Double?
}

/// Alternating least squares, one loop for every device, feedback and solver.
///
/// An iteration solves all users with the items fixed, then all items with the users fixed. The state between
/// iterations is the two tables alone, so that a run resumed from them gives the same bits as one that was never
/// interrupted (same device, same thread count).
///
/// Transfers per iteration: implicit feedback downloads 2·d² floats and uploads 2·(d² + d); explicit feedback moves
/// nothing. Launches per iteration, implicit: 2 Gram matrices, 2 solves, and for every rotated table of R rows
/// 2·⌈R / chunk⌉ (the fixed one always, the solved one unless the solver is exact).
///
/// Where the interactions do not fit beside the tables on a device with memory of its own, they stay on the host, and
/// every half-step runs over them in tiles: 8 bytes for each entry and 8 · (rows + tiles) more are then uploaded on each
/// side, one tile ahead of the solver, and the launches of a solve count for each tile. Results do not change.
///
/// Sources: Hu, Koren and Volinsky 2008 (the loss); Rendle et al. 2021 (frequency-scaled regularization, iALS++);
/// Takács, Pilászy and Tikk 2011 (conjugate gradients).
public final class FactorizationTrainer {
    /// The parameters, with the solver resolved.
    public let options: FactorizationOptions
    /// Iterations completed.
    public private(set) var iteration = 0
    /// The stream that computes; its counters tell launches and bytes.
    public let stream: Stream

    private let observationsByUser: SparseTiles
    private let users: Matrix
    private let items: Matrix
    private let userStep: HalfStep
    private let itemStep: HalfStep
    private let method: NormalEquationMethod
    private let mean: Float
    private let userRegularization: [Float]
    private let itemRegularization: [Float]

    /// Uploads the interactions and draws the initial factors, or starts from given ones.
    ///
    /// - Parameters:
    ///   - data: the training interactions.
    ///   - options: the parameters; validated here.
    ///   - stream: where to compute.
    ///   - initial: tables to start from (a warm start, or a checkpoint); their shapes must match.
    ///   - completedIterations: how many iterations the initial tables have behind them.
    /// - Throws: ``ParameterError``, ``ComputeError``.
    public init(
        data: FactorizationData, options: FactorizationOptions, stream: Stream,
        initial: FactorizationFactors? = nil, completedIterations: Int = 0
    ) throws {
        try options.validate()
        var resolved = options
        if options.solver == .auto {
            resolved.solver = SolverCost.cheapest(byUser: data.byUser, byItem: data.byItem, options: options)
        }
        self.options = resolved
        self.stream = stream
        let columns = options.tableColumns
        let (userCount, itemCount) = (data.byUser.rows, data.byUser.columns)
        if let initial,
            initial.users.rows != userCount || initial.items.rows != itemCount
                || initial.users.columns != columns
        {
            throw ParameterError(
                "initial",
                "the factors to start from are \(initial.users.rows) users and \(initial.items.rows) items × "
                    + "\(initial.users.columns), the data needs \(userCount) and \(itemCount) × \(columns)")
        }
        mean = options.feedback == .explicit ? Float(data.meanValue) : 0
        let (occupiedUsers, occupiedItems) = (
            FactorizationData.occupiedRows(data.byUser), FactorizationData.occupiedRows(data.byItem)
        )
        userRegularization = options.rowRegularization(data.byUser, otherSideCount: occupiedItems)
        itemRegularization = options.rowRegularization(data.byItem, otherSideCount: occupiedUsers)

        let tileBytes = FactorizationPlan(
            byUser: data.byUser, byItem: data.byItem, options: resolved, device: stream.device, rate: nil
        ).tileBytes
        observationsByUser = try SparseTiles(data.byUser, on: stream, tileBytes: tileBytes)
        let observationsByItem = try SparseTiles(data.byItem, on: stream, tileBytes: tileBytes)
        users = try stream.allocate(rows: userCount, columns: columns)
        items = try stream.allocate(rows: itemCount, columns: columns)
        let rotation =
            options.feedback == .implicit
            ? try GramRotation(stream: stream, columns: columns, longestTable: max(userCount, itemCount)) : nil
        userStep = try HalfStep(
            stream: stream, options: resolved, observations: observationsByUser,
            rowRegularization: userRegularization, rotation: rotation, mean: mean)
        itemStep = try HalfStep(
            stream: stream, options: resolved, observations: observationsByItem,
            rowRegularization: itemRegularization, rotation: rotation, mean: mean)
        method = resolved.method(resolved.solver)
        iteration = completedIterations
        if let initial {
            try stream.upload(initial.users.storage.array, to: users)
            try stream.upload(initial.items.storage.array, to: items)
        } else {
            try stream.fill(users, with: 0)
            try stream.upload(Self.initialItems(data.byItem, options: options), to: items)
        }
    }

    /// Uniform numbers of mean 0 and standard deviation initialScale / √d for items that were interacted with, 0 for
    /// the others; biases 0. Users are solved first, so theirs need no start.
    private static func initialItems(_ byItem: HostSparseMatrix, options: FactorizationOptions) -> [Float] {
        let random = Philox(seed: options.seed, stream: 0x414C_5301)
        let (d, columns) = (options.factors, options.tableColumns)
        let range = options.initialScale * Float(12.0 / Double(d)).squareRoot()
        var table = [Float](repeating: 0, count: byItem.rows * columns)
        table.withUnsafeMutableBufferPointer { table in
            for item in 0..<byItem.rows where !byItem.range(ofRow: item).isEmpty {
                for k in 0..<d {
                    table[item * columns + k] = (random.uniform(UInt64(item * d + k)) - 0.5) * range
                }
            }
        }
        return table
    }

    /// One iteration: users, then items.
    public func iterate() throws -> IterationReport {
        let start = monotonicSeconds()
        try userStep.run(fixed: items, solution: users, method: method)
        try itemStep.run(fixed: users, solution: items, method: method)
        try stream.finish()
        iteration += 1
        let seconds = monotonicSeconds() - start
        return IterationReport(
            iteration: iteration, seconds: seconds, loss: options.computesLoss ? try loss() : nil)
    }

    /// Runs the remaining iterations. `afterIteration` is called with each report and decides whether to go on.
    public func run(afterIteration: (IterationReport) throws -> ProgressDecision) throws {
        while iteration < options.iterations {
            if try afterIteration(iterate()) == .stop { return }
        }
    }

    /// A copy of the tables on the host.
    public func factors() throws -> FactorizationFactors {
        FactorizationFactors(
            users: try stream.download(users), items: try stream.download(items), mean: mean, options: options)
    }

    /// The exact loss of the present tables, per ``HalfStep``'s formula, summed in double precision.
    ///
    /// The sum over all pairs is the inner product of the two Gram matrices (the Gram trick), so that the cost is
    /// 2·N·d for the observed pairs and R·d² for the rest.
    public func loss() throws -> Double {
        let snapshot = try lossTables()
        let rowLoss = try stream.allocate(rows: 1, columns: users.rows)
        try observationsByUser.forEach { rows, tile throws(ComputeError) in
            let targets = snapshot.targets?.columns(0..<tile.values.columns)
            if let targets { try stream.residualTargets(tile, constant: mean, into: targets) }
            try stream.observedLoss(
                tile, targets: targets,
                weighted: options.feedback == .implicit && options.confidence != .constant, snapshot.users.rows(rows),
                snapshot.items, into: rowLoss.columns(rows))
        }
        var total = try stream.download(rowLoss, as: Float.self).reduce(0.0) { $0 + Double($1) }
        if options.feedback == .implicit && options.unobservedWeight > 0 {
            total += Double(options.unobservedWeight) * (try gramProduct())
        }
        for (table, weights) in [(users, userRegularization), (items, itemRegularization)] {
            let norms = try stream.allocate(rows: 1, columns: table.rows)
            try stream.rowNorms(table, squared: true, into: norms)
            let squares = try stream.download(norms, as: Float.self)
            for (square, weight) in zip(squares, weights) { total += Double(weight) * Double(square) }
        }
        return total
    }

    private func gramProduct() throws -> Double {
        let columns = options.tableColumns
        let gram = try stream.allocate(rows: columns, columns: columns)
        try stream.gram(users, into: gram)
        let userGram = try stream.download(gram)
        try stream.gram(items, into: gram)
        let itemGram = try stream.download(gram)
        var sum = 0.0
        for k in 0..<columns * columns { sum += Double(userGram.storage[k]) * Double(itemGram.storage[k]) }
        return sum
    }

    private func lossTables() throws -> (users: Matrix, items: Matrix, targets: Matrix?) {
        guard options.feedback == .explicit else { return (users, items, nil) }
        let wide = try factors().productForm()
        let targets = try stream.allocate(rows: 1, columns: observationsByUser.longestTile)
        return (try stream.upload(wide.users), try stream.upload(wide.items), targets)
    }
}
