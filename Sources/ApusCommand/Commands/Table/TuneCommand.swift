import ArgumentParser
import Core
import Devices
import FoundationEssentials
import Learners
import Tables

/// `apus tune`
struct TuneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tune", abstract: "Search for a learner's parameters on a table, and report an honest figure.",
        discussion: """
            Parameters are judged by inner folds of the training part. The figure reported is that of the winner on rows \
            that the search has never seen: a held-out part, or with --outer-folds the mean over searches of their own. \
            With --state FILE an interrupted search goes on where it stopped.
            """)

    @OptionGroup var data: TableFlags
    @OptionGroup var target: TargetFlags
    @OptionGroup var preparation: PipelineFlags
    @Argument(help: "The learner, with parameters that stay fixed in parentheses: logistic, net, \"svm(kernel=rbf)\".")
    var learner: String
    @Option(
        name: .customLong("search"),
        help: "A parameter and its values: l2=0.001..1000:log, depth=2..12:whole, loss=hinge|squared-hinge; repeat.")
    var space: [String] = []
    @Option(help: "random, halving (many on few rows, the better on more) or bayesian.")
    var method = TuningMethod.bayesian
    @Option(help: "Sets of parameters to try.")
    var trials = 40
    @Option(help: "Seconds that the trials may take in all: 60, 90s, 5m, 1h.")
    var budget: String?
    @Option(help: "Inner folds that a set is judged by.")
    var folds = 3
    @Option(
        name: .customLong("outer-folds"), help: "Searches of their own whose winners are judged; 0: one held-out part.")
    var outerFolds = 0
    @Option(help: "Share of the rows that is held out and judged.")
    var test = 0.2
    @Option(help: "How rows are divided: stratified, random, grouped or rolling.")
    var split: FoldKind?
    @Option(help: "The deciding figure (default: roc_auc, log_loss or rmse).")
    var metric: String?
    @Option(help: "Where the search is saved after every trial, and goes on from.")
    var state: String?
    @Option(help: "Write the winner, fitted on the training part, as a model.")
    var output: String?
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard trials >= 1 else { throw ValidationError("--trials must be 1 or more, not \(trials)") }
        guard folds >= 2 else { throw ValidationError("--folds must be 2 or more, not \(folds)") }
        guard outerFolds == 0 || outerFolds >= 2 else { throw ValidationError("--outer-folds must be 0, or 2 or more") }
        guard test > 0, test < 1 else { throw ValidationError("--test must be above 0 and below 1, not \(test)") }
        if outerFolds > 0, state != nil { throw ValidationError("--state and --outer-folds exclude each other") }
        if let budget, Self.seconds(budget) == nil { throw ValidationError("--budget expects 60, 90s, 5m or 1h") }
    }

    private static func seconds(_ text: String) -> Double? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
        let scale = text.last.flatMap { units[$0] }
        guard let number = Double(scale == nil ? text[...] : text.dropLast()), number > 0 else { return nil }
        return number * (scale ?? 1)
    }

    func run() throws {
        MemoryMeter.start()
        let started = monotonicSeconds()
        var configured = try LearnerRegistry.parse(learner)
        configured.seed = seed
        let dimensions = try space.isEmpty ? nil : space.map(Self.dimension)
        if let output { try OutputFolder.check(output) }
        if let state { try OutputFolder.check(state) }
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let table = try data.read(global, progress)
        let supervised = try SupervisedTable(table, roles: target.roles, kinds: type(of: configured).tasks)
        for note in supervised.notes { global.remark(note) }
        let loaded = monotonicSeconds()
        var options = TuningOptions(pipeline: try preparation.pipeline(configured, seed: seed))
        options.space = dimensions
        options.method = method
        options.trials = trials
        options.secondsBudget = budget.flatMap(Self.seconds)
        options.folds = folds
        options.foldKind = split
        options.metric = metric
        options.seed = seed
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let division = split ?? supervised.defaultFoldKind
        let outer = try outerFolds > 0 ? supervised.folds(division, count: outerFolds, seed: seed) : []
        let nested = try outer.map { fold in try nestedFigures(fold, supervised, options, context) }
        let fold = try supervised.holdOut(division, share: test, seed: seed)
        let search = try tuned(supervised.selecting(rows: fold.training), options, context)
        ProgressDisplay.clearLine()
        guard let best = search.best else { throw DataError("no set of parameters could be fitted") }

        var pipeline = options.pipeline
        pipeline.learner = try pipeline.learner.setting(best.parameters)
        var training = TableTrainingOptions(pipeline: pipeline)
        training.testShare = test
        training.split = division
        training.seed = seed
        training.arguments = Array(CommandLine.arguments.dropFirst())
        let result = try TableTraining.train(supervised, options: training, context: context)
        ProgressDisplay.clearLine()
        if let output { try result.model.save(to: output) }
        report(search, best, result, nested, device.identity.name, loaded - started, monotonicSeconds() - loaded)
    }

    /// Searches, from a saved state if there is one, saving after every trial.
    private func tuned(
        _ data: SupervisedTable, _ options: TuningOptions, _ context: LearningContext
    ) throws -> Tuning {
        var earlier: TuningState?
        if let state, let bytes = try? Data(contentsOf: URL(filePath: state)) {
            do {
                earlier = try JSONDecoder().decode(TuningState.self, from: bytes)
            } catch {
                throw DataError("this is not a saved search; remove it, or name another file", file: state)
            }
        }
        let search = try Tuning(data, options: options, resuming: earlier)
        if let earlier { global.remark("going on after \(earlier.trials.count) trials") }
        do {
            try search.run(context: context) { search in if let state { try save(search.state, to: state) } }
        } catch is CancellationError {
            guard let state else { throw CancellationError() }
            try save(search.state, to: state)
            throw Failure.Interrupted(
                message: "interrupted after \(search.state.trials.count) trials; the same command goes on from \(state)"
            )
        }
        return search
    }

    private func save(_ state: TuningState, to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write([UInt8](try JSONEncoder().encode(state)))
        try file.commit()
    }

    /// A search on the training part of an outer fold, and its winner's figures on the other part.
    private func nestedFigures(
        _ fold: Fold, _ data: SupervisedTable, _ options: TuningOptions, _ context: LearningContext
    ) throws -> [(name: String, value: Double)] {
        let search = try Tuning(data.selecting(rows: fold.training), options: options)
        try search.run(context: context)
        var pipeline = options.pipeline
        pipeline.learner = try pipeline.learner.setting(search.best?.parameters ?? [:])
        let result = try CrossValidation.run(pipeline, on: data, folds: [fold], context: context)
        return result.names.map { ($0, result.mean($0)) }
    }

    private func report(
        _ search: Tuning, _ best: TuningTrial, _ result: TableTrainingResult,
        _ nested: [[(name: String, value: Double)]], _ device: String, _ load: Double, _ train: Double
    ) {
        let names = nested.first?.map(\.name) ?? []
        let means = names.indices.map { place in nested.reduce(0.0) { $0 + $1[place].value } / Double(nested.count) }
        func trial(_ trial: TuningTrial) -> JSONValue {
            .object([
                (
                    "parameters",
                    .object(
                        trial.parameters.sorted { $0.key < $1.key }.map { ($0.key, EvaluationReport.json($0.value)) })
                ), ("score", trial.score.map { .number($0) } ?? .null), ("share", .number(trial.share)),
                ("seconds", .number(trial.seconds)), ("error", .optional(trial.failure)),
            ])
        }
        if global.json {
            var members: [(String, JSONValue)] = [
                ("device", .string(device)), ("learner", .string(result.model.kind)), ("model", .optional(output)),
                ("method", .string(method.rawValue)), ("metric", .string(search.decidingMetric)),
                ("best", trial(best)), ("trials", .array(search.state.trials.map(trial))),
            ]
            if let evaluation = result.evaluation {
                members += EvaluationReport.json(evaluation, task: result.model.task)
            }
            if !nested.isEmpty { members.append(("nested", .object(zip(names, means).map { ($0, .number($1)) }))) }
            members += [
                (
                    "seconds",
                    .object([
                        ("load", .number(load)), ("prepare", 0), ("compile", 0), ("train", .number(train)),
                        ("evaluate", .number(result.seconds.evaluate)),
                        ("per_iteration", .array(search.state.trials.map { .number($0.seconds) })),
                    ])
                ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
            ]
            Output.json(.object(members))
            return
        }
        let ranked = search.state.trials.filter { $0.score != nil && $0.share == 1 }.sorted {
            SupervisedEvaluation.isHigherBetter(search.decidingMetric)
                ? ($0.score ?? 0) > ($1.score ?? 0) : ($0.score ?? 0) < ($1.score ?? 0)
        }
        let columns = best.parameters.keys.sorted()
        Output.table(
            columns + ["\(search.decidingMetric) (inner folds)", "seconds"],
            ranked.prefix(10).map { trial in
                columns.map { trial.parameters[$0]?.text ?? "" } + [
                    fixed(trial.score ?? .nan, 4), fixed(trial.seconds, 2),
                ]
            })
        Output.line(
            "\(search.state.trials.count) trials in \(duration(search.state.seconds)); the best, on rows held out:")
        if let evaluation = result.evaluation {
            EvaluationReport.print(evaluation, task: result.model.task)
        }
        if let place = names.firstIndex(of: search.decidingMetric) {
            Output.line(
                "nested, over \(nested.count) outer folds: \(search.decidingMetric) \(fixed(means[place], 4))")
        }
    }

    /// `l2=0.001..1000:log`, `depth=2..12:whole`, `loss=hinge|squared-hinge`.
    static func dimension(_ text: String) throws -> SearchDimension {
        let wrong = ValidationError(
            "--search expects NAME=LOW..HIGH, with :log or :whole, or NAME=A|B|C, not `\(text)`")
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else { throw wrong }
        let name = String(text[..<equals])
        let values = text[text.index(after: equals)...]
        guard let dots = values.firstRange(of: "..") else {
            let choices = values.split(separator: "|").map { ParameterValue(String($0)) }
            guard choices.count >= 2 else { throw wrong }
            return .choices(name, choices)
        }
        let parts = values[dots.upperBound...].split(separator: ":")
        let words = parts.dropFirst()
        guard let low = Double(values[..<dots.lowerBound]), let high = parts.first.flatMap({ Double($0) }), low < high,
            words.allSatisfy({ $0 == "log" || $0 == "whole" }), !words.contains("log") || low > 0
        else { throw wrong }
        return .range(name, low, high, logarithmic: words.contains("log"), whole: words.contains("whole"))
    }
}

extension TuningMethod: ExpressibleByArgument {}
