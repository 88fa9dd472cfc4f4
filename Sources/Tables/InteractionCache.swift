import CVectorLoops
import Core
import FoundationEssentials
import Glibc

/// How ``InteractionCache/read(_:options:progress:)`` got its data.
public enum CacheOutcome: Sendable, Equatable {
    /// From the cache.
    case opened
    /// From the file, and the cache was written; why an existing cache was not used.
    case written(refused: String?)
    /// From the file; why no cache could be written.
    case notWritten(reason: String)
}

/// A binary copy of interactions beside the file they were read from, which opens by a memory map.
///
/// Layout: a preamble of 64 bytes (magic, version, byte order, length and hash of the header), a header in JSON, then
/// the arrays, each at a multiple of 4,096 bytes, in the machine's byte order.
public enum InteractionCache {
    /// Raised whenever the layout or the meaning of the content changes.
    public static let version: UInt32 = 1
    private static let magic: [UInt8] = Array("APUSIACT".utf8)
    private static let byteOrder: UInt32 = 0x0102_0304
    private static let preambleBytes = 64
    private static let alignment = 4096

    private struct Section: Codable {
        let name: String
        let offset: Int
        let byteCount: Int
    }

    private struct Header: Codable {
        let optionsKey: String
        let sourceByteCount: Int
        let sourceSeconds: Int64
        let sourceNanoseconds: Int64
        let users: Int
        let items: Int
        let entries: Int
        let report: ReadReport
        let fingerprint: DataFingerprint
        let sections: [Section]
        let contentHash: String
    }

    /// The cache's file for a source: the same name with `.apuscache` after it.
    public static func path(for source: String) -> String { source + ".apuscache" }

    /// Opens the cache of a file when there is a valid one, else reads the file and writes the cache.
    public static func read(
        _ source: String, options: InteractionOptions = InteractionOptions(), progress: ProgressHandler? = nil
    ) throws -> (interactions: Interactions, outcome: CacheOutcome) {
        guard source != "-" else {
            return (
                try InteractionReader.read(source, options: options, progress: progress),
                .notWritten(reason: "standard input has no place for a cache")
            )
        }
        var refused: String?
        do {
            return (try open(source: source, options: options), .opened)
        } catch let error as DataError { refused = error.reason } catch is SystemError {
            // No cache yet.
        }
        let interactions = try InteractionReader.read(source, options: options, progress: progress)
        do {
            try write(interactions, source: source, options: options)
            return (interactions, .written(refused: refused))
        } catch let error as SystemError { return (interactions, .notWritten(reason: error.description)) }
    }

    /// Writes the cache of a file, to a temporary file that is synced and renamed. O(size).
    ///
    /// - Throws: ``Core/SystemError`` when the file can't be written; an existing cache stays as it was.
    public static func write(_ data: Interactions, source: String, options: InteractionOptions) throws {
        let file = try FileSource(path: source)
        guard let byteCount = file.byteCount, let modified = file.modified else {
            throw SystemError(operation: "cache", object: source, reason: "only a file can have a cache")
        }
        let parts = arrays(of: data)
        let hash = contentHash(parts.map(\.bytes))
        var header = Header(
            optionsKey: options.key, sourceByteCount: byteCount, sourceSeconds: modified.seconds,
            sourceNanoseconds: modified.nanoseconds, users: data.users.count, items: data.items.count,
            entries: data.count, report: data.report, fingerprint: data.fingerprint, sections: [], contentHash: hash)
        // Offsets are longer numbers than zeros; room for the largest keeps the header's length independent of them.
        var offset = aligned(preambleBytes + 4096 + (try encoded(header)).count + parts.count * 128)
        var sections: [Section] = []
        for part in parts {
            sections.append(Section(name: part.name, offset: offset, byteCount: part.bytes.count))
            offset = aligned(offset + part.bytes.count)
        }
        header = Header(
            optionsKey: header.optionsKey, sourceByteCount: byteCount, sourceSeconds: modified.seconds,
            sourceNanoseconds: modified.nanoseconds, users: header.users, items: header.items, entries: header.entries,
            report: header.report, fingerprint: header.fingerprint, sections: sections, contentHash: hash)
        let text = try encoded(header)
        let output = try AtomicFile(path: path(for: source))
        try output.write(preamble(text))
        try output.write(text)
        for (part, section) in zip(parts, sections) {
            try output.write([UInt8](repeating: 0, count: max(0, section.offset - output.byteCount)))
            try output.write(part.bytes)
        }
        try output.commit()
        withExtendedLifetime(data) {}
    }

    /// Opens the cache of a file. The arrays are views of the mapped cache. Row pointers, indices and identifiers are
    /// always checked; the hash of everything too, unless `verifying` is false. O(size), at the speed of memory.
    ///
    /// - Throws: ``Core/SystemError`` when there is no cache, ``Core/DataError`` with the reason when it is not used: it
    ///   is of another version, of other options, older than the file, or damaged.
    public static func open(
        source: String, options: InteractionOptions = InteractionOptions(), verifying: Bool = true
    ) throws -> Interactions {
        let file = try FileSource(path: source)
        let cache = path(for: source)
        let map = try MappedFile(cache)
        let header = try readHeader(map, cache)
        guard header.optionsKey == options.key else {
            throw DataError("the cache was made with other options", file: cache)
        }
        guard let byteCount = file.byteCount, let modified = file.modified, header.sourceByteCount == byteCount,
            header.sourceSeconds == modified.seconds, header.sourceNanoseconds == modified.nanoseconds
        else { throw DataError("the cache is stale: the file has changed since", file: cache) }
        let data = try interactions(header, map, cache, threads: options.threadCount)
        if verifying, contentHash(arrays(of: data).map(\.bytes)) != header.contentHash {
            throw DataError("the cache is damaged: its content does not have the hash it should", file: cache)
        }
        return data
    }

    private static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }

    private static func encoded(_ header: Header) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return Array(try encoder.encode(header))
    }

    private static func preamble(_ header: [UInt8]) -> [UInt8] {
        var bytes = magic
        withUnsafeBytes(of: version) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: byteOrder) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt64(header.count)) { bytes.append(contentsOf: $0) }
        var hash: [UInt64] = [0, 0]
        apus_hash_bytes(header, Int64(header.count), UInt64(version), &hash)
        hash.withUnsafeBytes { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: [UInt8](repeating: 0, count: preambleBytes - bytes.count))
        return bytes
    }

    private static func readHeader(_ map: MappedFile, _ cache: String) throws -> Header {
        guard map.byteCount >= preambleBytes, Array(map.bytes[..<8]) == magic else {
            throw DataError("the file is not a cache of interactions", file: cache)
        }
        let found = map.bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        let order = map.bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
        guard order == byteOrder, found == version else {
            throw DataError("the cache is of version \(found), this program reads \(version)", file: cache)
        }
        let length = map.bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        guard length <= UInt64(map.byteCount - preambleBytes) else {
            throw DataError("the cache is cut short", file: cache)
        }
        let text = Array(map.bytes[preambleBytes..<(preambleBytes + Int(length))])
        guard preamble(text) == Array(map.bytes[..<preambleBytes]) else {
            throw DataError("the cache is damaged: its header does not have the hash it should", file: cache)
        }
        do { return try JSONDecoder().decode(Header.self, from: Data(text)) } catch {
            throw DataError("the cache's header can't be read", file: cache)
        }
    }

    private typealias Part = (name: String, bytes: UnsafeRawBufferPointer)

    private static func arrays(of data: Interactions) -> [Part] {
        var parts: [Part] = [
            ("users.bytes", StructureHash.raw(data.users.bytes)),
            ("users.offsets", StructureHash.raw(data.users.offsets)),
            ("items.bytes", StructureHash.raw(data.items.bytes)),
            ("items.offsets", StructureHash.raw(data.items.offsets)),
            ("byUser.rowPointers", StructureHash.raw(data.byUser.rowPointers)),
            ("byUser.columnIndices", StructureHash.raw(data.byUser.columnIndices)),
            ("byUser.values", StructureHash.raw(data.byUser.values)),
            ("byItem.rowPointers", StructureHash.raw(data.byItem.rowPointers)),
            ("byItem.columnIndices", StructureHash.raw(data.byItem.columnIndices)),
            ("byItem.values", StructureHash.raw(data.byItem.values)),
        ]
        if let times = data.times { parts.append(("times", StructureHash.raw(times))) }
        return parts
    }

    private static func contentHash(_ parts: [UnsafeRawBufferPointer]) -> String {
        StructureHash.hexadecimal(StructureHash.hash(parts, options: "", threads: Workers.processorCount))
    }

    private static func interactions(
        _ header: Header, _ map: MappedFile, _ cache: String, threads: Int
    ) throws -> Interactions {
        func view<Element: BitwiseCopyable>(_ name: String, _ type: Element.Type, _ count: Int?) throws -> HostBuffer<
            Element
        > {
            guard let section = header.sections.first(where: { $0.name == name }), section.offset >= 0,
                section.offset % alignment == 0, section.byteCount >= 0, section.offset <= map.byteCount,
                section.byteCount <= map.byteCount - section.offset,
                section.byteCount % MemoryLayout<Element>.stride == 0
            else { throw DataError("the cache is cut short, or '\(name)' is missing", file: cache) }
            let found = section.byteCount / MemoryLayout<Element>.stride
            guard count == nil || count == found else {
                throw DataError("the cache is damaged: '\(name)' has a wrong size", file: cache)
            }
            let start = (map.base + section.offset).bindMemory(to: Element.self, capacity: max(found, 1))
            return HostBuffer(viewing: start, count: found, release: { _ = map })
        }
        let (users, items, entries) = (header.users, header.items, header.entries)
        guard (0...Int(Int32.max)).contains(users), (0...Int(Int32.max)).contains(items),
            (0...(1 << 48)).contains(entries)
        else { throw DataError("the cache is damaged: its sizes make no sense", file: cache) }
        func identifiers(_ role: String, _ count: Int) throws -> IdentifierIndex {
            try IdentifierIndex(
                bytes: try view("\(role).bytes", UInt8.self, nil),
                offsets: try view("\(role).offsets", Int64.self, count + 1))
        }
        func matrix(_ name: String, rows: Int, columns: Int) throws -> HostSparseMatrix {
            let pointers = try view("\(name).rowPointers", Int64.self, rows + 1)
            let indices = try view("\(name).columnIndices", Int32.self, entries)
            let values = try view("\(name).values", Float.self, entries)
            guard StructureCheck.isSound(pointers, indices, columns: columns, threads: threads) else {
                throw DataError("the cache is damaged: '\(name)' is not a sparse matrix", file: cache)
            }
            return HostSparseMatrix(
                rows: rows, columns: columns, rowPointers: pointers, columnIndices: indices, values: values)
        }
        let hasTimes = header.sections.contains { $0.name == "times" }
        return Interactions(
            users: try identifiers("users", users), items: try identifiers("items", items),
            byUser: try matrix("byUser", rows: users, columns: items),
            byItem: try matrix("byItem", rows: items, columns: users),
            times: hasTimes ? try view("times", Int64.self, entries) : nil, report: header.report,
            fingerprint: header.fingerprint)
    }
}

/// What must hold for a sparse matrix that comes from outside.
enum StructureCheck {
    /// Whether row pointers ascend from 0 to the number of indices and, within every row, the indices ascend strictly
    /// within 0 ..< `columns`. O(entries), on several threads.
    static func isSound(
        _ pointers: HostBuffer<Int64>, _ indices: HostBuffer<Int32>, columns: Int, threads: Int
    ) -> Bool {
        let rows = pointers.count - 1
        guard rows >= 0, pointers[0] == 0, Int(pointers[rows]) == indices.count else { return false }
        for row in 0..<rows where pointers[row] > pointers[row + 1] { return false }
        let tasks = SparseOrder.rowTasks(pointers)
        var sound = [Bool](repeating: false, count: tasks.count - 1)
        sound.withUnsafeMutableBufferPointer { sound in
            let base = sound.baseAddress!
            Workers.share(tasks: tasks.count - 1, threads: indices.count < 1 << 16 ? 1 : threads) { task in
                base[task] =
                    apus_indices_ascend(
                        pointers.baseAddress, Int64(tasks[task]), Int64(tasks[task + 1]), indices.baseAddress,
                        Int64(columns)) == 1
            }
        }
        return sound.allSatisfy { $0 }
    }
}
