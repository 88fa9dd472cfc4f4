import Glibc
import Testing

/// The built program, run as a process of its own.
enum Program {
    struct Outcome {
        /// The exit code; 128 + the signal where one ended it.
        let code: Int32
        let output: String
        let errors: String
    }

    /// The program lies beside the test bundle.
    static let path: String = {
        guard let real = realpath("/proc/self/exe", nil) else { return "apus" }
        defer { free(real) }
        let own = String(cString: real)
        return (own.lastIndex(of: "/").map { String(own[...$0]) } ?? "") + "apus"
    }()

    /// A fresh folder, with a closing slash.
    static func folder() -> String {
        var template = Array("/tmp/apus-command-XXXXXX".utf8CString)
        return (mkdtemp(&template).map { String(cString: $0) } ?? "/tmp") + "/"
    }

    /// - Parameter signals: signals to send, each one second after the one before.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], signals: [Int32] = []
    ) throws -> Outcome {
        try spawn(path, arguments, environment: environment, sending: signals)
    }

    /// A line of shell, in which `$APUS` stands for the program.
    static func shell(_ line: String, environment: [String: String] = [:]) throws -> Outcome {
        try spawn("/bin/sh", ["-c", line], environment: environment.merging(["APUS": path]) { $1 })
    }

    /// ONNX Runtime, where it is installed, agrees: a script that is given the folder prints `same`.
    static func expectONNXAgrees(_ script: String, in folder: TemporaryFolder) throws {
        let python = "${APUS_PEERS_PYTHON:-$HOME/.cache/peers-venv/bin/python}"
        guard try shell("\(python) -c 'import onnxruntime, numpy'").code == 0 else {
            print("onnxruntime is not installed: the ONNX file was not run")
            return
        }
        _ = folder.write("check.py", script)
        let run = try shell("\(python) \(folder.path)/check.py \(folder.path)")
        #expect(run.output.contains("same"), "\(run.errors)")
    }

    static func read(_ path: String) -> String? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&piece, 1, 1 << 16, file), count > 0 { bytes += piece[0..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func names(in folder: String) -> [String] {
        var names: [String] = []
        guard let handle = opendir(folder) else { return names }
        defer { closedir(handle) }
        let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
        while let entry = readdir(handle) {
            let name = String(cString: (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self))
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func spawn(
        _ program: String, _ arguments: [String], environment: [String: String], sending sent: [Int32] = []
    ) throws -> Outcome {
        let folder = folder()
        defer { _ = try? remove(folder) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, folder + "out", O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, folder + "err", O_WRONLY | O_CREAT, 0o600)
        // A test runner may ignore signals; the program starts as from a shell.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var variables: [String: String] = [:]
        for name in ["PATH", "HOME", "LD_LIBRARY_PATH"] {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        variables.merge(environment) { $1 }
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        var settings: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in words + settings { free(text) } }
        var process = pid_t()
        let status = posix_spawn(&process, program, &actions, &attributes, &words, &settings)
        try #require(status == 0, "\(program) can't be started: \(String(cString: strerror(status)))")
        for signal in sent {
            sleep(1)
            kill(process, signal)
        }
        var result: Int32 = 0
        while waitpid(process, &result, 0) < 0 && errno == EINTR {}
        let code = result & 0x7F == 0 ? (result >> 8) & 0xFF : 128 + (result & 0x7F)
        return Outcome(code: code, output: read(folder + "out") ?? "", errors: read(folder + "err") ?? "")
    }

    private static func remove(_ folder: String) throws {
        for name in names(in: folder) { unlink(folder + name) }
        rmdir(folder)
    }
}
