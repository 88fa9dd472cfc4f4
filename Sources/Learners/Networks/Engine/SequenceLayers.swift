import Compute
import Core

/// A layer that works on the rows of a sequence together.
public enum SequenceLayer: Codable, Sendable, Equatable {
    /// Adds to each row what its position has: learned, or sines and cosines (Vaswani and others 2017).
    case positions(learned: Bool)
    /// Multi-head self-attention, as PyTorch's `MultiheadAttention`.
    case attention(heads: Int, causal: Bool)
    /// A transformer block, as PyTorch's `TransformerEncoderLayer`; dropout is not applied to the attention itself.
    case transformer(TransformerBlock)
    /// A recurrent layer, as PyTorch's `RNN`, `GRU` and `LSTM`; gives its state after every row.
    case recurrent(cell: RecurrentCell, units: Int)

    /// The word for it in messages and files.
    public var word: String {
        switch self {
        case .positions: "positions"
        case .attention: "attention"
        case .transformer: "transformer"
        case .recurrent(let cell, _): cell.rawValue
        }
    }
}

/// The parts of a transformer block.
public struct TransformerBlock: Codable, Sendable, Equatable {
    public var heads: Int
    /// Units of the hidden layer between the two dense ones.
    public var hidden: Int
    public var activation: ActivationName
    public var dropout: Float
    /// Whether attention and dense layers see normalized values, instead of the sums being normalized behind them.
    public var normFirst: Bool
    /// Whether a row sees only itself and the rows before it.
    public var causal: Bool

    public init(
        heads: Int, hidden: Int, activation: ActivationName = .relu, dropout: Float = 0, normFirst: Bool = true,
        causal: Bool
    ) {
        self.heads = heads
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.normFirst = normFirst
        self.causal = causal
    }
}

extension SequenceLayer {
    /// Shape and parameters for an input. Throws ``ParameterError`` at `place` for what does not fit.
    func resolved(
        _ input: LayerShape, name: String, place: String
    ) throws(ParameterError) -> (output: LayerShape, parameters: [ParameterDescription]) {
        let d = input.columns
        var output = input
        func matrix(_ own: String, _ rows: Int, _ columns: Int, outputs: Int? = nil) -> ParameterDescription {
            ParameterDescription(
                name: "\(name).\(own)", shape: [rows, columns],
                start: .glorot(inputs: columns, outputs: outputs ?? rows))
        }
        func vector(_ own: String, _ count: Int, _ value: Float = 0) -> ParameterDescription {
            ParameterDescription(name: "\(name).\(own)", shape: [count], start: .constant(value))
        }
        func attention(_ prefix: String) -> [ParameterDescription] {
            [
                matrix("\(prefix)in_proj_weight", 3 * d, d, outputs: d), vector("\(prefix)in_proj_bias", 3 * d),
                matrix("\(prefix)out_proj.weight", d, d), vector("\(prefix)out_proj.bias", d),
            ]
        }
        func check(heads: Int) throws(ParameterError) {
            guard heads >= 1, d % heads == 0 else {
                throw ParameterError(place, "\(heads) heads don't divide the \(d) columns of its input, \(input)")
            }
        }
        switch self {
        case .positions(let learned):
            if learned {
                return (
                    output,
                    [
                        ParameterDescription(
                            name: "\(name).weight", shape: [input.rows, d], start: .normal(deviation: 0.02))
                    ]
                )
            }
            return (output, [])
        case .attention(let heads, _):
            try check(heads: heads)
            return (output, attention(""))
        case .transformer(let block):
            try check(heads: block.heads)
            guard block.hidden >= 1, block.hidden <= 1 << 24 else {
                throw ParameterError(place, "hidden units must be 1 or more, not \(block.hidden)")
            }
            guard block.dropout >= 0, block.dropout < 1 else {
                throw ParameterError(
                    place, "the probability of dropout must be at least 0 and below 1, not \(block.dropout)")
            }
            return (
                output,
                attention("self_attn.") + [
                    matrix("linear1.weight", block.hidden, d), vector("linear1.bias", block.hidden),
                    matrix("linear2.weight", d, block.hidden), vector("linear2.bias", d),
                    vector("norm1.weight", d, 1), vector("norm1.bias", d), vector("norm2.weight", d, 1),
                    vector("norm2.bias", d),
                ]
            )
        case .recurrent(let cell, let units):
            guard units >= 1, units <= 1 << 20 else {
                throw ParameterError(place, "units must be 1 or more, not \(units)")
            }
            output.columns = units
            let all = cell.gates * units
            return (
                output,
                [
                    matrix("weight_ih_l0", all, d, outputs: units), matrix("weight_hh_l0", all, units, outputs: units),
                    vector("bias_ih_l0", all), vector("bias_hh_l0", all),
                ]
            )
        }
    }

    /// Floating-point operations of a forward pass for one sequence, products only.
    func operations(_ input: LayerShape) -> Int {
        let (length, d) = (input.rows, input.columns)
        func attention(_ causal: Bool) -> Int {
            8 * length * d * d + 4 * length * (causal ? (length + 1) / 2 : length) * d
        }
        switch self {
        case .positions: return 0
        case .attention(_, let causal): return attention(causal)
        case .transformer(let block): return attention(block.causal) + 4 * length * d * block.hidden
        case .recurrent(let cell, let units): return 2 * length * cell.gates * units * (d + units)
        }
    }

    var usesDropout: Bool {
        if case .transformer(let block) = self { block.dropout > 0 } else { false }
    }
}

/// Positions, attention and transformer blocks.
extension LayerCompiler {
    /// A product of a layer that has several.
    func within(
        _ input: LayerFlow, weight: String, bias: String, columns: Int, _ fused: Activation? = nil
    ) throws(ComputeError) -> LayerFlow {
        try product(
            input, weight: weight, bias: bias, columns: columns, fused, layer: weight, inputGradient: input.gradient)
    }

    func sequence(_ layer: SequenceLayer, _ name: String, _ input: LayerFlow) throws(ComputeError) -> LayerFlow {
        switch layer {
        case .positions(let learned): try positions(name, input, learned: learned)
        case .attention(let heads, let causal): try attention("\(name).", input, heads: heads, causal: causal)
        case .transformer(let block): try transformer(block, name, input)
        case .recurrent(let cell, let units): try recurrent(cell, units, name, input)
        }
    }

    private func positions(_ name: String, _ input: LayerFlow, learned: Bool) throws(ComputeError) -> LayerFlow {
        let (length, d) = (input.shape.rows, input.shape.columns)
        // Whoever comes behind writes the gradient of the sum, which is that of the input as well.
        var output = try flow(input.shape)
        if let present = input.gradient { output.gradient = present }
        guard learned else {
            var waves: [Float] = []
            for _ in 0..<batch { waves += Self.waves(length: length, columns: d) }
            let table = try matrix(input.shape)
            try stream.upload(waves, to: table)
            let sum = output.value
            add(forward: { stream throws(ComputeError) in try stream.combine(input.value, table, into: sum) })
            return output
        }
        let weight = parameters.value("\(name).weight")
        let places = try stream.upload((0..<batch * length).map { Int32($0 % length) })
        let (rows, sum) = (try matrix(input.shape), output.value)
        add(forward: { stream throws(ComputeError) in
            try stream.gather(weight, rows: places, into: rows)
            try stream.combine(input.value, rows, into: sum)
        })
        guard training, let gradient = output.gradient else { return output }
        let weightGradient = parameters.gradient("\(name).weight").window(rows: 1, columns: length * d)
        let examples = gradient.window(rows: batch, columns: length * d)
        add(backward: { stream throws(ComputeError) in try stream.columnSums(examples, into: weightGradient) })
        return output
    }

    /// sin and cos of position / 10000^(2i/d), in turns.
    static func waves(length: Int, columns: Int) -> [Float] {
        (0..<length * columns).map { place in
            let (position, column) = (place / columns, place % columns)
            let angle = Double(position) / power(10_000, Double(column / 2 * 2) / Double(columns))
            return Float(column % 2 == 0 ? cosine(angle - Double.pi / 2) : cosine(angle))
        }
    }

    private func attention(
        _ prefix: String, _ input: LayerFlow, heads: Int, causal: Bool
    ) throws(ComputeError) -> LayerFlow {
        let (length, d) = (input.shape.rows, input.shape.columns)
        let all = try within(
            input, weight: "\(prefix)in_proj_weight", bias: "\(prefix)in_proj_bias", columns: 3 * d)
        func part(_ matrix: Matrix, _ index: Int) -> Matrix { matrix.columns(index * d..<(index + 1) * d) }
        let output = try flow(input.shape)
        let probabilities = try stream.allocate(rows: batch * heads * length, columns: length)
        attentions.append(probabilities)
        let (queries, keys, values) = (part(all.value, 0), part(all.value, 1), part(all.value, 2))
        let padding = padding
        add(forward: { stream throws(ComputeError) in
            try stream.attention(
                queries: queries, keys: keys, values: values, length: length, heads: heads, causal: causal,
                padding: padding, probabilities: probabilities, into: output.value)
        })
        if training, let gradient = output.gradient, let allGradient = all.gradient {
            let scores = try stream.allocate(rows: probabilities.rows, columns: length)
            add(backward: { stream throws(ComputeError) in
                try stream.attentionGradient(
                    queries: queries, keys: keys, values: values, length: length, heads: heads, causal: causal,
                    probabilities: probabilities, outputGradient: gradient, scoreGradients: scores,
                    queryGradient: part(allGradient, 0), keyGradient: part(allGradient, 1),
                    valueGradient: part(allGradient, 2))
            })
        }
        return try within(output, weight: "\(prefix)out_proj.weight", bias: "\(prefix)out_proj.bias", columns: d)
    }

    private func transformer(
        _ block: TransformerBlock, _ name: String, _ input: LayerFlow
    ) throws(ComputeError) -> LayerFlow {
        func norm(_ number: Int, _ flow: LayerFlow) throws(ComputeError) -> LayerFlow {
            try layerNorm("\(name).norm\(number).weight", "\(name).norm\(number).bias", flow, 1e-5)
        }
        func mixed(_ flow: LayerFlow) throws(ComputeError) -> LayerFlow {
            try dropout(
                block.dropout, attention("\(name).self_attn.", flow, heads: block.heads, causal: block.causal))
        }
        func dense(_ flow: LayerFlow) throws(ComputeError) -> LayerFlow {
            var inner = try within(
                flow, weight: "\(name).linear1.weight", bias: "\(name).linear1.bias", columns: block.hidden,
                block.activation.fused)
            if block.activation.fused == nil { inner = try activation(block.activation.function, inner) }
            inner = try dropout(block.dropout, inner)
            inner = try within(
                inner, weight: "\(name).linear2.weight", bias: "\(name).linear2.bias",
                columns: input.shape.columns)
            return try dropout(block.dropout, inner)
        }
        if block.normFirst {
            let middle = try residual(input) { flow throws(ComputeError) in try mixed(norm(1, flow)) }
            return try residual(middle) { flow throws(ComputeError) in try dense(norm(2, flow)) }
        }
        let middle = try norm(1, residual(input) { flow throws(ComputeError) in try mixed(flow) })
        return try norm(2, residual(middle) { flow throws(ComputeError) in try dense(flow) })
    }
}
