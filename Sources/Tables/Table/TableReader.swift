import CVectorLoops
import Core

/// Reads tables with typed columns: CSV, TSV and other delimited text, JSON Lines, `.npy` and SQLite databases; text
/// plain or compressed with gzip or zstd.
public enum TableReader {
    /// Reads a file.
    ///
    /// The types of the columns are inferred from the first records, or given. The text is cut into blocks of whole
    /// records, which threads parse into columns. A value further down that does not fit its inferred type widens the
    /// column (integer → number → category), and the file is read once more. The result does not depend on the number
    /// of threads. O(bytes of text).
    ///
    /// - Parameters:
    ///   - path: the file, or `-` for standard input, whose text is held in memory while it is parsed.
    ///   - options: how to read it.
    ///   - progress: called on this thread between blocks; `.stop` ends the reading with `CancellationError`.
    /// - Throws: ``Core/DataError`` for bad data with file, line and column, ``Core/SystemError`` for a file that
    ///   can't be read, ``Core/ParameterError`` for options that make no sense, `CancellationError`.
    public static func read(
        _ path: String, options: TableReadOptions = TableReadOptions(), progress: ProgressHandler? = nil
    ) throws -> Table {
        try readWithReport(path, options: options, progress: progress).table
    }

    /// As ``read(_:options:progress:)``, with what happened.
    public static func readWithReport(
        _ path: String, options: TableReadOptions = TableReadOptions(), progress: ProgressHandler? = nil
    ) throws -> (table: Table, report: TableReadReport) {
        let kind = path == "-" ? .text : try FileKind(path: path)
        try options.validate()
        if kind == .numpy { return try readNumPy(path, options) }
        if kind == .idx { return try readIDX(path, options) }
        let (job, report) = try typed(path, kind, options, keeping: true, progress)
        return (try job.assembled(), report)
    }

    /// Reads a file of any size a part at a time, once: see ``TableParts``.
    public static func forEachPart(
        of path: String, options: TableReadOptions = TableReadOptions(), bytes: Int = 64 << 20,
        progress: ProgressHandler? = nil, _ body: (Table) throws -> Void
    ) throws -> TableReadReport {
        let parts = try TableParts(path, options: options, progress: progress)
        try parts.forEach(bytes: bytes, body)
        return parts.report
    }

    /// Whether a file can be read part by part: text and databases can, matrices and streams are read as a whole.
    public static func readsInParts(_ path: String) -> Bool {
        guard path != "-", let kind = try? FileKind(path: path) else { return false }
        return kind == .text || kind == .sqlite
    }

    /// Reads until no type has to be widened any more. Without `keeping`, the values are not kept.
    static func typed(
        _ path: String, _ kind: FileKind, _ given: TableReadOptions, keeping: Bool, _ progress: ProgressHandler?
    ) throws -> (job: TableReadJob, report: TableReadReport) {
        var options = given
        let spooled = path == "-" ? try Spool(path) : nil
        if let spooled, spooled.bytes.starts(with: SQLiteSource.magic) {
            throw DataError("a database can't be read from standard input; name the file", file: path)
        }
        if options.query != nil, kind != .sqlite {
            throw ParameterError("query", "'\(path)' is no SQLite database")
        }
        if kind == .sqlite {
            (options.delimiter, options.quoting, options.header, options.headerlessColumns) = (",", true, true, nil)
            options.encoding = .utf8
        }
        var types: [InferredType]?
        var widened: [WidenedColumn] = []
        while true {
            let job = TableReadJob(
                path: path, options: options, database: kind == .sqlite, spool: spooled, types: types,
                keeping: keeping, progress: progress)
            do {
                let result = try job.run()
                if result.wider.isEmpty {
                    var report = result.report
                    report.widened = widened
                    return (job, report)
                }
                types = result.types
                widened += result.wider
            } catch let error as PlacedError {
                guard error.maybeGB18030, options.encoding == .detected else { throw error.make(error.line) }
                options.encoding = .gb18030
                (types, widened) = (nil, [])
            }
        }
    }
}

/// Standard input in memory, so that it can be read again.
final class Spool {
    let bytes: [UInt8]

    init(_ path: String) throws {
        let source = try FileSource(path: path)
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = try piece.withUnsafeMutableBytes { try source.fill($0) }
            if count == 0 { break }
            bytes += piece[..<count]
        }
        self.bytes = bytes
    }
}

/// The bytes of a spool, one after another.
private final class SpoolSource: ByteSource {
    private let spool: Spool
    private var position = 0

    init(_ spool: Spool) { self.spool = spool }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let count = min(buffer.count, spool.bytes.count - position)
        if count > 0 { buffer.copyBytes(from: spool.bytes[position..<position + count]) }
        position += count
        return count
    }
}

/// One reading of one file.
final class TableReadJob {
    let path: String
    let options: TableReadOptions
    private let database: Bool
    private let spool: Spool?
    private let given: [InferredType]?
    private let keeping: Bool
    private let progress: ProgressHandler?
    private(set) var report = TableReadReport()
    private var layout: TableTextLayout?
    private var types: [InferredType] = []
    private var wholeIsSample = false
    private let lock = Lock()
    private var blocks: [TableBlock] = []
    private var workers: [TableWorker] = []
    private var failure: PlacedError?
    private var stopped = false
    /// Number of the first of `blocks`, how many there may be, and the lines before them: when reading in parts.
    private var firstBlock = 0
    private var blockLimit = Int.max
    private var linesBefore = 0

    init(
        path: String, options: TableReadOptions, database: Bool, spool: Spool?, types: [InferredType]?,
        keeping: Bool, progress: ProgressHandler?
    ) {
        self.keeping = keeping
        self.database = database
        self.path = path
        self.options = options
        self.spool = spool
        self.given = types
        self.progress = progress
    }

    /// Parses the file. When values did not fit inferred types, `wider` says which, and the wider types are to be used
    /// in another reading.
    func run() throws -> (report: TableReadReport, types: [InferredType], wider: [WidenedColumn]) {
        let started = monotonicSeconds()
        let (reader, format, file) = try open()
        let threads = wholeIsSample ? 1 : options.threadCount
        try parse(reader, format, file, threads: threads, started)
        report.bytesOfText = reader.bytesOfText
        report.secondsToParse = monotonicSeconds() - started
        let wider = try layout.map { try summarize($0) } ?? []
        return (report, types, wider)
    }

    /// Parses the file with the types found, and hands over a table for every `bytes` of text.
    func runInParts(of bytes: Int, _ body: (Table) throws -> Void) throws {
        let started = monotonicSeconds()
        let (reader, format, file) = try open()
        blockLimit = max(bytes / options.blockBytes, 1)
        var parts = 0
        repeat {
            (firstBlock, blocks, workers) = (reader.blocks, [], [])
            try parse(reader, format, file, threads: wholeIsSample ? 1 : options.threadCount, started)
            if blocks.isEmpty, parts > 0 { break }
            if let layout { _ = try summarize(layout) }
            linesBefore += blocks.reduce(0) { $0 + $1.lines }
            try body(try assembled())
            parts += 1
        } while true
    }

    /// Another reading of the same file with the types that this one found.
    func repeated() -> TableReadJob {
        TableReadJob(
            path: path, options: options, database: database, spool: spool, types: types, keeping: true,
            progress: progress)
    }

    private func open() throws -> (reader: BlockReader, format: TableFormat, file: FileSource?) {
        let file = spool == nil && !database ? try FileSource(path: path) : nil
        let source: any ByteSource =
            if let spool { SpoolSource(spool) } else if let file { file } else {
                try SQLiteSource(path: path, query: options.query)
            }
        var read = ReadReport()
        let opened = try OpenedText(source, path: path, encoding: options.encoding, report: &read)
        let layout = try opened.sample.withUnsafeBufferPointer {
            try TableTextLayout(sample: $0, complete: opened.complete, path: path, options: options)
        }
        self.layout = layout
        types = given ?? layout.types
        report.format = database ? "sqlite" : layout.json ? "jsonl" : "csv"
        report.delimiter = String(decoding: layout.delimiter, as: UTF8.self)
        report.compression = read.compression
        report.encoding = read.encoding
        report.remarks = layout.remarks
        try checkMemory(opened.sample.count, layout, bytes: file?.byteCount ?? spool?.bytes.count)
        let format = TableFormat(layout, options)
        wholeIsSample = opened.complete
        let reader = BlockReader(
            opened.source, sample: opened.sample, headerLength: layout.headerLength, format: format.pointer, path: path)
        return (reader, format, file)
    }

    private func parse(
        _ reader: BlockReader, _ format: TableFormat, _ file: FileSource?, threads: Int, _ started: Double
    ) throws {
        guard let layout else { return }
        for _ in 0..<threads {
            workers.append(try TableWorker(types: layout.kept.enumerated().map { $1 ? types[$0] : nil }, path: path))
        }
        Workers.run(threads) { number in
            work(number, reader, format, position: { file?.position ?? 0 }, total: file?.byteCount, started)
        }
        if stopped { throw CancellationError() }
        try placeFailure()
    }

    /// The table, after ``run()`` found nothing to widen.
    func assembled() throws -> Table {
        guard let layout else { return Table(trusted: [], rowCount: 0) }
        let assembly = TableAssembly(
            blocks: blocks, workers: workers, threads: options.threadCount, missing: options.missingMarkers, path: path)
        blocks = []
        return try assembly.table(names: layout.names, kept: layout.kept, types: types)
    }

    /// Refuses a file that would not fit, with numbers.
    private func checkMemory(_ sampleBytes: Int, _ layout: TableTextLayout, bytes: Int?) throws {
        guard options.memoryLimitBytes > 0, let bytes else { return }
        // Compressed tables mostly become five times as large, or less.
        let text = Double(bytes) * (report.compression == "none" ? 1 : 5)
        let estimate = Int(text * layout.memoryPerTextByte)
        guard estimate > options.memoryLimitBytes else { return }
        throw DataError(
            "the table may take \(estimate >> 20) MB of memory, and the limit is \(options.memoryLimitBytes >> 20) MB; raise --memory-limit, read fewer columns (--select), or do first what needs no whole table (apus prepare with --filter, --drop and the like goes through files of any size)",
            file: path)
    }

    private func work(
        _ number: Int, _ reader: BlockReader, _ format: TableFormat, position: () -> Int, total: Int?, _ started: Double
    ) {
        let text = TextBlock(capacity: options.blockBytes)
        var lastReport = started
        while true {
            let more: Bool = lock.locked {
                guard !stopped, failure == nil, blocks.count < blockLimit else { return false }
                do {
                    guard try reader.next(text) else { return false }
                } catch {
                    fail(error as? PlacedError ?? PlacedError(block: reader.blocks, line: 0) { _ in error })
                    return false
                }
                blocks.append(TableBlock())
                return true
            }
            guard more else { return }
            do {
                let block = try parse(text, number, format)
                if !keeping { block.releaseAll() }
                lock.locked { blocks[text.number - firstBlock] = block }
            } catch {
                let placed = error as? PlacedError ?? PlacedError(block: text.number, line: 0) { _ in error }
                lock.locked { fail(placed) }
                return
            }
            if number == 0, let progress {
                let now = monotonicSeconds()
                guard now - lastReport >= 0.1 else { continue }
                lastReport = now
                let decision = progress(
                    ProgressReport(
                        phase: "read", completed: lock.locked(position), total: total, unit: "bytes",
                        elapsedSeconds: now - started))
                if case .stop = decision { lock.locked { stopped = true } }
            }
        }
    }

    /// Keeps the failure of the earliest block, so that the same error is reported for every number of threads.
    private func fail(_ error: PlacedError) {
        if let failure, failure.block <= error.block { return }
        failure = error
    }

    private func parse(_ text: TextBlock, _ number: Int, _ format: TableFormat) throws -> TableBlock {
        var bytes = apus_block_bytes()
        apus_scan_block(text.text, Int64(text.count), &bytes)
        try ReadJob.checkEncoding(text, bytes, path: path)
        let worker = workers[number]
        let block = TableBlock(worker: number, capacity: Int(bytes.newlines) + 1, types: worker.types)
        worker.lend(block)
        var outcome = apus_table_report()
        let code = apus_parse_table(
            text.text + text.start, Int64(text.count - text.start), format.pointer, bytes.has_quote, format.keys,
            format.missing, Int32(format.missingCount), UInt64(text.number) << 32, block.columns.baseAddress, &outcome)
        block.rows = Int(outcome.rows_kept)
        block.lines = Int(bytes.newlines)
        block.report = outcome
        let bad = outcome.bad
        if code != 0 {
            if code == Int32(APUS_OUT_OF_MEMORY) {
                throw SystemError(operation: "read", object: path, reason: "out of memory")
            }
            let reason = reason(bad.0)
            throw PlacedError(block: text.number, line: line(bad.0.record_offset, in: text)) { [path] in
                DataError(reason, file: path, line: $0)
            }
        }
        for example in [bad.0, bad.1, bad.2, bad.3].prefix(Int(outcome.rows_bad)) {
            block.skipped.append((line(example.record_offset, in: text), reason(example)))
        }
        for (place, column) in block.columns.enumerated() where column.misfits > 0 {
            let field = shown(column, in: text)
            let line = line(column.misfit_record, in: text)
            block.misfits.append((place, line, field))
            guard let type = asked(place), options.onBadValue == .fail else { continue }
            let name = layout?.names[place]
            throw PlacedError(block: text.number, line: line) { [path] in
                DataError(
                    "'\(field)' does not fit the type \(type.rawValue) asked for; --on-bad-value missing takes it for missing",
                    file: path, line: $0, column: name)
            }
        }
        return block
    }

    /// The type that was asked for, nil where it was inferred.
    private func asked(_ place: Int) -> ColumnType? { layout.flatMap { options.types[$0.names[place]] } }

    private func line(_ offset: Int64, in text: TextBlock) -> Int {
        Int(apus_count_newlines(text.text, offset + Int64(text.start)))
    }

    private func reason(_ bad: apus_bad_row) -> String {
        switch Int(bad.code) {
        case Int(APUS_ROW_RAGGED):
            let expected = options.headerlessColumns == nil && options.header ? "the header has" : "there must be"
            return
                "the row has \(bad.count) field\(bad.count == 1 ? "" : "s"), \(expected) \(layout?.names.count ?? 0)"
        case Int(APUS_ROW_TEXT_AFTER_QUOTE):
            return "there is text between a closing quote and the next separator"
        case Int(APUS_ROW_OPEN_QUOTE): return "the quote that opens here is not closed"
        case Int(APUS_ROW_NOT_JSON): return "the line is not a JSON object"
        default: return "the row can't be read"
        }
    }

    private func shown(_ column: apus_table_column, in text: TextBlock) -> String {
        guard column.misfit_offset >= 0 else { return "…" }
        let start = Int(column.misfit_offset) + text.start
        let end = min(start + min(Int(column.misfit_length), 60), text.count)
        guard start < end else { return "" }
        let field = String(decoding: UnsafeBufferPointer(start: text.text + start, count: end - start), as: UTF8.self)
        return column.misfit_length > 60 ? field + "…" : field
    }

    /// Throws the failure, with its line counted from the file's start.
    private func placeFailure() throws {
        guard let failure else { return }
        let before = linesBefore + blocks.prefix(max(failure.block - firstBlock, 0)).reduce(0) { $0 + $1.lines }
        throw PlacedError(
            block: 0, line: before + failure.line + 1, maybeGB18030: failure.maybeGB18030, make: failure.make)
    }

    private func summarize(_ layout: TableTextLayout) throws -> [WidenedColumn] {
        var line = linesBefore
        var unknown = 0
        var misfits = [Int](repeating: 0, count: layout.names.count)
        var widest = [Int32](repeating: 0, count: layout.names.count)
        var examples = [(line: Int, text: String)?](repeating: nil, count: layout.names.count)
        for block in blocks {
            report.rowsRead += Int(block.report.rows_read)
            report.rowsKept += block.rows
            report.rowsSkipped += Int(block.report.rows_bad)
            unknown += Int(block.report.unknown_members)
            for (place, column) in block.columns.enumerated() {
                misfits[place] += Int(column.misfits)
                widest[place] = max(widest[place], column.widest_misfit)
                if column.infinite > 0 {
                    report.infiniteValues[layout.names[place], default: 0] += Int(column.infinite)
                }
            }
            for misfit in block.misfits where examples[misfit.column] == nil {
                examples[misfit.column] = (line + misfit.line + 1, misfit.text)
            }
            for example in block.skipped where report.skippedExamples.count < Int(APUS_EXAMPLES) {
                report.skippedExamples.append(
                    SkippedRow(line: line + example.line + 1, column: nil, reason: example.reason))
            }
            line += block.lines
        }
        if report.rowsRead > 0, report.rowsSkipped == report.rowsRead, let first = report.skippedExamples.first {
            throw DataError(
                "every one of the \(report.rowsRead) rows is bad; the first: \(first.reason)", file: path,
                line: first.line)
        }
        if unknown > 0 {
            report.remarks.append(
                "\(unknown) members of objects have keys that the first \(options.sampledRecords) objects don't have: left out"
            )
        }
        var wider: [WidenedColumn] = []
        for (place, count) in misfits.enumerated() where count > 0 {
            if asked(place) != nil {
                report.badValues[layout.names[place]] = count
                continue
            }
            let before = types[place].type
            types[place].type =
                widest[place] == Int32(APUS_MISFIT_NUMBER) && before == .integer ? .number : .category
            wider.append(widening(place, before, count, examples[place]))
        }
        return wider
    }

    private func widening(
        _ place: Int, _ before: ColumnType, _ count: Int, _ example: (line: Int, text: String)?
    ) -> WidenedColumn {
        WidenedColumn(
            column: layout?.names[place] ?? "", inferred: before, readAs: types[place].type, values: count,
            example: example?.text ?? "", line: example?.line ?? 0)
    }
}
