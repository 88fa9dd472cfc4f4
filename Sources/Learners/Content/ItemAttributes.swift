import Core
import Tables

/// What kind of content a column of attributes has.
public enum AttributeKind: String, Codable, Sendable, CaseIterable {
    /// One of some values, or several with a bar between them.
    case category
    /// A quantity.
    case number
    /// Words.
    case text
    /// Not used.
    case none
}

/// Attributes of items from a table, as vectors that can be compared.
///
/// Categories and words become one feature each, weighted by how rare they are (ln(1 + items / items with it)); each
/// column of them is scaled to length 1, numbers to standard scores, so that no column outweighs the others for its
/// size. An item may have several rows.
public struct ItemAttributes: Sendable {
    /// The items of the table, in the order of their first row.
    public let items: [String]
    /// items × features.
    public let vectors: [[(feature: Int, value: Float)]]
    /// Names of the features: `genres=Drama`, `title:river`, `price`.
    public let features: [String]
    /// The columns used, and as what.
    public let columns: [(name: String, kind: AttributeKind)]

    /// Features kept of one column: the most frequent.
    public static let largestVocabulary = 1000

    /// Reads a table.
    ///
    /// - Parameters:
    ///   - columns: names of the columns of a file without a header.
    ///   - kinds: kinds by column, where they are not to be found out.
    ///   - itemColumn: name of the column of items; nil finds it by common names.
    /// - Throws: what ``Tables/SmallTable`` throws; ``DataError`` when no column is left.
    public init(
        path: String, columns: [String]? = nil, delimiter: String? = nil, kinds: [String: AttributeKind] = [:],
        itemColumn: String? = nil
    ) throws {
        let table = try SmallTable(path: path, columns: columns, delimiter: delimiter)
        let itemPlace = try table.column(
            "items", among: itemColumn.map { [$0] } ?? SmallTable.itemNames)
        for name in kinds.keys where !table.columns.contains(name) {
            throw DataError("no column `\(name)`; found: \(table.columns.joined(separator: ", "))", file: path)
        }
        var numbers: [String: Int] = [:]
        var items: [String] = []
        var rowsOfItem: [[Int]] = []
        for (row, fields) in table.rows.enumerated() where !fields[itemPlace].isEmpty {
            if let number = numbers[fields[itemPlace]] {
                rowsOfItem[number].append(row)
            } else {
                numbers[fields[itemPlace]] = items.count
                items.append(fields[itemPlace])
                rowsOfItem.append([row])
            }
        }
        var builder = AttributeBuilder(items: items.count)
        var used: [(String, AttributeKind)] = []
        for (place, name) in table.columns.enumerated() where place != itemPlace && name != "-" && name != "_" {
            let kind = kinds[name] ?? Self.kind(table.rows.map { $0[place] })
            guard kind != .none else { continue }
            used.append((name, kind))
            let values = rowsOfItem.map { rows in rows.map { table.rows[$0][place] }.filter { !$0.isEmpty } }
            switch kind {
            case .number: try builder.addNumbers(name, values, path: path)
            case .category:
                builder.addTerms(
                    values.map { $0.flatMap { $0.split(separator: "|").map(String.init) } }, naming: { "\(name)=\($0)" }
                )
            case .text: builder.addTerms(values.map { $0.flatMap(Words.of) }, naming: { "\(name):\($0)" })
            case .none: break
            }
        }
        guard !used.isEmpty else {
            throw DataError(
                "no column of attributes besides the items; found: \(table.columns.joined(separator: ", "))", file: path
            )
        }
        self.items = items
        self.columns = used
        vectors = builder.vectors
        features = builder.features
    }

    /// What a column seems to hold: numbers if all of it is, text if most values have several words and are rarely
    /// repeated, categories else; nothing if it is constant, or different everywhere without being text.
    static func kind(_ values: [String]) -> AttributeKind {
        let present = values.filter { !$0.isEmpty }
        let distinct = Set(present)
        guard distinct.count > 1 else { return .none }
        if present.allSatisfy({ Double($0).map { $0.isFinite } ?? false }) { return .number }
        if present.contains(where: { $0.contains("|") }) { return .category }
        let words = present.reduce(0) { $0 + Words.of($1).count }
        let rare = distinct.count * 2 > present.count && distinct.count > 20
        if rare { return words >= 2 * present.count ? .text : .none }
        return .category
    }
}

/// Features of items while they are collected.
private struct AttributeBuilder {
    var vectors: [[(feature: Int, value: Float)]]
    var features: [String] = []

    init(items: Int) { vectors = [[(feature: Int, value: Float)]](repeating: [], count: items) }

    mutating func addTerms(_ terms: [[String]], naming: (String) -> String) {
        var frequency: [String: Int] = [:]
        for own in terms { for term in Set(own) { frequency[term, default: 0] += 1 } }
        // A term of one item compares it with none.
        let kept = frequency.filter { $0.value > 1 }
            .sorted { (-$0.value, $0.key) < (-$1.value, $1.key) }.prefix(ItemAttributes.largestVocabulary)
        var numbers: [String: Int] = [:]
        var rarities: [Int: Float] = [:]
        let described = Double(terms.count { !$0.isEmpty })
        for (term, count) in kept {
            numbers[term] = features.count
            rarities[features.count] = Float(logarithm(1 + described / Double(count)))
            features.append(naming(term))
        }
        for item in terms.indices {
            var counts: [Int: Float] = [:]
            for term in terms[item] {
                guard let number = numbers[term] else { continue }
                counts[number, default: 0] += 1
            }
            let weighted = counts.sorted { $0.key < $1.key }.map { number, count in
                (feature: number, value: count.squareRoot() * (rarities[number] ?? 0))
            }
            let size = weighted.reduce(0) { $0 + $1.value * $1.value }.squareRoot()
            if size > 0 { vectors[item] += weighted.map { ($0.feature, $0.value / size) } }
        }
    }

    mutating func addNumbers(_ name: String, _ values: [[String]], path: String) throws {
        let means: [Double?] = try values.map { own in
            guard !own.isEmpty else { return nil }
            return try own.reduce(0) { sum, text in
                guard let value = Double(text), value.isFinite else {
                    throw DataError("`\(text)` is not a number", file: path, column: name)
                }
                return sum + value
            } / Double(own.count)
        }
        let present = means.compactMap { $0 }
        guard !present.isEmpty else { return }
        let mean = present.reduce(0, +) / Double(present.count)
        let deviation = (present.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(present.count)).squareRoot()
        guard deviation > 0 else { return }
        let number = features.count
        features.append(name)
        for (item, value) in means.enumerated() {
            guard let value else { continue }
            // Far values count as three standard deviations.
            vectors[item].append((number, Float(min(max((value - mean) / deviation, -3), 3) / 3)))
        }
    }
}

/// Words of a text, in lower case: runs of letters and digits; of scripts without spaces, single characters and pairs.
package enum Words {
    package static func of(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        var previous: Character?
        for character in text.lowercased() {
            let scalar = character.unicodeScalars.first!.value
            let isIdeograph =
                (0x3040...0x30FF).contains(scalar) || (0x3400...0x9FFF).contains(scalar)
                || (0xAC00...0xD7A3).contains(scalar) || (0x20000...0x3FFFF).contains(scalar)
            if isIdeograph {
                if !word.isEmpty { words.append(word) }
                word = ""
                words.append(String(character))
                if let previous { words.append("\(previous)\(character)") }
                previous = character
                continue
            }
            previous = nil
            if character.isLetter || character.isNumber {
                word.append(character)
            } else if !word.isEmpty {
                words.append(word)
                word = ""
            }
        }
        if !word.isEmpty { words.append(word) }
        return words
    }
}
