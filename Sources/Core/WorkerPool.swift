import CVectorLoops
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The one owner of threads on the CPU: workers that share out the chunks of one job at a time.
///
/// The calling thread takes part. Chunks are fixed by the shape of the work, never by the number of threads, and each
/// writes results of its own, so that every thread count gives the same bits. A second caller that finds the pool busy
/// does its chunks by itself, instead of waiting or oversubscribing the cores.
package final class WorkerPool: Sendable {
    /// Threads, the caller included.
    package let threadCount: Int
    private let shared: Shared

    /// - Parameter threadCount: at least 1; `threadCount - 1` threads are started.
    package init(threadCount: Int) {
        self.threadCount = max(threadCount, 1)
        shared = Shared()
        for worker in 1..<max(self.threadCount, 1) { shared.startThread(worker: worker) }
    }

    deinit { shared.stop() }

    /// Calls `body(chunk, worker)` for every chunk, 0 ..< chunks, and returns when all are done. `worker` is below
    /// `threadCount`, and no two calls at the same time for one caller have the same. `body` must not call this again:
    /// the inner call would run as worker 0 beside the outer caller.
    package func parallelFor(_ chunks: Int, _ body: (_ chunk: Int, _ worker: Int) -> Void) {
        guard chunks > 1, threadCount > 1, chunks < 1 << 31, shared.acquire() else {
            for chunk in 0..<max(chunks, 0) { body(chunk, 0) }
            return
        }
        defer { shared.release() }
        withoutActuallyEscaping(body) { escaping in
            var box = JobBox(body: escaping)
            withUnsafeMutablePointer(to: &box) { pointer in
                shared.run(job: pointer, chunks: chunks)
            }
        }
    }

    struct JobBox {
        let body: (Int, Int) -> Void
    }

    /// State that the threads outlive the pool object with.
    private final class Shared: @unchecked Sendable {
        /// Chunk count in the upper half, next chunk in the lower: one word, so that a worker that grabs a chunk knows
        /// that the job it belongs to is still being waited for.
        private let state = Atomic<UInt64>(0)
        private let completed = Atomic<Int>(0)
        private let busy = Atomic<Bool>(false)
        private let stopping = Atomic<Bool>(false)
        private let sleepers = Atomic<Int>(0)
        private let job = Atomic<UInt>(0)
        private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
        /// Rounds of looking for work, a pause of the processor each, before a worker sleeps: 20 to 50 microseconds.
        private static let spins = 1500
        /// Rounds of giving the core away before a caller that waits for a long chunk sleeps in between.
        private static let yields = 200

        /// The workers' numbers in the system, once they have begun; guarded by the mutex.
        private var numbers: [Int32] = []
        /// The processor that they are kept away from; guarded by the mutex.
        private var apartFrom: Int32 = -1

        init() {
            pthread_mutex_init(mutex, nil)
            pthread_cond_init(condition, nil)
        }

        deinit {
            pthread_mutex_destroy(mutex)
            pthread_cond_destroy(condition)
            mutex.deallocate()
            condition.deallocate()
        }

        func acquire() -> Bool {
            busy.compareExchange(expected: false, desired: true, ordering: .acquiringAndReleasing).exchanged
        }

        func release() { busy.store(false, ordering: .releasing) }

        func run(job pointer: UnsafeMutablePointer<JobBox>, chunks: Int) {
            completed.store(0, ordering: .relaxed)
            job.store(UInt(bitPattern: pointer), ordering: .releasing)
            state.store(UInt64(chunks) << 32, ordering: .sequentiallyConsistent)
            if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
                pthread_mutex_lock(mutex)
                keepApart()
                pthread_cond_broadcast(condition)
                pthread_mutex_unlock(mutex)
            }
            while workOnce(worker: 0) {}
            var waited = 0
            while completed.load(ordering: .acquiring) < chunks {
                waited += 1
                // A worker may have lost its core to somebody else: give ours away rather than burn it.
                if waited <= Self.spins {
                    apus_pause()
                } else if waited <= Self.spins + Self.yields {
                    sched_yield()
                } else {
                    usleep(50)
                }
            }
        }

        /// Gives every worker processors that are neither the caller's nor another worker's, as long as there are enough.
        ///
        /// A virtual machine's idle processors may look taken to Linux, which then puts a thread that it wakes beside
        /// the one that woke it, and parts them milliseconds later: a product of 5 ms after a pause took 7.6.
        private func keepApart() {
            let processor = apus_current_processor()
            guard processor != apartFrom else { return }
            apartFrom = processor
            Processor.spread(threads: numbers, apartFrom: processor)
        }

        /// Takes one chunk and runs it; false when there is none.
        private func workOnce(worker: Int) -> Bool {
            var current = state.load(ordering: .acquiring)
            while true {
                let next = current & 0xFFFF_FFFF
                if next >= current >> 32 { return false }
                let (exchanged, original) = state.compareExchange(
                    expected: current, desired: current + 1, ordering: .acquiringAndReleasing)
                if exchanged {
                    // The job can't have ended: its caller waits for the chunk that was just taken.
                    Self.invoke(job.load(ordering: .acquiring), chunk: Int(next), worker: worker)
                    completed.add(1, ordering: .releasing)
                    return true
                }
                current = original
            }
        }

        /// A function of its own, so that whatever the call retains is released before the chunk counts as completed:
        /// after that the caller may return, and its closure be gone.
        @inline(never)
        private static func invoke(_ job: UInt, chunk: Int, worker: Int) {
            UnsafePointer<JobBox>(bitPattern: job)?.pointee.body(chunk, worker)
        }

        func startThread(worker: Int) {
            let box = Unmanaged.passRetained(ThreadStart(shared: self, worker: worker))
            var thread = pthread_t()
            let code = pthread_create(
                &thread, nil,
                { argument in
                    let start = Unmanaged<ThreadStart>.fromOpaque(argument!).takeRetainedValue()
                    start.shared.loop(worker: start.worker)
                    return nil
                }, box.toOpaque())
            if code == 0 { pthread_detach(thread) } else { box.release() }
        }

        private func loop(worker: Int) {
            // Signals are for the threads of the program.
            var signals = sigset_t()
            sigfillset(&signals)
            pthread_sigmask(SIG_SETMASK, &signals, nil)
            pthread_mutex_lock(mutex)
            numbers.append(apus_thread_number())
            apartFrom = -1
            pthread_mutex_unlock(mutex)
            var idle = 0
            while !stopping.load(ordering: .acquiring) {
                if workOnce(worker: worker) {
                    idle = 0
                    continue
                }
                idle += 1
                if idle < Self.spins {
                    apus_pause()
                    continue
                }
                sleepUntilWork()
                idle = 0
            }
        }

        private func sleepUntilWork() {
            pthread_mutex_lock(mutex)
            sleepers.add(1, ordering: .sequentiallyConsistent)
            while !stopping.load(ordering: .sequentiallyConsistent) {
                let current = state.load(ordering: .sequentiallyConsistent)
                if current & 0xFFFF_FFFF < current >> 32 { break }
                pthread_cond_wait(condition, mutex)
            }
            sleepers.subtract(1, ordering: .sequentiallyConsistent)
            pthread_mutex_unlock(mutex)
        }

        func stop() {
            stopping.store(true, ordering: .sequentiallyConsistent)
            pthread_mutex_lock(mutex)
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
    }

    private final class ThreadStart {
        let shared: Shared
        let worker: Int
        init(shared: Shared, worker: Int) {
            self.shared = shared
            self.worker = worker
        }
    }
}
