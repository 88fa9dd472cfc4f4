#if canImport(Glibc)
    import Glibc
#endif

/// A safetensors file, mapped into memory and checked.
///
/// Opening costs O(header). Tensors are views into the mapping, which lives as long as any of them; a tensor that does
/// not begin at a multiple of its element size is copied. The mapping is private: writing to a view changes no file.
/// A file that another program cuts short while it is mapped can't be read safely; ours are replaced by renaming, which
/// leaves mappings of the old file intact.
public final class SafetensorsFile: Sendable {
    /// Strings by name.
    public let metadata: [String: String]
    /// All tensors, in the order of their data.
    public let tensors: [TensorDescription]
    /// The path given to ``init(path:)``.
    public let path: String

    private let mapping: FileMapping
    private let places: [String: (description: TensorDescription, offset: Int)]

    /// Maps and checks a file.
    /// - Throws: `SystemError` when it can't be opened; `DataError` when it is not a whole, valid safetensors file.
    public init(path: String) throws {
        self.path = path
        let mapping = try FileMapping(path: path)
        let bytes = mapping.bytes
        let prefix = SafetensorsFormat.prefixByteCount
        guard bytes.count >= prefix else {
            throw DataError("this is not a safetensors file: it has only \(bytes.count) bytes", file: path)
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        // Looked at first, so that a text or an archive is called what it is, not a file with too large a header.
        guard bytes.count == prefix || bytes[prefix] == UInt8(ascii: "{") else {
            throw DataError("this is not a safetensors file: it has no header", file: path)
        }
        guard length <= SafetensorsFormat.largestHeader else {
            throw DataError(
                "the header claims \(length) bytes, more than the \(SafetensorsFormat.largestHeader) allowed; "
                    + "the file is damaged or not a safetensors file", file: path)
        }
        guard Int(length) <= bytes.count - prefix else {
            throw DataError("the file is cut short: it ends within its header; copy or save it again", file: path)
        }
        let dataStart = prefix + Int(length)
        let header: SafetensorsHeader
        do {
            header = try SafetensorsHeader(parsing: UnsafeRawBufferPointer(rebasing: bytes[prefix..<dataStart]))
        } catch {
            throw DataError("the header \(error.reason)", file: path)
        }
        let ordered = header.entries.sorted { ($0.begin, $0.end) < ($1.begin, $1.end) }
        var end = 0
        for entry in ordered {
            guard entry.begin == end else {
                throw DataError(
                    "tensor \"\(entry.description.name)\" \(entry.begin < end ? "overlaps the one before it" : "leaves a gap before it")",
                    file: path)
            }
            end = entry.end
        }
        let available = bytes.count - dataStart
        if end > available {
            throw DataError(
                "the file is cut short: \(available) of \(end) bytes of data are there; copy or save it again",
                file: path)
        }
        if end < available {
            throw DataError("the file has \(available - end) bytes behind its last tensor", file: path)
        }
        self.mapping = mapping
        self.metadata = header.metadata
        self.tensors = ordered.map(\.description)
        self.places = Dictionary(
            ordered.map { ($0.description.name, ($0.description, dataStart + $0.begin)) }, uniquingKeysWith: { $1 })
    }

    /// A float32 tensor; with `shape`, only one of that shape. O(1).
    public func floats(_ name: String, shape: [Int]? = nil) throws -> HostBuffer<Float> {
        try view(name, .f32, shape)
    }

    /// A float64 tensor; with `shape`, only one of that shape. O(1).
    public func doubles(_ name: String, shape: [Int]? = nil) throws -> HostBuffer<Double> {
        try view(name, .f64, shape)
    }

    /// A tensor of 32-bit integers; with `shape`, only one of that shape. O(1).
    public func int32s(_ name: String, shape: [Int]? = nil) throws -> HostBuffer<Int32> {
        try view(name, .i32, shape)
    }

    /// A tensor of 64-bit integers; with `shape`, only one of that shape. O(1).
    public func int64s(_ name: String, shape: [Int]? = nil) throws -> HostBuffer<Int64> {
        try view(name, .i64, shape)
    }

    /// A tensor of bytes; with `shape`, only one of that shape. O(1).
    public func bytes(_ name: String, shape: [Int]? = nil) throws -> HostBuffer<UInt8> {
        try view(name, .u8, shape)
    }

    /// The description of a tensor, or nil when there is none of that name.
    public func tensor(_ name: String) -> TensorDescription? { places[name]?.description }

    private func view<Element>(_ name: String, _ type: TensorType, _ shape: [Int]?) throws -> HostBuffer<Element> {
        guard let (description, offset) = places[name] else {
            throw DataError("the tensor \"\(name)\" is missing", file: path)
        }
        guard description.type == type else {
            throw DataError(
                "the tensor \"\(name)\" holds \(description.type.rawValue), not \(type.rawValue)", file: path)
        }
        if let shape, shape != description.shape {
            throw DataError(
                "the tensor \"\(name)\" has the shape \(description.shape), not \(shape)", file: path)
        }
        let count = description.shape.reduce(1, *)
        let address = mapping.address + offset
        guard Int(bitPattern: address) % MemoryLayout<Element>.alignment == 0 else {
            let copy = HostBuffer<Element>(uninitializedCount: count)
            UnsafeMutableRawPointer(copy.baseAddress).copyMemory(from: address, byteCount: copy.byteCount)
            return copy
        }
        let mapping = mapping
        return HostBuffer(viewing: address.assumingMemoryBound(to: Element.self), count: count) {
            withExtendedLifetime(mapping) {}
        }
    }
}

/// A whole file in memory, private to this process, until the last reference is gone.
final class FileMapping: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
    let byteCount: Int

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: address, count: byteCount) }

    init(path: String) throws(SystemError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(operation: "open", object: path, code: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw SystemError(operation: "open", object: path, code: errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SystemError(operation: "open", object: path, reason: "this is not a regular file")
        }
        byteCount = Int(status.st_size)
        // Writable pages, so that a device that insists on them can use the memory; only pages written to are copied.
        let mapped = mmap(nil, max(byteCount, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else {
            throw SystemError(operation: "map", object: path, code: errno)
        }
        address = mapped
    }

    deinit { munmap(address, max(byteCount, 1)) }
}
