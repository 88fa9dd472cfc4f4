import CVectorLoops
import Core

extension Column {
    /// The column as another type.
    ///
    /// Anything becomes category, text or identifier as it would be written to a file. Text becomes a number, a date or
    /// a Boolean when every value can be read as one. A column without any value becomes any type.
    ///
    /// - Throws: ``Core/DataError`` with the first value that can't be read.
    public func converted(to type: ColumnType) throws(DataError) -> Column {
        if type == self.type { return self }
        switch type {
        case .number:
            if let numbers { return Column(name, .number(numbers)) }
            return Column(name, .number(try parsed(.nan, "a number", Column.number)))
        case .integer:
            return Column(name, .integer(try integers()))
        case .boolean:
            if case .integer(let values) = values,
                values.allSatisfy({ $0 == 0 || $0 == 1 || $0 == Column.missingInteger })
            {
                return Column(name, .boolean(values.map { $0 == Column.missingInteger ? -1 : Int8($0) }))
            }
            if let empty = whenEmpty(.boolean([Int8](repeating: -1, count: count))) { return empty }
            return Column(name, .boolean(try parsed(-1, "true or false", Column.boolean)))
        case .date:
            if case .integer(let values) = values { return Column(name, .date(values)) }
            if let empty = whenEmpty(.date([Int64](repeating: Column.missingInteger, count: count))) { return empty }
            return Column(name, .date(try parsed(Column.missingInteger, "a date", Column.date)))
        case .category:
            if case .boolean(let values) = values {
                return Column(name, .category(codes: values.map { Int32($0) }, levels: ["false", "true"]))
            }
            return Column(name, categories: (0..<count).map { text($0) })
        case .text: return Column(name, .text(packed))
        case .identifier: return Column(name, .identifier(packed))
        }
    }

    private var packed: PackedText {
        switch values {
        case .text(let text), .identifier(let text): text
        default: PackedText((0..<count).map { text($0) ?? "" })
        }
    }

    private func integers() throws(DataError) -> [Int64] {
        switch values {
        case .date(let values): return values
        case .boolean(let values): return values.map { $0 < 0 ? Column.missingInteger : Int64($0) }
        default: break
        }
        if let numbers {
            for (row, value) in numbers.enumerated()
            where !value.isNaN && (value != value.rounded() || abs(value) >= 0x1p63) {
                throw DataError("'\(value)' in row \(row + 1) is not a whole number", column: name)
            }
            return numbers.map { $0.isNaN ? Column.missingInteger : Int64($0) }
        }
        return try parsed(Column.missingInteger, "a whole number", Column.integer)
    }

    private func whenEmpty(_ values: @autoclosure () -> ColumnValues) -> Column? {
        (0..<count).allSatisfy { isMissing($0) } ? Column(name, values()) : nil
    }

    /// Reads every text, distinct levels once.
    private func parsed<Value>(
        _ missing: Value, _ what: String, _ parse: (String) -> Value?
    ) throws(DataError) -> [Value] {
        func value(_ text: String, _ row: Int) throws(DataError) -> Value {
            if let value = parse(text) { return value }
            throw DataError("'\(text)' in row \(row + 1) is not \(what)", column: name)
        }
        if case .category(let codes, let levels) = values {
            let known = levels.map(parse)
            var result: [Value] = []
            result.reserveCapacity(codes.count)
            for (row, code) in codes.enumerated() {
                if code < 0 {
                    result.append(missing)
                } else if let value = known[Int(code)] {
                    result.append(value)
                } else {
                    throw DataError("'\(levels[Int(code)])' in row \(row + 1) is not \(what)", column: name)
                }
            }
            return result
        }
        var result: [Value] = []
        result.reserveCapacity(count)
        for row in 0..<count {
            result.append(try text(row).map { text throws(DataError) in try value(text, row) } ?? missing)
        }
        return result
    }

    static func number(_ text: String) -> Double? {
        let bytes = Array(text.utf8)
        var value = 0.0
        return apus_parse_number(bytes, Int64(bytes.count), &value) == 0 ? value : nil
    }

    static func integer(_ text: String) -> Int64? { Int64(TypeInference.trimmed(text)) }

    static func date(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        var value: Int64 = 0
        return apus_parse_date(bytes, Int64(bytes.count), Int32(APUS_DATE_YEAR_FIRST), &value) == 0 ? value : nil
    }

    static func boolean(_ text: String) -> Int8? {
        switch text.lowercased() {
        case "true", "1": 1
        case "false", "0": 0
        default: nil
        }
    }
}
