import Compute
import Core

/// The parameters of a network on a device, with their gradients: those that every step changes in one vector, so that an
/// optimizer's step is one launch however many layers there are, and the tables of each layer in a matrix.
public final class DeviceParameters {
    public let descriptions: [ParameterDescription]
    /// 1 × all that a gradient changes, with gaps that hold 0.
    let values: Matrix
    /// As `values`; nil where nothing is trained.
    let gradients: Matrix?
    /// The tables of each layer, one below the other, in the order of the network.
    let tables: [TableParameters]
    /// 1 × all that values change which pass through.
    let statistics: Matrix
    private let offsets: [Int]
    private let indices: [String: Int]

    /// Parameters begin at multiples of this many elements.
    private static let alignment = 16

    init(_ weights: NetworkWeights, training: Bool, stream: Compute.Stream) throws(ComputeError) {
        descriptions = weights.descriptions
        var offsets: [Int] = []
        var (end, statistic) = (0, 0)
        var layers: [(name: String, rows: Int, columns: Int)] = []
        func aligned(_ count: Int) -> Int { (count + Self.alignment - 1) / Self.alignment * Self.alignment }
        for description in descriptions {
            switch description.role {
            case .trained:
                offsets.append(end)
                end += aligned(description.count)
            case .statistic:
                offsets.append(statistic)
                statistic += aligned(description.count)
            case .table(let layer):
                if layers.last?.name != layer { layers.append((layer, 0, description.columns)) }
                offsets.append(layers.last!.rows * description.columns)
                layers[layers.count - 1].rows += description.rows
            }
        }
        self.offsets = offsets
        indices = Dictionary(uniqueKeysWithValues: descriptions.enumerated().map { ($1.name, $0) })
        values = try stream.allocate(rows: 1, columns: end)
        gradients = training ? try stream.allocate(rows: 1, columns: end) : nil
        statistics = try stream.allocate(rows: 1, columns: statistic)
        tables = try layers.map { layer throws(ComputeError) in
            TableParameters(layer: layer.name, values: try stream.allocate(rows: layer.rows, columns: layer.columns))
        }
        try stream.fill(values, with: 0)
        if let gradients { try stream.fill(gradients, with: 0) }
        try stream.fill(statistics, with: 0)
        try load(weights, stream)
    }

    /// Number of elements that every step changes, gaps included.
    var count: Int { values.columns }

    /// The matrix of a parameter.
    func value(_ name: String) -> Matrix { value(indices[name]!) }

    /// The gradient of a parameter that every step changes.
    func gradient(_ name: String) -> Matrix { window(gradients!, indices[name]!) }

    /// The tables of a layer.
    func table(_ layer: String) -> TableParameters { tables.first { $0.layer == layer }! }

    private func value(_ index: Int) -> Matrix {
        switch descriptions[index].role {
        case .trained: window(values, index)
        case .statistic: window(statistics, index)
        case .table(let layer): window(table(layer).values, index)
        }
    }

    private func window(_ vector: Matrix, _ index: Int) -> Matrix {
        let description = descriptions[index]
        return vector.window(offset: offsets[index], rows: description.rows, columns: description.columns)
    }

    /// Puts values of the host into the device's.
    func load(_ weights: NetworkWeights, _ stream: Compute.Stream) throws(ComputeError) {
        for (index, buffer) in weights.values.enumerated() { try stream.upload(buffer.array, to: value(index)) }
    }

    /// The values as the host's.
    func download(_ stream: Compute.Stream) throws(ComputeError) -> NetworkWeights {
        try download(stream) { index in self.value(index) }
    }

    /// The gradients as values of the host; 0 for what has none.
    func downloadGradients(_ stream: Compute.Stream) throws(ComputeError) -> NetworkWeights {
        try download(stream) { index in
            switch self.descriptions[index].role {
            case .trained: self.window(self.gradients!, index)
            case .statistic: nil
            case .table(let layer): self.table(layer).gradient.map { self.window($0, index) }
            }
        }
    }

    private func download(
        _ stream: Compute.Stream, _ source: (Int) -> Matrix?
    ) throws(ComputeError) -> NetworkWeights {
        var buffers: [HostBuffer<Float>] = []
        for index in descriptions.indices {
            if let matrix = source(index) {
                buffers.append(try stream.download(matrix).storage)
            } else {
                buffers.append(HostBuffer(repeating: 0, count: descriptions[index].count))
            }
        }
        return NetworkWeights(descriptions, values: buffers)
    }
}

/// The tables of a layer on a device, with what an optimizer keeps beside them.
final class TableParameters {
    let layer: String
    /// All rows × units.
    let values: Matrix
    /// Adam's means.
    private(set) var first: Matrix?
    /// Squares: as large as the values, or one for each row.
    private(set) var second: Matrix?
    /// As large as the values, where the gradient of everything was asked for.
    private(set) var gradient: Matrix?

    init(layer: String, values: Matrix) {
        self.layer = layer
        self.values = values
    }

    /// Allocates what a method keeps, as zeroes.
    func prepare(for method: RowUpdateMethod, _ stream: Compute.Stream) throws(ComputeError) {
        func zeroes(_ columns: Int) throws(ComputeError) -> Matrix {
            let matrix = try stream.allocate(rows: values.rows, columns: columns)
            try stream.fill(matrix, with: 0)
            return matrix
        }
        switch method {
        case .add: gradient = try zeroes(values.columns)
        case .gradientDescent: break
        case .adam: (first, second) = (try zeroes(values.columns), try zeroes(values.columns))
        case .adagrad: second = try zeroes(values.columns)
        case .rowWiseAdagrad: second = try zeroes(1)
        }
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
