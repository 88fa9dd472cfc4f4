import Compute
import Core

/// What a network makes of sequences: for each its state behind the last item, with which items are compared.
final class SequenceEncoder {
    private let stream: Compute.Stream
    private let network: ResolvedNetwork
    private let parameters: DeviceParameters
    private let inputs: Matrix
    private let last: Matrix
    private let states: Matrix
    /// (batch · length) × factors: the states behind every item.
    let allStates: Matrix
    private let plan: Plan
    /// The attention probabilities of the blocks: (batch · heads · length) × length.
    let attentions: [Matrix]
    /// Sequences that are read at once.
    let batch: Int

    init(
        _ network: ResolvedNetwork, parameters: DeviceParameters, batch: Int = 64, stream: Compute.Stream
    ) throws(ComputeError) {
        self.stream = stream
        self.network = network
        self.parameters = parameters
        self.batch = batch
        let rows = batch * network.input.rows
        inputs = try stream.allocate(rows: 1, columns: rows, .int32)
        last = try stream.allocate(rows: 1, columns: batch, .int32)
        states = try stream.allocate(rows: batch, columns: network.output.columns)
        let compiler = LayerCompiler(
            stream: stream, parameters: parameters, batch: batch, training: false, seed: 0,
            step: try stream.upload([0] as [Int32]))
        let embedded = try compiler.flow(network.input)
        let output = try compiler.compile(network.layers, embedded)
        attentions = compiler.attentions
        allStates = output.value
        let (inputs, last, states) = (inputs, last, states)
        plan = try stream.record { stream throws(ComputeError) in
            try stream.gather(parameters.value("items.weight"), rows: inputs, into: embedded.value)
            try compiler.runForward(stream)
            try stream.gather(output.value, rows: last, into: states)
        }
    }

    /// items × factors
    var items: Matrix { parameters.value("items.weight") }

    /// Enqueues reading up to `batch` sequences; of long ones the latest items. An empty one gives the state of
    /// whatever stands first in the table.
    ///
    /// - Returns: sequences × factors, valid until the next call.
    func encode(_ sequences: [ArraySlice<Int32>]) throws(ComputeError) -> Matrix {
        let length = network.input.rows
        var inputs = [Int32](repeating: 0, count: batch * length)
        var last = [Int32](repeating: 0, count: batch)
        for (number, sequence) in sequences.enumerated() {
            let read = sequence.suffix(length)
            for (position, item) in read.enumerated() { inputs[number * length + position] = item }
            last[number] = Int32(number * length + max(read.count - 1, 0))
        }
        try stream.upload(inputs, to: self.inputs)
        try stream.upload(last, to: self.last)
        try stream.replay(plan)
        return states.rows(0..<sequences.count)
    }
}
