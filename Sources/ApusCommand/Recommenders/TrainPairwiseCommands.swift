import ArgumentParser
import Learners

/// `apus train bpr`
struct TrainBPRCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bpr",
        abstract: "Train a recommender by pairs: what a user has before what the user doesn't have (BPR).",
        discussion: """
            The values of the interactions do not count. The result is the same for every number of threads. A new user \
            is folded in by steps like those of the training; an item without interactions is not recommended: train \
            content on its attributes.
            """)

    @OptionGroup var flags: RecommenderFlags
    @OptionGroup var pairs: PairwiseFlags

    func run() throws {
        let options = try pairs.options(.bpr, seed: flags.seed)
        try flags.run { _ in PairwiseLearner(options) }
    }
}

/// `apus train warp`
struct TrainWARPCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "warp",
        abstract: "Train a recommender by pairs that are in the wrong order, weighted by rank (WARP).",
        discussion: """
            Items that a user doesn't have are drawn until one ranks too high; the model is of kind `bpr`. Everything \
            else is as with `train bpr`.
            """)

    @OptionGroup var flags: RecommenderFlags
    @OptionGroup var pairs: PairwiseFlags
    @Option(help: "Items drawn for one step at most, 1 to 64.")
    var trials = 16

    func run() throws {
        var options = try pairs.options(.warp, seed: flags.seed)
        options.trials = trials
        try options.validate()
        let chosen = options
        try flags.run { _ in PairwiseLearner(chosen) }
    }
}

/// Parameters of learning from pairs.
struct PairwiseFlags: ParsableArguments {
    @Option(help: "Dimension of the factors, 1 to 2048.")
    var factors = 64
    @Option(help: "Passes over the interactions (default: 60 for bpr, 30 for warp).")
    var iterations: Int?
    @Option(
        name: .customLong("learning-rate"), help: "Above 0; falls to a tenth (default: 0.1 for bpr, 0.02 for warp).")
    var learningRate: Float?
    @Option(help: "From 0 up: weight of the squared factors (default: 0.01 for bpr, 0.03 for warp).")
    var regularization: Float?
    @Option(help: "How items that a user doesn't have are drawn: uniform, or popular by their interactions.")
    var negatives = NegativeSampling.uniform

    func options(_ loss: PairwiseLoss, seed: UInt64) throws -> PairwiseOptions {
        var options = PairwiseOptions(loss)
        options.factors = factors
        if let iterations { options.iterations = iterations }
        if let learningRate { options.learningRate = learningRate }
        if let regularization { options.regularization = regularization }
        options.negatives = negatives
        options.seed = seed
        try options.validate()
        return options
    }
}

extension NegativeSampling: ExpressibleByArgument {}
