import Core
import Yams

/// What a table must be like: declared in YAML.
///
///     columns:
///       age: {type: integer, minimum: 0, maximum: 120, required: true}
///       email: {pattern: '*@*.*'}
///       status: {allowed: [active, lapsed]}
///     key: [customer_id]
///     rows: {minimum: 1000}
///     conditions:
///       - ended >= started
public struct TableRules: Sendable, Codable, Equatable {
    public struct ColumnRule: Sendable, Codable, Equatable {
        public var type: ColumnType?
        public var minimum: Double?
        public var maximum: Double?
        /// No value may be missing.
        public var required: Bool?
        /// Most of the values that may be missing, a share.
        public var missing: Double?
        /// No value may come twice.
        public var unique: Bool?
        public var allowed: [String]?
        /// What texts look like: `*` is any characters, `?` one, `#` one digit, `[abc]` one of these.
        public var pattern: String?
    }

    public struct RowRule: Sendable, Codable, Equatable {
        public var minimum: Int?
        public var maximum: Int?
    }

    public var columns: [String: ColumnRule]?
    /// Columns that identify a row: filled, and no combination twice.
    public var key: [String]?
    public var rows: RowRule?
    /// Conditions that no row may break (``TableExpression``); a row with a missing value doesn't.
    public var conditions: [String]?

    /// A rule that is broken.
    public struct Violation: Sendable, Codable, Equatable {
        public let rule: String
        public let column: String?
        /// Rows that break it; 0 for rules about the whole.
        public let rows: Int
        /// The first of them, counted from 1, and what it holds.
        public let firstRow: Int?
        public let example: String?
    }

    /// - Throws: ``Core/DataError`` for text that declares no rules.
    public init(yaml: String, path: String? = nil) throws {
        do {
            let known: Set<String> = ["columns", "key", "rows", "conditions"]
            if let loaded = try Yams.load(yaml: yaml) as? [String: Any],
                let unknown = loaded.keys.sorted().first(where: { !known.contains($0) })
            {
                throw DataError(
                    "'\(unknown)' is no part of rules; there are columns, key, rows and conditions", file: path)
            }
            self = try YAMLDecoder().decode(TableRules.self, from: yaml)
        } catch let error as DataError {
            throw error
        } catch {
            throw DataError("these are no rules: \(error)", file: path)
        }
    }

    public init(path: String) throws {
        let source = try FileSource(path: path)
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = try bytes.withUnsafeMutableBytes { try source.fill($0) }
        try self.init(yaml: String(decoding: bytes[..<count], as: UTF8.self), path: path)
    }

    /// The rules that a table breaks. O(rows · rules).
    /// - Throws: ``Core/ParameterError`` for conditions that can't be understood, ``Core/DataError`` for conditions that
    ///   compare unlike things.
    public func check(_ table: Table) throws -> [Violation] {
        var violations: [Violation] = []
        func note(_ rule: String, _ column: Column?, _ name: String?, _ breaks: (Int) -> Bool) {
            var (count, first) = (0, -1)
            for row in 0..<table.rowCount where breaks(row) {
                if first < 0 { first = row }
                count += 1
            }
            guard count > 0 else { return }
            violations.append(
                Violation(
                    rule: rule, column: name ?? column?.name, rows: count, firstRow: first + 1,
                    example: column.map { $0.text(first) ?? "(missing)" }))
        }
        func whole(_ rule: String, _ column: String?, _ example: String) {
            violations.append(Violation(rule: rule, column: column, rows: 0, firstRow: nil, example: example))
        }
        if let least = rows?.minimum, table.rowCount < least {
            whole("at least \(least) rows", nil, "\(table.rowCount) rows")
        }
        if let most = rows?.maximum, table.rowCount > most {
            whole("at most \(most) rows", nil, "\(table.rowCount) rows")
        }
        for (name, rule) in (columns ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let column = table[name] else {
                whole("the column is there", name, "the columns are \(Table.listed(table.columnNames))")
                continue
            }
            check(column, rule, note: { note($0, column, nil, $1) }, whole: { whole($0, name, $1) })
        }
        if let key {
            let absent = key.filter { table[$0] == nil }
            if absent.isEmpty {
                let keys = try RowKeys(try table.selecting(key).columns)
                note("the key \(key.joined(separator: ", ")) is filled", table[key[0]], nil) { keys.incomplete[$0] }
                var seen = [Bool](repeating: false, count: keys.count)
                var repeated = [Bool](repeating: false, count: table.rowCount)
                for row in 0..<table.rowCount where !keys.incomplete[row] {
                    repeated[row] = seen[keys.numbers[row]]
                    seen[keys.numbers[row]] = true
                }
                note("the key \(key.joined(separator: ", ")) comes once", table[key[0]], nil) { repeated[$0] }
            } else {
                whole("the key's columns are there", absent[0], "the columns are \(Table.listed(table.columnNames))")
            }
        }
        for condition in conditions ?? [] {
            let expression = try TableExpression(condition)
            let truth = try expression.truth(table)
            let named = expression.columns.compactMap { table[$0] }
            note(condition, nil, named.map(\.name).joined(separator: ", ")) { truth[$0] == 0 }
            if let last = violations.last, last.rule == condition, let row = last.firstRow {
                let example = named.map { "\($0.name) \($0.text(row - 1) ?? "(missing)")" }.joined(separator: ", ")
                violations[violations.count - 1] = Violation(
                    rule: condition, column: last.column, rows: last.rows, firstRow: row, example: example)
            }
        }
        return violations
    }

    private func check(
        _ column: Column, _ rule: ColumnRule, note: (String, (Int) -> Bool) -> Void, whole: (String, String) -> Void
    ) {
        if let type = rule.type, type != column.type, !(type == .number && column.type == .integer) {
            whole("the type is \(type.rawValue)", column.type.rawValue)
        }
        if rule.required == true { note("a value is there", column.isMissing) }
        if let most = rule.missing {
            let share = Double(column.missingCount) / Double(max(column.count, 1))
            if share > most { whole("at most \(Column.text(most)) of the values are missing", Column.text(share)) }
        }
        if let numbers = column.numbers {
            if let minimum = rule.minimum { note("at least \(Column.text(minimum))") { numbers[$0] < minimum } }
            if let maximum = rule.maximum { note("at most \(Column.text(maximum))") { numbers[$0] > maximum } }
        } else if rule.minimum != nil || rule.maximum != nil {
            whole("numbers within limits", "the column is \(column.type.rawValue)")
        }
        if let allowed = rule.allowed {
            let set = Set(allowed)
            note("one of \(allowed.joined(separator: ", "))") { column.text($0).map { !set.contains($0) } ?? false }
        }
        if let pattern = rule.pattern {
            let parsed = TextPattern(pattern)
            note("looks like \(pattern)") { column.text($0).map { !parsed.matches($0) } ?? false }
        }
        if rule.unique == true, let keys = try? RowKeys([column]) {
            var seen = [Bool](repeating: false, count: keys.count)
            var repeated = [Bool](repeating: false, count: column.count)
            for row in 0..<column.count where !keys.incomplete[row] {
                repeated[row] = seen[keys.numbers[row]]
                seen[keys.numbers[row]] = true
            }
            note("no value comes twice") { repeated[$0] }
        }
    }
}

/// Patterns of wildcards over whole texts.
struct TextPattern {
    private enum Part {
        case any, one, digit
        case oneOf(Set<Unicode.Scalar>)
        case exact(Unicode.Scalar)
    }

    private let parts: [Part]

    init(_ text: String) {
        var parts: [Part] = []
        var scalars = Array(text.unicodeScalars)[...]
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "*": parts.append(.any)
            case "?": parts.append(.one)
            case "#": parts.append(.digit)
            case "[" where scalars.contains("]"):
                var set: [Unicode.Scalar] = []
                while let next = scalars.popFirst(), next != "]" {
                    if next == "-", let low = set.last, let high = scalars.first, high != "]", low.value <= high.value {
                        for value in low.value...high.value {
                            if let scalar = Unicode.Scalar(value) { set.append(scalar) }
                        }
                    } else {
                        set.append(next)
                    }
                }
                parts.append(.oneOf(Set(set)))
            case "\\": if let next = scalars.popFirst() { parts.append(.exact(next)) }
            default: parts.append(.exact(scalar))
            }
        }
        self.parts = parts
    }

    /// Goes back to the last `*` only: linear in most cases, never exponential.
    func matches(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        var (place, part) = (0, 0)
        var back: (part: Int, place: Int)?
        while place < scalars.count {
            if part < parts.count, case .any = parts[part] {
                back = (part + 1, place)
                part += 1
            } else if part < parts.count, fits(parts[part], scalars[place]) {
                place += 1
                part += 1
            } else if let old = back {
                back = (old.part, old.place + 1)
                part = old.part
                place = old.place + 1
            } else {
                return false
            }
        }
        while part < parts.count, case .any = parts[part] { part += 1 }
        return part == parts.count
    }

    private func fits(_ part: Part, _ scalar: Unicode.Scalar) -> Bool {
        switch part {
        case .any: false
        case .one: true
        case .digit: scalar.value >= 0x30 && scalar.value <= 0x39
        case .oneOf(let set): set.contains(scalar)
        case .exact(let exact): exact == scalar
        }
    }
}
