import CVectorLoops
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// How an isolation forest is grown.
public struct IsolationForestSettings: Codable, Sendable, Equatable {
    /// Number of trees.
    public var trees = 200
    /// Rows that each tree is grown on, drawn without replacement; all where there are fewer.
    public var rows = 256
    /// Seed of everything random.
    public var seed: UInt64 = 42

    public init() {}

    /// Throws ``ParameterError`` for a value outside its range.
    public func validate() throws {
        guard trees >= 1 else { throw ParameterError("trees", "must be 1 or more") }
        guard (2...1 << 20).contains(rows) else { throw ParameterError("rows", "must be 2 to 1048576") }
    }
}

/// Finds odd rows: those that few random splits tell from all others.
///
/// A split takes a column at random among those that vary, and a threshold between its least and largest value. A
/// category is split at random by its levels; missing values go one way by the toss of a coin, so that they are told
/// from the others where they are rare. Source: Liu, Ting and Zhou, "Isolation forest", ICDM 2008.
public struct IsolationForest: Sendable {
    let ensemble: TreeEnsemble
    /// Rows that each tree was grown on.
    public let rowsPerTree: Int

    /// Grows the trees. The same data, options and seed give the same bits for every number of threads.
    public static func fit(
        _ features: HostMatrix, kinds: [TreeFeatureKind], options: IsolationForestSettings = IsolationForestSettings(),
        threads: Int, progress: TreeProgress? = nil
    ) throws -> IsolationForest {
        try options.validate()
        guard features.rows >= 2, features.columns == kinds.count, features.columns > 0 else {
            throw DataError("an isolation forest needs two rows and a column at least")
        }
        let pool = WorkerPool(threadCount: threads)
        let bins = FeatureBins(features: features, kinds: kinds, most: 255, seed: options.seed, pool: pool)
        let size = min(options.rows, features.rows)
        var trees = [GrownTree](repeating: GrownTree(), count: options.trees)
        trees.withUnsafeMutableBufferPointer { trees in
            let trees = Disjoint(trees)
            pool.parallelFor(options.trees) { tree, _ in
                var grower = IsolationGrower(
                    features: features, kinds: kinds, bins: bins, size: size,
                    random: Philox(seed: options.seed, stream: TreeStreams.forest + UInt64(tree)))
                trees.value[tree] = grower.grow()
            }
        }
        try progress?(options.trees, options.trees, [])
        var ensemble = TreeEnsemble(kinds: kinds, categories: bins.categories)
        for tree in trees { ensemble.append(tree) }
        return IsolationForest(ensemble: ensemble, rowsPerTree: size)
    }

    /// Oddness of each row, above 0 and below 1: about 0.5 for rows like all others, towards 1 for odd ones.
    public func scores(_ features: HostMatrix, threads: Int) throws -> [Double] {
        let sums = try ensemble.sums(features, pool: WorkerPool(threadCount: threads))
        let usual = Self.expectedDepth(rowsPerTree) * Double(ensemble.treeCount)
        return (0..<features.rows).map { exp2(-sums[$0] / usual) }
    }

    /// Mean depth of an unsuccessful search in a binary search tree of so many rows.
    static func expectedDepth(_ rows: Int) -> Double {
        guard rows > 1 else { return 0 }
        guard rows > 2 else { return 1 }
        let n = Double(rows)
        return 2 * (log(n - 1) + 0.57721566490153286) - 2 * (n - 1) / n
    }
}

private struct IsolationGrower {
    let features: HostMatrix
    let kinds: [TreeFeatureKind]
    let bins: FeatureBins
    let size: Int
    var sequence: RandomSequence
    var tree = GrownTree()

    init(features: HostMatrix, kinds: [TreeFeatureKind], bins: FeatureBins, size: Int, random: Philox) {
        self.features = features
        self.kinds = kinds
        self.bins = bins
        self.size = size
        sequence = RandomSequence(random)
    }

    mutating func grow() -> GrownTree {
        // Floyd's sample without replacement.
        var chosen = Set<Int>()
        for last in features.rows - size..<features.rows {
            let drawn = sequence.next(below: last + 1)
            chosen.insert(chosen.contains(drawn) ? last : drawn)
        }
        let limit = Int(log2(Double(size)).rounded(.up))
        tree.nodes = [GrownNode(cover: Float(size))]
        var pending = [(node: 0, rows: chosen.sorted(), depth: 0)]
        while let next = pending.popLast() {
            guard next.depth < limit, next.rows.count > 1, let sides = split(next.node, next.rows) else {
                tree.nodes[next.node].value = Int32(tree.values.count)
                tree.values.append(Float(Double(next.depth) + IsolationForest.expectedDepth(next.rows.count)))
                continue
            }
            let first = tree.nodes.count
            tree.nodes[next.node].left = Int32(first)
            for rows in [sides.left, sides.right] {
                tree.nodes.append(GrownNode(cover: Float(rows.count)))
                pending.append((tree.nodes.count - 1, rows, next.depth + 1))
            }
        }
        return tree
    }

    /// Splits by a column drawn among those that vary here; nil when none does.
    private mutating func split(_ node: Int, _ rows: [Int]) -> (left: [Int], right: [Int])? {
        var columns = Array(kinds.indices)
        for place in columns.indices {
            columns.swapAt(place, place + sequence.next(below: columns.count - place))
            let column = columns[place]
            let left: (Float) -> Bool
            let missingLeft = sequence.next(below: 2) == 0
            let values = rows.map { features[$0, column] }
            switch kinds[column] {
            case .number:
                let present = values.filter { !$0.isNaN }
                guard let low = present.min(), let high = present.max() else { continue }
                guard low < high || present.count < values.count else { continue }
                var threshold = low
                if low < high, low.isFinite, high.isFinite {
                    threshold = Float(Double(low) + sequence.uniform() * (Double(high) - Double(low)))
                    if threshold >= high { threshold = low }
                }
                tree.nodes[node].threshold = threshold
                left = { $0.isNaN ? missingLeft : $0 <= threshold }
            case .category(let levels):
                let table = bins.categories[column]
                func bin(_ value: Float) -> Int? {
                    value >= 0 && value < Float(levels) ? Int(table[Int(value)]) : nil
                }
                let present = Set(values.compactMap(bin)).sorted()
                guard present.count > 1 || (!present.isEmpty && values.contains { bin($0) == nil }) else { continue }
                // Every level by the toss of a coin, but never all on one side.
                var set: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
                for level in 0..<bins.counts[column] where sequence.next(below: 2) == 0 {
                    GrownTree.insert(level, into: &set)
                }
                let alone = present[sequence.next(below: present.count)]
                if present.allSatisfy({ !GrownTree.contains(set, $0) }) { GrownTree.insert(alone, into: &set) }
                if present.count > 1, present.allSatisfy({ GrownTree.contains(set, $0) }) {
                    set = (0, 0, 0, 0)
                    GrownTree.insert(alone, into: &set)
                }
                tree.nodes[node].set = Int32(tree.sets.count)
                tree.sets.append(set)
                left = { value in bin(value).map { GrownTree.contains(set, $0) } ?? missingLeft }
            }
            var sides: (left: [Int], right: [Int]) = ([], [])
            for (row, value) in zip(rows, values) {
                if left(value) { sides.left.append(row) } else { sides.right.append(row) }
            }
            guard !sides.left.isEmpty, !sides.right.isEmpty else { continue }
            tree.nodes[node].feature = Int32(column)
            tree.nodes[node].missingLeft = missingLeft
            return sides
        }
        return nil
    }
}
