/// The header of a safetensors file: strict JSON, of the few forms that the format allows.
///
/// Read by hand, so that opening a model needs no JSON library, and so that names given twice are noticed.
struct SafetensorsHeader {
    struct Entry {
        let description: TensorDescription
        /// First byte and end, counted from the end of the header.
        let begin: Int
        let end: Int
    }

    /// What is wrong, in words that go behind "the header".
    struct Malformed: Error {
        let reason: String
    }

    private(set) var metadata: [String: String] = [:]
    private(set) var entries: [Entry] = []

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(parsing bytes: UnsafeRawBufferPointer) throws(Malformed) {
        self.bytes = bytes
        var names: Set<String> = []
        var hasMetadata = false
        try object { parser, name throws(Malformed) in
            if name == SafetensorsFormat.metadataKey {
                if hasMetadata { throw Malformed(reason: "names \(name) twice") }
                hasMetadata = true
                try parser.object { parser, key throws(Malformed) in
                    let value = try parser.string()
                    if parser.metadata.updateValue(value, forKey: key) != nil {
                        throw Malformed(reason: "names the metadata entry \"\(key)\" twice")
                    }
                }
            } else {
                if !names.insert(name).inserted { throw Malformed(reason: "names the tensor \"\(name)\" twice") }
                parser.entries.append(try parser.entry(name))
            }
        }
        skipSpace()
        if position < bytes.count { throw malformed("something behind the closing brace") }
    }

    private mutating func entry(_ name: String) throws(Malformed) -> Entry {
        var type: TensorType?
        var shape: [Int]?
        var offsets: [Int]?
        try object { parser, key throws(Malformed) in
            switch key {
            case "dtype" where type == nil:
                let text = try parser.string()
                type = TensorType(rawValue: text)
                if type == nil {
                    throw Malformed(reason: "gives tensor \"\(name)\" the element type \"\(text)\", which is unknown")
                }
            case "shape" where shape == nil: shape = try parser.integers()
            case "data_offsets" where offsets == nil: offsets = try parser.integers()
            default: throw Malformed(reason: "has \"\(key)\" where it is not expected, in tensor \"\(name)\"")
            }
        }
        guard let type, let shape, let offsets, offsets.count == 2 else {
            throw Malformed(reason: "lacks the element type, the shape or the place of tensor \"\(name)\"")
        }
        guard let count = SafetensorsFormat.elementCount(shape),
            case let size = count.multipliedReportingOverflow(by: type.byteCount),
            !size.overflow, offsets[0] <= offsets[1], offsets[1] - offsets[0] == size.partialValue
        else {
            throw Malformed(reason: "gives tensor \"\(name)\" a shape that does not fit its size in bytes")
        }
        return Entry(
            description: TensorDescription(name: name, type: type, shape: shape), begin: offsets[0], end: offsets[1])
    }

    // MARK: JSON

    private func malformed(_ what: String) -> Malformed {
        Malformed(reason: "is not valid JSON: \(what) at byte \(position)")
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
        skipSpace()
        guard next == character.asciiValue else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Character) throws(Malformed) {
        if !take(character) { throw malformed("`\(character)` is missing") }
    }

    private mutating func object(
        _ member: (inout SafetensorsHeader, String) throws(Malformed) -> Void
    ) throws(Malformed) {
        try expect("{")
        if take("}") { return }
        repeat {
            let key = try string()
            try expect(":")
            try member(&self, key)
        } while take(",")
        try expect("}")
    }

    private mutating func integers() throws(Malformed) -> [Int] {
        var result: [Int] = []
        try expect("[")
        if take("]") { return result }
        repeat {
            skipSpace()
            let start = position
            var value = 0
            while let byte = next, byte >= 0x30, byte <= 0x39 {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(Int(byte - 0x30))
                if overflow || carry { throw malformed("a number that is too large") }
                value = sum
                position += 1
            }
            if position == start || (bytes[start] == 0x30 && position > start + 1) {
                throw malformed("a whole number is missing")
            }
            result.append(value)
        } while take(",")
        try expect("]")
        return result
    }

    private mutating func string() throws(Malformed) -> String {
        try expect("\"")
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case 0x22:
                guard let result = String(validating: text, as: UTF8.self) else {
                    throw malformed("text that is not UTF-8")
                }
                return result
            case 0x5C: try escape(into: &text)
            case 0..<0x20: throw malformed("a control character in text")
            default: text.append(byte)
            }
        }
        throw malformed("text without its closing quote")
    }

    private mutating func escape(into text: inout [UInt8]) throws(Malformed) {
        guard let byte = next else { throw malformed("an unfinished escape") }
        position += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var value = try codeUnit()
            if value & 0xFC00 == 0xD800, position + 1 < bytes.count, bytes[position] == 0x5C,
                bytes[position + 1] == UInt8(ascii: "u")
            {
                position += 2
                let low = try codeUnit()
                if low & 0xFC00 != 0xDC00 { throw malformed("half a surrogate pair") }
                value = 0x10000 + (value & 0x3FF) << 10 + (low & 0x3FF)
            }
            guard let scalar = Unicode.Scalar(value) else { throw malformed("half a surrogate pair") }
            text.append(contentsOf: String(Character(scalar)).utf8)
        default: throw malformed("an unknown escape")
        }
    }

    private mutating func codeUnit() throws(Malformed) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw malformed("an escape without four digits")
            }
            value = value << 4 + UInt32(digit)
            position += 1
        }
        return value
    }
}
