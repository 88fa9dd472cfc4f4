import CVectorLoops
import Core

/// The names of users or items, numbered from 0.
///
/// Identifiers are text, whatever they look like: "007" and "7" are two of them. They are kept as UTF-8 bytes, one
/// after another, with the offsets between them: the form in which the model file stores them.
public struct IdentifierIndex: Sendable {
    /// Number of identifiers.
    public let count: Int
    /// UTF-8 of all identifiers, without separators.
    public let bytes: HostBuffer<UInt8>
    /// `count + 1` ascending positions in `bytes`; identifier `i` is `bytes[offsets[i] ..< offsets[i + 1]]`.
    public let offsets: HostBuffer<Int64>
    private let table: LookupTable

    /// Wraps arrays of the form described above. Throws ``Core/DataError`` when the offsets don't fit the bytes.
    /// O(count).
    public init(bytes: HostBuffer<UInt8>, offsets: HostBuffer<Int64>) throws {
        guard offsets.count >= 1, offsets[0] == 0, Int(offsets[offsets.count - 1]) <= bytes.count else {
            throw DataError("the offsets of the identifiers don't fit their bytes")
        }
        guard offsets.count - 1 <= Int(Int32.max) else { throw DataError("there are more than 2^31 - 1 identifiers") }
        for index in 1..<max(offsets.count, 1) where offsets[index] < offsets[index - 1] {
            throw DataError("the offsets of the identifiers don't ascend")
        }
        self.init(trusted: bytes, offsets: offsets)
    }

    /// Copies strings; equal strings keep different numbers, and ``index(of:)`` finds the first of them.
    public init(_ strings: [String]) {
        let texts = strings.map { Array($0.utf8) }
        var offsets: [Int64] = [0]
        offsets.reserveCapacity(texts.count + 1)
        for text in texts { offsets.append(offsets[offsets.count - 1] + Int64(text.count)) }
        self.init(trusted: HostBuffer(Array(texts.joined())), offsets: HostBuffer(offsets))
    }

    init(trusted bytes: HostBuffer<UInt8>, offsets: HostBuffer<Int64>) {
        self.count = offsets.count - 1
        self.bytes = bytes
        self.offsets = offsets
        self.table = LookupTable()
    }

    /// Bytes of one identifier.
    public func utf8(_ index: Int) -> UnsafeBufferPointer<UInt8> {
        precondition(index >= 0 && index < count)
        let start = Int(offsets[index])
        return UnsafeBufferPointer(start: bytes.baseAddress + start, count: Int(offsets[index + 1]) - start)
    }

    /// One identifier.
    public subscript(index: Int) -> String { String(decoding: utf8(index), as: UTF8.self) }

    /// All identifiers, in order (a copy).
    public var strings: [String] { (0..<count).map { self[$0] } }

    /// Number of an identifier, nil when it is not there. The first call builds a hash table, O(count); the others
    /// take O(length). Any thread may call.
    public func index(of identifier: String) -> Int? {
        var identifier = identifier
        return identifier.withUTF8 { index(of: $0) }
    }

    /// Number of an identifier given as UTF-8.
    public func index(of utf8: UnsafeBufferPointer<UInt8>) -> Int? { table.index(of: utf8, in: self) }
}

/// The hash table of an index, built when it is first asked.
private final class LookupTable: @unchecked Sendable {
    private let lock = Lock()
    // Written once under the lock.
    private var table: OpaquePointer?
    private var numbers: [Int32] = []

    deinit { apus_identifiers_destroy(table) }

    func index(of text: UnsafeBufferPointer<UInt8>, in index: IdentifierIndex) -> Int? {
        let table = lock.locked { built(for: index) }
        guard let table else { return linearSearch(text, in: index) }
        var none: UInt8 = 0
        let place = withUnsafePointer(to: &none) {
            apus_identifiers_find(table, text.baseAddress ?? $0, Int64(text.count))
        }
        guard place >= 0 else { return nil }
        return numbers.isEmpty ? Int(place) : Int(numbers[Int(place)])
    }

    private func built(for index: IdentifierIndex) -> OpaquePointer? {
        if let table { return table }
        guard let fresh = apus_identifiers_create() else { return nil }
        for number in 0..<index.count {
            let text = index.utf8(number)
            let before = apus_identifiers_count(fresh)
            let place = apus_identifiers_add(fresh, text.baseAddress!, Int64(text.count), 0)
            if place < 0 {
                apus_identifiers_destroy(fresh)
                return nil
            }
            // Only identifiers given twice make the numbers differ from the table's own.
            if apus_identifiers_count(fresh) == before {
                if numbers.isEmpty { numbers = (0..<number).map { Int32($0) } }
            } else if !numbers.isEmpty {
                numbers.append(Int32(number))
            }
        }
        table = fresh
        return fresh
    }

    /// Without memory for a table the answer is slow, not wrong.
    private func linearSearch(_ text: UnsafeBufferPointer<UInt8>, in index: IdentifierIndex) -> Int? {
        (0..<index.count).first { index.utf8($0).elementsEqual(text) }
    }
}
