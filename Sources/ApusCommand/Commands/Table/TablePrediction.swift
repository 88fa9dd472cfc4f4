import ArgumentParser
import Core
import FoundationEssentials
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
    /// Rows by their values, in place of a file.
    let given: [String]
    let top: String?
    let identifier: String?
    let reasons: Int
    let output: String?
    let deviceOption: DeviceOption
    let global: GlobalOptions

    /// Text beyond which a file is predicted part by part, where its rows need not be ordered.
    private static let wholeBytes = 256 << 20

    func run() throws {
        let selection = try Selection(top)
        if let output { try OutputFolder.check(output) }
        let model = try TableModel(path: modelPath)
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        if case .all = selection, let output, given.isEmpty, isLarge() {
            return try runInParts(model, context, output, progress)
        }
        let table = try given.isEmpty ? data.read(for: model, global, progress) : givenRows(model)
        let part = try predicted(table, model, context, fillMissingColumns: !given.isEmpty)
        ProgressDisplay.clearLine()
        let scored = model.task.kind == .binary ? 1 : 0
        var rows = Array(0..<table.rowCount)
        if case .all = selection {
        } else {
            guard model.task.kind != .multiclass else {
                throw ValidationError("--top needs a model of a number or of two classes")
            }
            rows.sort {
                part.predictions[$0, scored] != part.predictions[$1, scored]
                    ? part.predictions[$0, scored] > part.predictions[$1, scored] : $0 < $1
            }
            rows = Array(rows.prefix(selection.count(of: rows.count)))
        }
        let lines = try lines(part, rows, model, context)
        if let output {
            let file = try AtomicFile(path: output)
            try file.write(CSV.row(lines.header))
            for line in lines.rows { try file.write(CSV.row(line)) }
            try file.commit()
            report(rows: rows.count, of: table.rowCount, output, device.identity.name)
        } else if global.json {
            Output.json(
                .object([
                    ("device", .string(device.identity.name)),
                    (
                        "predictions",
                        .array(lines.rows.map { line in .object(zip(lines.header, line).map { ($0, value($1)) }) })
                    ),
                ]))
        } else {
            Output.table(lines.header, lines.rows)
        }
    }

    private func isLarge() -> Bool {
        guard let path = data.data, path != "-" else { return false }
        let limit = global.memoryLimit.map { min($0.bytes / 8, Self.wholeBytes) } ?? Self.wholeBytes
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? Int ?? 0) > limit
    }

    /// Part by part, so that a file may be larger than memory.
    private func runInParts(
        _ model: TableModel, _ context: LearningContext, _ output: String, _ progress: ProgressDisplay
    ) throws {
        let file = try AtomicFile(path: output)
        var rows = 0
        let report = try data.forEachPart(for: model, global, progress) { table in
            try Interruption.check()
            let part = try predicted(table, model, context, fillMissingColumns: false)
            let lines = try lines(part, Array(0..<table.rowCount), model, context, from: rows)
            if rows == 0 { try file.write(CSV.row(lines.header)) }
            for line in lines.rows { try file.write(CSV.row(line)) }
            rows += table.rowCount
        }
        ProgressDisplay.clearLine()
        for sentence in report.sentences { global.remark(sentence) }
        try file.commit()
        self.report(rows: rows, of: rows, output, context.stream.device.identity.name)
    }

    private func report(rows: Int, of all: Int, _ output: String, _ device: String) {
        if global.json {
            Output.json(
                .object([("output", .string(output)), ("rows", .integer(rows)), ("device", .string(device))]))
        } else {
            Output.line("\(output): \(rows) of \(all) rows")
        }
    }

    /// A table of the rows given by their values.
    private func givenRows(_ model: TableModel) throws -> Table {
        let known = model.pipeline.recipe.inputs.columns.map(\.name)
        var cells = [String: [String?]]()
        for (row, text) in given.enumerated() {
            for pair in text.split(separator: ",") {
                guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
                    throw ValidationError("--row expects NAME=VALUE,…, not `\(text)`")
                }
                let name = String(pair[..<equals])
                guard known.contains(name) else {
                    throw ValidationError(
                        "--row: the model reads no column `\(name)`; it reads \(known.joined(separator: ", "))")
                }
                let value = String(pair[pair.index(after: equals)...])
                cells[name, default: [String?](repeating: nil, count: given.count)][row] = value.isEmpty ? nil : value
            }
        }
        let absent = known.filter { cells[$0] == nil }
        if !absent.isEmpty { global.remark("taken for missing: \(absent.joined(separator: ", "))") }
        return try Table(
            known.compactMap { name in cells[name].map { Column(name, categories: $0) } }, rowCount: given.count)
    }

    private typealias Part = (table: Table, features: Features, predictions: HostMatrix)

    private func predicted(
        _ table: Table, _ model: TableModel, _ context: LearningContext, fillMissingColumns: Bool
    ) throws -> Part {
        let features = try model.pipeline.recipe.apply(table, fillMissingColumns: fillMissingColumns)
        return (table, features, try model.pipeline.predict(features: features, context: context))
    }

    /// What is said of some rows, the first of which is number `start` of all.
    private func lines(
        _ part: Part, _ rows: [Int], _ model: TableModel, _ context: LearningContext, from start: Int = 0
    ) throws -> (header: [String], rows: [[String]]) {
        let names = try identifierColumns(part.table)
        let scored = model.task.kind == .binary ? 1 : 0
        let explained =
            try reasons > 0
            ? RowReasons(
                model, part.table, part.features, rows, output: scored, limit: reasons, context) : nil
        let header =
            (names.isEmpty ? ["row"] : names) + predictionHeader(model.task) + (explained == nil ? [] : ["reasons"])
        return (
            header,
            rows.enumerated().map { place, row in
                (names.isEmpty ? ["\(start + row + 1)"] : names.map { part.table[$0]?.text(row) ?? "" })
                    + prediction(model, part.predictions, row) + (explained.map { [$0.text(place)] } ?? [])
            }
        )
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
