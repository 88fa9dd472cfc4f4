import Compute
import Core

/// A network ready to predict on a device.
public final class NetworkRunner {
    private let stream: Compute.Stream
    private let network: ResolvedNetwork
    private let parameters: DeviceParameters
    private let step: Matrix
    private let quantization: DeviceQuantization?
    private let observesInputs: Bool
    private var programs: [Int: Program] = [:]

    private struct Program {
        let input: Matrix
        let identifiers: [IdentifierBatch]
        let output: LayerFlow
        let plan: Plan
        /// Inputs of the products, where they are observed.
        let inputs: [(layer: String, input: Matrix)]
    }

    /// Rows that are predicted at once: fewer of pictures, whose windows take memory.
    private var batch: Int { network.input.rows > 1 ? 128 : 1024 }

    /// Throws ``ParameterError`` when the architecture does not fit together, ``ComputeError`` when the device fails.
    ///
    /// - Parameter quantized: makes the products of its layers in 8 bits.
    public convenience init(
        _ architecture: NetworkArchitecture, weights: NetworkWeights, quantized: QuantizedNetwork? = nil,
        stream: Compute.Stream
    ) throws {
        try self.init(
            architecture, weights: weights, quantized: quantized, stream: stream, observesInputs: false)
    }

    init(
        _ architecture: NetworkArchitecture, weights: NetworkWeights, quantized: QuantizedNetwork? = nil,
        stream: Compute.Stream, observesInputs: Bool
    ) throws {
        network = try architecture.resolved()
        self.stream = stream
        self.observesInputs = observesInputs
        quantization = try quantized.map { network throws(ComputeError) in
            try DeviceQuantization(network, stream: stream)
        }
        parameters = try DeviceParameters(weights, training: false, stream: stream)
        step = try stream.upload([0] as [Int32])
    }

    /// What the last layer gives for every row of `features`: rows × outputs.
    ///
    /// - Parameter identifiers: as many rows, where the network reads any.
    public func outputs(_ features: HostMatrix, identifiers: IdentifierRows? = nil) throws -> HostMatrix {
        let columns = network.output.rows * network.output.columns
        let result = HostMatrix(rows: features.rows, columns: columns)
        try forEachBatch(features, identifiers) { row, program in
            let part = try stream.download(program.output.flattened(batch: program.input.rows).value)
            (result.storage.baseAddress + row * columns).update(
                from: part.storage.baseAddress, count: part.rows * columns)
        }
        return result
    }

    /// Runs the network, and hands out the inputs of its products, batch by batch.
    func run(
        _ features: HostMatrix, identifiers: IdentifierRows?,
        _ observe: ([(layer: String, values: HostBuffer<Float>)]) -> Void
    ) throws {
        try forEachBatch(features, identifiers) { _, program in
            var inputs: [(layer: String, values: HostBuffer<Float>)] = []
            for (layer, input) in program.inputs { inputs.append((layer, try stream.download(input).storage)) }
            observe(inputs)
        }
    }

    private func forEachBatch(
        _ features: HostMatrix, _ identifiers: IdentifierRows?, _ body: (Int, Program) throws -> Void
    ) throws {
        try network.validate(identifiers, rows: features.rows)
        guard features.columns == network.input.rows * network.input.columns else {
            throw DataError(
                "the rows have \(features.columns) columns, the first layer of the network expects \(network.input)")
        }
        let table = features.columns > 0 ? try stream.wrap(features) : nil
        var row = 0
        while row < features.rows {
            let count = min(batch, features.rows - row)
            let program = try program(rows: count)
            if let table { try stream.copy(table.rows(row..<row + count), to: program.input) }
            if let identifiers {
                let rows = (Int32(row)..<Int32(row + count)).map { $0 }
                for part in program.identifiers { try part.upload(rows[...], of: identifiers, stream) }
            }
            try stream.replay(program.plan)
            try body(row, program)
            row += count
        }
    }

    private func program(rows: Int) throws(ComputeError) -> Program {
        if let present = programs[rows] { return present }
        let compiler = LayerCompiler(
            stream: stream, parameters: parameters, batch: rows, training: false, seed: 0, step: step)
        compiler.quantized = quantization
        let input = try stream.allocate(rows: rows, columns: network.input.rows * network.input.columns)
        let output = try compiler.compile(
            network.layers,
            LayerFlow(
                value: input.window(rows: rows * network.input.rows, columns: network.input.columns), gradient: nil,
                shape: network.input))
        let plan = try stream.record { stream throws(ComputeError) in try compiler.runForward(stream) }
        let program = Program(
            input: input, identifiers: compiler.identifiers, output: output, plan: plan,
            inputs: observesInputs ? compiler.productInputs : [])
        programs[rows] = program
        return program
    }
}
