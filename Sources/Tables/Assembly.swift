import CVectorLoops
import Core

/// From parsed rows to interactions: one numbering, two orders, filters, fingerprint.
final class Assembly {
    private let job: ReadJob
    private var workers: [ReadWorker]
    private var blocks: [BlockRows]
    private let times: TimeWidth
    private var threads: Int

    init(job: ReadJob, workers: [ReadWorker], blocks: [BlockRows], times: TimeWidth) {
        self.job = job
        self.workers = workers
        self.blocks = blocks
        self.times = times
        self.threads = job.options.threadCount
    }

    func interactions(byteCount: Int) throws -> Interactions {
        let options = job.options
        var clock = monotonicSeconds()
        for worker in workers { worker.releaseSegment() }
        let rowCount = blocks.reduce(0) { $0 + $1.count }
        if rowCount < 1 << 16 { threads = 1 }
        let (users, items) = try mergeIdentifiers()
        applyDecay(reference: options.asOf ?? job.report.maximumTimeSeen ?? 0)
        job.report.secondsToIndex = monotonicSeconds() - clock
        clock = monotonicSeconds()
        let order = SparseOrder(
            runs: runs(users, items), users: users.index.count, items: items.index.count, rows: rowCount,
            rule: options.duplicates, times: options.needsTimes || options.duplicates == .last ? times : .none,
            threads: threads)
        try order.scatter(segments: segments()) { blocks = [] }
        let duplicate = try order.sortRows()
        if let (user, item) = duplicate {
            throw DataError(
                "user '\(users.index[user])' and item '\(items.index[item])' occur in more than one row; the rule for duplicates says error",
                file: job.path == "memory" ? nil : job.path)
        }
        job.report.duplicatesMerged = order.merged
        let result = try filtered(order, users.index, items.index)
        job.report.secondsToOrder = monotonicSeconds() - clock
        let hash = StructureHash.of(result, options: options.key, threads: threads)
        return Interactions(
            users: result.users, items: result.items, byUser: result.byUser, byItem: result.byItem,
            times: result.times, report: job.report,
            fingerprint: DataFingerprint(byteCount: byteCount, rows: job.report.rowsKept, hash: hash))
    }

    private func mergeIdentifiers() throws -> (MergedIdentifiers, MergedIdentifiers) {
        var users: Result<MergedIdentifiers, any Error>?
        var items: Result<MergedIdentifiers, any Error>?
        let userTables = workers.map(\.users)
        let itemTables = workers.map(\.items)
        Workers.share(tasks: 2, threads: min(threads, 2)) { task in
            if task == 0 {
                users = Result { try MergedIdentifiers(userTables, role: "user", path: job.path) }
            } else {
                items = Result { try MergedIdentifiers(itemTables, role: "item", path: job.path) }
            }
        }
        let both = (try users!.get(), try items!.get())
        workers = []
        return both
    }

    private func runs(_ users: MergedIdentifiers, _ items: MergedIdentifiers) -> [apus_run] {
        blocks.compactMap { block in
            guard let segment = block.segment, block.count > 0 else { return nil }
            return apus_run(
                users: UnsafePointer(segment.users.baseAddress + block.start),
                items: UnsafePointer(segment.items.baseAddress + block.start),
                values: UnsafePointer(segment.values.baseAddress + block.start),
                times: segment.times.map { UnsafePointer($0.baseAddress + block.start) },
                wide_times: segment.wideTimes.map { UnsafePointer($0.baseAddress + block.start) },
                count: Int64(block.count),
                user_map: users.maps.isEmpty ? nil : UnsafePointer(users.maps[block.worker].baseAddress),
                item_map: items.maps.isEmpty ? nil : UnsafePointer(items.maps[block.worker].baseAddress))
        }
    }

    private func segments() -> [RowSegment] {
        var seen: Set<ObjectIdentifier> = []
        return blocks.compactMap(\.segment).filter { seen.insert(ObjectIdentifier($0)).inserted }
    }

    private func applyDecay(reference: Int64) {
        guard let days = job.options.halfLifeDays else { return }
        let blocks = blocks
        Workers.share(tasks: blocks.count, threads: threads) { task in
            let block = blocks[task]
            guard let segment = block.segment else { return }
            apus_decay(
                segment.values.baseAddress + block.start, segment.times.map { $0.baseAddress + block.start },
                segment.wideTimes.map { $0.baseAddress + block.start }, Int64(block.count), reference, days * 86_400)
        }
    }

    private func filtered(
        _ order: SparseOrder, _ users: IdentifierIndex, _ items: IdentifierIndex
    ) throws -> SparseInteractions {
        let options = job.options
        var result = SparseInteractions(users: users, items: items, byUser: order.byUser(), times: nil)
        if options.needsTimes { result.times = order.takeTimes() }
        if options.minimumPerUser > 1 || options.minimumPerItem > 1 {
            let core = DegreeFilter(
                byUser: result.byUser, minimumPerUser: options.minimumPerUser, minimumPerItem: options.minimumPerItem)
            job.report.usersBelowMinimum = core.usersDropped
            job.report.itemsBelowMinimum = core.itemsDropped
            job.report.interactionsBelowMinimum = core.entriesDropped
            if core.usersDropped + core.itemsDropped > 0 {
                guard core.entriesKept > 0 else {
                    throw DataError(
                        "nothing is left: no user and item have at least \(max(options.minimumPerUser, 1)) and \(max(options.minimumPerItem, 1)) interactions",
                        file: job.path == "memory" ? nil : job.path)
                }
                result = core.apply(to: result)
            }
        }
        result.byItem = Transposition(threads: threads).transpose(result.byUser, into: order.spareStorage())
        return result
    }
}

/// Interactions in the making.
struct SparseInteractions {
    var users: IdentifierIndex
    var items: IdentifierIndex
    var byUser: HostSparseMatrix
    var byItem: HostSparseMatrix
    var times: HostBuffer<Int64>?

    init(users: IdentifierIndex, items: IdentifierIndex, byUser: HostSparseMatrix, times: HostBuffer<Int64>?) {
        self.users = users
        self.items = items
        self.byUser = byUser
        self.byItem = byUser
        self.times = times
    }
}

/// Keeps identifiers where `keep` says so.
func compact(_ index: IdentifierIndex, keep: [Bool]) -> IdentifierIndex {
    var offsets: [Int64] = [0]
    var bytes: [UInt8] = []
    for number in 0..<index.count where keep[number] {
        bytes.append(contentsOf: index.utf8(number))
        offsets.append(Int64(bytes.count))
    }
    return IdentifierIndex(trusted: HostBuffer(bytes), offsets: HostBuffer(offsets))
}
