import ArgumentParser
import Learners

/// `apus train popular`
struct TrainPopularCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "popular",
        abstract: "Offer everybody the same items: popular, recently popular, or random ones.",
        discussion: """
            Needs to know nothing of a person, so that new users have an answer like anyone else. An item without \
            interactions is not recommended.
            """)

    @OptionGroup var flags: RecommenderFlags
    @Option(help: "all (most interactions), recent (most interactions of late; needs times) or random.")
    var rule = PopularityRule.all
    @Option(name: .customLong("window"), help: "Days before the latest interaction that count as recent.")
    var window = 30.0

    func run() throws {
        var options = PopularityOptions()
        options.rule = rule
        options.windowDays = window
        options.seed = flags.seed
        try options.validate()
        try flags.run({ _ in PopularityLearner(options) }, needsTimes: rule == .recent)
    }
}

extension PopularityRule: ExpressibleByArgument {}
