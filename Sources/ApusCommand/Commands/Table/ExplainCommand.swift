import ArgumentParser
import Core
import Devices
import Learners
import Tables

/// `apus explain`
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say what a model of a table goes by: coefficients, importances, reasons.",
        discussion: """
            Without --data, what the model knows of itself. With --data, also how much worse it gets when a column's \
            values are dealt out to other rows, the average prediction along columns (--along), and why single rows are \
            predicted as they are (--row).
            """)

    @Option(help: "The model file.")
    var model: String
    @OptionGroup var data: ModelDataFlags
    @Option(name: .customLong("along"), help: "Column to average predictions along (partial dependence); repeat.")
    var along: [String] = []
    @Option(name: .customLong("row"), help: "Row of the table to explain, counted from 1; repeat.")
    var rows: [Int] = []
    @Option(help: "Class to explain (default: the positive one, or the first).")
    var label: String?
    @Option(help: "How often each column is dealt out; 0 for not at all.")
    var repeats = 5
    @Option(help: "Most lines of a table.")
    var count = 20
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard repeats >= 0 else { throw ValidationError("--repeats must be 0 or more") }
        guard count >= 1 else { throw ValidationError("--count must be 1 or more") }
        guard rows.allSatisfy({ $0 >= 1 }) else { throw ValidationError("--row counts from 1") }
        if data.data == nil, !along.isEmpty || !rows.isEmpty {
            throw ValidationError("--along and --row need --data")
        }
    }

    func run() throws {
        let model = try TableModel(path: self.model)
        let output = try outputIndex(model.task)
        let progress = ProgressDisplay(quiet: global.quiet)
        let device = try deviceOption.open(global)
        let context = LearningContext(
            stream: try device.makeStream(), threads: global.threads, progress: progress.handler)
        var explanation = ModelExplanation(model: model)
        if data.data != nil {
            let table = try data.read(for: model, global, progress)
            try explanation.addTable(
                table, along: along, rows: rows.map { $0 - 1 }, output: output, repeats: repeats, context: context)
            ProgressDisplay.clearLine()
        }
        if global.json {
            Output.json(explanation.json(device: device.identity.name))
        } else {
            explanation.print(count: count)
        }
    }

    private func outputIndex(_ task: SupervisedTask) throws -> Int {
        guard let label else { return task.kind == .binary ? 1 : 0 }
        guard let place = task.labels.firstIndex(of: label) else {
            throw DataError(
                "the model knows no class `\(label)`; it knows \(task.labels.map { "`\($0)`" }.joined(separator: ", "))"
            )
        }
        return place
    }
}

/// All that can be said of a model, gathered.
struct ModelExplanation {
    let model: TableModel
    /// Coefficients, the largest effects first.
    let coefficients: [Coefficient]
    let importances: [(feature: String, value: Double)]
    let measure: String?
    private(set) var permutation: (metric: String, base: Double, columns: [PermutationImportance])?
    private(set) var dependence: [PartialDependence] = []
    private(set) var rows: [ExplainedRow] = []

    /// One row's prediction with what adds to it.
    struct ExplainedRow {
        let row: Int
        let prediction: [Float]
        let base: Double
        let scale: String
        /// By column of the table, the largest first.
        let contributions: [RowReasons.Reason]
        let path: [String]
    }

    init(model: TableModel) {
        self.model = model
        coefficients = model.pipeline.predictor.coefficients ?? []
        measure = model.pipeline.predictor.importances?.measure
        let features = model.pipeline.recipe.features
        importances = (model.pipeline.predictor.importances?.values ?? []).enumerated()
            .map { (feature: features[$0].name, value: $1) }
            .sorted { $0.value != $1.value ? $0.value > $1.value : $0.feature < $1.feature }
    }

    mutating func addTable(
        _ table: Table, along: [String], rows wanted: [Int], output: Int, repeats: Int, context: LearningContext
    ) throws {
        if repeats > 0, table[model.roles.target] != nil {
            let data = try model.supervised(table)
            let (judged, _) = try model.rowsToJudge(data)
            permutation = try PermutationImportance.measure(
                model.pipeline, on: data.selecting(rows: judged), repeats: repeats, seed: model.provenance.seed,
                context: context)
        }
        for column in along {
            dependence.append(
                try PartialDependence.measure(
                    model.pipeline, on: table, column: column, output: output, seed: model.provenance.seed,
                    context: context))
        }
        guard !wanted.isEmpty else { return }
        if let row = wanted.first(where: { $0 >= table.rowCount }) {
            throw DataError("there is no row \(row + 1); the table has \(table.rowCount)")
        }
        let part = table.selecting(rows: wanted)
        let features = try model.pipeline.recipe.apply(part)
        let predictions = try model.pipeline.predict(features: features, context: context)
        let reasons = try? RowReasons(
            model, part, features, Array(wanted.indices), output: output, limit: 1000, context)
        rows = wanted.enumerated().map { place, row in
            ExplainedRow(
                row: row, prediction: Array(predictions.row(place)), base: reasons?.base ?? .nan,
                scale: reasons?.scale ?? "", contributions: reasons?.rows[place] ?? [],
                path: model.pipeline.predictor.decisionPath(of: features, row: place) ?? [])
        }
    }

    func print(count: Int) {
        if !coefficients.isEmpty {
            let ordered = coefficients.sorted { abs($0.value) > abs($1.value) }
            Output.table(
                ["coefficient", "class", "value", "95 % interval", "z"],
                ordered.prefix(count).map { coefficient in
                    [
                        coefficient.feature, coefficient.label ?? "", fixed(coefficient.value, 4),
                        coefficient.interval.map { "\(fixed($0.low, 4)) – \(fixed($0.high, 4))" } ?? "",
                        coefficient.standardError.map { $0 > 0 ? fixed(coefficient.value / $0, 2) : "" } ?? "",
                    ]
                })
            Output.line("")
        }
        if let measure {
            Output.table(
                ["feature", measure], importances.prefix(count).map { [$0.feature, fixed($0.value, 4)] })
            Output.line("")
        }
        if let permutation {
            Output.line("\(permutation.metric) \(fixed(permutation.base, 4)); loss when a column is dealt out:")
            Output.table(
                ["column", "loss", "deviation"],
                permutation.columns.prefix(count).map { [$0.column, fixed($0.loss, 4), fixed($0.deviation, 4)] })
            Output.line("")
        }
        for curve in dependence {
            Output.table(
                [curve.column, "average prediction", "share of rows"],
                zip(curve.points, curve.shares).map { [$0.text, fixed($0.prediction, 4), fixed($1, 3)] })
            Output.line("")
        }
        for row in rows {
            Output.line(
                "row \(row.row + 1): "
                    + (model.task.isClassification
                        ? zip(model.task.labels, row.prediction).map { "\($0) \(fixed(Double($1), 4))" }
                            .joined(separator: ", ") : fixed(Double(row.prediction[0]), 4)))
            for step in row.path { Output.line("  \(step)") }
            if !row.contributions.isEmpty {
                Output.table(
                    ["because of", "value", row.scale],
                    [["(base)", "", fixed(row.base, 4)]]
                        + row.contributions.prefix(count).map { [$0.name, $0.value ?? "", fixed($0.contribution, 4)] })
            }
            Output.line("")
        }
    }

    func json(device: String) -> JSONValue {
        func coefficient(_ own: Coefficient) -> JSONValue {
            .object([
                ("feature", .string(own.feature)), ("label", .optional(own.label)), ("value", .number(own.value)),
                ("standard_error", own.standardError.map { .number($0) } ?? .null),
                ("interval", own.interval.map { .array([.number($0.low), .number($0.high)]) } ?? .null),
            ])
        }
        return .object([
            ("device", .string(device)), ("learner", .string(model.kind)),
            ("coefficients", .array(coefficients.map(coefficient))), ("importance_measure", .optional(measure)),
            (
                "importances",
                .array(importances.map { .object([("feature", .string($0.feature)), ("value", .number($0.value))]) })
            ),
            (
                "permutation",
                permutation.map { found in
                    .object([
                        ("metric", .string(found.metric)), ("base", .number(found.base)),
                        (
                            "columns",
                            .array(
                                found.columns.map {
                                    .object([
                                        ("column", .string($0.column)), ("loss", .number($0.loss)),
                                        ("deviation", .number($0.deviation)),
                                    ])
                                })
                        ),
                    ])
                } ?? .null
            ),
            (
                "partial_dependence",
                .array(
                    dependence.map { curve in
                        .object([
                            ("column", .string(curve.column)),
                            (
                                "points",
                                .array(
                                    zip(curve.points, curve.shares).map {
                                        .object([
                                            ("value", $0.number.map { .number($0) } ?? .string($0.text)),
                                            ("prediction", .number($0.prediction)), ("share", .number($1)),
                                        ])
                                    })
                            ),
                        ])
                    })
            ),
            (
                "rows",
                .array(
                    rows.map { row in
                        .object([
                            ("row", .integer(row.row + 1)),
                            ("prediction", .array(row.prediction.map { .number(Double($0)) })),
                            ("base", .number(row.base)), ("scale", .string(row.scale)),
                            (
                                "contributions",
                                .array(
                                    row.contributions.map {
                                        .object([
                                            ("column", .string($0.name)), ("value", .optional($0.value)),
                                            ("contribution", .number($0.contribution)),
                                        ])
                                    })
                            ), ("path", .array(row.path.map { .string($0) })),
                        ])
                    })
            ),
        ])
    }
}
