import Core
import FoundationEssentials
import Tables

/// What is asked of a search for parameters.
public struct TuningOptions: Sendable {
    public var pipeline: TablePipeline
    /// What is varied; nil: the learner's own list.
    public var space: [SearchDimension]?
    public var method = TuningMethod.bayesian
    /// Sets of parameters to try.
    public var trials = 40
    /// Seconds that trials may take in all; nil: no limit. A trial that has begun is finished.
    public var secondsBudget: Double?
    /// Inner folds that each set is judged by.
    public var folds = 3
    public var foldKind: FoldKind?
    /// The deciding figure; nil: the task's.
    public var metric: String?
    public var seed: UInt64 = 42

    public init(pipeline: TablePipeline) { self.pipeline = pipeline }

    func validate() throws {
        guard trials >= 1 else { throw ParameterError("trials", "must be 1 or more, not \(trials)") }
        guard folds >= 2 else { throw ParameterError("folds", "must be 2 or more, not \(folds)") }
        if let secondsBudget, secondsBudget <= 0 { throw ParameterError("budget", "must be above 0 seconds") }
    }
}

/// Searches for the parameters with the best figure over inner folds of the rows that it is given.
///
/// The figure of the winner on these folds is too good: it was chosen for it. The honest one is that on rows that the search
/// has never seen, which the caller holds out.
public final class Tuning {
    public let options: TuningOptions
    public private(set) var state: TuningState
    private let data: SupervisedTable
    private let dimensions: [SearchDimension]
    private let metric: String
    private let sign: Double
    private let random: Philox

    private static let stream: UInt64 = 0x5455_4E45
    /// Trials at random before the Gaussian process says where to go.
    private static let firstTrials = 10
    private static let reduction = 3

    /// - Parameter state: of an earlier, interrupted search of the same question.
    /// - Throws: ``ParameterError`` for a learner without parameters to vary, and for a state of something else.
    public init(_ data: SupervisedTable, options: TuningOptions, resuming state: TuningState? = nil) throws {
        try options.validate()
        self.options = options
        self.data = data
        dimensions = options.space ?? type(of: options.pipeline.learner).searchSpace
        guard !dimensions.isEmpty else {
            throw ParameterError(
                "learner",
                "\(type(of: options.pipeline.learner).kind) has no parameters to vary; name some with --search")
        }
        metric = options.metric ?? SupervisedEvaluation.primaryMetric(data.task.kind)
        let names = SupervisedEvaluation.metricNames(data.task.kind)
        guard names.contains(metric) else {
            throw ParameterError("metric", "`\(metric)` is none of \(names.joined(separator: ", "))")
        }
        sign = SupervisedEvaluation.isHigherBetter(metric) ? 1 : -1
        random = Philox(seed: options.seed, stream: Self.stream)
        let question = try Self.question(data, options, dimensions, metric)
        if let state, state.question != question {
            throw ParameterError(
                "state", "belongs to a search with other data, learner or flags; remove it, or name another file")
        }
        self.state = state ?? TuningState(question: question)
    }

    private static func question(
        _ data: SupervisedTable, _ options: TuningOptions, _ dimensions: [SearchDimension], _ metric: String
    ) throws -> String {
        let learner = try options.pipeline.learner.parameters().sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value.text)" }.joined(separator: ",")
        return [
            data.fingerprint, type(of: options.pipeline.learner).kind, learner, options.method.rawValue, metric,
            "\(options.folds)", "\(options.seed)", dimensions.map { "\($0.name):\($0.values)" }.joined(separator: ";"),
        ].joined(separator: "|")
    }

    /// The best set on all rows so far.
    public var best: TuningTrial? {
        let full = state.trials.filter { $0.share == 1 && $0.score != nil }
        return full.max { sign * ($0.score ?? 0) < sign * ($1.score ?? 0) }
    }

    /// The figure that decides.
    public var decidingMetric: String { metric }

    /// Tries sets until there are enough or the time is over. After each, `afterTrial` may save the state.
    /// Throws `CancellationError` when the context says stop; the trials done so far stay in ``state``.
    public func run(context: LearningContext, afterTrial: (Tuning) throws -> Void = { _ in }) throws {
        switch options.method {
        case .random, .bayesian:
            while state.trials.count < options.trials, hasTime {
                let place = options.method == .random ? randomPlace(state.trials.count) : nextPlace(context)
                try attempt(place, share: 1, context: context)
                try afterTrial(self)
            }
        case .halving: try halve(context: context, afterTrial: afterTrial)
        }
        guard best != nil else {
            let reason = state.trials.compactMap(\.failure).first
            throw DataError("no set of parameters could be fitted\(reason.map { ": \($0)" } ?? "")")
        }
    }

    private var hasTime: Bool { options.secondsBudget.map { state.seconds < $0 } ?? true }

    private func randomPlace(_ number: Int) -> [Double] {
        let start = UInt64(number) * UInt64(dimensions.count)
        return dimensions.indices.map { random.uniform64(start + UInt64($0)) }
    }

    private func nextPlace(_ context: LearningContext) -> [Double] {
        let known = state.trials.filter { $0.score != nil }
        guard known.count >= Self.firstTrials,
            let process = GaussianProcess(
                places: known.map(\.place), scores: known.map { sign * ($0.score ?? 0) },
                solver: context.stream.device.denseSolver)
        else { return randomPlace(state.trials.count) }
        let draws = Philox(seed: options.seed, stream: Self.stream + 1 + UInt64(state.trials.count))
        let top = best?.place ?? randomPlace(0)
        var (chosen, largest) = (top, -Double.infinity)
        for candidate in 0..<1000 {
            let start = UInt64(candidate * dimensions.count)
            var place = dimensions.indices.map { draws.uniform64(start + UInt64($0)) }
            // Every other candidate lies near the best one.
            if candidate % 2 == 1 {
                place = zip(place, top).map { min(max($1 + 0.2 * ($0 - 0.5), 0), 1) }
            }
            let gain = process.expectedImprovement(at: place)
            if gain > largest { (chosen, largest) = (place, gain) }
        }
        return chosen
    }

    private func halve(context: LearningContext, afterTrial: (Tuning) throws -> Void) throws {
        // As many rungs as leave one, the last on all rows; the first on no fewer than 200 rows.
        var rungs = 1
        while rungs < 5, data.rows / power(Self.reduction, rungs) >= 200,
            options.trials >= power(Self.reduction, rungs)
        {
            rungs += 1
        }
        // As many at the start as make `trials` over all rungs.
        var first = options.trials
        while first > 1, total(first, rungs) > options.trials { first -= 1 }
        var places = (0..<first).map(randomPlace)
        var done = 0
        for rung in 0..<rungs {
            let share = 1 / Double(power(Self.reduction, rungs - 1 - rung))
            var scored: [(place: [Double], score: Double)] = []
            for place in places {
                if done == state.trials.count {
                    guard hasTime || rung == rungs - 1 else { break }
                    try attempt(place, share: share, context: context)
                    try afterTrial(self)
                }
                if let score = state.trials[done].score { scored.append((place, sign * score)) }
                done += 1
            }
            if rung + 1 < rungs {
                scored.sort { $0.score > $1.score }
                places = scored.prefix(max(1, scored.count / Self.reduction)).map(\.place)
            }
        }
    }

    private func total(_ first: Int, _ rungs: Int) -> Int {
        var (sum, count) = (0, first)
        for _ in 0..<rungs {
            sum += count
            count = max(1, count / Self.reduction)
        }
        return sum
    }

    private func power(_ base: Int, _ exponent: Int) -> Int {
        (0..<exponent).reduce(1) { product, _ in product * base }
    }

    private func attempt(_ place: [Double], share: Double, context: LearningContext) throws {
        var parameters: [String: ParameterValue] = [:]
        for (dimension, position) in zip(dimensions, place) {
            parameters[dimension.name] = dimension.value(at: position)
        }
        let started = monotonicSeconds()
        var (score, failure): (Double?, String?)
        do {
            var pipeline = options.pipeline
            pipeline.learner = try pipeline.learner.setting(parameters)
            var rows = data
            if share < 1 {
                rows = data.selecting(
                    rows: try data.holdOut(options.foldKind ?? data.defaultFoldKind, share: share, seed: options.seed)
                        .test)
            }
            let folds = try rows.folds(
                options.foldKind ?? rows.defaultFoldKind, count: options.folds, seed: options.seed)
            let value = try CrossValidation.run(pipeline, on: rows, folds: folds, context: context).mean(metric)
            if value.isFinite { score = value } else { failure = "\(metric) is not defined" }
        } catch let error as CancellationError {
            throw error
        } catch let error as ParameterError where state.trials.isEmpty {
            // A name that does not exist is a mistake, not an unlucky trial.
            throw error
        } catch {
            failure = "\(error)"
        }
        state.trials.append(
            TuningTrial(
                place: place, parameters: parameters, score: score, share: share,
                seconds: monotonicSeconds() - started, failure: failure))
        try context.report(
            "tune", completed: state.trials.count, total: options.trials, unit: "trials",
            figures: best?.score.map { [(metric, $0)] } ?? [])
    }
}
