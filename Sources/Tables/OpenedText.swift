import CVectorLoops
import Core

/// A file made ready for parsing: decompressed, in UTF-8, without byte-order mark, its first bytes at hand.
struct OpenedText {
    let source: any ByteSource
    /// As much as is looked at to find the layout; the header must fit.
    static let sampleBytes = 1 << 19

    /// The first bytes; `source` goes on after them.
    let sample: [UInt8]
    /// Whether the sample is the whole text.
    let complete: Bool

    /// - Throws: ``Core/DataError`` for an empty file, text in UTF-16 and damaged compression.
    init(_ file: FileSource, encoding: TextEncoding, report: inout ReadReport) throws {
        try self.init(file, path: file.path, encoding: encoding, report: &report)
    }

    /// As above, for bytes that come from somewhere else; `path` is for messages.
    init(_ file: any ByteSource, path: String, encoding: TextEncoding, report: inout ReadReport) throws {
        let magic = try OpenedText.take(4, from: file)
        guard !magic.isEmpty else { throw DataError("the file is empty", file: path) }
        var source: any ByteSource = PrefixedSource(magic, then: file)
        if magic.starts(with: [0x1F, 0x8B]) {
            report.compression = "gzip"
            source = try GzipSource(source, path: path)
        } else if magic == [0x28, 0xB5, 0x2F, 0xFD]
            || (magic.count == 4 && magic[0] & 0xF0 == 0x50 && magic[1...] == [0x2A, 0x4D, 0x18])
        {
            report.compression = "zstd"
            source = try ZstandardSource(source, path: path)
        }
        var encoding = encoding
        var sample: [UInt8]
        if encoding == .detected {
            sample = try OpenedText.take(OpenedText.sampleBytes, from: source)
            encoding = .utf8
            if !sample.starts(with: [0xEF, 0xBB, 0xBF]), !sample.starts(with: [0xFF, 0xFE]),
                !sample.starts(with: [0xFE, 0xFF]), OpenedText.isGB18030(sample)
            {
                encoding = .gb18030
                source = try ConvertingSource(PrefixedSource(sample, then: source), from: encoding, path: path)
                sample = try OpenedText.take(OpenedText.sampleBytes, from: source)
            }
        } else {
            if encoding != .utf8 { source = try ConvertingSource(source, from: encoding, path: path) }
            sample = try OpenedText.take(OpenedText.sampleBytes, from: source)
        }
        report.encoding = encoding
        complete = sample.count < OpenedText.sampleBytes
        if sample.starts(with: [0xFF, 0xFE]) || sample.starts(with: [0xFE, 0xFF]) {
            throw DataError("the text is UTF-16; convert it to UTF-8 first", file: path, line: 1)
        }
        if sample.starts(with: [0xEF, 0xBB, 0xBF]) { sample.removeFirst(3) }
        guard sample.contains(where: { $0 > 0x20 }) || !complete else {
            throw DataError("the file is empty", file: path)
        }
        self.source = source
        self.sample = sample
    }

    private static func take(_ count: Int, from source: any ByteSource) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            used = try source.fill(UnsafeMutableRawBufferPointer(buffer))
        }
    }

    private static func isGB18030(_ sample: [UInt8]) -> Bool {
        sample.withUnsafeBufferPointer { bytes in
            let place = Int(apus_invalid_utf8(bytes.baseAddress!, Int64(bytes.count)))
            // A character cut off at the end of the sample is no proof of another encoding.
            guard place >= 0, bytes.count - place > 3 else { return false }
            return ConvertingSource.looksLikeGB18030(UnsafeBufferPointer(rebasing: bytes[place...]))
        }
    }
}
