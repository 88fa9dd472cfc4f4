import Compute
import Core
import Tables

/// Judges factors on the held-out part of a split, beside baselines.
public struct RecommenderEvaluator {
    private let stream: Stream
    /// Interactions of each item in training.
    let itemCounts: [Float]
    private let userDegrees: [Int]

    /// Figures of a model and of its baselines.
    public struct Result: Sendable {
        public let metrics: [(name: String, value: MetricValue)]
        public let baselines: [(name: String, metrics: [(name: String, value: MetricValue)])]
        /// People (ranking) or ratings (explicit feedback).
        public let evaluated: Int
    }

    /// What is known of people, and what is to be found: both people × items.
    public struct HeldOut: Sendable {
        public let known: HostSparseMatrix
        public let truth: HostSparseMatrix

        public init(known: HostSparseMatrix, truth: HostSparseMatrix) {
            precondition(known.rows == truth.rows && known.columns == truth.columns)
            self.known = known
            self.truth = truth
        }

        /// The part of a split: histories to fold in, or the training rows.
        public init(_ set: EvaluationSet, training: HostSparseMatrix) {
            self.init(known: set.foldIn ?? training.selectingRows(set.users), truth: set.test)
        }
    }

    /// - Parameters:
    ///   - itemCounts: interactions of each item in training; items with 0 can't be recommended.
    ///   - userDegrees: interactions of each user in training.
    public init(itemCounts: [Float], userDegrees: [Int], stream: Stream) {
        self.itemCounts = itemCounts
        self.userDegrees = userDegrees
        self.stream = stream
    }

    /// Judges what was trained on the training part of a split.
    public init(split: InteractionSplit, stream: Stream) {
        self.init(
            itemCounts: (0..<split.trainingByItem.rows).map { Float(split.trainingByItem.range(ofRow: $0).count) },
            userDegrees: (0..<split.trainingByUser.rows).map { split.trainingByUser.range(ofRow: $0).count },
            stream: stream)
    }

    /// Figures on a held-out set.
    ///
    /// Everyone's known history is folded in, also of users that took part in the training: so the figures say what
    /// the finished items are worth, and do not depend on what was stored for the users.
    public func evaluate(_ factors: FactorizationFactors, on heldOut: HeldOut, cutoffs: [Int]) throws -> Result {
        let recommender = try recommender(factors)
        if factors.options.feedback == .explicit { return try evaluateRatings(recommender, heldOut) }
        var evaluation = RankingEvaluation()
        evaluation.cutoffs = cutoffs
        let task = RankingTask(audience: .histories(heldOut.known), known: heldOut.known, truth: heldOut.truth)
        let coverable = itemCounts.reduce(0) { $0 + ($1 > 0 ? 1 : 0) }
        let model = try evaluation.evaluate(recommender, on: task, coverableItems: coverable)
        let popular = try evaluation.evaluate(PopularItems(counts: itemCounts), on: task, coverableItems: coverable)
        let random = try evaluation.evaluate(
            RandomItems(counts: itemCounts, seed: evaluation.seed), on: task, coverableItems: coverable)
        return Result(
            metrics: model.metrics, baselines: [("popular", popular.metrics), ("random", random.metrics)],
            evaluated: model.people)
    }

    /// One figure on the validation set; greater is better.
    func validate(
        _ factors: FactorizationFactors, on heldOut: HeldOut, options: RecommenderTrainingOptions
    ) throws -> Double {
        let recommender = try recommender(factors)
        if factors.options.feedback == .explicit {
            return -(try evaluateRatings(recommender, heldOut).metrics[0].value.value)
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
        let task = RankingTask(audience: .histories(heldOut.known), known: heldOut.known, truth: heldOut.truth)
        let result = try evaluation.evaluate(recommender, on: task, coverableItems: 1)
        return result.metrics[0].value.value
    }

    /// The model as it was before anyone was folded in: what did not occur in training has no factors.
    private func recommender(_ factors: FactorizationFactors) throws -> FactorizationRecommender {
        let columns = factors.items.columns
        let items = HostMatrix(
            rows: factors.items.rows, columns: columns, storage: HostBuffer(factors.items.storage.array))
        for item in 0..<items.rows where itemCounts[item] == 0 {
            items.row(item).baseAddress?.update(repeating: 0, count: columns)
        }
        return try FactorizationRecommender(
            factors: FactorizationFactors(
                users: factors.users, items: items, mean: factors.mean, options: factors.options),
            itemCounts: itemCounts, userDegrees: userDegrees, stream: stream)
    }

    private func evaluateRatings(_ recommender: FactorizationRecommender, _ heldOut: HeldOut) throws -> Result {
        let solved = try recommender.foldInUsers(heldOut.known)
        let model = recommender.factors
        var (predictions, ratings): ([Float], [Float]) = ([], [])
        for person in 0..<heldOut.truth.rows {
            for entry in heldOut.truth.range(ofRow: person) {
                let item = Int(heldOut.truth.columnIndices[entry])
                predictions.append(Float(model.score(solved.row(person), model.items.row(item))))
                ratings.append(heldOut.truth.values[entry])
            }
        }
        let mean = [Float](repeating: model.mean, count: ratings.count)
        return Result(
            metrics: RatingEvaluation.evaluate(predictions: predictions, ratings: ratings, seed: 42),
            baselines: [("mean", RatingEvaluation.evaluate(predictions: mean, ratings: ratings, seed: 42))],
            evaluated: ratings.count)
    }
}
