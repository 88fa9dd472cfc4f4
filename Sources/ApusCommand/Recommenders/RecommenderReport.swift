import Compute
import Core
import Learners

/// What the training of a recommender prints at its end.
struct RecommenderReport {
    let flags: RecommenderFlags
    let result: FittedRecommender
    let device: any Device
    let interactions: Int
    let loadSeconds: Double
    let saveSeconds: Double
    let totalSeconds: Double

    func print() {
        if flags.global.json {
            Output.json(json)
            return
        }
        let model = result.model
        Output.line(
            "\(flags.output): \(model.kind), \(model.users.count) users, \(model.items.count) items, "
                + "\(interactions) interactions")
        Output.line(
            model.learned.facts.map { "\($0.name.replacing("_", with: " ")) \(plain($0.value))" }
                .joined(separator: ", "))
        Output.line(
            "seconds: load \(fixed(loadSeconds, 2)), prepare \(fixed(result.seconds.prepare, 2)), "
                + "compile \(fixed(device.compileSeconds, 2)), train \(fixed(result.seconds.train, 2)), "
                + "evaluate \(fixed(result.seconds.evaluate, 2)); peak memory \(byteSize(MemoryMeter.peakAnonymousBytes()))"
        )
        let shown = result.metrics.filter { metric in
            !metric.name.contains("@") || metric.name.hasSuffix("@20")
                || ["recall@100", "ndcg@100"].contains(metric.name)
        }
        MetricReport.print(metrics: shown, baselines: result.baselines, evaluated: result.evaluated)
    }

    private func plain(_ fact: ModelFact) -> String {
        switch fact {
        case .text(let text): text
        case .integer(let value): String(value)
        case .number(let value): value == value.rounded() && abs(value) < 1e9 ? String(Int(value)) : "\(Float(value))"
        case .flag(let value): value ? "yes" : "no"
        }
    }

    private var json: JSONValue {
        let model = result.model
        return .object(
            [
                ("model", .string(flags.output)), ("kind", .string(model.kind)),
                ("device", .string(device.identity.name)), ("device_model", .string(device.identity.model)),
                ("driver", .string(device.identity.driver)), ("threads", .integer(device.limits.computeUnits)),
                ("host_work", .optional(hostWork(model.kind))),
                ("seed", .integer(Int(truncatingIfNeeded: flags.seed))),
                ("configuration", .object(model.learned.facts.map { ($0.name, JSONValue($0.value)) })),
                ("users", .integer(model.users.count)), ("items", .integer(model.items.count)),
                ("interactions", .integer(interactions)), ("evaluated", .integer(result.evaluated)),
            ] + MetricReport.json(metrics: result.metrics, baselines: result.baselines) + [
                (
                    "seconds",
                    .object([
                        ("load", .number(loadSeconds)), ("prepare", .number(result.seconds.prepare)),
                        ("compile", .number(device.compileSeconds)), ("train", .number(result.seconds.train)),
                        ("evaluate", .number(result.seconds.evaluate)), ("save", .number(saveSeconds)),
                        ("total", .number(totalSeconds)), ("per_iteration", .array([])),
                    ])
                ),
                ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                ("warning", .optional(result.warning)),
            ])
    }

    /// What runs on the host by its nature, whatever the device.
    private func hostWork(_ kind: String) -> String? {
        switch kind {
        case "ease": "inverse of the Gram matrix by LAPACK; choice of the best items"
        case "neighbors": "products of sparse rows, choice of the best, scoring"
        case "bpr": "gradient steps"
        case "content": "vectors of the attributes"
        case "hybrid": "blending"
        case "popular": "counting and ranking"
        default: nil
        }
    }
}
