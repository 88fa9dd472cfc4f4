import Core

/// How a table is ordered by one column.
public struct SortKey: Sendable, Equatable {
    public let column: String
    public let descending: Bool

    public init(_ column: String, descending: Bool = false) {
        self.column = column
        self.descending = descending
    }
}

extension Table {
    /// The rows for which a condition is true. O(rows).
    public func filtered(_ condition: TableExpression) throws(DataError) -> Table {
        let truth = try condition.truth(self)
        return filtered { truth[$0] == 1 }
    }

    /// With a column computed from others.
    public func deriving(_ name: String, _ expression: TableExpression) throws(DataError) -> Table {
        try setting(Column(name, .number(try expression.numbers(self))))
    }

    /// Ordered by columns, the first deciding before the second; rows that are equal keep their order, missing values
    /// come last. Categories and texts are ordered by their bytes. O(rows · log rows).
    public func sorted(by keys: [SortKey]) throws(DataError) -> Table {
        var orders: [(ranks: [Double], descending: Bool)] = []
        for key in keys { orders.append((try column(key.column).ranks, key.descending)) }
        let rows = (0..<rowCount).sorted { a, b in
            for (ranks, descending) in orders {
                let (x, y) = (ranks[a], ranks[b])
                if x == y || (x.isNaN && y.isNaN) { continue }
                if x.isNaN || y.isNaN { return y.isNaN }
                return descending ? x > y : x < y
            }
            return a < b
        }
        return selecting(rows: rows)
    }

    /// One of the rows that are equal in some columns (nil: in all): the first, or the last. O(rows).
    public func deduplicated(on names: [String]? = nil, keepLast: Bool = false) throws(DataError) -> Table {
        let keys = try RowKeys(names.map { names throws(DataError) in try selecting(names).columns } ?? columns)
        var kept = [Int](repeating: -1, count: keys.count)
        for row in 0..<rowCount where keepLast || kept[keys.numbers[row]] < 0 { kept[keys.numbers[row]] = row }
        return selecting(rows: kept.sorted())
    }

    /// Tables one below the other. Columns are matched by name; where one is not there its values are missing. Unlike
    /// types become the wider of two numeric ones, or category.
    public static func appending(_ tables: [Table]) throws(DataError) -> Table {
        var names: [String] = []
        var seen: Set<String> = []
        for table in tables { for name in table.columnNames where seen.insert(name).inserted { names.append(name) } }
        let rows = tables.reduce(0) { $0 + $1.rowCount }
        var columns: [Column] = []
        for name in names {
            let types = Set(tables.compactMap { $0[name]?.type })
            let type: ColumnType =
                types.count == 1 ? types.first ?? .number : types.allSatisfy(\.isNumeric) ? .number : .category
            var parts: [Column] = []
            for table in tables {
                let part = table[name] ?? Column(name, .number([Double](repeating: .nan, count: table.rowCount)))
                parts.append(try part.converted(to: type))
            }
            columns.append(Column.joining(name, parts, type))
        }
        return try Table(columns, rowCount: rows)
    }

    /// With features of a date column added: `NAME year`, `NAME weekday`, …
    public func addingDateParts(of name: String, _ parts: [DatePart]) throws -> Table {
        var result = self
        for column in try DateSteps.columns(try column(name), parts) { result = try result.setting(column) }
        return result
    }
}

extension Column {
    /// Numbers that order the rows as the values do; NaN where missing.
    var ranks: [Double] {
        if let numbers { return numbers }
        guard case .category(let codes, let levels) = CategorySteps.category(self).values else { return [] }
        let order = levels.indices.sorted { levels[$0] < levels[$1] }
        var rank = [Double](repeating: 0, count: levels.count)
        for (place, level) in order.enumerated() { rank[level] = Double(place) }
        return codes.map { $0 < 0 ? .nan : rank[Int($0)] }
    }

    /// Columns of one type, one below the other.
    static func joining(_ name: String, _ parts: [Column], _ type: ColumnType) -> Column {
        func all<Value>(_ pick: (ColumnValues) -> [Value]?) -> [Value] { parts.flatMap { pick($0.values) ?? [] } }
        func texts() -> PackedText {
            var bytes: [UInt8] = []
            var offsets: [Int64] = [0]
            for part in parts {
                guard let text = part.packedText else { continue }
                let base = Int64(bytes.count)
                bytes += text.bytes
                offsets += text.offsets.dropFirst().map { $0 + base }
            }
            return PackedText(bytes: bytes, offsets: offsets)
        }
        switch type {
        case .number: return Column(name, .number(all { if case .number(let values) = $0 { values } else { nil } }))
        case .integer: return Column(name, .integer(all { if case .integer(let values) = $0 { values } else { nil } }))
        case .boolean: return Column(name, .boolean(all { if case .boolean(let values) = $0 { values } else { nil } }))
        case .date: return Column(name, .date(all { if case .date(let values) = $0 { values } else { nil } }))
        case .text: return Column(name, .text(texts()))
        case .identifier: return Column(name, .identifier(texts()))
        case .category:
            var levels: [String] = []
            var places: [String: Int32] = [:]
            var codes: [Int32] = []
            for part in parts {
                guard case .category(let own, let names) = part.values else { continue }
                let map = names.map { level -> Int32 in
                    if let known = places[level] { return known }
                    let code = Int32(levels.count)
                    places[level] = code
                    levels.append(level)
                    return code
                }
                codes += own.map { $0 < 0 ? -1 : map[Int($0)] }
            }
            return Column(name, .category(codes: codes, levels: levels))
        }
    }

    /// The bytes of a text or identifier column.
    var packedText: PackedText? {
        switch values {
        case .text(let text), .identifier(let text): text
        default: nil
        }
    }
}
