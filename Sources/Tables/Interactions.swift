import CVectorLoops
import Core

/// Who did what, and how much: users × items, in both orders.
///
/// Users and items are numbered in the order of their first appearance among the rows that pass the row filters
/// (minimum value, bad rows skipped); leaving out users and items with too few interactions keeps that order.
public struct Interactions: Sendable {
    /// Names of the users; row `u` of `byUser` is `users[u]`.
    public let users: IdentifierIndex
    /// Names of the items.
    public let items: IdentifierIndex
    /// Users × items; within a row, items ascend.
    public let byUser: HostSparseMatrix
    /// Items × users, the transpose of `byUser`.
    public let byItem: HostSparseMatrix
    /// Seconds since 1970 of every entry of `byUser`, the latest of merged rows; nil without a time column or when
    /// times were not asked for.
    public let times: HostBuffer<Int64>?
    /// What happened while reading.
    public let report: ReadReport
    /// Identifies the data and the way it was read.
    public let fingerprint: DataFingerprint

    /// Number of (user, item) pairs.
    public var count: Int { byUser.entryCount }

    init(
        users: IdentifierIndex, items: IdentifierIndex, byUser: HostSparseMatrix, byItem: HostSparseMatrix,
        times: HostBuffer<Int64>?, report: ReadReport, fingerprint: DataFingerprint
    ) {
        self.users = users
        self.items = items
        self.byUser = byUser
        self.byItem = byItem
        self.times = times
        self.report = report
        self.fingerprint = fingerprint
    }

    /// Builds interactions from arrays in memory, with the rules that files have: identifiers are numbered by first
    /// appearance, duplicates merged, decay and minimums applied. O(rows).
    ///
    /// - Parameters:
    ///   - users: who, one for each row; not empty.
    ///   - items: on what, as many.
    ///   - values: how much, as many, finite; nil for 1 each.
    ///   - times: when, in seconds since 1970, as many; nil if unknown.
    ///   - options: the rules; what concerns files and columns is left aside.
    /// - Throws: ``Core/ParameterError`` for arrays of different lengths, ``Core/DataError`` for a bad row, whose line
    ///   is its position counted from 1, and when nothing is left.
    public init(
        users: [String], items: [String], values: [Float]? = nil, times: [Int64]? = nil,
        options: InteractionOptions = InteractionOptions()
    ) throws {
        try options.validate()
        guard items.count == users.count, values.map({ $0.count == users.count }) ?? true,
            times.map({ $0.count == users.count }) ?? true
        else { throw ParameterError("items", "users, items, values and times must be equally many") }
        guard !users.isEmpty else { throw DataError("there are no rows") }
        let timed = times != nil && (options.needsTimes || options.halfLifeDays != nil || options.duplicates == .last)
        if options.halfLifeDays != nil && times == nil { throw ParameterError("halfLifeDays", "decay needs times") }
        let width = timed ? TimeWidth.wide : .none
        let job = ReadJob(path: "memory", options: options, encoding: .utf8, times: width, progress: nil)
        guard let worker = ReadWorker() else {
            throw SystemError(operation: "read", object: "memory", reason: "out of memory")
        }
        let segment = worker.segment(for: users.count, times: width)
        var rows = BlockRows()
        rows.segment = segment
        for row in users.indices {
            let value = values?[row] ?? 1
            job.report.rowsRead += 1
            guard value.isFinite, !users[row].isEmpty, !items[row].isEmpty else {
                let reason = value.isFinite ? "the identifier is empty" : "\(value) is not a finite number"
                if options.onBadRow == .fail { throw DataError(reason, line: row + 1) }
                job.report.rowsSkipped += 1
                if job.report.skippedExamples.count < Int(APUS_EXAMPLES) {
                    job.report.skippedExamples.append(SkippedRow(line: row + 1, column: nil, reason: reason))
                }
                continue
            }
            let first = job.report.rowsRead - job.report.rowsSkipped == 1
            job.report.minimumValueSeen = first ? value : min(job.report.minimumValueSeen, value)
            job.report.maximumValueSeen = first ? value : max(job.report.maximumValueSeen, value)
            if let minimum = options.minimumValue, value < minimum {
                job.report.rowsBelowMinimumValue += 1
                continue
            }
            let position = UInt64(rows.count)
            let user = Interactions.add(users[row], to: worker.users, at: position)
            let item = Interactions.add(items[row], to: worker.items, at: position)
            guard user >= 0, item >= 0 else {
                throw SystemError(operation: "read", object: "memory", reason: "out of memory")
            }
            segment.users[rows.count] = user
            segment.items[rows.count] = item
            segment.values[rows.count] = value
            if timed, let time = times?[row] {
                segment.wideTimes?[rows.count] = time
                job.report.minimumTimeSeen = min(job.report.minimumTimeSeen ?? .max, time)
                job.report.maximumTimeSeen = max(job.report.maximumTimeSeen ?? .min, time)
            }
            rows.count += 1
        }
        segment.take(rows.count)
        job.report.rowsKept = rows.count
        job.report.format = "memory"
        job.report.hasTimeColumn = times != nil
        guard rows.count > 0 else {
            throw DataError("nothing is left of \(users.count) rows: all are below the minimum value or bad")
        }
        let assembly = Assembly(job: job, workers: [worker], blocks: [rows], times: width)
        self = try assembly.interactions(byteCount: 0)
    }

    private static func add(_ text: String, to table: OpaquePointer, at position: UInt64) -> Int32 {
        var text = text
        return text.withUTF8 { apus_identifiers_add(table, $0.baseAddress!, Int64($0.count), position) }
    }
}
