import Core
import Tables

/// Features with what is known of them: what a learner is trained on.
public struct TrainingSet: Sendable {
    /// Rows × columns, fitted and applied by a recipe.
    public let features: Features
    /// What is to be predicted.
    public let task: SupervisedTask
    /// The number of each row, or the index of its class.
    public let target: [Double]
    /// Weight of each row, not negative, or nil when all weigh 1.
    public let weights: [Double]?
    /// Rows to watch the progress on, made by the same recipe: features, target, weights; nil for none.
    public var watched: (features: Features, target: [Double], weights: [Double]?)?
    /// All rows, read a part at a time, where these are only a sample of them; nil when these are all.
    public var streamed: StreamedRows?
    /// Rows of equal group belong together (a customer's, for example) and are never divided; nil without groups.
    public let groups: [Int32]?

    public init(
        features: Features, task: SupervisedTask, target: [Double], weights: [Double]? = nil, groups: [Int32]? = nil
    ) {
        precondition(features.rows == target.count)
        precondition(weights.map { $0.count == target.count } ?? true)
        precondition(groups.map { $0.count == target.count } ?? true)
        self.features = features
        self.task = task
        self.target = target
        self.weights = weights
        self.groups = groups
    }

    /// Number of rows.
    public var rows: Int { target.count }

    /// The weight of one row.
    @inlinable public func weight(_ row: Int) -> Double { weights.map { $0[row] } ?? 1 }

    /// The weights, 1 where none were given.
    public var effectiveWeights: [Double] { weights ?? [Double](repeating: 1, count: rows) }

    /// Index of each row's class. Only for classification.
    public var classes: [Int] { target.map { Int($0) } }

    /// Sum of the weights of each class. Only for classification.
    public var classWeights: [Double] {
        var sums = [Double](repeating: 0, count: task.labels.count)
        for row in 0..<rows { sums[Int(target[row])] += weight(row) }
        return sums
    }

    /// Refuses what no learner can learn from: no rows, no columns, numbers that are not finite, a class without rows.
    public func validate() throws {
        guard rows > 0 else { throw DataError("there are no rows to learn from") }
        guard !features.columns.isEmpty else { throw DataError("there are no columns to learn from") }
        guard target.allSatisfy({ $0.isFinite }) else {
            throw DataError("the target holds a number that is not finite")
        }
        if let weights {
            guard weights.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
                throw DataError("a weight is negative or not finite")
            }
            guard weights.contains(where: { $0 > 0 }) else { throw DataError("all weights are 0") }
        }
        // Of a sample a rare class may be missing.
        if task.isClassification, streamed == nil {
            for (label, weight) in zip(task.labels, classWeights) where weight <= 0 {
                throw DataError("no row of the training part has the class `\(label)`")
            }
        }
    }
}
