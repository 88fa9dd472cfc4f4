import Core

/// What is to be predicted.
public struct SupervisedTask: Codable, Sendable, Equatable {
    /// A number, one of two classes, or one of several.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        case regression, binary, multiclass
    }

    public let kind: Kind
    /// Names of the classes, in the order of the predictions' columns; of two classes the second is the positive one.
    /// Empty for regression.
    public let labels: [String]

    /// Predicts a number.
    public static let regression = SupervisedTask(kind: .regression, labels: [])

    /// Predicts which of two classes, the second being the one that is asked about.
    public static func binary(negative: String, positive: String) -> SupervisedTask {
        SupervisedTask(kind: .binary, labels: [negative, positive])
    }

    /// Predicts one of `labels`; of two, the second is the positive one.
    /// Throws ``DataError`` when there are fewer than two.
    public static func classification(_ labels: [String]) throws -> SupervisedTask {
        guard labels.count >= 2 else {
            throw DataError(
                labels.isEmpty
                    ? "the target has no values to learn from"
                    : "the target has only one value, `\(labels[0])`: there is nothing to tell apart")
        }
        return SupervisedTask(kind: labels.count == 2 ? .binary : .multiclass, labels: labels)
    }

    private init(kind: Kind, labels: [String]) {
        self.kind = kind
        self.labels = labels
    }

    /// Columns of a prediction: one number, or a probability for each class.
    public var outputs: Int { kind == .regression ? 1 : labels.count }

    /// Whether classes are predicted.
    public var isClassification: Bool { kind != .regression }
}
