import ArgumentParser
import Core
import Tables

/// Preprocessing steps as flags, or as a YAML recipe. Steps of flags come in the order in which they stand here.
struct RecipeFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp("Recipe to follow, YAML; its steps come before those of other flags.", valueName: "file"))
    var recipe: String?

    @Option(
        help: ArgumentHelp(
            "Fill missing values: mean, median, mode, or constant:VALUE, for numbers (mode: all columns); age=median for one column.",
            valueName: "rule"))
    var impute: [String] = []

    @Flag(name: .customLong("indicate-missing"), help: "With --impute: add columns that say where values were missing.")
    var indicator = false

    @Option(help: ArgumentHelp("Limit numbers: age=18:90, or age=1%:99% for quantiles.", valueName: "column=low:high"))
    var clip: [String] = []

    @Option(help: ArgumentHelp("Take sign(x)·ln(1+|x|) of columns.", valueName: "columns"))
    var log: [String] = []

    @Option(
        help: ArgumentHelp("Scale numbers: standard, min-max, robust; age=robust for one column.", valueName: "rule"))
    var scale: [String] = []

    @Option(help: ArgumentHelp("Numbers into ranges: age=10, or age=10:width.", valueName: "column=count"))
    var bin: [String] = []

    @Option(
        help: ArgumentHelp(
            "Dates into numbers: joined, or joined=year:month:weekday:weekend:season:days:hour:quarter:day:day-of-year.",
            valueName: "column"))
    var dates: [String] = []

    @Option(
        help: ArgumentHelp(
            "Group levels rarer than this share of the rows; city=0.01 for one column.", valueName: "share"))
    var rare: [String] = []

    @Option(help: ArgumentHelp("Categories into positions, sorted; size=S:M:L for an order.", valueName: "columns"))
    var ordinal: [String] = []

    @Option(
        name: .customLong("target-encode"),
        help: ArgumentHelp("Categories into means of --target.", valueName: "columns"))
    var targetEncode: [String] = []

    @Option(
        name: .customLong("hash"), help: ArgumentHelp("Categories into buckets: city=256.", valueName: "column=buckets")
    )
    var hash: [String] = []

    @Option(
        name: .customLong("one-hot"),
        help: ArgumentHelp("Categories into columns of 0 and 1; `categories` for all.", valueName: "columns"))
    var oneHot: [String] = []

    @Option(
        name: .customLong("words"),
        help: ArgumentHelp("Texts into TF-IDF columns: note=1000 words, or note=hash:4096.", valueName: "column=words"))
    var words: [String] = []

    /// The steps; empty without any flag.
    func make() throws -> Recipe {
        var steps: [RecipeStep] = []
        if let recipe { steps += try Recipe(path: recipe).steps }
        for text in impute { steps += try imputation(text) }
        for text in clip { steps.append(try clipping(text)) }
        if !log.isEmpty { steps.append(.log(ColumnList.selection(ColumnList.names(log)))) }
        for text in scale {
            let (column, word) = ColumnList.assignment(text)
            guard let rule = ScaleRule(rawValue: word) else {
                throw ValidationError("--scale expects standard, min-max or robust, not `\(word)`")
            }
            steps.append(.scale(column.map { ColumnList.selection([$0]) } ?? .numbers, rule))
        }
        for text in bin {
            let (column, word) = ColumnList.assignment(text)
            let parts = word.split(separator: ":").map(String.init)
            guard let column, let count = parts.first.flatMap({ Int($0) }), parts.count <= 2,
                let rule = parts.count == 2 ? BinRule(rawValue: parts[1]) : .quantile
            else { throw ValidationError("--bin expects COLUMN=COUNT or COLUMN=COUNT:width, not `\(text)`") }
            steps.append(.bin(ColumnList.selection([column]), count: count, by: rule))
        }
        for text in dates {
            let (column, word) = ColumnList.assignment(text)
            var parts: [DatePart] = [.year, .month, .weekday, .days]
            if column != nil {
                parts = try word.split(separator: ":").map {
                    guard let part = DatePart(rawValue: String($0)) else {
                        throw ValidationError(
                            "--dates knows \(DatePart.allCases.map(\.rawValue).joined(separator: ", ")), not `\($0)`")
                    }
                    return part
                }
            }
            steps.append(.dates(ColumnList.selection([column ?? word]), parts: parts))
        }
        for text in rare {
            let (column, word) = ColumnList.assignment(text)
            guard let share = Double(word), (0...1).contains(share) else {
                throw ValidationError("--rare expects a share from 0 to 1, not `\(word)`")
            }
            steps.append(.rare(column.map { ColumnList.selection([$0]) } ?? .categories, minimumShare: share))
        }
        for text in ordinal {
            let (column, word) = ColumnList.assignment(text)
            if let column {
                steps.append(
                    .ordinal(ColumnList.selection([column]), order: word.split(separator: ":").map(String.init)))
            } else {
                steps.append(.ordinal(ColumnList.selection(ColumnList.names([word]))))
            }
        }
        if !targetEncode.isEmpty { steps.append(.target(ColumnList.selection(ColumnList.names(targetEncode)))) }
        for text in hash {
            let (column, word) = ColumnList.assignment(text)
            guard let column, let buckets = Int(word) else {
                throw ValidationError("--hash expects COLUMN=BUCKETS, not `\(text)`")
            }
            steps.append(.hash(ColumnList.selection([column]), buckets: buckets))
        }
        if !oneHot.isEmpty { steps.append(.oneHot(ColumnList.selection(ColumnList.names(oneHot)))) }
        for text in words {
            let (column, word) = ColumnList.assignment(text)
            let hashed = word.hasPrefix("hash:")
            guard let column, let count = Int(hashed ? String(word.dropFirst(5)) : word) else {
                throw ValidationError("--words expects COLUMN=COUNT or COLUMN=hash:BUCKETS, not `\(text)`")
            }
            steps.append(
                .text(
                    ColumnList.selection([column]), vocabulary: hashed ? 20_000 : count, hashed: hashed ? count : 0))
        }
        return Recipe(steps)
    }

    private func imputation(_ text: String) throws -> [RecipeStep] {
        let (column, word) = ColumnList.assignment(text)
        let constant = word.hasPrefix("constant:")
        guard let rule = constant ? .constant : ImputeRule(rawValue: word), constant || rule != .constant else {
            throw ValidationError("--impute expects mean, median, mode or constant:VALUE, not `\(word)`")
        }
        let value = constant ? String(word.dropFirst(9)) : nil
        let columns = column.map { ColumnList.selection([$0]) } ?? (rule == .mode ? .all : .numbers)
        return [.impute(columns, with: rule, value: value, indicator: indicator)]
    }

    private func clipping(_ text: String) throws -> RecipeStep {
        let (column, word) = ColumnList.assignment(text)
        let ends = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let quantiles = word.contains("%")
        func number(_ text: String) throws -> Double? {
            if text.isEmpty { return nil }
            guard let value = Double(text.hasSuffix("%") ? String(text.dropLast()) : text) else {
                throw ValidationError("--clip expects numbers, not `\(text)`")
            }
            return quantiles ? value / 100 : value
        }
        guard let column, ends.count == 2 else {
            throw ValidationError("--clip expects COLUMN=LOW:HIGH, not `\(text)`")
        }
        return .clip(
            ColumnList.selection([column]), low: try number(ends[0]), high: try number(ends[1]), quantiles: quantiles)
    }
}
