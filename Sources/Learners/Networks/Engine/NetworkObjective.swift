import Compute
import Core

/// What a network is trained for: the meaning of its outputs, and the loss.
public enum NetworkObjective: Codable, Sendable, Equatable {
    /// One output, the log odds of a class; logistic loss.
    case binary
    /// An output for each class; softmax cross-entropy.
    case classes
    /// Outputs that are numbers; squares of the differences.
    case squared
    /// Outputs that are numbers; Huber's loss.
    case huber(delta: Float)

    /// Whether targets are labels.
    var hasLabels: Bool { self == .classes }
}

/// The loss at the end of a network, for one shape of batch.
final class LossHead {
    let output: LayerFlow
    /// Rows × columns of the output, for losses of numbers.
    let targets: Matrix?
    /// 1 × rows, for losses of classes.
    let labels: Matrix?
    /// 1 × rows
    let weights: Matrix?
    /// 1 × rows
    let losses: Matrix
    private let gradient: Matrix
    private let objective: NetworkObjective
    private let smoothing: Float
    private let scale: Float

    /// - Parameter scale: of the gradient; 1 / rows for the mean.
    init(
        _ objective: NetworkObjective, output: LayerFlow, weighted: Bool, smoothing: Float, scale: Float,
        stream: Compute.Stream
    ) throws(ComputeError) {
        self.objective = objective
        self.output = output
        self.smoothing = smoothing
        self.scale = scale
        let rows = output.value.rows
        targets = objective.hasLabels ? nil : try stream.allocate(rows: rows, columns: output.value.columns)
        labels = objective.hasLabels ? try stream.allocate(rows: 1, columns: rows, .int32) : nil
        weights = weighted ? try stream.allocate(rows: 1, columns: rows) : nil
        losses = try stream.allocate(rows: 1, columns: rows)
        if let present = output.gradient {
            gradient = present
        } else {
            gradient = try stream.allocate(rows: rows, columns: output.value.columns)
        }
    }

    /// Enqueues the losses and the gradient of the output.
    func run(_ stream: Compute.Stream) throws(ComputeError) {
        let function: ElementLossFunction
        switch objective {
        case .classes:
            return try stream.softmaxCrossEntropy(
                output.value, labels: labels!, weights: weights, smoothing: smoothing, scale: scale,
                gradient: gradient, losses: losses)
        case .binary: function = .logistic
        case .squared: function = .squared
        case .huber(let delta): function = .huber(delta: delta)
        }
        try stream.elementLoss(
            function, output.value, targets: targets, weights: weights, scale: scale, gradient: gradient,
            losses: losses)
    }
}
