/// Splits records the slow way: for headers and samples. The parsing loops follow the same rules.
struct RecordSplitter {
    let delimiter: [UInt8]
    let quoting: Bool

    /// Fields of the record that begins at `start`, and the position after it. Blank lines before it are passed over.
    func record(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> (fields: [String], end: Int) {
        var place = start
        while place < text.count, text[place] == 0x0A || (text[place] == 0x0D && isNewline(text, place + 1)) {
            place += 1
        }
        guard place < text.count else { return ([], text.count) }
        var fields: [String] = []
        while true {
            var field: [UInt8] = []
            if quoting, place < text.count, text[place] == 0x22 {
                place += 1
                while place < text.count {
                    if text[place] == 0x22 {
                        guard place + 1 < text.count, text[place + 1] == 0x22 else { break }
                        place += 1
                    }
                    field.append(text[place])
                    place += 1
                }
                place += 1
            }
            while place < text.count, text[place] != 0x0A, !isDelimiter(text, place) {
                if !(text[place] == 0x0D && (place + 1 == text.count || text[place + 1] == 0x0A)) {
                    field.append(text[place])
                }
                place += 1
            }
            fields.append(String(decoding: field, as: UTF8.self))
            if place >= text.count || text[place] == 0x0A { break }
            place += delimiter.count
        }
        return (fields, min(place + 1, text.count))
    }

    /// The first records of a sample, without the last one, which may be cut off.
    func records(in text: UnsafeBufferPointer<UInt8>, limit: Int) -> [[String]] {
        var result: [[String]] = []
        var place = 0
        while place < text.count, result.count < limit {
            let (fields, end) = record(in: text, from: place)
            let cut = end == text.count && text[text.count - 1] != 0x0A
            if !fields.isEmpty, !(cut && !result.isEmpty) { result.append(fields) }
            place = end
        }
        return result
    }

    /// Line on which the first record begins.
    func firstLine(of text: UnsafeBufferPointer<UInt8>) -> Int {
        var line = 1
        for byte in text {
            if byte == 0x0A { line += 1 } else if byte != 0x0D { break }
        }
        return line
    }

    private func isNewline(_ text: UnsafeBufferPointer<UInt8>, _ place: Int) -> Bool {
        place < text.count && text[place] == 0x0A
    }

    private func isDelimiter(_ text: UnsafeBufferPointer<UInt8>, _ place: Int) -> Bool {
        guard place + delimiter.count <= text.count else { return false }
        for (offset, byte) in delimiter.enumerated() where text[place + offset] != byte { return false }
        return true
    }
}

/// Keys and values of flat JSON objects, the slow way: for the first lines of a file.
enum JSONKeys {
    /// Keys of the first object, nil when the first line isn't one.
    static func ofFirstObject(_ text: UnsafeBufferPointer<UInt8>) -> [String]? {
        guard let line = lines(of: text, limit: 1).first else { return nil }
        return members(of: line)?.map(\.key)
    }

    /// Members of the first objects; nil when the first line isn't one.
    static func objects(in text: UnsafeBufferPointer<UInt8>, limit: Int) -> [[(key: String, value: String)]]? {
        let lines = lines(of: text, limit: limit)
        guard let first = lines.first, members(of: first) != nil else { return nil }
        return lines.compactMap { members(of: $0) }
    }

    /// Texts of the values of one key in the first objects.
    static func values(of key: String, in text: UnsafeBufferPointer<UInt8>, limit: Int) -> [String] {
        lines(of: text, limit: limit).compactMap { members(of: $0)?.first { $0.key == key }?.value }
    }

    private static func lines(of text: UnsafeBufferPointer<UInt8>, limit: Int) -> [[UInt8]] {
        var result: [[UInt8]] = []
        var start = 0
        while start < text.count, result.count < limit {
            let end = text[start...].firstIndex(of: 0x0A) ?? text.count
            let line = text[start..<end]
            if line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) { result.append(Array(line)) }
            start = end + 1
        }
        return result
    }

    private static func members(of line: [UInt8]) -> [(key: String, value: String)]? {
        var place = 0
        func skipSpaces() { while place < line.count, line[place] <= 0x20 { place += 1 } }
        func string() -> String? {
            guard place < line.count, line[place] == 0x22 else { return nil }
            place += 1
            var bytes: [UInt8] = []
            while place < line.count, line[place] != 0x22 {
                // Keys with escapes don't match any role by name; they only have to be passed over.
                if line[place] == 0x5C { place += 1 }
                if place < line.count { bytes.append(line[place]) }
                place += 1
            }
            guard place < line.count else { return nil }
            place += 1
            return String(decoding: bytes, as: UTF8.self)
        }
        skipSpaces()
        guard place < line.count, line[place] == UInt8(ascii: "{") else { return nil }
        place += 1
        var result: [(String, String)] = []
        while true {
            skipSpaces()
            if place < line.count, line[place] == UInt8(ascii: "}") { return result }
            guard let key = string() else { return nil }
            skipSpaces()
            guard place < line.count, line[place] == UInt8(ascii: ":") else { return nil }
            place += 1
            skipSpaces()
            var value: [UInt8] = []
            var depth = 0
            if place < line.count, line[place] == 0x22 {
                guard let text = string() else { return nil }
                value = Array(text.utf8)
            } else {
                while place < line.count {
                    let byte = line[place]
                    if depth == 0, byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") { break }
                    if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") { depth += 1 }
                    if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") { depth -= 1 }
                    if byte == 0x22 {
                        guard let text = string() else { return nil }
                        value += Array(text.utf8)
                    } else {
                        value.append(byte)
                        place += 1
                    }
                }
            }
            while let last = value.last, last <= 0x20 { value.removeLast() }
            result.append((key, String(decoding: value, as: UTF8.self)))
            skipSpaces()
            guard place < line.count else { return nil }
            if line[place] == UInt8(ascii: ",") { place += 1 } else if line[place] != UInt8(ascii: "}") { return nil }
        }
    }
}
