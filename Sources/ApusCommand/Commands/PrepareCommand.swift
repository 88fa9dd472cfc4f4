import ArgumentParser
import Core
import FoundationEssentials
import Tables

/// `apus prepare`
struct PrepareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare", abstract: "Clean, join, filter and encode a table, and write another.",
        discussion: """
            Steps come in this order: read, append, join, derive, filter, deduplicate, drop missing, group, sort, then the \
            recipe. What a recipe learns (means, levels) it learns from the rows at hand; --fitted-output keeps it, and \
            --fitted does the same to other rows. Without steps that need the whole table (--append, --join full, \
            --deduplicate, --group-by, --sort, steps to be learned) the file may be larger than memory.
            """)

    @OptionGroup var data: TableFlags

    @Option(help: ArgumentHelp("Tables to put below, matched by column name. Repeat for several.", valueName: "file"))
    var append: [String] = []

    @Option(help: ArgumentHelp("Table to join.", valueName: "file"))
    var join: String?

    @Option(help: ArgumentHelp("Key columns of the join, separated by commas.", valueName: "columns"))
    var on: String?

    @Option(help: "inner, left, full, semi or anti.")
    var how = JoinKind.inner

    @Option(
        help: ArgumentHelp(
            "A column from others: ratio='spend / orders'. Repeat for several.", valueName: "name=expression"))
    var derive: [String] = []

    @Option(
        help: ArgumentHelp(
            "Keep rows for which this holds: 'age >= 18 and city in (\"Oslo\", \"Rome\")'.", valueName: "condition"))
    var filter: [String] = []

    @Option(
        help: ArgumentHelp(
            "Keep one of the rows that are equal in these columns; `all` for all columns.", valueName: "columns"))
    var deduplicate: String?

    @Option(help: "Missing values: keep, drop (rows that have one), or drop:columns separated by commas.")
    var missing = "keep"

    @Option(
        name: .customLong("group-by"),
        help: ArgumentHelp("One row for each combination of these columns.", valueName: "columns"))
    var groupBy: String?

    @Option(
        help: ArgumentHelp(
            "With --group-by: count, or sum, mean, median, min, max, std, distinct, first, last of a column: total=sum(price); or all of its values in the order of another: history=list(event by time). Repeat for several.",
            valueName: "name=function(column)"))
    var aggregate: [String] = []

    // A value may begin with a minus.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Order by columns, separated by commas; -age for descending.", valueName: "columns"))
    var sort: String?

    @OptionGroup var steps: RecipeFlags

    @Option(help: ArgumentHelp("The column that --target-encode means.", valueName: "column"))
    var target: String?

    @Option(
        name: .customLong("fitted-output"),
        help: ArgumentHelp("File for what the steps have learned, JSON.", valueName: "file"))
    var fittedOutput: String?

    @Option(help: ArgumentHelp("Steps learned before (--fitted-output), to be done again.", valueName: "file"))
    var fitted: String?

    @Option(help: "Seed of all that is random: the folds of target encoding.")
    var seed: UInt64 = 42

    @Option(help: ArgumentHelp("File to write: CSV, .tsv or .jsonl.", valueName: "file"))
    var output: String

    @OptionGroup var global: GlobalOptions

    func run() throws {
        if join == nil, on != nil { throw ValidationError("--on names the keys of a join; name the table with --join") }
        if join != nil, on == nil { throw ValidationError("--join needs the key columns: --on user_id") }
        try OutputFolder.check(output)
        MemoryMeter.start()
        let recipe = try steps.make()
        if fitted != nil, !recipe.steps.isEmpty {
            throw ValidationError("--fitted has its steps already; leave the other ones out")
        }
        let began = monotonicSeconds()
        let progress = ProgressDisplay(quiet: global.quiet)
        if goesInParts(recipe) { return try runInParts(progress, began) }
        var table = try data.read(global, progress)
        let rowsRead = table.rowCount
        let loaded = monotonicSeconds()
        table = try combined(table, progress)
        table = try reduced(table)
        var learned: FittedRecipe?
        if let fitted {
            learned = try JSONDecoder().decode(FittedRecipe.self, from: Data(try bytes(of: fitted)))
            table = try learned?.applyToTable(table) ?? table
        } else if !recipe.steps.isEmpty {
            let wanted = try target.map { name in
                try RecipeTarget(column: try table.column(name))
            }
            (learned, table) = try recipe.fitAndPrepare(
                table, target: wanted, seed: seed, keeping: target.map { [$0] } ?? [])
        }
        for note in learned?.notes ?? [] { global.remark(note) }
        if let fittedOutput, let learned {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            let file = try AtomicFile(path: fittedOutput)
            try file.write([UInt8](try encoder.encode(learned)))
            try file.commit()
        }
        let prepared = monotonicSeconds()
        try TableWriter.write(table, to: output)
        let missingLeft = table.columns.map { ($0.name, $0.missingCount) }.filter { $0.1 > 0 }
        say(
            rowsRead: rowsRead, rows: table.rowCount, columns: table.columns.map { ($0.name, $0.type) },
            missing: missingLeft, notes: learned?.notes ?? [],
            seconds: [
                ("load", loaded - began), ("prepare", prepared - loaded), ("write", monotonicSeconds() - prepared),
            ], began)
    }

    /// Whether every step looks at one row at a time.
    private func goesInParts(_ recipe: Recipe) -> Bool {
        append.isEmpty && how != .full && deduplicate == nil && groupBy == nil && aggregate.isEmpty && sort == nil
            && recipe.steps.isEmpty && fittedOutput == nil
    }

    private func runInParts(_ progress: ProgressDisplay, _ began: Double) throws {
        let other = try join.map { try data.readOther($0, global, progress) }
        let learned = try fitted.map { try JSONDecoder().decode(FittedRecipe.self, from: Data(try bytes(of: $0))) }
        var options = try data.options(global)
        if let learned { options = learned.readOptions(options) }
        let file = try TableFile(path: output)
        var (rowsRead, columns, types): (Int, [String], [ColumnType]) = (0, [], [])
        var missingLeft: [String: Int] = [:]
        var dropped = 0
        let report = try TableReader.forEachPart(of: data.data, options: options, progress: progress.handler) { part in
            try Interruption.check()
            rowsRead += part.rowCount
            var table = part
            if let other { table = try joined(table, other) }
            table = try filtered(table, &dropped)
            if let learned { table = try learned.applyToTable(table) }
            (columns, types) = (table.columnNames, table.columns.map(\.type))
            for column in table.columns { missingLeft[column.name, default: 0] += column.missingCount }
            try file.append(table)
        }
        ProgressDisplay.clearLine()
        global.remark("read \(data.data == "-" ? "standard input" : data.data): \(rowsRead) rows")
        for sentence in report.sentences { global.remark(sentence) }
        if let other { global.remark("\(how.rawValue) join with \(other.rowCount) rows on \(on ?? "")") }
        if dropped > 0 { global.remark("\(dropped) rows with missing values left out") }
        if file.rows == 0, dropped > 0 {
            throw DataError(
                "every row misses a value; name the columns that matter: --missing drop:COLUMNS", file: data.data)
        }
        try file.commit()
        let left = columns.map { ($0, missingLeft[$0] ?? 0) }.filter { $0.1 > 0 }
        say(
            rowsRead: rowsRead, rows: file.rows, columns: Array(zip(columns, types)), missing: left, notes: [],
            seconds: [("prepare", monotonicSeconds() - began)], began)
    }

    private func joined(_ table: Table, _ other: Table) throws -> Table {
        try table.joined(other, on: ColumnList.names([on ?? ""]), kind: how)
    }

    private func say(
        rowsRead: Int, rows: Int, columns: [(String, ColumnType)], missing: [(String, Int)], notes: [String],
        seconds: [(String, Double)], _ began: Double
    ) {
        if global.json {
            Output.json(
                .object([
                    ("output", .string(output)), ("rows_read", .integer(rowsRead)), ("rows", .integer(rows)),
                    ("columns", .array(columns.map { .string($0.0) })),
                    ("types", .object(columns.map { ($0.0, .string($0.1.rawValue)) })),
                    ("missing", .object(missing.map { ($0.0, .integer($0.1)) })),
                    ("notes", .array(notes.map { .string($0) })),
                    ("seconds", .object(seconds.map { ($0.0, .number($0.1)) })),
                    ("peak_memory_bytes", .integer(MemoryMeter.peakAnonymousBytes())),
                ]))
            return
        }
        global.remark(
            "wrote \(output): \(rows) of \(rowsRead) rows, \(columns.count) columns, in \(duration(monotonicSeconds() - began))"
        )
        if !missing.isEmpty {
            let shown = missing.prefix(6).map { "\($0.0) \($0.1)" }.joined(separator: ", ")
            global.remark(
                "missing values are left: \(shown)\(missing.count > 6 ? ", …" : ""); --impute mode fills all, --missing drop drops the rows"
            )
        }
    }

    private func bytes(of path: String) throws -> [UInt8] {
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            throw SystemError(operation: "open", object: path, reason: "the file can't be read")
        }
        return [UInt8](data)
    }

    /// Other tables below and beside.
    private func combined(_ start: Table, _ progress: ProgressDisplay) throws -> Table {
        var table = start
        if !append.isEmpty {
            table = try Table.appending([table] + append.map { try data.readOther($0, global, progress) })
        }
        guard let join else { return table }
        let other = try data.readOther(join, global, progress)
        let before = table.rowCount
        table = try joined(table, other)
        global.remark("\(how.rawValue) join of \(before) and \(other.rowCount) rows: \(table.rowCount) rows")
        return table
    }

    /// What looks at one row at a time: new columns, conditions, missing values.
    private func filtered(_ start: Table, _ dropped: inout Int) throws -> Table {
        var table = start
        for text in derive {
            let (name, expression) = ColumnList.assignment(text)
            guard let name else { throw ValidationError("--derive expects NAME=EXPRESSION, not `\(text)`") }
            table = try table.deriving(name, try TableExpression(expression))
        }
        for text in filter { table = try table.filtered(try TableExpression(text)) }
        guard missing != "keep", deduplicate == nil else { return table }
        return try withoutMissing(table, &dropped)
    }

    private func withoutMissing(_ table: Table, _ dropped: inout Int) throws -> Table {
        guard missing != "keep" else { return table }
        guard missing == "drop" || missing.hasPrefix("drop:") else {
            throw ValidationError("--missing expects keep, drop or drop:COLUMNS, not `\(missing)`")
        }
        let kept = try table.droppingMissing(
            in: missing == "drop" ? nil : ColumnList.names([String(missing.dropFirst(5))]))
        dropped += table.rowCount - kept.rowCount
        return kept
    }

    private func reduced(_ start: Table) throws -> Table {
        var dropped = 0
        var table = try filtered(start, &dropped)
        if let deduplicate {
            let before = table.rowCount
            table = try table.deduplicated(on: deduplicate == "all" ? nil : ColumnList.names([deduplicate]))
            global.remark("\(before - table.rowCount) repeated rows left out")
            table = try withoutMissing(table, &dropped)
        }
        if dropped > 0 { global.remark("\(dropped) rows with missing values left out") }
        if table.rowCount == 0, dropped > 0 {
            throw DataError(
                "every row misses a value; name the columns that matter: --missing drop:COLUMNS", file: data.data)
        }
        if let groupBy {
            table = try table.grouped(
                by: ColumnList.names([groupBy]),
                try aggregate.isEmpty ? [Aggregate(.count)] : aggregate.map(Self.aggregate))
        } else if !aggregate.isEmpty {
            throw ValidationError("--aggregate needs --group-by")
        }
        if let sort {
            table = try table.sorted(
                by: ColumnList.names([sort]).map {
                    $0.hasPrefix("-") && table[$0] == nil
                        ? SortKey(String($0.dropFirst()), descending: true) : SortKey($0)
                })
        }
        return table
    }

    /// `total=sum(price)`, `sum(price)`, `list(event by time)` or `count`.
    static func aggregate(_ text: String) throws -> Aggregate {
        let (name, call) = ColumnList.assignment(text)
        let parts = call.split(separator: "(", maxSplits: 1).map(String.init)
        guard let word = parts.first, let function = AggregateFunction(rawValue: word),
            parts.count == 1 ? function == .count : parts[1].hasSuffix(")")
        else {
            throw ValidationError(
                "--aggregate expects count or FUNCTION(COLUMN) with one of \(AggregateFunction.allCases.map(\.rawValue).joined(separator: ", ")), not `\(text)`"
            )
        }
        guard parts.count == 2 else { return Aggregate(function, name: name) }
        var column = String(parts[1].dropLast())
        var order: String?
        if function == .list, let by = column.range(of: " by ") {
            order = String(column[by.upperBound...])
            column = String(column[..<by.lowerBound])
        }
        return Aggregate(function, of: column, by: order, name: name)
    }
}

/// `apus join`
struct JoinCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Join two tables on key columns.",
        discussion: "Keys are compared as text; a missing key has no partner. Columns of equal name get the suffix.")

    @OptionGroup var data: TableFlags

    @Option(name: .customLong("with"), help: ArgumentHelp("The second table.", valueName: "file"))
    var other: String

    @Option(help: ArgumentHelp("Key columns, separated by commas.", valueName: "columns"))
    var on: String

    @Option(
        name: .customLong("with-on"),
        help: ArgumentHelp("Names of the keys in the second table, where they differ.", valueName: "columns"))
    var otherOn: String?

    @Option(help: "inner, left, full, semi or anti.")
    var how = JoinKind.inner

    @Option(help: "What is put behind columns of the second table that have a name of the first.")
    var suffix = "_2"

    @Option(help: ArgumentHelp("File to write: CSV, .tsv or .jsonl.", valueName: "file"))
    var output: String

    @OptionGroup var global: GlobalOptions

    func run() throws {
        try OutputFolder.check(output)
        let began = monotonicSeconds()
        let progress = ProgressDisplay(quiet: global.quiet)
        let first = try data.read(global, progress)
        let second = try data.readOther(other, global, progress)
        let joined = try first.joined(
            second, on: ColumnList.names([on]), otherKeys: otherOn.map { ColumnList.names([$0]) }, kind: how,
            suffix: suffix)
        try TableWriter.write(joined, to: output)
        if global.json {
            Output.json(
                .object([
                    ("output", .string(output)), ("rows", .integer(joined.rowCount)),
                    ("first_rows", .integer(first.rowCount)), ("second_rows", .integer(second.rowCount)),
                    ("columns", .array(joined.columnNames.map { .string($0) })),
                    ("seconds", .number(monotonicSeconds() - began)),
                ]))
        } else {
            global.remark(
                "\(how.rawValue) join of \(first.rowCount) and \(second.rowCount) rows: \(joined.rowCount) rows")
        }
    }
}
