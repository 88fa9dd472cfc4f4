import Compute
import Core
import Tables

/// Judges what was learned on the held-out part of a split, beside baselines.
public struct RecommenderEvaluator {
    private let stream: Stream
    /// Interactions of each item in training.
    let itemCounts: [Float]
    private let userDegrees: [Int]
    private let histories: HostSparseMatrix

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
        ///
        /// - Parameter items: items of the model, when it knows more than the split.
        public init(_ set: EvaluationSet, training: HostSparseMatrix, items: Int? = nil) {
            let known = set.foldIn ?? training.selectingRows(set.users)
            let items = items ?? known.columns
            self.init(known: known.widened(toColumns: items), truth: set.test.widened(toColumns: items))
        }
    }

    /// - Parameters:
    ///   - itemCounts: interactions of each item in training; items with 0 can't be recommended.
    ///   - userDegrees: interactions of each user in training.
    ///   - histories: users × items, the interactions in training.
    public init(itemCounts: [Float], userDegrees: [Int], histories: HostSparseMatrix, stream: Stream) {
        self.itemCounts = itemCounts
        self.userDegrees = userDegrees
        self.histories = histories
        self.stream = stream
    }

    /// Judges what was trained on the training part of a split.
    ///
    /// - Parameter items: items of the model, when it knows more than the split.
    public init(split: InteractionSplit, items: Int? = nil, stream: Stream) {
        let counts = (0..<split.trainingByItem.rows).map { Float(split.trainingByItem.range(ofRow: $0).count) }
        let items = items ?? counts.count
        self.init(
            itemCounts: counts + [Float](repeating: 0, count: items - counts.count),
            userDegrees: (0..<split.trainingByUser.rows).map { split.trainingByUser.range(ofRow: $0).count },
            histories: split.trainingByUser.widened(toColumns: items), stream: stream)
    }

    /// Figures on a held-out set.
    ///
    /// Everyone's known history is folded in, also of users that took part in the training: so the figures say what
    /// the finished items are worth, and do not depend on what was stored for the users.
    ///
    /// - Parameter baselines: whether to judge popular and random items, too.
    public func evaluate(
        _ learned: any LearnedRecommender, on heldOut: HeldOut, cutoffs: [Int], baselines: Bool = true
    ) throws -> Result {
        let recommender = try open(learned)
        if let mean = learned.ratingMean { return try evaluateRatings(recommender, mean: mean, heldOut) }
        var evaluation = RankingEvaluation()
        evaluation.cutoffs = cutoffs
        let task = RankingTask(audience: .histories(heldOut.known), known: heldOut.known, truth: heldOut.truth)
        let coverable = itemCounts.reduce(0) { $0 + ($1 > 0 ? 1 : 0) }
        let model = try evaluation.evaluate(recommender, on: task, coverableItems: coverable)
        guard baselines else { return Result(metrics: model.metrics, baselines: [], evaluated: model.people) }
        let popular = try evaluation.evaluate(PopularItems(counts: itemCounts), on: task, coverableItems: coverable)
        let random = try evaluation.evaluate(
            RandomItems(counts: itemCounts, seed: evaluation.seed), on: task, coverableItems: coverable)
        return Result(
            metrics: model.metrics, baselines: [("popular", popular.metrics), ("random", random.metrics)],
            evaluated: model.people)
    }

    /// One figure on a validation set; greater is better. Ratings are judged by their RMSE, negated.
    ///
    /// - Parameter metric: a ranking metric and its cutoff, such as `ndcg@100`.
    public func validate(_ learned: any LearnedRecommender, on heldOut: HeldOut, metric: String) throws -> Double {
        let recommender = try open(learned)
        if let mean = learned.ratingMean {
            return -(try evaluateRatings(recommender, mean: mean, heldOut).metrics[0].value.value)
        }
        let (name, k) = try Self.parse(metric)
        var evaluation = RankingEvaluation()
        evaluation.metrics = [name]
        evaluation.cutoffs = [k]
        evaluation.intervals = false
        let task = RankingTask(audience: .histories(heldOut.known), known: heldOut.known, truth: heldOut.truth)
        let result = try evaluation.evaluate(recommender, on: task, coverableItems: 1)
        return result.metrics[0].value.value
    }

    /// `ndcg@100` taken apart.
    public static func parse(_ name: String) throws(ParameterError) -> (metric: RankingMetric, cutoff: Int) {
        let parts = name.split(separator: "@")
        guard parts.count == 2, let metric = RankingMetric(rawValue: String(parts[0])), let k = Int(parts[1]), k > 0
        else {
            throw ParameterError(
                "validationMetric",
                "`\(name)` is not one of " + RankingMetric.allCases.map { "\($0.rawValue)@k" }.joined(separator: ", "))
        }
        return (metric, k)
    }

    /// The model as it was before anyone was folded in: what did not occur in training has no evidence.
    private func open(_ learned: any LearnedRecommender) throws -> any Recommender {
        try learned.open(
            RecommenderContext(
                stream: stream, itemCounts: itemCounts, userDegrees: userDegrees, histories: histories))
    }

    private func evaluateRatings(_ recommender: any Recommender, mean: Float, _ heldOut: HeldOut) throws -> Result {
        let scores = try recommender.scores(for: .histories(heldOut.known), of: heldOut.truth)
        // Where the model has nothing to say, the mean does.
        let predictions = scores.map { $0.isFinite ? $0 : mean }
        let ratings = heldOut.truth.values.array
        let constant = [Float](repeating: mean, count: ratings.count)
        return Result(
            metrics: RatingEvaluation.evaluate(predictions: predictions, ratings: ratings, seed: 42),
            baselines: [("mean", RatingEvaluation.evaluate(predictions: constant, ratings: ratings, seed: 42))],
            evaluated: ratings.count)
    }
}
