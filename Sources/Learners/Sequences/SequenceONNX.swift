import Compute
import Core

/// Layers of sequences in ONNX: between them values are (rows · length) × columns, as on our devices.
extension NetworkONNX {
    mutating func sequence(_ layer: SequenceLayer, _ resolved: ResolvedLayer, _ input: String) -> String {
        let (length, columns) = (resolved.input.rows, resolved.input.columns)
        switch layer {
        case .positions(let learned):
            let table: String
            if learned {
                table = node(
                    "Reshape", [parameter("\(resolved.name).weight"), integers([1, length * columns], shape: [2])])
            } else {
                names += 1
                table = "constant\(names)"
                add(table, shape: [1, length * columns], LayerCompiler.waves(length: length, columns: columns))
            }
            let rows = node("Reshape", [input, integers([-1, length * columns], shape: [2])])
            return node("Reshape", [node("Add", [rows, table]), integers([-1, columns], shape: [2])])
        case .attention(let heads, let causal):
            return attention("\(resolved.name).", input, length, columns, heads, causal)
        case .transformer(let block): return transformer(block, resolved.name, input, length, columns)
        case .recurrent(let cell, let units): return recurrent(cell, units, resolved.name, input, length, columns)
        }
    }

    /// The row of the last event: rows times 1 there and 0 elsewhere, added up.
    mutating func lastStep(_ layer: ResolvedLayer, _ input: String) -> String {
        let (length, columns) = (layer.input.rows, layer.input.columns)
        let rows = node("Reshape", [input, integers([-1, length, columns], shape: [3])])
        guard let events else {
            return node("Gather", [rows, integers([length - 1], shape: [])], [("axis", 1)])
        }
        let present = node(
            "Cast", [node("GreaterOrEqual", [events, integers([0], shape: [])])], [("to", Self.integerType)])
        let count = node("ReduceSum", [present, integers([1], shape: [1])], [("keepdims", 1)])
        let places = integers(Array(1...length), shape: [1, length])
        let last = node("Cast", [node("Equal", [count, places])], [("to", Self.floatType)])
        let chosen = node("Mul", [rows, node("Unsqueeze", [last, integers([2], shape: [1])])])
        self.events = nil
        return node("ReduceSum", [chosen, integers([1], shape: [1])], [("keepdims", 0)])
    }

    private mutating func dense(_ input: String, _ weight: String, _ bias: String) -> String {
        node("Gemm", [input, parameter(weight), parameter(bias)], [("transB", 1)])
    }

    private mutating func attention(
        _ prefix: String, _ input: String, _ length: Int, _ columns: Int, _ heads: Int, _ causal: Bool
    ) -> String {
        let all = dense(input, "\(prefix)in_proj_weight", "\(prefix)in_proj_bias")
        let width = columns / heads
        func part(_ index: Int, _ order: [Int], _ writer: inout NetworkONNX) -> String {
            let own = Array(index * columns..<(index + 1) * columns)
            let chosen = writer.node("Gather", [all, writer.integers(own, shape: [columns])], [("axis", 1)])
            let split = writer.node(
                "Reshape", [chosen, writer.integers([-1, length, heads, width], shape: [4])])
            return writer.node("Transpose", [split], lists: [("perm", order)])
        }
        let queries = part(0, [0, 2, 1, 3], &self)
        let keys = part(1, [0, 2, 3, 1], &self)
        let values = part(2, [0, 2, 1, 3], &self)
        var scores = node(
            "Mul", [node("MatMul", [queries, keys]), constant(1 / Float(width).squareRoot())])
        if causal {
            names += 1
            let mask = "constant\(names)"
            // Finite, so that no softmax meets the difference of two infinities.
            add(
                mask, shape: [length, length],
                (0..<length * length).map { $0 % length > $0 / length ? -1e30 : 0 })
            scores = node("Add", [scores, mask])
        }
        if let events {
            // What comes behind the last event is seen by none.
            let seen = node("GreaterOrEqual", [events, integers([0], shape: [])])
            let hidden = node("Where", [seen, constant(0), constant(-1e30)])
            scores = node("Add", [scores, node("Unsqueeze", [hidden, integers([1, 2], shape: [2])])])
        }
        let mixed = node("MatMul", [node("Softmax", [scores], [("axis", -1)]), values])
        let rows = node(
            "Reshape",
            [
                node("Transpose", [mixed], lists: [("perm", [0, 2, 1, 3])]), integers([-1, columns], shape: [2]),
            ])
        return dense(rows, "\(prefix)out_proj.weight", "\(prefix)out_proj.bias")
    }

    private mutating func transformer(
        _ block: TransformerBlock, _ name: String, _ input: String, _ length: Int, _ columns: Int
    ) -> String {
        func norm(_ number: Int, _ value: String, _ writer: inout NetworkONNX) -> String {
            writer.node(
                "LayerNormalization",
                [
                    value, writer.parameter("\(name).norm\(number).weight"),
                    writer.parameter("\(name).norm\(number).bias"),
                ], [("axis", -1)], floats: [("epsilon", 1e-5)])
        }
        func mixed(_ value: String, _ writer: inout NetworkONNX) -> String {
            writer.attention("\(name).self_attn.", value, length, columns, block.heads, block.causal)
        }
        func inner(_ value: String, _ writer: inout NetworkONNX) -> String {
            let hidden = writer.activation(
                block.activation, writer.dense(value, "\(name).linear1.weight", "\(name).linear1.bias"))
            return writer.dense(hidden, "\(name).linear2.weight", "\(name).linear2.bias")
        }
        if block.normFirst {
            let middle = node("Add", [input, mixed(norm(1, input, &self), &self)])
            return node("Add", [middle, inner(norm(2, middle, &self), &self)])
        }
        let middle = norm(1, node("Add", [input, mixed(input, &self)]), &self)
        return norm(2, node("Add", [middle, inner(middle, &self)]), &self)
    }

    /// ONNX has the gates of GRU as update, reset, candidate, and those of LSTM as input, output, forget, candidate.
    private mutating func recurrent(
        _ cell: RecurrentCell, _ units: Int, _ name: String, _ input: String, _ length: Int, _ columns: Int
    ) -> String {
        let (type, gates): (String, [Int]) =
            switch cell {
            case .simple: ("RNN", [0])
            case .gru: ("GRU", [1, 0, 2])
            case .lstm: ("LSTM", [0, 3, 1, 2])
            }
        func ordered(_ own: String, _ width: Int) -> [Float] {
            let values = weights["\(name).\(own)"]!
            return gates.flatMap { gate in
                (gate * units * width..<(gate + 1) * units * width).map { values[$0] }
            }
        }
        let all = gates.count * units
        for (own, width) in [("weight_ih_l0", columns), ("weight_hh_l0", units)] {
            add("\(name).\(own)", shape: [1, all, width], ordered(own, width))
        }
        add("\(name).bias", shape: [1, 2 * all], ordered("bias_ih_l0", 1) + ordered("bias_hh_l0", 1))
        let steps = node(
            "Transpose", [node("Reshape", [input, integers([-1, length, columns], shape: [3])])],
            lists: [("perm", [1, 0, 2])])
        let output = node(
            type, [steps, "\(name).weight_ih_l0", "\(name).weight_hh_l0", "\(name).bias"],
            [("hidden_size", units)] + (cell == .gru ? [("linear_before_reset", 1)] : []))
        // length × 1 × rows × units.
        return node(
            "Reshape",
            [node("Transpose", [output], lists: [("perm", [2, 0, 1, 3])]), integers([-1, units], shape: [2])])
    }

    /// The bytes of a model of the next item. Inputs `items` (rows × length, int64: the latest items, the earliest first,
    /// from the left; what follows them may be any) and `last` (rows, int64: the place of the latest). Output `scores`,
    /// rows × items.
    static func model(_ sequence: SequenceModel) throws -> [UInt8] {
        let network = try sequence.options.network()
        let (length, factors) = (sequence.options.length, sequence.options.factors)
        var writer = NetworkONNX(weights: sequence.weights)
        let table = writer.parameter("items.weight")
        let numbers = writer.node("Reshape", ["items", writer.integers([-1], shape: [1])])
        var value = writer.node("Gather", [table, numbers], [("axis", 0)])
        value = writer.layers(network.layers, value)
        let states = writer.node("Reshape", [value, writer.integers([-1, length, factors], shape: [3])])
        let places = writer.node("Unsqueeze", ["last", writer.integers([1], shape: [1])])
        let chosen = writer.node("GatherND", [states, places], [("batch_dims", 1)])
        writer.node("Gemm", [chosen, table], [("transB", 1)], output: "scores")
        writer.graph.add(2, "sequence")
        writer.graph.add(11, tensor("items", columns: length, type: integerType))
        writer.graph.add(11, tensor("last", columns: nil, type: integerType))
        writer.graph.add(12, tensor("scores", columns: sequence.items.rows))
        return writer.file(metadata: [("kind", SequenceModel.kind), ("length", "\(length)")])
    }
}

extension SequenceModel {
    /// Writes the network as an ONNX model: inputs `items` and `last`, output `scores`; items are numbered from 0 in the
    /// order of the model. Throws ``SystemError`` when the file can't be written.
    public func writeONNX(to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(try NetworkONNX.model(self))
        try file.commit()
    }

    /// Writes the weights as PyTorch's modules of the same network would name them: `items.weight`, and the body's as an
    /// `nn.Sequential` numbers them, `body.0.weight`, …
    public func writeWeights(to path: String) throws {
        var writer = SafetensorsWriter()
        weights.write(to: &writer, prefix: "")
        try writer.write(to: path)
    }
}
