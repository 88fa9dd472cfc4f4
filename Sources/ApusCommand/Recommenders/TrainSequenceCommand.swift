import ArgumentParser
import Core
import Learners

/// `apus train sequence`
struct TrainSequenceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sequence",
        abstract: "Train a network that tells the next item from those before it, in their order.",
        discussion: """
            sasrec reads the latest items by causal attention, gru by gated recurrent units. The file needs times. \
            Whoever has a history is answered by it, also users that took no part in the training. With --patience \
            everyone's last item is held out and watched, and the best epoch is kept. Ctrl-C saves a checkpoint that \
            `apus resume` goes on from, to the same bits.
            """)

    @OptionGroup var flags: RecommenderFlags

    @Option(help: "sasrec or gru.")
    var architecture = SequenceArchitecture.sasrec
    @Option(help: "Dimension of items and states, 1 to 2048.")
    var factors = 64
    @Option(help: "Latest items that are read, 1 to 4096.")
    var length = 50
    @Option(help: "Transformer blocks, or recurrent layers (default: 2 for sasrec, 1 for gru).")
    var layers: Int?
    @Option(help: "Heads of the attention, a divisor of --factors.")
    var heads = 2
    @Option(
        help: "Units of the dense layers within the blocks, or of the recurrent layers (default: 4 × or 1 × --factors)."
    )
    var hidden: Int?
    @Option(help: "Share of the values that each step leaves out.")
    var dropout: Float = 0.2
    @Option(
        help: ArgumentHelp(
            "full: the next item against all; sampled: against the batch's and others drawn by popularity; "
                + "bpr: above each of those."))
    var loss = SequenceLoss.full
    @Option(help: "Items drawn for a batch, besides its own, by the losses sampled and bpr.")
    var negatives = 1024
    @Option(name: .customLong("label-smoothing"), help: "Part of the next item's probability that is spread over all.")
    var labelSmoothing: Float = 0
    @Option(help: "Passes over the sequences.")
    var epochs = 30
    @Option(name: .customLong("batch-size"), help: "Sequences of a step.")
    var batchSize = 128
    @Option(name: .customLong("learning-rate"), help: "Above 0.")
    var learningRate: Float = 0.001
    @Option(name: .customLong("weight-decay"), help: "Decoupled weight decay.")
    var weightDecay: Float = 0
    @Option(name: .customLong("clip-norm"), help: "Largest norm of a gradient (default: no limit).")
    var clipNorm: Float?
    @Option(help: "How the learning rate changes: constant, step or cosine.")
    var schedule = LearningRateSchedule.constant
    @Option(name: .customLong("warm-up-steps"), help: "Steps in which the learning rate rises from 0.")
    var warmUpSteps = 0
    @Option(
        help: "Stop after so many epochs without a better NDCG@10 of everyone's last item, and go back to the best.")
    var patience: Int?
    @OptionGroup var checkpoints: CheckpointFlags

    /// The options asked for. Throws ``ParameterError`` for values outside their range.
    func options() throws -> SequenceOptions {
        var options = SequenceOptions(architecture)
        options.factors = factors
        options.length = length
        if let layers { options.layers = layers }
        options.heads = heads
        options.hidden = hidden
        options.dropout = dropout
        options.loss = loss
        options.negatives = negatives
        options.labelSmoothing = labelSmoothing
        options.epochs = epochs
        options.batchSize = batchSize
        options.learningRate = learningRate
        options.weightDecay = weightDecay
        options.clipNorm = clipNorm
        options.schedule = schedule
        options.warmUpSteps = warmUpSteps
        options.patience = patience
        options.seed = flags.seed
        try options.validate()
        return options
    }

    func run() throws { try run(resuming: nil, arguments: Array(CommandLine.arguments.dropFirst())) }

    /// Trains, from the start or from a checkpoint.
    func run(resuming state: SequenceCheckpoint?, arguments: [String]) throws {
        let options = try options()
        try checkpoints.run(resuming: state, arguments: arguments, output: flags.output) { session in
            try flags.run({ _ in SequenceLearner(options) }, needsTimes: true) { fitting, interactions in
                // Before anything is trained, or written over.
                try session.begin(interactions: interactions.fingerprint.hash)
                fitting.request = ["arguments": arguments.joined(separator: "\u{1F}")]
            }
        }
    }
}

extension SequenceArchitecture: ExpressibleByArgument {}
extension SequenceLoss: ExpressibleByArgument {}
extension RetrievalLoss: ExpressibleByArgument {}
