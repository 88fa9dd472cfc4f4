import Core

/// Rows and named, typed columns, stored by column.
public struct Table: Sendable {
    public private(set) var columns: [Column]
    /// Number of rows; also known when there are no columns.
    public let rowCount: Int
    private var places: [String: Int]

    /// - Throws: ``Core/DataError`` for columns of unlike length or equal name.
    public init(_ columns: [Column], rowCount: Int? = nil) throws(DataError) {
        let rows = rowCount ?? columns.first?.count ?? 0
        var places: [String: Int] = [:]
        for (place, column) in columns.enumerated() {
            guard column.count == rows else {
                throw DataError("there are \(column.count) rows where others have \(rows)", column: column.name)
            }
            guard places.updateValue(place, forKey: column.name) == nil else {
                throw DataError("two columns have this name", column: column.name)
            }
        }
        self.columns = columns
        self.rowCount = rows
        self.places = places
    }

    /// For columns that are known to fit.
    init(trusted columns: [Column], rowCount: Int) {
        self.columns = columns
        self.rowCount = rowCount
        places = Dictionary(uniqueKeysWithValues: columns.enumerated().map { ($1.name, $0) })
    }

    public var columnNames: [String] { columns.map(\.name) }

    /// Position of a column.
    public func index(of name: String) -> Int? { places[name] }

    /// A column by name.
    public subscript(name: String) -> Column? { places[name].map { columns[$0] } }

    /// A column that must be there. Throws ``Core/DataError`` that lists the columns there are.
    public func column(_ name: String) throws(DataError) -> Column {
        if let column = self[name] { return column }
        throw DataError("there is no column '\(name)'; the columns are \(Table.listed(columnNames))")
    }

    static func listed(_ names: [String]) -> String {
        let shown = names.prefix(40).map { "'\($0)'" }.joined(separator: ", ")
        return names.count > 40 ? shown + " and \(names.count - 40) more" : shown
    }

    /// Names and types.
    public var schema: TableSchema {
        TableSchema(columns: columns.map { TableSchema.Entry(name: $0.name, type: $0.type) })
    }

    /// With a column added, or put in the place of the one of that name.
    public func setting(_ column: Column) throws(DataError) -> Table {
        var changed = columns
        if let place = places[column.name] { changed[place] = column } else { changed.append(column) }
        return try Table(changed, rowCount: columns.isEmpty ? nil : rowCount)
    }

    /// Only these columns, in this order.
    public func selecting(_ names: [String]) throws(DataError) -> Table {
        var picked: [Column] = []
        for name in names { picked.append(try column(name)) }
        return try Table(picked, rowCount: rowCount)
    }

    /// Without these columns, which must be there.
    public func dropping(_ names: [String]) throws(DataError) -> Table {
        for name in names { _ = try column(name) }
        let gone = Set(names)
        return Table(trusted: columns.filter { !gone.contains($0.name) }, rowCount: rowCount)
    }

    /// Some rows, in the order given; a row may be named several times (over-sampling, bootstrap). O(rows · columns).
    public func selecting(rows: [Int]) -> Table {
        Table(trusted: columns.map { $0.selecting(rows) }, rowCount: rows.count)
    }

    /// The rows for which `keep` holds.
    public func filtered(_ keep: (Int) -> Bool) -> Table { selecting(rows: (0..<rowCount).filter(keep)) }

    /// Without the rows that miss a value in one of these columns; nil for all columns. O(rows · columns).
    public func droppingMissing(in names: [String]? = nil) throws(DataError) -> Table {
        var checked: [Column] = columns
        if let names { checked = try selecting(names).columns }
        var keep = [Bool](repeating: true, count: rowCount)
        for column in checked {
            for row in 0..<rowCount where keep[row] && column.isMissing(row) { keep[row] = false }
        }
        return filtered { keep[$0] }
    }
}

/// Names and types of a table's columns.
public struct TableSchema: Sendable, Codable, Equatable {
    public struct Entry: Sendable, Codable, Equatable {
        public let name: String
        public let type: ColumnType

        public init(name: String, type: ColumnType) {
            self.name = name
            self.type = type
        }
    }

    public var columns: [Entry]

    public init(columns: [Entry]) { self.columns = columns }

    /// Types by name.
    public var types: [String: ColumnType] { Dictionary(columns.map { ($0.name, $0.type) }) { first, _ in first } }
}
