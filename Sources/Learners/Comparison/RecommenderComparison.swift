import Compute
import Core
import Tables

/// Judges recommenders against each other: the same split, the same number of trials to choose parameters by, on the
/// same held-out users.
///
/// The test part of the split is looked at once, by what was chosen. The trials are judged on users held out of the
/// training part; what was chosen is learned once more from all of it.
public struct RecommenderComparison {
    /// A recommender under its name, with the parameters to try, likely ones first.
    public struct Candidate: Sendable {
        public let name: String
        public let trials: [any RecommenderLearner]

        public init(name: String, trials: [any RecommenderLearner]) {
            precondition(!trials.isEmpty)
            self.name = name
            self.trials = trials
        }
    }

    /// One trial.
    public struct Trial: Sendable {
        public let label: String
        /// The metric on the held-out users; nil when it failed.
        public let figure: Double?
        public let seconds: Double
    }

    /// What became of a recommender.
    public struct Entry: Sendable {
        public let name: String
        public let kind: String
        /// The parameters chosen.
        public let label: String
        public let facts: [(name: String, value: ModelFact)]
        public let trials: [Trial]
        public let metrics: [(name: String, value: MetricValue)]
        public let evaluated: Int
        public let seconds: (tune: Double, train: Double, evaluate: Double)
        /// Why there are no figures; nil when there are.
        public let failure: String?

        /// A figure by name.
        public subscript(name: String) -> MetricValue? { metrics.first { $0.name == name }?.value }
    }

    public var candidates: [Candidate]
    public var split: SplitOptions
    public var cutoffs = [10, 20, 50, 100]
    /// What parameters are chosen by, and entries are ordered by.
    public var metric = "ndcg@100"
    /// Trials of each candidate at most.
    public var trials = 4

    public init(_ candidates: [Candidate], split: SplitOptions) {
        self.candidates = candidates
        self.split = split
    }

    /// Runs the comparison.
    ///
    /// - Parameters:
    ///   - items: the items of the data, and perhaps more behind them.
    ///   - began: told of each candidate when its turn comes.
    /// - Returns: the entries, best first; those that failed last.
    /// - Throws: ``ParameterError``, ``DataError`` for what concerns all of them; `CancellationError` when `progress`
    ///   answers stop.
    public func run(
        _ interactions: Interactions, items: IdentifierIndex? = nil, stream: Stream, progress: ProgressHandler? = nil,
        began: (String) -> Void = { _ in }
    ) throws -> [Entry] {
        let (name, cutoff) = try RecommenderEvaluator.parse(metric)
        guard trials >= 1 else { throw ParameterError("trials", "\(trials) is below 1") }
        guard split.kind != .none else { throw ParameterError("split", "a comparison needs something held out") }
        let parts = try interactions.split(split)
        let training = RecommenderData(interactions, training: parts, items: items)
        let count = training.items.count
        let test = RecommenderEvaluator.HeldOut(parts.testSet, training: parts.trainingByUser, items: count)
        let evaluator = RecommenderEvaluator(split: parts, items: count, stream: stream)
        let tuning: (rest: RecommenderData, heldOut: RecommenderEvaluator.HeldOut)? =
            trials > 1 && candidates.contains { $0.trials.count > 1 }
            ? try training.holdingOutUsers(seed: split.seed) : nil
        var cutoffs = cutoffs
        if !cutoffs.contains(cutoff) { cutoffs = (cutoffs + [cutoff]).sorted() }
        var entries: [Entry] = []
        for candidate in candidates {
            began(candidate.name)
            entries.append(
                try entry(
                    candidate, training, tuning, evaluator, test, cutoffs: cutoffs, stream: stream, progress: progress))
        }
        let key = "\(name.rawValue)@\(cutoff)"
        return entries.enumerated().sorted { left, right in
            let (a, b) = (left.element[key]?.value ?? -1, right.element[key]?.value ?? -1)
            return (-a, left.offset) < (-b, right.offset)
        }.map(\.element)
    }

    private func entry(
        _ candidate: Candidate, _ training: RecommenderData,
        _ tuning: (rest: RecommenderData, heldOut: RecommenderEvaluator.HeldOut)?, _ evaluator: RecommenderEvaluator,
        _ test: RecommenderEvaluator.HeldOut, cutoffs: [Int], stream: Stream, progress: ProgressHandler?
    ) throws -> Entry {
        let started = monotonicSeconds()
        var tried: [Trial] = []
        var failure: (any Error)?
        var (chosen, best) = (candidate.trials[0], -Double.infinity)
        if let tuning, candidate.trials.count > 1 {
            let counts = tuning.rest.context(stream)
            let judge = RecommenderEvaluator(
                itemCounts: counts.itemCounts, userDegrees: counts.userDegrees, histories: tuning.rest.byUser,
                stream: stream)
            for learner in candidate.trials.prefix(trials) {
                let began = monotonicSeconds()
                do {
                    let learned = try learner.learn(tuning.rest, stream: stream, progress: progress)
                    let figure = try judge.validate(learned, on: tuning.heldOut, metric: metric)
                    tried.append(Trial(label: learner.label, figure: figure, seconds: monotonicSeconds() - began))
                    if figure > best { (chosen, best) = (learner, figure) }
                } catch let error where error is DataError || error is ParameterError {
                    tried.append(Trial(label: learner.label, figure: nil, seconds: monotonicSeconds() - began))
                    failure = error
                }
            }
        }
        let tuned = monotonicSeconds()
        do {
            if best == -.infinity, let failure { throw failure }
            let learned = try chosen.learn(training, stream: stream, progress: progress)
            let trained = monotonicSeconds()
            let result = try evaluator.evaluate(learned, on: test, cutoffs: cutoffs, baselines: false)
            return Entry(
                name: candidate.name, kind: chosen.kind, label: chosen.label, facts: learned.facts, trials: tried,
                metrics: result.metrics, evaluated: result.evaluated,
                seconds: (tuned - started, trained - tuned, monotonicSeconds() - trained), failure: nil)
        } catch let error where error is DataError || error is ParameterError {
            return Entry(
                name: candidate.name, kind: chosen.kind, label: chosen.label, facts: [], trials: tried, metrics: [],
                evaluated: 0, seconds: (tuned - started, monotonicSeconds() - tuned, 0), failure: "\(error)")
        }
    }
}
