import Core
import Learners
import Tables

/// Why rows are predicted as they are: what each column adds to the score; of texts, each word.
struct RowReasons {
    struct Reason {
        /// The column, or the word of a text.
        let name: String
        /// The value in the row; nil for a word.
        let value: String?
        let contribution: Double
    }

    /// The score of nobody in particular.
    let base: Double
    /// What the sums are: `log odds`.
    let scale: String
    /// For each row, the largest first.
    let rows: [[Reason]]

    /// Rows whose contributions are in memory at a time.
    private static let block = 256

    /// - Parameters:
    ///   - rows: which rows of the table.
    ///   - limit: reasons for each row.
    /// - Throws: ``DataError`` for a kind of model that has none.
    init(
        _ model: TableModel, _ table: Table, _ features: Features, _ rows: [Int], output: Int, limit: Int,
        _ context: LearningContext
    ) throws {
        // Columns of the features that belong together have one number.
        var (numbers, names): ([String: Int], [(name: String, column: String?)]) = ([:], [])
        let groups = features.columns.map { feature -> Int in
            let isWord = table[feature.source]?.type == .text
            let name = isWord ? feature.name : feature.source
            if let known = numbers[name] { return known }
            numbers[name] = names.count
            names.append((name, isWord ? nil : feature.source))
            return names.count - 1
        }
        var (reasons, base, scale): ([[Reason]], Double, String) = ([], .nan, "")
        for first in stride(from: 0, to: rows.count, by: Self.block) {
            let part = Array(rows[first..<min(first + Self.block, rows.count)])
            guard
                let found = try model.pipeline.predictor.contributions(
                    of: features.selecting(rows: part), output: output, context: context)
            else { throw DataError("models of kind `\(model.kind)` have no reasons for single rows") }
            (base, scale) = (found.base, found.scale)
            for (place, row) in part.enumerated() {
                var sums = [Double](repeating: 0, count: names.count)
                for (group, value) in zip(groups, found.row(place)) { sums[group] += value }
                let order = sums.indices.filter { sums[$0] != 0 }.sorted {
                    abs(sums[$0]) != abs(sums[$1]) ? abs(sums[$0]) > abs(sums[$1]) : $0 < $1
                }
                reasons.append(
                    order.prefix(limit).map { group in
                        Reason(
                            name: names[group].name, value: names[group].column.map { table[$0]?.text(row) ?? "" },
                            contribution: sums[group])
                    })
            }
        }
        self.rows = reasons
        self.base = base
        self.scale = scale
    }

    /// `contract = Month-to-month (+0.82); tenure = 2 (+0.61)`
    func text(_ place: Int) -> String {
        rows[place].map { reason in
            let sign = reason.contribution >= 0 ? "+" : "−"
            return "\(Self.words(reason)) (\(sign)\(fixed(abs(reason.contribution), 2)))"
        }.joined(separator: "; ")
    }

    private static func words(_ reason: Reason) -> String {
        guard let value = reason.value else { return reason.name }
        if value.isEmpty { return "\(reason.name) missing" }
        return "\(reason.name) = \(value.count > 40 ? value.prefix(40) + "…" : value[...])"
    }
}
