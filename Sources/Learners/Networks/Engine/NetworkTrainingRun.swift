import Compute
import Core

/// One training: the device's buffers and the place in the data.
final class NetworkTrainingRun {
    let optimizer: OptimizerState
    private(set) var history = NetworkHistory()
    private let network: ResolvedNetwork
    private let objective: NetworkObjective
    private let options: NetworkTrainingOptions
    private let data: any NetworkDataParts
    private let validation: NetworkData?
    private let stream: Compute.Stream
    /// The rows of the present part; batches read here, wherever the part came from.
    private let features: Matrix
    private var present: (index: Int, data: NetworkData)?
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
    private let fusing: Bool
    private var fused: FusedPerceptron?
    /// Of the data.
    private lazy var fingerprint = data.fingerprint

    init(
        network: ResolvedNetwork, objective: NetworkObjective, options: NetworkTrainingOptions, start: NetworkWeights,
        mask: NetworkWeights?, data: any NetworkDataParts, validation: NetworkData?, stream: Compute.Stream
    ) throws {
        self.network = network
        self.objective = objective
        self.options = options
        self.data = data
        self.validation = validation
        self.stream = stream
        if data.partRows.count == 1 {
            let whole = try data.part(0)
            try whole.validate(network, objective)
            present = (0, whole)
            features = try whole.deviceFeatures(stream)
        } else {
            features = try stream.allocate(rows: data.partRows.max()!, columns: data.columns)
        }
        validationFeatures = try validation.map { v throws(ComputeError) in
            guard let most = stream.device.limits.rowsAtOnce(columns: v.features.columns), v.rows > most else {
                return try v.deviceFeatures(stream)
            }
            return try stream.allocate(rows: most, columns: v.features.columns)
        }
        let parameters = try DeviceParameters(start, training: true, stream: stream)
        let optimizer = try OptimizerState(parameters, options: options, mask: mask, stream: stream)
        self.optimizer = optimizer
        total = try stream.upload([0, 0] as [Float])
        step = try stream.upload([0] as [Int32])
        usesDropout = network.layers.contains(where: \.usesDropout)
        fusing = mask == nil
        stepPlan =
            options.accumulate > 1
            ? try stream.record { stream throws(ComputeError) in try optimizer.step(stream) } : nil
        if let present { try fuse(present.data) }
    }

    /// Batches of an epoch, the last of which, in each part, may be smaller.
    var batchesPerEpoch: Int {
        data.partRows.reduce(0) { $0 + ($1 + options.batchSize - 1) / options.batchSize }
    }

    var isDone: Bool { history.epochs >= options.epochs || history.stoppedEarly }

    /// Makes a part the present one: its rows go where the batches read.
    private func load(_ index: Int) throws -> NetworkData {
        if let present, present.index == index { return present.data }
        present = nil
        let part = try data.part(index)
        try part.validate(network, objective)
        if part.features.columns > 0 {
            try stream.upload(part.features, to: features.rows(0..<part.rows))
        }
        try fuse(part)
        present = (index, part)
        return part
    }

    private func fuse(_ part: NetworkData) throws(ComputeError) {
        fused = nil
        guard fusing else { return }
        fused = try FusedPerceptron(
            network, objective: objective, options: options, optimizer: optimizer,
            features: features.rows(0..<part.rows), data: part, total: total, stream: stream)
    }

    /// Runs what is left of the present epoch. `proceed` is asked some times a second, with the batches done; false
    /// stops, and the epoch is then not over.
    func runEpoch(_ proceed: (Int) -> Bool) throws -> Bool {
        let order = EpochOrder(data.partRows, epoch: history.epochs, options: options)
        var clock = Clock()
        if position == 0 { try stream.upload([0, 0] as [Float], to: total) }
        while position < batchesPerEpoch {
            let place = order.place(ofBatch: position)
            let part = try load(order.parts[place])
            let rows = order.rows(ofPart: order.parts[place], count: part.rows)
            guard try run(part, rows, order.starts[place]..<order.starts[place + 1], &clock, proceed) else {
                return false
            }
        }
        let sums = try stream.download(total, as: Float.self)
        history.losses.append((Double(sums[0]) + Double(sums[1])) / data.totalWeight)
        history.seconds.append(monotonicSeconds() - clock.began)
        position = 0
        if let validation, let validationFeatures { try validate(validation, validationFeatures) }
        return true
    }

    /// When an epoch began, and when somebody was last asked whether to go on.
    private struct Clock {
        let began = monotonicSeconds()
        var asked = monotonicSeconds()

        /// Whether it is time to ask again.
        mutating func isDue() -> Bool {
            let now = monotonicSeconds()
            guard now - asked > 0.2 else { return false }
            asked = now
            return true
        }
    }

    /// Runs what is left of a part, whose batches have the numbers `batches` in the epoch.
    private func run(
        _ part: NetworkData, _ order: [Int32], _ batches: Range<Int>, _ clock: inout Clock, _ proceed: (Int) -> Bool
    ) throws -> Bool {
        let epoch = history.epochs
        let steps = (batchesPerEpoch + options.accumulate - 1) / options.accumulate
        if let fused { try fused.begin(order: order, stream) }
        while let fused, position < batches.upperBound {
            let group = position..<min(position + FusedPerceptron.batchesAtOnce, batches.upperBound)
            let rates = group.indices.map {
                options.rate(step: optimizer.steps + $0 - group.lowerBound, epoch: epoch, stepsPerEpoch: steps)
            }
            let own = group.lowerBound - batches.lowerBound..<group.upperBound - batches.lowerBound
            try fused.run(own, rates: rates, stream)
            position = group.upperBound
            if position < batchesPerEpoch, clock.isDue(), !proceed(position) { return false }
        }
        while position < batches.upperBound {
            let first = (position - batches.lowerBound) * options.batchSize
            let rows = order[first..<min(first + options.batchSize, part.rows)]
            let program = try program(rows: rows.count)
            let endsStep = (position + 1) % options.accumulate == 0 || position + 1 == batchesPerEpoch
            if usesDropout {
                try stream.upload([Int32(truncatingIfNeeded: epoch * batchesPerEpoch + position)], to: step)
            }
            if endsStep {
                let rate = options.rate(step: optimizer.steps, epoch: epoch, stepsPerEpoch: steps)
                try optimizer.prepareStep(rate: rate, stream)
            }
            try program.run(rows, of: part, stream)
            if endsStep, let stepPlan {
                try optimizer.stepAccumulatedTables(stream)
                try stream.replay(stepPlan)
            }
            position += 1
            // Between two steps, so that a stop leaves no gradient half gathered.
            if endsStep, position < batchesPerEpoch, position % 16 == 0 || monotonicSeconds() - clock.began > 1,
                clock.isDue(), !proceed(position)
            {
                return false
            }
        }
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
        // Fewer of pictures, whose windows take memory.
        let size = min(features.rows, max(options.batchSize, network.input.rows > 1 ? 128 : 1024))
        for first in stride(from: 0, to: data.rows, by: features.rows) {
            var part = data
            // What the device does not hold as a whole comes in pieces.
            if features.rows < data.rows {
                part = data.selecting(rows: Array(first..<min(first + features.rows, data.rows)))
                try stream.upload(part.features, to: features.rows(0..<part.rows))
            }
            let all = (0..<Int32(part.rows)).map { $0 }
            for row in stride(from: 0, to: part.rows, by: size) {
                let count = min(size, part.rows - row)
                if validationPrograms[count] == nil {
                    validationPrograms[count] = try BatchProgram(
                        network, objective: objective, rows: count, features: features,
                        weighted: data.weights != nil, parameters: optimizer.parameters, optimizer: nil, smoothing: 0,
                        seed: options.seed, step: step, total: total, stream: stream)
                }
                try validationPrograms[count]!.run(all[row..<row + count], of: part, stream)
            }
        }
        let sums = try stream.download(total, as: Float.self)
        return (Double(sums[0]) + Double(sums[1])) / data.totalWeight
    }

    private func program(rows: Int) throws(ComputeError) -> BatchProgram {
        if let present = programs[rows] { return present }
        // Every part may end with a batch of a size of its own, and a program takes the memory of all its values.
        programs = programs.filter { $0.key == options.batchSize }
        let made = try BatchProgram(
            network, objective: objective, rows: rows, features: features, weighted: data.isWeighted,
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
