import ArgumentParser
import Core
import Tables

/// A table and how it is read: the same flags wherever one is.
struct TableFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Table: CSV, TSV, JSON Lines, .npy or SQLite; text plain, gzip or zstd; - is standard input.",
            valueName: "file"))
    var data: String

    @Option(help: "What stands between fields, ';' for example (default: found).")
    var delimiter: String?

    @Option(help: "Names of the columns of a file without a header, in order; - leaves one out.")
    var columns: String?

    @Option(name: .customLong("on-bad-row"), help: "Rows that can't be read: fail or skip.")
    var onBadRow = BadRowRule.fail

    @Option(help: "Encoding of the text: detected, utf-8, gb18030, latin-1.")
    var encoding = TextEncoding.detected

    @OptionGroup var typing: TableTypeFlags

    /// Types and dropped columns, as given.
    var types: [String] { typing.types }
    var drop: [String] { typing.drop }

    /// The options of the reader.
    func options(_ global: GlobalOptions) throws -> TableReadOptions {
        try typing.options(
            delimiter: delimiter, columns: columns, onBadRow: onBadRow, encoding: encoding, global)
    }

    /// Types by column, from `COLUMN=TYPE`.
    static func types(_ pairs: [String]) throws -> [String: ColumnType] {
        var types: [String: ColumnType] = [:]
        for pair in pairs.flatMap({ $0.split(separator: ",").map(String.init) }) {
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

    /// Reads the table and says what was noticed.
    func read(
        _ global: GlobalOptions, _ progress: ProgressDisplay, adjust: (inout TableReadOptions) -> Void = { _ in }
    ) throws -> Table {
        var options = try options(global)
        adjust(&options)
        return try TableFlags.read(data, options, global, progress)
    }

    /// Reads another table with the same flags for text, but types and columns of its own.
    func readOther(_ path: String, _ global: GlobalOptions, _ progress: ProgressDisplay) throws -> Table {
        var options = try options(global)
        (options.types, options.dropped, options.selected, options.query) = ([:], [], nil, nil)
        options.headerlessColumns = nil
        // Another file may have another delimiter.
        options.delimiter = nil
        return try TableFlags.read(path, options, global, progress)
    }

    static func read(
        _ path: String, _ options: TableReadOptions, _ global: GlobalOptions, _ progress: ProgressDisplay
    ) throws -> Table {
        let (table, report) = try TableReader.readWithReport(path, options: options, progress: progress.handler)
        ProgressDisplay.clearLine()
        global.remark(
            "read \(path == "-" ? "standard input" : path): \(table.rowCount) rows of \(table.columns.count) columns")
        for sentence in report.sentences { global.remark(sentence) }
        return table
    }
}

/// Types and columns of a table.
struct TableTypeFlags: ParsableArguments {
    @Option(
        name: .customLong("type"),
        help: ArgumentHelp(
            "Type of a column: age=number; number, integer, boolean, date, category, text, identifier. Repeat, or separate by commas.",
            valueName: "column=type"))
    var types: [String] = []

    @Option(help: ArgumentHelp("Columns to leave out, separated by commas.", valueName: "columns"))
    var drop: [String] = []

    @Option(help: ArgumentHelp("Columns to keep, separated by commas (default: all).", valueName: "columns"))
    var select: [String] = []

    @Option(
        name: .customLong("missing-marker"),
        help: "A text that stands for a missing value, beside NA, NaN, null and the like. Repeat for several.")
    var missingMarkers: [String] = []

    @Option(name: .customLong("on-bad-value"), help: "Values that don't fit a --type: fail or missing.")
    var onBadValue = BadValueRule.fail

    @Option(help: "The statement that gives the rows, when the file is an SQLite database.")
    var query: String?

    func options(
        delimiter: String?, columns: String?, onBadRow: BadRowRule, encoding: TextEncoding, _ global: GlobalOptions
    ) throws -> TableReadOptions {
        var options = TableReadOptions()
        options.delimiter = delimiter == "\\t" ? "\t" : delimiter
        options.headerlessColumns = columns.map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        options.onBadRow = onBadRow
        options.encoding = encoding
        options.onBadValue = onBadValue
        options.missingMarkers += missingMarkers
        options.query = query
        options.threads = global.threads ?? 0
        options.memoryLimitBytes = global.memoryLimit?.bytes ?? 0
        options.dropped = ColumnList.names(drop)
        options.selected = select.isEmpty ? nil : ColumnList.names(select)
        options.types = try TableFlags.types(types)
        return options
    }
}

/// Lists of columns on the command line.
enum ColumnList {
    static func names(_ lists: [String]) -> [String] {
        lists.flatMap { $0.split(separator: ",").map(String.init) }
    }

    /// `column=value`, or a value alone for all columns of a kind.
    static func assignment(_ text: String) -> (column: String?, value: String) {
        guard let equals = text.firstIndex(of: "="), equals > text.startIndex else { return (nil, text) }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }

    /// A selection by the words that recipes have for kinds of columns, or by names.
    static func selection(_ names: [String]) -> ColumnSelection {
        if names.count == 1 {
            switch names[0] {
            case "numbers": return .numbers
            case "categories": return .categories
            case "dates": return .dates
            case "texts": return .texts
            case "all": return .all
            default: break
            }
        }
        return .named(names)
    }
}

extension BadValueRule: ExpressibleByArgument {}
extension ColumnType: ExpressibleByArgument {}
extension JoinKind: ExpressibleByArgument {}
