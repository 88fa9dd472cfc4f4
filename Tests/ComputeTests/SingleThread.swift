import Foundation

/// A thread that does one piece of work after another.
///
/// Oclgrind's detector of uninitialised values keeps its own memory per thread, and reads memory that it never set when a
/// context is used on another thread than the one that made it. Swift Testing runs tests on any thread; what must be
/// judged by that detector is run here.
final class SingleThread: @unchecked Sendable {
    static let shared = SingleThread()

    private let condition = NSCondition()
    private var waiting: [() -> Void] = []
    private var thread: Thread?

    private init() {
        let thread = Thread { [unowned self] in work() }
        thread.stackSize = 16 << 20
        self.thread = thread
        thread.start()
    }

    private func work() -> Never {
        while true {
            condition.lock()
            while waiting.isEmpty { condition.wait() }
            let next = waiting.removeFirst()
            condition.unlock()
            next()
        }
    }

    /// Runs `body` on the thread, and waits for it; at once when this is the thread.
    func run<Value, Failure>(_ body: @escaping () throws(Failure) -> Value) throws(Failure) -> Value {
        if Thread.current === thread { return try body() }
        let done = DispatchSemaphore(value: 0)
        nonisolated(unsafe) var result: Result<Value, Failure>?
        condition.lock()
        waiting.append {
            do throws(Failure) {
                result = .success(try body())
            } catch {
                result = .failure(error)
            }
            done.signal()
        }
        condition.signal()
        condition.unlock()
        done.wait()
        return try result!.get()
    }
}
