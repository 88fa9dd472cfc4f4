import Core
import Glibc

/// A file in memory, for reading; changes would stay private.
final class MappedFile: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let byteCount: Int

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: byteCount) }

    init(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(operation: "open", object: path, reason: systemMessage(errno)) }
        defer { close(descriptor) }
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw SystemError(operation: "open", object: path, reason: systemMessage(errno))
        }
        guard information.st_mode & S_IFMT == S_IFREG, information.st_size > 0 else {
            throw DataError("the file is empty or not a file", file: path)
        }
        byteCount = Int(information.st_size)
        let address = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else {
            throw SystemError(operation: "map", object: path, reason: systemMessage(errno))
        }
        base = address
    }

    deinit { munmap(base, byteCount) }
}

/// A file that appears whole or not at all.
enum AtomicFile {
    /// Where the content goes.
    final class Output {
        private let descriptor: Int32
        private let path: String
        private(set) var position = 0

        init(descriptor: Int32, path: String) {
            self.descriptor = descriptor
            self.path = path
        }

        func write(_ bytes: UnsafeRawBufferPointer) throws {
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress! + done, min(bytes.count - done, 1 << 26))
                if count < 0 {
                    if errno == EINTR { continue }
                    throw SystemError(operation: "write", object: path, reason: systemMessage(errno))
                }
                done += count
            }
            position += done
        }

        func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

        func pad(to offset: Int) throws { try write([UInt8](repeating: 0, count: max(0, offset - position))) }
    }

    /// Writes a temporary file beside `path`, syncs it, and renames it. On an error nothing is left of it, and a file
    /// that was there stays.
    static func write(_ path: String, _ body: (Output) throws -> Void) throws {
        // Exclusive creation, and the system's mask decides who may read it.
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let temporary = "\(path).\(getpid())-\(now.tv_sec)-\(now.tv_nsec).part"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw SystemError(operation: "write", object: path, reason: systemMessage(errno))
        }
        do {
            try body(Output(descriptor: descriptor, path: path))
            guard fsync(descriptor) == 0 else {
                throw SystemError(operation: "write", object: path, reason: systemMessage(errno))
            }
            guard rename(temporary, path) == 0 else {
                throw SystemError(operation: "rename", object: path, reason: systemMessage(errno))
            }
        } catch {
            close(descriptor)
            unlink(temporary)
            throw error
        }
        close(descriptor)
    }
}
