import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// `apus train rnn`
struct TrainRNNCommand: NetworkTrainingCommand {
    static let configuration = CommandConfiguration(
        commandName: "rnn",
        abstract: "Train a recurrent network on sequences of events, with other columns beside them.",
        discussion: """
            --sequence names the column that lists the events of a row, the oldest first, with spaces between them \
            (`apus prepare --events` makes one of a file of events). Its other columns go in beside the state after the \
            last event. Longer sequences are cut to the newest --length events; events seen less than --minimum-count \
            times count as unseen ones.
            """)

    @Option(name: .customLong("sequence"), help: "Column that lists events; repeat.")
    var sequences: [String] = []
    @Option(help: "simple, gru or lstm.")
    var cell = RecurrentCell.gru
    @Option(help: "Units of the recurrent layers, separated by commas.")
    var units = "64"
    @Option(help: "Numbers of an event's vector.")
    var embedding = RNNLearner().embedding
    @Option(help: "Events that are read at most: the newest.")
    var length = RNNLearner().length
    @Option(name: .customLong("minimum-count"), help: "Events seen less often become one, which unseen ones share.")
    var minimumCount = RNNLearner().minimumCount
    @Option(help: "The character between events.")
    var separator = RNNLearner().separator
    @Option(help: "Units of the dense layers behind, separated by commas; none for none.")
    var hidden = "32"
    @Option(help: "A file with the layers from the embedding on, YAML, for a sequence without other columns.")
    var architecture: String?
    @Option(name: .customLong("batch-size"), help: "Rows of a step.")
    var batchSize = RNNLearner().batchSize
    @OptionGroup var network: NetworkFlags
    @OptionGroup var columns: NetworkColumnFlags
    @OptionGroup var training: TableTrainingFlags

    func validate() throws {
        _ = try NetworkFlags.units(hidden, "--hidden")
        _ = try NetworkFlags.units(units, "--units")
        guard !sequences.isEmpty || training.preparation.recipe != nil else {
            throw ValidationError("name the column that lists the events with --sequence")
        }
        guard separator.count == 1 else { throw ValidationError("--separator expects one character") }
    }

    func learner() throws -> RNNLearner {
        var learner = RNNLearner()
        learner.cell = cell
        learner.units = try NetworkFlags.units(units, "--units")
        learner.embedding = embedding
        learner.length = length
        learner.minimumCount = minimumCount
        learner.separator = separator
        learner.hidden = try NetworkFlags.units(hidden, "--hidden")
        if let architecture { learner.architecture = try ArchitectureFile.text(architecture) }
        learner.batchSize = batchSize
        network.fill(&learner)
        return learner
    }

    func run() throws { try run(resuming: nil, arguments: Array(CommandLine.arguments.dropFirst())) }
}

extension RecurrentCell: ExpressibleByArgument {}
