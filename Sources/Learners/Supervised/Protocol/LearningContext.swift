import Compute
import Core
import Tables

/// Where a learner works and whom it tells.
///
/// Used by one thread at a time, as its stream is.
public final class LearningContext {
    /// The device's queue: products, decompositions.
    public let stream: Compute.Stream
    /// Threads for work on the host.
    public let threads: Int
    /// Rows that a learner that watches its progress on others takes for that, in place of a part of the training rows;
    /// nil for none. They must have the columns of the training table.
    public var watched: SupervisedTable?
    /// The table that the training rows are a sample of, where it is larger than memory; nil otherwise.
    public var streamed: StreamedTable?
    private let progress: ProgressHandler?
    private let started = monotonicSeconds()
    private var lastReport: ProgressReport?

    /// - Parameters:
    ///   - stream: where products are computed.
    ///   - threads: threads for work on the host; as many as the device has on a CPU, or all cores, when nil.
    ///   - progress: told of every iteration; stops the work by its answer.
    public init(stream: Compute.Stream, threads: Int? = nil, progress: ProgressHandler? = nil) {
        self.stream = stream
        let device = stream.device
        self.threads =
            threads
            ?? (device.identity.deviceClass == .cpu ? max(device.limits.computeUnits, 1) : Workers.processorCount)
        self.progress = progress
    }

    /// The same place for what is done inside of something else: shows the outer work's progress, and stops with it.
    public var silent: LearningContext {
        LearningContext(
            stream: stream, threads: threads,
            progress: { [self] _ in
                progress?(
                    lastReport
                        ?? ProgressReport(
                            phase: "train", completed: 0, total: nil, unit: "steps",
                            elapsedSeconds: monotonicSeconds() - started)) ?? .proceed
            })
    }

    /// Tells how far the work is. Throws `CancellationError` when it is to stop.
    public func report(
        _ phase: String = "train", completed: Int, total: Int?, unit: String,
        figures: [(name: String, value: Double)] = []
    ) throws {
        guard let progress else { return }
        let report = ProgressReport(
            phase: phase, completed: completed, total: total, unit: unit,
            elapsedSeconds: monotonicSeconds() - started, figures: figures)
        lastReport = report
        if progress(report) == .stop { throw CancellationError() }
    }
}
