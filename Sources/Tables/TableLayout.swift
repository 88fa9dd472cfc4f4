import CVectorLoops
import Core

/// What a column is for. The raw values are the roles' numbers in the parsing loops.
enum Role: Int, CaseIterable {
    case user, item, value, time, event

    var name: String {
        switch self {
        case .user: "user"
        case .item: "item"
        case .value: "value"
        case .time: "time"
        case .event: "event"
        }
    }

    /// Header names in common use, without case, spaces, hyphens, underscores and dots.
    var commonNames: [String] {
        switch self {
        case .user:
            [
                "user", "userid", "customer", "customerid", "visitor", "visitorid", "uid", "member", "memberid",
                "client", "clientid", "buyer", "buyerid", "account", "accountid", "reviewer", "reviewerid", "person",
                "personid", "cust", "custid", "username", "session", "sessionid",
            ]
        case .item:
            [
                "item", "itemid", "movie", "movieid", "product", "productid", "artist", "artistid", "stockcode", "sku",
                "iid", "article", "articleid", "book", "bookid", "isbn", "asin", "track", "trackid", "song", "songid",
                "goods", "goodsid", "business", "businessid", "offer", "offerid", "film", "filmid", "game", "gameid",
                "video", "videoid", "content", "contentid", "productcode", "itemcode",
            ]
        case .value:
            [
                "value", "rating", "ratings", "weight", "count", "quantity", "plays", "playcount", "score", "stars",
                "strength", "amount", "qty", "overall", "rate", "clicks", "views", "confidence",
            ]
        case .time:
            [
                "time", "timestamp", "ts", "date", "datetime", "invoicedate", "unixtime", "unixtimestamp", "epoch",
                "unixreviewtime", "eventtime", "createdat", "orderdate", "purchasedate", "ratedat", "created",
                "createtime",
            ]
        case .event: ["event", "eventtype", "action", "behavior", "behaviour", "eventname", "eventkind", "actiontype"]
        }
    }

    static func normalized(_ name: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in name.lowercased().unicodeScalars {
            switch scalar {
            case " ", "_", "-", ".", "\u{FEFF}", "\"": continue
            default: scalars.append(scalar)
            }
        }
        return String(scalars)
    }
}

/// How the records of a file look: found from its first bytes and the options.
struct TableLayout {
    /// JSON Lines instead of delimited text.
    var json = false
    var delimiter: [UInt8] = []
    var quoting = false
    /// Names of the columns (of the keys of the first object); empty names for columns to leave out.
    var columnNames: [String] = []
    /// Bytes of the header record, to be skipped.
    var headerLength = 0
    var hasHeader = true
    /// Column of each role that is used.
    var columns: [Role: Int] = [:]
    /// Whether there is a time column, used or not.
    var hasTimeColumn = false
    /// Times are dates of eight digits.
    var calendarTimes = false

    func columnName(_ role: Role) -> String? { columns[role].map { columnNames[$0] } }

    init(sample: UnsafeBufferPointer<UInt8>, complete: Bool, path: String, options: InteractionOptions) throws {
        json = TableLayout.isJSON(sample, path: path) && options.delimiter == nil && options.headerlessColumns == nil
        if json {
            guard let keys = JSONKeys.ofFirstObject(sample) else {
                throw DataError("the first line is not a JSON object", file: path, line: 1)
            }
            columnNames = keys
        } else {
            delimiter = options.delimiter.map { Array($0.utf8) } ?? TableLayout.detectDelimiter(sample)
            quoting = options.quoting ?? (delimiter != [0x09] && delimiter.count == 1)
            try readColumnNames(sample, complete: complete, path: path, options: options)
        }
        try assignRoles(sample, path: path, options: options)
        calendarTimes = hasCalendarTimes(sample)
    }

    static func isJSON(_ sample: UnsafeBufferPointer<UInt8>, path: String) -> Bool {
        var name = path.lowercased()
        for suffix in [".gz", ".zst", ".zstd"] where name.hasSuffix(suffix) { name.removeLast(suffix.count) }
        if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") { return true }
        return sample.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D } == UInt8(ascii: "{")
    }

    /// The separator that gives every record of the sample the same number of fields, at least two; the one with the
    /// most fields where there are several.
    static func detectDelimiter(_ sample: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        let candidates: [[UInt8]] = [[0x09], [0x3A, 0x3A], [0x3B], [0x7C], [0x2C]]
        var best: (regular: Bool, count: Int, delimiter: [UInt8]) = (false, 1, [0x2C])
        for candidate in candidates {
            let splitter = RecordSplitter(
                delimiter: candidate, quoting: candidate != [0x09] && candidate.count == 1)
            let counts = splitter.records(in: sample, limit: 20).map(\.count)
            guard let first = counts.first, first > 1 else { continue }
            let regular = counts.allSatisfy { $0 == first }
            if (regular && !best.regular) || (regular == best.regular && first > best.count) {
                best = (regular, first, candidate)
            }
        }
        return best.delimiter
    }

    private mutating func readColumnNames(
        _ sample: UnsafeBufferPointer<UInt8>, complete: Bool, path: String, options: InteractionOptions
    ) throws {
        let splitter = RecordSplitter(delimiter: delimiter, quoting: quoting)
        let (first, length) = splitter.record(in: sample, from: 0)
        if let names = options.headerlessColumns {
            hasHeader = false
            columnNames = names.map { $0 == "-" || $0 == "_" ? "" : $0 }
            if !first.isEmpty, first.count != names.count {
                throw DataError(
                    "the row has \(first.count) fields, but \(names.count) columns are named; name every column, with - for one to leave out",
                    file: path, line: splitter.firstLine(of: sample))
            }
            return
        }
        if !complete && length >= sample.count {
            throw DataError("the header is longer than \(sample.count) bytes; is this a table?", file: path, line: 1)
        }
        columnNames = first
        headerLength = length
    }

    private mutating func assignRoles(
        _ sample: UnsafeBufferPointer<UInt8>, path: String, options: InteractionOptions
    ) throws {
        let wanted: [Role: String?] = [
            .user: options.columns.user, .item: options.columns.item, .value: options.columns.value,
            .time: options.columns.time, .event: options.columns.event,
        ]
        // Named columns first, so that a name in common use doesn't take one of them for another role.
        for role in Role.allCases {
            guard let name = wanted[role] ?? nil else { continue }
            let exact = columnNames.firstIndex(of: name)
            let loose = columnNames.firstIndex { !$0.isEmpty && Role.normalized($0) == Role.normalized(name) }
            guard let place = exact ?? loose else {
                throw missing("there is no column '\(name)'", sample, path: path, line: headerLine(sample))
            }
            columns[role] = place
        }
        for role in Role.allCases where columns[role] == nil {
            // The order of the names in common use decides when several columns fit.
            for common in role.commonNames {
                let place = columnNames.firstIndex { Role.normalized($0) == common }
                if let place, !columns.values.contains(place) {
                    columns[role] = place
                    break
                }
            }
        }
        for role in [Role.user, .item] where columns[role] == nil {
            throw missing("no column is known as the \(role.name)", sample, path: path, line: headerLine(sample))
        }
        if columns[.user] == columns[.item] {
            throw DataError("one column can't be both user and item", file: path, column: columnName(.user))
        }
        hasTimeColumn = columns[.time] != nil
        if options.eventWeights.isEmpty {
            columns[.event] = nil
        } else if columns[.event] == nil {
            throw missing("no column is known as the event", sample, path: path, line: headerLine(sample))
        }
        let usesTimes = options.needsTimes || options.halfLifeDays != nil || options.duplicates == .last
        if options.halfLifeDays != nil && columns[.time] == nil {
            throw missing("decay needs a time column, and none is known", sample, path: path, line: headerLine(sample))
        }
        if !usesTimes { columns[.time] = nil }
    }

    private func headerLine(_ sample: UnsafeBufferPointer<UInt8>) -> Int? {
        hasHeader
            ? RecordSplitter(delimiter: delimiter.isEmpty ? [0x2C] : delimiter, quoting: false).firstLine(of: sample)
            : nil
    }

    private func missing(_ reason: String, _ sample: UnsafeBufferPointer<UInt8>, path: String, line: Int?) -> DataError
    {
        if !json && hasHeader && TableLayout.looksLikeData(columnNames) {
            return DataError(
                "the first line looks like data, not like a header; name the columns of a file without header in their order, such as user,item,rating,time, with - for one to leave out",
                file: path, line: line)
        }
        let names = columnNames.map { "'\($0)'" }.joined(separator: ", ")
        let hint = delimiter.isEmpty ? "" : ", separated by \(TableLayout.shown(delimiter))"
        return DataError("\(reason); the columns are \(names)\(hint)", file: path, line: line)
    }

    static func shown(_ delimiter: [UInt8]) -> String {
        switch delimiter {
        case [0x09]: "tabs"
        case [0x2C]: "commas"
        case [0x3B]: "semicolons"
        default: "'\(String(decoding: delimiter, as: UTF8.self))'"
        }
    }

    /// Column names are words; a field that is a number or a date says that the line is data.
    private static func looksLikeData(_ fields: [String]) -> Bool {
        fields.contains { field in
            let text = Array(field.utf8)
            guard !text.isEmpty else { return false }
            var number = 0.0
            var time: Int64 = 0
            return apus_parse_number(text, Int64(text.count), &number) == 0
                || apus_parse_time(text, Int64(text.count), 0, &time) == 0
        }
    }

    /// Eight digits can be a date or seconds since 1970; they are dates when all of the first rows are.
    private func hasCalendarTimes(_ sample: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let column = columns[.time] else { return false }
        var values: [String]
        if json {
            values = JSONKeys.values(of: columnNames[column], in: sample, limit: 50)
        } else {
            let splitter = RecordSplitter(delimiter: delimiter, quoting: quoting)
            values = splitter.records(in: sample, limit: 50).dropFirst(hasHeader ? 1 : 0)
                .compactMap { column < $0.count ? $0[column] : nil }
        }
        values.removeAll { $0.isEmpty }
        return !values.isEmpty
            && values.allSatisfy { apus_is_calendar_date(Array($0.utf8), Int64($0.utf8.count)) == 1 }
    }
}
