import ArgumentParser
import Core
import Devices
import Learners
import Tables

/// `apus compare learners`: what `apus compare --data` runs.
struct CompareLearnersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learners", abstract: "Judge several learners on the same folds of a table.",
        discussion: """
            Everything is fitted anew on each fold's training part, preprocessing and calibration included. Learners are \
            words with optional parameters: logistic,"svm(c=0.1)",boosting. p is that of a paired t-test against the \
            best with the variance corrected for overlapping training parts (Nadeau and Bengio 2003) and Holm's \
            correction.
            """)

    @OptionGroup var data: TableFlags
    @OptionGroup var target: TargetFlags
    @OptionGroup var preparation: PipelineFlags
    @Option(help: "Learners, separated by commas, parameters in parentheses (default: all that suit the target).")
    var learners: String?
    @Option(help: "Number of folds, 2 or more.")
    var folds = 5
    @Option(help: "How rows are divided: stratified, random, grouped or rolling.")
    var split: FoldKind?
    @Option(help: "The deciding figure (default: roc_auc, log_loss or rmse).")
    var metric: String?
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard folds >= 2 else { throw ValidationError("--folds must be 2 or more, not \(folds)") }
    }

    func run() throws {
        MemoryMeter.start()
        let started = monotonicSeconds()
        let named = try learners.map { try LearnerRegistry.parseList($0) }
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let table = try data.read(global, progress)
        let kinds = (named ?? LearnerRegistry.learners.map { $0.init() })
            .reduce(into: Set<SupervisedTask.Kind>()) { $0.formUnion(type(of: $1).tasks) }
        let supervised = try SupervisedTable(table, roles: target.roles, kinds: kinds)
        for note in supervised.notes { global.remark(note) }
        let chosen = (named ?? LearnerRegistry.learners.map { $0.init() })
            .filter { named != nil || type(of: $0).tasks.contains(supervised.task.kind) }
        let loaded = monotonicSeconds()
        let pipelines = try chosen.map { learner in
            var learner = learner
            learner.seed = seed
            return (
                name: try Self.name(of: learner), pipeline: try preparation.pipeline(learner, seed: seed)
            )
        }
        let divided = try supervised.folds(split ?? supervised.defaultFoldKind, count: folds, seed: seed)
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let comparison = try LearnerComparison.run(
            pipelines, on: supervised, folds: divided, metric: metric, context: context)
        ProgressDisplay.clearLine()
        for entry in comparison.entries {
            if let failure = entry.failure { global.remark("\(entry.name) failed: \(failure)") }
        }
        if global.json {
            Output.json(
                json(comparison, supervised, device.identity.name, loaded - started, monotonicSeconds() - loaded))
        } else {
            print(comparison, supervised)
        }
        if comparison.entries.allSatisfy({ $0.result == nil }) {
            throw DataError("no learner could be fitted")
        }
    }

    /// The kind, with the parameters that are not the defaults.
    static func name(of learner: any SupervisedLearner) throws -> String {
        let own = type(of: learner)
        let defaults = try own.init().parameters()
        let changed = try learner.parameters().filter { $0.key != "seed" && defaults[$0.key] != $0.value }
        guard !changed.isEmpty else { return own.kind }
        let list = changed.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.text)" }.joined(separator: ", ")
        return "\(own.kind)(\(list))"
    }

    private func shown(_ names: [String]) -> [String] {
        let usual = [
            "roc_auc", "pr_auc", "log_loss", "brier", "accuracy", "balanced_accuracy", "f1", "macro_f1", "lift@10%",
            "rmse",
            "mae", "r2",
        ]
        return names.filter { usual.contains($0) }
    }

    private func print(_ comparison: LearnerComparison, _ data: SupervisedTable) {
        let names = shown(comparison.baseline.names)
        Output.line(
            "\(data.rows) rows, \(comparison.foldCount) folds, by \(comparison.metric)"
                + (SupervisedEvaluation.isHigherBetter(comparison.metric) ? "" : " (less is better)"))
        var rows: [[String]] = comparison.entries.map { entry in
            guard let result = entry.result else {
                return [entry.name] + names.map { _ in "" } + ["", "failed", "", ""]
            }
            return [entry.name] + names.map { fixed(result.mean($0), 4) } + [
                entry.interval.map { "\(fixed($0.low, 4)) – \(fixed($0.high, 4))" } ?? "",
                entry.difference.map { fixed($0, 4) } ?? "best", entry.pValue.map { fixed($0, 3) } ?? "",
                fixed(result.seconds.fit, 2),
            ]
        }
        rows.append(
            [data.task.isClassification ? "majority" : "mean"] + names.map { fixed(comparison.baseline.mean($0), 4) }
                + ["", "", "", ""])
        Output.table(
            ["learner"] + names + ["95 % of \(comparison.metric)", "to the best", "p", "fit seconds"], rows)
    }

    private func json(
        _ comparison: LearnerComparison, _ data: SupervisedTable, _ device: String, _ load: Double, _ train: Double
    ) -> JSONValue {
        let names = comparison.baseline.names
        func means(_ result: CrossValidated) -> JSONValue {
            .object(names.map { ($0, .number(result.mean($0))) })
        }
        return .object([
            ("device", .string(device)), ("task", .string(data.task.kind.rawValue)),
            ("labels", .array(data.task.labels.map { .string($0) })), ("rows", .integer(data.rows)),
            ("folds", .integer(comparison.foldCount)), ("metric", .string(comparison.metric)),
            ("seed", .integer(Int(truncatingIfNeeded: seed))),
            (
                "learners",
                .array(
                    comparison.entries.map { entry in
                        var members: [(String, JSONValue)] = [("learner", .string(entry.name))]
                        guard let result = entry.result else {
                            return .object(members + [("error", .optional(entry.failure))])
                        }
                        members += [
                            ("metrics", means(result)),
                            (
                                "interval",
                                entry.interval.map { .array([.number($0.low), .number($0.high)]) } ?? .null
                            ),
                            ("difference", entry.difference.map { .number($0) } ?? .null),
                            ("p_value", entry.pValue.map { .number($0) } ?? .null),
                            ("by_fold", .array(result.values(comparison.metric).map { .number($0) })),
                            (
                                "seconds",
                                .object([
                                    ("train", .number(result.seconds.fit)),
                                    ("predict", .number(result.seconds.predict)),
                                ])
                            ),
                        ]
                        return .object(members)
                    })
            ), ("baselines", .object([(data.task.isClassification ? "majority" : "mean", means(comparison.baseline))])),
            (
                "seconds",
                .object([
                    ("load", .number(load)), ("prepare", 0), ("compile", 0), ("train", .number(train)), ("evaluate", 0),
                    ("per_iteration", .array([])),
                ])
            ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
        ])
    }
}
