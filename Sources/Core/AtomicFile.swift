import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A file that appears whole or not at all.
///
/// What is written goes, through a buffer, to a temporary file in the same folder. ``commit()`` syncs it to the disk
/// and renames it over `path`; until then a file of that name stays as it was. An `AtomicFile` that is discarded, or let
/// go without a commit, leaves nothing behind. A link is followed, and the mode of a file that is replaced is kept.
/// Something that is not a regular file (`/dev/stdout`, a named pipe) can't be replaced: it is written to directly.
///
/// Used by one thread at a time.
public final class AtomicFile {
    /// The path that was asked for.
    public let path: String
    /// Bytes written so far, those in the buffer included.
    public private(set) var byteCount = 0

    private let target: String
    private let temporary: String?
    private var descriptor: Int32
    private let buffer: UnsafeMutableRawBufferPointer
    private var buffered = 0

    /// Paths of all temporary files of this process, so that a program that must leave at once can clear them away.
    private static let unfinished = Mutex<Set<String>>([])
    private static let serial = Atomic<Int>(0)

    /// Opens the temporary file.
    /// - Throws: `SystemError` when the folder is missing or can't be written to, or when `path` is a folder.
    public init(path: String, bufferSize: Int = 1 << 18) throws(SystemError) {
        self.path = path
        var status = stat()
        let exists = stat(path, &status) == 0
        if exists, status.st_mode & S_IFMT == S_IFDIR {
            throw SystemError(operation: "write", object: path, code: EISDIR)
        }
        if exists, status.st_mode & S_IFMT != S_IFREG {
            target = path
            temporary = nil
            descriptor = AtomicFile.retrying { open(path, O_WRONLY | O_CLOEXEC) }
        } else {
            if exists, access(path, W_OK) != 0 {
                // A rename would replace a file that its owner has protected.
                throw SystemError(operation: "write", object: path, code: errno)
            }
            target = exists ? AtomicFile.resolved(path) : path
            let number = AtomicFile.serial.add(1, ordering: .relaxed).newValue
            // The time keeps apart processes of equal number in containers that share the folder.
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            let name =
                AtomicFile.folder(of: target) + ".apus-unfinished-\(getpid())-\(now.tv_sec)\(now.tv_nsec)-\(number)"
            temporary = name
            descriptor = AtomicFile.retrying { open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666) }
            if descriptor >= 0 {
                AtomicFile.unfinished.withLock { _ = $0.insert(name) }
                if exists { _ = fchmod(descriptor, status.st_mode & 0o7777) }
            }
        }
        let code = errno
        buffer = .allocate(byteCount: max(bufferSize, 1), alignment: HostMemory.alignment)
        // All stored properties are set, so that `deinit` runs and frees the buffer.
        if descriptor < 0 { throw SystemError(operation: "write", object: path, code: code) }
    }

    deinit {
        discard()
        buffer.deallocate()
    }

    /// Appends bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        byteCount += bytes.count
        if bytes.count <= buffer.count - buffered {
            copy(bytes)
            return
        }
        try flush()
        if bytes.count < buffer.count {
            copy(bytes)
        } else {
            try send(bytes)
        }
    }

    /// Appends text as UTF-8.
    public func write(_ text: String) throws(SystemError) {
        var text = text
        let result: Result<Void, SystemError> = text.withUTF8 { bytes in
            do throws(SystemError) {
                try write(UnsafeRawBufferPointer(bytes))
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Appends bytes.
    public func write(_ bytes: [UInt8]) throws(SystemError) {
        let result: Result<Void, SystemError> = bytes.withUnsafeBytes { bytes in
            do throws(SystemError) {
                try write(bytes)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Writes the rest, syncs file and folder, and gives the file its name. On an error nothing has changed but for the
    /// temporary file, which is removed.
    public func commit() throws(SystemError) {
        precondition(descriptor >= 0, "an AtomicFile is committed once")
        try flush()
        guard let temporary else {
            discard()
            return
        }
        if AtomicFile.retrying({ fsync(descriptor) }) != 0 { throw failure("sync") }
        let closed = close(descriptor)
        descriptor = -1
        // After EINTR the descriptor is closed all the same, and fsync has already answered for the data.
        if closed != 0, errno != EINTR { throw failure("close") }
        if rename(temporary, target) != 0 { throw failure("rename") }
        AtomicFile.unfinished.withLock { _ = $0.remove(temporary) }
        AtomicFile.syncFolder(AtomicFile.folder(of: target))
    }

    /// Gives up: removes the temporary file. Does nothing after ``commit()``.
    public func discard() {
        if descriptor >= 0 {
            close(descriptor)
            descriptor = -1
        }
        buffered = 0
        if let temporary {
            let wasOpen = AtomicFile.unfinished.withLock { $0.remove(temporary) != nil }
            if wasOpen { unlink(temporary) }
        }
    }

    /// Removes the temporary files of all unfinished `AtomicFile`s; for a program that is about to exit at once.
    /// Must not be called from within a signal handler.
    public static func removeUnfinished() {
        let paths = unfinished.withLock { paths in
            defer { paths.removeAll() }
            return paths
        }
        for path in paths { unlink(path) }
    }

    // MARK: -

    private func copy(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, let start = buffer.baseAddress else { return }
        (start + buffered).copyMemory(from: source, byteCount: bytes.count)
        buffered += bytes.count
    }

    private func flush() throws(SystemError) {
        let count = buffered
        buffered = 0
        if count > 0 { try send(UnsafeRawBufferPointer(rebasing: buffer[0..<count])) }
    }

    private func send(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        precondition(descriptor >= 0, "an AtomicFile is not written to after its end")
        guard let start = bytes.baseAddress else { return }
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.write(descriptor, start + sent, min(bytes.count - sent, 1 << 30))
            if count > 0 {
                sent += count
            } else if count == 0 || errno != EINTR {
                throw failure("write", code: count == 0 ? EIO : errno)
            }
        }
    }

    private func failure(_ operation: String, code: Int32 = errno) -> SystemError {
        discard()
        return SystemError(operation: operation, object: path, code: code)
    }

    private static func retrying(_ call: () -> Int32) -> Int32 {
        while true {
            let result = call()
            if result >= 0 || errno != EINTR { return result }
        }
    }

    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    /// The folder of a path with its closing slash; empty for a bare name.
    private static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "" }
        return String(path[...slash])
    }

    /// Makes a rename last; file systems that can't sync a folder do it by themselves.
    private static func syncFolder(_ folder: String) {
        let descriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor >= 0 {
            _ = retrying { fsync(descriptor) }
            close(descriptor)
        }
    }
}
