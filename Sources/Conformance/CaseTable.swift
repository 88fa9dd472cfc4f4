import Compute

/// Where a matrix lies in its memory: what comes before it, between its rows and behind it.
struct Layout: Sendable, CustomStringConvertible {
    let lead: Int
    let gap: Int
    let tail: Int

    /// The whole of its memory: reading past its end leaves the buffer, which Oclgrind sees.
    static let packed = Layout(lead: 0, gap: 0, tail: 0)
    /// Nothing aligned.
    static let padded = Layout(lead: 7, gap: 3, tail: 61)
    /// Rows at least as aligned as those of a whole table's window.
    static let aligned = Layout(lead: 64, gap: 16, tail: 64)
    static let all = [packed, padded, aligned]

    var description: String { lead == 0 ? "packed" : gap == 3 ? "padded" : "aligned" }
}

/// Memory with everything that a case has put in it, canaries included.
final class CaseTable {
    /// Elements that no operation may touch: a NaN, so that one which is read spoils the result, of a bit pattern that
    /// no arithmetic gives.
    static let canary = Int32(bitPattern: 0x7FC0_DEAD)

    let name: String
    /// All of the memory, as one row.
    let whole: Matrix
    /// The content before the operation, in 32-bit words.
    var words: [Int32]
    /// Which words the operation may change.
    var writable: [Bool]

    init(name: String, whole: Matrix, words: [Int32]) {
        self.name = name
        self.whole = whole
        self.words = words
        self.writable = Array(repeating: false, count: words.count)
    }

    /// The present content.
    func download(_ stream: Stream) throws(ComputeError) -> [Int32] {
        switch whole.elementType {
        case .int32: return try stream.download(whole, as: Int32.self)
        case .float32: return try stream.download(whole, as: Float.self).map { Int32(bitPattern: $0.bitPattern) }
        case .int64:
            return try stream.download(whole, as: Int64.self).flatMap {
                [Int32(truncatingIfNeeded: $0), Int32(truncatingIfNeeded: $0 >> 32)]
            }
        }
    }

    /// Puts the content from before the operation back.
    func reset(_ stream: Stream) throws(ComputeError) {
        switch whole.elementType {
        case .int32: try stream.upload(words, to: whole)
        case .float32: try stream.upload(words.map { Float(bitPattern: UInt32(bitPattern: $0)) }, to: whole)
        case .int64: break  // row pointers are never written
        }
    }
}

/// A matrix of a case: a window on a ``CaseTable``.
struct Operand {
    let table: CaseTable
    let matrix: Matrix

    /// Index, within the table, of an element.
    func place(_ row: Int, _ column: Int) -> Int { matrix.offset + row * matrix.rowStride + column }

    /// The elements of the window in some content of the table.
    func elements(of words: [Int32]) -> [Int32] {
        var result: [Int32] = []
        result.reserveCapacity(matrix.count)
        for row in 0..<matrix.rows {
            for column in 0..<matrix.columns { result.append(words[place(row, column)]) }
        }
        return result
    }
}
