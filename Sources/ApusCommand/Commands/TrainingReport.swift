import Compute
import Core
import Learners
import Tables

/// What `train als` prints at its end.
struct TrainingReport {
    let command: TrainALSCommand
    let result: RecommenderTrainingResult
    let data: DataSummary
    let device: any Device
    let loadSeconds: Double
    let saveSeconds: Double
    let totalSeconds: Double

    func print() {
        if command.global.json {
            Output.json(json)
            return
        }
        Output.line(
            "\(command.output): \(data.users) users, \(data.items) items, "
                + "\(data.interactions) interactions, \(result.options.factors) factors")
        Output.line(
            "device \(device.identity.name) (\(device.identity.model)), solver \(result.options.solver.rawValue), "
                + "\(result.history.iterations) iterations in \(duration(result.history.seconds.reduce(0, +)))"
                + (result.history.bestIteration > 0 ? ", best \(result.history.bestIteration)" : ""))
        Output.line(
            "seconds: load \(fixed(loadSeconds, 2)), prepare \(fixed(result.seconds.prepare, 2)), "
                + "compile \(fixed(device.compileSeconds, 2)), train \(fixed(result.seconds.train, 2)), "
                + "evaluate \(fixed(result.seconds.evaluate, 2)); peak memory \(byteSize(MemoryMeter.peakAnonymousBytes()))"
        )
        // What people look at first; --json and `evaluate` have the rest.
        let shown = result.metrics.filter { metric in
            !metric.name.contains("@") || metric.name.hasSuffix("@20")
                || ["recall@100", "ndcg@100"].contains(metric.name)
        }
        MetricReport.print(metrics: shown, baselines: result.baselines, evaluated: result.evaluated)
    }

    private var json: JSONValue {
        .object(
            [
                ("model", .string(command.output)),
                ("device", .string(device.identity.name)),
                ("device_model", .string(device.identity.model)),
                ("driver", .string(device.identity.driver)),
                ("host_algebra", "LAPACK symmetric eigenproblem of the Gram matrix, twice an iteration"),
                ("threads", .integer(device.limits.computeUnits)),
                ("seed", .integer(Int(truncatingIfNeeded: command.seed))),
                ("solver", .string(result.options.solver.rawValue)),
                ("feedback", .string(result.options.feedback.rawValue)),
                ("confidence", .string(result.options.confidence.rawValue)),
                ("factors", .integer(result.options.factors)),
                ("iterations", .integer(result.history.iterations)),
                ("best_iteration", result.history.bestIteration > 0 ? .integer(result.history.bestIteration) : .null),
                ("users", .integer(data.users)),
                ("items", .integer(data.items)),
                ("interactions", .integer(data.interactions)),
                ("evaluated", .integer(result.evaluated)),
            ] + MetricReport.json(metrics: result.metrics, baselines: result.baselines) + [
                ("losses", .array(result.history.losses.map { .number($0) })),
                ("validation", .array(result.history.validation.map { .number(abs($0)) })),
                (
                    "seconds",
                    .object([
                        ("load", .number(loadSeconds)), ("prepare", .number(result.seconds.prepare)),
                        ("compile", .number(device.compileSeconds)), ("train", .number(result.seconds.train)),
                        ("evaluate", .number(result.seconds.evaluate)), ("save", .number(saveSeconds)),
                        ("total", .number(totalSeconds)),
                        ("per_iteration", .array(result.history.seconds.map { .number($0) })),
                    ])
                ),
                ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                ("warning", .optional(result.warning)),
            ])
    }
}

/// What is said of the data at the end, when they are no longer in memory.
struct DataSummary {
    let users: Int
    let items: Int
    let interactions: Int

    init(_ divided: DividedInteractions) {
        users = divided.users.count
        items = divided.items.count
        interactions = divided.split.trainingByUser.entryCount + divided.split.heldOut.entryCount
    }
}

/// Metrics beside their baselines, as a table and as JSON.
enum MetricReport {
    typealias Metrics = [(name: String, value: MetricValue)]

    static func print(metrics: Metrics, baselines: [(name: String, metrics: Metrics)], evaluated: Int) {
        guard !metrics.isEmpty else { return }
        let header = ["metric", "model", "95 % interval"] + baselines.map(\.name)
        let rows = metrics.map { metric in
            [
                metric.name, fixed(metric.value.value, 4),
                "\(fixed(metric.value.low, 4)) – \(fixed(metric.value.high, 4))",
            ]
                + baselines.map { baseline in
                    baseline.metrics.first { $0.name == metric.name }.map { fixed($0.value.value, 4) } ?? ""
                }
        }
        Output.line("")
        Output.table(header, rows)
        Output.line("\(evaluated) held out")
    }

    /// `metrics` and `baselines` hold numbers, `intervals` the same names with [low, high].
    static func json(metrics: Metrics, baselines: [(name: String, metrics: Metrics)]) -> [(String, JSONValue)] {
        func numbers(_ metrics: Metrics) -> JSONValue {
            .object(metrics.map { ($0.name, .number($0.value.value)) })
        }
        func intervals(_ metrics: Metrics) -> JSONValue {
            .object(metrics.map { ($0.name, .array([.number($0.value.low), .number($0.value.high)])) })
        }
        return [
            ("metrics", numbers(metrics)),
            ("intervals", intervals(metrics)),
            ("baselines", .object(baselines.map { ($0.name, numbers($0.metrics)) })),
            ("baseline_intervals", .object(baselines.map { ($0.name, intervals($0.metrics)) })),
        ]
    }
}
