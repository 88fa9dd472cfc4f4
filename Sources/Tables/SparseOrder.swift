import CVectorLoops
import Core
import Glibc

/// Page-aligned memory of which parts become buffers; freed when the last of them goes.
final class SharedStorage: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let byteCount: Int

    init(byteCount: Int) {
        self.byteCount = max(byteCount, 1)
        base = HostMemory.allocate(byteCount: self.byteCount)
    }

    deinit { HostMemory.deallocate(base, byteCount: byteCount) }

    /// Views `count` elements from a byte offset on.
    ///
    /// - Parameter givingBack: whether the view is the only one of its pages, which then go back to the system with it
    ///   while other parts of the block live on.
    func buffer<Element: BitwiseCopyable>(
        _ type: Element.Type, at offset: Int, count: Int, givingBack: Bool = false
    ) -> HostBuffer<Element> {
        precondition(offset + count * MemoryLayout<Element>.stride <= byteCount)
        let address = base + offset
        let start = address.bindMemory(to: Element.self, capacity: max(count, 1))
        let pages =
            givingBack && offset % HostMemory.alignment == 0
            ? count * MemoryLayout<Element>.stride / HostMemory.alignment * HostMemory.alignment : 0
        return HostBuffer(viewing: start, count: count) {
            if pages > 0 { madvise(address, pages, MADV_DONTNEED) }
            withExtendedLifetime(self) {}
        }
    }

    static func aligned(_ byteCount: Int) -> Int {
        (byteCount + HostMemory.alignment - 1) / HostMemory.alignment * HostMemory.alignment
    }
}

/// The sort of parsed rows by user, and within a user by item.
///
/// A counting sort by user writes 8-byte words (item, value), so that a random place costs one cache miss; rows are
/// then sorted by item while they are in the cache. The words' memory becomes the second matrix.
final class SparseOrder {
    private let runs: [apus_run]
    private let users: Int
    private let items: Int
    private let rows: Int
    private let rule: DuplicateRule
    private let times: TimeWidth
    private let threads: Int
    private var words: SharedStorage?
    private var narrowTimes: HostBuffer<Int32>?
    private var wideTimes: HostBuffer<Int64>?
    private var pointers: HostBuffer<Int64>
    private var columns: HostBuffer<Int32>
    private var values: HostBuffer<Float>
    /// Rows that were merged into others.
    private(set) var merged = 0

    init(runs: [apus_run], users: Int, items: Int, rows: Int, rule: DuplicateRule, times: TimeWidth, threads: Int) {
        self.runs = runs
        self.users = users
        self.items = items
        self.rows = rows
        self.rule = rule
        self.times = times
        self.threads = threads
        pointers = HostBuffer(repeating: 0, count: users + 1)
        columns = HostBuffer(uninitializedCount: 0)
        values = HostBuffer(uninitializedCount: 0)
    }

    /// Cuts `count` counters-tables' worth of work so that the tables don't outgrow the data.
    static func portions(threads: Int, entries: Int, buckets: Int) -> Int {
        max(1, min(threads, entries / max(2 * buckets, 1 << 15)))
    }

    /// Makes starting places for each portion out of its counts, portion after portion within a bucket, so that the
    /// sort is stable; and the row pointers.
    static func starts(_ counts: [HostBuffer<UInt64>], pointers: HostBuffer<Int64>) {
        var place: UInt64 = 0
        let buckets = pointers.count - 1
        let tables = counts.map(\.baseAddress)
        for bucket in 0..<buckets {
            pointers[bucket] = Int64(place)
            for table in tables {
                let count = table[bucket]
                table[bucket] = place
                place += count
            }
        }
        pointers[buckets] = Int64(place)
    }

    /// Puts the rows in order of users, in the file's order within a user; then `release` frees them. Times follow in a
    /// second pass, for which items and values are not needed any more: that keeps the peak of memory down.
    func scatter(segments: [RowSegment], release: () -> Void) throws {
        let portions = SparseOrder.portions(threads: threads, entries: rows, buckets: users)
        // Runs are not split: they are many, and small.
        var bounds = [0]
        var sum = 0
        for (place, run) in runs.enumerated() {
            sum += Int(run.count)
            if sum * portions >= rows * bounds.count, bounds.count < portions { bounds.append(place + 1) }
        }
        while bounds.count <= portions { bounds.append(runs.count) }
        bounds[portions] = runs.count
        let counts = (0..<portions).map { _ in HostBuffer<UInt64>(repeating: 0, count: users) }
        runs.withUnsafeBufferPointer { runs in
            guard let base = runs.baseAddress else { return }
            Workers.run(portions) { portion in
                apus_count_users(
                    base + bounds[portion], Int64(bounds[portion + 1] - bounds[portion]), counts[portion].baseAddress)
            }
        }
        SparseOrder.starts(counts, pointers: pointers)
        let half = SharedStorage.aligned(rows * 4)
        let storage = SharedStorage(byteCount: 2 * half)
        let entries = storage.buffer(UInt64.self, at: 0, count: rows)
        runs.withUnsafeBufferPointer { runs in
            guard let base = runs.baseAddress else { return }
            Workers.run(portions) { portion in
                apus_scatter_by_user(
                    base + bounds[portion], Int64(bounds[portion + 1] - bounds[portion]), counts[portion].baseAddress,
                    entries.baseAddress)
            }
        }
        words = storage
        if times != .none {
            for segment in segments { segment.releaseItemsAndValues() }
            narrowTimes = times == .narrow ? HostBuffer(uninitializedCount: rows) : nil
            wideTimes = times == .wide ? HostBuffer(uninitializedCount: rows) : nil
            let (narrow, wide) = (narrowTimes, wideTimes)
            // A pass leaves the starts of the next portion in each table; the first portion takes the last table, and
            // the row pointers as its starts.
            runs.withUnsafeBufferPointer { runs in
                guard let base = runs.baseAddress else { return }
                Workers.run(portions) { portion in
                    let next = counts[(portion + portions - 1) % portions].baseAddress
                    if portion == 0 {
                        for user in 0..<users { next[user] = UInt64(pointers[user]) }
                    }
                    apus_scatter_times(
                        base + bounds[portion], Int64(bounds[portion + 1] - bounds[portion]), next, narrow?.baseAddress,
                        wide?.baseAddress)
                }
            }
        }
        release()
    }

    /// Sorts within rows and merges duplicates; answers the first pair that the rule forbids.
    func sortRows() throws -> (user: Int, item: Int)? {
        guard let words else { return nil }
        columns = HostBuffer(uninitializedCount: rows)
        values = HostBuffer(uninitializedCount: rows)
        let lengths = HostBuffer<Int64>(uninitializedCount: users)
        let entries = words.buffer(UInt64.self, at: 0, count: rows)
        let tasks = SparseOrder.rowTasks(pointers)
        var results = [Int64](repeating: 0, count: tasks.count - 1)
        var duplicates = [(Int64, Int64)](repeating: (0, 0), count: tasks.count - 1)
        let cRule: Int32 =
            switch rule {
            case .sum: Int32(APUS_DUPLICATES_SUM)
            case .last: Int32(APUS_DUPLICATES_LAST)
            case .max: Int32(APUS_DUPLICATES_MAXIMUM)
            case .error: Int32(APUS_DUPLICATES_ERROR)
            }
        let (pointers, columns, values, items) = (self.pointers, self.columns, self.values, self.items)
        let (narrow, wide) = (narrowTimes, wideTimes)
        results.withUnsafeMutableBufferPointer { results in
            duplicates.withUnsafeMutableBufferPointer { duplicates in
                Workers.share(tasks: tasks.count - 1, threads: threads) { task in
                    var duplicate: [Int64] = [0, 0]
                    results[task] = apus_sort_rows(
                        Int64(tasks[task]), Int64(tasks[task + 1]), pointers.baseAddress, entries.baseAddress,
                        narrow?.baseAddress, wide?.baseAddress, Int64(items), cRule, columns.baseAddress,
                        values.baseAddress, lengths.baseAddress, &duplicate)
                    duplicates[task] = (duplicate[0], duplicate[1])
                }
            }
        }
        for (result, duplicate) in zip(results, duplicates) {
            if result == -1 { throw SystemError(operation: "sort", object: "interactions", reason: "out of memory") }
            if result == -2 { return (Int(duplicate.0), Int(duplicate.1)) }
            merged += Int(result)
        }
        if merged > 0 { closeGaps(lengths) }
        return nil
    }

    /// Rows cut into pieces of some 2¹⁸ entries.
    static func rowTasks(_ pointers: HostBuffer<Int64>) -> [Int] {
        let rows = pointers.count - 1
        var bounds = [0]
        var start: Int64 = 0
        for row in 0..<rows where pointers[row + 1] - start >= 1 << 18 && row + 1 < rows {
            bounds.append(row + 1)
            start = pointers[row + 1]
        }
        bounds.append(rows)
        return bounds
    }

    /// Moves rows together after merging made them shorter.
    private func closeGaps(_ lengths: HostBuffer<Int64>) {
        var place = 0
        for user in 0..<users {
            let start = Int(pointers[user])
            let length = Int(lengths[user])
            if start != place {
                memmove(columns.baseAddress + place, columns.baseAddress + start, length * 4)
                memmove(values.baseAddress + place, values.baseAddress + start, length * 4)
                if let narrowTimes {
                    memmove(narrowTimes.baseAddress + place, narrowTimes.baseAddress + start, length * 4)
                }
                if let wideTimes { memmove(wideTimes.baseAddress + place, wideTimes.baseAddress + start, length * 8) }
            }
            pointers[user] = Int64(place)
            place += length
        }
        pointers[users] = Int64(place)
        columns = columns.shortened(to: place)
        values = values.shortened(to: place)
        narrowTimes = narrowTimes?.shortened(to: place)
        wideTimes = wideTimes?.shortened(to: place)
    }

    func byUser() -> HostSparseMatrix {
        HostSparseMatrix(rows: users, columns: items, rowPointers: pointers, columnIndices: columns, values: values)
    }

    /// The times in the order of the matrix, in 64 bits. Memory for the transpose is then got anew, so that it doesn't
    /// add to the peak.
    func takeTimes() -> HostBuffer<Int64>? {
        defer {
            narrowTimes = nil
            wideTimes = nil
        }
        guard let narrowTimes else { return wideTimes }
        words = nil
        let result = HostBuffer<Int64>(uninitializedCount: narrowTimes.count)
        for entry in 0..<narrowTimes.count { result[entry] = Int64(narrowTimes[entry]) }
        return result
    }

    /// Memory for the transpose: that of the sorted words, which nobody needs any more.
    func spareStorage() -> SharedStorage? {
        defer { words = nil }
        return words
    }
}

extension HostBuffer {
    /// The first elements; memory behind them goes back to the system where whole pages are free.
    func shortened(to newCount: Int) -> HostBuffer<Element> {
        let page = HostMemory.alignment
        let used = (newCount * MemoryLayout<Element>.stride + page - 1) / page * page
        if byteCount >= 1 << 20, used < byteCount {
            madvise(UnsafeMutableRawPointer(baseAddress) + used, (byteCount - used) / page * page, MADV_DONTNEED)
        }
        return HostBuffer(viewing: baseAddress, count: newCount, release: { _ = self })
    }
}

/// Transposes sparse matrices on several threads, by counting.
struct Transposition {
    let threads: Int

    /// The transpose, in `storage` when that is large enough. Within a row, columns ascend. O(entries + rows + columns).
    func transpose(_ matrix: HostSparseMatrix, into storage: SharedStorage? = nil) -> HostSparseMatrix {
        let entries = matrix.entryCount
        let pointers = HostBuffer<Int64>(uninitializedCount: matrix.columns + 1)
        let half = SharedStorage.aligned(entries * 4)
        let memory = storage.flatMap { $0.byteCount >= 2 * half ? $0 : nil } ?? SharedStorage(byteCount: 2 * half)
        let indices = memory.buffer(Int32.self, at: 0, count: entries, givingBack: true)
        let values = memory.buffer(Float.self, at: half, count: entries, givingBack: true)
        let portions = SparseOrder.portions(threads: threads, entries: entries, buckets: matrix.columns)
        var bounds = [0]
        for row in 0..<matrix.rows
        where bounds.count < portions && Int(matrix.rowPointers[row + 1]) * portions >= entries * bounds.count {
            bounds.append(row + 1)
        }
        while bounds.count <= portions { bounds.append(matrix.rows) }
        let counts = (0..<portions).map { _ in HostBuffer<UInt64>(repeating: 0, count: matrix.columns) }
        let rowPointers = matrix.rowPointers
        Workers.run(portions) { portion in
            let first = Int(rowPointers[bounds[portion]])
            let last = Int(rowPointers[bounds[portion + 1]])
            apus_count_columns(
                matrix.columnIndices.baseAddress + first, Int64(last - first), counts[portion].baseAddress)
        }
        SparseOrder.starts(counts, pointers: pointers)
        Workers.run(portions) { portion in
            apus_scatter_by_column(
                Int64(bounds[portion]), Int64(bounds[portion + 1]), rowPointers.baseAddress,
                matrix.columnIndices.baseAddress, matrix.values.baseAddress, counts[portion].baseAddress,
                indices.baseAddress, values.baseAddress)
        }
        return HostSparseMatrix(
            rows: matrix.columns, columns: matrix.rows, rowPointers: pointers, columnIndices: indices, values: values)
    }
}
