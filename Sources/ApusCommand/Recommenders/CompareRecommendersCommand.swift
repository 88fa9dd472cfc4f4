import ArgumentParser
import Core
import Devices
import Learners
import Tables

/// `apus compare recommenders`: what `apus compare --interactions` runs.
struct CompareRecommendersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recommenders",
        abstract: "Judge recommenders against each other: same split, same number of trials, best first.",
        discussion: """
            Each recommender chooses its parameters from at most --trials forms, by users held out of the training \
            part, learns once more from all of that part, and is judged on the test part, which is looked at once. \
            Recommenders: \(RecommenderTrials.names.joined(separator: ", ")).

            """ + AttributeFlags.discussion)

    @Option(help: "File of interactions: CSV, TSV or JSON Lines, plain, gzip or zstd; - is standard input.")
    var interactions: String
    @OptionGroup var comparison: RecommenderComparisonFlags
    @OptionGroup var reading: ReadingFlags
    @OptionGroup var splitting: SplitFlags
    @OptionGroup var attributes: AttributeFlags
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func run() throws {
        try comparison.run(
            interactions, reading: reading, splitting: splitting, attributes: attributes, seed: seed,
            deviceOption: deviceOption, global: global)
    }
}
