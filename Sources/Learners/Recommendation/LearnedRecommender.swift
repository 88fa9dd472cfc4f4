import Compute
import Core
import FoundationEssentials
import Tables

/// What a kind of recommender learned: host values, independent of the device that made them.
///
/// Every kind is saved in the same model file and opened for the same questions. A new kind is a type that conforms,
/// and one line in ``RecommenderKinds``.
public protocol LearnedRecommender: Sendable {
    /// The name of the kind: in the file's metadata, and in the command (`train KIND`).
    static var kind: String { get }
    /// Raised when a reader of the previous version could not understand the file. Older versions keep loading.
    static var formatVersion: Int { get }

    /// The parameters as JSON.
    func configuration() throws -> String

    /// Adds the tensors, each name led by `prefix`.
    func add(to writer: inout SafetensorsWriter, prefix: String)

    /// Reads what ``configuration()`` and ``add(to:prefix:)`` wrote. Throws ``DataError`` for anything damaged.
    init(_ section: ModelSection) throws

    /// Prepares for questions on a device.
    func open(_ context: RecommenderContext) throws -> any Recommender

    /// Whether it knows people by what they did in its order, so that the times of a model's interactions are kept.
    var readsOrder: Bool { get }

    /// The same when users have come and histories have grown, nothing of the items being learned anew: users × items, the
    /// items in their order. Nil for a kind that learns something of every user by training.
    func withHistories(_ histories: HostSparseMatrix) -> (any LearnedRecommender)?

    /// The mean rating when ratings are predicted (then the model is judged by RMSE); nil when items are ranked.
    var ratingMean: Float? { get }

    /// Parameters worth showing, in order.
    var facts: [(name: String, value: ModelFact)] { get }
}

extension LearnedRecommender {
    public static var formatVersion: Int { 1 }
    public func withHistories(_ histories: HostSparseMatrix) -> (any LearnedRecommender)? { nil }
    public var ratingMean: Float? { nil }
    public var readsOrder: Bool { false }

    /// Encodes parameters as the model file keeps them.
    static func json<Value: Encodable>(_ value: Value) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

/// One parameter of a model, for people and for JSON.
public enum ModelFact: Sendable, Equatable {
    case text(String)
    case integer(Int)
    case number(Double)
    case flag(Bool)
}

/// The kinds of recommenders that a model file may hold.
public enum RecommenderKinds {
    /// One line for each.
    public static let all: [any LearnedRecommender.Type] = [
        FactorizationFactors.self,
        NeighborTable.self,
        EASEWeights.self,
        PairwiseFactors.self,
        TwoTowerTable.self,
        ContentTable.self,
        PopularityTable.self,
        HybridTable.self,
        SequenceModel.self,
    ]

    /// The names, in order.
    public static var names: [String] { all.map { $0.kind } }

    /// The type of a kind; nil for a name that is none.
    public static func type(_ kind: String) -> (any LearnedRecommender.Type)? { all.first { $0.kind == kind } }
}

/// Where in a model file a learned recommender lies: hybrids hold several, told apart by prefixes.
public struct ModelSection {
    /// The file.
    public let file: SafetensorsFile
    /// What the names of its tensors begin with.
    public let prefix: String
    /// Its parameters as JSON.
    public let configuration: String
    /// Users of the model.
    public let users: Int
    /// Items of the model.
    public let items: Int

    public init(file: SafetensorsFile, prefix: String, configuration: String, users: Int, items: Int) {
        self.file = file
        self.prefix = prefix
        self.configuration = configuration
        self.users = users
        self.items = items
    }

    /// The parameters.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(configuration.utf8))
        } catch {
            throw DataError("`configuration` of the file is damaged: \(error)", file: file.path)
        }
    }

    /// Runs the checks of parameters; what they refuse is a damaged file here.
    public func checked(_ validate: () throws -> Void) throws {
        do { try validate() } catch { throw DataError("\(error)", file: file.path) }
    }

    /// A table of float32.
    public func table(_ name: String, rows: Int, columns: Int) throws -> HostMatrix {
        HostMatrix(
            rows: rows, columns: columns, storage: try file.floats(prefix + name, shape: [rows, columns]))
    }

    /// A sparse matrix.
    public func sparse(_ name: String, rows: Int, columns: Int) throws -> HostSparseMatrix {
        try file.sparse(prefix + name, rows: rows, columns: columns)
    }
}

/// What a learned recommender is opened with: the device, and what is known of users and items.
public struct RecommenderContext {
    /// Where to compute.
    public let stream: Compute.Stream
    /// Interactions of each item; items with 0 have no evidence.
    public let itemCounts: [Float]
    /// Interactions of each user.
    public let userDegrees: [Int]
    /// users × items: what the users have, for models that know a person by what they have.
    public let histories: HostSparseMatrix

    public init(stream: Compute.Stream, itemCounts: [Float], userDegrees: [Int], histories: HostSparseMatrix) {
        self.stream = stream
        self.itemCounts = itemCounts
        self.userDegrees = userDegrees
        self.histories = histories
    }

    /// Everything from the interactions themselves.
    public init(stream: Compute.Stream, histories: HostSparseMatrix) {
        var counts = [Float](repeating: 0, count: histories.columns)
        for entry in 0..<histories.entryCount { counts[Int(histories.columnIndices[entry])] += 1 }
        self.init(
            stream: stream, itemCounts: counts,
            userDegrees: (0..<histories.rows).map { histories.range(ofRow: $0).count }, histories: histories)
    }

    /// Threads for work that is the host's by its nature: those of a CPU-class device, else all processors.
    public var threads: Int { Self.hostThreads(stream.device) }

    /// Threads for host work beside a device: those of a CPU-class device, else all processors.
    public static func hostThreads(_ device: any Device) -> Int {
        device.identity.deviceClass == .cpu
            ? max(1, min(device.limits.computeUnits, 256)) : Workers.processorCount
    }
}
