/// Writes messages in the wire format of Protocol Buffers: https://protobuf.dev/programming-guides/encoding.
struct ProtocolBuffer {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ field: Int, _ value: Int) {
        variant(UInt64(field << 3))
        variant(UInt64(bitPattern: Int64(value)))
    }

    mutating func add(_ field: Int, _ value: Float) {
        variant(UInt64(field << 3 | 5))
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
    }

    mutating func add(_ field: Int, _ text: String) { add(field, Array(text.utf8)) }

    mutating func add(_ field: Int, _ message: ProtocolBuffer) { add(field, message.bytes) }

    mutating func add(_ field: Int, _ content: [UInt8]) {
        variant(UInt64(field << 3 | 2))
        variant(UInt64(content.count))
        bytes += content
    }

    private mutating func variant(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(value & 0x7F) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }
}
