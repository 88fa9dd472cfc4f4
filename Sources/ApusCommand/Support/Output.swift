import Core
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Standard output: results and nothing else, checked for errors.
enum Output {
    private static let buffer = Mutex<[UInt8]>([])

    /// Prints one line of a result.
    static func line(_ text: String) {
        let full = buffer.withLock { buffer in
            buffer += Array(text.utf8)
            buffer.append(0x0A)
            return buffer.count > 1 << 16
        }
        if full { finish() }
    }

    /// Prints one JSON object.
    static func json(_ value: JSONValue) { line(value.text) }

    /// Writes what is buffered; a full disk behind a redirection is a failure, a reader that has gone away is not.
    static func finish() {
        var bytes = buffer.withLock { buffer in
            defer { buffer.removeAll() }
            return buffer[...]
        }
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                if errno == EPIPE { exit(0) }
                Failure.exit(
                    SystemError(
                        operation: "write", object: "standard output", reason: String(cString: strerror(errno))))
            }
        }
    }

    /// A table with aligned columns: numbers to the right, text to the left.
    static func table(_ header: [String], _ rows: [[String]]) {
        var widths = header.map(displayWidth)
        for row in rows {
            for (column, cell) in row.enumerated() { widths[column] = max(widths[column], displayWidth(cell)) }
        }
        let numeric = header.indices.map { column in
            !rows.isEmpty && rows.allSatisfy { Double($0[column].replacingPercent) != nil || $0[column].isEmpty }
        }
        func format(_ row: [String]) -> String {
            var parts: [String] = []
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - displayWidth(cell))
                parts.append(numeric[column] ? padding + cell : cell + padding)
            }
            var text = parts.joined(separator: "  ")
            while text.last == " " { text.removeLast() }
            return text
        }
        line(format(header))
        for row in rows { line(format(row)) }
    }

    /// Columns on a terminal: Chinese, Japanese and Korean characters take two.
    private static func displayWidth(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { width, scalar in
            let value = scalar.value
            let wide =
                (0x1100...0x115F).contains(value) || (0x2E80...0xA4CF).contains(value)
                || (0xAC00...0xD7A3).contains(value) || (0xF900...0xFAFF).contains(value)
                || (0xFE30...0xFE6F).contains(value) || (0xFF00...0xFF60).contains(value)
                || (0x20000...0x3FFFD).contains(value)
            return width + (wide ? 2 : 1)
        }
    }
}

extension String {
    fileprivate var replacingPercent: String { hasSuffix("%") ? String(dropLast()) : self }
}

/// A number for people: `digits` after the point.
func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite else { return "–" }
    var buffer = [CChar](repeating: 0, count: 64)
    withVaList([value]) { _ = vsnprintf(&buffer, buffer.count, "%.\(digits)f", $0) }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Seconds for people.
func duration(_ seconds: Double) -> String {
    if seconds < 0.001 { return "\(fixed(seconds * 1e6, 0)) µs" }
    if seconds < 1 { return "\(fixed(seconds * 1e3, 0)) ms" }
    if seconds < 120 { return "\(fixed(seconds, 1)) s" }
    let minutes = Int(seconds / 60)
    return minutes < 120 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
}

/// Bytes for people.
func byteSize(_ bytes: Int) -> String {
    if bytes < 1 << 10 { return "\(bytes) B" }
    if bytes < 1 << 20 { return "\(fixed(Double(bytes) / Double(1 << 10), 0)) KiB" }
    if bytes < 1 << 30 { return "\(fixed(Double(bytes) / Double(1 << 20), 0)) MiB" }
    return "\(fixed(Double(bytes) / Double(1 << 30), 1)) GiB"
}
