import ArgumentParser
import Core
import Learners

/// `apus resume`
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Go on with a training that was interrupted.",
        discussion: """
            The checkpoint holds the arguments of the interrupted command; on the same device and thread count the \
            result has the same bits as that of a run that was never interrupted.
            """)

    @Option(help: "The checkpoint that the interrupted run named.")
    var checkpoint: String
    @Option(help: "Another device than before: the run may stop on one and go on on another.")
    var device: String?

    func run() throws {
        if try SafetensorsFile(path: checkpoint).metadata["apus_kind"] == NetworkCheckpoint.kind {
            return try resumeNetwork()
        }
        if try SafetensorsFile(path: checkpoint).metadata["apus_kind"] == SequenceCheckpoint.kind {
            return try resumeSequence()
        }
        let state = try FactorizationCheckpoint(path: checkpoint)
        guard let stored = state.request["arguments"] else {
            throw DataError("the checkpoint was not written by `apus train`", file: checkpoint)
        }
        let arguments = stored.split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
        guard var command = try ApusCommand.parseAsRoot(arguments) as? TrainALSCommand else {
            throw DataError("the checkpoint holds a command that can't be resumed", file: checkpoint)
        }
        if let device { command.deviceOption.device = device }
        if command.checkpoint == nil { command.checkpoint = checkpoint }
        try command.run(resuming: state, arguments: arguments)
    }

    private func resumeSequence() throws {
        let state = try SequenceCheckpoint(path: checkpoint)
        let stored = state.request["arguments"] ?? ""
        let arguments = stored.split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
        guard var command = try ApusCommand.parseAsRoot(arguments) as? TrainSequenceCommand else {
            throw DataError("the checkpoint was not written by `apus train sequence`", file: checkpoint)
        }
        if let device { command.flags.deviceOption.device = device }
        command.checkpoints.resume(at: checkpoint)
        try command.run(resuming: state, arguments: arguments)
    }

    private func resumeNetwork() throws {
        let state = try NetworkCheckpoint(path: checkpoint)
        let stored = state.request["arguments"] ?? ""
        let arguments = stored.split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
        guard var command = try ApusCommand.parseAsRoot(arguments) as? any ResumableNetworkCommand else {
            throw DataError("the checkpoint was not written by a training of a network", file: checkpoint)
        }
        try command.resume(from: state, arguments, at: checkpoint, device: device)
    }
}
