import Compute
import Core

/// Where the sequences of a batch end, as the layer that takes their last steps needs it.
final class SequenceEnds {
    /// batch × 1, int32: the row of each example's last event; −1 where there is none.
    let lastRows: Matrix
    /// (batch · length) × 1, int32: the example whose last event a row is, −1 of all others; nil without training.
    let owners: Matrix?
    /// 1 × 2, int32: one row for each sum.
    let starts: Matrix
    private let length: Int
    private var hostRows: [Int32]
    private var hostOwners: [Int32]

    init(batch: Int, length: Int, training: Bool, stream: Compute.Stream) throws(ComputeError) {
        self.length = length
        lastRows = try stream.allocate(rows: batch, columns: 1, .int32)
        owners = training ? try stream.allocate(rows: batch * length, columns: 1, .int32) : nil
        starts = try stream.upload([0, 1] as [Int32])
        hostRows = [Int32](repeating: -1, count: batch)
        hostOwners = [Int32](repeating: -1, count: training ? batch * length : 0)
    }

    /// Uploads the ends of sequences whose identifiers are below 0 behind the last event.
    func upload(_ ids: [Int32], _ stream: Compute.Stream) throws(ComputeError) {
        for example in hostRows.indices {
            let own = ids[example * length..<(example + 1) * length]
            if !hostOwners.isEmpty, hostRows[example] >= 0 { hostOwners[Int(hostRows[example])] = -1 }
            hostRows[example] = own.lastIndex { $0 >= 0 }.map { Int32($0) } ?? -1
            if !hostOwners.isEmpty, hostRows[example] >= 0 { hostOwners[Int(hostRows[example])] = Int32(example) }
        }
        try stream.upload(hostRows, to: lastRows)
        if let owners { try stream.upload(hostOwners, to: owners) }
    }

    /// Uploads that every sequence is as long as can be.
    func uploadFull(_ stream: Compute.Stream) throws(ComputeError) {
        try upload([Int32](repeating: 0, count: hostRows.count * length), stream)
    }
}

extension LayerCompiler {
    /// The rows of the last events: what comes behind them has no part in the output, nor in the gradient.
    func lastStep(_ layer: ResolvedLayer, _ input: LayerFlow) throws(ComputeError) -> LayerFlow {
        let output = try flow(layer.output)
        let own: SequenceEnds
        if let ends {
            own = ends
        } else {
            own = try SequenceEnds(batch: batch, length: input.shape.rows, training: training, stream: stream)
            try own.uploadFull(stream)
        }
        add(
            forward: { stream throws(ComputeError) in
                try stream.gatherBags(input.value, ids: own.lastRows, starts: own.starts, into: output.value)
            },
            backward: { stream throws(ComputeError) in
                guard let gradient = output.gradient, let inputGradient = input.gradient, let owners = own.owners
                else { return }
                try stream.gatherBags(gradient, ids: owners, starts: own.starts, into: inputGradient)
            })
        // One row for each example from here on.
        (padding, ends) = (nil, nil)
        return output
    }
}
