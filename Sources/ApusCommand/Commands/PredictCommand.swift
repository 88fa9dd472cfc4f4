import ArgumentParser
import Core
import Learners
import Tables

/// `apus predict`
struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict", abstract: "Predict the rows of a table, or score pairs of users and items.",
        discussion: """
            A model of a table takes --data, or --row for single rows; a large file is predicted part by part where all rows \
            go to --output. A recommender takes --user and --item, or --pairs. Pairs whose user or item the model does not \
            know get an empty score and a reason.
            """)

    @Option(help: "The model file.")
    var model: String
    @Option(help: "One user, with --item.")
    var user: String?
    @Option(help: "One item, with --user.")
    var item: String?
    @Option(help: "File with columns of users and items; - is standard input.")
    var pairs: String?
    @Option(help: "Columns of that file if it has no header: user,item")
    var columns: String?
    @OptionGroup var data: ModelDataFlags
    @Option(
        name: .customLong("row"),
        help: "A row by its values, age=25,income=50000, for a model of a table; columns left out are missing. Repeat.")
    var rows: [String] = []
    @Option(help: "Only the rows with the highest predictions: a number, or a share such as 10%.")
    var top: String?
    @Option(name: .customLong("id"), help: "Column that says who a row is (default: columns of identifiers).")
    var identifier: String?
    @Option(help: "Add so many reasons to each row: the columns that weigh most.")
    var reasons = 0
    @Option(help: "Write a CSV file instead of printing.")
    var output: String?
    @OptionGroup var deviceOption: DeviceOption
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard reasons >= 0 else { throw ValidationError("--reasons must be 0 or more, not \(reasons)") }
        guard [data.data, pairs, user, rows.first].compactMap({ $0 }).count == 1, (user != nil) == (item != nil) else {
            throw ValidationError("give --data, or --row, or --user and --item, or --pairs")
        }
    }

    func run() throws {
        let kind = try SavedModel(path: model)
        guard (kind != .recommender) == (data.data != nil || !rows.isEmpty) else {
            throw ValidationError(
                kind != .recommender
                    ? "this is a model of a table: give --data or --row"
                    : "this is a recommender: give --user and --item, or --pairs")
        }
        guard rows.isEmpty || kind == .table else {
            throw ValidationError("--row needs a model that predicts a column; give --data")
        }
        if kind == .isolationForest {
            guard reasons == 0 else { throw ValidationError("--reasons needs a model that predicts a column") }
            return try OddRowsPrediction(
                modelPath: model, data: data, top: top, identifier: identifier, output: output, global: global
            ).run()
        }
        if kind == .clusters {
            guard reasons == 0, top == nil else {
                throw ValidationError("--reasons and --top need a model that predicts a column")
            }
            return try ClusterPrediction(
                modelPath: model, data: data, identifier: identifier, output: output, device: deviceOption,
                global: global
            ).run()
        }
        if kind == .table {
            return try TablePrediction(
                modelPath: model, data: data, given: rows, top: top, identifier: identifier, reasons: reasons,
                output: output, deviceOption: deviceOption, global: global
            ).run()
        }
        if let output { try OutputFolder.check(output) }
        let session = try ModelSession(path: model, device: deviceOption, global: global)
        var requested: [(user: String, item: String)] = []
        if let pairs {
            let table = try SmallTable(
                path: pairs, columns: columns.map { $0.split(separator: ",").map(String.init) })
            let (users, items) = (
                try table.column("users", among: SmallTable.userNames),
                try table.column("items", among: SmallTable.itemNames)
            )
            requested = table.rows.map { ($0[users], $0[items]) }
        } else {
            requested = [(user ?? "", item ?? "")]
        }
        let indices = requested.map { pair in
            (session.model.users.index(of: pair.user), session.model.items.index(of: pair.item))
        }
        let known = indices.indices.filter { indices[$0].0 != nil && indices[$0].1 != nil }
        let found = try session.recommender.predict(
            users: known.map { Int32(indices[$0].0!) }, items: known.map { Int32(indices[$0].1!) })
        var scores = [Float](repeating: .nan, count: indices.count)
        for (place, score) in zip(known, found) { scores[place] = score }
        func reason(_ place: Int) -> String {
            if indices[place].0 == nil { return "unknown user" }
            if indices[place].1 == nil { return "unknown item" }
            return scores[place].isFinite ? "" : "no evidence"
        }
        if let output {
            let file = try AtomicFile(path: output)
            try file.write(CSV.row(["user", "item", "score", "reason"]))
            for (place, pair) in requested.enumerated() {
                let score = reason(place).isEmpty ? "\(scores[place])" : ""
                try file.write(CSV.row([pair.user, pair.item, score, reason(place)]))
            }
            try file.commit()
        } else if global.json {
            Output.json(
                .object([
                    (
                        "predictions",
                        .array(
                            requested.enumerated().map { place, pair in
                                .object([
                                    ("user", .string(pair.user)), ("item", .string(pair.item)),
                                    ("score", reason(place).isEmpty ? .number(Double(scores[place])) : .null),
                                    ("reason", .optional(reason(place).isEmpty ? nil : reason(place))),
                                ])
                            })
                    )
                ]))
        } else {
            Output.table(
                ["user", "item", "score", "reason"],
                requested.enumerated().map { place, pair in
                    [
                        pair.user, pair.item, reason(place).isEmpty ? fixed(Double(scores[place]), 4) : "",
                        reason(place),
                    ]
                })
        }
    }
}
