import Compute
import Core

/// A parameter of a network: a matrix, or a vector.
public struct ParameterDescription: Codable, Sendable, Equatable {
    /// What it starts from.
    public enum Start: Codable, Sendable, Equatable {
        /// Uniform on ±√(6 / (inputs + outputs)) (Glorot and Bengio 2010).
        case glorot(inputs: Int, outputs: Int)
        /// Normal with a standard deviation.
        case normal(deviation: Float)
        /// Uniform on ±bound.
        case uniform(bound: Float)
        case constant(Float)
    }

    /// How it changes while training.
    public enum Role: Codable, Sendable, Equatable {
        /// By the gradient, all of it in every step.
        case trained
        /// A table of a layer, of which a step changes the rows that its batch names.
        case table(layer: String)
        /// By the values that pass through, not by a gradient.
        case statistic
    }

    /// The name that a PyTorch `state_dict` of the same network has for it.
    public let name: String
    /// Extents, the slowest first.
    public let shape: [Int]
    public let start: Start
    public let role: Role

    public init(name: String, shape: [Int], start: Start, role: Role = .trained) {
        self.name = name
        self.shape = shape
        self.start = start
        self.role = role
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Rows of its matrix: the first extent, or 1 for a vector.
    public var rows: Int { shape.count > 1 ? shape[0] : 1 }
    /// Columns of its matrix.
    public var columns: Int { count / max(rows, 1) }
}

extension [ParameterDescription] {
    /// Number of elements that are trained: all but the statistics.
    var trainedCount: Int { reduce(0) { $0 + ($1.role == .statistic ? 0 : $1.count) } }
}

/// The parameters of a network as values of the host, in the order of the network.
public struct NetworkWeights: Sendable {
    public let descriptions: [ParameterDescription]
    /// As many elements as the description says.
    public let values: [HostBuffer<Float>]

    public init(_ descriptions: [ParameterDescription], values: [HostBuffer<Float>]) {
        precondition(zip(descriptions, values).allSatisfy { $0.count == $1.count })
        precondition(descriptions.count == values.count)
        self.descriptions = descriptions
        self.values = values
    }

    /// Random weights, the same on every device.
    public init(_ descriptions: [ParameterDescription], seed: UInt64) {
        self.init(
            descriptions,
            values: descriptions.enumerated().map { index, parameter in
                let random = Philox(seed: seed, stream: NetworkRandom.weights + UInt64(index))
                let buffer = HostBuffer<Float>(uninitializedCount: parameter.count)
                for place in 0..<parameter.count {
                    switch parameter.start {
                    case .glorot(let inputs, let outputs):
                        let bound = (6 / Float(inputs + outputs)).squareRoot()
                        buffer[place] = bound * (2 * random.uniform(UInt64(place)) - 1)
                    case .normal(let deviation):
                        buffer[place] = deviation * Float(random.normal(UInt64(place)))
                    case .uniform(let bound): buffer[place] = bound * (2 * random.uniform(UInt64(place)) - 1)
                    case .constant(let value): buffer[place] = value
                    }
                }
                return buffer
            })
    }

    /// The values of a parameter by name.
    public subscript(name: String) -> HostBuffer<Float>? {
        descriptions.firstIndex { $0.name == name }.map { values[$0] }
    }

    /// Adds the tensors under their names behind a prefix.
    public func write(to writer: inout SafetensorsWriter, prefix: String) {
        for (description, values) in zip(descriptions, values) {
            writer.add(prefix + description.name, shape: description.shape, values)
        }
    }

    /// Reads tensors of these names and shapes. Throws ``DataError`` where one is missing or of another shape.
    public init(_ descriptions: [ParameterDescription], file: SafetensorsFile, prefix: String) throws {
        self.init(
            descriptions,
            values: try descriptions.map { try file.floats(prefix + $0.name, shape: $0.shape) })
    }
}

/// Uses of a seed by networks.
enum NetworkRandom {
    static let weights: UInt64 = 0x4E45_5400_0000_0000
    static let shuffle: UInt64 = 0x4E45_5401_0000_0000
    static let dropout: UInt64 = 0x4E45_5402_0000_0000
    static let sampling: UInt64 = 0x4E45_5403_0000_0000
    static let split: UInt64 = 0x4E45_5404_0000_0000
    static let parts: UInt64 = 0x4E45_5405_0000_0000
}
