import Synchronization

/// Asks work on another thread to stop at its next safe point.
public final class CancellationFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    public init() {}

    /// Asks to stop; may be called from any thread, any number of times.
    public func cancel() { flag.store(true, ordering: .releasing) }

    /// Whether ``cancel()`` was called.
    public var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// `.stop` once cancelled: what a progress handler answers.
    public var decision: ProgressDecision { isCancelled ? .stop : .proceed }
}
