import Core
import FoundationEssentials
import Tables

/// The state of a training between two iterations: enough to go on as if it had never stopped.
public struct FactorizationCheckpoint: Sendable {
    /// What the run was asked for, as the program that started it wrote it down.
    public var request: [String: String]
    /// The parameters, with the solver resolved.
    public var options: FactorizationOptions
    /// The tables as the device held them.
    public var factors: FactorizationFactors
    /// What the run has behind it.
    public var history: TrainingHistory
    /// The best tables so far, when the run stops early.
    public var best: FactorizationFactors?
    /// Of the data; a resumed run must have the same.
    public var fingerprint: DataFingerprint

    public static let kind = "als-checkpoint"
    public static let formatVersion = 1

    public init(
        request: [String: String], options: FactorizationOptions, factors: FactorizationFactors,
        history: TrainingHistory, best: FactorizationFactors?, fingerprint: DataFingerprint
    ) {
        self.request = request
        self.options = options
        self.factors = factors
        self.history = history
        self.best = best
        self.fingerprint = fingerprint
    }

    /// Writes the checkpoint as a model is written: whole or not at all.
    public func save(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": Self.kind, "apus_format_version": String(Self.formatVersion),
            "request": String(decoding: try encoder.encode(request), as: UTF8.self),
            "configuration": String(decoding: try encoder.encode(options), as: UTF8.self),
            "history": String(decoding: try encoder.encode(history), as: UTF8.self),
            "fingerprint": String(decoding: try encoder.encode(fingerprint), as: UTF8.self),
        ])
        writer.add("mean", shape: [1], HostBuffer([factors.mean]))
        for (name, tables) in [("", factors), ("best_", best)] {
            guard let tables else { continue }
            writer.add("\(name)user_factors", shape: [tables.users.rows, tables.users.columns], tables.users.storage)
            writer.add("\(name)item_factors", shape: [tables.items.rows, tables.items.columns], tables.items.storage)
        }
        try writer.write(to: path)
    }

    /// Reads a checkpoint. Throws ``SystemError`` or ``DataError``.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        try file.require(kind: Self.kind, newestVersion: Self.formatVersion)
        let options: FactorizationOptions = try file.decode("configuration")
        do { try options.validate() } catch { throw DataError("\(error)", file: path) }
        let mean = try file.floats("mean", shape: [1])[0]
        func tables(_ prefix: String) throws -> FactorizationFactors? {
            guard let users = file.tensor("\(prefix)user_factors"), let items = file.tensor("\(prefix)item_factors")
            else { return nil }
            let columns = options.tableColumns
            guard users.shape.count == 2, items.shape.count == 2, users.shape[1] == columns,
                items.shape[1] == columns
            else { throw DataError("the tables of the checkpoint are damaged", file: path) }
            return FactorizationFactors(
                users: HostMatrix(
                    rows: users.shape[0], columns: columns, storage: try file.floats("\(prefix)user_factors")),
                items: HostMatrix(
                    rows: items.shape[0], columns: columns, storage: try file.floats("\(prefix)item_factors")),
                mean: mean, options: options)
        }
        guard let factors = try tables("") else { throw DataError("the checkpoint has no tables", file: path) }
        self.init(
            request: try file.decode("request"), options: options, factors: factors,
            history: try file.decode("history"), best: try tables("best_"),
            fingerprint: try file.decode("fingerprint"))
    }
}

/// What a training has behind it, iteration by iteration.
public struct TrainingHistory: Codable, Sendable, Equatable {
    /// Iterations completed.
    public var iterations = 0
    /// Seconds of each, evaluation apart.
    public var seconds: [Double] = []
    /// Loss after each, when asked for.
    public var losses: [Double] = []
    /// Validation figure after each, when asked for.
    public var validation: [Double] = []
    /// Iteration with the best validation figure, from 1; 0 before the first.
    public var bestIteration = 0
    /// That figure.
    public var bestValidation = -Double.infinity

    public init() {}

    private enum CodingKeys: String, CodingKey {
        case iterations, seconds, losses, validation, bestIteration
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        iterations = try container.decode(Int.self, forKey: .iterations)
        seconds = try container.decode([Double].self, forKey: .seconds)
        losses = try container.decode([Double].self, forKey: .losses)
        validation = try container.decode([Double].self, forKey: .validation)
        bestIteration = try container.decode(Int.self, forKey: .bestIteration)
        guard iterations >= 0, bestIteration >= 0, bestIteration <= validation.count else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: container.codingPath, debugDescription: "the counts contradict"))
        }
        if bestIteration > 0 { bestValidation = validation[bestIteration - 1] }
    }
}
