import Core

/// An array of bytes in the IDX format, as MNIST and its successors are published, plain or compressed.
///
/// Format: http://yann.lecun.com/exdb/mnist; only the element type of unsigned bytes.
public struct IDXFile: Sendable {
    /// Extents, the slowest first: images × rows × columns, or the number of labels.
    public let shape: [Int]
    /// The elements, row after row.
    public let elements: [UInt8]

    /// Reads a file. Throws ``SystemError`` when it can't be opened, ``DataError`` when it is no such file or cut short.
    public init(path: String) throws {
        let reader = try IDXReader(path: path)
        shape = reader.shape
        guard reader.count <= 1 << 34 else { throw DataError("the header claims \(shape)", file: path) }
        var elements = [UInt8](repeating: 0, count: reader.count)
        try elements.withUnsafeMutableBytes { try reader.fill($0) }
        self.elements = elements
    }

    /// Whether a file begins as one, behind its compression. Throws ``SystemError`` when it can't be opened.
    public static func isOne(_ path: String) throws -> Bool {
        let source = try FileSource(path: path)
        var start = [UInt8](repeating: 0, count: 4)
        let count = try start.withUnsafeMutableBytes { try source.fill($0) }
        return isOne(path, start: start[..<count])
    }

    static func isOne(_ path: String, start: ArraySlice<UInt8>) -> Bool {
        func begins(_ bytes: some Collection<UInt8>) -> Bool {
            let bytes = Array(bytes.prefix(4))
            return bytes.count == 4 && bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 8 && (1...4).contains(bytes[3])
        }
        if begins(start) { return true }
        guard start.starts(with: [0x1F, 0x8B]), let source = try? FileSource(path: path),
            let text = try? GzipSource(PrefixedSource([], then: source), path: path)
        else { return false }
        var head = [UInt8](repeating: 0, count: 4)
        let count = (try? head.withUnsafeMutableBytes { try text.fill($0) }) ?? 0
        return begins(head[..<count])
    }
}

/// Reads an IDX file from its beginning to its end, as much at a time as is asked for.
public final class IDXReader {
    /// Extents, the slowest first.
    public let shape: [Int]
    /// Number of all elements.
    public let count: Int
    private let path: String
    private let source: any ByteSource
    private var taken = 0

    /// Opens a file and reads its header. Throws ``SystemError`` when it can't be opened, ``DataError`` when it is no such
    /// file.
    public init(path: String) throws {
        let file = try FileSource(path: path)
        var magic = [UInt8](repeating: 0, count: 4)
        let taken = try magic.withUnsafeMutableBytes { try file.fill($0) }
        var source: any ByteSource = PrefixedSource(Array(magic[..<taken]), then: file)
        if magic.starts(with: [0x1F, 0x8B]) {
            source = try GzipSource(source, path: path)
        } else if magic == [0x28, 0xB5, 0x2F, 0xFD] {
            source = try ZstandardSource(source, path: path)
        }
        var header = [UInt8](repeating: 0, count: 4)
        let got = try header.withUnsafeMutableBytes { try source.fill($0) }
        guard got == 4, header[0] == 0, header[1] == 0, (1...4).contains(header[3]) else {
            throw DataError("this is not an IDX file", file: path)
        }
        guard header[2] == 8 else {
            throw DataError("IDX elements of type \(header[2]) are not known; only unsigned bytes are", file: path)
        }
        var extents = [UInt8](repeating: 0, count: 4 * Int(header[3]))
        guard try extents.withUnsafeMutableBytes({ try source.fill($0) }) == extents.count else {
            throw DataError("the file is cut short within its header", file: path)
        }
        let shape = stride(from: 0, to: extents.count, by: 4).map { start in
            extents[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow, product <= 1 << 40 else { throw DataError("the header claims \(shape)", file: path) }
            count = product
        }
        self.path = path
        self.count = count
        self.shape = shape
        self.source = source
    }

    /// Fills a buffer with the next elements. Throws ``DataError`` when the file has fewer.
    public func fill(_ buffer: UnsafeMutableRawBufferPointer) throws {
        let count = try source.fill(buffer)
        taken += count
        guard count == buffer.count else {
            throw DataError(
                "the file is cut short: \(taken) of \(self.count) elements are there", file: path)
        }
    }
}
