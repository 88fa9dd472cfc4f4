import ArgumentParser
import Learners

/// `apus train ease`
struct TrainEASECommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ease",
        abstract: "Train a linear recommender of items by items, in closed form (EASE).",
        discussion: """
            Strong where there are many more users than items and no more than some 20000 items: memory grows with \
            their square, time with their cube. A new user is answered by their items like anyone else. An item \
            without interactions has no weights and is not recommended: train content on its attributes.
            """)

    @OptionGroup var flags: RecommenderFlags
    @Option(help: "λ, above 0: weight of the squared weights.")
    var regularization = 250.0
    @Option(
        help: """
            How values become weights: constant, linear or log (default: constant with --minimum-value or without \
            values, linear with --event-weight, else log).
            """)
    var confidence: ConfidenceRule?

    func run() throws {
        var options = EASEOptions()
        options.regularization = regularization
        try options.validate()
        try flags.run { report in
            options.confidence = confidence ?? flags.data.reading.confidence(report)
            return EASELearner(options, memoryLimitBytes: flags.global.memoryLimit?.bytes)
        }
    }
}
