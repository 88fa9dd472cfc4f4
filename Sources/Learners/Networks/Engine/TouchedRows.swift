import Compute
import Core

/// The rows of a table that a batch touches, each once, with the places where it does: what ``UpdateRows`` reads.
final class TouchedRows {
    /// 1 × places; −1 behind the last.
    let rows: Matrix
    /// 1 × (places + 1)
    let starts: Matrix
    /// 1 × places
    let order: Matrix
    /// 1 × places, or nil for 1.
    let factors: Matrix?
    private let passes: Int
    private var keys: [UInt64]
    private var other: [UInt64]
    private var hostRows: [Int32]
    private var hostStarts: [Int32]
    private var hostOrder: [Int32]
    private var hostFactors: [Float]
    private var counts: [Int]
    /// Rows of the batch before.
    private var used = 0

    /// Bits of a row that are sorted by at once.
    private static let digit = 11

    /// - Parameter limit: rows of the table.
    init(count: Int, limit: Int, weighted: Bool, stream: Compute.Stream) throws(ComputeError) {
        rows = try stream.allocate(rows: 1, columns: count, .int32)
        starts = try stream.allocate(rows: 1, columns: count + 1, .int32)
        order = try stream.allocate(rows: 1, columns: count, .int32)
        factors = weighted ? try stream.allocate(rows: 1, columns: count) : nil
        let bits = Int.bitWidth - max(limit - 1, 1).leadingZeroBitCount
        passes = (bits + Self.digit - 1) / Self.digit
        keys = [UInt64](repeating: 0, count: count)
        other = keys
        hostRows = [Int32](repeating: -1, count: count)
        hostStarts = [Int32](repeating: 0, count: count + 1)
        hostOrder = [Int32](repeating: 0, count: count)
        hostFactors = [Float](repeating: 1, count: weighted ? count : 0)
        counts = [Int](repeating: 0, count: 1 << Self.digit)
    }

    /// Uploads what a batch touches.
    ///
    /// - Parameters:
    ///   - ids: rows of the table, below 0 for none.
    ///   - weights: of each of them, where there are any.
    ///   - entry: the entry of the gradient that belongs to a place of `ids`.
    func upload(
        _ ids: [Int32], weights: [Float], _ stream: Compute.Stream, entry: (Int) -> Int32
    ) throws(ComputeError) {
        let present = sort(ids)
        var segments = 0
        keys.withUnsafeBufferPointer { keys in
            hostOrder.withUnsafeMutableBufferPointer { order in
                var last: UInt64 = .max
                for place in 0..<present {
                    let (row, source) = (keys[place] >> 32, Int(keys[place] & 0xFFFF_FFFF))
                    if row != last {
                        hostRows[segments] = Int32(row)
                        hostStarts[segments] = Int32(place)
                        segments += 1
                        last = row
                    }
                    order[place] = entry(source)
                    if factors != nil { hostFactors[place] = weights[source] }
                }
            }
        }
        for place in segments..<max(used, segments) { hostRows[place] = -1 }
        for place in segments..<hostStarts.count { hostStarts[place] = Int32(present) }
        used = segments
        try stream.upload(hostRows, to: rows)
        try stream.upload(hostStarts, to: starts)
        try stream.upload(hostOrder, to: order)
        if let factors { try stream.upload(hostFactors, to: factors) }
    }

    /// Leaves the rows in the upper halves of `keys`, ascending, and their places in the lower ones; those of a row in
    /// the order of the places. Answers how many there are.
    private func sort(_ ids: [Int32]) -> Int {
        var present = 0
        keys.withUnsafeMutableBufferPointer { keys in
            for (place, id) in ids.enumerated() where id >= 0 {
                keys[present] = UInt64(id) << 32 | UInt64(place)
                present += 1
            }
        }
        let mask = UInt64(1 << Self.digit - 1)
        for pass in 0..<passes {
            let shift = UInt64(32 + pass * Self.digit)
            keys.withUnsafeBufferPointer { keys in
                other.withUnsafeMutableBufferPointer { other in
                    counts.withUnsafeMutableBufferPointer { counts in
                        counts.update(repeating: 0)
                        for place in 0..<present { counts[Int(keys[place] >> shift & mask)] += 1 }
                        var sum = 0
                        for digit in counts.indices {
                            let count = counts[digit]
                            counts[digit] = sum
                            sum += count
                        }
                        for place in 0..<present {
                            let digit = Int(keys[place] >> shift & mask)
                            other[counts[digit]] = keys[place]
                            counts[digit] += 1
                        }
                    }
                }
            }
            swap(&keys, &other)
        }
        return present
    }
}
