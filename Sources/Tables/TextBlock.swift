import CVectorLoops
import Core
import Glibc

/// Whole records, with readable bytes before and after them for wide loads.
final class TextBlock {
    static let margin = 64
    private var storage: UnsafeMutableRawPointer
    private(set) var capacity: Int
    /// Number of the block, from 0.
    var number = 0
    /// First byte to parse; above 0 only in the first block, which has the header.
    var start = 0
    var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        storage = .allocate(byteCount: capacity + 2 * TextBlock.margin, alignment: 64)
        storage.initializeMemory(as: UInt8.self, repeating: 0, count: TextBlock.margin)
    }

    deinit { storage.deallocate() }

    var text: UnsafeMutablePointer<UInt8> {
        (storage + TextBlock.margin).assumingMemoryBound(to: UInt8.self)
    }

    func grow(to newCapacity: Int, keeping used: Int) {
        let bigger = UnsafeMutableRawPointer.allocate(byteCount: newCapacity + 2 * TextBlock.margin, alignment: 64)
        memcpy(bigger, storage, TextBlock.margin + used)
        storage.deallocate()
        storage = bigger
        capacity = newCapacity
    }
}

/// An error at a place whose line is known only when all blocks before it have been counted.
struct PlacedError: Error {
    let block: Int
    /// Line within the block, from 0.
    let line: Int
    /// Whether the text looks as if it had another encoding, so that reading it again may help.
    var maybeGB18030 = false
    /// Whether reading again with 64 bits for times will do.
    var needsWideTimes = false
    let make: @Sendable (_ line: Int) -> any Error
}

/// Cuts a source into blocks of whole records, one after another. Used under a lock; everything that must happen in
/// order happens here: reading, decompression, conversion, and finding where records end.
final class BlockReader {
    /// A record may be this long; longer ones are most likely a quote that nothing closes.
    static let maximumRecordBytes = 1 << 26

    private let source: any ByteSource
    private let format: UnsafePointer<apus_row_format>
    private let path: String
    private var carry: [UInt8] = []
    private var headerLength: Int
    private var ended = false
    private(set) var blocks = 0
    private(set) var bytesOfText = 0

    init(
        _ source: any ByteSource, sample: [UInt8], headerLength: Int, format: UnsafePointer<apus_row_format>,
        path: String
    ) {
        self.source = PrefixedSource(sample, then: source)
        self.headerLength = headerLength
        self.format = format
        self.path = path
    }

    /// Fills the block with the next records; false at the end.
    func next(_ block: TextBlock) throws -> Bool {
        guard !ended || !carry.isEmpty else { return false }
        var count = carry.count
        if block.capacity < count { block.grow(to: count, keeping: 0) }
        carry.withUnsafeBytes {
            UnsafeMutableRawPointer(block.text).copyMemory(from: $0.baseAddress!, byteCount: count)
        }
        carry.removeAll(keepingCapacity: true)
        while true {
            if !ended {
                let room = UnsafeMutableRawBufferPointer(start: block.text + count, count: block.capacity - count)
                let more: Int
                do { more = try source.fill(room) } catch {
                    throw PlacedError(block: blocks, line: 0) { _ in error }
                }
                ended = more < room.count
                count += more
            }
            if ended {
                guard count > 0 else { return false }
                return hand(block, end: count, count: count)
            }
            var openQuote: Int64 = -1
            let end = Int(apus_last_record_end(block.text, Int64(count), format, &openQuote))
            if end > 0 { return hand(block, end: end, count: count) }
            guard count < BlockReader.maximumRecordBytes else {
                let path = path
                let reason =
                    openQuote >= 0
                    ? "the quote that opens here is not closed"
                    : "the row is longer than \(BlockReader.maximumRecordBytes >> 20) MB; is this a table of rows?"
                let line = openQuote > 0 ? Int(apus_count_newlines(block.text, openQuote)) : 0
                throw PlacedError(block: blocks, line: line) { DataError(reason, file: path, line: $0) }
            }
            block.grow(to: count * 2, keeping: count)
        }
    }

    private func hand(_ block: TextBlock, end: Int, count: Int) -> Bool {
        carry.append(contentsOf: UnsafeBufferPointer(start: block.text + end, count: count - end))
        memset(block.text + end, 0, TextBlock.margin)
        block.number = blocks
        block.start = min(headerLength, end)
        headerLength -= block.start
        block.count = end
        blocks += 1
        bytesOfText += end
        return true
    }
}
