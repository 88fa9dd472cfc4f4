import Compute
import Core
import Tables

extension RecommenderTraining {
    /// Trains on a thread of its own, so that a service's cooperative threads are never blocked.
    ///
    /// Cancelling the task stops the training after the present iteration; what it throws then,
    /// ``InterruptedTraining``, holds a checkpoint.
    ///
    /// - Parameters:
    ///   - interactions: what to learn from.
    ///   - options: what is asked for.
    ///   - device: where to compute; streams are opened on the training's thread.
    ///   - progress: called on the training's thread after every iteration.
    public static func train(
        _ interactions: Interactions, options: RecommenderTrainingOptions, on device: any Device,
        progress: (@Sendable (ProgressReport) -> ProgressDecision)? = nil
    ) async throws -> RecommenderTrainingResult {
        let cancellation = CancellationFlag()
        return try await withTaskCancellationHandler {
            try await DedicatedThread.run {
                let training = try RecommenderTraining(
                    interactions: interactions, options: options, stream: try device.makeStream())
                return try training.run { report in
                    if cancellation.isCancelled { return .stop }
                    return progress?(report) ?? .proceed
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
    }
}
