import ArgumentParser
import Core
import Learners
import Tables

/// `apus train isolation-forest`
struct TrainIsolationForestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "isolation-forest", abstract: "Learn what is usual in a table, and show the rows that are not.",
        discussion: """
            Nothing is predicted: a row is odd when few random splits tell it from all others. Scores lie between 0 and \
            1, about 0.5 for rows like all others. `apus predict` scores other tables with the model.
            """)

    @OptionGroup var data: TableFlags
    @Option(help: "Number of trees.")
    var trees = IsolationForestSettings().trees
    @Option(name: .customLong("rows-per-tree"), help: "Rows that each tree is grown on.")
    var rowsPerTree = IsolationForestSettings().rows
    @Option(help: "How many of the oddest rows are shown: a number, or a share such as 1%.")
    var top = "10"
    @Option(name: .customLong("id"), help: "Column that says who a row is (default: columns of identifiers).")
    var identifier: String?
    @Option(help: "Seed of everything random.")
    var seed = IsolationForestSettings().seed
    @Option(help: "The model file to write.")
    var output: String?
    @OptionGroup var global: GlobalOptions

    func run() throws {
        MemoryMeter.start()
        let started = monotonicSeconds()
        var settings = IsolationForestSettings()
        settings.trees = trees
        settings.rows = rowsPerTree
        settings.seed = seed
        try settings.validate()
        if let output { try OutputFolder.check(output) }
        let scoring = try OddRows(top: top, identifier: identifier, global: global)
        let progress = ProgressDisplay(quiet: global.quiet)
        let table = try data.read(global, progress)
        let loaded = monotonicSeconds()
        let model = try IsolationModel.train(table, settings: settings, threads: scoring.threads)
        let trained = monotonicSeconds()
        for note in model.recipe.notes { global.remark(note) }
        let scores = try model.scores(table, threads: scoring.threads)
        let scored = monotonicSeconds()
        if let output { try model.save(to: output) }
        try scoring.print(
            table, scores,
            facts: [
                ("device", "host"), ("model", .optional(output)), ("trees", .integer(trees)),
                ("rows_per_tree", .integer(model.forest.rowsPerTree)),
                ("seed", .integer(Int(truncatingIfNeeded: seed))),
                (
                    "seconds",
                    .object([
                        ("load", .number(loaded - started)), ("train", .number(trained - loaded)),
                        ("evaluate", .number(scored - trained)),
                    ])
                ),
                ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
            ])
    }
}

/// `apus predict` for isolation forests.
struct OddRowsPrediction {
    let modelPath: String
    let data: ModelDataFlags
    let top: String?
    let identifier: String?
    let output: String?
    let global: GlobalOptions

    func run() throws {
        guard let path = data.data else { throw ValidationError("name a table with --data") }
        if let output { try OutputFolder.check(output) }
        let scoring = try OddRows(top: top, identifier: identifier, global: global)
        let model = try IsolationModel(path: modelPath)
        let progress = ProgressDisplay(quiet: global.quiet)
        var options = TableReadOptions()
        options.delimiter = data.delimiter == "\\t" ? "\t" : data.delimiter
        options.threads = global.threads ?? 0
        options.memoryLimitBytes = global.memoryLimit?.bytes ?? 0
        options.onBadValue = .missing
        options = model.recipe.readOptions(options)
        options.types.merge(try TableFlags.types(data.types)) { $1 }
        let (table, report) = try TableReader.readWithReport(path, options: options, progress: progress.handler)
        ProgressDisplay.clearLine()
        for sentence in report.sentences { global.remark(sentence) }
        let scores = try model.scores(table, threads: scoring.threads)
        guard let output else { return try scoring.print(table, scores, facts: [("device", "host")]) }
        let file = try AtomicFile(path: output)
        try file.write(CSV.row(try scoring.header(table)))
        let rows = scoring.rows(scores)
        for row in rows { try file.write(CSV.row(try scoring.line(table, row, scores))) }
        try file.commit()
        if global.json {
            Output.json(.object([("output", .string(output)), ("rows", .integer(rows.count)), ("device", "host")]))
        } else {
            Output.line("\(output): \(rows.count) of \(table.rowCount) rows")
        }
    }
}

/// Rows with their oddness, the oddest first; all in their order without a limit.
private struct OddRows {
    let selection: TablePrediction.Selection
    let identifier: String?
    let global: GlobalOptions

    init(top: String?, identifier: String?, global: GlobalOptions) throws {
        selection = try TablePrediction.Selection(top)
        self.identifier = identifier
        self.global = global
    }

    var threads: Int { global.threads ?? Workers.processorCount }

    func rows(_ scores: [Double]) -> [Int] {
        if case .all = selection { return Array(scores.indices) }
        let order = scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }
        return Array(order.prefix(selection.count(of: order.count)))
    }

    private func names(_ table: Table) throws -> [String] {
        if let identifier {
            _ = try table.column(identifier)
            return [identifier]
        }
        return table.columns.filter { $0.type == .identifier }.map(\.name)
    }

    func header(_ table: Table) throws -> [String] {
        let names = try names(table)
        return (names.isEmpty ? ["row"] : names) + ["oddness"]
    }

    func line(_ table: Table, _ row: Int, _ scores: [Double]) throws -> [String] {
        let names = try names(table)
        return (names.isEmpty ? ["\(row + 1)"] : names.map { table[$0]?.text(row) ?? "" }) + [fixed(scores[row], 4)]
    }

    func print(_ table: Table, _ scores: [Double], facts: [(String, JSONValue)]) throws {
        let rows = rows(scores), header = try header(table)
        guard global.json else { return Output.table(header, try rows.map { try line(table, $0, scores) }) }
        let mean = scores.reduce(0, +) / Double(max(scores.count, 1))
        Output.json(
            .object(
                facts + [
                    ("rows", .integer(scores.count)), ("metrics", .object([("mean_oddness", .number(mean))])),
                    (
                        "odd",
                        .array(
                            try rows.map { row in
                                let cells = try line(table, row, scores)
                                return .object(
                                    zip(header, cells).dropLast().map { ($0, .string($1)) }
                                        + [("oddness", .number(scores[row]))])
                            })
                    ),
                ]))
    }
}
