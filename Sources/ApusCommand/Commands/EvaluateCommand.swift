import ArgumentParser
import Core
import Devices
import Learners
import Tables

/// `apus evaluate`
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Judge a model on a file, beside what somebody would reach who knows nothing.",
        discussion: """
            A model of a table takes --data, a recommender --interactions. \
            On the file that the model was trained from (read with the same flags), only the part that was held out is \
            scored. On another file, 80 % of each user's items are folded in and the rest is to be found. \
            With --fold-in FILE --test FILE, the split is yours.
            """)

    @Option(help: "The model file.")
    var model: String
    @Option(name: .customLong("fold-in"), help: "What is known of the users, of a split made elsewhere.")
    var foldIn: String?
    @Option(help: "What is to be found, of a split made elsewhere.")
    var test: String?
    @Option(help: "k of the metrics, separated by commas.")
    var cutoffs = "10,20,50,100"
    @Option(help: "File of interactions: CSV, TSV or JSON Lines, plain, gzip or zstd; - is standard input.")
    var interactions: String?
    @Option(help: "Table with the target: CSV, TSV, JSON Lines or SQLite, plain, gzip or zstd; - is standard input.")
    var data: String?
    @Option(name: .customLong("type"), help: "Type of a column of the table, such as age=number; repeat.")
    var types: [String] = []
    @Option(help: "What decisions by a model of two classes are worth: tp=40,fp=-2.")
    var value: String?
    @OptionGroup var reading: ReadingFlags
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard (foldIn != nil) == (test != nil) else { throw ValidationError("--fold-in and --test go together") }
        guard [data, foldIn, interactions].compactMap({ $0 }).count == 1 else {
            throw ValidationError("give --data, or --interactions, or --fold-in and --test")
        }
        guard !parsedCutoffs.isEmpty, parsedCutoffs.allSatisfy({ $0 >= 1 }) else {
            throw ValidationError("--cutoffs expects numbers from 1 up, such as 10,20")
        }
    }

    private var parsedCutoffs: [Int] { cutoffs.split(separator: ",").map { Int($0) ?? 0 } }

    func run() throws {
        let kind = try SavedModel(path: model)
        guard kind != .isolationForest else {
            throw ValidationError("an isolation forest predicts no column: there is nothing to evaluate; see `predict`")
        }
        guard (kind == .table) == (data != nil) else {
            throw ValidationError(
                kind == .table
                    ? "this is a model of a table: give --data"
                    : "this is a recommender: give --interactions, or --fold-in and --test")
        }
        if kind == .table { return try evaluateTable() }
        MemoryMeter.start()
        let started = monotonicSeconds()
        let model = try RecommenderModel(path: model)
        let device = try deviceOption.open(global)
        let stream = try device.makeStream()
        let progress = ProgressDisplay(quiet: global.quiet)
        let outcome: ModelEvaluation.Outcome
        let loaded: Double
        var count = 0
        if let foldIn, let test {
            let known = try reading.read(foldIn, needsTimes: false, global, progress)
            let truth = try reading.read(test, needsTimes: false, global, progress)
            loaded = monotonicSeconds()
            count = truth.count
            outcome = try ModelEvaluation.evaluate(
                model, foldIn: known, test: truth, cutoffs: parsedCutoffs, stream: stream)
        } else {
            let kind = model.provenance.split?.kind
            // The file is recognised as that of the training only when it is read in the same way.
            let ranksByTime = (model.learned as? PopularityTable)?.options.rule == .recent
            let file = try reading.read(
                interactions ?? "",
                needsTimes: kind == .time || kind == .leaveLastOut || ranksByTime
                    || type(of: model.learned).readsOrder, global, progress)
            loaded = monotonicSeconds()
            count = file.count
            outcome = try ModelEvaluation.evaluate(model, on: file, cutoffs: parsedCutoffs, stream: stream)
        }
        let finished = monotonicSeconds()
        if let warning = outcome.warning { global.remark("warning: \(warning)") }
        if global.json {
            Output.json(
                .object(
                    [
                        ("model", .string(self.model)), ("device", .string(device.identity.name)),
                        ("scored", .string(outcome.scored)), ("warning", .optional(outcome.warning)),
                        ("users", .integer(model.users.count)), ("items", .integer(model.items.count)),
                        ("interactions", .integer(count)), ("evaluated", .integer(outcome.result.evaluated)),
                    ] + MetricReport.json(metrics: outcome.result.metrics, baselines: outcome.result.baselines) + [
                        (
                            "seconds",
                            .object([
                                ("load", .number(loaded - started)), ("prepare", 0),
                                ("compile", .number(device.compileSeconds)), ("train", 0),
                                ("evaluate", .number(finished - loaded)), ("per_iteration", .array([])),
                            ])
                        ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                    ]))
        } else {
            Output.line("scored: \(outcome.scored)")
            MetricReport.print(
                metrics: outcome.result.metrics, baselines: outcome.result.baselines,
                evaluated: outcome.result.evaluated)
        }
    }

    private func evaluateTable() throws {
        try TableEvaluation(
            modelPath: model,
            read: { model, progress in
                try ModelData.read(
                    data ?? "", delimiter: reading.delimiter, types: types, encoding: reading.encoding,
                    onBadRow: reading.onBadRow, model: model, global, progress)
            }, value: value, deviceOption: deviceOption, global: global
        ).run()
    }
}
