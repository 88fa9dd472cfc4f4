import Core

/// Which columns of a table play which role.
///
/// A name given is used or the reading fails; where nil, a column is found by header names in common use (`user`,
/// `userId`, `user_id`, `customer_id`, …), compared without case, spaces, hyphens and underscores.
public struct InteractionColumns: Sendable, Equatable {
    /// Who acted.
    public var user: String?
    /// On what.
    public var item: String?
    /// How much: a rating, a number of pieces; 1 for every row when there is no such column.
    public var value: String?
    /// When.
    public var time: String?
    /// The kind of event; used only together with ``InteractionOptions/eventWeights``.
    public var event: String?

    public init(
        user: String? = nil, item: String? = nil, value: String? = nil, time: String? = nil, event: String? = nil
    ) {
        self.user = user
        self.item = item
        self.value = value
        self.time = time
        self.event = event
    }
}

/// What becomes of several rows with the same user and item.
public enum DuplicateRule: String, Sendable, Codable, CaseIterable {
    /// Their values are added up.
    case sum
    /// The latest counts, by the time column where there is one (the later in the file among equal times), else by
    /// the order in the file.
    case last
    /// The largest value counts.
    case max
    /// They are an error.
    case error
}

/// What becomes of a row that can't be read.
public enum BadRowRule: String, Sendable, Codable, CaseIterable {
    /// Reading ends with an error that names file, line and column.
    case fail
    /// The row is left out, counted and, for the first few, reported.
    case skip
}

/// The encoding of a text file.
public enum TextEncoding: String, Sendable, Codable, CaseIterable {
    /// UTF-8, or GB18030 when the text is not UTF-8 and looks like Chinese in GB18030 (which includes GBK and GB2312).
    case detected
    /// UTF-8, with or without a byte-order mark.
    case utf8 = "utf-8"
    /// The Chinese national standard; includes GBK and GB2312.
    case gb18030
    /// ISO 8859-1.
    case latin1 = "latin-1"
}

/// How a table of interactions is read.
public struct InteractionOptions: Sendable, Equatable {
    /// Columns by role.
    public var columns = InteractionColumns()
    /// Names of the columns of a file without a header, in order; `-` or `_` for one to leave out. Nil: the first
    /// record is the header.
    public var headerlessColumns: [String]?
    /// What stands between fields, any text; nil: found among comma, tab, semicolon, bar and `::`.
    public var delimiter: String?
    /// Whether double quotes enclose fields, as in RFC 4180; nil: yes, but not in files separated by tabs or `::`,
    /// which by custom have none.
    public var quoting: Bool?
    /// Weight of each kind of event; `*` stands for all others. A row's value is multiplied by its event's weight.
    public var eventWeights: [String: Float] = [:]
    /// Values lose half their weight in this many days before ``asOf``; above 0.
    public var halfLifeDays: Double?
    /// The time from which decay counts, in seconds since 1970; nil: the latest time in the data.
    public var asOf: Int64?
    /// Rows whose value (times the event's weight, before decay) is below are left out, before duplicates are merged.
    public var minimumValue: Float?
    /// Users with fewer items are left out; together with ``minimumPerItem`` until nothing changes any more.
    public var minimumPerUser = 1
    /// Items with fewer users are left out.
    public var minimumPerItem = 1
    /// The rule for several rows with the same user and item.
    public var duplicates = DuplicateRule.sum
    /// The rule for rows that can't be read.
    public var onBadRow = BadRowRule.fail
    /// Keep the times (8 bytes an interaction). Without, a time column is not even parsed, unless decay or
    /// ``DuplicateRule/last`` need it.
    public var needsTimes = false
    /// Threads to use; 0: one for each processor. The result doesn't depend on it.
    public var threads = 0
    /// The encoding of the text.
    public var encoding = TextEncoding.detected

    /// Text per block: fits the second-level cache together with the tables of identifiers. The result doesn't depend
    /// on it; tests make it small.
    package var blockBytes = 1 << 19

    public init() {}

    var threadCount: Int { threads > 0 ? min(threads, 256) : Workers.processorCount }

    /// Throws ``Core/ParameterError`` for values that make no sense.
    func validate() throws {
        if let delimiter {
            guard !delimiter.isEmpty, delimiter.utf8.count <= 16, !delimiter.utf8.contains(0x0A),
                !delimiter.utf8.contains(0x22)
            else { throw ParameterError("delimiter", "must be 1 to 16 bytes without a newline or a double quote") }
        }
        if let halfLifeDays, !(halfLifeDays > 0 && halfLifeDays.isFinite) {
            throw ParameterError("halfLifeDays", "must be above 0, not \(halfLifeDays)")
        }
        if let minimumValue, !minimumValue.isFinite {
            throw ParameterError("minimumValue", "must be a finite number, not \(minimumValue)")
        }
        guard minimumPerUser >= 0 else { throw ParameterError("minimumPerUser", "must be 0 or more") }
        guard minimumPerItem >= 0 else { throw ParameterError("minimumPerItem", "must be 0 or more") }
        guard threads >= 0 else { throw ParameterError("threads", "must be 0 (all processors) or more") }
        for (kind, weight) in eventWeights where !weight.isFinite {
            throw ParameterError("eventWeights", "the weight of '\(kind)' must be a finite number, not \(weight)")
        }
        if columns.event != nil && eventWeights.isEmpty {
            throw ParameterError("eventWeights", "an event column needs weights, such as purchase=5, or *=1 for all")
        }
    }

    /// All that decides what is read, in one line: part of the fingerprint and of a cache's key. Threads are not in it.
    public var key: String {
        var parts: [String] = []
        func add(_ name: String, _ value: String?) {
            guard let value else { return }
            parts.append("\(name)=\(value.utf8.count):\(value)")
        }
        add("user", columns.user)
        add("item", columns.item)
        add("value", columns.value)
        add("time", columns.time)
        add("event", columns.event)
        add("columns", headerlessColumns.map { $0.map { "\($0.utf8.count):\($0)" }.joined(separator: ",") })
        add("delimiter", delimiter)
        add("quoting", quoting.map { "\($0)" })
        for (kind, weight) in eventWeights.sorted(by: { $0.key < $1.key }) { add("weight \(kind)", "\(weight)") }
        add("halfLife", halfLifeDays.map { "\($0)" })
        add("asOf", asOf.map { "\($0)" })
        add("minimumValue", minimumValue.map { "\($0)" })
        add("minimumPerUser", "\(max(minimumPerUser, 1))")
        add("minimumPerItem", "\(max(minimumPerItem, 1))")
        add("duplicates", duplicates.rawValue)
        add("onBadRow", onBadRow.rawValue)
        add("times", "\(needsTimes)")
        add("encoding", encoding.rawValue)
        return parts.joined(separator: ";")
    }
}
