import Compute
import Core
import Tables

/// Several recommenders, blended with weights that were learned on held-out people.
///
/// Of every part the first ``depth`` items of a person count, by their scores scaled to 0.1 … 1 within that list; an
/// item's score is the weighted sum.
public struct HybridTable: LearnedRecommender {
    public static let kind = "hybrid"

    /// One part.
    public struct Part: Sendable {
        public let learned: any LearnedRecommender
        /// From 0 up; all add up to 1.
        public let weight: Double
    }

    public let parts: [Part]
    /// Items of each part that count.
    public let depth: Int

    init(parts: [Part], depth: Int) {
        self.parts = parts
        self.depth = depth
    }

    public var readsOrder: Bool { parts.contains { $0.learned.readsOrder } }

    public func withHistories(_ histories: HostSparseMatrix) -> (any LearnedRecommender)? {
        let grown = parts.map { part in
            part.learned.withHistories(histories).map { Part(learned: $0, weight: part.weight) }
        }
        return grown.contains { $0 == nil } ? nil : HybridTable(parts: grown.compactMap { $0 }, depth: depth)
    }

    private struct Configuration: Codable {
        struct Part: Codable {
            let kind: String
            let weight: Double
            let configuration: String
        }
        let depth: Int
        let parts: [Part]
    }

    public func configuration() throws -> String {
        try Self.json(
            Configuration(
                depth: depth,
                parts: try parts.map {
                    .init(
                        kind: type(of: $0.learned).kind, weight: $0.weight,
                        configuration: try $0.learned.configuration())
                }))
    }

    public func add(to writer: inout SafetensorsWriter, prefix: String) {
        for (number, part) in parts.enumerated() { part.learned.add(to: &writer, prefix: "\(prefix)part\(number).") }
    }

    public init(_ section: ModelSection) throws {
        let configuration: Configuration = try section.decode()
        guard (1...10_000).contains(configuration.depth), (1...64).contains(configuration.parts.count) else {
            throw DataError("`configuration` of the file is damaged: depth or parts", file: section.file.path)
        }
        depth = configuration.depth
        parts = try configuration.parts.enumerated().map { number, part in
            guard let type = RecommenderKinds.type(part.kind), type.kind != Self.kind, part.weight >= 0 else {
                throw DataError("the hybrid has a part of unknown kind `\(part.kind)`", file: section.file.path)
            }
            return Part(
                learned: try type.init(
                    ModelSection(
                        file: section.file, prefix: "\(section.prefix)part\(number).",
                        configuration: part.configuration, users: section.users, items: section.items)),
                weight: part.weight)
        }
    }

    public func open(_ context: RecommenderContext) throws -> any Recommender {
        HybridRecommender(
            parts: try parts.map { (try $0.learned.open(context), $0.weight) }, depth: depth,
            known: context.histories)
    }

    public var facts: [(name: String, value: ModelFact)] {
        [("depth", .integer(depth))]
            + parts.enumerated().flatMap { number, part in
                [
                    ("part_\(number + 1)", ModelFact.text(type(of: part.learned).kind)),
                    ("weight_\(number + 1)", .number(part.weight)),
                ]
            }
    }
}

/// Learns a ``HybridTable``.
public struct HybridLearner: RecommenderLearner {
    public var parts: [any RecommenderLearner]
    /// Items of each part that count.
    public var depth = 200
    /// What the weights are chosen by: NDCG at this k.
    public var cutoff = 100
    /// Draws the held-out users.
    public var seed: UInt64
    public var kind: String { HybridTable.kind }
    public var needsTimes: Bool { parts.contains { $0.needsTimes } }
    public var label: String { parts.map(\.kind).joined(separator: " + ") }

    /// - Throws: ``ParameterError`` for fewer than two parts, or one that is a hybrid itself.
    public init(_ parts: [any RecommenderLearner], seed: UInt64) throws(ParameterError) {
        guard (2...64).contains(parts.count) else { throw ParameterError("parts", "a hybrid has 2 to 64 parts") }
        guard !parts.contains(where: { $0.kind == HybridTable.kind }) else {
            throw ParameterError("parts", "a hybrid is no part of a hybrid")
        }
        self.parts = parts
        self.seed = seed
    }

    /// Learns the parts without the held-out users, the weights on those, and the parts once more on everyone.
    public func learn(
        _ data: RecommenderData, stream: Stream, progress: ProgressHandler?
    ) throws -> any LearnedRecommender {
        let (rest, heldOut) = try data.holdingOutUsers(seed: seed)
        let context = rest.context(stream)
        let tops = try parts.map { learner in
            try learner.learn(rest, stream: stream, progress: progress).open(context).topItems(
                for: .histories(heldOut.known), count: depth, exclusions: heldOut.known, filter: ItemFilter())
        }
        let weights = BlendWeights(tops: tops, truth: heldOut.truth, cutoff: cutoff).best()
        return HybridTable(
            parts: try zip(parts, weights).map { learner, weight in
                .init(learned: try learner.learn(data, stream: stream, progress: progress), weight: weight)
            }, depth: depth)
    }
}
