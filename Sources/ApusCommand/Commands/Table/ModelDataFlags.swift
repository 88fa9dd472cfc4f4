import ArgumentParser
import Core
import Learners
import Tables

/// A table for a model that exists: read with the column types that the model was trained with.
struct ModelDataFlags: ParsableArguments {
    @Option(help: "Table to predict: CSV, TSV, JSON Lines or SQLite, plain, gzip or zstd; - is standard input.")
    var data: String?
    @Option(help: "What stands between fields (default: found).")
    var delimiter: String?
    @Option(name: .customLong("type"), help: "Type of a column, such as age=number; repeat.")
    var types: [String] = []

    func read(for model: TableModel, _ global: GlobalOptions, _ progress: ProgressDisplay) throws -> Table {
        guard let data else { throw ValidationError("name a table with --data") }
        return try ModelData.read(
            data, delimiter: delimiter, types: types, encoding: .detected, onBadRow: .fail, model: model, global,
            progress)
    }
}

extension ModelDataFlags {
    /// Hands over the table a part at a time.
    func forEachPart(
        for model: TableModel, _ global: GlobalOptions, _ progress: ProgressDisplay, _ body: (Table) throws -> Void
    ) throws -> TableReadReport {
        guard let data else { throw ValidationError("name a table with --data") }
        let options = try ModelData.options(
            delimiter: delimiter, types: types, encoding: .detected, onBadRow: .fail, model: model, global)
        return try TableReader.forEachPart(of: data, options: options, progress: progress.handler, body)
    }
}

/// Reads tables for models.
enum ModelData {
    static func read(
        _ path: String, delimiter: String?, types: [String], encoding: TextEncoding, onBadRow: BadRowRule,
        model: TableModel, _ global: GlobalOptions, _ progress: ProgressDisplay
    ) throws -> Table {
        let options = try options(
            delimiter: delimiter, types: types, encoding: encoding, onBadRow: onBadRow, model: model, global)
        let (table, report) = try TableReader.readWithReport(path, options: options, progress: progress.handler)
        ProgressDisplay.clearLine()
        for sentence in report.sentences { global.remark(sentence) }
        return table
    }

    static func options(
        delimiter: String?, types: [String], encoding: TextEncoding, onBadRow: BadRowRule, model: TableModel,
        _ global: GlobalOptions
    ) throws -> TableReadOptions {
        var options = TableReadOptions()
        options.delimiter = delimiter == "\\t" ? "\t" : delimiter
        options.encoding = encoding
        options.onBadRow = onBadRow
        options.threads = global.threads ?? 0
        options.memoryLimitBytes = global.memoryLimit?.bytes ?? 0
        // A value that does not fit the type it had in training is missing, and said to be.
        options.onBadValue = .missing
        options = model.pipeline.recipe.readOptions(options)
        options.types.merge(try TableFlags.types(types)) { $1 }
        return options
    }
}
