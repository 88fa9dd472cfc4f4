import ArgumentParser
import Core
import Learners
import Tables

/// A file of rows that are points: a table, or a NumPy matrix.
struct PointsFlags: ParsableArguments {
    @Option(help: "The rows: a table (CSV, TSV, JSON Lines, plain or compressed) or a NumPy file (.npy).")
    var data: String?
    @Option(help: "Column that names the rows (default: found by common names; else their numbers).")
    var id: String?
    @Option(help: "Columns to use, separated by commas (default: all but identifiers, dates and texts).")
    var features: String?
    @Option(help: "Columns to leave out, separated by commas.")
    var drop: String?
    @Option(name: .customLong("type"), help: "Type of a column: age=number; repeat.")
    var types: [String] = []
    @Option(help: "What stands between fields (default: found).")
    var delimiter: String?
    @Option(name: .customLong("on-bad-row"), help: "Rows that can't be read: fail or skip.")
    var onBadRow = BadRowRule.fail
    @Flag(name: .customLong("no-scale"), help: "Leave numbers as they are; tables are standardised otherwise.")
    var noScale = false

    /// Rows with their features, by the recipe of distances.
    func read(_ path: String, _ global: GlobalOptions) throws -> PointsInput {
        if path.hasSuffix(".npy") {
            let matrix = try NumPyFile(path: path).matrix()
            return PointsInput(matrix: matrix, identifiers: nil, table: nil, recipe: nil, names: nil)
        }
        let table = try table(path, global)
        return try SimilarVectorFlags.about(path) { try input(table) }
    }

    /// A table of rows, or of purchases, as these flags say; what was noticed is said.
    func table(_ path: String, _ global: GlobalOptions) throws -> Table {
        var options = TableReadOptions()
        options.delimiter = delimiter == "\\t" ? "\t" : delimiter
        options.types = try TableFlags.types(types)
        options.onBadRow = onBadRow
        options.threads = global.threads ?? 0
        options.memoryLimitBytes = global.memoryLimit?.bytes ?? 0
        return try TableFlags.read(path, options, global, ProgressDisplay(quiet: global.quiet))
    }

    /// The same for a table that is there already.
    func input(_ table: Table, scaling: Recipe? = nil) throws -> PointsInput {
        guard table.rowCount > 0 else { throw DataError("there are no rows") }
        let (name, identifiers) = try PointsInput.identifiers(table, column: id)
        var used = table
        if let features { used = try table.selecting(Self.list(features)) }
        if let drop { used = try used.dropping(Self.list(drop)) }
        let left = used.columns.filter { column in
            column.name == name || [.identifier, .text, .date].contains(column.type)
        }
        used = try used.dropping(left.map(\.name))
        guard !used.columns.isEmpty else {
            throw DataError(
                "no column of numbers or categories is left; the columns are \(table.columnNames.joined(separator: ", "))"
            )
        }
        let recipe = scaling ?? (noScale ? Self.unscaled : .linear())
        let fitted = try recipe.fitAndApply(used)
        return PointsInput(
            matrix: fitted.features.dense, identifiers: identifiers, table: table, recipe: fitted.recipe,
            names: fitted.features.names, described: used)
    }

    private static let unscaled = Recipe([
        .impute(.numbers, with: .mean, indicator: true), .rare(.categories, minimumShare: 0.001), .oneHot(.categories),
    ])

    static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingPrefix(" ") }.map(String.init)
    }
}

/// Points and where they came from.
struct PointsInput {
    let matrix: HostMatrix
    let identifiers: [String]?
    /// The table as it was read; nil for a NumPy file.
    let table: Table?
    let recipe: FittedRecipe?
    /// Names of the features.
    let names: [String]?
    /// The columns that features were made of.
    var described: Table?

    private static let idNames = ["id", "customer", "customer_id", "customerid", "user", "user_id", "userid", "name"]

    /// The column that names rows, given or found, and its values.
    static func identifiers(_ table: Table, column: String?) throws -> (name: String?, values: [String]?) {
        let name =
            try column.map { try table.column($0).name }
            ?? table.columnNames.first { idNames.contains($0.lowercased()) }
        let values = name.flatMap { table[$0] }.map { column in
            (0..<table.rowCount).map { column.text($0) ?? "" }
        }
        return (name, values)
    }

    /// Rows for a model: as its recipe makes features of a table, or a NumPy file for models without one.
    static func read(
        _ path: String, recipe: FittedRecipe?, options: TableReadOptions, identifier: String?
    ) throws -> PointsInput {
        guard let recipe else {
            guard path.hasSuffix(".npy") else {
                throw DataError("the model was trained on a NumPy file; give one", file: path)
            }
            return PointsInput(
                matrix: try NumPyFile(path: path).matrix(), identifiers: nil, table: nil, recipe: nil, names: nil)
        }
        return try SimilarVectorFlags.about(path) {
            let table = try TableReader.read(path, options: recipe.readOptions(options))
            let features = try recipe.apply(table)
            return PointsInput(
                matrix: features.dense, identifiers: try identifiers(table, column: identifier).values, table: table,
                recipe: recipe, names: features.names)
        }
    }

    /// The name of a row: its identifier, or its number from 0.
    func name(_ row: Int) -> String { identifiers?[row] ?? String(row) }

    /// A table of the columns: the described one, or numbered columns.
    func describedTable() throws -> Table {
        if let described { return described }
        return try Table(
            (0..<matrix.columns).map { column in
                Column(
                    names?[column] ?? "column \(column + 1)",
                    .number((0..<matrix.rows).map { Double(matrix[$0, column]) }))
            })
    }

    /// What is said of the scaling.
    var remark: String? {
        guard let recipe else { return nil }
        let scaled = recipe.recipe.steps.contains { if case .scale = $0 { true } else { false } }
        return scaled
            ? "numbers are standardised, categories are columns of 0 and 1; --no-scale leaves numbers as they are"
            : "numbers are left as they are"
    }
}
