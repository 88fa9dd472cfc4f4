import Core

/// Writes tables as delimited text, quoted only where needed. The file appears when it is complete.
public enum TableWriter {
    /// Writes a CSV with a header; missing values are empty.
    ///
    /// - Parameters:
    ///   - path: a name that ends in `.tsv` gets tabs instead of commas, one in `.jsonl` an object for each row.
    ///   - delimiter: nil for what the name says.
    public static func write(_ table: Table, to path: String, delimiter: String? = nil) throws {
        let file = try TableFile(path: path, delimiter: delimiter)
        try file.append(table)
        try file.commit()
    }
}

/// A file that tables of the same columns are written to, one after another.
public final class TableFile {
    private let file: AtomicFile
    private let writer: RowWriter
    private var names: [String]?
    /// Rows written so far.
    public private(set) var rows = 0

    /// As ``TableWriter/write(_:to:delimiter:)``.
    public init(path: String, delimiter: String? = nil) throws {
        file = try AtomicFile(path: path, bufferSize: 1 << 20)
        writer = RowWriter(path: path, delimiter: delimiter)
    }

    /// - Throws: ``Core/DataError`` when the columns are others than those of the first table.
    public func append(_ table: Table) throws {
        if let names {
            guard names == table.columnNames else {
                throw DataError("the parts of a table have unlike columns: \(Table.listed(table.columnNames))")
            }
        } else {
            names = table.columnNames
            try file.write(writer.header(table))
        }
        try writer.rows(table) { try file.write($0) }
        rows += table.rowCount
    }

    /// The file appears.
    public func commit() throws { try file.commit() }
}

/// The text of rows.
struct RowWriter {
    private let json: Bool
    private let delimiter: [UInt8]

    init(path: String, delimiter: String?) {
        json = delimiter == nil && (path.hasSuffix(".jsonl") || path.hasSuffix(".ndjson"))
        self.delimiter = Array((delimiter ?? (path.hasSuffix(".tsv") ? "\t" : ",")).utf8)
    }

    func header(_ table: Table) -> [UInt8] {
        guard !json else { return [] }
        var text: [UInt8] = []
        for (place, name) in table.columnNames.enumerated() {
            if place > 0 { text += delimiter }
            append(Array(name.utf8), to: &text, quoted: name.isEmpty)
        }
        return text + [0x0A]
    }

    func rows(_ table: Table, _ write: ([UInt8]) throws -> Void) throws {
        // Levels are quoted once.
        let columns = table.columns.map { column -> (Column, levels: [[UInt8]]) in
            guard case .category(_, let levels) = column.values else { return (column, []) }
            return (
                column,
                levels.map { level in
                    var text: [UInt8] = []
                    append(Array(level.utf8), to: &text, quoted: false)
                    return text
                }
            )
        }
        let names = table.columnNames.map { name -> [UInt8] in
            var text: [UInt8] = []
            Self.appendJSON(Array(name.utf8)[...], to: &text)
            return text
        }
        var text: [UInt8] = []
        for row in 0..<table.rowCount {
            if json { text.append(UInt8(ascii: "{")) }
            for (place, (column, levels)) in columns.enumerated() {
                if place > 0 { text += json ? [0x2C, 0x20] : delimiter }
                if json {
                    text += names[place]
                    text += [0x3A, 0x20]
                    appendValue(column, row, to: &text)
                    continue
                }
                switch column.values {
                case .category(let codes, _): if codes[row] >= 0 { text += levels[Int(codes[row])] }
                case .text(let packed), .identifier(let packed):
                    append(packed.utf8(row), to: &text, quoted: false)
                default: if let value = column.text(row) { text += value.utf8 }
                }
            }
            if columns.count == 1, !json, columns[0].0.isMissing(row) { text += [0x22, 0x22] }
            if json { text.append(UInt8(ascii: "}")) }
            text.append(0x0A)
            if text.count > 1 << 18 {
                try write(text)
                text.removeAll(keepingCapacity: true)
            }
        }
        if !text.isEmpty { try write(text) }
    }

    private func appendValue(_ column: Column, _ row: Int, to text: inout [UInt8]) {
        guard let value = column.text(row) else {
            text += "null".utf8
            return
        }
        if column.type.isNumeric { text += value.utf8 } else { Self.appendJSON(Array(value.utf8)[...], to: &text) }
    }

    private func append(_ field: some BidirectionalCollection<UInt8>, to text: inout [UInt8], quoted: Bool) {
        let special =
            quoted || field.contains { $0 == 0x22 || $0 == 0x0A || $0 == 0x0D || $0 == delimiter[0] }
            || field.first == 0x20 || field.last == 0x20
        guard special else {
            text += field
            return
        }
        text.append(0x22)
        for byte in field {
            if byte == 0x22 { text.append(0x22) }
            text.append(byte)
        }
        text.append(0x22)
    }

    private static func appendJSON(_ field: ArraySlice<UInt8>, to text: inout [UInt8]) {
        text.append(0x22)
        for byte in field {
            switch byte {
            case 0x22, 0x5C: text += [0x5C, byte]
            case 0x0A: text += [0x5C, UInt8(ascii: "n")]
            case 0x0D: text += [0x5C, UInt8(ascii: "r")]
            case 0x09: text += [0x5C, UInt8(ascii: "t")]
            case 0..<0x20:
                let hex = Array(String(byte, radix: 16).utf8)
                text += Array("\\u00".utf8) + (hex.count == 1 ? [0x30] : []) + hex
            default: text.append(byte)
            }
        }
        text.append(0x22)
    }
}
