#if canImport(Glibc)
    import Glibc
#endif

extension SystemError {
    /// An error with the system's words for `code` (a value of `errno`) and, where it helps, what to do about it.
    public init(operation: String, object: String, code: Int32) {
        var words = [CChar](repeating: 0, count: 256)
        let text =
            strerror_r(code, &words, words.count) == 0
            ? String(decoding: words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            : "error \(code)"
        let advice = SystemError.advice(for: code)
        self.init(operation: operation, object: object, reason: advice.isEmpty ? text : "\(text); \(advice)")
    }

    private static func advice(for code: Int32) -> String {
        switch code {
        case ENOENT: "check the spelling, and that the folder exists"
        case ENOTDIR: "a part of the path is a file, not a folder"
        case EACCES, EPERM: "check who owns it, or choose another place"
        case ENOSPC, EDQUOT: "free some space, or choose a folder on another disk"
        case EFBIG: "the file would pass the size limit of this process (see `ulimit -f`)"
        case EROFS: "choose a folder that can be written to"
        case EISDIR: "name a file in it"
        case EMFILE, ENFILE: "raise the limit of open files (see `ulimit -n`)"
        case ENAMETOOLONG: "choose a shorter name"
        case ENOMEM: "close other programs, or work on less at once"
        default: ""
        }
    }
}
