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
        case constant(Float)
    }

    /// The name that a PyTorch `state_dict` of the same network has for it.
    public let name: String
    /// Extents, the slowest first.
    public let shape: [Int]
    public let start: Start

    public init(name: String, shape: [Int], start: Start) {
        self.name = name
        self.shape = shape
        self.start = start
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
    /// Rows of its matrix: the first extent, or 1 for a vector.
    public var rows: Int { shape.count > 1 ? shape[0] : 1 }
    /// Columns of its matrix.
    public var columns: Int { count / max(rows, 1) }
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
}

/// The parameters of a network on a device, with their gradients, each in one vector, so that an optimizer's step is
/// one launch however many layers there are.
public final class DeviceParameters {
    public let descriptions: [ParameterDescription]
    /// 1 × all, with gaps that hold 0.
    let values: Matrix
    /// As `values`; nil where nothing is trained.
    let gradients: Matrix?
    private let offsets: [Int]
    private let indices: [String: Int]

    /// Parameters begin at multiples of this many elements.
    private static let alignment = 16

    init(_ weights: NetworkWeights, training: Bool, stream: Compute.Stream) throws(ComputeError) {
        descriptions = weights.descriptions
        var offsets: [Int] = []
        var end = 0
        for description in descriptions {
            offsets.append(end)
            end += (description.count + Self.alignment - 1) / Self.alignment * Self.alignment
        }
        self.offsets = offsets
        indices = Dictionary(uniqueKeysWithValues: descriptions.enumerated().map { ($1.name, $0) })
        values = try stream.allocate(rows: 1, columns: end)
        gradients = training ? try stream.allocate(rows: 1, columns: end) : nil
        try stream.fill(values, with: 0)
        if let gradients { try stream.fill(gradients, with: 0) }
        try load(weights, stream)
    }

    /// Number of elements, gaps included.
    var count: Int { values.columns }

    /// The matrix of a parameter.
    func value(_ name: String) -> Matrix { window(values, indices[name]!) }

    /// The gradient of a parameter.
    func gradient(_ name: String) -> Matrix { window(gradients!, indices[name]!) }

    private func window(_ vector: Matrix, _ index: Int) -> Matrix {
        let description = descriptions[index]
        return vector.window(offset: offsets[index], rows: description.rows, columns: description.columns)
    }

    /// Puts values of the host into the device's.
    func load(_ weights: NetworkWeights, _ stream: Compute.Stream) throws(ComputeError) {
        for (index, buffer) in weights.values.enumerated() {
            try stream.upload(buffer.array, to: window(values, index))
        }
    }

    /// The values as the host's.
    func download(_ stream: Compute.Stream) throws(ComputeError) -> NetworkWeights {
        try download(values, stream)
    }

    /// The gradients as values of the host.
    func downloadGradients(_ stream: Compute.Stream) throws(ComputeError) -> NetworkWeights {
        try download(gradients!, stream)
    }

    private func download(_ vector: Matrix, _ stream: Compute.Stream) throws(ComputeError) -> NetworkWeights {
        var buffers: [HostBuffer<Float>] = []
        for index in descriptions.indices { buffers.append(try stream.download(window(vector, index)).storage) }
        return NetworkWeights(descriptions, values: buffers)
    }
}

extension Matrix {
    /// A window of a matrix without gaps, as a matrix of another shape on the same memory.
    func window(offset: Int = 0, rows: Int, columns: Int) -> Matrix {
        precondition(isContiguous && offset >= 0 && offset + rows * columns <= count)
        do throws(ComputeError) {
            return try Matrix(
                storage: storage, elementType: elementType, offset: self.offset + offset, rows: rows, columns: columns,
                rowStride: columns)
        } catch {
            preconditionFailure("\(error)")
        }
    }
}
