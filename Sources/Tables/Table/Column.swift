/// What the values of a column are.
public enum ColumnType: String, Sendable, Codable, CaseIterable {
    /// A float64; NaN is missing.
    case number
    /// A 64-bit integer.
    case integer
    /// True or false.
    case boolean
    /// A point in time, in whole seconds since 1970 in UTC.
    case date
    /// One of some levels.
    case category
    /// Words to be read.
    case text
    /// A name that says nothing but who or what it is.
    case identifier

    /// Whether ``Column/numbers`` gives the values.
    public var isNumeric: Bool { self == .number || self == .integer || self == .boolean }
}

/// Values of one type, by row. Missing values are first-class: every form says below how it writes them.
public enum ColumnValues: Sendable {
    /// NaN is missing.
    case number([Double])
    /// ``Column/missingInteger`` is missing.
    case integer([Int64])
    /// 0 or 1; −1 is missing.
    case boolean([Int8])
    /// Seconds since 1970; ``Column/missingInteger`` is missing.
    case date([Int64])
    /// Positions in `levels`, which are distinct; −1 is missing.
    case category(codes: [Int32], levels: [String])
    /// Empty text is missing.
    case text(PackedText)
    /// Empty text is missing.
    case identifier(PackedText)
}

/// A column of a table: a name and values of one type.
public struct Column: Sendable {
    /// The name, as the header has it.
    public var name: String
    public var values: ColumnValues

    /// Stands for a missing integer or date.
    public static let missingInteger = Int64.min

    public init(_ name: String, _ values: ColumnValues) {
        self.name = name
        self.values = values
    }

    /// A category column from strings; levels in order of first appearance, nil and empty strings missing. O(rows).
    public init(_ name: String, categories: [String?]) {
        var numbers: [String: Int32] = [:]
        var levels: [String] = []
        let codes = categories.map { text -> Int32 in
            guard let text, !text.isEmpty else { return -1 }
            if let code = numbers[text] { return code }
            let code = Int32(levels.count)
            numbers[text] = code
            levels.append(text)
            return code
        }
        self.init(name, .category(codes: codes, levels: levels))
    }

    /// Number of rows.
    public var count: Int {
        switch values {
        case .number(let values): values.count
        case .integer(let values), .date(let values): values.count
        case .boolean(let values): values.count
        case .category(let codes, _): codes.count
        case .text(let text), .identifier(let text): text.count
        }
    }

    public var type: ColumnType {
        switch values {
        case .number: .number
        case .integer: .integer
        case .boolean: .boolean
        case .date: .date
        case .category: .category
        case .text: .text
        case .identifier: .identifier
        }
    }

    /// Whether the value of a row is missing.
    public func isMissing(_ row: Int) -> Bool {
        switch values {
        case .number(let values): values[row].isNaN
        case .integer(let values), .date(let values): values[row] == Column.missingInteger
        case .boolean(let values): values[row] < 0
        case .category(let codes, _): codes[row] < 0
        case .text(let text), .identifier(let text): text.isEmpty(row)
        }
    }

    /// Number of missing values. O(rows).
    public var missingCount: Int {
        switch values {
        case .number(let values): values.reduce(0) { $0 + ($1.isNaN ? 1 : 0) }
        case .integer(let values), .date(let values):
            values.reduce(0) { $0 + ($1 == Column.missingInteger ? 1 : 0) }
        case .boolean(let values): values.reduce(0) { $0 + ($1 < 0 ? 1 : 0) }
        case .category(let codes, _): codes.reduce(0) { $0 + ($1 < 0 ? 1 : 0) }
        case .text(let text), .identifier(let text): (0..<text.count).reduce(0) { $0 + (text.isEmpty($1) ? 1 : 0) }
        }
    }

    /// The values as numbers, NaN where missing; nil for categories and text. Booleans are 0 and 1, dates seconds
    /// since 1970. O(rows).
    public var numbers: [Double]? {
        switch values {
        case .number(let values): values
        case .integer(let values), .date(let values):
            values.map { $0 == Column.missingInteger ? .nan : Double($0) }
        case .boolean(let values): values.map { $0 < 0 ? .nan : Double($0) }
        case .category, .text, .identifier: nil
        }
    }

    /// The value of a row as text, the way ``TableWriter`` writes it; nil where missing.
    public func text(_ row: Int) -> String? {
        switch values {
        case .number(let values): values[row].isNaN ? nil : Column.text(values[row])
        case .integer(let values): values[row] == Column.missingInteger ? nil : String(values[row])
        case .date(let values): values[row] == Column.missingInteger ? nil : CalendarTime.text(values[row])
        case .boolean(let values): values[row] < 0 ? nil : values[row] == 1 ? "true" : "false"
        case .category(let codes, let levels): codes[row] < 0 ? nil : levels[Int(codes[row])]
        case .text(let text), .identifier(let text): text.isEmpty(row) ? nil : text[row]
        }
    }

    /// The shortest text that reads back as the same number; whole numbers without a point.
    static func text(_ value: Double) -> String {
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return value.description
    }

    /// The values of some rows, in the order given; a row may be named several times. Row −1 gives a missing value.
    /// O(rows named).
    public func selecting(_ rows: [Int]) -> Column {
        func pick<Value>(_ values: [Value], _ missing: Value) -> [Value] {
            rows.map { $0 < 0 ? missing : values[$0] }
        }
        switch values {
        case .number(let values): return Column(name, .number(pick(values, .nan)))
        case .integer(let values): return Column(name, .integer(pick(values, Column.missingInteger)))
        case .date(let values): return Column(name, .date(pick(values, Column.missingInteger)))
        case .boolean(let values): return Column(name, .boolean(pick(values, -1)))
        case .category(let codes, let levels): return Column(name, .category(codes: pick(codes, -1), levels: levels))
        case .text(let text): return Column(name, .text(text.selecting(rows)))
        case .identifier(let text): return Column(name, .identifier(text.selecting(rows)))
        }
    }

    public func renamed(_ name: String) -> Column { Column(name, values) }
}

/// Texts one after another in one block of bytes.
public struct PackedText: Sendable, Equatable {
    /// UTF-8 of all texts, without separators.
    public let bytes: [UInt8]
    /// `count + 1` ascending positions; text `i` is `bytes[offsets[i] ..< offsets[i + 1]]`.
    public let offsets: [Int64]

    public var count: Int { offsets.count - 1 }

    /// Offsets must ascend from 0 to the number of bytes.
    public init(bytes: [UInt8], offsets: [Int64]) {
        precondition(offsets.first == 0 && Int(offsets[offsets.count - 1]) == bytes.count)
        self.bytes = bytes
        self.offsets = offsets
    }

    public init(_ texts: [String]) {
        var bytes: [UInt8] = []
        var offsets: [Int64] = [0]
        offsets.reserveCapacity(texts.count + 1)
        for text in texts {
            bytes += text.utf8
            offsets.append(Int64(bytes.count))
        }
        self.init(bytes: bytes, offsets: offsets)
    }

    public func isEmpty(_ row: Int) -> Bool { offsets[row] == offsets[row + 1] }

    /// The bytes of one text.
    public func utf8(_ row: Int) -> ArraySlice<UInt8> { bytes[Int(offsets[row])..<Int(offsets[row + 1])] }

    public subscript(row: Int) -> String { String(decoding: utf8(row), as: UTF8.self) }

    /// All texts, in order (a copy).
    public var strings: [String] { (0..<count).map { self[$0] } }

    func selecting(_ rows: [Int]) -> PackedText {
        var picked: [UInt8] = []
        var ends: [Int64] = [0]
        ends.reserveCapacity(rows.count + 1)
        for row in rows {
            if row >= 0 { picked += utf8(row) }
            ends.append(Int64(picked.count))
        }
        return PackedText(bytes: picked, offsets: ends)
    }
}
