import Core

#if canImport(Glibc)
    import Glibc
#endif

/// Checks before hours of work that their result can be written.
enum OutputFolder {
    /// The folder of a path; the present one when there is none.
    static func of(_ path: String?) -> String {
        guard let path, let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Throws ``SystemError`` when the folder of `path` is missing or can't be written to.
    static func check(_ path: String) throws {
        let folder = of(path)
        guard access(folder, W_OK | X_OK) == 0 else {
            throw SystemError(
                operation: "write", object: path,
                reason: "\(folder): \(String(cString: strerror(errno))); create the folder or choose another --output")
        }
        var information = stat()
        if stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR {
            throw SystemError(operation: "write", object: path, reason: "it is a folder")
        }
    }

    /// Removes a file that has served its purpose; one that is not there is fine.
    static func removeFile(_ path: String) { unlink(path) }
}
