import CVectorLoops
import Core

/// A decision tree, or the average of many: what ``fitTree(_:options:threads:progress:)`` and
/// ``fitForest(_:options:threads:progress:)`` learn.
public struct AveragedTrees: Sendable {
    var ensemble: TreeEnsemble
    /// 0 when the target is a number, else the number of classes.
    public let classes: Int
    /// What a leaf cost when a single tree was pruned.
    public internal(set) var costComplexity = 0.0
    /// Predictions for the rows of the training by the trees that did not see them, rows × outputs; NaN for a row that
    /// all trees saw. Nil unless asked for.
    public internal(set) var outOfBag: HostMatrix?

    /// Number of trees.
    public var treeCount: Int { ensemble.treeCount }
    /// Leaves of all trees together.
    public var leafCount: Int { ensemble.leafCount }

    init(ensemble: TreeEnsemble, classes: Int) {
        self.ensemble = ensemble
        self.classes = classes
    }

    init(_ tree: GrownTree, _ data: TreeData, _ columns: SplitColumns) {
        ensemble = TreeEnsemble(
            kinds: data.kinds, categories: columns.table.bins.categories, width: data.classes > 2 ? data.classes : 1)
        classes = data.classes
        ensemble.append(tree)
    }

    /// rows × 1 numbers, or rows × classes probabilities. The same bits for every number of threads.
    public func predict(_ features: HostMatrix, threads: Int) throws -> HostMatrix {
        let sums = try ensemble.sums(features, pool: WorkerPool(threadCount: threads))
        return output(sums, rows: features.rows) { _ in Double(treeCount) }
    }

    /// Means over a number of trees.
    func output(_ sums: HostBuffer<Double>, rows: Int, count: (Int) -> Double) -> HostMatrix {
        let out = HostMatrix(rows: rows, columns: max(classes, 1))
        let width = ensemble.width
        for row in 0..<rows {
            let scale = 1 / count(row)
            if classes == 2 {
                let share = sums[row] * scale
                out[row, 0] = Float(1 - share)
                out[row, 1] = Float(share)
            } else {
                for index in 0..<width { out[row, index] = Float(sums[row * width + index] * scale) }
            }
        }
        return out
    }
}
