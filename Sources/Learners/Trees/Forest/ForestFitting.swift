import CVectorLoops
import Core
import Synchronization

/// How a random forest is grown.
public struct RandomForest: Codable, Sendable, Equatable {
    /// Number of trees.
    public var trees = 200
    /// Gini, entropy or variance; nil for Gini with classes and variance with numbers.
    public var criterion: TreeCriterion?
    /// Columns that a split chooses among; 0 for √columns with classes and a third of them with numbers.
    public var columnsPerSplit = 0
    /// Splits from the root to a leaf at most; 0 for no limit.
    public var maximumDepth = 0
    /// Weight of the rows of a leaf at least; a row drawn twice weighs twice.
    public var minimumLeafRows = 5.0
    /// Whether every tree learns from rows drawn with replacement.
    public var bootstrap = true
    /// Rows that are drawn for a tree, as a share of all.
    public var rowFraction = 1.0
    /// Bins of a number or category at most, 2 … 255.
    public var bins = 255
    /// Whether the training's rows are predicted by the trees that did not see them.
    public var outOfBag = false
    /// Seed of everything random.
    public var seed: UInt64 = 42

    public init() {}

    /// Throws ``ParameterError`` for a value outside its range.
    public func validate() throws {
        guard columnsPerSplit >= 0 else {
            throw ParameterError("columnsPerSplit", "must not be negative; 0 means the usual number")
        }
        guard trees >= 1 else { throw ParameterError("trees", "must be 1 or more") }
        guard rowFraction > 0, rowFraction <= 1 else {
            throw ParameterError("rowFraction", "must be above 0, at most 1")
        }
        guard (2...255).contains(bins) else { throw ParameterError("bins", "must be 2 to 255") }
        guard bootstrap || rowFraction < 1 || !outOfBag else {
            throw ParameterError("outOfBag", "needs trees that don't see all rows: bootstrap, or rowFraction below 1")
        }
        try growing(columns: 1, classes: 2).validate()
    }

    func growing(columns: Int, classes: Int) -> ImpurityOptions {
        let natural = classes > 0 ? Int(Double(columns).squareRoot()) : (columns + 2) / 3
        return ImpurityOptions(
            criterion: criterion, maximumDepth: maximumDepth, minimumLeafWeight: minimumLeafRows,
            columnsPerSplit: columnsPerSplit > 0 ? columnsPerSplit : max(1, natural))
    }
}

extension AveragedTrees {
    /// Grows a random forest: trees on rows drawn with replacement, each split choosing among columns drawn at random.
    ///
    /// Trees grow in parallel; each draws from random numbers of its own, so that the same data, options and seed give
    /// the same bits for every number of threads. Source: Breiman, "Random forests", 2001.
    ///
    /// - Throws: `ParameterError`, `DataError`, and what `progress` throws.
    public static func fitForest(
        _ data: TreeData, options: RandomForest = RandomForest(), threads: Int, progress: TreeProgress? = nil
    ) throws -> AveragedTrees {
        try options.validate()
        let pool = WorkerPool(threadCount: threads)
        let columns = SplitColumns(data, splits: .histogram, bins: options.bins, seed: options.seed, pool: pool)
        let growing = options.growing(columns: data.columns, classes: data.classes)
        let growers = try (0..<pool.threadCount).map { _ in
            try ImpurityGrower(columns, data, options: growing, pool: nil)
        }
        let bootstrap = ForestBootstrap(data, options)
        let store = Store(trees: options.trees)
        pool.parallelFor(options.trees) { tree, worker in
            guard !store.stopped.load(ordering: .relaxed) else { return }
            let (rows, weights) = bootstrap.rows(ofTree: tree)
            let grown = growers[worker].grow(
                rows, weight: { weights[$0] }, target: data.target,
                random: Philox(seed: options.seed, stream: TreeStreams.forest + 2 * UInt64(tree) + 1))
            let completed = store.put(grown, tree)
            // Worker 0 is the caller's thread.
            if worker == 0, let progress {
                do { try progress(completed, options.trees, []) } catch { store.stop(error) }
            }
        }
        if let error = store.error { throw error }
        try progress?(options.trees, options.trees, [])
        var result = AveragedTrees(
            ensemble: TreeEnsemble(
                kinds: data.kinds, categories: columns.table.bins.categories,
                width: data.classes > 2 ? data.classes : 1), classes: data.classes)
        store.move(to: &result.ensemble)
        if options.outOfBag { result.outOfBag = result.outOfBagPredictions(data, bootstrap, pool) }
        return result
    }

    /// The average over the trees that did not see a row.
    private func outOfBagPredictions(_ data: TreeData, _ bootstrap: ForestBootstrap, _ pool: WorkerPool) -> HostMatrix {
        let rows = data.rows, width = ensemble.width, columns = data.columns
        // Which rows each tree saw, a bit each.
        let bytes = (rows + 7) / 8
        let seen = HostBuffer<UInt8>(repeating: 0, count: treeCount * bytes)
        pool.parallelFor(treeCount) { tree, _ in
            for row in bootstrap.rows(ofTree: tree).rows { seen[tree * bytes + Int(row >> 3)] |= 1 << UInt8(row & 7) }
        }
        let sums = HostBuffer<Double>(repeating: 0, count: rows * width)
        let counts = HostBuffer<Double>(repeating: 0, count: rows)
        ensemble.forBlocks(of: data.features, pool: pool) { block, begin, count, leaves in
            let unseen = TreeKeyBlock(rows: count, columns: columns)
            let places = UnsafeMutablePointer<Int>.allocate(capacity: count)
            defer {
                unseen.deallocate()
                places.deallocate()
            }
            for tree in 0..<treeCount {
                var found = 0
                for place in 0..<count {
                    let row = begin + place
                    guard seen[tree * bytes + row / 8] >> UInt8(row & 7) & 1 == 0 else { continue }
                    (unseen.keys + found * columns).update(from: block.keys + place * columns, count: columns)
                    places[found] = row
                    found += 1
                }
                ensemble.leafValues(tree, unseen, found, leaves)
                ensemble.values.withUnsafeBufferPointer { values in
                    for index in 0..<found {
                        counts[places[index]] += 1
                        for output in 0..<width {
                            sums[places[index] * width + output] += Double(
                                values[Int(leaves[index]) * width + output])
                        }
                    }
                }
            }
        }
        return output(sums, rows: rows) { counts[$0] }
    }
}

/// Which rows each tree learns from, and how often.
struct ForestBootstrap: Sendable {
    private let data: TreeData
    private let options: RandomForest
    private let eligible: [UInt32]

    init(_ data: TreeData, _ options: RandomForest) {
        self.data = data
        self.options = options
        eligible = data.weightedRows
    }

    /// The rows in their order, with the weight of each.
    func rows(ofTree tree: Int) -> (rows: [UInt32], weights: [Float]) {
        var sequence = RandomSequence(Philox(seed: options.seed, stream: TreeStreams.forest + 2 * UInt64(tree)))
        let count = eligible.count
        let wanted = max(1, Int((options.rowFraction * Double(count)).rounded()))
        var times = [UInt32](repeating: 0, count: count)
        if options.bootstrap {
            for _ in 0..<wanted { times[sequence.next(below: count)] += 1 }
        } else {
            // Vitter's method of selection: each row is taken with the chance that is left for it.
            var left = wanted
            for index in 0..<count where left > 0 && sequence.next(below: count - index) < left {
                times[index] = 1
                left -= 1
            }
        }
        var rows: [UInt32] = [], weights: [Float] = []
        rows.reserveCapacity(count)
        weights.reserveCapacity(count)
        for index in 0..<count where times[index] > 0 {
            rows.append(eligible[index])
            weights.append(Float(times[index]) * (data.weights?[Int(eligible[index])] ?? 1))
        }
        return (rows, weights)
    }
}

/// Trees as they are finished, in their places.
private final class Store: @unchecked Sendable {
    let stopped = Atomic<Bool>(false)
    private let completed = Atomic<Int>(0)
    private(set) var error: (any Error)?
    private let trees: UnsafeMutableBufferPointer<GrownTree>

    init(trees count: Int) {
        trees = .allocate(capacity: count)
        trees.initialize(repeating: GrownTree())
    }

    deinit {
        trees.deinitialize()
        trees.deallocate()
    }

    func put(_ tree: GrownTree, _ index: Int) -> Int {
        trees[index] = tree
        return completed.add(1, ordering: .relaxed).newValue
    }

    /// Only called on the caller's thread.
    func stop(_ error: any Error) {
        self.error = error
        stopped.store(true, ordering: .relaxed)
    }

    /// Hands the trees over in their order, letting go of each.
    func move(to ensemble: inout TreeEnsemble) {
        ensemble.reserve(
            nodes: trees.reduce(0) { $0 + $1.nodes.count }, values: trees.reduce(0) { $0 + $1.values.count })
        for index in trees.indices {
            ensemble.append(trees[index])
            trees[index] = GrownTree()
        }
    }
}
