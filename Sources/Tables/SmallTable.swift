import Core

/// A delimited text table held in memory as strings: lists of users, titles of items, pairs to predict.
///
/// Compression, encoding, delimiter and quotes are handled as by ``InteractionReader``. For files of up to some
/// millions of rows.
public struct SmallTable: Sendable {
    /// Names of the columns.
    public let columns: [String]
    /// Rows; each has as many fields as there are columns.
    public let rows: [[String]]
    /// The file.
    public let path: String

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: the file, or `-` for standard input.
    ///   - columns: names of the columns of a file without a header; nil takes them from the first record.
    ///   - delimiter: nil finds it.
    /// - Throws: ``Core/SystemError``; ``Core/DataError`` with line for ragged rows, an empty file, damaged compression.
    public init(path: String, columns: [String]? = nil, delimiter: String? = nil) throws {
        var report = ReadReport()
        let text = try OpenedText(try FileSource(path: path), encoding: .detected, report: &report)
        var bytes = text.sample
        if !text.complete {
            var block = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = try block.withUnsafeMutableBytes { try text.source.fill($0) }
                if count == 0 { break }
                bytes += block[..<count]
            }
        }
        var (names, rows): ([String], [[String]]) = (columns ?? [], [])
        try bytes.withUnsafeBufferPointer { bytes in
            let separator = delimiter.map { Array($0.utf8) } ?? TableLayout.detectDelimiter(bytes)
            let splitter = RecordSplitter(delimiter: separator, quoting: separator != [0x09] && separator.count == 1)
            var (place, line) = (0, 1)
            while place < bytes.count {
                let (fields, end) = splitter.record(in: bytes, from: place)
                defer {
                    for byte in bytes[place..<end] where byte == 0x0A { line += 1 }
                    place = end
                }
                if fields.isEmpty { continue }
                if names.isEmpty {
                    names = fields
                } else if fields.count == names.count {
                    rows.append(fields)
                } else {
                    throw DataError(
                        "\(fields.count) fields where \(names.count) are expected", file: path, line: line)
                }
            }
        }
        self.columns = names
        self.rows = rows
        self.path = path
    }

    /// Position of the first column whose name, compared without case, spaces, hyphens and underscores, is among
    /// `names`. Throws ``Core/DataError`` that lists the columns found.
    public func column(_ role: String, among names: [String]) throws -> Int {
        let wanted = Set(names.map(Role.normalized))
        if let place = columns.firstIndex(where: { wanted.contains(Role.normalized($0)) }) { return place }
        throw DataError(
            "no column for the \(role); found: \(columns.joined(separator: ", "))", file: path, line: 1)
    }

    /// Header names in common use for users, items, and titles of items.
    public static let userNames = Role.user.commonNames
    public static let itemNames = Role.item.commonNames + ["id"]
    public static let titleNames = ["title", "name", "itemname", "itemtitle", "productname", "description", "artist"]
}
