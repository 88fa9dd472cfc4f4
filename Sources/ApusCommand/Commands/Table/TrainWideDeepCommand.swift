import ArgumentParser
import Core
import Learners
import Tables

/// `apus train wide-deep`
struct TrainWideDeepCommand: NetworkTrainingCommand {
    static let configuration = CommandConfiguration(
        commandName: "wide-deep",
        abstract: "Train a network over numbers and categories: every level has a vector of its own.",
        discussion: """
            wide-deep adds a linear model of numbers, levels and --cross to a perceptron over the vectors; dlrm gives the \
            vectors' products with each other to a perceptron; deep is the perceptron alone. Levels seen less than \
            --minimum-count times share a vector with those never seen; with --hash-buckets, columns of more levels \
            are hashed.
            """)

    @Option(help: "wide-deep, dlrm or deep.")
    var architecture = WideDeepArchitecture.wideDeep
    @Option(help: "Numbers of a level's vector.")
    var embedding = WideDeepLearner().embedding
    @Option(help: "Units of the hidden layers, separated by commas; none for no hidden layer.")
    var hidden = "64,32"
    @Option(help: "For dlrm: units of the layers that make a vector of the numbers.")
    var bottom = "32"
    @Option(
        name: .customLong("cross"), help: "Categories that the linear part takes together, job*education; repeat.")
    var crosses: [String] = []
    @Option(name: .customLong("cross-buckets"), help: "Identifiers of a cross; combinations beyond share them.")
    var crossBuckets = WideDeepLearner().crossBuckets
    @Option(name: .customLong("hash-buckets"), help: "Hash columns of more levels to so many; 0 for never.")
    var hashBuckets = 0
    @Option(name: .customLong("minimum-count"), help: "Levels seen less often become one, which unseen ones share.")
    var minimumCount = WideDeepLearner().minimumCount
    @Option(
        name: .customLong("table-optimizer"),
        help: "Of the vectors: sgd, lazy-adam, adagrad or row-wise-adagrad (default: as --optimizer).")
    var tableOptimizer: TableOptimizer?
    @Option(name: .customLong("batch-size"), help: "Rows of a step.")
    var batchSize = WideDeepLearner().batchSize
    @OptionGroup var network: NetworkFlags
    @OptionGroup var columns: NetworkColumnFlags
    @OptionGroup var training: TableTrainingFlags

    func validate() throws {
        _ = try NetworkFlags.units(hidden, "--hidden")
        _ = try NetworkFlags.units(bottom, "--bottom")
    }

    func learner() throws -> WideDeepLearner {
        var learner = WideDeepLearner()
        learner.architecture = architecture
        learner.embedding = embedding
        learner.hidden = try NetworkFlags.units(hidden, "--hidden")
        learner.bottom = try NetworkFlags.units(bottom, "--bottom")
        learner.crosses = crosses
        learner.crossBuckets = crossBuckets
        learner.hashBuckets = hashBuckets
        learner.minimumCount = minimumCount
        learner.tableOptimizer = tableOptimizer
        learner.batchSize = batchSize
        network.fill(&learner)
        return learner
    }

    func run() throws { try run(resuming: nil, arguments: Array(CommandLine.arguments.dropFirst())) }
}

extension WideDeepArchitecture: ExpressibleByArgument {}
extension TableOptimizer: ExpressibleByArgument {}
