import Core
import Glibc

/// Bytes one after another: a file, standard input, or a transformation of another source.
protocol ByteSource: AnyObject {
    /// Fills the start of the buffer and returns how many bytes; 0 at the end. May give fewer bytes than fit.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

extension ByteSource {
    /// Reads until the buffer is full or the source ends.
    func fill(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var count = 0
        while count < buffer.count {
            let more = try read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[count...]))
            if more == 0 { break }
            count += more
        }
        return count
    }
}

func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }

/// A file by path, or standard input as `-`.
///
/// Files are read in blocks that fit the cache, not mapped: copying out of the page cache costs less than the page
/// faults of a map, and a file that shrinks while it is read is an error instead of a fatal signal.
final class FileSource: ByteSource {
    let path: String
    /// Size in bytes; nil for pipes and terminals.
    let byteCount: Int?
    /// Seconds and nanoseconds of the last modification; nil for standard input.
    let modified: (seconds: Int64, nanoseconds: Int64)?
    /// Bytes read so far.
    private(set) var position = 0
    private let descriptor: Int32
    private let owned: Bool

    init(path: String) throws {
        self.path = path
        owned = path != "-"
        if owned {
            descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw SystemError(operation: "open", object: path, reason: systemMessage(errno))
            }
        } else {
            descriptor = STDIN_FILENO
        }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            let reason = systemMessage(errno)
            if owned { close(descriptor) }
            throw SystemError(operation: "open", object: path, reason: reason)
        }
        if information.st_mode & S_IFMT == S_IFDIR {
            if owned { close(descriptor) }
            throw SystemError(operation: "open", object: path, reason: systemMessage(EISDIR))
        }
        let regular = information.st_mode & S_IFMT == S_IFREG
        byteCount = regular ? Int(information.st_size) : nil
        modified = owned ? (Int64(information.st_mtim.tv_sec), Int64(information.st_mtim.tv_nsec)) : nil
        if regular { posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL) }
    }

    deinit { if owned { close(descriptor) } }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 {
                position += count
                return count
            }
            if errno != EINTR { throw SystemError(operation: "read", object: path, reason: systemMessage(errno)) }
        }
    }
}

/// Gives back bytes that were looked at, then goes on with the source they came from.
final class PrefixedSource: ByteSource {
    private var prefix: ArraySlice<UInt8>
    private let source: any ByteSource

    init(_ prefix: [UInt8], then source: any ByteSource) {
        self.prefix = prefix[...]
        self.source = source
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard !prefix.isEmpty else { return try source.read(into: buffer) }
        let count = min(prefix.count, buffer.count)
        buffer.copyBytes(from: prefix.prefix(count))
        prefix = prefix.dropFirst(count)
        return count
    }
}
