import Core
import Synchronization

/// What a program that trains networks keeps for an interruption: where to go on from, and where it stopped.
///
/// Given to learners through ``current``, a task-local value, because a learner is a configuration and knows no files.
public final class NetworkSession: Sendable {
    @TaskLocal public static var current: NetworkSession?

    private struct State {
        var resuming: NetworkCheckpoint?
        var last: NetworkCheckpoint?
        var wasUsed = false
        var table: String?
    }

    private let state: Mutex<State>
    private let request: [String: String]
    private let saved: (path: String, every: Int)?
    private let weights: String?

    /// - Parameters:
    ///   - resuming: the state to go on from, when the data are the same.
    ///   - request: stored in checkpoints.
    ///   - weights: a file with the weights to start from, named as a PyTorch `state_dict` of the network names them.
    ///   - saved: where a checkpoint is written every so many epochs.
    public init(
        resuming: NetworkCheckpoint? = nil, request: [String: String] = [:], weights: String? = nil,
        saved: (path: String, every: Int)? = nil
    ) {
        self.weights = weights
        state = Mutex(State(resuming: resuming))
        self.request = request
        self.saved = saved
    }

    /// The state where the training stopped, or the last good one.
    public var lastCheckpoint: NetworkCheckpoint? { state.withLock { $0.last } }

    /// Whether the state to go on from was of these data.
    public var wasUsed: Bool { state.withLock { $0.wasUsed } }

    /// Says which table the training is about to begin on.
    /// Throws ``DataError`` when the state to go on from is of another.
    public func begin(table fingerprint: String) throws {
        let known = state.withLock { state in
            state.table = fingerprint
            return state.resuming?.request["table"]
        }
        guard let known, known != fingerprint else { return }
        throw DataError("the rows of the data are not those that the checkpoint was made with; nothing of it was used")
    }

    /// The weights to start from; nil for random ones.
    func start(_ architecture: NetworkArchitecture) throws -> NetworkWeights? {
        try weights.map { path in
            let parameters = try architecture.resolved().parameters
            do { return try NetworkWeights(stateDict: path, parameters) } catch let error as DataError {
                throw DataError(error.reason, file: path)
            }
        }
    }

    func checkpoint(for data: NetworkData) -> NetworkCheckpoint? {
        let present = state.withLock { $0.resuming }
        guard let present, present.fingerprint == data.fingerprint else { return nil }
        state.withLock { $0.wasUsed = true }
        return present
    }

    private var completeRequest: [String: String] {
        var request = request
        request["table"] = state.withLock { $0.table }
        return request
    }

    func note(_ checkpoint: NetworkCheckpoint) {
        var checkpoint = checkpoint
        checkpoint.request = completeRequest
        state.withLock { $0.last = checkpoint }
    }

    func save(_ make: () throws -> NetworkCheckpoint) throws {
        guard let saved else { return }
        var checkpoint = try make()
        guard checkpoint.history.epochs % saved.every == 0 else { return }
        checkpoint.request = completeRequest
        try checkpoint.save(to: saved.path)
    }
}
