import ArgumentParser
import Core
import FoundationEssentials
import Learners
import Tables

/// `apus explain-architecture`
struct ExplainArchitectureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain-architecture",
        abstract: "The layers of a network: shapes, parameters, operations, memory.",
        discussion: "Of a model, or of the layers that `apus train net` would make of the same flags.")

    @Option(help: "A model of `apus train net`.")
    var model: String?
    @Option(help: "A file with the layers, YAML.")
    var architecture: String?
    @Option(help: "Columns of the features.")
    var inputs: Int?
    @Option(help: "Outputs: 1 for two classes or a number, else the classes.")
    var outputs = 1
    @Option(help: "Units of the hidden layers, separated by commas.")
    var hidden = NumberList([64, 64])
    @Option(help: "relu, gelu, silu, sigmoid, tanh or softmax.")
    var activation = ActivationName.relu
    @Option(name: .customLong("batch-size"), help: "Rows of a training step, for the memory.")
    var batchSize = NetworkLearner().batchSize
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if model == nil, inputs == nil { throw ValidationError("--model or --inputs is needed") }
        if let inputs, inputs < 1 { throw ValidationError("--inputs must be 1 or more") }
        if outputs < 1 { throw ValidationError("--outputs must be 1 or more") }
        if batchSize < 1 { throw ValidationError("--batch-size must be 1 or more") }
    }

    func run() throws {
        let network = try described().resolved()
        let layers = flattened(network.layers)
        // Values and gradients of every layer, parameters with gradients and two moments.
        let values = layers.reduce(0) { $0 + $1.output.rows * $1.output.columns }
        let memory = 4 * (2 * batchSize * values + 4 * network.parameterCount)
        let operations = network.layers.reduce(0) { $0 + $1.operations }
        if global.json {
            Output.json(
                .object([
                    ("layers", .array(layers.map(json))), ("parameters", .integer(network.parameterCount)),
                    ("operations_per_row", .integer(operations)), ("training_memory_bytes", .integer(memory)),
                ]))
            return
        }
        Output.table(
            ["layer", "kind", "input", "output", "parameters", "operations"],
            layers.map {
                [
                    $0.name, kind($0), "\($0.input)", "\($0.output)",
                    "\($0.parameterCount)", $0.inner.isEmpty ? "\($0.operations)" : "",
                ]
            })
        Output.line("")
        Output.line(
            "\(network.parameterCount) parameters, \(operations) operations for a row, about \(byteSize(memory)) of "
                + "memory to train in batches of \(batchSize)")
    }

    private func described() throws -> NetworkArchitecture {
        if let model {
            guard let network = try TableModel(path: model).pipeline.predictor as? NetworkPredictor else {
                throw DataError("the model holds no network", file: model)
            }
            return network.settings.architecture
        }
        let shape = LayerShape(columns: inputs ?? 1)
        guard let architecture else {
            return .perceptron(
                inputs: shape.columns, hidden: hidden.numbers, activation: activation, outputs: outputs)
        }
        let layers = try ArchitectureFile.layers(architecture)
        return NetworkArchitecture(input: shape, layers: layers + [.dense(units: outputs, bias: true)])
    }

    private func flattened(_ layers: [ResolvedLayer]) -> [ResolvedLayer] {
        layers.flatMap { [$0] + flattened($0.inner) }
    }

    private func kind(_ layer: ResolvedLayer) -> String {
        switch layer.specification {
        case .activation(let name): name.rawValue
        case .dropout(let probability): "dropout \(probability)"
        case .convolution(_, let height, let width, _, _): "convolution \(height) × \(width)"
        case .pooling(_, let height, let width, _): "\(layer.specification.word) \(height) × \(width)"
        default: layer.specification.word
        }
    }

    private func json(_ layer: ResolvedLayer) -> JSONValue {
        .object([
            ("name", .string(layer.name)), ("kind", .string(kind(layer))), ("input", .string("\(layer.input)")),
            ("output", .string("\(layer.output)")),
            ("parameters", .integer(layer.parameterCount)),
            ("operations", .integer(layer.operations)),
        ])
    }
}

/// Files with the layers of a network.
enum ArchitectureFile {
    /// The text of a file, which says layers. Throws ``DataError`` with file, line and key for what is not understood.
    static func text(_ path: String) throws(DataError) -> String { try read(path).text }

    /// The layers of a file. Throws ``DataError`` with file, line and key for what is not understood.
    static func layers(_ path: String) throws(DataError) -> [LayerSpecification] { try read(path).layers }

    private static func read(_ path: String) throws(DataError) -> (text: String, layers: [LayerSpecification]) {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw DataError("the file can't be read; check its name", file: path)
        }
        let text = String(decoding: data, as: UTF8.self)
        do {
            return (text, try ArchitectureText.layers(text))
        } catch {
            throw DataError(error.reason, file: path, line: error.line, column: error.column)
        }
    }
}
