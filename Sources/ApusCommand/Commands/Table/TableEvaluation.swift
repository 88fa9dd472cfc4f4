import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// `apus evaluate` for models of tables.
struct TableEvaluation {
    let modelPath: String
    let read: (TableModel, ProgressDisplay) throws -> Table
    let value: String?
    let deviceOption: DeviceOption
    let global: GlobalOptions

    func run() throws {
        MemoryMeter.start()
        let started = monotonicSeconds()
        let decision = try value.map { try DecisionValue($0) }
        let model = try TableModel(path: modelPath)
        if decision != nil, model.task.kind != .binary {
            throw ParameterError("value", "decisions by a threshold need a target of two classes")
        }
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let data = try model.supervised(try read(model, progress))
        let loaded = monotonicSeconds()
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let judged = try JudgedRows(model, data, context)
        ProgressDisplay.clearLine()
        if judged.hasLearnedFrom {
            global.remark("warning: the model has learned from these rows; the figures are too good")
        }
        let finished = monotonicSeconds()
        let profit = decision.map { value in
            (
                chosen: SupervisedEvaluation.profit(
                    judged.predictions, target: judged.data.target, weights: judged.data.weights, value: value,
                    threshold: model.threshold),
                best: SupervisedEvaluation.profit(
                    judged.predictions, target: judged.data.target, weights: judged.data.weights, value: value)
            )
        }
        if global.json {
            var members: [(String, JSONValue)] = [
                ("model", .string(modelPath)), ("learner", .string(model.kind)),
                ("device", .string(device.identity.name)), ("task", .string(model.task.kind.rawValue)),
                ("labels", .array(model.task.labels.map { .string($0) })),
                ("scored", .string(judged.sentence)),
            ]
            members += EvaluationReport.json(judged.evaluation, task: model.task)
            if let profit {
                members.append(("profit_at_threshold", .number(profit.chosen)))
                members.append(("profit", ProfitReport.json(profit.best)))
            }
            members += [
                (
                    "seconds",
                    .object([
                        ("load", .number(loaded - started)), ("prepare", 0),
                        ("compile", .number(device.compileSeconds)), ("train", 0),
                        ("evaluate", .number(finished - loaded)), ("per_iteration", .array([])),
                    ])
                ), ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
            ]
            Output.json(.object(members))
        } else {
            Output.line("scored: \(judged.sentence)")
            EvaluationReport.print(judged.evaluation, task: model.task)
            if let profit {
                Output.line("profit at the model's threshold: \(fixed(profit.chosen, 2))")
                Output.line(ProfitReport.sentence(profit.best))
            }
        }
    }
}

/// The rows of a table that a model is judged by, predicted.
struct JudgedRows {
    let data: SupervisedTable
    let features: Features
    let predictions: HostMatrix
    let evaluation: SupervisedEvaluation
    /// What was scored, for people.
    let sentence: String
    /// Whether the model has learned from these very rows.
    let hasLearnedFrom: Bool

    init(_ model: TableModel, _ whole: SupervisedTable, _ context: LearningContext) throws {
        let (rows, isHeldOut) = try model.rowsToJudge(whole)
        data = isHeldOut ? whole.selecting(rows: rows) : whole
        hasLearnedFrom = !isHeldOut && whole.fingerprint == model.provenance.fingerprint
        sentence =
            isHeldOut
            ? "the \(rows.count) rows of this table that the model has not learned from"
            : "all \(rows.count) rows of the table"
        features = try model.pipeline.recipe.apply(data.table)
        predictions = try model.pipeline.predict(features: features, context: context)
        evaluation = try SupervisedEvaluation.evaluate(
            predictions, task: model.task, target: data.target, weights: data.weights,
            priors: model.provenance.priors, threshold: model.threshold, seed: model.provenance.seed,
            threads: context.threads)
    }
}
