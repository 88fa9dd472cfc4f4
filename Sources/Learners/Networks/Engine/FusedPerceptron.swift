import Compute
import Core

/// A small multilayer perceptron on a device that trains it in one operation, many batches at a time.
final class FusedPerceptron {
    private let layers: [PerceptronLayer]
    private let optimizer: OptimizerState
    private let options: NetworkTrainingOptions
    private let features: Matrix
    private let loss: PerceptronLoss
    private let weights: Matrix?
    /// 1 × all rows, int32.
    private let order: Matrix
    /// ``batchesAtOnce`` × 4
    private let controls: Matrix
    private let total: Matrix
    private let rows: Int

    /// Batches of one call: some milliseconds.
    static let batchesAtOnce = 256
    /// Beyond so many parameters, or multiply-adds of a batch, several cores and the large products of BLAS are faster.
    private static let mostParameters = 1 << 15
    private static let mostWork = 1 << 21

    /// nil where the network, its options or the device don't allow it.
    init?(
        _ network: ResolvedNetwork, objective: NetworkObjective, options: NetworkTrainingOptions,
        optimizer: OptimizerState, features: Matrix, data: NetworkData, total: Matrix, stream: Compute.Stream
    ) throws(ComputeError) {
        guard stream.device.fusedOperations.contains(.perceptronSteps),
            stream.device.unsupportedOperations[.perceptronSteps] == nil, network.input.rows == 1,
            network.identifiers == 0,
            options.clipNorm == nil, options.bfloat16 != true, options.accumulate == 1,
            network.parameterCount <= Self.mostParameters,
            network.parameterCount * options.batchSize <= Self.mostWork
        else { return nil }
        var layers: [PerceptronLayer] = []
        var index = 0
        while index < network.layers.count {
            let layer = network.layers[index]
            guard case .dense(_, bias: true) = layer.specification else { return nil }
            var activation = Activation.identity
            if index + 1 < network.layers.count, case .activation(let name) = network.layers[index + 1].specification {
                guard let fused = name.fused else { return nil }
                activation = fused
                index += 1
            }
            layers.append(
                PerceptronLayer(
                    weight: optimizer.parameters.value("\(layer.name).weight"),
                    bias: optimizer.parameters.value("\(layer.name).bias"), activation: activation))
            index += 1
        }
        guard layers.count <= PerceptronSteps.mostLayers else { return nil }
        if case .retrieval = objective { return nil }
        self.layers = layers
        self.optimizer = optimizer
        self.options = options
        self.features = features
        self.total = total
        rows = data.rows
        switch objective {
        case .classes: loss = .classes(labels: try stream.upload(data.labels), smoothing: options.labelSmoothing)
        case .binary, .squared, .huber, .retrieval:
            let function: ElementLossFunction =
                switch objective {
                case .binary: .logistic
                case .huber(let delta): .huber(delta: delta)
                default: .squared
                }
            let targets = try stream.upload(data.targets)
            loss = .element(
                function, targets: targets.window(rows: data.rows, columns: data.targets.count / data.rows))
        }
        weights = try data.weights.map { w throws(ComputeError) in try stream.upload(w) }
        order = try stream.allocate(rows: 1, columns: data.rows, .int32)
        controls = try stream.allocate(rows: Self.batchesAtOnce, columns: 4)
    }

    /// Makes the order of an epoch known.
    func begin(order: [Int32], _ stream: Compute.Stream) throws(ComputeError) {
        try stream.upload(order, to: self.order)
    }

    /// Trains on the batches of a range, of at most ``batchesAtOnce``.
    func run(
        _ batches: Range<Int>, rates: [Double], _ stream: Compute.Stream
    ) throws(ComputeError) {
        let all = rates.enumerated().flatMap { optimizer.controls(rate: $1, step: optimizer.steps + $0 + 1) }
        let part = controls.rows(0..<batches.count)
        try stream.upload(all, to: part)
        let range = batches.lowerBound * options.batchSize..<min(batches.upperBound * options.batchSize, rows)
        try stream.perceptronSteps(
            layers, method: options.method, parameters: optimizer.parameters.values, first: optimizer.first,
            second: optimizer.second, l1: options.l1, l2: options.l2,
            decay: options.optimizer == .adamw ? options.weightDecay : 0, features: features, loss: loss,
            weights: weights, order: order.columns(range), batch: options.batchSize, controls: part, total: total)
        optimizer.count(steps: batches.count)
    }
}
