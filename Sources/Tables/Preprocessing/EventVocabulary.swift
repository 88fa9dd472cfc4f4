import Core

/// The events of sequences, and how a text that lists them becomes their numbers.
///
/// A text holds the events of a row (a customer, say) in their order, the oldest first, with a separator between them.
struct EventVocabulary: Sendable, Codable, Equatable {
    /// Events by number: the most frequent first, by name among equals.
    let events: [String]
    /// Events that are read of a text at most: the newest.
    let length: Int
    let separator: String

    /// The number of an event that training has not seen, or too seldom.
    var unseen: Int32 { Int32(events.count) }
    /// Numbers that there are.
    var count: Int { events.count + 1 }

    /// - Parameter minimumCount: events seen less often are as good as unseen.
    /// - Throws: ``Core/ParameterError`` for a value outside its range, ``Core/DataError`` when no event is left.
    init(_ column: Column, length: Int, minimumCount: Int, separator: String) throws {
        guard (1...10_000).contains(length) else { throw ParameterError("length", "must be from 1 to 10000") }
        guard minimumCount >= 1 else { throw ParameterError("minimum-count", "must be 1 or more") }
        guard separator.count == 1 else { throw ParameterError("separator", "must be one character") }
        var counts: [Substring: Int] = [:]
        for row in 0..<column.count {
            guard let text = column.text(row) else { continue }
            for event in Self.events(text, separator) { counts[event, default: 0] += 1 }
        }
        events = counts.filter { $0.value >= minimumCount }
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { String($0.key) }
        guard !events.isEmpty else {
            throw DataError("no event comes \(minimumCount) times or more", column: column.name)
        }
        guard events.count < 1 << 24 else {
            throw DataError("\(events.count) events are too many; raise minimum-count", column: column.name)
        }
        (self.length, self.separator) = (length, separator)
    }

    private static func events(_ text: String, _ separator: String) -> [Substring] {
        text.split(separator: separator[separator.startIndex])
    }

    /// The numbers of the newest events of every row, oldest first, `length` a row; −1 behind the last.
    func codes(_ column: Column) -> [Int32] {
        let places = Dictionary(uniqueKeysWithValues: events.enumerated().map { (Substring($1), Int32($0)) })
        var codes = [Int32](repeating: -1, count: column.count * length)
        for row in 0..<column.count {
            guard let text = column.text(row) else { continue }
            for (step, event) in Self.events(text, separator).suffix(length).enumerated() {
                codes[row * length + step] = places[event] ?? unseen
            }
        }
        return codes
    }

    /// Rows with more events than are read.
    func longer(_ column: Column) -> Int {
        (0..<column.count).count { row in
            column.text(row).map { Self.events($0, separator).count > length } ?? false
        }
    }

    /// Names of the features: the steps, the oldest first.
    func names(_ column: String) -> [String] { (1...length).map { "\(column) \($0)" } }
}
