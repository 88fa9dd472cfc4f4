import ArgumentParser
import Compute
import Core
import Learners

#if canImport(Glibc)
    import Glibc
#endif

/// What a run ends with: one mapping from errors to exit codes and messages.
enum Failure {
    /// 130: stopped by a signal.
    struct Interrupted: Error {
        let message: String
    }

    static let failure: Int32 = 1
    static let usage: Int32 = 64
    static let badData: Int32 = 65
    static let unavailable: Int32 = 69
    static let interrupted: Int32 = 130

    /// Prints the message on standard error and ends the process.
    static func exit(_ error: any Error) -> Never {
        ProgressDisplay.clearLine()
        Output.finish()
        AtomicFile.removeUnfinished()
        if let interruption = error as? Interrupted { leave(interruption.message, interrupted) }
        if error is CancellationError { leave("interrupted; nothing was written", interrupted) }
        if let error = error as? DataError { leave(error.description, badData) }
        if let error = error as? ParameterError { leave(error.description, usage) }
        if let error = error as? SystemError { leave(error.description, failure) }
        if let error = error as? ComputeError {
            if case .unavailable = error { leave(error.description, unavailable) }
            leave(error.description, failure)
        }
        // The parser's own: help and version on standard output, usage errors on standard error.
        let code = ApusCommand.exitCode(for: error)
        let message = ApusCommand.fullMessage(for: error)
        if code == .success {
            Output.line(message)
            Output.finish()
            Glibc.exit(0)
        }
        leave(
            message.hasPrefix("Error: ") ? String(message.dropFirst(7)) : message,
            code == .validationFailure ? usage : failure)
    }

    private static func leave(_ message: String, _ code: Int32) -> Never {
        writeToStandardError("apus: " + message + "\n")
        Glibc.exit(code)
    }
}

/// Writes text to standard error, unbuffered.
func writeToStandardError(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
        let count = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        if count <= 0 { return }
        bytes = bytes.dropFirst(count)
    }
}
