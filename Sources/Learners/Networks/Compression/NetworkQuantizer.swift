import Compute
import Core

/// Rounds a trained network to 8 bits: weights by rows, the inputs of dense layers by steps found on rows of data.
public struct NetworkQuantizer {
    /// Elements of a layer's input that its step is chosen by.
    private static let sample = 1 << 17
    /// Rows at a time.
    private static let batch = 1024

    /// - Parameters:
    ///   - features: rows such as the network will see; some thousand are enough.
    ///   - identifiers: as many, where the network reads any.
    /// - Complexity: a forward pass, and a sort of the sample of each layer.
    public static func quantize(
        _ architecture: NetworkArchitecture, weights: NetworkWeights, features: HostMatrix,
        identifiers: IdentifierRows? = nil, stream: Compute.Stream
    ) throws -> QuantizedNetwork {
        let network = try architecture.resolved()
        try network.validate(identifiers, rows: features.rows)
        guard features.rows > 0 else { throw DataError("there are no rows to calibrate the 8-bit network on") }
        var tensors: [String: QuantizedTensor] = [:]
        for (description, values) in zip(weights.descriptions, weights.values)
        where description.shape.count > 1 && description.role != .statistic {
            tensors[description.name] = QuantizedTensor(
                rounding: values, rows: description.rows, columns: description.columns)
        }
        var samples: [String: [Float]] = [:]
        let runner = try NetworkRunner(architecture, weights: weights, stream: stream, observesInputs: true)
        let per = max(Self.sample * Self.batch / features.rows, 1)
        try runner.run(features, identifiers: identifiers) { inputs in
            for (name, values) in inputs {
                let stride = max(values.count / per, 1)
                for place in Swift.stride(from: 0, to: values.count, by: stride) {
                    samples[name, default: []].append(abs(values[place]))
                }
            }
        }
        return QuantizedNetwork(tensors: tensors, inputSteps: samples.compactMapValues(step))
    }

    /// The largest mean square of what rounding takes away, relative to that of the inputs. Features with a few values far
    /// from the others (balances, counts) miss it: their layer keeps float32 inputs, and codes for its weights alone.
    private static let tolerance = 1e-3

    /// The step with the smallest mean squared error of rounding and cutting off, of those that reach from 3/10 of the
    /// largest magnitude to all of it.
    /// nil when even that loses too much.
    private static func step(_ magnitudes: [Float]) -> Float? {
        let largest = magnitudes.max() ?? 0
        guard largest > 0, largest.isFinite else { return nil }
        var best = (error: Double.infinity, step: largest / 127)
        for tenth in stride(from: Float(0.3), through: 1.0001, by: 0.05) {
            let step = largest * min(tenth, 1) / 127
            var error = 0.0
            for value in magnitudes {
                let rounded = min((value / step).rounded(.toNearestOrEven), 127) * step
                error += Double((value - rounded) * (value - rounded))
            }
            if error < best.error { best = (error, step) }
        }
        let power = magnitudes.reduce(0.0) { $0 + Double($1) * Double($1) }
        return best.error <= tolerance * power ? best.step : nil
    }
}
