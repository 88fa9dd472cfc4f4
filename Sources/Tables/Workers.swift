import Glibc
import Synchronization

/// Threads for the time of one call.
///
/// Reading happens before a device is chosen, so that it can't borrow a device's threads; it starts its own and joins
/// them before it returns. Work is cut by the shape of the data, never by the number of threads.
package enum Workers {
    private final class Job {
        let index: Int
        let body: (Int) -> Void
        init(index: Int, body: @escaping (Int) -> Void) {
            self.index = index
            self.body = body
        }
    }

    /// Calls `body(0) … body(count - 1)` at the same time; number 0 runs on the calling thread.
    package static func run(_ count: Int, _ body: (Int) -> Void) {
        guard count > 1 else {
            if count == 1 { body(0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            var threads: [pthread_t] = []
            var refused: [Int] = []
            for index in 1..<count {
                let job = Unmanaged.passRetained(Job(index: index, body: body))
                var thread = pthread_t()
                let status = pthread_create(
                    &thread, nil,
                    { argument in
                        let job = Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue()
                        job.body(job.index)
                        return nil
                    }, job.toOpaque())
                if status == 0 {
                    threads.append(thread)
                } else {
                    job.release()
                    refused.append(index)
                }
            }
            body(0)
            // The system gave fewer threads than asked for: the work is done all the same, one after another.
            for index in refused { body(index) }
            for thread in threads { pthread_join(thread, nil) }
        }
    }

    /// Calls `body` for every task, on `threads` threads that take the next task when they are free.
    package static func share(tasks: Int, threads: Int, _ body: (Int) -> Void) {
        guard threads > 1, tasks > 1 else {
            for task in 0..<tasks { body(task) }
            return
        }
        let next = Atomic<Int>(0)
        run(min(threads, tasks)) { _ in
            while true {
                let task = next.add(1, ordering: .relaxed).oldValue
                guard task < tasks else { return }
                body(task)
            }
        }
    }

    /// Number of processors that this process may run on.
    package static var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}

/// A lock around what several threads share.
final class Lock: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
