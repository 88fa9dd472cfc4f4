import Core

/// What a column of a tree's input holds.
public enum TreeFeatureKind: Sendable, Hashable, Codable {
    /// A number; NaN is a missing value.
    case number
    /// The code of a category, 0 ..< `levels`; NaN, and any other number, is a missing value.
    case category(levels: Int)

    var isCategory: Bool { if case .category = self { true } else { false } }
}

/// What trees learn from: dense features with missing values and categories as they are.
public struct TreeData: Sendable {
    /// Rows × columns; NaN is a missing value, a category is its code.
    public let features: HostMatrix
    /// The kind of each column.
    public let kinds: [TreeFeatureKind]
    /// The number of each row, or the index of its class.
    public let target: [Float]
    /// Weight of each row, finite and not negative, or nil when all weigh 1.
    public let weights: [Float]?
    /// 0 when the target is a number, else the number of classes.
    public let classes: Int

    /// Throws ``DataError`` for data that nothing can be learned from.
    public init(
        features: HostMatrix, kinds: [TreeFeatureKind], target: [Float], weights: [Float]? = nil, classes: Int = 0
    ) throws {
        guard features.rows > 0, features.columns > 0 else { throw DataError("there is nothing to learn from") }
        guard kinds.count == features.columns, target.count == features.rows,
            weights.map({ $0.count == target.count }) ?? true
        else { throw DataError("features, kinds, target and weights differ in length") }
        guard features.rows < 1 << 31 else { throw DataError("trees take fewer than 2147483648 rows") }
        guard target.allSatisfy({ $0.isFinite }) else {
            throw DataError("the target holds a number that is not finite")
        }
        if classes > 0 {
            guard target.allSatisfy({ $0 >= 0 && Int($0) < classes && $0 == $0.rounded() }) else {
                throw DataError("the target holds something else than the indices of \(classes) classes")
            }
        }
        if let weights {
            guard weights.allSatisfy({ $0.isFinite && $0 >= 0 }), weights.contains(where: { $0 > 0 }) else {
                throw DataError("weights must be finite, not negative, and not all 0")
            }
        }
        self.features = features
        self.kinds = kinds
        self.target = target
        self.weights = weights
        self.classes = classes
    }

    var rows: Int { features.rows }
    var columns: Int { features.columns }
}

/// Told of completed and total steps, and of figures; throws to stop the work.
public typealias TreeProgress = (_ completed: Int, _ total: Int, _ figures: [(name: String, value: Double)]) throws ->
    Void
