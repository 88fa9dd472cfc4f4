import Compute
import Core

/// What a training has behind it, epoch by epoch.
public struct NetworkHistory: Codable, Sendable, Equatable {
    /// Mean loss of the rows trained on, as it was when each batch came.
    public var losses: [Double] = []
    /// Mean loss of the validation part after each epoch, when there is one.
    public var validationLosses: [Double] = []
    /// Seconds of each epoch, validation apart.
    public var seconds: [Double] = []
    /// The epoch, from 0, with the best validation loss.
    public var best: Int?
    /// Whether the training stopped before its last epoch because the validation loss no longer fell.
    public var stoppedEarly = false

    public init() {}

    /// Epochs completed.
    public var epochs: Int { losses.count }
}

/// What a training has made.
public struct NetworkTrainingResult: Sendable {
    public let weights: NetworkWeights
    public let history: NetworkHistory
    /// Steps of the optimizer.
    public let steps: Int
}

/// A training that was told to stop; the checkpoint goes on from there to the same bits.
public struct InterruptedNetworkTraining: Error, Sendable {
    public let checkpoint: NetworkCheckpoint
}

/// A loss that is no longer a number, or the weights behind it.
public struct DivergedNetworkTraining: Error, Sendable, CustomStringConvertible {
    /// The epoch, counted from 1, in which it happened.
    public let epoch: Int
    /// The state at the end of the epoch before; nil in the first.
    public let lastGood: NetworkCheckpoint?

    public var description: String {
        "the loss is no longer finite in epoch \(epoch): the training diverged; use a smaller learning rate, "
            + "clip gradients, or scale the features"
            + (lastGood == nil ? "" : "; the state after epoch \(epoch - 1) was the last good one")
    }
}

/// Trains a network on rows of numbers.
///
/// The state between two batches is the parameters, the optimizer's, and the place in the epoch's order, which seed and
/// epoch determine: a resumed training gives the same bits on the same device. A batch of a size is compiled once; after
/// that, a batch uploads its row numbers, targets, and four numbers of the optimizer, and allocates nothing.
public final class NetworkTrainer {
    public let architecture: NetworkArchitecture
    public let objective: NetworkObjective
    public let options: NetworkTrainingOptions
    private let network: ResolvedNetwork
    private let stream: Compute.Stream
    private let start: NetworkWeights
    private let mask: NetworkWeights?

    /// - Parameters:
    ///   - weights: what to start from; random when nil.
    ///   - mask: 0 for parameters that stay 0, else 1; nil when all may change.
    /// - Throws: ``ParameterError`` for an architecture that does not fit together and for options outside their range.
    public init(
        _ architecture: NetworkArchitecture, objective: NetworkObjective, options: NetworkTrainingOptions,
        weights: NetworkWeights? = nil, mask: NetworkWeights? = nil, stream: Compute.Stream
    ) throws {
        self.architecture = architecture
        self.mask = mask
        self.objective = objective
        self.options = options
        self.stream = stream
        try options.validate()
        network = try architecture.resolved()
        start = weights ?? NetworkWeights(network.parameters, seed: options.seed)
        guard start.descriptions.map(\.shape) == network.parameters.map(\.shape) else {
            throw ParameterError("weights", "they belong to a network of another architecture")
        }
        if options.batchSize == 1, let layer = network.layers.lazy.compactMap(\.normalizingSingleRows).first {
            throw ParameterError(
                "batch-size", "layer \(layer.name) (batch-norm) needs batches of 2 rows or more; one has no deviation")
        }
    }

    /// The mean loss of all rows with the weights that the training starts from, without dropout, and its gradient.
    public func gradients(_ data: NetworkData) throws -> (loss: Double, gradients: NetworkWeights) {
        try data.validate(network, objective)
        let parameters = try DeviceParameters(start, training: true, stream: stream)
        for table in parameters.tables { try table.prepare(for: .add, stream) }
        let step = try stream.upload([0] as [Int32])
        let total = try stream.upload([0, 0] as [Float])
        let program = try BatchProgram(
            network, objective: objective, rows: data.rows, features: try data.deviceFeatures(stream),
            weighted: data.weights != nil, parameters: parameters, optimizer: nil, backward: true,
            smoothing: options.labelSmoothing, seed: options.seed, step: step, total: total, stream: stream)
        try program.run((0..<Int32(data.rows)).map { $0 }[...], of: data, stream)
        let sums = try stream.download(total, as: Float.self)
        return (
            (Double(sums[0]) + Double(sums[1])) / Double(data.rows), try parameters.downloadGradients(stream)
        )
    }

    /// Trains.
    ///
    /// - Parameters:
    ///   - validation: rows whose loss is watched after every epoch.
    ///   - checkpoint: the state of an interrupted training of the same network, options and data.
    ///   - saving: called after every epoch with what a checkpoint of it would be.
    ///   - progress: told of every epoch, and some times a second within one.
    /// - Throws: ``InterruptedNetworkTraining``, ``DivergedNetworkTraining``, ``DataError``, ``ComputeError``.
    public func train(
        _ data: NetworkData, validation: NetworkData? = nil, resuming checkpoint: NetworkCheckpoint? = nil,
        saving: ((() throws -> NetworkCheckpoint) throws -> Void)? = nil, progress: ProgressHandler = { _ in .proceed }
    ) throws -> NetworkTrainingResult {
        try train(
            parts: WholeNetworkData(data: data), validation: validation, resuming: checkpoint, saving: saving,
            progress: progress)
    }

    /// Trains on rows of which only a part at a time is in memory, here and on the device: see ``NetworkDataParts``.
    public func train(
        parts data: any NetworkDataParts, validation: NetworkData? = nil,
        resuming checkpoint: NetworkCheckpoint? = nil,
        saving: ((() throws -> NetworkCheckpoint) throws -> Void)? = nil, progress: ProgressHandler = { _ in .proceed }
    ) throws -> NetworkTrainingResult {
        guard !data.partRows.isEmpty else { throw DataError("there are no rows to train on") }
        let data = try data.divided(for: stream.device, seed: options.seed)
        try validation?.validate(network, objective)
        let run = try NetworkTrainingRun(
            network: network, objective: objective, options: options, start: start, mask: mask,
            data: data, validation: validation, stream: stream)
        if let checkpoint { try run.resume(checkpoint, architecture: architecture) }
        func makeCheckpoint() throws -> NetworkCheckpoint { try run.checkpoint(architecture: architecture) }
        var lastGood: NetworkCheckpoint?
        let started = monotonicSeconds()
        func report(_ completed: Int) -> ProgressDecision {
            var figures: [(name: String, value: Double)] = []
            if let loss = run.history.losses.last { figures.append(("loss", loss)) }
            if let loss = run.history.validationLosses.last { figures.append(("validation loss", loss)) }
            return progress(
                ProgressReport(
                    phase: "train", completed: completed, total: options.epochs * run.batchesPerEpoch,
                    unit: "batches", elapsedSeconds: monotonicSeconds() - started, figures: figures))
        }
        while !run.isDone {
            let finished = try run.runEpoch {
                report(run.history.epochs * run.batchesPerEpoch + $0) == .proceed
            }
            guard finished else { throw InterruptedNetworkTraining(checkpoint: try makeCheckpoint()) }
            guard run.history.losses.last!.isFinite, run.history.validationLosses.last?.isFinite ?? true else {
                throw DivergedNetworkTraining(epoch: run.history.epochs, lastGood: lastGood)
            }
            lastGood = try makeCheckpoint()
            try saving?(makeCheckpoint)
            if report(run.history.epochs * run.batchesPerEpoch) == .stop, !run.isDone {
                throw InterruptedNetworkTraining(checkpoint: try makeCheckpoint())
            }
        }
        return NetworkTrainingResult(
            weights: try run.finalWeights(), history: run.history, steps: run.optimizer.steps)
    }
}
