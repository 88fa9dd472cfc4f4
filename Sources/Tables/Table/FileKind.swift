import Core

/// Files that are no text, by their first bytes.
enum FileKind {
    case text, numpy, sqlite, idx

    init(path: String) throws {
        let source = try FileSource(path: path)
        var start = [UInt8](repeating: 0, count: 16)
        let count = try start.withUnsafeMutableBytes { try source.fill($0) }
        if start[..<count].starts(with: [0x93] + Array("NUMPY".utf8)) {
            self = .numpy
        } else if Array(start[..<count]) == SQLiteSource.magic {
            self = .sqlite
        } else if IDXFile.isOne(path, start: start[..<count]) {
            self = .idx
        } else {
            self = .text
        }
    }
}

extension TableReader {
    /// The columns of a matrix, `x0`, `x1`, …: numbers as float32 has them, whole ones as integers.
    static func readNumPy(_ path: String, _ options: TableReadOptions) throws -> (table: Table, report: TableReadReport)
    {
        let matrix = try NumPyFile(path: path, flattening: true)
        let values = try matrix.matrix()
        let whole = !matrix.elementType.hasPrefix("f")
        let names = options.headerlessColumns ?? (0..<values.columns).map { "x\($0)" }
        guard names.count == values.columns else {
            throw DataError("\(names.count) columns are named, and the matrix has \(values.columns)", file: path)
        }
        var report = TableReadReport()
        report.format = "npy"
        (report.rowsRead, report.rowsKept) = (values.rows, values.rows)
        var columns: [Column] = []
        let selected = options.selected.map { Set($0) }
        for (place, name) in names.enumerated()
        where !options.dropped.contains(name) && selected?.contains(name) != false {
            var infinite = 0
            let numbers = (0..<values.rows).map { row -> Double in
                let value = Double(values[row, place])
                if value.isInfinite { infinite += 1 }
                return value.isInfinite ? .nan : value
            }
            if infinite > 0 { report.infiniteValues[name] = infinite }
            let column =
                matrix.elementType == "b1"
                ? Column(name, .boolean(numbers.map { Int8($0) }))
                : whole ? Column(name, .integer(numbers.map { Int64($0) })) : Column(name, .number(numbers))
            columns.append(try options.types[name].map { try column.converted(to: $0) } ?? column)
        }
        if matrix.elementType == "f8" || matrix.elementType.hasSuffix("8") && whole {
            report.remarks.append("values are read as float32, with 24 bits")
        }
        return (try Table(columns, rowCount: values.rows), report)
    }

    /// The elements of an IDX file: a row for each step of the first extent, columns `x0`, `x1`, …
    static func readIDX(_ path: String, _ options: TableReadOptions) throws -> (table: Table, report: TableReadReport) {
        let file = try IDXFile(path: path)
        let rows = file.shape[0]
        let width = rows > 0 ? file.elements.count / rows : 0
        let names = options.headerlessColumns ?? (0..<width).map { "x\($0)" }
        guard names.count == width else {
            throw DataError("\(names.count) columns are named, and the file has \(width)", file: path)
        }
        var report = TableReadReport()
        report.format = "idx"
        (report.rowsRead, report.rowsKept) = (rows, rows)
        let selected = options.selected.map { Set($0) }
        var columns: [Column] = []
        for (place, name) in names.enumerated()
        where !options.dropped.contains(name) && selected?.contains(name) != false {
            let column = Column(name, .integer((0..<rows).map { Int64(file.elements[$0 * width + place]) }))
            columns.append(try options.types[name].map { try column.converted(to: $0) } ?? column)
        }
        return (try Table(columns, rowCount: rows), report)
    }
}
