/// Collects tensors and writes them as one safetensors file.
///
/// Buffers are referred to, not copied, until ``write(to:)`` streams them out. The format has no room for gaps between
/// tensors, so those whose size is a multiple of 64 bytes come first, and all of these start at a multiple of 64 in the
/// file; the others follow by falling element size, each aligned to its element.
public struct SafetensorsWriter {
    private struct Item {
        let description: TensorDescription
        let bytes: UnsafeRawBufferPointer
        /// Keeps the bytes alive.
        let owner: AnyObject
    }

    private let metadata: [String: String]
    private var items: [Item] = []
    private var names: Set<String> = []

    /// - Parameter metadata: strings by name, kept in the header; large content belongs into tensors.
    public init(metadata: [String: String] = [:]) {
        self.metadata = metadata
    }

    /// Adds float32 elements, row-major; `buffer.count` is the product of `shape`.
    public mutating func add(_ name: String, shape: [Int], _ buffer: HostBuffer<Float>) {
        append(name, .f32, shape, buffer)
    }

    /// Adds float64 elements, row-major; `buffer.count` is the product of `shape`.
    public mutating func add(_ name: String, shape: [Int], _ buffer: HostBuffer<Double>) {
        append(name, .f64, shape, buffer)
    }

    /// Adds 32-bit integers, row-major; `buffer.count` is the product of `shape`.
    public mutating func add(_ name: String, shape: [Int], _ buffer: HostBuffer<Int32>) {
        append(name, .i32, shape, buffer)
    }

    /// Adds 64-bit integers, row-major; `buffer.count` is the product of `shape`.
    public mutating func add(_ name: String, shape: [Int], _ buffer: HostBuffer<Int64>) {
        append(name, .i64, shape, buffer)
    }

    /// Adds bytes, row-major; `buffer.count` is the product of `shape`.
    public mutating func add(_ name: String, shape: [Int], _ buffer: HostBuffer<UInt8>) {
        append(name, .u8, shape, buffer)
    }

    private mutating func append<Element>(
        _ name: String, _ type: TensorType, _ shape: [Int], _ buffer: HostBuffer<Element>
    ) {
        precondition(SafetensorsFormat.elementCount(shape) == buffer.count, "tensor \(name): shape and elements differ")
        precondition(
            name != SafetensorsFormat.metadataKey && names.insert(name).inserted, "tensor \(name): name is taken")
        items.append(
            Item(
                description: TensorDescription(name: name, type: type, shape: shape),
                bytes: UnsafeRawBufferPointer(start: buffer.baseAddress, count: buffer.byteCount), owner: buffer))
    }

    /// Writes the file: to a temporary one in the same folder, which is synced and renamed.
    /// - Throws: `SystemError`; a file of that name is then as it was before, and nothing else is left.
    public func write(to path: String) throws {
        let ordered = items.enumerated().sorted { left, right in
            SafetensorsWriter.order(left.element) != SafetensorsWriter.order(right.element)
                ? SafetensorsWriter.order(left.element) < SafetensorsWriter.order(right.element)
                : left.offset < right.offset
        }.map(\.element)
        let header = headerText(ordered)
        let file = try AtomicFile(path: path)
        do {
            var length = UInt64(header.utf8.count).littleEndian
            try withUnsafeBytes(of: &length) { try file.write($0) }
            try file.write(header)
            for item in ordered {
                try withExtendedLifetime(item.owner) { try file.write(item.bytes) }
            }
            try file.commit()
        } catch {
            file.discard()
            throw error
        }
    }

    /// 0 for the tensors that keep the next one aligned to 64 bytes; then by falling element size.
    private static func order(_ item: Item) -> Int {
        item.bytes.count % SafetensorsFormat.alignment == 0 ? 0 : 16 - item.description.type.byteCount
    }

    private func headerText(_ ordered: [Item]) -> String {
        var entries: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
            entries.append("\"\(SafetensorsFormat.metadataKey)\":{\(pairs.joined(separator: ","))}")
        }
        var offset = 0
        for item in ordered {
            let end = offset + item.bytes.count
            let shape = item.description.shape.map(String.init).joined(separator: ",")
            entries.append(
                "\(quoted(item.description.name)):{\"dtype\":\"\(item.description.type.rawValue)\","
                    + "\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        var text = "{\(entries.joined(separator: ","))}"
        let past = (SafetensorsFormat.prefixByteCount + text.utf8.count) % SafetensorsFormat.alignment
        if past > 0 { text += String(repeating: " ", count: SafetensorsFormat.alignment - past) }
        return text
    }

    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
