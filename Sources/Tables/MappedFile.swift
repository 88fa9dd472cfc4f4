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
