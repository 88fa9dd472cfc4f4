import ArgumentParser
import Core
import Learners
import Tables

/// `apus train net`
struct TrainNetCommand: NetworkTrainingCommand {
    static let configuration = CommandConfiguration(
        commandName: "net", abstract: "Train a neural network: classes or a number from columns.",
        discussion: """
            A multilayer perceptron. --validation holds a part of the training rows back, whose loss is watched; with \
            --patience the training stops when it no longer falls, and goes back to the best epoch. Ctrl-C saves a \
            checkpoint that `apus resume` goes on from, to the same bits.
            """)

    @Option(help: "Units of the hidden layers, separated by commas; none for no hidden layer.")
    var hidden = "64,64"
    @Option(help: "A file with the layers, YAML, in place of --hidden, --activation, --dropout and --layer-norm.")
    var architecture: String?
    @Option(name: .customLong("batch-size"), help: "Rows of a step.")
    var batchSize = NetworkLearner().batchSize
    @OptionGroup var network: NetworkFlags
    @OptionGroup var columns: NetworkColumnFlags
    @OptionGroup var training: TableTrainingFlags

    func validate() throws { _ = try NetworkFlags.units(hidden, "--hidden") }

    func learner() throws -> NetworkLearner {
        var learner = NetworkLearner()
        learner.hidden = try NetworkFlags.units(hidden, "--hidden")
        if let architecture { learner.architecture = try ArchitectureFile.text(architecture) }
        learner.batchSize = batchSize
        network.fill(&learner)
        return learner
    }

    func run() throws { try run(resuming: nil, arguments: Array(CommandLine.arguments.dropFirst())) }
}
