import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Measures the anonymous resident memory of this process: what it has allocated and touched, without mapped files,
/// whose pages the system can take back. `--memory-limit` counts this.
///
/// The system keeps no high-water mark of it, so that a light thread looks every few milliseconds (some microseconds of
/// work each time). A peak shorter than that can be missed.
public final class MemoryMeter: Sendable {
    private final class State: Sendable {
        let peak = Atomic<Int>(0)
        let stopped = Atomic<Bool>(false)
        let interval: Int

        init(interval: Int) { self.interval = interval }

        func sample() {
            let now = MemoryMeter.currentBytes
            _ = peak.max(now, ordering: .relaxed)
        }
    }

    private let state: State
    private let thread: Mutex<pthread_t?>

    /// Starts measuring at once.
    /// - Parameter intervalMilliseconds: time between two looks, at least 1.
    public static func start(intervalMilliseconds: Int = 5) -> MemoryMeter {
        MemoryMeter(interval: max(intervalMilliseconds, 1))
    }

    private init(interval: Int) {
        state = State(interval: interval)
        state.sample()
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 1 << 17)
        // Signals are for the threads that wait for them.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let argument = Unmanaged.passRetained(state)
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let state = Unmanaged<State>.fromOpaque(argument).takeRetainedValue()
                while !state.stopped.load(ordering: .acquiring) {
                    state.sample()
                    usleep(UInt32(clamping: state.interval * 1000))
                }
                return nil
            }, argument.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        pthread_attr_destroy(&attributes)
        // Without a thread (the system's limit is reached) the peak is that of the looks taken by `peakBytes`.
        if code != 0 { argument.release() }
        self.thread = Mutex(code == 0 ? thread : nil)
    }

    deinit { stop() }

    /// Ends measuring; the peak stays. May be called more than once.
    public func stop() {
        thread.withLock { thread in
            guard let running = thread else { return }
            state.stopped.store(true, ordering: .releasing)
            pthread_join(running, nil)
            thread = nil
        }
    }

    /// The most anonymous resident memory seen since the start, in bytes.
    public var peakBytes: Int {
        if !state.stopped.load(ordering: .acquiring) { state.sample() }
        return state.peak.load(ordering: .relaxed)
    }

    /// Anonymous resident memory now, in bytes; 0 where the system does not tell. Some microseconds.
    public static var currentBytes: Int {
        // `statm` gives pages: all of them, resident ones, and those of files or shared; `RssAnon` of `status` is the
        // difference of the last two.
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        return withUnsafeTemporaryAllocation(byteCount: 128, alignment: 1) { text in
            let length = read(descriptor, text.baseAddress, text.count)
            guard length > 0 else { return 0 }
            var numbers = (0, 0, 0)
            var field = 0
            for byte in text[0..<length] {
                if byte < 0x30 || byte > 0x39 {
                    field += 1
                    if field == 3 { break }
                } else {
                    let digit = Int(byte - 0x30)
                    switch field {
                    case 0: numbers.0 = numbers.0 &* 10 &+ digit
                    case 1: numbers.1 = numbers.1 &* 10 &+ digit
                    default: numbers.2 = numbers.2 &* 10 &+ digit
                    }
                }
            }
            return max(numbers.1 - numbers.2, 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
        }
    }
}
