import ArgumentParser
import Core
import FoundationEssentials
import Learners

/// `apus inspect`
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Say what a model file holds and how it came to be.")

    @Argument(help: "The model file.")
    var path: String?
    @Option(help: "The model file.")
    var model: String?
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard (path != nil) != (model != nil) else { throw ValidationError("name one model file") }
    }

    func run() throws {
        let file = model ?? path ?? ""
        if try SavedModel(path: file) == .table { return try TableInspection(path: file, global: global).run() }
        let model = try RecommenderModel(path: file)
        let tensors = try SafetensorsFile(path: file).tensors
        let provenance = model.provenance
        let created = Date(timeIntervalSince1970: Double(provenance.createdAt)).formatted(.iso8601)
        var members: [(String, JSONValue)] = [
            ("kind", .string(model.kind)), ("apus_version", .string(provenance.apusVersion)),
            ("created", .string(created)), ("device", .string(provenance.device)),
            ("threads", .integer(provenance.threads)), ("users", .integer(model.users.count)),
            ("items", .integer(model.items.count)), ("interactions", .integer(model.seen.entryCount)),
            ("titles", .bool(model.itemTitles != nil)), ("iterations", .integer(provenance.iterations)),
        ]
        members += model.learned.facts.map { ($0.name, JSONValue($0.value)) }
        members += [
            ("split", .optional(provenance.split?.kind.rawValue)), ("refitted", .bool(provenance.refitted)),
            ("data_bytes", provenance.fingerprint.map { .integer($0.byteCount) } ?? .null),
            ("data_hash", .optional(provenance.fingerprint?.hash)),
            (
                "arguments",
                .string(
                    (provenance.configuration["arguments"] ?? "").split(separator: "\u{1F}").joined(separator: " "))
            ),
        ]
        let metrics = provenance.metrics.sorted { $0.key < $1.key }
        if global.json {
            Output.json(
                .object(
                    members + [
                        ("metrics", .object(metrics.map { ($0.key, .number($0.value.value)) })),
                        (
                            "intervals",
                            .object(metrics.map { ($0.key, .array([.number($0.value.low), .number($0.value.high)])) })
                        ),
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
                    ]))
            return
        }
        for (name, value) in members { Output.line("\(name): \(plain(value))") }
        for (name, value) in metrics {
            Output.line("\(name): \(fixed(value.value, 4)) (\(fixed(value.low, 4)) – \(fixed(value.high, 4)))")
        }
        Output.line("")
        Output.table(
            ["tensor", "type", "shape"],
            tensors.map { [$0.name, $0.type.rawValue, $0.shape.map(String.init).joined(separator: " × ")] })
    }

    private func plain(_ value: JSONValue) -> String {
        if case .string(let text) = value { return text }
        return value.text
    }
}

extension JSONValue {
    /// A parameter of a model.
    init(_ fact: ModelFact) {
        switch fact {
        case .text(let text): self = .string(text)
        case .integer(let value): self = .integer(value)
        case .number(let value): self = .number(value)
        case .flag(let value): self = .bool(value)
        }
    }
}
