import Compute
import Core

/// A matrix in 8 bits: every row a step of its own and codes from −127 to 127.
public struct QuantizedTensor: Sendable {
    public let rows: Int
    public let columns: Int
    /// Row after row; 128 stands for 0.
    public let codes: HostBuffer<UInt8>
    /// What one step of each row is.
    public let scales: HostBuffer<Float>

    /// There must be a scale for each row and a code for each element.
    init(rows: Int, columns: Int, codes: HostBuffer<UInt8>, scales: HostBuffer<Float>) {
        precondition(codes.count == rows * columns && scales.count == rows)
        (self.rows, self.columns, self.codes, self.scales) = (rows, columns, codes, scales)
    }

    /// Rounds a matrix; the largest element of a row is 127 steps.
    init(rounding values: HostBuffer<Float>, rows: Int, columns: Int) {
        let codes = HostBuffer<UInt8>(uninitializedCount: rows * columns)
        let scales = HostBuffer<Float>(uninitializedCount: rows)
        for row in 0..<rows {
            let range = row * columns..<(row + 1) * columns
            let largest = range.reduce(Float(0)) { max($0, abs(values[$1])) }
            let scale = largest > 0 ? largest / 127 : 1
            scales[row] = scale
            for place in range {
                let code = min(max((values[place] / scale).rounded(.toNearestOrEven), -127), 127)
                codes[place] = UInt8(Int(code) + 128)
            }
        }
        self.init(rows: rows, columns: columns, codes: codes, scales: scales)
    }

    /// The matrix that the codes stand for.
    var values: HostBuffer<Float> {
        let values = HostBuffer<Float>(uninitializedCount: rows * columns)
        for place in 0..<rows * columns { values[place] = Float(Int(codes[place]) - 128) * scales[place / columns] }
        return values
    }

    /// As ``Compute/Quantize`` lays codes out: rows × ⌈columns / 4⌉ words.
    var words: [Int32] {
        let width = (columns + 3) / 4
        var words = [UInt32](repeating: 0, count: rows * width)
        for row in 0..<rows {
            for column in 0..<columns {
                let code = UInt8(truncatingIfNeeded: Int(codes[row * columns + column]) - 128)
                words[row * width + column / 4] |= UInt32(code) << UInt32(8 * (column % 4))
            }
        }
        return words.map { Int32(bitPattern: $0) }
    }

    /// Bytes of codes and steps.
    var byteCount: Int { codes.count + 4 * rows }
}

/// Which parameters of a network are kept in 8 bits, and the steps that the inputs of its dense layers are rounded to.
public struct QuantizedNetwork: Sendable {
    /// By the name of the parameter: weights of dense layers, a step for each output; tables, a step for each vector.
    public let tensors: [String: QuantizedTensor]
    /// By the name of the dense layer.
    public let inputSteps: [String: Float]

    /// The weights that this network computes with.
    func applied(to weights: NetworkWeights) -> NetworkWeights {
        NetworkWeights(
            weights.descriptions,
            values: zip(weights.descriptions, weights.values).map { tensors[$0.name]?.values ?? $1 })
    }

    /// Bytes that the parameters take.
    func byteCount(_ weights: NetworkWeights) -> Int {
        zip(weights.descriptions, weights.values).reduce(0) { sum, one in
            sum + (tensors[one.0.name]?.byteCount ?? one.1.byteCount)
        }
    }

    /// Adds codes and steps of the tensors under their names behind a prefix.
    func write(to writer: inout SafetensorsWriter, prefix: String, weights: NetworkWeights) {
        for (description, values) in zip(weights.descriptions, weights.values) {
            guard let tensor = tensors[description.name] else {
                writer.add(prefix + description.name, shape: description.shape, values)
                continue
            }
            writer.add("\(prefix)\(description.name).codes", shape: description.shape, tensor.codes)
            writer.add("\(prefix)\(description.name).scales", shape: [tensor.rows], tensor.scales)
        }
    }

    /// Reads what ``write(to:prefix:weights:)`` has written, and the weights that the codes stand for.
    static func read(
        _ descriptions: [ParameterDescription], inputSteps: [String: Float], file: SafetensorsFile, prefix: String
    ) throws -> (QuantizedNetwork, NetworkWeights) {
        var tensors: [String: QuantizedTensor] = [:]
        var values: [HostBuffer<Float>] = []
        for description in descriptions {
            let name = prefix + description.name
            guard file.tensor(name + ".codes") != nil else {
                values.append(try file.floats(name, shape: description.shape))
                continue
            }
            let codes = try file.bytes(name + ".codes")
            guard codes.count == description.count else {
                throw DataError("tensor \(name).codes has \(codes.count) elements, expected \(description.count)")
            }
            let tensor = QuantizedTensor(
                rows: description.rows, columns: description.columns, codes: codes,
                scales: try file.floats(name + ".scales", shape: [description.rows]))
            tensors[description.name] = tensor
            values.append(tensor.values)
        }
        return (
            QuantizedNetwork(tensors: tensors, inputSteps: inputSteps), NetworkWeights(descriptions, values: values)
        )
    }
}

/// A quantized network's dense layers on a device.
final class DeviceQuantization {
    struct Layer {
        let step: Float
        let codes: Matrix
        let scales: Matrix
    }

    private let layers: [String: Layer]

    init(_ network: QuantizedNetwork, stream: Compute.Stream) throws(ComputeError) {
        var layers: [String: Layer] = [:]
        for (name, step) in network.inputSteps {
            guard let tensor = network.tensors["\(name).weight"] else { continue }
            let width = (tensor.columns + 3) / 4
            let codes = try stream.allocate(rows: tensor.rows, columns: width, .int32)
            try stream.upload(tensor.words, to: codes)
            layers[name] = Layer(step: step, codes: codes, scales: try stream.upload(tensor.scales.array))
        }
        self.layers = layers
    }

    subscript(name: String) -> Layer? { layers[name] }
}
