import Compute
import Core
import Tables

/// Judges factors on the held-out part of a split, beside baselines.
public struct RecommenderEvaluator {
    private let split: InteractionSplit
    private let interactions: Interactions
    private let stream: Stream
    private let trainingCounts: [Float]
    private let trainingDegrees: [Int]

    /// Figures of a model and of its baselines.
    public struct Result: Sendable {
        public let metrics: [(name: String, value: MetricValue)]
        public let baselines: [(name: String, metrics: [(name: String, value: MetricValue)])]
        /// People (ranking) or ratings (explicit feedback).
        public let evaluated: Int
    }

    public init(interactions: Interactions, split: InteractionSplit, stream: Stream) {
        self.interactions = interactions
        self.split = split
        self.stream = stream
        trainingCounts = (0..<split.trainingByItem.rows).map { Float(split.trainingByItem.range(ofRow: $0).count) }
        trainingDegrees = (0..<split.trainingByUser.rows).map { split.trainingByUser.range(ofRow: $0).count }
    }

    /// Figures on the test set.
    public func evaluate(_ factors: FactorizationFactors, cutoffs: [Int]) throws -> Result {
        let recommender = try recommender(factors)
        if factors.options.feedback == .explicit {
            return try evaluateRatings(recommender, split.testSet)
        }
        var evaluation = RankingEvaluation()
        evaluation.cutoffs = cutoffs
        let task = self.task(split.testSet)
        let coverable = trainingCounts.reduce(0) { $0 + ($1 > 0 ? 1 : 0) }
        let model = try evaluation.evaluate(recommender, on: task, coverableItems: coverable)
        let popular = try evaluation.evaluate(
            PopularItems(counts: trainingCounts), on: task, coverableItems: coverable)
        let random = try evaluation.evaluate(
            RandomItems(counts: trainingCounts, seed: evaluation.seed), on: task, coverableItems: coverable)
        return Result(
            metrics: model.metrics, baselines: [("popular", popular.metrics), ("random", random.metrics)],
            evaluated: model.people)
    }

    /// One figure on the validation set; greater is better.
    func validate(_ factors: FactorizationFactors, options: RecommenderTrainingOptions) throws -> Double {
        guard let set = split.validationSet, set.test.entryCount > 0 else {
            throw DataError("nothing is left to validate on; use fewer held-out data or no early stopping")
        }
        let recommender = try recommender(factors)
        if factors.options.feedback == .explicit {
            return -(try evaluateRatings(recommender, set).metrics[0].value.value)
        }
        var evaluation = RankingEvaluation()
        let parts = options.validationMetric.split(separator: "@")
        guard parts.count == 2, let metric = RankingMetric(rawValue: String(parts[0])), let k = Int(parts[1]), k > 0
        else {
            throw ParameterError(
                "validationMetric",
                "`\(options.validationMetric)` is not one of "
                    + RankingMetric.allCases.map { "\($0.rawValue)@k" }.joined(separator: ", "))
        }
        evaluation.metrics = [metric]
        evaluation.cutoffs = [k]
        evaluation.intervals = false
        let result = try evaluation.evaluate(recommender, on: task(set), coverableItems: 1)
        return result.metrics[0].value.value
    }

    /// Name of the validation figure.
    func validationName(_ options: RecommenderTrainingOptions) -> String {
        options.factorization.feedback == .explicit ? "rmse" : options.validationMetric
    }

    /// The model as it was before anyone was folded in: what did not occur in training has no factors.
    private func recommender(_ factors: FactorizationFactors) throws -> FactorizationRecommender {
        let columns = factors.items.columns
        let items = HostMatrix(rows: factors.items.rows, columns: columns, storage: HostBuffer(factors.items.storage.array))
        for item in 0..<items.rows where trainingCounts[item] == 0 {
            items.row(item).baseAddress?.update(repeating: 0, count: columns)
        }
        return try FactorizationRecommender(
            factors: FactorizationFactors(
                users: factors.users, items: items, mean: factors.mean, options: factors.options),
            itemCounts: trainingCounts, userDegrees: trainingDegrees, stream: stream)
    }

    /// Everyone's known history is folded in, also of users that took part in the training: so the figures say what
    /// the finished items are worth, and do not depend on what was stored for the users.
    private func task(_ set: EvaluationSet) -> RankingTask {
        let history = set.foldIn ?? split.trainingByUser.selectingRows(set.users)
        return RankingTask(audience: .histories(history), known: history, truth: set.test)
    }

    private func evaluateRatings(_ recommender: FactorizationRecommender, _ set: EvaluationSet) throws -> Result {
        let history = set.foldIn ?? split.trainingByUser.selectingRows(set.users)
        let solved = try recommender.foldInUsers(history)
        let model = recommender.factors
        var (predictions, ratings): ([Float], [Float]) = ([], [])
        for person in 0..<set.test.rows {
            for entry in set.test.range(ofRow: person) {
                let item = Int(set.test.columnIndices[entry])
                predictions.append(Float(model.score(solved.row(person), model.items.row(item))))
                ratings.append(set.test.values[entry])
            }
        }
        let mean = [Float](repeating: model.mean, count: ratings.count)
        return Result(
            metrics: RatingEvaluation.evaluate(predictions: predictions, ratings: ratings, seed: 42),
            baselines: [("mean", RatingEvaluation.evaluate(predictions: mean, ratings: ratings, seed: 42))],
            evaluated: ratings.count)
    }
}
