import ArgumentParser
import Core
import Learners

/// A training of a network that keeps its state when it is interrupted or diverges.
struct CheckpointedTraining {
    /// The state where it stopped: epochs done, and how it is written to a file.
    typealias Stop = (epochs: Int, save: (String) throws -> Void)

    /// Where the state is written; nil when there is no place for it.
    let path: String?
    /// Whether the training goes on from a checkpoint.
    let isResuming: Bool
    /// What must be the checkpoint's: "the rows to train on".
    let data: String

    /// Runs the training; its checkpoint is gone when it has come to its end.
    ///
    /// - Parameters:
    ///   - stop: the state where the training stopped; nil before the first step.
    ///   - wasUsed: whether the state to go on from was of these data.
    /// - Throws: what the training throws; ``Failure/Interrupted`` that names the file which `apus resume` goes on from.
    func run(_ training: () throws -> Void, stop: () -> Stop?, wasUsed: () -> Bool) throws {
        do {
            try training()
        } catch is CancellationError {
            guard let stop = stop(), let path else { throw CancellationError() }
            ProgressDisplay.clearLine()
            try stop.save(path)
            throw Failure.Interrupted(
                message:
                    "interrupted after \(stop.epochs) epochs; `apus resume --checkpoint \(path)` goes on from there")
        } catch let divergence as DivergedNetworkTraining {
            ProgressDisplay.clearLine()
            guard let stop = stop(), let path else { throw divergence }
            try stop.save(path)
            throw DataError("\(divergence); it is saved as \(path)")
        }
        // The data are the checkpoint's, but not those that the network is trained on: another split, say.
        if isResuming, !wasUsed() {
            throw DataError("\(data) are not those of the checkpoint; nothing of it was used")
        }
        if let path { OutputFolder.removeFile(path) }
    }
}

/// Where a training of a network keeps its state.
struct CheckpointFlags: ParsableArguments {
    @Option(help: "Where the state goes when the training is interrupted (default: OUTPUT.checkpoint).")
    var checkpoint: String?
    @Option(name: .customLong("checkpoint-every"), help: "Save the state every so many epochs, too.")
    var checkpointEvery: Int?

    func validate() throws {
        if let checkpointEvery, checkpointEvery < 1 { throw ValidationError("--checkpoint-every must be 1 or more") }
    }

    /// The next state goes to the file that the training goes on from, unless another place was named.
    mutating func resume(at path: String) { if checkpoint == nil { checkpoint = path } }

    private func places(_ output: String?) -> (path: String?, saved: (path: String, every: Int)?) {
        let path = checkpoint ?? output.map { $0 + ".checkpoint" }
        return (path, checkpointEvery.flatMap { every in path.map { ($0, every) } })
    }

    private func request(_ arguments: [String]) -> [String: String] {
        ["arguments": arguments.joined(separator: "\u{1F}")]
    }

    /// Runs a training with a session of its own.
    ///
    /// - Parameter data: what must be the checkpoint's: "the rows to train on".
    func run(
        resuming state: NetworkCheckpoint?, arguments: [String], output: String?, data: String, weights: String? = nil,
        _ training: (NetworkSession) throws -> Void
    ) throws {
        let (path, saved) = places(output)
        let session = NetworkSession(
            resuming: state, request: request(arguments), weights: weights, saved: saved)
        try CheckpointedTraining(path: path, isResuming: state != nil, data: data).run(
            { try NetworkSession.$current.withValue(session) { try training(session) } },
            stop: { session.lastCheckpoint.map { last in (last.history.epochs, { try last.save(to: $0) }) } },
            wasUsed: { session.wasUsed })
    }

    /// The same for networks over sequences of items.
    func run(
        resuming state: SequenceCheckpoint?, arguments: [String], output: String,
        _ training: (SequenceSession) throws -> Void
    ) throws {
        let (path, saved) = places(output)
        let session = SequenceSession(resuming: state, request: request(arguments), saved: saved)
        try CheckpointedTraining(path: path, isResuming: state != nil, data: "the interactions to learn from").run(
            { try SequenceSession.$current.withValue(session) { try training(session) } },
            stop: { session.lastCheckpoint.map { last in (last.history.epochs, { try last.save(to: $0) }) } },
            wasUsed: { session.wasUsed })
    }
}

/// A command whose training `apus resume` goes on with.
protocol ResumableNetworkCommand {
    /// Goes on from a checkpoint.
    ///
    /// - Parameters:
    ///   - arguments: of the interrupted command.
    ///   - path: where the checkpoint is, and where the next one is written unless the command names another place.
    ///   - device: another device than before.
    mutating func resume(from state: NetworkCheckpoint, _ arguments: [String], at path: String, device: String?) throws
}
