import Core

#if canImport(Glibc)
    import Glibc
#endif

/// The threads that PoCL computes with, so that each can be given processors of its own.
///
/// PoCL's host thread wakes all workers at once and then sleeps. Linux tends to put two of them on the processor where it
/// runs, beside one that idles, and takes several milliseconds to part them: a product of 1024 × 1024 × 1024 after a pause
/// took 11 ms instead of 5.5 on two processors. Masks that don't overlap prevent that. Unlike `POCL_AFFINITY`, which binds
/// thread i to processor i, they leave the scheduler a choice where there are fewer threads than processors, and keep to
/// the processors that the process may use.
enum OpenCLWorkerThreads {
    /// Calls `body`, in which a driver sets itself up; answers its result and the threads that were begun meanwhile, in
    /// the order of their numbers.
    static func begun<Result>(during body: () -> Result) -> (result: Result, threads: [Int32]) {
        let before = Set(running())
        let result = body()
        return (result, running().filter { !before.contains($0) }.sorted())
    }

    /// Gives each of the threads processors of its own, unless the user has told PoCL how to bind them.
    static func spread(_ threads: some Collection<Int32>) {
        guard threads.count > 1, getenv("POCL_AFFINITY") == nil else { return }
        Processor.spread(threads: threads)
    }

    /// Numbers of this process's threads.
    private static func running() -> [Int32] {
        guard let folder = opendir("/proc/self/task") else { return [] }
        defer { closedir(folder) }
        var numbers: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let number = Int32(name) { numbers.append(number) }
        }
        return numbers
    }
}
