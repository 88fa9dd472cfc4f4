import Compute
import Core

/// A network compiled for one number of rows: its buffers, and the plans that are replayed for every batch of that size.
final class BatchProgram {
    let rows: Int
    /// 1 × rows, int32: the rows of the data that make the batch.
    private let indices: Matrix
    private let head: LossHead
    private let plan: Plan
    private let objective: NetworkObjective
    private let identifiers: [IdentifierBatch]
    private let updates: [TableUpdate]
    private let optimizer: OptimizerState?
    let output: LayerFlow

    /// - Parameters:
    ///   - features: all rows of the data, on the device.
    ///   - optimizer: nil for a program that takes no step.
    ///   - backward: whether gradients are computed although no step is taken.
    ///   - total: 1 × 2, to which the losses are added.
    init(
        _ network: ResolvedNetwork, objective: NetworkObjective, rows: Int, features: Matrix, weighted: Bool,
        parameters: DeviceParameters, optimizer: OptimizerState?, backward: Bool = false, smoothing: Float,
        seed: UInt64, step: Matrix,
        total: Matrix, stream: Compute.Stream
    ) throws(ComputeError) {
        self.rows = rows
        self.objective = objective
        let indices = try stream.allocate(rows: 1, columns: rows, .int32)
        self.indices = indices
        let compiler = LayerCompiler(
            stream: stream, parameters: parameters, batch: rows, training: optimizer != nil || backward,
            dropsOut: optimizer != nil, seed: seed,
            step: step)
        if let optimizer {
            compiler.precision = optimizer.options.precision
            compiler.accumulates = optimizer.options.accumulate > 1
        }
        let gathered = try stream.allocate(rows: rows, columns: features.columns)
        // The data need no gradient.
        let input = LayerFlow(
            value: gathered.window(rows: rows * network.input.rows, columns: network.input.columns), gradient: nil,
            shape: network.input)
        let output = try compiler.compile(network.layers, input)
        let head = try LossHead(
            objective, output: output.flattened(batch: rows), weighted: weighted, smoothing: smoothing,
            scale: 1 / Float(rows), stream: stream)
        self.output = output
        self.head = head
        identifiers = compiler.identifiers
        updates = compiler.updates
        self.optimizer = optimizer
        plan = try stream.record { stream throws(ComputeError) in
            if features.columns > 0 { try stream.gather(features, rows: indices, into: gathered) }
            try compiler.runForward(stream)
            try head.run(stream)
            try stream.addToTotal(head.losses, total)
            if optimizer != nil || backward { try compiler.runBackward(stream) }
            guard let optimizer else {
                if backward {
                    for update in compiler.updates { try update.run(.add, controls: nil, stream) }
                }
                return
            }
            try optimizer.step(compiler.updates, stream)
            if optimizer.accumulated == nil {
                try optimizer.step(stream)
            } else {
                try optimizer.accumulate(stream)
            }
        }
    }

    /// Uploads what a batch is and enqueues its work.
    func run(_ batch: ArraySlice<Int32>, of data: NetworkData, _ stream: Compute.Stream) throws(ComputeError) {
        try stream.upload(Array(batch), to: indices)
        if let all = data.identifiers {
            for part in identifiers { try part.upload(batch, of: all, stream) }
            for update in updates { try update.upload(stream) }
        }
        if let labels = head.labels { try stream.upload(batch.map { data.labels[Int($0)] }, to: labels) }
        if let targets = head.targets {
            let columns = targets.columns
            let values =
                columns == 1
                ? batch.map { data.targets[Int($0)] }
                : batch.flatMap { data.targets[Int($0) * columns..<(Int($0) + 1) * columns] }
            try stream.upload(values, to: targets)
        }
        if let weights = head.weights, let all = data.weights {
            try stream.upload(batch.map { all[Int($0)] }, to: weights)
        }
        try stream.replay(plan)
        try optimizer?.accumulate(updates, stream)
    }
}

extension LayerFlow {
    /// One row for each example.
    func flattened(batch: Int) -> LayerFlow {
        guard shape.rows > 1 else { return self }
        let columns = shape.rows * shape.columns
        return LayerFlow(
            value: value.window(rows: batch, columns: columns),
            gradient: gradient?.window(rows: batch, columns: columns), shape: LayerShape(columns: columns))
    }
}
