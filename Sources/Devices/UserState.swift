import Core

#if canImport(Glibc)
    import Glibc
#endif

/// What Apus remembers about the devices of this user: certificates and tuned kernels, one small file each, in
/// `${XDG_STATE_HOME:-~/.local/state}/apus`.
///
/// A file is named by a hash of what it speaks of, and says in itself what that is, so that a collision or a foreign
/// file is as good as none. A folder that can't be read is no error: nothing is remembered then.
enum UserState {
    /// The folder, or nil when neither variable of the environment is set.
    static var folder: String? {
        if let base = getenv("XDG_STATE_HOME"), base.pointee == UInt8(ascii: "/") {
            return String(cString: base) + "/apus"
        }
        if let home = getenv("HOME"), home.pointee == UInt8(ascii: "/") {
            return String(cString: home) + "/.local/state/apus"
        }
        return nil
    }

    /// Where the file of a kind about something lies: `…/apus/certificates/0123456789abcdef.json`.
    static func path(_ kind: String, key: String) -> String? {
        // FNV-1a.
        let hash = key.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let digits = String(hash, radix: 16)
        return folder.map { "\($0)/\(kind)/\(String(repeating: "0", count: 16 - digits.count))\(digits).json" }
    }

    /// The bytes of a file, or nil when there is none that can be read.
    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 14)
        while case let count = fread(&piece, 1, piece.count, file), count > 0 {
            bytes += piece[0..<count]
            if bytes.count > 1 << 24 { return nil }
        }
        return bytes
    }

    /// Removes a file; whether it was there.
    static func remove(_ path: String) -> Bool { unlink(path) == 0 }

    /// Writes a file whole or not at all, with its folders.
    static func write(_ text: String, to path: String) throws(SystemError) {
        var folder = ""
        for part in path.split(separator: "/").dropLast() {
            folder += "/" + part
            if mkdir(folder, 0o755) != 0, errno != EEXIST {
                throw SystemError(operation: "create", object: folder, reason: String(cString: strerror(errno)))
            }
        }
        let file = try AtomicFile(path: path)
        try file.write(text)
        try file.commit()
    }
}
