import Compute
import Core

/// Identifiers of rows: each names a row of a table of vectors; below 0, none.
public struct IdentifierRows: Sendable {
    /// Identifiers of a row.
    public let columns: Int
    /// Row after row.
    public let values: [Int32]

    public init(columns: Int, values: [Int32]) {
        precondition(columns > 0 && values.count % columns == 0)
        self.columns = columns
        self.values = values
    }

    /// Number of rows.
    public var rows: Int { values.count / columns }
}

extension ResolvedNetwork {
    /// Refuses identifiers that are not as many as the network reads, or past the end of a table.
    func validate(_ identifiers: IdentifierRows?, rows: Int) throws(DataError) {
        guard (identifiers?.columns ?? 0) == self.identifiers, identifiers == nil || identifiers!.rows == rows else {
            throw DataError(
                "\(identifiers?.rows ?? 0) rows of \(identifiers?.columns ?? 0) identifiers for \(rows) rows of a network "
                    + "that reads \(self.identifiers)")
        }
        guard let identifiers else { return }
        var limits = [Int](repeating: Int(Int32.max), count: identifiers.columns)
        func limit(_ layers: [ResolvedLayer]) {
            for layer in layers {
                if case .embedding(let tables, _, _) = layer.specification {
                    for table in tables {
                        for column in table.column..<table.column + table.count {
                            limits[column] = min(limits[column], table.rows)
                        }
                    }
                }
                limit(layer.inner)
            }
        }
        limit(layers)
        for (place, value) in identifiers.values.enumerated() where value >= limits[place % limits.count] {
            throw DataError(
                "identifier \(value) in column \(place % limits.count) of row \(place / limits.count + 1) is past the end "
                    + "of its table of \(limits[place % limits.count]) rows")
        }
    }
}

/// Rows of numbers with what is to be predicted from them.
public struct NetworkData: Sendable {
    /// rows × inputs, without missing values.
    public let features: HostMatrix
    /// Identifiers of each row, for tables of vectors; nil where there are none.
    public let identifiers: IdentifierRows?
    /// The numbers to be predicted, row after row; empty where there are labels.
    public let targets: [Float]
    /// The class of each row, counted from 0; empty where there are numbers.
    public let labels: [Int32]
    /// Weight of each row, or nil for 1.
    public let weights: [Float]?

    public init(
        features: HostMatrix, identifiers: IdentifierRows? = nil, targets: [Float] = [], labels: [Int32] = [],
        weights: [Float]? = nil
    ) {
        self.features = features
        self.identifiers = identifiers
        self.targets = targets
        self.labels = labels
        self.weights = weights
    }

    /// Number of rows.
    public var rows: Int { features.rows }

    /// The features on a device; without columns where there are only identifiers.
    func deviceFeatures(_ stream: Compute.Stream) throws(ComputeError) -> Matrix {
        features.columns > 0 ? try stream.wrap(features) : try stream.allocate(rows: features.rows, columns: 0)
    }

    /// Refuses what the network can't be trained on: wrong shapes, labels outside their range, numbers that are not
    /// finite. O(rows · columns).
    func validate(_ network: ResolvedNetwork, _ objective: NetworkObjective) throws {
        guard rows > 0 else { throw DataError("there are no rows to train on") }
        guard features.columns == network.input.rows * network.input.columns else {
            throw DataError(
                "the data have \(features.columns) columns, the first layer of the network expects \(network.input)")
        }
        try network.validate(identifiers, rows: rows)
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
        case .retrieval:
            guard outputs % 2 == 0, outputs > 0, network.output.rows == 1 else {
                throw ParameterError("network", "retrieval needs two vectors of one length, the outputs are \(outputs)")
            }
            guard targets.count == rows, targets.allSatisfy({ $0.isFinite }) else {
                throw DataError("retrieval needs a finite number for each row; there are \(targets.count) for \(rows)")
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
