import CVectorLoops
import Core

/// How times are kept while reading.
enum TimeWidth {
    case none
    /// 32 bits: 1901 to 2038.
    case narrow
    /// 64 bits, when the file has a time that needs them.
    case wide
}

/// Parsed rows of one thread: columns that are filled once, and freed as soon as the matrix has them.
final class RowSegment {
    let capacity: Int
    private(set) var count = 0
    private(set) var users: HostBuffer<Int32>
    private(set) var items: HostBuffer<Int32>
    private(set) var values: HostBuffer<Float>
    private(set) var times: HostBuffer<Int32>?
    private(set) var wideTimes: HostBuffer<Int64>?

    init(capacity: Int, times width: TimeWidth) {
        self.capacity = capacity
        users = HostBuffer(uninitializedCount: capacity)
        items = HostBuffer(uninitializedCount: capacity)
        values = HostBuffer(uninitializedCount: capacity)
        times = width == .narrow ? HostBuffer(uninitializedCount: capacity) : nil
        wideTimes = width == .wide ? HostBuffer(uninitializedCount: capacity) : nil
    }

    /// Where the next rows go.
    var free: apus_row_store {
        apus_row_store(
            users: users.baseAddress + count, items: items.baseAddress + count, values: values.baseAddress + count,
            times: times.map { $0.baseAddress + count }, wide_times: wideTimes.map { $0.baseAddress + count })
    }

    func take(_ rows: Int) { count += rows }

    /// Frees what only the first pass of the sort needs; users and times stay.
    func releaseItemsAndValues() {
        items = HostBuffer(uninitializedCount: 0)
        values = HostBuffer(uninitializedCount: 0)
    }
}

/// The rows of one block.
struct BlockRows {
    var worker = 0
    var segment: RowSegment?
    var start = 0
    var count = 0
    /// Newlines of the block's text.
    var lines = 0
    var report = apus_block_report()
    /// The first skipped rows: line within the block, column, reason.
    var skipped: [(line: Int, column: String?, reason: String)] = []
}

/// One thread of the reader.
final class ReadWorker {
    let users: OpaquePointer
    let items: OpaquePointer
    private var segment: RowSegment?
    private var segmentRows = 1 << 17

    init?() {
        guard let users = apus_identifiers_create() else { return nil }
        guard let items = apus_identifiers_create() else {
            apus_identifiers_destroy(users)
            return nil
        }
        self.users = users
        self.items = items
    }

    deinit {
        apus_identifiers_destroy(users)
        apus_identifiers_destroy(items)
    }

    /// Lets go of the rows; whoever still needs them holds the segments.
    func releaseSegment() { segment = nil }

    /// A segment with room for `rows` more rows. Segments grow, so that small files stay small.
    func segment(for rows: Int, times width: TimeWidth) -> RowSegment {
        if let segment, segment.capacity - segment.count >= rows { return segment }
        let fresh = RowSegment(capacity: max(segmentRows, rows), times: width)
        segmentRows = min(segmentRows * 2, 1 << 21)
        segment = fresh
        return fresh
    }
}
