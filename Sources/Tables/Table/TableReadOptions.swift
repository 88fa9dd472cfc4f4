import Core

/// What becomes of a value that does not fit the type that was asked for.
public enum BadValueRule: String, Sendable, Codable, CaseIterable {
    /// Reading ends with an error that names file, line and column.
    case fail
    /// The value is missing, and counted.
    case missing
}

/// How a table is read.
public struct TableReadOptions: Sendable, Equatable {
    /// What stands between fields, any text; nil: found among comma, tab, semicolon, bar and `::`.
    public var delimiter: String?
    /// Whether double quotes enclose fields, as in RFC 4180; nil: yes, but not in files separated by tabs or `::`.
    public var quoting: Bool?
    /// Whether the first record names the columns. Without, they are `column_1`, `column_2`, … unless
    /// ``headerlessColumns`` names them.
    public var header = true
    /// Names of the columns of a file without a header, in order; `-` or `_` for one to leave out.
    public var headerlessColumns: [String]?
    /// Types by column; the others are inferred from the first rows, and widened where later rows need it.
    public var types: [String: ColumnType] = [:]
    /// Texts that stand for a missing value, beside empty and blank ones.
    public var missingMarkers = TableReadOptions.usualMissingMarkers
    /// Columns not to be read.
    public var dropped: [String] = []
    /// The only columns to be read; nil: all.
    public var selected: [String]?
    /// The encoding of the text.
    public var encoding = TextEncoding.detected
    /// The rule for rows that can't be read.
    public var onBadRow = BadRowRule.fail
    /// The rule for values that don't fit a type in ``types``.
    public var onBadValue = BadValueRule.fail
    /// The statement to run, when the file is an SQLite database; nil: all rows of its only table.
    public var query: String?
    /// Most memory that the table may take, in bytes; a file that needs more is refused before it is read. 0: no limit.
    public var memoryLimitBytes = 0
    /// Threads to use; 0: one for each processor. The result doesn't depend on it.
    public var threads = 0

    /// Text per block. The result doesn't depend on it; tests make it small.
    package var blockBytes = 1 << 19
    /// Records that types are inferred from.
    package var sampledRecords = 1000

    /// What pandas takes for missing, but for a few.
    public static let usualMissingMarkers = [
        "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>",
    ]

    public init() {}

    var threadCount: Int { threads > 0 ? min(threads, 256) : Workers.processorCount }

    func validate() throws {
        if let delimiter {
            guard !delimiter.isEmpty, delimiter.utf8.count <= 16, !delimiter.utf8.contains(0x0A),
                !delimiter.utf8.contains(0x22)
            else { throw ParameterError("delimiter", "must be 1 to 16 bytes without a newline or a double quote") }
        }
        guard threads >= 0 else { throw ParameterError("threads", "must be 0 (all processors) or more") }
        if let twice = dropped.first(where: { types[$0] != nil }) {
            throw ParameterError("types", "column '\(twice)' is dropped and can't have a type")
        }
    }
}

/// A column that turned out to hold something else than its first rows.
public struct WidenedColumn: Sendable, Codable, Equatable {
    public let column: String
    /// What the first rows looked like, and what the column was read as.
    public let inferred: ColumnType
    public let readAs: ColumnType
    /// How many values did not fit, and the first of them with its line (0 where unknown).
    public let values: Int
    public let example: String
    public let line: Int
}

/// What happened while a table was read.
public struct TableReadReport: Sendable, Codable, Equatable {
    /// Records in the file, bad ones included.
    public var rowsRead = 0
    public var rowsKept = 0
    public var rowsSkipped = 0
    /// The first few of the skipped rows.
    public var skippedExamples: [SkippedRow] = []
    /// Columns whose type was widened.
    public var widened: [WidenedColumn] = []
    /// By column: values that did not fit the type asked for and are missing now (``BadValueRule/missing``).
    public var badValues: [String: Int] = [:]
    /// By column: infinite numbers, which are read as missing.
    public var infiniteValues: [String: Int] = [:]
    /// Further remarks, each a sentence.
    public var remarks: [String] = []
    /// "csv" (any delimiter), "jsonl", "npy" or "sqlite".
    public var format = "csv"
    /// What stands between the fields; empty for other formats.
    public var delimiter = ""
    /// "none", "gzip" or "zstd".
    public var compression = "none"
    public var encoding = TextEncoding.utf8
    /// Bytes of text, decompressed and in UTF-8.
    public var bytesOfText = 0
    public var secondsToParse = 0.0
    public var secondsToAssemble = 0.0

    public init() {}

    /// All that a person should know, a sentence each.
    public var sentences: [String] {
        var result: [String] = []
        if rowsSkipped > 0 {
            let example = skippedExamples.first.map { " (line \($0.line): \($0.reason))" } ?? ""
            result.append("\(rowsSkipped) bad rows left out\(example)")
        }
        for column in widened {
            let place = column.line > 0 ? " in line \(column.line)" : ""
            result.append(
                "column '\(column.column)' looked like \(column.inferred.rawValue) but has \(column.values) values such as '\(column.example)'\(place): read as \(column.readAs.rawValue); --type '\(column.column)=\(column.inferred.rawValue)' with --on-bad-value missing takes them for missing"
            )
        }
        for (column, count) in badValues.sorted(by: { $0.key < $1.key }) {
            result.append("\(count) values of column '\(column)' don't fit its type and are missing now")
        }
        for (column, count) in infiniteValues.sorted(by: { $0.key < $1.key }) {
            result.append("\(count) infinite values of column '\(column)' are read as missing")
        }
        return result + remarks
    }
}
