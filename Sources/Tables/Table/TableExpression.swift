import Core

/// A question to every row of a table, or a number from it: `age >= 18 and city in ("Oslo", "Rome")`,
/// `missing(email)`, `end >= start`, `spend / orders`.
///
/// Names are columns; those that are no words stand in backquotes. Texts stand in single or double quotes. There are
/// `+ - * /`, `== != < <= > >=`, `in (…)`, `and or not`, `missing(column)`, `length(column)`, `abs(…)`, `log(…)`. Dates are
/// compared with texts such as "2024-01-31". A comparison with a missing value is neither true nor false, and a row for
/// which the answer is neither is left out by a filter.
public struct TableExpression: Sendable {
    /// The text it was made from.
    public let text: String
    private let root: Node

    /// - Throws: ``Core/ParameterError`` with the place where the text can't be understood.
    public init(_ text: String) throws(ParameterError) {
        self.text = text
        var parser = ExpressionParser(text)
        root = try parser.parse()
    }

    /// Columns that the expression names.
    public var columns: [String] { root.columns }

    /// 1 (true), 0 (false) or −1 (neither) for every row. O(rows).
    /// - Throws: ``Core/DataError`` for columns that are not there and comparisons of unlike things.
    public func truth(_ table: Table) throws(DataError) -> [Int8] {
        if case .truth(let values) = try root.value(table) { return values }
        throw DataError("'\(text)' is no condition")
    }

    /// A number for every row, NaN where it is missing or not finite. O(rows).
    public func numbers(_ table: Table) throws(DataError) -> [Double] {
        switch try root.value(table) {
        case .numbers(let values): return values.map { $0.isFinite ? $0 : .nan }
        case .truth(let values): return values.map { $0 < 0 ? .nan : Double($0) }
        case .number(let value): return [Double](repeating: value, count: table.rowCount)
        default: throw DataError("'\(text)' is no number")
        }
    }

    indirect enum Node: Sendable {
        case column(String)
        case number(Double)
        case text(String)
        case arithmetic(Character, Node, Node)
        case compare(String, Node, Node)
        case isIn(Node, [Node])
        case both(Node, Node)
        case either(Node, Node)
        case not(Node)
        case call(String, Node)

        var columns: [String] {
            switch self {
            case .column(let name): [name]
            case .number, .text: []
            case .arithmetic(_, let a, let b), .compare(_, let a, let b), .both(let a, let b), .either(let a, let b):
                a.columns + b.columns
            case .isIn(let a, let list): a.columns + list.flatMap(\.columns)
            case .not(let a), .call(_, let a): a.columns
            }
        }
    }

    enum Value {
        case numbers([Double])
        /// Seconds since 1970.
        case dates([Double])
        case column(Column)
        case truth([Int8])
        case number(Double)
        case text(String)
    }
}

extension TableExpression.Node {
    typealias Value = TableExpression.Value

    func value(_ table: Table) throws(DataError) -> Value {
        switch self {
        case .number(let value): return .number(value)
        case .text(let text): return .text(text)
        case .column(let name):
            let column = try table.column(name)
            if case .boolean(let values) = column.values { return .truth(values) }
            guard let numbers = column.numbers else { return .column(column) }
            return column.type == .date ? .dates(numbers) : .numbers(numbers)
        case .arithmetic(let sign, let a, let b):
            let (x, y) = (try a.numbers(table), try b.numbers(table))
            var result = x
            for row in result.indices {
                switch sign {
                case "+": result[row] = x[row] + y[row]
                case "-": result[row] = x[row] - y[row]
                case "*": result[row] = x[row] * y[row]
                default: result[row] = x[row] / y[row]
                }
            }
            return .numbers(result)
        case .compare(let sign, let a, let b): return .truth(try compared(sign, a, b, table))
        case .isIn(let a, let list):
            var result = [Int8](repeating: 0, count: table.rowCount)
            for item in list {
                let own = try compared("==", a, item, table)
                for row in result.indices where own[row] != 0 {
                    result[row] = own[row] == 1 ? 1 : result[row] == 1 ? 1 : -1
                }
            }
            return .truth(result)
        case .both(let a, let b):
            let (x, y) = (try a.truth(table), try b.truth(table))
            return .truth(zip(x, y).map { $0 == 0 || $1 == 0 ? 0 : $0 < 0 || $1 < 0 ? -1 : 1 })
        case .either(let a, let b):
            let (x, y) = (try a.truth(table), try b.truth(table))
            return .truth(zip(x, y).map { $0 == 1 || $1 == 1 ? 1 : $0 < 0 || $1 < 0 ? -1 : 0 })
        case .not(let a): return .truth(try a.truth(table).map { $0 < 0 ? -1 : 1 - $0 })
        case .call("missing", .column(let name)):
            let column = try table.column(name)
            return .truth((0..<table.rowCount).map { column.isMissing($0) ? 1 : 0 })
        case .call("length", .column(let name)):
            let column = try table.column(name)
            return .numbers((0..<table.rowCount).map { column.text($0).map { Double($0.count) } ?? .nan })
        case .call("abs", let a): return .numbers(try a.numbers(table).map { abs($0) })
        case .call("log", let a):
            return .numbers(try a.numbers(table).map { $0 > 0 ? NumberSteps.logarithm($0) : .nan })
        case .call(let name, _): throw DataError("\(name)(…) needs the name of a column")
        }
    }

    private func truth(_ table: Table) throws(DataError) -> [Int8] {
        switch try value(table) {
        case .truth(let values): return values
        case .numbers(let values): return values.map { $0.isNaN ? -1 : $0 != 0 ? 1 : 0 }
        default: throw DataError("'and', 'or' and 'not' need conditions")
        }
    }

    private func numbers(_ table: Table) throws(DataError) -> [Double] {
        switch try value(table) {
        case .numbers(let values), .dates(let values): return values
        case .truth(let values): return values.map { $0 < 0 ? .nan : Double($0) }
        case .number(let value): return [Double](repeating: value, count: table.rowCount)
        case .column(let column): throw DataError("there are no numbers to count with", column: column.name)
        case .text(let text): throw DataError("'\(text)' is no number")
        }
    }

    private func compared(
        _ sign: String, _ a: Self, _ b: Self, _ table: Table
    ) throws(DataError) -> [Int8] {
        let (x, y) = (try a.value(table), try b.value(table))
        func answer<Item: Comparable>(_ x: Item, _ y: Item) -> Int8 {
            switch sign {
            case "==", "=": x == y ? 1 : 0
            case "!=": x != y ? 1 : 0
            case "<": x < y ? 1 : 0
            case "<=": x <= y ? 1 : 0
            case ">": x > y ? 1 : 0
            default: x >= y ? 1 : 0
            }
        }
        switch (x, y) {
        case (.column(let column), .text(let text)):
            return texts(column) { answer($0, text) }
        case (.text(let text), .column(let column)):
            return texts(column) { answer(text, $0) }
        case (.column(let column), .number(let number)):
            // Levels that are numbers, such as codes read as categories.
            return texts(column) { text in
                Column.number(text).map { answer($0, number) } ?? answer(text, Column.text(number))
            }
        case (.column(let first), .column(let second)):
            return (0..<table.rowCount).map { row in
                guard let x = first.text(row), let y = second.text(row) else { return -1 }
                return answer(x, y)
            }
        case (.dates(let dates), .text(let text)): return try moments(dates, text) { answer($0, $1) }
        case (.text(let text), .dates(let dates)): return try moments(dates, text) { answer($1, $0) }
        case (.truth(let values), .text(let text)):
            guard let wanted = Column.boolean(text) else { throw DataError("'\(text)' is neither true nor false") }
            return values.map { $0 < 0 ? -1 : answer($0, wanted) }
        default:
            let (x, y) = (try a.numbers(table), try b.numbers(table))
            return zip(x, y).map { $0.isNaN || $1.isNaN ? -1 : answer($0, $1) }
        }
    }

    /// Asks for every level once, or for every text.
    private func texts(_ column: Column, _ ask: (String) -> Int8) -> [Int8] {
        if case .category(let codes, let levels) = column.values {
            let answers = levels.map(ask)
            return codes.map { $0 < 0 ? -1 : answers[Int($0)] }
        }
        return (0..<column.count).map { row in column.text(row).map(ask) ?? -1 }
    }

    private func moments(
        _ dates: [Double], _ text: String, _ ask: (Double, Double) -> Int8
    ) throws(DataError) -> [Int8] {
        guard let moment = Column.date(text) else { throw DataError("'\(text)' is no date; write yyyy-MM-dd") }
        return dates.map { $0.isNaN ? -1 : ask($0, Double(moment)) }
    }
}

/// Recursive descent over the text of an expression.
struct ExpressionParser {
    private enum Token: Equatable {
        case name(String), number(Double), text(String), sign(String), end
    }

    private let text: String
    private var tokens: [Token] = []
    private var place = 0
    private var failure: ParameterError?

    init(_ text: String) {
        self.text = text
        let scalars = Array(text.unicodeScalars)
        var position = 0
        while position < scalars.count, failure == nil {
            let scalar = scalars[position]
            if scalar.properties.isWhitespace {
                position += 1
            } else if scalar == "\"" || scalar == "'" || scalar == "`" {
                let start = position + 1
                var end = start
                while end < scalars.count, scalars[end] != scalar { end += 1 }
                if end == scalars.count { failure = wrong("the quote \(scalar) is not closed") }
                let content = Self.string(scalars[start..<min(end, scalars.count)])
                tokens.append(scalar == "`" ? .name(content) : .text(content))
                position = end + 1
            } else if scalar.properties.numericType != nil || scalar == "." {
                let start = position
                while position < scalars.count,
                    scalars[position].properties.numericType != nil || scalars[position] == "."
                        || ((scalars[position] == "e" || scalars[position] == "E"))
                        || ((scalars[position] == "-" || scalars[position] == "+") && position > start
                            && (scalars[position - 1] == "e" || scalars[position - 1] == "E"))
                { position += 1 }
                let digits = Self.string(scalars[start..<position])
                guard let number = Double(digits) else {
                    failure = wrong("'\(digits)' is no number")
                    break
                }
                tokens.append(.number(number))
            } else if scalar.properties.isAlphabetic || scalar == "_" {
                let start = position
                while position < scalars.count,
                    scalars[position].properties.isAlphabetic || scalars[position].properties.numericType != nil
                        || scalars[position] == "_" || scalars[position] == "."
                { position += 1 }
                tokens.append(.name(Self.string(scalars[start..<position])))
            } else {
                let two = position + 1 < scalars.count ? Self.string(scalars[position...position + 1]) : ""
                if ["==", "!=", "<=", ">=", "&&", "||"].contains(two) {
                    tokens.append(.sign(two))
                    position += 2
                } else if "=<>+-*/(),!".unicodeScalars.contains(scalar) {
                    tokens.append(.sign(String(scalar)))
                    position += 1
                } else {
                    failure = wrong("'\(scalar)' has no meaning here")
                }
            }
        }
        tokens.append(.end)
    }

    private static func string(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    private func wrong(_ reason: String) -> ParameterError { ParameterError("expression", "\(reason), in `\(text)`") }

    mutating func parse() throws(ParameterError) -> TableExpression.Node {
        if let failure { throw failure }
        let node = try either()
        guard tokens[place] == .end else { throw wrong("there is something after the end") }
        return node
    }

    private mutating func take(_ words: String...) -> String? {
        switch tokens[place] {
        case .sign(let sign) where words.contains(sign):
            place += 1
            return sign
        case .name(let name) where words.contains(name.lowercased()):
            place += 1
            return name.lowercased()
        default: return nil
        }
    }

    private mutating func either() throws(ParameterError) -> TableExpression.Node {
        var node = try both()
        while take("or", "||") != nil { node = .either(node, try both()) }
        return node
    }

    private mutating func both() throws(ParameterError) -> TableExpression.Node {
        var node = try negated()
        while take("and", "&&") != nil { node = .both(node, try negated()) }
        return node
    }

    private mutating func negated() throws(ParameterError) -> TableExpression.Node {
        if take("not", "!") != nil { return .not(try negated()) }
        return try comparison()
    }

    private mutating func comparison() throws(ParameterError) -> TableExpression.Node {
        let left = try sum()
        if let sign = take("==", "=", "!=", "<=", ">=", "<", ">") { return .compare(sign, left, try sum()) }
        let negative = take("not") != nil
        if take("in") != nil {
            guard take("(") != nil else { throw wrong("'in' needs a list in brackets") }
            var items: [TableExpression.Node] = []
            repeat { items.append(try sum()) } while take(",") != nil
            guard take(")") != nil else { throw wrong("a bracket is not closed") }
            return negative ? .not(.isIn(left, items)) : .isIn(left, items)
        }
        if negative { throw wrong("'not' must stand before a condition or before 'in'") }
        return left
    }

    private mutating func sum() throws(ParameterError) -> TableExpression.Node {
        var node = try product()
        while let sign = take("+", "-") { node = .arithmetic(sign.first ?? "+", node, try product()) }
        return node
    }

    private mutating func product() throws(ParameterError) -> TableExpression.Node {
        var node = try factor()
        while let sign = take("*", "/") { node = .arithmetic(sign.first ?? "*", node, try factor()) }
        return node
    }

    private mutating func factor() throws(ParameterError) -> TableExpression.Node {
        if take("-") != nil { return .arithmetic("-", .number(0), try factor()) }
        if take("(") != nil {
            let node = try either()
            guard take(")") != nil else { throw wrong("a bracket is not closed") }
            return node
        }
        switch tokens[place] {
        case .number(let number):
            place += 1
            return .number(number)
        case .text(let text):
            place += 1
            return .text(text)
        case .name(let name):
            place += 1
            if ["missing", "length", "abs", "log"].contains(name), take("(") != nil {
                let inner = try either()
                guard take(")") != nil else { throw wrong("a bracket is not closed") }
                return .call(name, inner)
            }
            return .column(name)
        case .sign(let sign): throw wrong("'\(sign)' stands where a column or a value is expected")
        case .end: throw wrong("it ends too early")
        }
    }
}
