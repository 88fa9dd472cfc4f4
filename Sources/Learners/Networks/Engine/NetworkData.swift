import Compute
import Core

/// Rows of numbers with what is to be predicted from them.
public struct NetworkData: Sendable {
    /// rows × inputs, without missing values.
    public let features: HostMatrix
    /// The numbers to be predicted, row after row; empty where there are labels.
    public let targets: [Float]
    /// The class of each row, counted from 0; empty where there are numbers.
    public let labels: [Int32]
    /// Weight of each row, or nil for 1.
    public let weights: [Float]?

    public init(features: HostMatrix, targets: [Float] = [], labels: [Int32] = [], weights: [Float]? = nil) {
        self.features = features
        self.targets = targets
        self.labels = labels
        self.weights = weights
    }

    /// Number of rows.
    public var rows: Int { features.rows }

    /// Refuses what the network can't be trained on: wrong shapes, labels outside their range, numbers that are not
    /// finite. O(rows · columns).
    func validate(_ network: ResolvedNetwork, _ objective: NetworkObjective) throws {
        guard rows > 0 else { throw DataError("there are no rows to train on") }
        guard features.columns == network.input.rows * network.input.columns else {
            throw DataError(
                "the data have \(features.columns) columns, the first layer of the network expects \(network.input)")
        }
        let outputs = network.output.rows * network.output.columns
        switch objective {
        case .binary, .squared, .huber:
            if case .binary = objective, outputs != 1 {
                throw ParameterError("network", "two classes need one output, the last layer has \(network.output)")
            }
            guard targets.count == rows * outputs else {
                throw DataError("there are \(targets.count) targets for \(rows) rows and \(outputs) outputs")
            }
            guard targets.allSatisfy({ $0.isFinite }) else {
                throw DataError("a target is missing or not finite")
            }
        case .classes:
            guard labels.count == rows else { throw DataError("there are \(labels.count) labels for \(rows) rows") }
            if let wrong = labels.first(where: { $0 < 0 || $0 >= outputs }) {
                throw DataError(
                    "label \(wrong) is outside of 0 to \(outputs - 1), the classes of the last layer")
            }
        }
        if let weights {
            guard weights.count == rows, weights.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
                throw DataError("a weight is negative or not finite, or their number differs from that of the rows")
            }
        }
        let count = features.rows * features.columns
        if let place = (0..<count).first(where: { !features.storage[$0].isFinite }) {
            throw DataError(
                "row \(place / features.columns + 1) of the features holds a number that is missing or not finite; "
                    + "a network needs them filled in")
        }
    }
}
