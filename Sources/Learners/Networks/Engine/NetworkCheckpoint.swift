import Core
import FoundationEssentials

/// The state of a network's training between two batches: enough to go on as if it had never stopped.
public struct NetworkCheckpoint: TrainingCheckpoint {
    /// What the run was asked for, as the program that started it wrote it down.
    public var request: [String: String]
    public let architecture: NetworkArchitecture
    public let objective: NetworkObjective
    public let options: NetworkTrainingOptions
    public let history: NetworkHistory
    /// Batches done of the epoch after the last completed one.
    let position: Int
    /// The losses of these batches, as the device adds them up.
    let total: [Float]
    let state: OptimizerSnapshot
    let best: NetworkWeights?
    /// Of the data; a resumed run must have the same.
    let fingerprint: String

    public static let kind = "net-checkpoint"
    public static let formatVersion = 1

    init(
        request: [String: String], architecture: NetworkArchitecture, objective: NetworkObjective,
        options: NetworkTrainingOptions, history: NetworkHistory, position: Int, total: [Float],
        state: OptimizerSnapshot, best: NetworkWeights?, fingerprint: String
    ) {
        self.request = request
        self.architecture = architecture
        self.objective = objective
        self.options = options
        self.history = history
        self.position = position
        self.total = total
        self.state = state
        self.best = best
        self.fingerprint = fingerprint
    }

    private struct Place: Codable {
        var position: Int
        var steps: Int
        var fingerprint: String
    }

    /// Writes the checkpoint as a model is written: whole or not at all.
    public func save(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        func text(_ value: some Encodable) throws -> String {
            String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        var writer = SafetensorsWriter(metadata: [
            "apus_kind": Self.kind, "apus_format_version": String(Self.formatVersion), "request": try text(request),
            "architecture": try text(architecture), "objective": try text(objective),
            "configuration": try text(options), "history": try text(history),
            "place": try text(Place(position: position, steps: state.steps, fingerprint: fingerprint)),
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
        let architecture: NetworkArchitecture = try file.decode("architecture")
        let parameters: [ParameterDescription]
        do { parameters = try architecture.resolved().parameters } catch { throw DataError("\(error)", file: path) }
        let hasBest = parameters.first.map { file.tensor("best." + $0.name) != nil } ?? false
        self.init(
            request: try file.decode("request"), architecture: architecture, objective: try file.decode("objective"),
            options: try file.decode("configuration"), history: try file.decode("history"), position: place.position,
            total: try file.floats("state.total", shape: [2]).array,
            state: try OptimizerSnapshot(file: file, steps: place.steps),
            best: hasBest ? try NetworkWeights(parameters, file: file, prefix: "best.") : nil,
            fingerprint: place.fingerprint)
    }
}
