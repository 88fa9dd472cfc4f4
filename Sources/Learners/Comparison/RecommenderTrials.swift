import Core
import Tables

/// The parameters that a comparison tries for each kind: the defaults first, then what did well elsewhere.
public enum RecommenderTrials {
    /// Names that ``candidate(_:seed:confidence:hasTimes:attributes:memoryLimitBytes:)`` knows.
    public static let names = [
        "popular", "recent", "random", "neighbors", "content", "ease", "als", "bpr", "warp", "hybrid", "sasrec", "gru",
    ]

    /// A candidate by name.
    ///
    /// - Throws: ``ParameterError`` for a name that is none, or one that needs what is not there.
    public static func candidate(
        _ name: String, seed: UInt64, confidence: ConfidenceRule, attributes: ItemAttributes? = nil,
        memoryLimitBytes: Int? = nil
    ) throws -> RecommenderComparison.Candidate {
        let trials: [any RecommenderLearner]
        switch name {
        case "popular", "random":
            var options = PopularityOptions()
            options.rule = name == "random" ? .random : .all
            options.seed = seed
            trials = [PopularityLearner(options)]
        case "recent":
            trials = [30.0, 7, 90, 14, 60, 180].map { days in
                var options = PopularityOptions()
                options.rule = .recent
                options.windowDays = days
                return PopularityLearner(options)
            }
        case "neighbors": trials = neighbors(confidence)
        case "content":
            guard let attributes else {
                throw ParameterError("recommenders", "content needs the items' attributes (--item-attributes FILE)")
            }
            trials = ContentSimilarity.allCases.map { similarity in
                var options = ContentOptions()
                options.similarity = similarity
                options.confidence = confidence
                return ContentLearner(attributes, options: options)
            }
        case "ease":
            trials = [250.0, 500, 100, 1000, 50, 2000, 25, 4000].map { regularization in
                var options = EASEOptions()
                options.regularization = regularization
                options.confidence = confidence
                return EASELearner(options, memoryLimitBytes: memoryLimitBytes)
            }
        case "als": trials = factorizations(seed, confidence)
        case "bpr", "warp": trials = pairs(seed, name == "bpr" ? .bpr : .warp)
        case "sasrec", "gru":
            let architecture = SequenceArchitecture(rawValue: name)!
            let forms: [(dropout: Float, layers: Int, epochs: Int)] = [
                (0.2, 0, 0), (0.5, 0, 0), (0.2, 1, 0), (0.5, 0, 60),
            ]
            trials = forms.map { form in
                var options = SequenceOptions(architecture)
                options.dropout = form.dropout
                if form.layers > 0 { options.layers = form.layers }
                if form.epochs > 0 { options.epochs = form.epochs }
                options.seed = seed
                return SequenceLearner(options)
            }
        case "hybrid":
            let parts: [any RecommenderLearner] = [
                factorizations(seed, confidence)[0], neighbors(confidence)[0],
            ]
            trials = [try HybridLearner(parts, seed: seed)]
        default:
            throw ParameterError("recommenders", "`\(name)` is not one of \(names.joined(separator: ", "))")
        }
        return RecommenderComparison.Candidate(name: name, trials: trials)
    }

    private static func neighbors(_ confidence: ConfidenceRule) -> [any RecommenderLearner] {
        let forms: [(RecommenderSide, Similarity, Int, Double)] = [
            (.users, .cosine, 100, 0), (.items, .cosine, 100, 0), (.users, .tfidf, 200, 0), (.items, .tfidf, 20, 10),
            (.items, .bm25, 50, 0), (.users, .jaccard, 50, 0), (.items, .cosine, 300, 50), (.users, .bm25, 100, 0),
        ]
        return forms.map { side, similarity, count, shrinkage in
            var options = NeighborOptions()
            (options.side, options.similarity, options.neighbors, options.shrinkage) = (
                side, similarity, count, shrinkage
            )
            options.confidence = confidence
            return NeighborLearner(options)
        }
    }

    private static func factorizations(_ seed: UInt64, _ confidence: ConfidenceRule) -> [any RecommenderLearner] {
        let forms: [(Int, Float, Float)] = [
            (64, 0.005, 0.3), (64, 0.003, 0.1), (128, 0.005, 0.3), (64, 0.01, 1), (128, 0.003, 0.1), (32, 0.01, 0.3),
            (128, 0.02, 0.3), (256, 0.005, 0.1),
        ]
        return forms.map { factors, regularization, unobserved in
            var options = FactorizationOptions()
            options.factors = factors
            options.regularization = regularization
            options.unobservedWeight = unobserved
            options.confidence = confidence
            options.seed = seed
            return FactorizationLearner(options)
        }
    }

    private static func pairs(_ seed: UInt64, _ loss: PairwiseLoss) -> [any RecommenderLearner] {
        let forms: [(Float, Float, Int)] =
            loss == .bpr
            ? [
                (0.1, 0.01, 60), (0.05, 0.01, 120), (0.1, 0.003, 60), (0.1, 0.02, 60), (0.05, 0.003, 60),
                (0.2, 0.01, 40), (0.02, 0.01, 120), (0.1, 0.05, 60),
            ]
            : [
                (0.02, 0.03, 30), (0.05, 0.03, 30), (0.02, 0.01, 30), (0.1, 0.1, 30), (0.02, 0.06, 60),
                (0.05, 0.01, 20), (0.01, 0.03, 60), (0.05, 0.06, 40),
            ]
        return forms.map { rate, regularization, iterations in
            var options = PairwiseOptions(loss)
            options.learningRate = rate
            options.regularization = regularization
            options.iterations = iterations
            options.seed = seed
            return PairwiseLearner(options)
        }
    }
}
