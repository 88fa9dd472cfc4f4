import Core
import Synchronization

/// The state of a training between two batches, as a file keeps it.
protocol TrainingCheckpoint: Sendable {
    /// What the run was asked for, as the program that started it wrote it down.
    var request: [String: String] { get set }
    var history: NetworkHistory { get }
    /// Of the data; a resumed run must have the same.
    var fingerprint: String { get }

    func save(to path: String) throws
}

/// Where a training goes on from, and where it stopped.
final class CheckpointKeeper<Checkpoint: TrainingCheckpoint>: Sendable {
    private struct State {
        let resuming: Checkpoint?
        var request: [String: String]
        var last: Checkpoint?
        var wasUsed = false
    }

    private let state: Mutex<State>
    private let saved: (path: String, every: Int)?

    /// - Parameters:
    ///   - resuming: the state to go on from, when the data are the same.
    ///   - request: stored in checkpoints.
    ///   - saved: where a checkpoint is written every so many epochs.
    init(resuming: Checkpoint?, request: [String: String], saved: (path: String, every: Int)?) {
        state = Mutex(State(resuming: resuming, request: request))
        self.saved = saved
    }

    /// The state where the training stopped, or the last good one.
    var last: Checkpoint? { state.withLock { $0.last } }

    /// Whether the state to go on from was of these data.
    var wasUsed: Bool { state.withLock { $0.wasUsed } }

    /// Notes which data the training is about to begin on, in the requests of its checkpoints.
    /// Throws ``DataError`` when the state to go on from is of others.
    func begin(data fingerprint: String, key: String, named data: String) throws {
        let known = state.withLock { state in
            state.request[key] = fingerprint
            return state.resuming?.request[key]
        }
        guard let known, known != fingerprint else { return }
        throw DataError("the \(data) are not those that the checkpoint was made with; nothing of it was used")
    }

    /// The state to go on from, when it is of these data.
    func checkpoint(fingerprint: String) -> Checkpoint? {
        state.withLock { state in
            guard let present = state.resuming, present.fingerprint == fingerprint else { return nil }
            state.wasUsed = true
            return present
        }
    }

    func note(_ checkpoint: Checkpoint) {
        state.withLock { state in
            state.last = checkpoint
            state.last?.request = state.request
        }
    }

    /// Writes the state when its epoch is one of those to be written.
    func save(_ make: () throws -> Checkpoint) throws {
        guard let saved else { return }
        var checkpoint = try make()
        guard checkpoint.history.epochs % saved.every == 0 else { return }
        checkpoint.request = state.withLock { $0.request }
        try checkpoint.save(to: saved.path)
    }
}
