import Core
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Ctrl-C and SIGTERM: the first asks the work to stop at its next safe point, the second ends the process at once.
enum Interruption {
    /// Set by the first signal; progress handlers read it.
    static let flag = CancellationFlag()
    private static let signals = Atomic<Int>(0)

    static func install() {
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in
                // Only atomics and calls that are safe in a signal handler.
                if Interruption.signals.add(1, ordering: .relaxed).newValue > 1 { _exit(130) }
                Interruption.flag.cancel()
            }
        }
    }

    /// Throws `CancellationError` after a signal.
    static func check() throws {
        if flag.isCancelled { throw CancellationError() }
    }
}
