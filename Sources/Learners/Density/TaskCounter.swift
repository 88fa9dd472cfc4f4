import Synchronization

/// Hands out numbers from 0 up to several threads.
final class TaskCounter: Sendable {
    private let next = Atomic<Int>(0)

    /// The next number; nil when there is none below `count`.
    func take(below count: Int) -> Int? {
        let taken = next.add(1, ordering: .relaxed).oldValue
        return taken < count ? taken : nil
    }
}
