import Core
import FoundationEssentials
import Learners
import Tables

/// A file that is larger than the memory for it, read in parts again and again.
final class StreamedTableReading {
    private let roles: TableRoles
    private let columns: [String]?
    private let limitBytes: Int
    private let parts: TableParts

    init(
        data: TableFlags, roles: TableRoles, columns: [String]?, limitBytes: Int, global: GlobalOptions,
        progress: ProgressDisplay
    ) throws {
        (self.roles, self.columns, self.limitBytes) = (roles, columns, limitBytes)
        parts = try TableParts(data.data, options: try data.options(global), progress: progress.handler)
    }

    /// The memory that the file would exceed, or nil when it can be read as a whole. A table is taken for four times
    /// as large as its text, and the text of a compressed file for five times as large as the file. Streams and arrays are never divided.
    static func limit(of path: String, _ global: GlobalOptions) -> Int? {
        guard TableReader.readsInParts(path),
            let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        else { return nil }
        let limit = global.memoryLimit?.bytes ?? physicalMemoryBytes()
        let text = path.hasSuffix(".gz") || path.hasSuffix(".zst") ? 5 * size : size
        return text > limit / 4 ? limit : nil
    }

    /// Bytes of encoded rows in memory at a time.
    var partBytes: Int { max(limitBytes / 16, 1 << 20) }

    /// Rows of the sample: at 64 numbers each they take an eighth of the memory.
    var sampleRows: Int { min(max(limitBytes / 8 / (8 * 64), 5000), 1_000_000) }

    /// Hands over the table in parts.
    func read(_ body: (Table) throws -> Void) throws {
        let text = min(max(limitBytes / 32, 1 << 20), 64 << 20)
        try parts.forEach(bytes: text) { part in
            try Interruption.check()
            try body(try columns.map { try roles.selecting($0, of: part) } ?? part)
        }
    }
}

extension TableRoles {
    /// Some columns of a table, and those with a role.
    func selecting(_ columns: [String], of table: Table) throws -> Table {
        let others = [target, weight, group, time].compactMap { $0 }
        return try table.selecting(columns + others.filter { !columns.contains($0) })
    }
}
