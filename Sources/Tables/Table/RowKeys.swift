import CVectorLoops
import Core

/// Rows numbered by what they hold in some columns: equal rows have equal numbers, counted by first appearance.
struct RowKeys {
    /// By row.
    let numbers: [Int]
    /// Number of distinct keys.
    let count: Int
    /// Rows that miss a value in one of the columns.
    let incomplete: [Bool]
    private let table: KeyTable

    init(_ columns: [Column]) throws(DataError) {
        let table = KeyTable()
        let rows = columns.first?.count ?? 0
        var numbers: [Int] = []
        numbers.reserveCapacity(rows)
        var incomplete = [Bool](repeating: false, count: rows)
        var key: [UInt8] = []
        for row in 0..<rows {
            incomplete[row] = RowKeys.write(columns, row, to: &key)
            numbers.append(try table.add(key))
        }
        self.numbers = numbers
        self.incomplete = incomplete
        self.table = table
        count = table.count
    }

    /// Numbers of the rows of other columns; −1 for keys that are not here and for rows that miss a value.
    func find(_ columns: [Column]) -> [Int] {
        let rows = columns.first?.count ?? 0
        var key: [UInt8] = []
        return (0..<rows).map { row in RowKeys.write(columns, row, to: &key) ? -1 : table.find(key) }
    }

    /// The values of a row as bytes; true when one is missing. Equal values give equal bytes, whatever the types.
    private static func write(_ columns: [Column], _ row: Int, to key: inout [UInt8]) -> Bool {
        key.removeAll(keepingCapacity: true)
        var missing = false
        for (place, column) in columns.enumerated() {
            if place > 0 { key.append(0x1F) }
            if let text = column.packedText {
                if text.isEmpty(row) { missing = true }
                key += text.utf8(row)
            } else if let text = column.text(row) {
                key += text.utf8
            } else {
                missing = true
                key.append(0x1E)
            }
        }
        return missing
    }
}

/// An intern table that frees itself.
private final class KeyTable: @unchecked Sendable {
    private let table: OpaquePointer?

    init() { table = apus_identifiers_create() }

    deinit { apus_identifiers_destroy(table) }

    var count: Int { table.map { Int(apus_identifiers_count($0)) } ?? 0 }

    func add(_ key: [UInt8]) throws(DataError) -> Int {
        let number = table.map { table in key.withUnsafeBufferPointer { Self.add($0, to: table) } } ?? -1
        guard number >= 0 else { throw DataError("there are more than 2^31 - 1 distinct rows, or memory is out") }
        return number
    }

    private static func add(_ key: UnsafeBufferPointer<UInt8>, to table: OpaquePointer) -> Int {
        var none: UInt8 = 0
        return withUnsafePointer(to: &none) {
            Int(apus_identifiers_add(table, key.baseAddress ?? $0, Int64(key.count), 0))
        }
    }

    func find(_ key: [UInt8]) -> Int {
        guard let table else { return -1 }
        var none: UInt8 = 0
        return key.withUnsafeBufferPointer { key in
            withUnsafePointer(to: &none) { Int(apus_identifiers_find(table, key.baseAddress ?? $0, Int64(key.count))) }
        }
    }
}
