#if canImport(Glibc)
    import Glibc
#endif

/// Compiled programs on disk, in `${XDG_CACHE_HOME:-~/.cache}/apus/programs`.
///
/// A file is named by a hash of its key: the device's name, the versions of driver and platform, the options and the
/// whole source. The key itself stands in the file and is compared on reading, so that a collision of the hash, a
/// damaged or a foreign file is as good as none. Files are written to a temporary name, synced and renamed. A cache
/// that can't be read or written is no error.
struct OpenCLProgramCache: Sendable {
    /// The folder, or nil when neither variable of the environment is set.
    let folder: String?

    static let magic = Array("APUSCLP1".utf8)

    /// - Parameter folder: the folder, or nil for the usual one.
    init(folder: String?) {
        if let folder {
            self.folder = folder
        } else if let base = getenv("XDG_CACHE_HOME"), base.pointee == UInt8(ascii: "/") {
            self.folder = String(cString: base) + "/apus/programs"
        } else if let home = getenv("HOME"), home.pointee != 0 {
            self.folder = String(cString: home) + "/.cache/apus/programs"
        } else {
            self.folder = nil
        }
    }

    /// Where the program of a key lies.
    func path(for key: [UInt8]) -> String? {
        folder.map { "\($0)/\(Self.hexadecimal(Self.hash(key))).clbin" }
    }

    /// The program stored under a key, or nil.
    func load(key: [UInt8]) -> [UInt8]? {
        guard let path = path(for: key), let bytes = Self.read(path) else { return nil }
        // magic, length of key, key, length of program, program, hash of program
        var place = 0
        func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count >= 0, count <= bytes.count - place else { return nil }
            defer { place += count }
            return bytes[place..<place + count]
        }
        func takeLength() -> Int? {
            take(8).flatMap { Int(exactly: $0.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }) }
        }
        guard let magic = take(Self.magic.count), magic.elementsEqual(Self.magic), let keyLength = takeLength(),
            let storedKey = take(keyLength), storedKey.elementsEqual(key), let length = takeLength(),
            let program = take(length), let check = take(16), place == bytes.count
        else { return nil }
        let stored = Array(program)
        return check.elementsEqual(Self.bytes(Self.hash(stored))) ? stored : nil
    }

    /// Stores a program; quietly does nothing where that is impossible.
    func store(_ program: [UInt8], key: [UInt8]) {
        guard let folder, let path = path(for: key), Self.makeFolders(folder) else { return }
        var bytes = Self.magic
        bytes += Self.bytes(UInt64(key.count)) + key
        bytes += Self.bytes(UInt64(program.count)) + program + Self.bytes(Self.hash(program))
        var template = Array("\(path).XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else { return }
        let written = bytes.withUnsafeBytes { Self.write($0, to: descriptor) } && fsync(descriptor) == 0
        let closed = close(descriptor) == 0
        if !(written && closed && rename(template, path) == 0) { unlink(template) }
    }

    // MARK: Files

    private static func read(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size < 1 << 30
        else { return nil }
        let size = Int(status.st_size)
        var complete = true
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = Glibc.read(descriptor, buffer.baseAddress! + count, size - count)
                if got < 0 && errno == EINTR { continue }
                guard got > 0 else {
                    complete = false
                    break
                }
                count += got
            }
        }
        return complete ? bytes : nil
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var place = 0
        while place < bytes.count {
            let put = Glibc.write(descriptor, bytes.baseAddress! + place, bytes.count - place)
            if put < 0 && errno == EINTR { continue }
            guard put > 0 else { return false }
            place += put
        }
        return true
    }

    private static func makeFolders(_ path: String) -> Bool {
        if access(path, W_OK) == 0 { return true }
        var partial = ""
        for part in path.split(separator: "/") {
            partial += "/" + part
            if mkdir(partial, 0o755) != 0 && errno != EEXIST { return false }
        }
        return true
    }

    // MARK: Hash

    /// FNV-1a over 128 bits: no cryptography, which the stored key makes unnecessary.
    static func hash(_ bytes: [UInt8]) -> (high: UInt64, low: UInt64) {
        // The prime is 2^88 + 0x13b.
        var high: UInt64 = 0x6c62_272e_07bb_0142
        var low: UInt64 = 0x62b8_2175_6295_c58d
        for byte in bytes {
            low ^= UInt64(byte)
            let product = low.multipliedFullWidth(by: 0x13b)
            high = product.high &+ high &* 0x13b &+ low << 24
            low = product.low
        }
        return (high, low)
    }

    private static func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    private static func bytes(_ hash: (high: UInt64, low: UInt64)) -> [UInt8] { bytes(hash.high) + bytes(hash.low) }

    private static func hexadecimal(_ hash: (high: UInt64, low: UInt64)) -> String {
        [hash.high, hash.low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
