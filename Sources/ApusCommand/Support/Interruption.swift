import Core
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Ctrl-C and SIGTERM: the first asks the work to stop at its next safe point, the second ends the process at once,
/// leaving no temporary files.
enum Interruption {
    /// Set by the first signal; progress handlers read it.
    static let flag = CancellationFlag()
    private static let signals = Atomic<Int>(0)
    /// Where a handler wakes the thread that ends the process; -1 without one.
    private static let wakeUp = Atomic<Int32>(-1)

    static func install() {
        signal(SIGPIPE, SIG_IGN)
        // A limit on file sizes is then an error of the write, with a message.
        signal(SIGXFSZ, SIG_IGN)
        startLastThread()
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in
                // Only atomics and calls that are safe in a signal handler: removing files takes a lock.
                Interruption.flag.cancel()
                guard Interruption.signals.add(1, ordering: .relaxed).newValue > 1 else { return }
                var byte: UInt8 = 0
                let number = errno
                let descriptor = Interruption.wakeUp.load(ordering: .relaxed)
                if descriptor < 0 || write(descriptor, &byte, 1) != 1 { _exit(130) }
                errno = number
            }
        }
    }

    /// A thread that waits for the second signal. Without it (the system gives no thread) the handler ends the process
    /// itself.
    private static func startLastThread() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                var byte: UInt8 = 0
                let descriptor = Int32(Int(bitPattern: argument))
                while read(descriptor, &byte, 1) < 0 && errno == EINTR {}
                AtomicFile.removeUnfinished()
                _exit(130)
            }, UnsafeMutableRawPointer(bitPattern: Int(ends[0])))
        guard status == 0 else {
            close(ends[0])
            close(ends[1])
            return
        }
        pthread_detach(thread)
        wakeUp.store(ends[1], ordering: .relaxed)
    }

    /// Throws `CancellationError` after a signal.
    static func check() throws {
        if flag.isCancelled { throw CancellationError() }
    }
}
