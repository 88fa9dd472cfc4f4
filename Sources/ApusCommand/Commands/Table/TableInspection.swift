import Core
import FoundationEssentials
import Learners
import Tables

/// `apus inspect` for models of tables.
struct TableInspection {
    let path: String
    let global: GlobalOptions

    func run() throws {
        let model = try TableModel(path: path)
        let tensors = try SafetensorsFile(path: path).tensors
        let provenance = model.provenance
        let created = Date(timeIntervalSince1970: Double(provenance.createdAt)).formatted(.iso8601)
        let recipe = try RecipeFile.text(model.pipeline.recipe.recipe)
        var members: [(String, JSONValue)] = [
            ("kind", .string(model.kind)), ("apus_version", .string(provenance.apusVersion)),
            ("created", .string(created)), ("device", .string(provenance.device)),
            ("threads", .integer(provenance.threads)), ("task", .string(model.task.kind.rawValue)),
            ("target", .string(model.roles.target)),
            ("labels", .array(model.task.labels.map { .string($0) })), ("rows", .integer(provenance.rows)),
            ("trained_rows", .integer(provenance.trainedRows)), ("split", .string(provenance.split.rawValue)),
            ("test_share", .number(provenance.testShare)), ("refitted", .bool(provenance.refitted)),
            ("sampling", .string(provenance.sampling.rawValue)), ("balanced", .bool(provenance.balanced)),
            ("calibration", .string(model.pipeline.calibration?.kind.rawValue ?? "none")),
            ("threshold", model.task.kind == .binary ? .number(model.threshold) : .null),
            ("seed", .integer(Int(truncatingIfNeeded: provenance.seed))),
            ("features", .integer(model.pipeline.recipe.features.count)),
            ("data_hash", .string(provenance.fingerprint)),
            ("arguments", .string(provenance.arguments.joined(separator: " "))),
        ]
        members += model.pipeline.predictor.facts.map { ($0.name, .number($0.value)) }
        let metrics = provenance.metrics.sorted { $0.key < $1.key }
        if global.json {
            members += [
                ("parameters", EvaluationReport.parameters(of: model.learner)), ("recipe", .string(recipe)),
                (
                    "columns",
                    .array(
                        model.pipeline.recipe.inputs.columns.map {
                            .object([("name", .string($0.name)), ("type", .string($0.type.rawValue))])
                        })
                ), ("metrics", .object(metrics.map { ($0.key, .number($0.value.value)) })),
                (
                    "intervals",
                    .object(metrics.map { ($0.key, .array([.number($0.value.low), .number($0.value.high)])) })
                ),
                ("notes", .array(provenance.notes.map { .string($0) })),
                (
                    "tensors",
                    .array(
                        tensors.map {
                            .object([
                                ("name", .string($0.name)), ("type", .string($0.type.rawValue)),
                                ("shape", .array($0.shape.map { .integer($0) })),
                            ])
                        })
                ),
            ]
            Output.json(.object(members))
            return
        }
        for (name, value) in members { Output.line("\(name): \(plain(value))") }
        for (name, value) in try model.learner.parameters().sorted(by: { $0.key < $1.key }) {
            Output.line("parameter \(name): \(value.text)")
        }
        for (name, value) in metrics {
            Output.line("\(name): \(fixed(value.value, 4)) (\(fixed(value.low, 4)) – \(fixed(value.high, 4)))")
        }
        for note in provenance.notes { Output.line("note: \(note)") }
        Output.line("")
        Output.table(
            ["column", "type"], model.pipeline.recipe.inputs.columns.map { [$0.name, $0.type.rawValue] })
        Output.line("")
        Output.line("recipe:")
        for line in recipe.split(separator: "\n", omittingEmptySubsequences: false) { Output.line("  \(line)") }
        Output.table(
            ["tensor", "type", "shape"],
            tensors.map { [$0.name, $0.type.rawValue, $0.shape.map(String.init).joined(separator: " × ")] })
    }

    private func plain(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .array(let values): values.map(plain).joined(separator: ", ")
        default: value.text
        }
    }
}
