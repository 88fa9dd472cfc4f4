import Compute
import Core
import Tables

/// How attributes are compared.
public enum ContentSimilarity: String, Codable, Sendable, CaseIterable {
    /// The cosine of the vectors.
    case cosine
    /// The cosine of the deviations from each vector's mean.
    case pearson
}

/// Parameters of content filtering.
public struct ContentOptions: Codable, Sendable, Equatable {
    public var similarity = ContentSimilarity.cosine
    /// How values become weights.
    public var confidence = ConfidenceRule.constant

    public init() {}
}

/// Recommends by attributes of items: a person is the sum of what they have.
///
/// The one kind that knows items without interactions, as long as they have attributes. Items without attributes are
/// never recommended, and say nothing of those who have them.
public struct ContentTable: LearnedRecommender {
    public static let kind = "content"

    public let options: ContentOptions
    /// items × features, rows of length 1; rows of items without attributes are 0.
    public let vectors: HostMatrix
    /// Names of the features.
    public let features: IdentifierIndex

    /// Learns from attributes.
    ///
    /// - Parameter items: the items of the model, in order.
    /// - Throws: ``DataError`` when none of them have attributes.
    public init(items: IdentifierIndex, attributes: ItemAttributes, options: ContentOptions) throws {
        self.options = options
        features = IdentifierIndex(attributes.features)
        let width = attributes.features.count
        vectors = HostMatrix(rows: items.count, columns: width)
        var found = 0
        for (name, vector) in zip(attributes.items, attributes.vectors) {
            guard let item = items.index(of: name), !vector.isEmpty else { continue }
            let row = vectors.row(item)
            for (feature, value) in vector { row[feature] = value }
            if options.similarity == .pearson {
                let mean = row.reduce(0, +) / Float(width)
                for place in row.indices { row[place] -= mean }
            }
            let size = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            guard size > 1e-6 else {
                row.baseAddress?.update(repeating: 0, count: width)
                continue
            }
            for place in row.indices { row[place] /= size }
            found += 1
        }
        guard found > 0 else { throw DataError("none of the items have attributes that others share") }
    }

    /// Items of the model that have attributes.
    public var describedItems: Int { (0..<vectors.rows).count { vectors.row($0).contains { $0 != 0 } } }

    /// People are known by what they have.
    public func withHistories(_ histories: HostSparseMatrix) -> (any LearnedRecommender)? { self }

    public func configuration() throws -> String { try Self.json(options) }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        writer.add(prefix + "item_vectors", shape: [vectors.rows, vectors.columns], vectors.storage)
        writer.add(features, as: prefix + "features")
    }

    public init(_ section: ModelSection) throws {
        options = try section.decode()
        features = try section.file.identifiers(section.prefix + "features")
        vectors = try section.table("item_vectors", rows: section.items, columns: features.count)
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        try ContentRecommender(learned: self, context: context)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [
            ("similarity", .text(options.similarity.rawValue)), ("features", .integer(features.count)),
            ("items_with_attributes", .integer(describedItems)), ("confidence", .text(options.confidence.rawValue)),
        ]
    }
}

/// Learns a ``ContentTable``.
public struct ContentLearner: RecommenderLearner {
    public var attributes: ItemAttributes
    public var options: ContentOptions
    public var kind: String { ContentTable.kind }
    public var label: String {
        "\(options.similarity.rawValue), "
            + attributes.columns.map { "\($0.name) \($0.kind.rawValue)" }.joined(separator: ", ")
    }

    public init(_ attributes: ItemAttributes, options: ContentOptions = ContentOptions()) {
        self.attributes = attributes
        self.options = options
    }

    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        try ContentTable(items: data.items, attributes: attributes, options: options)
    }
}
