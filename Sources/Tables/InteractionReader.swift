import CVectorLoops
import Core

/// Reads tables of interactions: delimited text or JSON Lines, plain or compressed, straight to two sparse matrices.
public enum InteractionReader {
    /// Reads a file.
    ///
    /// The text is cut into blocks of whole records; threads parse them into columns of numbers, each with its own
    /// numbering of identifiers, which are then merged into one by first appearance. Two counting sorts give the
    /// matrices. The result does not depend on the number of threads. O(bytes of text + interactions).
    ///
    /// Beyond the matrices, at most 12 bytes a row are needed (20 with times) while reading, and are freed before the
    /// second matrix is made.
    ///
    /// - Parameters:
    ///   - path: the file, or `-` for standard input.
    ///   - options: how to read it.
    ///   - progress: called on this thread between blocks; `.stop` ends the reading with `CancellationError`.
    /// - Throws: ``Core/DataError`` for bad data with file, line and column, ``Core/SystemError`` for a file that
    ///   can't be read, ``Core/ParameterError`` for options that make no sense, `CancellationError`.
    public static func read(
        _ path: String, options: InteractionOptions = InteractionOptions(), progress: ProgressHandler? = nil
    ) throws -> Interactions {
        try options.validate()
        var encoding = options.encoding
        // A stream can't be read again when a time turns out not to fit 32 bits.
        var times = path == "-" ? TimeWidth.wide : .narrow
        while true {
            do {
                return try ReadJob(path: path, options: options, encoding: encoding, times: times, progress: progress)
                    .run()
            } catch let error as PlacedError {
                if error.needsWideTimes, times != .wide {
                    times = .wide
                } else if error.maybeGB18030, encoding == .detected, path != "-" {
                    encoding = .gb18030
                } else {
                    throw error.make(error.line)
                }
            }
        }
    }
}

/// One reading of one file.
final class ReadJob {
    let path: String
    let options: InteractionOptions
    let progress: ProgressHandler?
    var report = ReadReport()
    private let encoding: TextEncoding
    private var times: TimeWidth
    private let lock = Lock()
    private var blocks: [BlockRows] = []
    private var failure: PlacedError?
    private var stopped = false

    init(
        path: String, options: InteractionOptions, encoding: TextEncoding, times: TimeWidth, progress: ProgressHandler?
    ) {
        self.path = path
        self.times = times
        self.options = options
        self.encoding = encoding
        self.progress = progress
    }

    /// Reads, numbers, orders, filters.
    ///
    /// - Throws: ``PlacedError`` with the line within the file, and other errors as they are.
    func run() throws -> Interactions {
        let started = monotonicSeconds()
        let file = try FileSource(path: path)
        let opened = try OpenedText(file, encoding: encoding, report: &report)
        let layout = try opened.sample.withUnsafeBufferPointer {
            try TableLayout(sample: $0, complete: opened.complete, path: path, options: options)
        }
        describe(layout)
        let format = RowFormat(layout, options)
        let reader = BlockReader(
            opened.source, sample: opened.sample, headerLength: layout.headerLength, format: format.pointer, path: path)
        let problem = RowProblem(layout: layout, path: path)
        if layout.columns[.time] == nil { times = .none }
        var workers: [ReadWorker] = []
        let small = file.byteCount.map { $0 < options.blockBytes } ?? false
        for _ in 0..<(small ? 1 : options.threadCount) {
            guard let worker = ReadWorker() else {
                throw SystemError(operation: "read", object: path, reason: "out of memory")
            }
            workers.append(worker)
        }
        Workers.run(workers.count) { number in
            work(
                number, workers[number], reader, format.pointer, problem, file: file, started: started)
        }
        if stopped { throw CancellationError() }
        try placeFailure()
        report.bytesOfText = reader.bytesOfText
        report.secondsToParse = monotonicSeconds() - started
        try summarize()
        let assembly = Assembly(job: self, workers: workers, blocks: blocks, times: times)
        blocks = []
        return try assembly.interactions(byteCount: file.byteCount ?? reader.bytesOfText)
    }

    private func describe(_ layout: TableLayout) {
        report.format = layout.json ? "jsonl" : "csv"
        report.delimiter = String(decoding: layout.delimiter, as: UTF8.self)
        report.hasTimeColumn = layout.hasTimeColumn
        for role in Role.allCases {
            guard let column = layout.columns[role] else { continue }
            report.columnsByRole[role.name] = layout.columnNames[column]
        }
    }

    /// One thread: takes blocks until there are none, or one of an earlier place failed.
    private func work(
        _ number: Int, _ worker: ReadWorker, _ reader: BlockReader, _ format: UnsafePointer<apus_row_format>,
        _ problem: RowProblem, file: FileSource, started: Double
    ) {
        let block = TextBlock(capacity: options.blockBytes)
        var lastReport = started
        while true {
            let more: Bool = lock.locked {
                guard !stopped, failure == nil else { return false }
                do {
                    guard try reader.next(block) else { return false }
                } catch {
                    fail(error as? PlacedError ?? PlacedError(block: reader.blocks, line: 0) { _ in error })
                    return false
                }
                blocks.append(BlockRows())
                return true
            }
            guard more else { return }
            do {
                let rows = try parse(block, number, worker, format, problem)
                lock.locked { blocks[block.number] = rows }
            } catch {
                let placed = error as? PlacedError ?? PlacedError(block: block.number, line: 0) { _ in error }
                lock.locked { fail(placed) }
                return
            }
            if number == 0, let progress {
                let now = monotonicSeconds()
                guard now - lastReport >= 0.1 else { continue }
                lastReport = now
                let position = lock.locked { file.position }
                let decision = progress(
                    ProgressReport(
                        phase: "read", completed: position, total: file.byteCount, unit: "bytes",
                        elapsedSeconds: now - started))
                if case .stop = decision { lock.locked { stopped = true } }
            }
        }
    }

    /// Keeps the failure of the earliest block, so that the same error is reported for every number of threads. Blocks
    /// before it that are still being parsed finish and may replace it.
    private func fail(_ error: PlacedError) {
        if let failure, failure.block <= error.block { return }
        failure = error
    }

    private func parse(
        _ block: TextBlock, _ number: Int, _ worker: ReadWorker, _ format: UnsafePointer<apus_row_format>,
        _ problem: RowProblem
    ) throws -> BlockRows {
        var bytes = apus_block_bytes()
        let text = UnsafePointer(block.text)
        apus_scan_block(text, Int64(block.count), &bytes)
        try ReadJob.checkEncoding(block, bytes, path: path)
        var rows = BlockRows()
        rows.worker = number
        rows.lines = Int(bytes.newlines)
        let length = block.count - block.start
        let segment = worker.segment(for: rows.lines + 1, times: times)
        var store = segment.free
        let code = apus_parse_block(
            text + block.start, Int64(length), format, bytes.has_quote, UInt64(block.number), worker.users,
            worker.items, &store, &rows.report)
        rows.segment = segment
        rows.start = segment.count
        rows.count = Int(rows.report.rows_kept)
        segment.take(rows.count)
        let bad = rows.report.bad
        if code != 0 {
            if code == Int32(APUS_OUT_OF_MEMORY) {
                throw SystemError(operation: "read", object: path, reason: "out of memory")
            }
            let (column, reason) = problem.describe(bad.0, in: block)
            let path = path
            throw PlacedError(
                block: block.number, line: line(of: bad.0, in: block),
                needsWideTimes: code == Int32(APUS_TIME_NEEDS_64_BITS)
            ) {
                DataError(
                    reason + "; --on-bad-row skip leaves such rows out and counts them", file: path, line: $0,
                    column: column)
            }
        }
        for example in [bad.0, bad.1, bad.2, bad.3].prefix(Int(rows.report.rows_bad)) {
            let (column, reason) = problem.describe(example, in: block)
            rows.skipped.append((line(of: example, in: block), column, reason))
        }
        return rows
    }

    private func line(of bad: apus_bad_row, in block: TextBlock) -> Int {
        Int(apus_count_newlines(block.text, bad.record_offset + Int64(block.start)))
    }

    /// Throws ``PlacedError`` for text that is not UTF-8.
    static func checkEncoding(_ block: TextBlock, _ bytes: apus_block_bytes, path: String) throws {
        if bytes.has_nul != 0 {
            let place = (0..<block.count).first { block.text[$0] == 0 } ?? 0
            throw PlacedError(block: block.number, line: Int(apus_count_newlines(block.text, Int64(place)))) {
                DataError("there is a NUL byte; text in UTF-16 must be converted to UTF-8 first", file: path, line: $0)
            }
        }
        guard bytes.has_high != 0 else { return }
        let place = apus_invalid_utf8(block.text, Int64(block.count))
        guard place >= 0 else { return }
        let rest = UnsafeBufferPointer(start: block.text + Int(place), count: block.count - Int(place))
        let chinese = ConvertingSource.looksLikeGB18030(rest)
        let hint =
            chinese
            ? "it looks like Chinese in GB18030 (GBK); name the encoding gb18030"
            : "if it is Western European, name the encoding latin-1; if Chinese, gb18030"
        throw PlacedError(
            block: block.number, line: Int(apus_count_newlines(block.text, place)), maybeGB18030: chinese
        ) { DataError("the text is not UTF-8; \(hint)", file: path, line: $0) }
    }

    /// Throws the failure, with its line counted from the file's start.
    private func placeFailure() throws {
        guard let failure else { return }
        let before = blocks.prefix(failure.block).reduce(0) { $0 + $1.lines }
        let line = before + failure.line + 1
        throw PlacedError(
            block: 0, line: line, maybeGB18030: failure.maybeGB18030, needsWideTimes: failure.needsWideTimes,
            make: failure.make)
    }

    private func summarize() throws {
        var line = 0
        var smallest = Float.infinity
        var largest = -Float.infinity
        for block in blocks {
            report.rowsRead += Int(block.report.rows_read)
            report.rowsKept += block.count
            report.rowsSkipped += Int(block.report.rows_bad)
            report.rowsBelowMinimumValue += Int(block.report.rows_below_minimum)
            smallest = min(smallest, block.report.minimum_value)
            largest = max(largest, block.report.maximum_value)
            if times != .none && block.count > 0 {
                report.minimumTimeSeen = min(report.minimumTimeSeen ?? .max, block.report.minimum_time)
                report.maximumTimeSeen = max(report.maximumTimeSeen ?? .min, block.report.maximum_time)
            }
            for example in block.skipped where report.skippedExamples.count < Int(APUS_EXAMPLES) {
                report.skippedExamples.append(
                    SkippedRow(line: line + example.line + 1, column: example.column, reason: example.reason))
            }
            line += block.lines
        }
        if smallest <= largest {
            report.minimumValueSeen = smallest
            report.maximumValueSeen = largest
        }
        guard report.rowsRead > 0 else {
            throw DataError(
                options.headerlessColumns == nil ? "there is a header, but no row follows it" : "there are no rows",
                file: path)
        }
        guard report.rowsKept > 0 else {
            if report.rowsSkipped == report.rowsRead, let first = report.skippedExamples.first {
                throw DataError(
                    "every one of the \(report.rowsRead) rows is bad; the first: \(first.reason)", file: path,
                    line: first.line, column: first.column)
            }
            throw DataError(
                "nothing is left: \(report.rowsBelowMinimumValue) of \(report.rowsRead) rows are below the minimum value and \(report.rowsSkipped) are bad",
                file: path)
        }
    }
}
