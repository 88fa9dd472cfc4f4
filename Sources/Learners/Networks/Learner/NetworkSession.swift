import Core

/// What a program that trains networks keeps for an interruption: where to go on from, and where it stopped.
///
/// Given to learners through ``current``, a task-local value, because a learner is a configuration and knows no files.
public final class NetworkSession: Sendable {
    @TaskLocal public static var current: NetworkSession?

    let checkpoints: CheckpointKeeper<NetworkCheckpoint>
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
        checkpoints = CheckpointKeeper(resuming: resuming, request: request, saved: saved)
    }

    /// The state where the training stopped, or the last good one.
    public var lastCheckpoint: NetworkCheckpoint? { checkpoints.last }

    /// Whether the state to go on from was of these data.
    public var wasUsed: Bool { checkpoints.wasUsed }

    /// Says which table the training is about to begin on.
    /// Throws ``DataError`` when the state to go on from is of another.
    public func begin(table fingerprint: String) throws {
        try checkpoints.begin(data: fingerprint, key: "table", named: "rows of the data")
    }

    /// Says which interactions the training is about to begin on.
    /// Throws ``DataError`` when the state to go on from is of others.
    public func begin(interactions fingerprint: String) throws {
        try checkpoints.begin(data: fingerprint, key: "interactions", named: "interactions")
    }

    /// Trains under the present session, if there is one: hands out the state to go on from and where states are saved, and
    /// keeps that of an interruption or a divergence. Throws `CancellationError` for an interruption.
    static func training(
        _ data: any NetworkDataParts,
        _ train: (NetworkCheckpoint?, ((() throws -> NetworkCheckpoint) throws -> Void)?) throws ->
            NetworkTrainingResult
    ) throws -> NetworkTrainingResult {
        let checkpoints = current?.checkpoints
        do {
            return try train(checkpoints?.checkpoint(fingerprint: data.fingerprint), checkpoints?.save)
        } catch let interruption as InterruptedNetworkTraining {
            checkpoints?.note(interruption.checkpoint)
            throw CancellationError()
        } catch let divergence as DivergedNetworkTraining {
            if let last = divergence.lastGood { checkpoints?.note(last) }
            throw divergence
        }
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
}
