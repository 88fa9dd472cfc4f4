import ArgumentParser
import Core
import Learners
import Tables

/// `apus predict` for models of tables.
struct TablePrediction {
    /// How many rows are wanted: all, so many, or a share of them.
    enum Selection {
        case all
        case count(Int)
        case share(Double)

        /// From `100` or `10%`.
        init(_ text: String?) throws {
            guard let text else {
                self = .all
                return
            }
            if text.hasSuffix("%") {
                guard let percent = Double(text.dropLast()), percent > 0, percent <= 100 else {
                    throw ValidationError("--top expects a number of rows, or a share such as 10%, not `\(text)`")
                }
                self = .share(percent / 100)
            } else {
                guard let count = Int(text), count >= 1 else {
                    throw ValidationError("--top expects a number of rows, or a share such as 10%, not `\(text)`")
                }
                self = .count(count)
            }
        }

        func count(of rows: Int) -> Int {
            switch self {
            case .all: rows
            case .count(let count): min(count, rows)
            case .share(let share): min(Int((share * Double(rows)).rounded(.up)), rows)
            }
        }
    }

    let modelPath: String
    let data: ModelDataFlags
    let top: String?
    let identifier: String?
    let reasons: Int
    let output: String?
    let deviceOption: DeviceOption
    let global: GlobalOptions

    func run() throws {
        let selection = try Selection(top)
        if let output { try OutputFolder.check(output) }
        let model = try TableModel(path: modelPath)
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let table = try data.read(for: model, global, progress)
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        let features = try model.pipeline.recipe.apply(table)
        let predictions = try model.pipeline.predict(features: features, context: context)
        ProgressDisplay.clearLine()
        let scored = model.task.kind == .binary ? 1 : 0
        var rows = Array(0..<table.rowCount)
        if case .all = selection {
        } else {
            guard model.task.kind != .multiclass else {
                throw ValidationError("--top needs a model of a number or of two classes")
            }
            rows.sort {
                predictions[$0, scored] != predictions[$1, scored]
                    ? predictions[$0, scored] > predictions[$1, scored] : $0 < $1
            }
            rows = Array(rows.prefix(selection.count(of: rows.count)))
        }
        let names = try identifierColumns(table)
        let explained =
            try reasons > 0
            ? RowReasons(
                model, table, features, rows, output: scored, limit: reasons, context) : nil
        let header =
            (names.isEmpty ? ["row"] : names) + predictionHeader(model.task) + (explained == nil ? [] : ["reasons"])
        func line(_ place: Int, _ row: Int) -> [String] {
            (names.isEmpty ? ["\(row + 1)"] : names.map { table[$0]?.text(row) ?? "" })
                + prediction(model, predictions, row) + (explained.map { [$0.text(place)] } ?? [])
        }
        if let output {
            let file = try AtomicFile(path: output)
            try file.write(CSV.row(header))
            for (place, row) in rows.enumerated() { try file.write(CSV.row(line(place, row))) }
            try file.commit()
            if global.json {
                Output.json(
                    .object([
                        ("output", .string(output)), ("rows", .integer(rows.count)),
                        ("device", .string(device.identity.name)),
                    ]))
            } else {
                Output.line("\(output): \(rows.count) of \(table.rowCount) rows")
            }
        } else if global.json {
            Output.json(
                .object([
                    ("device", .string(device.identity.name)),
                    (
                        "predictions",
                        .array(
                            rows.enumerated().map { place, row in
                                .object(zip(header, line(place, row)).map { ($0, value($1)) })
                            })
                    ),
                ]))
        } else {
            Output.table(header, rows.enumerated().map { line($0, $1) })
        }
    }

    private func value(_ text: String) -> JSONValue {
        Double(text).map { $0.isFinite ? .number($0) : .string(text) } ?? .string(text)
    }

    /// The columns that say who a row is: the one named, or those of identifiers.
    private func identifierColumns(_ table: Table) throws -> [String] {
        if let identifier {
            _ = try table.column(identifier)
            return [identifier]
        }
        return table.columns.filter { $0.type == .identifier }.map(\.name)
    }

    private func predictionHeader(_ task: SupervisedTask) -> [String] {
        switch task.kind {
        case .regression: ["prediction"]
        case .binary: ["prediction", "probability"]
        case .multiclass: ["prediction"] + task.labels.map { "probability \($0)" }
        }
    }

    private func prediction(_ model: TableModel, _ predictions: HostMatrix, _ row: Int) -> [String] {
        switch model.task.kind {
        case .regression: ["\(predictions[row, 0])"]
        case .binary: [model.label(predictions.row(row)), "\(predictions[row, 1])"]
        case .multiclass:
            [model.label(predictions.row(row))] + (0..<predictions.columns).map { "\(predictions[row, $0])" }
        }
    }
}
