import Core

/// How a single decision tree is grown and pruned.
public struct DecisionTree: Codable, Sendable, Equatable {
    /// Gini, entropy or variance; nil for Gini with classes and variance with numbers.
    public var criterion: TreeCriterion?
    /// Where thresholds are sought.
    public var splits = TreeSplits.exact
    /// Splits from the root to a leaf at most; 0 for no limit.
    public var maximumDepth = 0
    /// Leaves at most, the most useful splits first; 0 for no limit.
    public var leaves = 0
    /// Weight of the rows of a leaf at least.
    public var minimumLeafRows = 5.0
    /// What a leaf costs when the tree is pruned, as a share of the root's weight; taken when `pruningFolds` is 0.
    public var costComplexity = 0.0
    /// Folds of the cross-validation that chooses what a leaf costs; 0 for none.
    public var pruningFolds = 5
    /// Bins of a number (histogram splits) or category at most, 2 … 255.
    public var bins = 255
    /// Seed of everything random.
    public var seed: UInt64 = 42

    public init() {}

    /// Throws ``ParameterError`` for a value outside its range.
    public func validate() throws {
        try growing.validate()
        guard costComplexity >= 0, costComplexity.isFinite else {
            throw ParameterError("costComplexity", "must not be negative")
        }
        guard pruningFolds == 0 || pruningFolds >= 2 else {
            throw ParameterError("pruningFolds", "must be 2 or more; 0 means none")
        }
        guard (2...255).contains(bins) else { throw ParameterError("bins", "must be 2 to 255") }
    }

    var growing: ImpurityOptions {
        ImpurityOptions(
            criterion: criterion, maximumDepth: maximumDepth, leaves: leaves, minimumLeafWeight: minimumLeafRows)
    }
}

extension AveragedTrees {
    /// Grows one decision tree, and prunes it.
    ///
    /// The same data and options give the same bits for every number of threads. Exact splits cost
    /// O(columns · rows · log rows) a level.
    ///
    /// - Throws: `ParameterError`, `DataError`, and what `progress` throws.
    public static func fitTree(
        _ data: TreeData, options: DecisionTree = DecisionTree(), threads: Int,
        progress: TreeProgress? = nil
    ) throws -> AveragedTrees {
        try options.validate()
        let pool = WorkerPool(threadCount: threads)
        let columns = SplitColumns(data, splits: options.splits, bins: options.bins, seed: options.seed, pool: pool)
        let grower = try ImpurityGrower(columns, data, options: options.growing, pool: pool)
        let rows = data.weightedRows
        func grow(_ rows: [UInt32]) -> PrunableTree {
            let tree = grower.grow(
                rows, weight: { data.weights?[Int(rows[$0])] ?? 1 }, target: data.target,
                random: Philox(seed: options.seed, stream: TreeStreams.forest))
            return PrunableTree(tree, grower: grower)
        }
        let folds = options.pruningFolds
        try progress?(0, folds + 1, [])
        let whole = grow(rows)
        var alpha = options.costComplexity
        if folds > 0, whole.tree.nodes.count > 1 {
            try progress?(1, folds + 1, [])
            alpha = try chosenAlpha(whole, data, rows, folds: folds, seed: options.seed) { fold, rows in
                let tree = grow(rows)
                try progress?(fold + 2, folds + 1, [])
                return tree
            } assemble: {
                AveragedTrees($0, data, columns)
            }
        }
        try progress?(folds + 1, folds + 1, [])
        var result = AveragedTrees(alpha > 0 ? whole.pruned(alpha: alpha) : whole.tree, data, columns)
        result.costComplexity = alpha
        return result
    }

    /// The cost of a leaf whose trees err least on rows that they were not grown on.
    private static func chosenAlpha(
        _ whole: PrunableTree, _ data: TreeData, _ rows: [UInt32], folds: Int, seed: UInt64,
        grow: (Int, [UInt32]) throws -> PrunableTree, assemble: (GrownTree) -> AveragedTrees
    ) throws -> Double {
        let path = whole.pruningPath().map(\.alpha)
        // Geometric means of neighbours stand for the whole interval between them; 40 of them tell enough.
        var candidates = [0.0]
        for (a, b) in zip(path, path.dropFirst()) where b > a { candidates.append((max(a, 1e-12) * b).squareRoot()) }
        if candidates.count > 40 {
            candidates = (0..<40).map { candidates[$0 * (candidates.count - 1) / 39] }
        }
        var errors = [Double](repeating: 0, count: candidates.count)
        let random = Philox(seed: seed, stream: TreeStreams.validation)
        let order = random.permutation(count: rows.count)
        for fold in 0..<min(folds, rows.count) {
            var training: [UInt32] = [], held: [Int] = []
            for (place, index) in order.enumerated() {
                if place % folds == fold { held.append(Int(rows[index])) } else { training.append(rows[index]) }
            }
            guard !training.isEmpty else { continue }
            let tree = try grow(fold, training.sorted())
            let (ensemble, costs) = (assemble(tree.tree).ensemble, tree.leafCosts())
            for row in held {
                let weight = Double(data.weights?[row] ?? 1)
                let path = ensemble.path(ofRow: row, in: data.features, tree: 0)
                // The dearer a leaf, the nearer to the root a row's path ends.
                var place = 0
                for (index, alpha) in candidates.enumerated().reversed() {
                    while place < path.count - 1, costs[path[place]] > alpha { place += 1 }
                    errors[index] += weight * data.squaredError(tree.values(ofNode: path[place]), row: row)
                }
            }
        }
        var best = 0
        for index in candidates.indices where errors[index] <= errors[best] * (1 + 1e-9) { best = index }
        return candidates[best]
    }
}

extension TreeData {
    /// Squared error of a leaf's number, or of its classes' probabilities (Brier), for a row.
    fileprivate func squaredError(_ values: ArraySlice<Float>, row: Int) -> Double {
        guard classes > 2 else {
            let difference = Double(values[values.startIndex] - target[row])
            return difference * difference
        }
        return values.enumerated().reduce(0) { sum, next in
            let difference = Double(next.element) - (next.offset == Int(target[row]) ? 1 : 0)
            return sum + difference * difference
        }
    }

    /// Rows with a weight above 0.
    var weightedRows: [UInt32] {
        guard let weights else { return (0..<UInt32(rows)).map { $0 } }
        return (0..<UInt32(rows)).filter { weights[Int($0)] > 0 }
    }
}
