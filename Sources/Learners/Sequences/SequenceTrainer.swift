import Compute
import Core

/// What the training of a sequence model has made.
public struct SequenceTrainingResult: Sendable {
    /// Of the best epoch when the training watched for it, else of the last.
    public let weights: NetworkWeights
    /// The losses are means over the items predicted; in place of validation losses, 1 − NDCG@10.
    public let history: NetworkHistory
    /// Items predicted in an epoch.
    public let targets: Int
}

/// Trains a network to tell the next item from those before it.
///
/// The state between two batches is the parameters, the optimizer's, and the place in an order that seed and epoch
/// determine: a resumed training gives the same bits on the same device. A step uploads its item numbers and four
/// numbers of the optimizer, and allocates nothing on the device.
final class SequenceTrainer {
    private let options: SequenceOptions
    private let training: NetworkTrainingOptions
    private let data: SequenceData
    private let windows: [Range<Int>]
    private let watched: (all: SequenceData, people: [Int])?
    private let stream: Compute.Stream
    private let optimizer: OptimizerState
    private let program: SequenceProgram
    private let encoder: SequenceEncoder?
    private let step: Matrix
    private let total: Matrix
    private var draws: SequenceDraws?
    private(set) var history = NetworkHistory()
    private var position = 0
    private var best: NetworkWeights?
    private let fingerprint: String

    /// People whose last items are watched, at most.
    private static let mostWatched = 5000

    /// - Parameter weights: what to start from; random when nil.
    /// - Throws: ``ParameterError``, ``DataError`` when nobody has two items, ``ComputeError``.
    init(
        _ data: SequenceData, options: SequenceOptions, weights: NetworkWeights? = nil, stream: Compute.Stream
    ) throws {
        try options.validate()
        self.options = options
        self.stream = stream
        training = options.training
        fingerprint = data.fingerprint
        if options.patience != nil {
            let (rest, people) = data.withoutLast()
            guard !people.isEmpty else {
                throw DataError("nobody has the three items that stopping early needs: one of them is held out")
            }
            let order = Philox(seed: options.seed, stream: NetworkRandom.split).permutation(count: people.count)
            watched = (data, order.prefix(Self.mostWatched).map { people[$0] }.sorted())
            self.data = rest
        } else {
            watched = nil
            self.data = data
        }
        windows = self.data.windows(length: options.length)
        guard !windows.isEmpty else {
            throw DataError("nobody has two items of which one could be the next: there is nothing to learn")
        }
        guard options.loss != .bpr || data.catalogue > 1 else {
            throw DataError("there is one item: a ranking needs two")
        }
        let network = try options.network()
        let start = try weights ?? NetworkWeights(options.parameters(items: data.catalogue), seed: options.seed)
        let parameters = try DeviceParameters(start, training: true, stream: stream)
        optimizer = try OptimizerState(parameters, options: training, stream: stream)
        step = try stream.upload([0] as [Int32])
        total = try stream.upload([0, 0] as [Float])
        program = try SequenceProgram(
            network, options: options, items: data.catalogue, batch: min(options.batchSize, windows.count),
            optimizer: optimizer, step: step, total: total, stream: stream)
        encoder =
            options.patience == nil ? nil : try SequenceEncoder(network, parameters: parameters, stream: stream)
        if options.loss != .full {
            var counts = [Int](repeating: 0, count: data.catalogue)
            for window in windows { for place in window { counts[Int(self.data.items[place + 1])] += 1 } }
            draws = SequenceDraws(counts: counts, negatives: options.negatives, seed: options.seed)
        }
    }

    /// Items predicted in an epoch.
    var targets: Int { windows.reduce(0) { $0 + $1.count } }

    private var batchSize: Int { min(options.batchSize, windows.count) }

    /// Batches of an epoch.
    var batchesPerEpoch: Int { (windows.count + batchSize - 1) / batchSize }

    /// Trains to the end.
    ///
    /// - Throws: ``InterruptedSequenceTraining``, ``DivergedNetworkTraining``, ``ComputeError``.
    func run(
        resuming checkpoint: SequenceCheckpoint? = nil, saving checkpoints: CheckpointKeeper<SequenceCheckpoint>? = nil,
        progress: ProgressHandler?
    ) throws -> SequenceTrainingResult {
        if let checkpoint { try resume(checkpoint) }
        let started = monotonicSeconds()
        func report(_ batches: Int) -> ProgressDecision {
            var figures: [(name: String, value: Double)] = []
            if let loss = history.losses.last { figures.append(("loss", loss)) }
            if let loss = history.validationLosses.last { figures.append(("ndcg@10", 1 - loss)) }
            return progress?(
                ProgressReport(
                    phase: "train", completed: history.epochs * batchesPerEpoch + batches,
                    total: options.epochs * batchesPerEpoch, unit: "batches",
                    elapsedSeconds: monotonicSeconds() - started, figures: figures)) ?? .proceed
        }
        while history.epochs < options.epochs, !history.stoppedEarly {
            guard try runEpoch({ report($0) == .proceed }) else {
                throw InterruptedSequenceTraining(checkpoint: try self.checkpoint())
            }
            guard history.losses[history.losses.count - 1].isFinite else {
                throw DivergedNetworkTraining(epoch: history.epochs, lastGood: nil)
            }
            if let checkpoints {
                checkpoints.note(try self.checkpoint())
                try checkpoints.save(self.checkpoint)
            }
            if report(0) == .stop, history.epochs < options.epochs, !history.stoppedEarly {
                throw InterruptedSequenceTraining(checkpoint: try self.checkpoint())
            }
        }
        return SequenceTrainingResult(
            weights: try best ?? optimizer.parameters.download(stream), history: history, targets: targets)
    }

    /// Runs what is left of the present epoch; false when `proceed` says to stop.
    private func runEpoch(_ proceed: (Int) -> Bool) throws -> Bool {
        let epoch = history.epochs
        let began = monotonicSeconds()
        var asked = began
        let order = Philox(seed: options.seed, stream: NetworkRandom.shuffle + UInt64(epoch))
            .permutation(count: windows.count)
        if position == 0 { try stream.upload([0, 0] as [Float], to: total) }
        while position < batchesPerEpoch {
            let places = order[position * batchSize..<min((position + 1) * batchSize, windows.count)]
            let number = epoch * batchesPerEpoch + position
            try stream.upload([Int32(truncatingIfNeeded: number)], to: step)
            draws?.batch = number
            _ = try program.run(
                places.map { windows[$0] }[...], of: data,
                rate: training.rate(step: optimizer.steps, epoch: epoch, stepsPerEpoch: batchesPerEpoch), draws: draws)
            position += 1
            if position < batchesPerEpoch, monotonicSeconds() - asked > 0.2 {
                // What is enqueued is done before anyone is asked: the time that is left is known then.
                try stream.finish()
                asked = monotonicSeconds()
                if !proceed(position) { return false }
            }
        }
        let sums = try stream.download(total, as: Float.self)
        history.losses.append((Double(sums[0]) + Double(sums[1])) / Double(targets))
        history.seconds.append(monotonicSeconds() - began)
        position = 0
        if let watched, let encoder { try validate(watched.all, watched.people, encoder) }
        return true
    }

    /// NDCG@10 of everyone's last item among all that they don't have yet.
    private func validate(_ all: SequenceData, _ people: [Int], _ encoder: SequenceEncoder) throws {
        let k = 10
        var gain = 0.0
        for first in stride(from: 0, to: people.count, by: encoder.batch) {
            let part = people[first..<min(first + encoder.batch, people.count)]
            let queries = try encoder.encode(part.map { data.items(of: $0) })
            let known = HostSparseMatrix(
                rows: part.count, columns: all.catalogue,
                entries: part.enumerated().flatMap { row, person in
                    data.items(of: person).map { (row: row, column: Int($0), value: 1) }
                })
            let indices = try stream.allocate(rows: part.count, columns: k, .int32)
            let scores = try stream.allocate(rows: part.count, columns: k)
            try stream.topK(
                queries: queries, candidates: encoder.items, exclusions: try stream.wrap(known), indices: indices,
                scores: scores)
            let found = try stream.download(indices, as: Int32.self)
            for (row, person) in part.enumerated() {
                let wanted = all.items(of: person).last!
                if let place = found[row * k..<(row + 1) * k].firstIndex(of: wanted) {
                    gain += 1 / log2OfOnePlus(Double(place - row * k + 1))
                }
            }
        }
        let loss = 1 - gain / Double(people.count)
        history.validationLosses.append(loss)
        let epoch = history.epochs - 1
        if loss < history.best.map({ history.validationLosses[$0] }) ?? .infinity {
            history.best = epoch
            best = try optimizer.parameters.download(stream)
        } else if let patience = options.patience, let best = history.best, epoch - best >= patience {
            history.stoppedEarly = true
        }
    }

    /// What ``resume(_:)`` goes on from.
    func checkpoint() throws -> SequenceCheckpoint {
        SequenceCheckpoint(
            options: options, history: history, position: position, total: try stream.download(total, as: Float.self),
            state: try optimizer.snapshot(stream), best: best, fingerprint: fingerprint)
    }

    private func resume(_ checkpoint: SequenceCheckpoint) throws {
        var same = checkpoint.options
        // Only the end may move.
        same.epochs = options.epochs
        guard same == options else {
            throw DataError("the checkpoint is of another architecture, or was made with other options")
        }
        guard checkpoint.fingerprint == fingerprint else { throw DataError("the checkpoint was made with other data") }
        guard checkpoint.state.values.columns == optimizer.parameters.count else {
            throw DataError("the checkpoint has another number of parameters")
        }
        try optimizer.restore(checkpoint.state, stream)
        try stream.upload(checkpoint.total, to: total)
        history = checkpoint.history
        position = checkpoint.position
        best = checkpoint.best
    }
}
