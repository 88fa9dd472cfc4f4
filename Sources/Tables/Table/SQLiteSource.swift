import CSQLite
import Core

/// The rows of a statement on an SQLite database as CSV with a header, so that they are read as any other text: types are
/// inferred, and a column may be read twice. The database is opened for reading only, and nothing of it is held in memory.
final class SQLiteSource: ByteSource {
    private let path: String
    private var database: OpaquePointer?
    private var statement: OpaquePointer?
    private var text: [UInt8] = []
    private var position = 0
    private var ended = false

    /// The first bytes of a database file.
    static let magic = Array("SQLite format 3\0".utf8)

    /// - Parameter query: one statement that gives rows; nil for all rows of the only table.
    /// - Throws: ``Core/DataError`` for a statement that can't be run or gives no rows, ``Core/SystemError``.
    init(path: String, query: String?) throws {
        self.path = path
        let code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK else {
            let reason = database.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(database)
            throw SystemError(operation: "open", object: path, reason: reason)
        }
        do {
            try prepare(try query ?? onlyTable())
        } catch {
            sqlite3_finalize(statement)
            sqlite3_close_v2(database)
            (statement, database) = (nil, nil)
            throw error
        }
    }

    deinit {
        sqlite3_finalize(statement)
        sqlite3_close_v2(database)
    }

    private func prepare(_ query: String) throws {
        var rest: UnsafePointer<CChar>?
        let code: Int32 = query.withCString { start in
            let code = sqlite3_prepare_v2(database, start, -1, &statement, &rest)
            // Another statement would never be run: better to say so.
            guard code == SQLITE_OK, let rest, String(cString: rest).contains(where: { !$0.isWhitespace && $0 != ";" })
            else { return code }
            return SQLITE_MISUSE
        }
        if code == SQLITE_MISUSE { throw DataError("the query has more than one statement", file: path) }
        guard code == SQLITE_OK else {
            throw DataError("the query fails: \(String(cString: sqlite3_errmsg(database)))", file: path)
        }
        let columns = sqlite3_column_count(statement)
        guard columns > 0 else { throw DataError("the query gives no rows; it must be a SELECT", file: path) }
        for column in 0..<columns {
            if column > 0 { text.append(0x2C) }
            quote(sqlite3_column_name(statement, column).map { String(cString: $0) } ?? "")
        }
        text.append(0x0A)
    }

    /// The statement for all rows of the only table; throws with the tables there are.
    private func onlyTable() throws -> String {
        var names: [String] = []
        var list: OpaquePointer?
        defer { sqlite3_finalize(list) }
        let code = sqlite3_prepare_v2(
            database,
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name",
            -1, &list, nil)
        guard code == SQLITE_OK else {
            throw DataError("the database can't be read: \(String(cString: sqlite3_errmsg(database)))", file: path)
        }
        while sqlite3_step(list) == SQLITE_ROW {
            if let name = sqlite3_column_text(list, 0) { names.append(String(cString: name)) }
        }
        guard names.count == 1 else {
            throw DataError(
                names.isEmpty
                    ? "the database has no tables"
                    : "name the rows with --query; the tables are \(Table.listed(names))", file: path)
        }
        return "SELECT * FROM \""
            + names[0].split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while position == text.count, !ended {
            text.removeAll(keepingCapacity: true)
            position = 0
            while text.count < 1 << 16, !ended { try step() }
        }
        let count = min(buffer.count, text.count - position)
        if count > 0 { buffer.copyBytes(from: text[position..<position + count]) }
        position += count
        return count
    }

    private func step() throws {
        let code = sqlite3_step(statement)
        guard code == SQLITE_ROW else {
            ended = true
            guard code == SQLITE_DONE else {
                throw DataError("the query fails: \(String(cString: sqlite3_errmsg(database)))", file: path)
            }
            return
        }
        for column in 0..<sqlite3_column_count(statement) {
            if column > 0 { text.append(0x2C) }
            switch sqlite3_column_type(statement, column) {
            case SQLITE_NULL: break
            case SQLITE_INTEGER: text += String(sqlite3_column_int64(statement, column)).utf8
            case SQLITE_FLOAT: text += sqlite3_column_double(statement, column).description.utf8
            default:
                let count = Int(sqlite3_column_bytes(statement, column))
                guard count > 0, let bytes = sqlite3_column_text(statement, column) else { break }
                text.append(0x22)
                for byte in UnsafeBufferPointer(start: bytes, count: count) {
                    if byte == 0x22 { text.append(0x22) }
                    text.append(byte)
                }
                text.append(0x22)
            }
        }
        text.append(0x0A)
    }

    private func quote(_ field: String) {
        text.append(0x22)
        for byte in field.utf8 {
            if byte == 0x22 { text.append(0x22) }
            text.append(byte)
        }
        text.append(0x22)
    }
}
