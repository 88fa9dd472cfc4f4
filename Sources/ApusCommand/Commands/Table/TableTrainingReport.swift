import Compute
import Core
import Learners
import Tables

/// What training on a table prints at its end.
struct TableTrainingReport {
    let result: TableTrainingResult
    let output: String?
    let device: any Device
    let global: GlobalOptions
    let loadSeconds: Double
    let totalSeconds: Double

    func print() {
        if global.json {
            Output.json(json)
            return
        }
        let model = result.model
        Output.line(
            "\(output.map { $0 + ": " } ?? "")\(type(of: model.learner).title), target \(model.roles.target)"
                + (model.task.isClassification
                    ? " (\(model.task.labels.prefix(5).joined(separator: ", "))\(model.task.labels.count > 5 ? ", …" : ""))"
                    : "") + ", \(result.trainedRows) rows, \(model.pipeline.recipe.features.count) features")
        Output.line(
            "seconds: load \(fixed(loadSeconds, 2)), train \(fixed(result.seconds.train, 2)), "
                + "evaluate \(fixed(result.seconds.evaluate, 2)); peak memory \(byteSize(MemoryMeter.peakAnonymousBytes()))"
        )
        guard let evaluation = result.evaluation else { return }
        EvaluationReport.print(evaluation, task: model.task)
        if let profit = result.profit { Output.line(ProfitReport.sentence(profit)) }
    }

    private var json: JSONValue {
        let model = result.model
        var members: [(String, JSONValue)] = [
            ("model", .optional(output)), ("learner", .string(model.kind)),
            ("task", .string(model.task.kind.rawValue)), ("target", .string(model.roles.target)),
            ("labels", .array(model.task.labels.map { .string($0) })),
            ("device", .string(device.identity.name)), ("device_model", .string(device.identity.model)),
            ("seed", .integer(Int(truncatingIfNeeded: model.provenance.seed))),
            ("rows", .integer(model.provenance.rows)), ("trained_rows", .integer(result.trainedRows)),
            ("features", .integer(model.pipeline.recipe.features.count)),
            ("parameters", EvaluationReport.parameters(of: model.learner)),
            (
                "fit",
                .object(model.pipeline.predictor.facts.map { ($0.name, JSONValue.number($0.value)) })
            ),
        ]
        if let evaluation = result.evaluation { members += EvaluationReport.json(evaluation, task: model.task) }
        if let profit = result.profit { members.append(("profit", ProfitReport.json(profit))) }
        members += [
            (
                "seconds",
                .object([
                    ("load", .number(loadSeconds)), ("prepare", .number(result.seconds.prepare)),
                    ("compile", .number(device.compileSeconds)), ("train", .number(result.seconds.train)),
                    ("evaluate", .number(result.seconds.evaluate)), ("total", .number(totalSeconds)),
                    ("per_iteration", .array(model.pipeline.predictor.iterationSeconds.map { .number($0) })),
                ])
            ),
            ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
            ("notes", .array(model.provenance.notes.map { .string($0) })),
        ]
        return .object(members)
    }
}

/// Figures of predictions, as a table and as JSON.
enum EvaluationReport {
    static func print(_ evaluation: SupervisedEvaluation, task: SupervisedTask) {
        MetricReport.print(
            metrics: evaluation.metrics, baselines: evaluation.baselines, evaluated: evaluation.rows)
        if task.kind == .binary {
            Output.line("")
            Output.table(
                ["decile", "rows", "mean probability", task.labels[1], "rate", "lift", "gain"],
                evaluation.deciles.map {
                    [
                        "\($0.decile)", fixed($0.weight, 0), fixed($0.meanProbability, 4), fixed($0.positives, 0),
                        fixed($0.rate, 4), fixed($0.lift, 2), fixed($0.cumulativeGain, 4),
                    ]
                })
            Output.line(
                "from probability \(fixed(evaluation.threshold ?? 0.5, 4)) on said to be \(task.labels[1])")
        }
        if task.isClassification, task.labels.count <= 12, !evaluation.confusion.isEmpty {
            let k = task.labels.count
            Output.line("")
            Output.table(
                ["actual \\ said"] + task.labels,
                (0..<k).map { row in
                    [task.labels[row]] + (0..<k).map { fixed(evaluation.confusion[row * k + $0], 0) }
                })
        }
    }

    static func json(_ evaluation: SupervisedEvaluation, task: SupervisedTask) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = [("evaluated", .integer(evaluation.rows))]
        members += MetricReport.json(metrics: evaluation.metrics, baselines: evaluation.baselines)
        guard task.isClassification else { return members }
        let k = task.labels.count
        members.append(
            (
                "confusion",
                .array((0..<k).map { row in .array((0..<k).map { .number(evaluation.confusion[row * k + $0]) }) })
            ))
        guard task.kind == .binary else { return members }
        members.append(("threshold", .number(evaluation.threshold ?? 0.5)))
        members.append(
            (
                "deciles",
                .array(
                    evaluation.deciles.map {
                        .object([
                            ("decile", .integer($0.decile)), ("rows", .number($0.weight)),
                            ("positives", .number($0.positives)),
                            ("mean_probability", .number($0.meanProbability)), ("rate", .number($0.rate)),
                            ("lift", .number($0.lift)), ("cumulative_lift", .number($0.cumulativeLift)),
                            ("cumulative_gain", .number($0.cumulativeGain)),
                        ])
                    })
            ))
        return members
    }

    /// The learner's parameters, by name.
    static func parameters(of learner: any SupervisedLearner) -> JSONValue {
        guard let parameters = try? learner.parameters() else { return .null }
        return .object(parameters.sorted { $0.key < $1.key }.map { ($0.key, json($0.value)) })
    }

    static func json(_ value: ParameterValue) -> JSONValue {
        switch value {
        case .flag(let flag): .bool(flag)
        case .number(let number): Int(exactly: number).map { .integer($0) } ?? .number(number)
        case .text(let text): .string(text)
        case .list(let values): .array(values.map(json))
        }
    }
}

/// Where decisions earn most.
enum ProfitReport {
    static func sentence(_ profit: ProfitThreshold) -> String {
        profit.threshold.isFinite
            ? "the most, \(fixed(profit.profit, 2)), is earned from probability \(fixed(profit.threshold, 4)) on: "
                + "\(fixed(100 * profit.share, 1)) % of the rows"
            : "the most, \(fixed(profit.profit, 2)), is earned by saying it of nobody"
    }

    static func json(_ profit: ProfitThreshold) -> JSONValue {
        .object([
            ("threshold", .number(profit.threshold)), ("profit", .number(profit.profit)),
            ("share", .number(profit.share)),
        ])
    }
}
