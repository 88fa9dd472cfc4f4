import ArgumentParser
import Learners

/// `apus train two-tower`
struct TrainTwoTowerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "two-tower",
        abstract: "Train a recommender of two networks: one for what a person has, one for items.",
        discussion: """
            Every interaction is to be found by the person's other items, among the items of its batch. A new person is \
            answered like any other, by what they have. The values of the interactions do not count.
            """)

    @OptionGroup var flags: RecommenderFlags
    @Option(help: "Numbers of the vectors whose product is the score, 1 to 2048.")
    var factors = TwoTowerOptions().factors
    @Option(help: "Numbers of the vectors that items begin with, 1 to 2048.")
    var embedding = TwoTowerOptions().embedding
    @Option(help: "Units of the layers between, separated by commas; none for none.")
    var hidden = "128"
    @Option(help: "Items of a person that a step looks at, at most.")
    var history = TwoTowerOptions().history
    @Option(help: "Passes over the interactions.")
    var epochs = TwoTowerOptions().epochs
    @Option(name: .customLong("batch-size"), help: "Interactions of a step.")
    var batchSize = TwoTowerOptions().batchSize
    @Option(name: .customLong("learning-rate"), help: "Above 0; falls to 0.")
    var learningRate = TwoTowerOptions().learningRate
    @Option(help: "Products are divided by it.")
    var temperature = TwoTowerOptions().temperature
    @Option(help: "softmax: an item among all of its batch; bpr: above each of the others.")
    var loss = RetrievalLoss.softmax
    @Option(help: "Share of the units that each step leaves out.")
    var dropout = TwoTowerOptions().dropout
    @OptionGroup var checkpoints: CheckpointFlags

    func validate() throws { _ = try NetworkFlags.units(hidden, "--hidden") }

    func run() throws { try run(resuming: nil, arguments: Array(CommandLine.arguments.dropFirst())) }

    /// Trains, from the start or from a checkpoint.
    private func run(resuming state: NetworkCheckpoint?, arguments: [String]) throws {
        var options = TwoTowerOptions()
        options.factors = factors
        options.embedding = embedding
        options.hidden = try NetworkFlags.units(hidden, "--hidden")
        options.history = history
        options.epochs = epochs
        options.batchSize = batchSize
        options.learningRate = learningRate
        options.temperature = temperature
        options.loss = loss
        options.dropout = dropout
        options.seed = flags.seed
        try options.validate()
        let chosen = options
        try checkpoints.run(
            resuming: state, arguments: arguments, output: flags.output, data: "the interactions to learn from"
        ) { session in
            try flags.run({ _ in TwoTowerLearner(chosen) }) { fitting, interactions in
                // Before anything is trained, or written over.
                try session.begin(interactions: interactions.fingerprint.hash)
                fitting.request = ["arguments": arguments.joined(separator: "\u{1F}")]
            }
        }
    }
}

extension TrainTwoTowerCommand: ResumableNetworkCommand {
    mutating func resume(
        from state: NetworkCheckpoint, _ arguments: [String], at path: String, device: String?
    ) throws {
        if let device { flags.deviceOption.device = device }
        checkpoints.resume(at: path)
        try run(resuming: state, arguments: arguments)
    }
}
