import CVectorLoops
import Core
import Glibc

/// The columns of one block of text.
final class TableBlock {
    let worker: Int
    let columns: UnsafeMutableBufferPointer<apus_table_column>
    var rows = 0
    /// Newlines of the block's text.
    var lines = 0
    var report = apus_table_report()
    var skipped: [(line: Int, reason: String)] = []
    /// First value of a column that does not fit its type.
    var misfits: [(column: Int, line: Int, text: String)] = []

    /// A block yet to be parsed.
    init() {
        worker = 0
        columns = UnsafeMutableBufferPointer(start: nil, count: 0)
    }

    /// Room for `capacity` rows; nil types are not read.
    init(worker: Int, capacity: Int, types: [InferredType?]) {
        self.worker = worker
        columns = .allocate(capacity: types.count)
        columns.initialize(repeating: apus_table_column())
        for (place, type) in types.enumerated() {
            guard let type else { continue }
            columns[place].type = TableBlock.code(type.type)
            columns[place].date_form = type.dateForm
            columns[place].values = malloc(capacity * TableBlock.width(type.type))
        }
    }

    deinit {
        for column in columns {
            free(column.values)
            free(column.bytes)
        }
        columns.deallocate()
    }

    static func code(_ type: ColumnType) -> Int32 {
        switch type {
        case .number: Int32(APUS_COLUMN_NUMBER)
        case .integer: Int32(APUS_COLUMN_INTEGER)
        case .boolean: Int32(APUS_COLUMN_BOOLEAN)
        case .date: Int32(APUS_COLUMN_DATE)
        case .category: Int32(APUS_COLUMN_CATEGORY)
        case .text, .identifier: Int32(APUS_COLUMN_TEXT)
        }
    }

    private static func width(_ type: ColumnType) -> Int {
        switch type {
        case .boolean: 1
        case .category: 4
        default: 8
        }
    }

    /// Frees all values; counts and misfits stay.
    func releaseAll() { for column in columns.indices { release(column) } }

    /// Frees one column, which the table has now.
    func release(_ column: Int) {
        free(columns[column].values)
        free(columns[column].bytes)
        columns[column].values = nil
        columns[column].bytes = nil
    }
}

/// One thread of the reader: its numbering of the levels of every category column.
final class TableWorker {
    let types: [InferredType?]
    private(set) var levels: [OpaquePointer?] = []

    init(types: [InferredType?], path: String) throws {
        self.types = types
        for type in types {
            guard type?.type == .category else {
                levels.append(nil)
                continue
            }
            guard let table = apus_identifiers_create() else {
                throw SystemError(operation: "read", object: path, reason: "out of memory")
            }
            levels.append(table)
        }
    }

    deinit { for table in levels { apus_identifiers_destroy(table) } }

    func lend(_ block: TableBlock) {
        for (place, table) in levels.enumerated() { block.columns[place].levels = table }
    }
}

/// From parsed blocks to columns in one piece.
struct TableAssembly {
    let blocks: [TableBlock]
    let workers: [TableWorker]
    let threads: Int
    let missing: [String]
    let path: String

    func table(names: [String], kept: [Bool], types: [InferredType]) throws -> Table {
        let rows = blocks.reduce(0) { $0 + $1.rows }
        var starts: [Int] = []
        starts.reserveCapacity(blocks.count)
        var start = 0
        for block in blocks {
            starts.append(start)
            start += block.rows
        }
        let places = names.indices.filter { kept[$0] }
        let results = Results(count: places.count)
        let fixedStarts = starts
        Workers.share(tasks: places.count, threads: rows < 1 << 14 ? 1 : threads) { task in
            let place = places[task]
            results.set(
                task,
                Result { Column(names[place], try values(place, types[place].type, rows: rows, starts: fixedStarts)) })
            for block in blocks { block.release(place) }
        }
        return try Table(try results.all(), rowCount: rows)
    }

    /// What the threads hand over, each to its own place.
    private final class Results: @unchecked Sendable {
        private let places: UnsafeMutableBufferPointer<Result<Column, any Error>?>

        init(count: Int) {
            places = .allocate(capacity: count)
            places.initialize(repeating: nil)
        }

        deinit {
            places.deinitialize()
            places.deallocate()
        }

        func set(_ place: Int, _ result: Result<Column, any Error>) { places[place] = result }

        func all() throws -> [Column] { try places.compactMap { try $0?.get() } }
    }

    private func values(_ place: Int, _ type: ColumnType, rows: Int, starts: [Int]) throws -> ColumnValues {
        switch type {
        case .number: return .number(joined(place, rows: rows, starts: starts))
        case .integer: return .integer(joined(place, rows: rows, starts: starts))
        case .date: return .date(joined(place, rows: rows, starts: starts))
        case .boolean: return .boolean(joined(place, rows: rows, starts: starts))
        case .category: return try categories(place, rows: rows, starts: starts)
        case .text: return .text(text(place, rows: rows, starts: starts))
        case .identifier: return .identifier(text(place, rows: rows, starts: starts))
        }
    }

    private func joined<Value: BitwiseCopyable>(_ place: Int, rows: Int, starts: [Int]) -> [Value] {
        [Value](unsafeUninitializedCapacity: rows) { buffer, count in
            for (number, block) in blocks.enumerated() where block.rows > 0 {
                let source = block.columns[place].values.assumingMemoryBound(to: Value.self)
                (buffer.baseAddress! + starts[number]).initialize(from: source, count: block.rows)
            }
            count = rows
        }
    }

    private func text(_ place: Int, rows: Int, starts: [Int]) -> PackedText {
        var firstBytes: [Int] = []
        var total = 0
        for block in blocks {
            firstBytes.append(total)
            if block.rows > 0 { total += Int(block.columns[place].byte_count) }
        }
        let bytes = [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
            for (number, block) in blocks.enumerated() where block.rows > 0 && block.columns[place].byte_count > 0 {
                memcpy(
                    buffer.baseAddress! + firstBytes[number], block.columns[place].bytes,
                    Int(block.columns[place].byte_count))
            }
            count = total
        }
        let offsets = [Int64](unsafeUninitializedCapacity: rows + 1) { buffer, count in
            buffer[0] = 0
            for (number, block) in blocks.enumerated() where block.rows > 0 {
                let ends = block.columns[place].values.assumingMemoryBound(to: Int64.self)
                let (target, first) = (buffer.baseAddress! + starts[number] + 1, Int64(firstBytes[number]))
                for row in 0..<block.rows { target[row] = ends[row] + first }
            }
            count = rows + 1
        }
        return PackedText(bytes: bytes, offsets: offsets)
    }

    /// One numbering of the levels, by first appearance, without those that stand for a missing value.
    private func categories(_ place: Int, rows: Int, starts: [Int]) throws -> ColumnValues {
        let merged = try MergedIdentifiers(workers.compactMap { $0.levels[place] }, role: "level", path: path)
        let inference = TypeInference(missingMarkers: missing)
        var final = [Int32](repeating: -1, count: merged.index.count)
        var levels: [String] = []
        for number in 0..<merged.index.count {
            let level = merged.index[number]
            // Only short texts can be markers or blanks.
            if level.utf8.count < 32, inference.isMissing(level) { continue }
            final[number] = Int32(levels.count)
            levels.append(level)
        }
        let unchanged = levels.count == merged.index.count
        let codes = [Int32](unsafeUninitializedCapacity: rows) { buffer, count in
            for (number, block) in blocks.enumerated() where block.rows > 0 {
                let source = block.columns[place].values.assumingMemoryBound(to: Int32.self)
                let target = buffer.baseAddress! + starts[number]
                let map = merged.maps.isEmpty ? nil : merged.maps[block.worker].baseAddress
                for row in 0..<block.rows {
                    var code = source[row]
                    if code >= 0, let map { code = map[Int(code)] }
                    target[row] = unchanged || code < 0 ? code : final[Int(code)]
                }
            }
            count = rows
        }
        return .category(codes: codes, levels: levels)
    }
}

/// The layout in the form that the parsing loops take, and the memory it points to.
final class TableFormat {
    let pointer: UnsafeMutablePointer<apus_row_format>
    let keys: UnsafeMutablePointer<apus_marker>
    let missing: UnsafeMutablePointer<apus_marker>
    let missingCount: Int
    private var texts: [UnsafeMutableBufferPointer<UInt8>] = []

    init(_ layout: TableTextLayout, _ options: TableReadOptions) {
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: apus_row_format())
        keys = .allocate(capacity: max(layout.names.count, 1))
        missing = .allocate(capacity: max(options.missingMarkers.count, 1))
        missingCount = options.missingMarkers.count
        for (place, name) in layout.names.enumerated() { keys[place] = marker(name) }
        for (place, text) in options.missingMarkers.enumerated() { missing[place] = marker(text) }
        let delimiter = keep(layout.delimiter)
        pointer.pointee.delimiter = UnsafePointer(delimiter.baseAddress)
        pointer.pointee.delimiter_length = Int32(delimiter.count)
        pointer.pointee.quoting = layout.quoting ? 1 : 0
        pointer.pointee.field_count = Int32(layout.names.count)
        pointer.pointee.json = layout.json ? 1 : 0
        pointer.pointee.skip_bad_rows = options.onBadRow == .skip ? 1 : 0
    }

    private func marker(_ text: String) -> apus_marker {
        let bytes = keep(Array(text.utf8))
        return apus_marker(text: bytes.baseAddress, length: Int64(bytes.count))
    }

    private func keep(_ bytes: [UInt8]) -> UnsafeMutableBufferPointer<UInt8> {
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        _ = copy.update(fromContentsOf: bytes)
        texts.append(copy)
        return UnsafeMutableBufferPointer(rebasing: copy[..<bytes.count])
    }

    deinit {
        pointer.deallocate()
        keys.deallocate()
        missing.deallocate()
        for text in texts { text.deallocate() }
    }
}
