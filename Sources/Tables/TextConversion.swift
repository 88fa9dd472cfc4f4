import Core
import Glibc

/// Converts text of another encoding to UTF-8.
final class ConvertingSource: ByteSource {
    private let source: any ByteSource
    private let path: String
    private let encoding: TextEncoding
    private let converter: iconv_t
    private let input: UnsafeMutablePointer<CChar>
    private static let capacity = 1 << 16
    private var start = 0
    private var end = 0
    private var sourceEnded = false
    /// Newlines of the input converted so far, for the message when there is an error.
    private var lines = 1

    init(_ source: any ByteSource, from encoding: TextEncoding, path: String) throws {
        self.source = source
        self.path = path
        self.encoding = encoding
        let opened = iconv_open("UTF-8", encoding == .latin1 ? "ISO-8859-1" : "GB18030")
        guard let opened, Int(bitPattern: opened) != -1 else {
            throw SystemError(
                operation: "convert from \(encoding.rawValue)", object: path,
                reason: "the C library has no such converter (its gconv modules are not installed)")
        }
        converter = opened
        input = .allocate(capacity: ConvertingSource.capacity)
    }

    deinit {
        iconv_close(converter)
        input.deallocate()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard buffer.count > 0 else { return 0 }
        let output = buffer.bindMemory(to: CChar.self)
        while true {
            if !sourceEnded && end - start < 16 {
                // A character may be cut by the end of what was read; it moves to the front.
                memmove(input, input + start, end - start)
                end -= start
                start = 0
                let free = UnsafeMutableRawBufferPointer(start: input + end, count: ConvertingSource.capacity - end)
                let count = try source.read(into: free)
                end += count
                sourceEnded = count == 0
            }
            if start == end && sourceEnded { return 0 }
            var from: UnsafeMutablePointer<CChar>? = input + start
            var left = end - start
            var to: UnsafeMutablePointer<CChar>? = output.baseAddress
            var room = output.count
            let status = iconv(converter, &from, &left, &to, &room)
            let reason = errno
            for place in start..<(end - left) where input[place] == 0x0A { lines += 1 }
            start = end - left
            let produced = output.count - room
            if status == -1 {
                if reason == EILSEQ || (reason == EINVAL && sourceEnded && produced == 0) {
                    throw DataError("the text is not \(encoding.rawValue)", file: path, line: lines)
                }
                if reason == E2BIG && produced == 0 {
                    throw SystemError(operation: "convert", object: path, reason: "the output buffer is too small")
                }
            }
            if produced > 0 { return produced }
        }
    }

    /// Whether bytes that are not UTF-8 look like Chinese in GB18030: well-formed, and nearly all pairs in the part
    /// that GB 2312 already had. Accented Latin letters between ASCII ones don't pass.
    static func looksLikeGB18030(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        var place = 0
        var pairs = 0
        var common = 0
        while place < bytes.count {
            let first = bytes[place]
            if first < 0x80 {
                place += 1
                continue
            }
            guard first != 0x80, first != 0xFF else { return false }
            guard place + 1 < bytes.count else { break }
            let second = bytes[place + 1]
            if second >= 0x30 && second <= 0x39 {
                guard place + 3 < bytes.count else { break }
                guard (0x81...0xFE).contains(bytes[place + 2]), (0x30...0x39).contains(bytes[place + 3]) else {
                    return false
                }
                place += 4
                continue
            }
            guard (0x40...0x7E).contains(second) || (0x80...0xFE).contains(second) else { return false }
            pairs += 1
            if (0xA1...0xF7).contains(first) && second >= 0xA1 { common += 1 }
            place += 2
        }
        return pairs > 0 && common * 5 >= pairs * 4
    }
}
