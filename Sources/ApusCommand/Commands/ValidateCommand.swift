import ArgumentParser
import Core
import FoundationEssentials
import Learners
import Tables

/// `apus validate`
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Read a table or a file of interactions and say what is in it, and what is wrong.",
        discussion: """
            With --data, profiles a table: types, missing values, ranges, outliers, repeated rows, constant and leaking \
            columns, classes, correlations, gaps in time. With --interactions, looks at who did what. Exits with 65 at the \
            first bad row (with --on-bad-row skip, counts them instead), for broken rules, and for drift past the limits.
            """)

    @Option(help: "File of interactions: CSV, TSV or JSON Lines, plain, gzip or zstd; - is standard input.")
    var interactions: String?

    @Option(help: ArgumentHelp("Table: CSV, TSV, JSON Lines, .npy or SQLite; - is standard input.", valueName: "file"))
    var data: String?

    @OptionGroup var reading: ReadingFlags
    @OptionGroup var types: TableTypeFlags

    @Option(
        help: ArgumentHelp(
            "Column to be predicted: for classes, and for columns that tell it too well.", valueName: "column"))
    var target: String?

    @Option(
        help: ArgumentHelp(
            "Rules that the table must keep, YAML: ranges, patterns, keys, conditions.", valueName: "file"))
    var rules: String?

    @Option(
        help: ArgumentHelp(
            "Model of a table, earlier profile (--profile-output or --json), or earlier table, to compare with.",
            valueName: "file"))
    var against: String?

    @Option(name: .customLong("max-psi"), help: "Most drift that a column may have, population stability index.")
    var maximumPSI = 0.25

    @Option(
        name: .customLong("max-ks"), help: "Most drift that a column of numbers may have, Kolmogorov-Smirnov distance.")
    var maximumKS = 0.3

    @Option(
        name: .customLong("profile-output"),
        help: ArgumentHelp("File for the profile, JSON, to compare with later.", valueName: "file"))
    var profileOutput: String?

    @Option(help: ArgumentHelp("File for a page with histograms, HTML.", valueName: "file"))
    var html: String?

    @OptionGroup var global: GlobalOptions

    func run() throws {
        switch (interactions, data) {
        case (let path?, nil): try validateInteractions(path)
        case (nil, let path?): try validateTable(path)
        default: throw ValidationError("validate needs either --data or --interactions")
        }
    }

    private func validateTable(_ path: String) throws {
        for file in [html, profileOutput] { if let file { try OutputFolder.check(file) } }
        let started = monotonicSeconds()
        let rules = try rules.map { try TableRules(path: $0) }
        let options = try types.options(
            delimiter: reading.delimiter, columns: reading.columns, onBadRow: reading.onBadRow,
            encoding: reading.encoding, global)
        let progress = ProgressDisplay(quiet: global.quiet)
        let (table, report) = try TableReader.readWithReport(path, options: options, progress: progress.handler)
        ProgressDisplay.clearLine()
        for sentence in report.sentences { global.remark(sentence) }
        let profile = try TableProfile(table, target: target)
        let drift = try against.map { TableDrift(table, against: try earlier($0, options)) }
        let validation = TableValidation(
            path: path, profile: profile, violations: try rules?.check(table) ?? [], drift: drift, report: report,
            seconds: monotonicSeconds() - started, target: target, maximumPSI: maximumPSI, maximumKS: maximumKS)
        if let profileOutput {
            let file = try AtomicFile(path: profileOutput)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            try file.write([UInt8](try encoder.encode(profile)))
            try file.commit()
        }
        if let html {
            let file = try AtomicFile(path: html)
            try file.write(validation.page())
            try file.commit()
            global.remark("wrote \(html)")
        }
        if global.json { Output.json(try validation.json()) } else { validation.printWords() }
        if let failure = validation.failure { throw failure }
    }

    /// An earlier profile: written by this command, or made of an earlier table.
    private func earlier(_ path: String, _ options: TableReadOptions) throws -> TableProfile {
        struct Printed: Decodable { let profile: TableProfile }
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw SystemError(operation: "open", object: path, reason: "the file can't be read")
        }
        // A model file begins with the length of its header, of which no byte above 2^32 is used.
        if data.count > 9, data[data.startIndex + 7] == 0, data[data.startIndex + 8] == UInt8(ascii: "{") {
            guard case .table = try SavedModel(path: path) else {
                throw DataError("this is no model of a table", file: path)
            }
            let model = try TableModel(path: path)
            let profile = model.provenance.profile ?? TableProfile(schema: model.provenance.columns)
            // What the model does not need is not missed.
            let needed = Set(model.pipeline.recipe.inputs.columns.map(\.name))
            return profile.keeping(needed)
        }
        if data.first == UInt8(ascii: "{"), data.count < 1 << 28 {
            if let printed = try? JSONDecoder().decode(Printed.self, from: data) { return printed.profile }
            if let profile = try? JSONDecoder().decode(TableProfile.self, from: data) { return profile }
        }
        var options = options
        (options.types, options.dropped, options.selected) = ([:], [], nil)
        return try TableProfile(try TableReader.read(path, options: options))
    }

    private func validateInteractions(_ path: String) throws {
        let started = monotonicSeconds()
        let interactions = try reading.read(
            path, needsTimes: true, global, ProgressDisplay(quiet: global.quiet))
        let seconds = monotonicSeconds() - started
        let report = interactions.report
        let (users, items) = (degrees(interactions.byUser), degrees(interactions.byItem))
        let cells = Double(interactions.users.count) * Double(interactions.items.count)
        let members: [(String, JSONValue)] = [
            ("file", .string(path)), ("format", .string(report.format)),
            ("delimiter", .string(report.delimiter)), ("compression", .string(report.compression)),
            ("encoding", .string(report.encoding.rawValue)), ("bytes_of_text", .integer(report.bytesOfText)),
            (
                "columns",
                .object(report.columnsByRole.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
            ),
            ("rows", .integer(report.rowsRead)), ("bad_rows", .integer(report.rowsSkipped)),
            ("rows_below_minimum_value", .integer(report.rowsBelowMinimumValue)),
            ("duplicates_merged", .integer(report.duplicatesMerged)),
            ("interactions", .integer(interactions.count)), ("users", .integer(interactions.users.count)),
            ("items", .integer(interactions.items.count)),
            ("density", .number(Double(interactions.count) / max(cells, 1))),
            ("smallest_value", .number(Double(report.minimumValueSeen))),
            ("largest_value", .number(Double(report.maximumValueSeen))),
            ("first_time", report.minimumTimeSeen.map { .integer(Int($0)) } ?? .null),
            ("last_time", report.maximumTimeSeen.map { .integer(Int($0)) } ?? .null),
            ("interactions_per_user", quantiles(users)), ("interactions_per_item", quantiles(items)),
            ("share_of_top_1_percent_of_items", .number(topShare(items))), ("seconds", .number(seconds)),
        ]
        if global.json {
            let examples: [JSONValue] = report.skippedExamples.map {
                .object([("line", .integer($0.line)), ("column", .optional($0.column)), ("reason", .string($0.reason))])
            }
            Output.json(.object(members + [("bad_row_examples", .array(examples))]))
        } else {
            for (name, value) in members {
                if case .string(let text) = value {
                    Output.line("\(name): \(text)")
                } else {
                    Output.line("\(name): \(value.text)")
                }
            }
            for example in report.skippedExamples { Output.line("bad row: line \(example.line): \(example.reason)") }
        }
    }

    private func degrees(_ matrix: HostSparseMatrix) -> [Int] {
        (0..<matrix.rows).map { matrix.range(ofRow: $0).count }.sorted()
    }

    private func quantiles(_ sorted: [Int]) -> JSONValue {
        guard let last = sorted.last else { return .null }
        func at(_ share: Double) -> JSONValue { .integer(sorted[Int(share * Double(sorted.count - 1))]) }
        return .object([
            ("minimum", .integer(sorted[0])), ("median", at(0.5)),
            ("mean", .number(Double(sorted.reduce(0, +)) / Double(sorted.count))), ("p90", at(0.9)),
            ("maximum", .integer(last)),
        ])
    }

    /// Share of the interactions that the most popular hundredth of the items has.
    private func topShare(_ sorted: [Int]) -> Double {
        let top = sorted.suffix(max(1, sorted.count / 100)).reduce(0, +)
        return Double(top) / Double(max(sorted.reduce(0, +), 1))
    }
}
