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
    /// The end of a pipe that the handler writes to; −1 before ``install()``.
    private static let pipeEnd = Atomic<Int32>(-1)

    static func install() {
        signal(SIGPIPE, SIG_IGN)
        // A write past the limit of file sizes is to fail with words, not to end the process.
        signal(SIGXFSZ, SIG_IGN)
        startLeaver()
        for number in [SIGINT, SIGTERM] {
            let before = signal(number) { _ in
                // Only atomics and calls that are safe in a signal handler.
                Interruption.flag.cancel()
                guard Interruption.signals.add(1, ordering: .relaxed).newValue > 1 else { return }
                var byte: UInt8 = 0
                if write(Interruption.pipeEnd.load(ordering: .relaxed), &byte, 1) != 1 { _exit(130) }
            }
            // What the caller (nohup, a shell's background) has ignored stays ignored.
            if unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
        }
    }

    /// Starts the thread that clears unfinished files away and ends the process, which a signal handler may not do.
    private static func startLeaver() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                let end = Int32(truncatingIfNeeded: Int(bitPattern: argument))
                var byte: UInt8 = 0
                while read(end, &byte, 1) != 1 {}
                ProgressDisplay.clearLine()
                AtomicFile.removeUnfinished()
                _exit(Failure.interrupted)
            }, UnsafeMutableRawPointer(bitPattern: Int(ends[0])))
        if code == 0 {
            pipeEnd.store(ends[1], ordering: .relaxed)
        } else {
            for end in ends { close(end) }
        }
    }

    /// Throws `CancellationError` after a signal.
    static func check() throws {
        if flag.isCancelled { throw CancellationError() }
    }
}
