import Compute
import Core

/// One training: the device's buffers and the place in the data.
final class NetworkTrainingRun {
    let optimizer: OptimizerState
    private(set) var history = NetworkHistory()
    private let network: ResolvedNetwork
    private let objective: NetworkObjective
    private let options: NetworkTrainingOptions
    private let data: NetworkData
    private let validation: NetworkData?
    private let stream: Compute.Stream
    private let features: Matrix
    private let validationFeatures: Matrix?
    private let total: Matrix
    private let step: Matrix
    private var programs: [Int: BatchProgram] = [:]
    private var validationPrograms: [Int: BatchProgram] = [:]
    private let stepPlan: Plan?
    /// Batches of the present epoch that are done.
    private var position = 0
    private var best: NetworkWeights?
    private let usesDropout: Bool
    private let fused: FusedPerceptron?
    /// Of the data.
    private lazy var fingerprint = data.fingerprint

    init(
        network: ResolvedNetwork, objective: NetworkObjective, options: NetworkTrainingOptions, start: NetworkWeights,
        mask: NetworkWeights?, data: NetworkData, validation: NetworkData?, stream: Compute.Stream
    ) throws(ComputeError) {
        self.network = network
        self.objective = objective
        self.options = options
        self.data = data
        self.validation = validation
        self.stream = stream
        features = try data.deviceFeatures(stream)
        validationFeatures = try validation.map { v throws(ComputeError) in try v.deviceFeatures(stream) }
        let parameters = try DeviceParameters(start, training: true, stream: stream)
        let optimizer = try OptimizerState(parameters, options: options, mask: mask, stream: stream)
        self.optimizer = optimizer
        total = try stream.upload([0, 0] as [Float])
        step = try stream.upload([0] as [Int32])
        usesDropout = network.layers.contains(where: \.usesDropout)
        fused =
            mask != nil
            ? nil
            : try FusedPerceptron(
                network, objective: objective, options: options, optimizer: optimizer, features: features, data: data,
                total: total, stream: stream)
        stepPlan =
            options.accumulate > 1
            ? try stream.record { stream throws(ComputeError) in try optimizer.step(stream) } : nil
    }

    /// Batches of an epoch, the last of which may be smaller.
    var batchesPerEpoch: Int { (data.rows + options.batchSize - 1) / options.batchSize }

    var isDone: Bool { history.epochs >= options.epochs || history.stoppedEarly }

    /// The rows in the order of an epoch: the same on every device.
    private func order(epoch: Int) -> [Int32] {
        if !options.shuffles { return (0..<Int32(data.rows)).map { $0 } }
        return Philox(seed: options.seed, stream: NetworkRandom.shuffle + UInt64(epoch)).permutation(count: data.rows)
            .map { Int32($0) }
    }

    /// Runs what is left of the present epoch. `proceed` is asked some times a second, with the batches done; false
    /// stops, and the epoch is then not over.
    func runEpoch(_ proceed: (Int) -> Bool) throws -> Bool {
        let epoch = history.epochs
        let order = order(epoch: epoch)
        let began = monotonicSeconds()
        var asked = began
        if position == 0 { try stream.upload([0, 0] as [Float], to: total) }
        let steps = (batchesPerEpoch + options.accumulate - 1) / options.accumulate
        if let fused { try fused.begin(order: order, stream) }
        while let fused, position < batchesPerEpoch {
            let batches = position..<min(position + FusedPerceptron.batchesAtOnce, batchesPerEpoch)
            let rates = batches.indices.map {
                options.rate(step: optimizer.steps + $0 - batches.lowerBound, epoch: epoch, stepsPerEpoch: steps)
            }
            try fused.run(batches, rates: rates, stream)
            position = batches.upperBound
            if position < batchesPerEpoch, monotonicSeconds() - asked > 0.2 {
                asked = monotonicSeconds()
                if !proceed(position) { return false }
            }
        }
        while position < batchesPerEpoch {
            let rows = order[position * options.batchSize..<min((position + 1) * options.batchSize, data.rows)]
            let program = try program(rows: rows.count)
            let endsStep = (position + 1) % options.accumulate == 0 || position + 1 == batchesPerEpoch
            if usesDropout {
                try stream.upload([Int32(truncatingIfNeeded: epoch * batchesPerEpoch + position)], to: step)
            }
            if endsStep {
                let rate = options.rate(step: optimizer.steps, epoch: epoch, stepsPerEpoch: steps)
                try optimizer.prepareStep(rate: rate, stream)
            }
            try program.run(rows, of: data, stream)
            if endsStep, let stepPlan { try stream.replay(stepPlan) }
            position += 1
            // Between two steps, so that a stop leaves no gradient half gathered.
            if endsStep, position < batchesPerEpoch, position % 16 == 0 || monotonicSeconds() - began > 1 {
                let now = monotonicSeconds()
                if now - asked > 0.2 {
                    asked = now
                    if !proceed(position) { return false }
                }
            }
        }
        let sums = try stream.download(total, as: Float.self)
        let weight = data.weights.map { $0.reduce(0.0) { $0 + Double($1) } } ?? Double(data.rows)
        history.losses.append((Double(sums[0]) + Double(sums[1])) / weight)
        history.seconds.append(monotonicSeconds() - began)
        position = 0
        if let validation, let validationFeatures { try validate(validation, validationFeatures) }
        return true
    }

    private func validate(_ data: NetworkData, _ features: Matrix) throws {
        let loss = try meanLoss(data, features)
        history.validationLosses.append(loss)
        let lowest = history.best.map { history.validationLosses[$0] } ?? .infinity
        let epoch = history.epochs - 1
        if loss < lowest - options.minimumImprovement * abs(lowest.isFinite ? lowest : 0) {
            history.best = epoch
            if options.patience != nil { best = try optimizer.parameters.download(stream) }
        } else if let patience = options.patience, let best = history.best, epoch - best >= patience {
            history.stoppedEarly = true
        }
    }

    /// The mean loss of data, without dropout.
    private func meanLoss(_ data: NetworkData, _ features: Matrix) throws -> Double {
        try stream.upload([0, 0] as [Float], to: total)
        let size = min(data.rows, max(options.batchSize, 1024))
        var row = 0
        let all = (0..<Int32(data.rows)).map { $0 }
        while row < data.rows {
            let count = min(size, data.rows - row)
            if validationPrograms[count] == nil {
                validationPrograms[count] = try BatchProgram(
                    network, objective: objective, rows: count, features: features, weighted: data.weights != nil,
                    parameters: optimizer.parameters, optimizer: nil, smoothing: 0, seed: options.seed, step: step,
                    total: total, stream: stream)
            }
            try validationPrograms[count]!.run(all[row..<row + count], of: data, stream)
            row += count
        }
        let sums = try stream.download(total, as: Float.self)
        let weight = data.weights.map { $0.reduce(0.0) { $0 + Double($1) } } ?? Double(data.rows)
        return (Double(sums[0]) + Double(sums[1])) / weight
    }

    private func program(rows: Int) throws(ComputeError) -> BatchProgram {
        if let present = programs[rows] { return present }
        let made = try BatchProgram(
            network, objective: objective, rows: rows, features: features, weighted: data.weights != nil,
            parameters: optimizer.parameters, optimizer: optimizer, smoothing: options.labelSmoothing,
            seed: options.seed, step: step, total: total, stream: stream)
        programs[rows] = made
        return made
    }

    /// The weights of the best epoch when the training watches for it, else of the last.
    func finalWeights() throws(ComputeError) -> NetworkWeights {
        if let best { return best }
        return try optimizer.parameters.download(stream)
    }

    // MARK: Checkpoints

    func checkpoint(architecture: NetworkArchitecture) throws -> NetworkCheckpoint {
        NetworkCheckpoint(
            request: [:], architecture: architecture, objective: objective, options: options, history: history,
            position: position, total: try stream.download(total, as: Float.self),
            state: try optimizer.snapshot(stream), best: best, fingerprint: fingerprint)
    }

    func resume(_ checkpoint: NetworkCheckpoint, architecture: NetworkArchitecture) throws {
        guard checkpoint.architecture == architecture, checkpoint.objective == objective else {
            throw DataError("the checkpoint is of another architecture: its layers are not those asked for")
        }
        var same = checkpoint.options
        // Only the end may move.
        same.epochs = options.epochs
        guard same == options else { throw DataError("the checkpoint was made with other options") }
        guard checkpoint.fingerprint == fingerprint else {
            throw DataError("the checkpoint was made with other data")
        }
        try optimizer.restore(checkpoint.state, stream)
        try stream.upload(checkpoint.total, to: total)
        history = checkpoint.history
        position = checkpoint.position
        best = checkpoint.best
    }
}

extension ResolvedLayer {
    var usesDropout: Bool {
        if case .dropout(let probability) = specification, probability > 0 { return true }
        if case .sequence(let layer) = specification { return layer.usesDropout }
        return inner.contains(where: \.usesDropout)
    }
}

extension NetworkData {
    /// A number that changes with the data.
    var fingerprint: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ word: UInt32) { hash = (hash ^ UInt64(word)) &* 0x100_0000_01b3 }
        mix(UInt32(truncatingIfNeeded: features.rows))
        mix(UInt32(truncatingIfNeeded: features.columns))
        for value in features.storage.elements { mix(value.bitPattern) }
        for value in identifiers?.values ?? [] { mix(UInt32(bitPattern: value)) }
        for value in targets { mix(value.bitPattern) }
        for value in labels { mix(UInt32(bitPattern: value)) }
        for value in weights ?? [] { mix(value.bitPattern) }
        return String(hash, radix: 16)
    }
}
