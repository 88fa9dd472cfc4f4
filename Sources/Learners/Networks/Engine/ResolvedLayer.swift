import Compute
import Core

/// A layer with its shapes and parameters.
public struct ResolvedLayer: Sendable {
    public let specification: LayerSpecification
    /// Its place, as a PyTorch `nn.Sequential` numbers its modules: `0`, `3.1`.
    public let name: String
    public let input: LayerShape
    public let output: LayerShape
    /// Its own parameters.
    public let parameters: [ParameterDescription]
    /// The layers inside of it.
    public let children: [ResolvedLayer]
    /// The layers of each of its branches.
    public let branches: [[ResolvedLayer]]

    /// Its own parameters and those of the layers inside of it.
    public var allParameters: [ParameterDescription] { parameters + inner.flatMap(\.allParameters) }
    /// Number of its own parameters that are trained.
    public var parameterCount: Int { parameters.trainedCount }
    /// All layers inside of it.
    public var inner: [ResolvedLayer] { children + branches.flatMap { $0 } }

    /// Floating-point operations of a forward pass for one example, products only.
    public var operations: Int {
        let own =
            switch specification {
            case .dense(let units, _): 2 * input.rows * input.columns * units
            case .convolution(let channels, let height, let width, _, _):
                2 * output.rows * height * width * input.columns * channels
            case .interaction(let units): input.columns * (input.columns / units - 1)
            case .sequence(let layer): layer.operations(input)
            default: 0
            }
        return own + inner.reduce(0) { $0 + $1.operations }
    }

    static func resolve(
        _ layers: [LayerSpecification], input: LayerShape, prefix: String, identifiers: Int
    ) throws(ParameterError) -> ([ResolvedLayer], LayerShape) {
        var shape = input
        var resolved: [ResolvedLayer] = []
        for (index, layer) in layers.enumerated() {
            let next = try resolve(
                layer, input: shape, name: "\(prefix)\(index)", identifiers: identifiers)
            resolved.append(next)
            shape = next.output
        }
        return (resolved, shape)
    }

    private static func resolve(
        _ layer: LayerSpecification, input: LayerShape, name: String, identifiers: Int
    ) throws(ParameterError) -> ResolvedLayer {
        let place = "layer \(name) (\(layer.word))"
        var output = input
        var parameters: [ParameterDescription] = []
        var children: [ResolvedLayer] = []
        var ways: [[ResolvedLayer]] = []
        switch layer {
        case .dense(let units, let bias):
            guard units > 0, units <= 1 << 24 else {
                throw ParameterError(place, "units must be 1 or more, not \(units)")
            }
            output.columns = units
            parameters.append(
                ParameterDescription(
                    name: "\(name).weight", shape: [units, input.columns],
                    start: .glorot(inputs: input.columns, outputs: units)))
            if bias {
                parameters.append(ParameterDescription(name: "\(name).bias", shape: [units], start: .constant(0)))
            }
        case .activation: break
        case .dropout(let probability):
            guard probability >= 0, probability < 1 else {
                throw ParameterError(place, "the probability must be at least 0 and below 1, not \(probability)")
            }
        case .layerNorm(let epsilon):
            guard epsilon > 0 else { throw ParameterError(place, "epsilon must be above 0, not \(epsilon)") }
            parameters = [
                ParameterDescription(name: "\(name).weight", shape: [input.columns], start: .constant(1)),
                ParameterDescription(name: "\(name).bias", shape: [input.columns], start: .constant(0)),
            ]
        case .batchNorm(let epsilon, let momentum):
            parameters = try batchNorm(epsilon, momentum, columns: input.columns, name, place)
        case .sequence(let layer): (output, parameters) = try layer.resolved(input, name: name, place: place)
        case .residual(let layers):
            guard !layers.isEmpty else { throw ParameterError(place, "a residual needs layers inside of it") }
            (children, output) = try resolve(
                layers, input: input, prefix: "\(name).", identifiers: identifiers)
            guard output == input else {
                throw ParameterError(place, "its layers turn \(input) into \(output); a residual needs them alike")
            }
        case .embedding(let tables, let units, let arrangement):
            guard input.rows == 1 else {
                throw ParameterError(place, "an example has one row of identifiers, the layer's input is \(input)")
            }
            parameters = try embeddings(tables, units, name, place, identifiers)
            if arrangement == .steps {
                guard tables.count == 1 else { throw ParameterError(place, "a sequence has one table") }
                output = LayerShape(rows: tables[0].count, columns: units)
                break
            }
            let width = arrangement == .sum ? units : tables.count * units
            output.columns = (arrangement == .append ? input.columns : 0) + width
        case .concatenation(let branches), .sum(let branches):
            guard !branches.isEmpty, branches.allSatisfy({ !$0.isEmpty }) else {
                throw ParameterError(place, "there must be branches, and layers in each")
            }
            var outputs: [LayerShape] = []
            for (index, branch) in branches.enumerated() {
                let (layers, shape) = try resolve(
                    branch, input: input, prefix: "\(name).\(index).", identifiers: identifiers)
                ways.append(layers)
                outputs.append(shape)
            }
            output = outputs[0]
            if case .sum = layer {
                if let other = outputs.first(where: { $0 != output }) {
                    throw ParameterError(place, "its branches give \(output) and \(other); a sum needs them alike")
                }
            } else {
                if let other = outputs.first(where: { $0.rows != output.rows }) {
                    throw ParameterError(
                        place, "its branches give \(output) and \(other), which don't fit side by side")
                }
                output.columns = outputs.reduce(0) { $0 + $1.columns }
            }
        case .convolution(let channels, let height, let width, let stride, let padding):
            guard channels > 0, channels <= 1 << 16 else {
                throw ParameterError(place, "channels must be from 1 to 65536, not \(channels)")
            }
            output = try slide((height, width), stride, padding, over: input, place)
            output.columns = channels
            parameters = [
                ParameterDescription(
                    name: "\(name).weight", shape: [channels, height, width, input.columns],
                    start: .normal(deviation: (2 / Float(height * width * input.columns)).squareRoot())),
                ParameterDescription(name: "\(name).bias", shape: [channels], start: .constant(0)),
            ]
        case .pooling(_, let height, let width, let stride):
            output = try slide((height, width), stride, 0, over: input, place)
        case .globalMean: output = LayerShape(columns: input.columns)
        case .flatten: output = LayerShape(columns: input.rows * input.columns)
        case .lastStep: output = LayerShape(columns: input.columns)
        case .interaction(let units):
            guard units >= 1, input.rows == 1, input.columns % units == 0, input.columns >= 2 * units else {
                throw ParameterError(place, "its input \(input) is not two or more vectors of \(units)")
            }
            let vectors = input.columns / units
            output.columns = units + vectors * (vectors - 1) / 2
        }
        return ResolvedLayer(
            specification: layer, name: name, input: input, output: output, parameters: parameters,
            children: children, branches: ways)
    }

    /// The shape of what a window makes of a picture.
    private static func slide(
        _ window: (height: Int, width: Int), _ stride: Int, _ padding: Int, over input: LayerShape, _ place: String
    ) throws(ParameterError) -> LayerShape {
        let (height, width) = input.picture
        let size = "a window of \(window.height) × \(window.width)"
        guard window.height >= 1, window.width >= 1, stride >= 1, padding >= 0, padding < max(window.width, 1) else {
            throw ParameterError(place, "\(size), stride \(stride), padding \(padding) is none")
        }
        let grid = input.grid(window, stride: stride, padding: padding)
        guard height + 2 * grid.paddingHeight >= window.height, width + 2 * padding >= window.width,
            grid.paddingHeight < window.height
        else { throw ParameterError(place, "\(size), padding \(padding), does not fit its input \(input)") }
        var output = LayerShape(rows: grid.outputPixels, columns: input.columns)
        output.width = input.width == nil ? nil : grid.outputWidth
        return output
    }

    private static func embeddings(
        _ tables: [EmbeddingTable], _ units: Int, _ name: String, _ place: String, _ identifiers: Int
    ) throws(ParameterError) -> [ParameterDescription] {
        guard units >= 1, units <= 1 << 16 else {
            throw ParameterError(place, "units must be from 1 to 65536, not \(units)")
        }
        guard !tables.isEmpty else {
            throw ParameterError(place, "there are no events to look vectors up for; `apus train rnn` reads sequences")
        }
        guard tables.reduce(0, { $0 + $1.rows }) < 1 << 31 else {
            throw ParameterError(place, "its tables have more than 2³¹ rows")
        }
        var parameters: [ParameterDescription] = []
        for (index, table) in tables.enumerated() {
            guard table.rows >= 1 else {
                throw ParameterError(place, "table \(index) must have 1 row or more, not \(table.rows)")
            }
            guard table.column >= 0, table.count >= 1, table.column + table.count <= identifiers else {
                throw ParameterError(
                    place,
                    "table \(index) reads the identifiers \(table.column) to \(table.column + table.count - 1), of which "
                        + "there are \(identifiers)")
            }
            parameters.append(
                ParameterDescription(
                    name: "\(name).\(index).weight", shape: [table.rows, units], start: .uniform(bound: 0.05),
                    role: .table(layer: name)))
        }
        return parameters
    }
}
