/// A row that was left out, and why.
public struct SkippedRow: Sendable, Codable, Equatable {
    /// Line in the file, counted from 1.
    public let line: Int
    /// Name of the column concerned, if one is.
    public let column: String?
    /// What is wrong with it.
    public let reason: String
}

/// What happened while a table of interactions was read.
public struct ReadReport: Sendable, Codable, Equatable {
    /// Records in the file, bad ones included; neither the header nor blank lines.
    public var rowsRead = 0
    /// Rows that stayed, before duplicates were merged.
    public var rowsKept = 0
    /// Rows that could not be read and were skipped.
    public var rowsSkipped = 0
    /// The first few of the skipped rows.
    public var skippedExamples: [SkippedRow] = []
    /// Rows below the minimum value.
    public var rowsBelowMinimumValue = 0
    /// Rows that were merged into another with the same user and item.
    public var duplicatesMerged = 0
    /// Users, items and interactions left out because of the minimum number per user and item.
    public var usersBelowMinimum = 0
    public var itemsBelowMinimum = 0
    public var interactionsBelowMinimum = 0
    /// Smallest and largest value of a row, after event weights, before the minimum, decay and merging.
    public var minimumValueSeen: Float = 0
    public var maximumValueSeen: Float = 0
    /// Earliest and latest time of a kept row; nil when times were not read.
    public var minimumTimeSeen: Int64?
    public var maximumTimeSeen: Int64?
    /// Name of the column used for each role: "user", "item", "value", "time", "event".
    public var columnsByRole: [String: String] = [:]
    /// Whether the file has a time column, also when it was not needed.
    public var hasTimeColumn = false
    /// "csv" (any delimiter) or "jsonl".
    public var format = "csv"
    /// What stands between the fields; empty for JSON Lines.
    public var delimiter = ""
    /// "none", "gzip" or "zstd".
    public var compression = "none"
    /// The encoding in which the text was read.
    public var encoding = TextEncoding.utf8
    /// Bytes of text, decompressed and in UTF-8.
    public var bytesOfText = 0
    /// Seconds by phase. `parse` includes reading, decompression, and the numbering of identifiers within each thread;
    /// `index` makes one numbering of them; `order` builds the two sparse matrices.
    public var secondsToParse = 0.0
    public var secondsToIndex = 0.0
    public var secondsToOrder = 0.0

    public init() {}
}

/// Identifies data that was read: equal fingerprints mean equal interactions, read in the same way.
public struct DataFingerprint: Sendable, Codable, Equatable {
    /// Size of the file in bytes; of the text when it came from standard input.
    public let byteCount: Int
    /// Rows kept.
    public let rows: Int
    /// 128-bit hash, in hexadecimal, of the identifiers, the interactions and the options. Not cryptographic; the same
    /// for every number of threads.
    public let hash: String

    public init(byteCount: Int, rows: Int, hash: String) {
        self.byteCount = byteCount
        self.rows = rows
        self.hash = hash
    }
}
