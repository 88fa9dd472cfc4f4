import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Measures the anonymous resident memory of this process: what it has allocated and touched, without mapped files,
/// whose pages the system can take back. `--memory-limit` counts this.
///
/// The system keeps no high-water mark of it, so that a light thread looks every few milliseconds (some microseconds of
/// work each time). A peak shorter than that can be missed.
public enum MemoryMeter {
    private static let peak = Atomic<Int>(0)
    private static let stopped = Atomic<Bool>(false)
    private static let thread = Mutex<pthread_t?>(nil)

    /// Starts measuring, for the whole process; the peak begins anew. Does nothing while it measures already.
    /// - Parameter intervalMilliseconds: time between two looks, at least 1.
    public static func start(intervalMilliseconds: Int = 5) {
        thread.withLock { running in
            guard running == nil else { return }
            stopped.store(false, ordering: .releasing)
            peak.store(anonymousBytes(), ordering: .relaxed)
            running = launch(microseconds: UInt32(clamping: max(intervalMilliseconds, 1) * 1000))
        }
    }

    /// Ends measuring; the peak stays. May be called more than once.
    public static func stop() {
        thread.withLock { running in
            guard let thread = running else { return }
            stopped.store(true, ordering: .releasing)
            pthread_join(thread, nil)
            running = nil
        }
    }

    /// The most anonymous resident memory seen since ``start(intervalMilliseconds:)``, in bytes.
    public static func peakAnonymousBytes() -> Int {
        if !stopped.load(ordering: .acquiring) { sample() }
        return peak.load(ordering: .relaxed)
    }

    private static func sample() { _ = peak.max(anonymousBytes(), ordering: .relaxed) }

    /// Without a thread (the system's limit is reached) the peak is that of the looks taken by `peakAnonymousBytes`.
    private static func launch(microseconds: UInt32) -> pthread_t? {
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 1 << 17)
        // Signals are for the threads that wait for them.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let code = pthread_create(
            &thread, &attributes,
            { interval in
                let microseconds = UInt32(UInt(bitPattern: interval))
                while !MemoryMeter.stopped.load(ordering: .acquiring) {
                    MemoryMeter.sample()
                    usleep(microseconds)
                }
                return nil
            }, UnsafeMutableRawPointer(bitPattern: UInt(microseconds)))
        pthread_sigmask(SIG_SETMASK, &before, nil)
        pthread_attr_destroy(&attributes)
        return code == 0 ? thread : nil
    }

    /// Anonymous resident memory now, in bytes; 0 where the system does not tell. Some microseconds.
    public static func anonymousBytes() -> Int {
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
