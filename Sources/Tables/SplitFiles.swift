import Core

/// Interactions read against an item index that is already there: rows of known items only.
public struct AlignedInteractions: Sendable {
    /// Names of the rows.
    public let users: IdentifierIndex
    /// `users.count` × items of the index.
    public let matrix: HostSparseMatrix
    /// Interactions whose item the index doesn't have.
    public let unknownItemEntries: Int
    /// Distinct items that the index doesn't have.
    public let unknownItems: Int
    /// What happened while reading.
    public let report: ReadReport
}

/// A split made elsewhere: one file with histories, one with what is to be found.
public struct SplitFiles: Sendable {
    /// Names of the users in both files; rows of both matrices.
    public let users: IdentifierIndex
    /// Histories.
    public let foldIn: HostSparseMatrix
    /// What is to be found.
    public let test: HostSparseMatrix
    /// Interactions of either file whose item is not known.
    public let unknownItemEntries: Int
    /// Users of the test file without a history of known items, or without a known item to be found.
    public let usersDropped: Int

    /// Reads both files; users come in the order of the test file.
    ///
    /// - Throws: what ``InteractionReader/read(_:options:progress:)`` throws, and ``Core/DataError`` when no user is left.
    public init(
        foldIn foldInPath: String, test testPath: String, items: IdentifierIndex,
        options: InteractionOptions = InteractionOptions()
    ) throws {
        let histories = try InteractionReader.read(foldInPath, options: options).aligned(to: items)
        let tests = try InteractionReader.read(testPath, options: options).aligned(to: items)
        var names: [String] = []
        var foldIn = RowBuilder()
        var test = RowBuilder()
        var dropped = 0
        for row in 0..<tests.users.count {
            let asked = tests.matrix.range(ofRow: row)
            let history =
                histories.users.index(of: tests.users.utf8(row)).map { histories.matrix.range(ofRow: $0) } ?? 0..<0
            guard !asked.isEmpty, !history.isEmpty else {
                dropped += 1
                continue
            }
            names.append(tests.users[row])
            for entry in asked { test.add(tests.matrix.columnIndices[entry], tests.matrix.values[entry]) }
            for entry in history { foldIn.add(histories.matrix.columnIndices[entry], histories.matrix.values[entry]) }
            test.endRow()
            foldIn.endRow()
        }
        guard !names.isEmpty else {
            throw DataError("no user has both a history of known items and a known item to be found", file: testPath)
        }
        users = IdentifierIndex(names)
        self.foldIn = foldIn.matrix(columns: items.count)
        self.test = test.matrix(columns: items.count)
        unknownItemEntries = histories.unknownItemEntries + tests.unknownItemEntries
        usersDropped = dropped
    }
}

extension InteractionReader {
    /// Reads a file and numbers its items as `items` does; what that index doesn't have is left out and counted.
    public static func read(
        _ path: String, items: IdentifierIndex, options: InteractionOptions = InteractionOptions(),
        progress: ProgressHandler? = nil
    ) throws -> AlignedInteractions {
        try read(path, options: options, progress: progress).aligned(to: items)
    }
}

extension Interactions {
    /// The same interactions with the items numbered as another index does. O(entries · log(entries of a user)).
    public func aligned(to other: IdentifierIndex) -> AlignedInteractions {
        var numbers = [Int32](repeating: -1, count: items.count)
        var unknown = 0
        for item in 0..<items.count {
            if let number = other.index(of: items.utf8(item)) { numbers[item] = Int32(number) } else { unknown += 1 }
        }
        var rows = RowBuilder()
        var left = 0
        for user in 0..<byUser.rows {
            var entries: [(Int32, Float)] = []
            for entry in byUser.range(ofRow: user) {
                let item = numbers[Int(byUser.columnIndices[entry])]
                if item >= 0 { entries.append((item, byUser.values[entry])) } else { left += 1 }
            }
            for (item, value) in entries.sorted(by: { $0.0 < $1.0 }) { rows.add(item, value) }
            rows.endRow()
        }
        return AlignedInteractions(
            users: users, matrix: rows.matrix(columns: other.count), unknownItemEntries: left, unknownItems: unknown,
            report: report)
    }
}
