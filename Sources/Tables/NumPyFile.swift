import Core
import Glibc

/// A matrix in a `.npy` file, read as float32, whole or in ranges of rows.
///
/// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3. Element types: floats
/// of 4 and 8 bytes, integers of 1 to 8 bytes, booleans, in either byte order; C order, and Fortran order when read whole.
/// One dimension counts as one column. Values beyond float32 become infinite, as a conversion makes them.
public final class NumPyFile {
    /// Where it is.
    public let path: String
    /// Number of rows.
    public let rows: Int
    /// Number of columns; 1 for an array of one dimension.
    public let columns: Int
    /// Extents, the slowest first.
    public let shape: [Int]
    /// Type of the elements in NumPy's notation without the byte order: `f4`, `i8`, `b1`.
    public let elementType: String
    private let swapped: Bool
    private let fortranOrder: Bool
    private let elementBytes: Int
    private let dataOffset: Int
    private let descriptor: Int32

    /// Opens a file and reads its header.
    ///
    /// - Throws: ``SystemError`` when it can't be opened; ``DataError`` when it is no `.npy` file, has more than two
    ///   dimensions or an element type that is no number, or is cut short.
    public convenience init(path: String) throws { try self.init(path: path, flattening: false) }

    /// Opens a file.
    ///
    /// - Parameter flattening: takes arrays of up to four dimensions for matrices with a row for each step of the first.
    public init(path: String, flattening: Bool) throws {
        self.path = path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(operation: "open", object: path, reason: systemMessage(errno)) }
        var keep = false
        defer { if !keep { close(descriptor) } }
        var start = [UInt8](repeating: 0, count: 12)
        let got = try Self.read(descriptor, path, &start, at: 0)
        guard got >= 10, start.starts(with: [0x93] + Array("NUMPY".utf8)) else {
            throw DataError("this is not a NumPy file (.npy)", file: path)
        }
        let wide = start[6] >= 2
        let length =
            wide
            ? (0..<4).reduce(0) { $0 | Int(start[8 + $1]) << (8 * $1) } : Int(start[8]) | Int(start[9]) << 8
        guard (1...3).contains(start[6]), length < 1 << 20 else {
            throw DataError("NumPy format version \(start[6]) is not known", file: path)
        }
        var header = [UInt8](repeating: 0, count: length)
        guard try Self.read(descriptor, path, &header, at: wide ? 12 : 10) == length else {
            throw DataError("the header is cut short", file: path)
        }
        let text = String(decoding: header, as: UTF8.self)
        let described = Self.value("descr", in: text) ?? ""
        let type = described.filter { $0 != "'" && $0 != "\"" && $0 != " " }
        let order = type.first ?? " "
        let name = "<>|=".contains(order) ? String(type.dropFirst()) : type
        let known = ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"]
        guard known.contains(name), let bytes = Int(name.dropFirst()) else {
            throw DataError("elements of type \(described) are not numbers; use float32", file: path)
        }
        guard let shapeText = Self.value("shape", in: text) else {
            throw DataError("the header has no shape", file: path)
        }
        let shape = shapeText.split { !$0.isNumber }.compactMap { Int($0) }
        let isRowMajor = !(Self.value("fortran_order", in: text) ?? "").hasPrefix("True")
        guard (1...2).contains(shape.count) || flattening && isRowMajor && (3...4).contains(shape.count) else {
            throw DataError("an array of shape \(shapeText) is not a matrix", file: path)
        }
        rows = shape[0]
        columns = shape.dropFirst().reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
        self.shape = shape
        elementType = name
        elementBytes = bytes
        swapped = order == ">" && bytes > 1
        fortranOrder = (Self.value("fortran_order", in: text) ?? "").hasPrefix("True") && shape.count == 2
        dataOffset = (wide ? 12 : 10) + length
        let (count, overflow) = rows.multipliedReportingOverflow(by: max(columns, 1) * elementBytes)
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw SystemError(operation: "open", object: path, reason: systemMessage(errno))
        }
        guard !overflow, Int(information.st_size) >= dataOffset + (columns == 0 ? 0 : count) else {
            throw DataError(
                "the file is cut short: it should hold \(rows) × \(columns) elements of \(name)", file: path)
        }
        self.descriptor = descriptor
        keep = true
    }

    deinit { close(descriptor) }

    /// Bytes of the elements.
    public var byteCount: Int { rows * columns * elementBytes }

    /// Reads everything. O(rows · columns).
    public func matrix() throws -> HostMatrix {
        let matrix = HostMatrix(
            rows: rows, columns: columns, storage: HostBuffer(uninitializedCount: rows * columns))
        guard fortranOrder else {
            try read(0..<rows, into: matrix.storage.baseAddress)
            return matrix
        }
        let column = HostBuffer<Float>(uninitializedCount: rows)
        for j in 0..<columns {
            try read(elements: j * rows..<(j + 1) * rows, into: column.baseAddress)
            for i in 0..<rows { matrix[i, j] = column[i] }
        }
        return matrix
    }

    /// Whether rows lie one after the other, so that ``read(_:into:)`` can be used.
    public var isRowMajor: Bool { !fortranOrder }

    /// Reads a range of rows of a file in C order: `range.count * columns` elements.
    public func read(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) throws {
        guard isRowMajor else {
            throw DataError("the array is in Fortran order; save it in C order to read it in parts", file: path)
        }
        try read(elements: range.lowerBound * columns..<range.upperBound * columns, into: target)
    }

    /// Tells the system that a range of rows will not be needed again soon.
    public func release(_ range: Range<Int>) {
        posix_fadvise(
            descriptor, off_t(dataOffset + range.lowerBound * columns * elementBytes),
            off_t(range.count * columns * elementBytes), POSIX_FADV_DONTNEED)
    }

    private func read(elements range: Range<Int>, into target: UnsafeMutablePointer<Float>) throws {
        if elementType == "f4" {
            try readBytes(range, UnsafeMutableRawPointer(target))
            if swapped {
                for index in 0..<range.count {
                    target[index] = Float(bitPattern: target[index].bitPattern.byteSwapped)
                }
            }
            return
        }
        let block = 1 << 16
        let buffer = HostBuffer<UInt8>(uninitializedCount: block * elementBytes)
        for first in stride(from: range.lowerBound, to: range.upperBound, by: block) {
            let part = first..<min(first + block, range.upperBound)
            let raw = UnsafeMutableRawPointer(buffer.baseAddress)
            try readBytes(part, raw)
            convert(raw, part.count, target + (first - range.lowerBound))
        }
    }

    private func convert(_ raw: UnsafeMutableRawPointer, _ count: Int, _ target: UnsafeMutablePointer<Float>) {
        func integers<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type) {
            let source = raw.assumingMemoryBound(to: type)
            for index in 0..<count { target[index] = Float(swapped ? source[index].byteSwapped : source[index]) }
        }
        switch elementType {
        case "f8":
            let source = raw.assumingMemoryBound(to: UInt64.self)
            for index in 0..<count {
                target[index] = Float(Double(bitPattern: swapped ? source[index].byteSwapped : source[index]))
            }
        case "i1": integers(Int8.self)
        case "i2": integers(Int16.self)
        case "i4": integers(Int32.self)
        case "i8": integers(Int64.self)
        case "u2": integers(UInt16.self)
        case "u4": integers(UInt32.self)
        case "u8": integers(UInt64.self)
        default: integers(UInt8.self)
        }
    }

    private func readBytes(_ range: Range<Int>, _ target: UnsafeMutableRawPointer) throws {
        let wanted = range.count * elementBytes
        var done = 0
        while done < wanted {
            let count = pread(
                descriptor, target + done, min(wanted - done, 1 << 30),
                off_t(dataOffset + range.lowerBound * elementBytes + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemError(operation: "read", object: path, reason: systemMessage(errno))
            }
            if count == 0 { throw DataError("the file became shorter while it was read", file: path) }
            done += count
        }
    }

    private static func read(_ descriptor: Int32, _ path: String, _ bytes: inout [UInt8], at offset: Int) throws -> Int
    {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
            }
            if count < 0 && errno == EINTR { continue }
            if count < 0 { throw SystemError(operation: "read", object: path, reason: systemMessage(errno)) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// What follows a key of the header, a Python dictionary, up to the next comma outside parentheses.
    private static func value(_ key: String, in text: String) -> String? {
        guard let start = text.ranges(of: "'\(key)':").first else { return nil }
        var (result, depth) = ("", 0)
        for character in text[start.upperBound...] {
            if character == "(" || character == "[" { depth += 1 }
            if character == ")" || character == "]" { depth -= 1 }
            if depth == 0 && (character == "," || character == "}") { break }
            result.append(character)
        }
        while result.first == " " { result.removeFirst() }
        return result
    }

    // MARK: Writing

    /// Writes a matrix as float32. Throws ``SystemError``.
    public static func write(_ matrix: HostMatrix, to path: String) throws {
        try write(
            UnsafeRawBufferPointer(matrix.storage.elements), type: "<f4", shape: "(\(matrix.rows), \(matrix.columns))",
            to: path)
    }

    /// Writes a vector of int32. Throws ``SystemError``.
    public static func write(_ vector: [Int32], to path: String) throws {
        try vector.withUnsafeBytes { try write($0, type: "<i4", shape: "(\(vector.count),)", to: path) }
    }

    /// Writes a matrix of int32 that lies row after row. Throws ``SystemError``.
    public static func write(_ elements: [Int32], rows: Int, columns: Int, to path: String) throws {
        try elements.withUnsafeBytes { try write($0, type: "<i4", shape: "(\(rows), \(columns))", to: path) }
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, type: String, shape: String, to path: String) throws {
        var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }"
        while (10 + header.utf8.count + 1) % 64 != 0 { header += " " }
        header += "\n"
        let file = try AtomicFile(path: path)
        try file.write(
            [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count & 0xFF), UInt8(header.utf8.count >> 8)])
        try file.write(header)
        try file.write(bytes)
        try file.commit()
    }
}
