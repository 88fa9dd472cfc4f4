import ArgumentParser
import Learners
import Tables

/// `apus train neighbors`
struct TrainNeighborsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "neighbors",
        abstract: "Train a recommender by neighbors: items that go together, or users alike.",
        discussion: """
            Between items (the default) an item is offered for being among the neighbors of what a person has; between \
            users, for what the person's neighbors have. A new user is answered by their items alike. An item without \
            interactions has no neighbors and is not recommended: train content on its attributes.

            """ + SimilarityFlags.discussion)

    @OptionGroup var flags: RecommenderFlags
    @Option(help: SimilarityFlags.names)
    var similarity = Similarity.cosine
    @OptionGroup var comparing: SimilarityFlags
    @Option(help: "Whose neighbors: items or users.")
    var between = RecommenderSide.items
    @Option(help: "Neighbors kept for each row, 1 to 10000.")
    var neighbors = 50
    @Option(help: "What the values are: implicit (evidence of interest) or explicit (ratings to predict).")
    var feedback = Feedback.implicit

    func run() throws {
        var options = comparing.options(similarity)
        options.side = between
        options.neighbors = neighbors
        options.feedback = feedback
        try options.validate()
        try flags.run { report in
            options.confidence = comparing.confidence ?? flags.data.reading.confidence(report)
            return NeighborLearner(options)
        }
    }
}

/// How two rows are compared.
struct SimilarityFlags: ParsableArguments {
    static let discussion = """
        Similarities: cosine; adjusted-cosine (deviations from the other side's means, over what both have); pearson \
        (over what both have, with the means of that); pearson-all (over everything, deviations from the whole mean, \
        what is absent being none); jaccard; tfidf; bm25. The first three of ratings want ratings as values. Rows \
        without variation have no correlation, and no neighbors.
        """

    static let names: ArgumentHelp = "cosine, adjusted-cosine, pearson, pearson-all, jaccard, tfidf or bm25."

    @Option(help: "β: similarities are multiplied by n / (n + β), with n in common.")
    var shrinkage = 0.0
    @Option(help: "γ: similarities of fewer than γ in common are multiplied by n / γ; 0 for none.")
    var significance = 0.0
    @Option(name: .customLong("minimum-common"), help: "Fewer in common are no neighbors.")
    var minimumCommon = 1
    @Option(name: .customLong("bm25-k"), help: "k₁ of bm25: how slowly repetition saturates.")
    var bm25Saturation: Float = 1.2
    @Option(name: .customLong("bm25-b"), help: "b of bm25: how much length counts, 0 to 1.")
    var bm25Length: Float = 0.75
    @Option(
        help: """
            How values become weights: constant, linear or log (default: constant with --minimum-value or without \
            values, linear with --event-weight, else log); ratings are used as they are.
            """)
    var confidence: ConfidenceRule?

    func options(_ similarity: Similarity) -> NeighborOptions {
        var options = NeighborOptions()
        options.similarity = similarity
        options.shrinkage = shrinkage
        options.significance = significance
        options.minimumCommon = minimumCommon
        options.bm25Saturation = bm25Saturation
        options.bm25Length = bm25Length
        return options
    }
}

extension Similarity: ExpressibleByArgument {}
extension RecommenderSide: ExpressibleByArgument {}
