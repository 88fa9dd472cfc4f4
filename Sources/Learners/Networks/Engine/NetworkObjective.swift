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
    /// Two vectors side by side: the second of a row is to be found by the first among those of the batch, by products
    /// over a temperature. Targets are added to the scores of each row's second vector.
    case retrieval(temperature: Float, loss: RetrievalLoss)

    /// Whether targets are labels.
    var hasLabels: Bool { self == .classes }
}

/// How far the right one of the vectors that are retrieved is to be from the others.
public enum RetrievalLoss: String, Codable, Sendable, CaseIterable {
    /// Softmax cross-entropy over all of them.
    case softmax
    /// Bayesian personalized ranking: above each of the others, by the mean over them.
    case bpr
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
    /// rows × rows, for retrieval.
    private let scores: Matrix?
    /// 1 × rows, int32: each row's own place.
    private let places: Matrix?
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
        if case .retrieval = objective {
            targets = try stream.allocate(rows: rows, columns: 1)
            scores = try stream.allocate(rows: rows, columns: rows)
            places = try stream.upload((0..<Int32(rows)).map { $0 })
        } else {
            targets = objective.hasLabels ? nil : try stream.allocate(rows: rows, columns: output.value.columns)
            (scores, places) = (nil, nil)
        }
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
        case .retrieval(let temperature, let loss): return try retrieve(1 / temperature, loss, stream)
        }
        try stream.elementLoss(
            function, output.value, targets: targets!, weights: weights, scale: scale, gradient: gradient,
            losses: losses)
    }

    /// Scores of every row's first vector with every second one, their loss, and the gradients of both.
    private func retrieve(
        _ factor: Float, _ loss: RetrievalLoss, _ stream: Compute.Stream
    ) throws(ComputeError) {
        let (scores, rows, d) = (scores!, output.value.rows, output.value.columns / 2)
        let (first, second) = (output.value.columns(0..<d), output.value.columns(d..<2 * d))
        try stream.gemm(
            first, second, transposeB: true, alpha: factor, bias: targets!.window(rows: 1, columns: rows), into: scores)
        switch loss {
        case .softmax:
            try stream.softmaxCrossEntropy(
                scores, labels: places!, weights: weights, smoothing: smoothing, scale: scale, gradient: scores,
                losses: losses)
        case .bpr where rows > 1:
            try stream.rankingLoss(
                scores, labels: places!, weights: weights, scale: scale, gradient: scores, losses: losses)
        case .bpr:
            // Alone in its batch, the last of an epoch, a row is above all others.
            try stream.fill(scores, with: 0)
            try stream.fill(losses, with: 0)
        }
        try stream.gemm(scores, second, alpha: factor, into: gradient.columns(0..<d))
        try stream.gemm(scores, transposeA: true, first, alpha: factor, into: gradient.columns(d..<2 * d))
    }
}
