import ArgumentParser
import Core
import Tables

/// A table and how it is read: the same flags wherever one is.
struct TableFlags: ParsableArguments {
    @Option(help: "The table: CSV, TSV, JSON Lines, .npy or SQLite, plain, gzip or zstd; - is standard input.")
    var data: String

    @Option(help: "What stands between fields, :: for example (default: found).")
    var delimiter: String?

    @Option(name: .customLong("type"), help: "Type of a column, such as age=number (default: found); repeat.")
    var types: [String] = []

    @Option(help: "Columns to leave out, separated by commas; repeat.")
    var drop: [String] = []

    @Option(
        name: .customLong("missing-marker"), help: "A text that stands for a missing value, beside the usual; repeat.")
    var missingMarkers: [String] = []

    @Option(help: "The statement to run, when the file is an SQLite database.")
    var query: String?

    @Option(name: .customLong("on-bad-row"), help: "Rows that can't be read: fail or skip.")
    var onBadRow = BadRowRule.fail

    @Option(name: .customLong("on-bad-value"), help: "Values that don't fit a type given with --type: fail or missing.")
    var onBadValue = BadValueRule.fail

    @Option(help: "Encoding of the text: detected, utf-8, gb18030, latin-1.")
    var encoding = TextEncoding.detected

    /// The options of the reader.
    func options(_ global: GlobalOptions) throws -> TableReadOptions {
        var options = TableReadOptions()
        options.delimiter = delimiter == "\\t" ? "\t" : delimiter
        options.types = try Self.types(types)
        options.dropped = drop.flatMap { $0.split(separator: ",").map(String.init) }
        options.missingMarkers += missingMarkers
        options.query = query
        options.onBadRow = onBadRow
        options.onBadValue = onBadValue
        options.encoding = encoding
        options.memoryLimitBytes = global.memoryLimit?.bytes ?? 0
        options.threads = global.threads ?? 0
        return options
    }

    /// Types by column, from `COLUMN=TYPE`.
    static func types(_ pairs: [String]) throws -> [String: ColumnType] {
        var types: [String: ColumnType] = [:]
        for pair in pairs {
            guard let equals = pair.lastIndex(of: "="), equals > pair.startIndex,
                let type = ColumnType(rawValue: String(pair[pair.index(after: equals)...]))
            else {
                let names = ColumnType.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("--type expects COLUMN=TYPE with one of \(names), not `\(pair)`")
            }
            types[String(pair[..<equals])] = type
        }
        return types
    }

    /// Reads the table and says what a person should know.
    func read(_ global: GlobalOptions, _ progress: ProgressDisplay) throws -> Table {
        let (table, report) = try TableReader.readWithReport(data, options: options(global), progress: progress.handler)
        ProgressDisplay.clearLine()
        for sentence in report.sentences { global.remark(sentence) }
        return table
    }
}

extension BadValueRule: ExpressibleByArgument {}
