#if canImport(Glibc)
    import Glibc
#endif

/// Runs long synchronous work on a thread of its own, so that a service's cooperative threads stay free.
public enum DedicatedThread {
    /// Runs `work` on a new thread and waits for it without blocking the caller's thread. Cancelling the task does not
    /// stop the work by itself: give the work a progress handler that asks a ``CancellationFlag``.
    public static func run<Result: Sendable>(
        _ work: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            let box = Unmanaged.passRetained(
                ThreadBody {
                    continuation.resume(with: Swift.Result { try work() })
                })
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
            pthread_attr_setstacksize(&attributes, 8 << 20)
            var thread = pthread_t()
            let code = pthread_create(
                &thread, &attributes,
                { argument in
                    Unmanaged<ThreadBody>.fromOpaque(argument!).takeRetainedValue().run()
                    return nil
                }, box.toOpaque())
            pthread_attr_destroy(&attributes)
            if code != 0 {
                // The system gives no thread: do the work here rather than lose it.
                box.takeRetainedValue().run()
            }
        }
    }

    private final class ThreadBody: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
