import ArgumentParser
import Compute
import Core
import Devices
import Learners
import Tables

/// What `apus quantize` and `apus prune` share.
struct CompressionFlags: ParsableArguments {
    @Option(help: "A model of a network on a table.")
    var model: String
    @Option(help: "The model file to write.")
    var output: String
    @OptionGroup var data: ModelDataFlags
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func run(_ kind: String, _ compress: (ModelCompression) throws -> CompressedModel) throws {
        try OutputFolder.check(output)
        guard try SavedModel(path: model) == .table else {
            throw DataError("this is no model of a table; only networks can be made smaller", file: model)
        }
        let saved = try TableModel(path: model)
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let table = try saved.supervised(try data.read(for: saved, global, progress))
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let result: CompressedModel
        do {
            result = try compress(try ModelCompression(saved, table, context: context))
        } catch let error as DataError where error.file == nil {
            throw DataError(error.reason, file: model)
        }
        ProgressDisplay.clearLine()
        try result.model.save(to: output)
        report(kind, result, device)
    }

    private func report(_ kind: String, _ result: CompressedModel, _ device: any Device) {
        let pairs = zip(result.before.metrics, result.after.metrics).map {
            (name: $0.name, before: $0.value.value, after: $1.value.value)
        }
        if global.json {
            var members: [(String, JSONValue)] = [
                ("model", .string(output)), ("kind", .string(kind)), ("device", .string(device.identity.name)),
                ("rows_judged", .integer(result.rows.judged)), ("rows_used", .integer(result.rows.used)),
                ("parameter_bytes", pair(Double(result.bytes.before), Double(result.bytes.after))),
                ("sparsity", .number(result.sparsity)),
                ("predict_seconds", pair(result.seconds.before, result.seconds.after)),
                ("metrics", .object(pairs.map { ($0.name, pair($0.before, $0.after)) })),
            ]
            if let history = result.history { members.append(("losses", .array(history.losses.map { .number($0) }))) }
            Output.json(.object(members))
            return
        }
        Output.line(
            "\(output): parameters \(byteSize(result.bytes.before)) → \(byteSize(result.bytes.after)), "
                + "\(fixed(100 * result.sparsity, 1)) % of the weights are 0")
        Output.line(
            "\(result.rows.judged) rows judge; predicting them takes \(fixed(1000 * result.seconds.before, 2)) ms, now "
                + "\(fixed(1000 * result.seconds.after, 2)) ms")
        Output.line("")
        Output.table(
            ["metric", "before", "after", "change"],
            pairs.map { [$0.name, fixed($0.before, 5), fixed($0.after, 5), fixed($0.after - $0.before, 5)] })
    }

    private func pair(_ before: Double, _ after: Double) -> JSONValue {
        .object([("before", .number(before)), ("after", .number(after)), ("change", .number(after - before))])
    }
}

/// `apus quantize`
struct QuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize", abstract: "A network in 8 bits: a quarter of the size, faster to predict with.",
        discussion: """
            Weights get a step for each output of their layer, the inputs of layers one found on the rows of --data. With \
            the table that the model was trained with, the rows held out then show what changes; else a fifth does.
            """)

    @OptionGroup var flags: CompressionFlags

    func run() throws { try flags.run("quantize") { try $0.quantized() } }
}

/// `apus prune`
struct PruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "A network without its smallest weights, trained on with those that stay.",
        discussion: """
            Of every dense layer the weights of smallest magnitude become 0 and stay so. With the table that the model \
            was trained with, the rows held out then show what changes; else a fifth does.
            """)

    @Option(help: "The share of each layer's weights that goes.")
    var sparsity = 0.5
    @Option(help: "Passes over the rows afterwards; 0 for none.")
    var epochs = 3
    @Option(name: .customLong("learning-rate"), help: "Of these passes (default: a tenth of the model's).")
    var learningRate: Float?
    @OptionGroup var flags: CompressionFlags

    func validate() throws {
        guard sparsity >= 0, sparsity < 1 else {
            throw ValidationError("--sparsity must be at least 0 and below 1, not \(sparsity)")
        }
        guard epochs >= 0 else { throw ValidationError("--epochs must be 0 or more") }
        if let learningRate, !(learningRate > 0) { throw ValidationError("--learning-rate must be above 0") }
    }

    func run() throws {
        try flags.run("prune") { try $0.pruned(sparsity: sparsity, epochs: epochs, learningRate: learningRate) }
    }
}
