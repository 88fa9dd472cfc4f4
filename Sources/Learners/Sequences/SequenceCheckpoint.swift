import Core
import FoundationEssentials

/// The state of a sequence model's training between two batches: enough to go on as if it had never stopped.
public struct SequenceCheckpoint: TrainingCheckpoint {
    /// What the run was asked for, as the program that started it wrote it down.
    public var request: [String: String]
    public let options: SequenceOptions
    public let history: NetworkHistory
    /// Batches done of the epoch after the last completed one.
    let position: Int
    /// Losses of these, and what they are the sum of.
    let total: [Float]
    let state: OptimizerSnapshot
    let best: NetworkWeights?
    let fingerprint: String

    public static let kind = "sequence-checkpoint"
    public static let formatVersion = 1

    private struct Place: Codable {
        var position: Int
        var steps: Int
        var items: Int
        var fingerprint: String
    }

    init(
        request: [String: String] = [:], options: SequenceOptions, history: NetworkHistory, position: Int,
        total: [Float], state: OptimizerSnapshot, best: NetworkWeights?, fingerprint: String
    ) {
        self.request = request
        self.options = options
        self.history = history
        self.position = position
        self.total = total
        self.state = state
        self.best = best
        self.fingerprint = fingerprint
    }

    /// Writes the checkpoint as a model is written: whole or not at all.
    public func save(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        func text(_ value: some Encodable) throws -> String {
            String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        let items = best?.descriptions[0].shape[0] ?? 0
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": Self.kind, "apus_format_version": String(Self.formatVersion), "request": try text(request),
            "configuration": try text(options), "history": try text(history),
            "place": try text(Place(position: position, steps: state.steps, items: items, fingerprint: fingerprint)),
        ])
        state.write(to: &writer)
        writer.add("state.total", shape: [2], HostBuffer(total))
        best?.write(to: &writer, prefix: "best.")
        try writer.write(to: path)
    }

    /// Reads a checkpoint. Throws ``SystemError`` or ``DataError``.
    public init(path: String) throws {
        let file = try SafetensorsFile(path: path)
        try file.require(kind: Self.kind, newestVersion: Self.formatVersion)
        let place: Place = try file.decode("place")
        let options: SequenceOptions = try file.decode("configuration")
        var best: NetworkWeights?
        if place.items > 0 {
            let parameters: [ParameterDescription]
            do {
                try options.validate()
                parameters = try options.parameters(items: place.items)
            } catch { throw DataError("\(error)", file: path) }
            best = try NetworkWeights(parameters, file: file, prefix: "best.")
        }
        self.init(
            request: try file.decode("request"), options: options, history: try file.decode("history"),
            position: place.position, total: try file.floats("state.total", shape: [2]).array,
            state: try OptimizerSnapshot(file: file, steps: place.steps), best: best, fingerprint: place.fingerprint)
    }
}

/// A training of a sequence model that was told to stop; the checkpoint goes on from there to the same bits.
public struct InterruptedSequenceTraining: Error, Sendable {
    public let checkpoint: SequenceCheckpoint
}

/// What a program that trains sequence models keeps for an interruption: where to go on from, and where it stopped.
///
/// Given to learners through ``current``, a task-local value, because a learner is a configuration and knows no files.
public final class SequenceSession: Sendable {
    @TaskLocal public static var current: SequenceSession?

    let checkpoints: CheckpointKeeper<SequenceCheckpoint>

    /// - Parameters:
    ///   - resuming: the state to go on from, when the data are the same.
    ///   - request: stored in checkpoints.
    ///   - saved: where a checkpoint is written every so many epochs.
    public init(
        resuming: SequenceCheckpoint? = nil, request: [String: String] = [:], saved: (path: String, every: Int)? = nil
    ) {
        checkpoints = CheckpointKeeper(resuming: resuming, request: request, saved: saved)
    }

    /// The state where the training stopped, or the last good one.
    public var lastCheckpoint: SequenceCheckpoint? { checkpoints.last }

    /// Whether the state to go on from was of these data.
    public var wasUsed: Bool { checkpoints.wasUsed }

    /// Says which interactions the training is about to begin on.
    /// Throws ``DataError`` when the state to go on from is of others.
    public func begin(interactions fingerprint: String) throws {
        try checkpoints.begin(data: fingerprint, key: "interactions", named: "interactions")
    }
}
