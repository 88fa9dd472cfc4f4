import Glibc

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/apus-command-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    /// The names in the folder, hidden ones too, in order.
    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var found: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { found.append(name) }
        }
        return found.sorted()
    }

    /// Writes a file and gives its path.
    func write(_ name: String, _ bytes: [UInt8]) -> String {
        let file = path + "/" + name
        guard let handle = fopen(file, "w") else { return file }
        _ = fwrite(bytes, 1, bytes.count, handle)
        fclose(handle)
        return file
    }

    /// Writes a file of text and gives its path.
    func write(_ name: String, _ text: String) -> String { write(name, Array(text.utf8)) }

    /// The bytes of a file, none when it is not there.
    static func bytes(_ path: String) -> [UInt8] {
        guard let handle = fopen(path, "r") else { return [] }
        defer { fclose(handle) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = fread(&buffer, 1, buffer.count, handle)
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// The content of a file of text, empty when it is not there.
    static func text(_ path: String) -> String { String(decoding: bytes(path), as: UTF8.self) }
}
