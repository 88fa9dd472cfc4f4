import ArgumentParser
import Core
import Learners
import Tables

/// `apus train hybrid`
struct TrainHybridCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hybrid",
        abstract: "Blend several recommenders, with weights learned on held-out users.",
        discussion: """
            The parts are trained with their defaults; the weights are chosen by the NDCG@100 of a tenth of the users, \
            who are then learned from, too. Parts: \(RecommenderTrials.names.filter { $0 != "hybrid" }.joined(separator: ", ")).

            """ + AttributeFlags.discussion)

    @OptionGroup var flags: RecommenderFlags
    @Option(help: "The parts, separated by commas.")
    var parts = "als,neighbors,ease"
    @OptionGroup var attributes: AttributeFlags

    func run() throws {
        let names = parts.split(separator: ",").map(String.init)
        for name in names where !RecommenderTrials.names.contains(name) || name == "hybrid" {
            throw ParameterError(
                "--parts",
                "`\(name)` is not one of "
                    + RecommenderTrials.names.filter { $0 != "hybrid" }.joined(separator: ", "))
        }
        guard names.count >= 2 else { throw ParameterError("--parts", "a hybrid has two parts or more") }
        let table = try attributes.read(flags.global)
        try flags.run(
            { report in
                try HybridLearner(
                    try names.map {
                        try RecommenderTrials.candidate(
                            $0, seed: flags.seed, confidence: flags.data.reading.confidence(report), attributes: table,
                            memoryLimitBytes: flags.global.memoryLimit?.bytes
                        ).trials[0]
                    }, seed: flags.seed)
            }, needsTimes: names.contains { ["recent", "sasrec", "gru"].contains($0) },
            configure: { fitting, interactions in
                // Items that only content knows.
                fitting.newItems = (table?.items ?? []).filter { interactions.items.index(of: $0) == nil }
            })
    }
}
