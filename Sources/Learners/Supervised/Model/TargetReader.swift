import Core
import Tables

/// Makes classes or numbers of a target column.
struct TargetReader {
    let column: Column
    let rows: [Int]
    let roles: TableRoles
    let kinds: Set<SupervisedTask.Kind>

    /// Numbers with more different values than this are no classes unless a person says so.
    private static let mostClassesOfNumbers = 20
    /// More classes than this are a mistake.
    private static let mostClasses = 1000
    /// Words that mean yes, in the order of preference for the positive class.
    private static let yes = ["yes", "true", "1", "y", "t", "positive", "是"]
    /// The class of all values but the positive one.
    static func rest(of positive: String) -> String { "not \(positive)" }

    func read(as given: SupervisedTask?) throws -> (task: SupervisedTask, target: [Double]) {
        if let given { return (given, try values(as: given)) }
        if try isClassification() { return try classes() }
        guard kinds.contains(.regression) else {
            throw DataError(
                "the target is a number with many values and this learner predicts classes; use a learner of numbers "
                    + "(linear, forest, boosting), or name the value asked about with --positive", column: column.name)
        }
        return (.regression, try numbers())
    }

    private func isClassification() throws -> Bool {
        let canClassify = kinds.contains(.binary)
        if roles.positive != nil || roles.task == .classification { return true }
        switch column.type {
        case .date:
            throw DataError("the target is a date; make it a number or a category first", column: column.name)
        case .category, .text, .identifier:
            if roles.task == .regression {
                throw DataError(
                    "the target is no number: it holds values such as `\(column.text(rows[0]) ?? "")`",
                    column: column.name)
            }
            return true
        case .number, .integer, .boolean:
            if roles.task == .regression { return false }
            let distinct = distinctNumbers(limit: Self.mostClassesOfNumbers)
            // Few whole numbers are classes to those who know no others.
            return canClassify
                && (distinct <= 2 || (!kinds.contains(.regression) && distinct <= Self.mostClassesOfNumbers))
        }
    }

    private func distinctNumbers(limit: Int) -> Int {
        guard let numbers = column.numbers else { return limit + 1 }
        var seen: Set<Double> = []
        for row in rows {
            seen.insert(numbers[row])
            if seen.count > limit { break }
        }
        return seen.count
    }

    private func numbers() throws -> [Double] {
        guard let numbers = column.numbers else {
            throw DataError("the target is no number", column: column.name)
        }
        let values = rows.map { numbers[$0] }
        guard values.allSatisfy({ $0.isFinite }) else {
            throw DataError("the target holds a number that is not finite", column: column.name)
        }
        guard values.contains(where: { $0 != values[0] }) else {
            throw DataError(
                "the target has only one value, \(values[0]): there is nothing to learn", column: column.name)
        }
        return values
    }

    /// The label that is meant: the very same, or else the only one that differs by its case (a file's `TRUE` is read as a
    /// Boolean, `true`).
    private static func label(_ wanted: String, among labels: [String]) -> String? {
        if labels.contains(wanted) { return wanted }
        let alike = labels.filter { $0.lowercased() == wanted.lowercased() }
        return alike.count == 1 ? alike[0] : nil
    }

    private func classes() throws -> (SupervisedTask, [Double]) {
        guard kinds.contains(.binary) || kinds.contains(.multiclass) else {
            throw DataError(
                "the target holds classes such as `\(column.text(rows[0]) ?? "")` and this learner predicts numbers; use "
                    + "logistic, forest or boosting", column: column.name)
        }
        let texts = rows.map { column.text($0) ?? "" }
        var labels = Array(Set(texts))
        if let numbers = column.numbers {
            var value: [String: Double] = [:]
            for row in rows { value[column.text(row) ?? ""] = numbers[row] }
            labels.sort { (value[$0] ?? 0) < (value[$1] ?? 0) }
        } else {
            labels.sort()
        }
        if let wanted = roles.positive {
            guard let positive = Self.label(wanted, among: labels) else {
                throw DataError(
                    "no row has the value `\(wanted)`; there are "
                        + labels.prefix(10).map { "`\($0)`" }.joined(separator: ", "), column: column.name)
            }
            let task: SupervisedTask =
                labels.count == 2
                ? .binary(negative: labels.first { $0 != positive } ?? "", positive: positive)
                : .binary(negative: Self.rest(of: positive), positive: positive)
            guard labels.count >= 2 else {
                throw DataError("the target has only one value, `\(positive)`", column: column.name)
            }
            return (task, texts.map { $0 == positive ? 1 : 0 })
        }
        guard labels.count <= Self.mostClasses else {
            throw DataError(
                "the target has \(labels.count) different values, as many as \(Self.mostClasses) can be told apart; "
                    + "group them first, or name the one asked about with --positive", column: column.name)
        }
        if labels.count == 2,
            let yes = Self.yes.first(where: { word in labels.contains { $0.lowercased() == word } }),
            labels[0].lowercased() == yes
        {
            labels.swapAt(0, 1)
        }
        do {
            let task = try SupervisedTask.classification(labels)
            guard kinds.contains(task.kind) else {
                throw DataError(
                    "the target has \(labels.count) classes, and this learner tells two apart; name the one asked about "
                        + "with --positive")
            }
            let place = Dictionary(uniqueKeysWithValues: labels.enumerated().map { ($1, Double($0)) })
            return (task, texts.map { place[$0] ?? 0 })
        } catch let error as DataError {
            throw DataError(error.reason, column: column.name)
        }
    }

    /// The target in the classes of a model.
    private func values(as task: SupervisedTask) throws -> [Double] {
        guard task.isClassification else {
            guard let numbers = column.numbers else {
                throw DataError("the target is no number, as the model's was", column: column.name)
            }
            return rows.map { numbers[$0] }
        }
        let place = Dictionary(uniqueKeysWithValues: task.labels.enumerated().map { ($1, Double($0)) })
        let hasRest = task.kind == .binary && task.labels[0] == Self.rest(of: task.labels[1])
        return try rows.map { row in
            let text = column.text(row) ?? ""
            if let value = place[text] { return value }
            if hasRest { return 0 }
            throw DataError(
                "the model knows no class `\(text)`; it knows "
                    + task.labels.prefix(10).map { "`\($0)`" }.joined(separator: ", "), column: column.name)
        }
    }
}

/// Columns that know too much.
enum LeakCheck {
    /// Sentences about columns that tell the target all by themselves.
    static func suspicions(_ table: Table, target: [Double], task: SupervisedTask) -> [String] {
        guard target.count >= 50 else { return [] }
        return table.columns.compactMap { column in
            tells(column, target, task)
                ? "column '\(column.name)' alone tells the target: is it known when the prediction is needed? "
                    + "--drop '\(column.name)' leaves it out" : nil
        }
    }

    private static func tells(_ column: Column, _ target: [Double], _ task: SupervisedTask) -> Bool {
        if !task.isClassification, let numbers = column.numbers {
            return correlation(numbers, target) > 0.99999
        }
        guard task.isClassification, column.type != .text, column.type != .identifier else { return false }
        // A column of few values, each of which goes with one class only.
        var classOf: [String: Double] = [:]
        let most = max(2 * task.labels.count, 10)
        for row in target.indices {
            let key = column.text(row) ?? ""
            if let known = classOf[key] {
                if known != target[row] { return false }
            } else {
                classOf[key] = target[row]
                if classOf.count > most { return false }
            }
        }
        return Set(classOf.values).count > 1
    }

    private static func correlation(_ x: [Double], _ y: [Double]) -> Double {
        var (n, sx, sy) = (0.0, 0.0, 0.0)
        for row in x.indices where !x[row].isNaN { (n, sx, sy) = (n + 1, sx + x[row], sy + y[row]) }
        let (mx, my) = (sx / max(n, 1), sy / max(n, 1))
        var (xx, yy, xy) = (0.0, 0.0, 0.0)
        for row in x.indices where !x[row].isNaN {
            let (dx, dy) = (x[row] - mx, y[row] - my)
            (xx, yy, xy) = (xx + dx * dx, yy + dy * dy, xy + dx * dy)
        }
        return xx > 0 && yy > 0 ? abs(xy) / (xx * yy).squareRoot() : 0
    }
}
