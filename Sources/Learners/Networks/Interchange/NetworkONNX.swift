import Core

/// A network as an ONNX model (operator set 20): https://onnx.ai/onnx/intro.
///
/// Input `features`: rows × columns, as the model's preprocessing leaves them; of a network with tables of vectors those
/// that are numbers, and beside them `identifiers`, rows × columns of int64: 0 for a level that training has not seen,
/// else its place in the list of levels, counted from 1. Output `predictions`: rows × classes, probabilities; or rows × 1,
/// a number.
struct NetworkONNX {
    var graph = ProtocolBuffer()
    var names = 0
    /// Where a sequence's events are: its identifiers, of the sequence that the last embedding has begun.
    var events: String?
    let weights: NetworkWeights

    static let floatType = 1
    static let integerType = 7

    /// The bytes of the file.
    ///
    /// - Parameter columns: names of the features, kept in the model's metadata.
    static func model(_ predictor: NetworkPredictor, columns: [String]) throws -> [UInt8] {
        let network = try predictor.settings.architecture.resolved()
        var writer = NetworkONNX(weights: predictor.weights)
        var value = "features"
        if let scale = predictor.scale {
            value = writer.node("Sub", [value, writer.constant(scale.shift)])
            value = writer.node("Mul", [value, writer.constant(scale.factor)])
        }
        value = writer.layers(network.layers, value)
        switch predictor.task.kind {
        case .regression:
            value = writer.node("Mul", [value, writer.constant(Float(predictor.settings.deviation))])
            value = writer.node("Add", [value, writer.constant(Float(predictor.settings.mean))])
        case .binary:
            let positive = writer.node("Sigmoid", [value])
            let negative = writer.node("Sub", [writer.constant(1), positive])
            value = writer.node("Concat", [negative, positive], [("axis", 1)])
        case .multiclass: value = writer.node("Softmax", [value], [("axis", 1)])
        }
        writer.node("Identity", [value], output: "predictions")
        writer.graph.add(2, "net")
        if network.input.columns > 0 {
            let width = network.input.rows * network.input.columns
            writer.graph.add(11, tensor("features", columns: width))
        }
        if network.identifiers > 0 {
            writer.graph.add(11, tensor("identifiers", columns: network.identifiers, type: integerType))
        }
        writer.graph.add(12, tensor("predictions", columns: predictor.task.outputs))

        return writer.file(metadata: [
            ("features", columns.joined(separator: "\n")), ("labels", predictor.task.labels.joined(separator: "\n")),
        ])
    }

    /// The bytes of a file with the graph.
    func file(metadata: [(key: String, text: String)]) -> [UInt8] {
        var model = ProtocolBuffer()
        model.add(1, 9)
        model.add(2, "apus")
        model.add(3, ApusVersion.current)
        model.add(7, graph)
        var operators = ProtocolBuffer()
        operators.add(1, "")
        operators.add(2, 20)
        model.add(8, operators)
        for (key, text) in metadata {
            var entry = ProtocolBuffer()
            entry.add(1, key)
            entry.add(2, text)
            model.add(14, entry)
        }
        return model.bytes
    }

    init(weights: NetworkWeights) { self.weights = weights }

    mutating func layers(_ layers: [ResolvedLayer], _ input: String) -> String {
        var value = input
        for layer in layers {
            switch layer.specification {
            case .dense(_, let bias):
                value = node(
                    "Gemm",
                    [value, parameter("\(layer.name).weight")] + (bias ? [parameter("\(layer.name).bias")] : []),
                    [("transB", 1)])
            case .activation(let name): value = activation(name, value)
            // Only while training.
            case .dropout: break
            case .layerNorm(let epsilon):
                value = node(
                    "LayerNormalization", [value, parameter("\(layer.name).weight"), parameter("\(layer.name).bias")],
                    [("axis", -1)], floats: [("epsilon", epsilon)])
            case .batchNorm(let epsilon, _): value = batchNorm(layer, epsilon, value)
            case .residual: value = node("Add", [value, self.layers(layer.children, value)])
            case .embedding(let tables, _, let arrangement):
                value = embedding(layer, tables, arrangement, value)
            case .concatenation: value = node("Concat", branches(layer, value), [("axis", 1)])
            case .sum: value = sum(branches(layer, value))
            case .interaction(let units): value = interaction(layer, units, value)
            case .convolution, .pooling, .globalMean, .flatten: value = image(layer, value)
            case .sequence(let own): value = sequence(own, layer, value)
            case .lastStep: value = lastStep(layer, value)
            }
        }
        return value
    }

    private mutating func branches(_ layer: ResolvedLayer, _ value: String) -> [String] {
        let outer = events
        return layer.branches.map { branch in
            defer { events = outer }
            return layers(branch, value)
        }
    }

    mutating func activation(_ name: ActivationName, _ value: String) -> String {
        switch name {
        case .relu: node("Relu", [value])
        case .sigmoid: node("Sigmoid", [value])
        case .tanh: node("Tanh", [value])
        case .gelu: node("Gelu", [value])
        case .silu: node("Mul", [value, node("Sigmoid", [value])])
        case .softmax: node("Softmax", [value], [("axis", -1)])
        }
    }

    /// A table of several identifiers sums or averages their vectors; those below 0 count for nothing.
    mutating func embedding(
        _ layer: ResolvedLayer, _ tables: [EmbeddingTable], _ arrangement: EmbeddingArrangement, _ input: String
    ) -> String {
        var vectors: [String] = []
        for (index, table) in tables.enumerated() {
            let weight = parameter("\(layer.name).\(index).weight")
            let columns = integers(Array(table.column..<table.column + table.count), shape: [table.count])
            let ids = node("Gather", ["identifiers", columns], [("axis", 1)])
            let zero = integers([0], shape: [])
            let found = node("Gather", [weight, node("Max", [ids, zero])], [("axis", 0)])
            let present = node(
                "Unsqueeze",
                [
                    node("Cast", [node("GreaterOrEqual", [ids, zero])], [("to", Self.floatType)]),
                    integers([2], shape: [1]),
                ])
            if arrangement == .steps {
                events = ids
                return node(
                    "Reshape", [node("Mul", [found, present]), integers([-1, layer.output.columns], shape: [2])])
            }
            let axis = integers([1], shape: [1])
            var sum = node("ReduceSum", [node("Mul", [found, present]), axis], [("keepdims", 0)])
            if table.averages, table.count > 1 {
                let count = node("ReduceSum", [present, axis], [("keepdims", 0)])
                sum = node("Div", [sum, node("Max", [count, constant(1)])])
            }
            vectors.append(sum)
        }
        switch arrangement {
        case .append where layer.input.columns > 0: return node("Concat", [input] + vectors, [("axis", 1)])
        case .append, .replace, .steps: return node("Concat", vectors, [("axis", 1)])
        case .sum: return sum(vectors)
        }
    }

    /// Pictures lie with the channels last, as pixels × channels; ONNX wants them first.
    mutating func image(_ layer: ResolvedLayer, _ input: String) -> String {
        let (height, width) = layer.input.picture
        let columns = layer.input.columns
        if case .flatten = layer.specification {
            return node("Reshape", [input, integers([-1, layer.output.columns], shape: [2])])
        }
        let picture = node(
            "Transpose",
            [
                node("Reshape", [input, integers([-1, height, width, columns], shape: [4])])
            ], lists: [("perm", [0, 3, 1, 2])])
        let grid = layer.grid!
        let window = ("kernel_shape", [grid.windowHeight, grid.windowWidth])
        let strides = ("strides", [grid.stride, grid.stride])
        var output: String
        switch layer.specification {
        case .convolution:
            let above = grid.paddingHeight
            output = node(
                "Conv", [picture, convolutionWeight(layer), parameter("\(layer.name).bias")],
                lists: [window, strides, ("pads", [above, grid.padding, above, grid.padding])])
        case .pooling(let averages, _, _, _):
            output = node(averages ? "AveragePool" : "MaxPool", [picture], lists: [window, strides])
        default: output = node("GlobalAveragePool", [picture])
        }
        output = node("Transpose", [output], lists: [("perm", [0, 2, 3, 1])])
        let shape = layer.output
        return node(
            "Reshape",
            [
                output,
                shape.rows == 1
                    ? integers([-1, shape.columns], shape: [2])
                    : integers([-1, shape.rows, shape.columns], shape: [3]),
            ])
    }

    /// By the running statistics. ONNX wants channels before pixels, and before the steps of a sequence.
    mutating func batchNorm(_ layer: ResolvedLayer, _ epsilon: Float, _ input: String) -> String {
        let turns = layer.input.rows > 1
        let names = ["weight", "bias", "running_mean", "running_var"].map { parameter("\(layer.name).\($0)") }
        let output = node(
            "BatchNormalization", [turns ? transposed(input) : input] + names, [], floats: [("epsilon", epsilon)])
        return turns ? transposed(output) : output
    }

    /// Channels × inputs × height × width.
    mutating func convolutionWeight(_ layer: ResolvedLayer) -> String {
        let name = "\(layer.name).weight"
        let index = weights.descriptions.firstIndex { $0.name == name }!
        let description = weights.descriptions[index]
        let values = description.interchanged(weights.values[index], out: true)
        add(
            name, shape: description.interchangeShape,
            withExtendedLifetime(values) { Array(values.elements) })
        return name
    }

    mutating func sum(_ parts: [String]) -> String {
        parts.count == 1 ? parts[0] : node("Sum", parts)
    }

    mutating func interaction(_ layer: ResolvedLayer, _ units: Int, _ input: String) -> String {
        let count = layer.input.columns / units
        let vectors = node("Reshape", [input, integers([-1, count, units], shape: [3])])
        let turned = node(
            "Reshape",
            [
                node("MatMul", [vectors, transposed(vectors)]), integers([-1, count * count], shape: [2]),
            ])
        let below = (1..<count).flatMap { a in (0..<a).map { a * count + $0 } }
        let products = node("Gather", [turned, integers(below, shape: [below.count])], [("axis", 1)])
        let first = node("Gather", [input, integers(Array(0..<units), shape: [units])], [("axis", 1)])
        return node("Concat", [first, products], [("axis", 1)])
    }

    /// The last two of three axes exchanged.
    mutating func transposed(_ input: String) -> String {
        node("Transpose", [input], lists: [("perm", [0, 2, 1])])
    }

    mutating func integers(_ values: [Int], shape: [Int]) -> String {
        names += 1
        var tensor = ProtocolBuffer()
        for extent in shape { tensor.add(1, extent) }
        tensor.add(2, Self.integerType)
        tensor.add(8, "constant\(names)")
        tensor.add(9, values.flatMap { withUnsafeBytes(of: Int64($0).littleEndian) { Array($0) } })
        graph.add(5, tensor)
        return "constant\(names)"
    }

    mutating func parameter(_ name: String) -> String {
        let index = weights.descriptions.firstIndex { $0.name == name }!
        add(name, shape: weights.descriptions[index].shape, Array(weights.values[index].elements))
        return name
    }

    mutating func constant(_ value: Float) -> String {
        names += 1
        add("constant\(names)", shape: [], [value])
        return "constant\(names)"
    }

    mutating func add(_ name: String, shape: [Int], _ values: [Float]) {
        var tensor = ProtocolBuffer()
        for extent in shape { tensor.add(1, extent) }
        tensor.add(2, Self.floatType)
        tensor.add(8, name)
        tensor.add(9, values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian) { Array($0) } })
        graph.add(5, tensor)
    }

    @discardableResult
    mutating func node(
        _ type: String, _ inputs: [String], _ integers: [(String, Int)] = [], floats: [(String, Float)] = [],
        lists: [(String, [Int])] = [], output: String? = nil
    ) -> String {
        names += 1
        let output = output ?? "value\(names)"
        var node = ProtocolBuffer()
        for input in inputs { node.add(1, input) }
        node.add(2, output)
        node.add(3, "node\(names)")
        node.add(4, type)
        for (name, value) in integers {
            var attribute = ProtocolBuffer()
            attribute.add(1, name)
            attribute.add(3, value)
            attribute.add(20, 2)
            node.add(5, attribute)
        }
        for (name, value) in floats {
            var attribute = ProtocolBuffer()
            attribute.add(1, name)
            attribute.add(2, value)
            attribute.add(20, 1)
            node.add(5, attribute)
        }
        for (name, values) in lists {
            var attribute = ProtocolBuffer()
            attribute.add(1, name)
            for value in values { attribute.add(8, value) }
            attribute.add(20, 7)
            node.add(5, attribute)
        }
        graph.add(1, node)
        return output
    }

    static func tensor(_ name: String, columns: Int?, type elements: Int = floatType) -> ProtocolBuffer {
        var rows = ProtocolBuffer()
        rows.add(2, "rows")
        var shape = ProtocolBuffer()
        shape.add(1, rows)
        if let columns {
            var width = ProtocolBuffer()
            width.add(1, columns)
            shape.add(1, width)
        }
        var tensor = ProtocolBuffer()
        tensor.add(1, elements)
        tensor.add(2, shape)
        var type = ProtocolBuffer()
        type.add(1, tensor)
        var value = ProtocolBuffer()
        value.add(1, name)
        value.add(2, type)
        return value
    }
}

extension NetworkPredictor {
    /// Writes the network as an ONNX model. Input `features` (rows × columns, preprocessed), output `predictions`.
    ///
    /// - Parameter columns: names of the features.
    /// - Throws: ``SystemError`` when the file can't be written.
    public func writeONNX(to path: String, columns: [String]) throws {
        let file = try AtomicFile(path: path)
        try file.write(try NetworkONNX.model(self, columns: columns))
        try file.commit()
    }

    /// Writes the weights as PyTorch's `state_dict` of the same `nn.Sequential` would hold them: `0.weight`, `0.bias`, …
    public func writeWeights(to path: String) throws {
        var writer = SafetensorsWriter()
        for (description, values) in zip(weights.descriptions, weights.values) {
            guard !description.isCounter else {
                writer.add(description.name, shape: [], HostBuffer([Int64(values[0])]))
                continue
            }
            writer.add(
                description.name, shape: description.interchangeShape, description.interchanged(values, out: true))
        }
        try writer.write(to: path)
    }

    /// The same network with weights from a file that ``writeWeights(to:)`` or PyTorch has written.
    /// Throws ``DataError`` where a tensor is missing or of another shape.
    public func reading(weightsFrom path: String) throws -> NetworkPredictor {
        NetworkPredictor(
            architecture: settings.architecture, objective: settings.objective,
            weights: try NetworkWeights(stateDict: path, weights.descriptions),
            history: settings.history, mean: settings.mean, deviation: settings.deviation, inputs: settings.inputs,
            featureMeans: featureMeans, task: task)
    }
}
