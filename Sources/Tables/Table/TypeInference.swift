import CVectorLoops
import Core

/// A column's type, and how its dates are written.
struct InferredType: Equatable {
    var type: ColumnType
    var dateForm = Int32(APUS_DATE_YEAR_FIRST)
}

/// Types from the first values of a column.
struct TypeInference {
    let missing: Set<String>

    init(missingMarkers: [String]) { missing = Set(missingMarkers) }

    func isMissing(_ text: String) -> Bool {
        let trimmed = TypeInference.trimmed(text)
        return trimmed.isEmpty || missing.contains(String(trimmed))
    }

    /// The narrowest type that all values have.
    func infer(_ name: String, _ values: [String]) -> InferredType {
        let present = values.filter { !isMissing($0) }
        guard !present.isEmpty else { return InferredType(type: .number) }
        if present.allSatisfy(TypeInference.isBoolean) { return InferredType(type: .boolean) }
        if present.allSatisfy(TypeInference.isInteger) {
            return InferredType(type: TypeInference.isIdentifierName(name) ? .identifier : .integer)
        }
        if present.allSatisfy(TypeInference.isNumber) {
            return InferredType(type: TypeInference.isIdentifierName(name) ? .identifier : .number)
        }
        if let form = TypeInference.dateForm(present) { return InferredType(type: .date, dateForm: form) }
        return InferredType(type: TypeInference.wordsType(name, present))
    }

    /// How the dates are written, for values that are said to be dates; year first when nothing fits.
    func dateForm(_ values: [String]) -> Int32 {
        let present = values.filter { !isMissing($0) }
        if let form = TypeInference.dateForm(present) { return form }
        for form in [APUS_DATE_CALENDAR, APUS_DATE_SECONDS, APUS_DATE_DAY_FIRST, APUS_DATE_MONTH_FIRST]
        where !present.isEmpty && present.allSatisfy({ TypeInference.isDate($0, Int32(form)) }) {
            return Int32(form)
        }
        return Int32(APUS_DATE_YEAR_FIRST)
    }

    static func trimmed(_ text: String) -> Substring {
        var text = text[...]
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    static func isBoolean(_ text: String) -> Bool {
        let word = text.lowercased()
        return word == "true" || word == "false"
    }

    static func isInteger(_ text: String) -> Bool {
        var value: Int64 = 0
        let bytes = Array(text.utf8)
        return apus_parse_integer(bytes, Int64(bytes.count), &value) == 0
    }

    static func isNumber(_ text: String) -> Bool {
        var value = 0.0
        let bytes = Array(text.utf8)
        let code = apus_parse_number(bytes, Int64(bytes.count), &value)
        guard code == Int32(APUS_ROW_FINE) || code == Int32(APUS_ROW_NOT_FINITE) else { return false }
        // "007" and numbers of more than 18 digits are names.
        let digits = bytes.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
        guard digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return true }
        return digits.count <= 18 && !(digits.count > 1 && digits.first == 0x30)
    }

    static func isDate(_ text: String, _ form: Int32) -> Bool {
        var value: Int64 = 0
        let bytes = Array(text.utf8)
        return apus_parse_date(bytes, Int64(bytes.count), form, &value) == 0
    }

    /// The one way of writing dates that all values follow; nil when there is none, or when day and month can't be
    /// told apart. A point between them means that the day is first, as custom has it.
    private static func dateForm(_ present: [String]) -> Int32? {
        let forms = [APUS_DATE_YEAR_FIRST, APUS_DATE_DAY_FIRST, APUS_DATE_MONTH_FIRST].map { Int32($0) }
            .filter { form in !present.isEmpty && present.allSatisfy { isDate($0, form) } }
        if forms.count == 2, present[0].contains(".") { return Int32(APUS_DATE_DAY_FIRST) }
        return forms.count == 1 ? forms[0] : nil
    }

    /// Whether day and month of dates such as 03/04/2026 can't be told apart in any of the values.
    static func isAmbiguousDate(_ present: [String]) -> Bool {
        !present.isEmpty && !present[0].contains(".")
            && present.allSatisfy {
                isDate($0, Int32(APUS_DATE_DAY_FIRST)) && isDate($0, Int32(APUS_DATE_MONTH_FIRST))
            }
    }

    /// Names such as `customerID`, `user_id`, `id`.
    static func isIdentifierName(_ name: String) -> Bool {
        let normalized = Role.normalized(name)
        if normalized == "id" || normalized == "uuid" || normalized == "guid" { return true }
        guard normalized.hasSuffix("id") else { return false }
        if Role.user.commonNames.contains(normalized) || Role.item.commonNames.contains(normalized) { return true }
        let scalars = Array(name.unicodeScalars)
        guard scalars.count > 2 else { return false }
        // A word of its own: after a separator, or "ID" or "Id" after a small letter.
        let before = scalars[scalars.count - 3]
        let first = scalars[scalars.count - 2]
        return " _-.".unicodeScalars.contains(before) || (first == "I" && before.properties.isLowercase)
    }

    private static func wordsType(_ name: String, _ present: [String]) -> ColumnType {
        if isIdentifierName(name) { return .identifier }
        let distinct = Set(present).count
        let share = Double(distinct) / Double(present.count)
        guard distinct > 20, share > 0.3 else { return .category }
        // Text is long: several words, or a dozen Chinese characters.
        var words = 0
        for text in present {
            words += text.split(whereSeparator: \.isWhitespace).count
            words += text.unicodeScalars.reduce(0) { $0 + ((0x3400...0x9FFF).contains($1.value) ? 1 : 0) } / 2
        }
        if Double(words) / Double(present.count) >= 4 { return .text }
        return share > 0.95 && distinct > 100 ? .identifier : .category
    }
}
