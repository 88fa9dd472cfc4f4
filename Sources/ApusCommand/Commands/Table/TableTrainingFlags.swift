import ArgumentParser
import Compute
import Core
import Devices
import FoundationEssentials
import Learners
import Tables

/// What every learner of tables is asked: data, target, split, preprocessing.
struct TableTrainingFlags: ParsableArguments {
    @OptionGroup var data: TableFlags
    @OptionGroup var target: TargetFlags
    @OptionGroup var preparation: PipelineFlags

    @Option(help: "Share of the rows that is held out and judged; 0 for none.")
    var test = 0.2
    @Option(help: "How it is held out: stratified, random, grouped or rolling (the latest; needs --time-column).")
    var split: FoldKind?
    @Option(help: "From which probability on a row is said to be positive (default: 0.5, or by --value).")
    var threshold: Double?
    @Option(help: "What decisions are worth, tp=40,fp=-2: the threshold is then the one that earns most.")
    var value: String?
    @Flag(help: "Train once more on everything after the evaluation.")
    var refit = false
    @Option(
        name: .customLong("set"), help: "A parameter of the learner by its name, such as l2=0.1; see `apus inspect`.")
    var parameters: [String] = []
    @Option(help: "Seed of everything random.")
    var seed: UInt64 = 42
    @Option(help: "The model file to write.")
    var output: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard test >= 0, test < 1 else { throw ValidationError("--test must be 0 or a share below 1, not \(test)") }
    }

    /// Trains a learner, reports and saves.
    ///
    /// - Parameters:
    ///   - columns: the only columns to learn from; all when nil.
    ///   - scaling: how the default preprocessing scales numbers; nil for the learner's usual way.
    ///   - watched: a table whose rows the learner watches its progress on.
    ///   - finish: called with the result, before it is reported.
    func run(
        _ configured: any SupervisedLearner, columns: [String]? = nil, scaling: NumberScaling? = nil,
        watched: String? = nil, finish: (TableTrainingResult) throws -> Void = { _ in }
    ) throws {
        MemoryMeter.start()
        let started = monotonicSeconds()
        var learner = try ParameterFlags.apply(parameters, to: configured)
        learner.seed = seed
        try learner.validate()
        if let output { try OutputFolder.check(output) }
        let decision = try value.map { try DecisionValue($0) }
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        var options = TableTrainingOptions(
            pipeline: try preparation.pipeline(learner, seed: seed, scaling: scaling))
        options.testShare = test
        options.split = split
        options.threshold = threshold
        options.value = decision
        options.refit = refit
        options.seed = seed
        options.arguments = Array(CommandLine.arguments.dropFirst())
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        func watch(_ task: SupervisedTask) throws {
            guard let watched else { return }
            context.watched = try SupervisedTable(
                try TableFlags.read(watched, try data.options(global), global, progress), roles: target.roles,
                kinds: [task.kind], task: task)
        }
        func begin(_ supervised: SupervisedTable) throws {
            for note in supervised.notes { global.remark(note) }
            try NetworkSession.current?.begin(table: supervised.fingerprint)
            try watch(supervised.task)
        }
        let result: TableTrainingResult
        let loaded: Double
        if learner is any NetworkConfiguration, let limit = StreamedTableReading.limit(of: data.data, global) {
            let reading = try StreamedTableReading(
                data: data, roles: target.roles, columns: columns, limitBytes: limit, global: global, progress: progress
            )
            global.remark(
                "\(data.data) is larger than the memory for it: it is read in parts; types of features, scales and the "
                    + "evaluation come from a sample of at most \(reading.sampleRows) rows")
            let table = try StreamedTable(
                roles: target.roles, kinds: type(of: learner).tasks, testShare: test, seed: seed,
                partBytes: reading.partBytes, folder: OutputFolder.of(output), read: reading.read)
            loaded = monotonicSeconds()
            result = try TableTraining.train(
                streaming: table, sampleRows: reading.sampleRows, options: options, context: context, begin: begin)
        } else {
            var table = try data.read(global, progress)
            if let columns { table = try target.roles.selecting(columns, of: table) }
            let supervised = try SupervisedTable(table, roles: target.roles, kinds: type(of: learner).tasks)
            try begin(supervised)
            loaded = monotonicSeconds()
            result = try TableTraining.train(supervised, options: options, context: context)
        }
        ProgressDisplay.clearLine()
        for note in result.model.pipeline.recipe.notes { global.remark(note) }
        try finish(result)
        if let output { try result.model.save(to: output) }
        TableTrainingReport(
            result: result, output: output, device: device, global: global, loadSeconds: loaded - started,
            totalSeconds: monotonicSeconds() - started
        ).print()
    }
}

/// The column to be predicted, and others with a role.
struct TargetFlags: ParsableArguments {
    @Option(help: "The column to be predicted.")
    var target: String
    @Option(help: "The value of the target that is asked about; of more than two values the others count as one.")
    var positive: String?
    @Option(help: "classification or regression (default: by the target's values).")
    var task: TableRoles.RequestedTask?
    @Option(name: .customLong("weight-column"), help: "Column of the rows' weights.")
    var weightColumn: String?
    @Option(name: .customLong("group-column"), help: "Rows of equal value are never divided (a customer's, say).")
    var groupColumn: String?
    @Option(name: .customLong("time-column"), help: "When a row happened: the latest are held out.")
    var timeColumn: String?

    var roles: TableRoles {
        TableRoles(
            target: target, positive: positive, task: task, weight: weightColumn, group: groupColumn, time: timeColumn)
    }
}

/// From columns to features, and what is done about classes of unlike size.
struct PipelineFlags: ParsableArguments {
    @Option(name: .customLong("text"), help: "Column of text to be taken word by word; repeat.")
    var texts: [String] = []
    @Option(help: "File with the preprocessing, YAML or JSON (default: what the learner needs).")
    var recipe: String?
    @Option(help: "Classes of unlike size, in training parts only: none, over, under or smote.")
    var sampling = Sampling.none
    @Flag(help: "Every class weighs as much as the others.")
    var balanced = false
    @Option(help: "Probabilities put right on held-out folds: auto, none, platt or isotonic.")
    var calibration = CalibrationKind.auto

    func pipeline(
        _ learner: any SupervisedLearner, seed: UInt64, scaling: NumberScaling? = nil
    ) throws -> TablePipeline {
        var pipeline = TablePipeline(
            learner: learner, recipe: try recipe.map { try RecipeFile.read($0) }, texts: texts, sampling: sampling,
            balanced: balanced, calibration: calibration, seed: seed)
        if let scaling, recipe == nil { pipeline.recipe = scaling.applied(to: pipeline.effectiveRecipe) }
        return pipeline
    }
}

/// Parameters by name.
enum ParameterFlags {
    /// The learner with `name=value` pairs set.
    static func apply(_ pairs: [String], to learner: any SupervisedLearner) throws -> any SupervisedLearner {
        var changes: [String: ParameterValue] = [:]
        for pair in pairs {
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
                throw ValidationError("--set expects NAME=VALUE, not `\(pair)`")
            }
            changes[String(pair[..<equals])] = ParameterValue(String(pair[pair.index(after: equals)...]))
        }
        return try learner.setting(changes)
    }
}

extension FoldKind: ExpressibleByArgument {}
extension Sampling: ExpressibleByArgument {}
extension CalibrationKind: ExpressibleByArgument {}
extension TableRoles.RequestedTask: ExpressibleByArgument {}
