import Core
import Tables

/// A table that is read a part at a time, for trainings on more rows than memory holds.
///
/// What has to be known of all rows beforehand (types of features, vocabularies, scales, classes) is learned from a sample
/// drawn from the whole file. Which rows are in the sample, and which are held out, depends on their number in the file and
/// the seed alone.
/// Used by one thread at a time.
public final class StreamedTable: @unchecked Sendable {
    /// Hands over the table in parts, the same each time.
    public typealias Reader = (_ body: (Table) throws -> Void) throws -> Void

    /// Where encoded rows may be kept, and how many bytes of them are in memory at a time.
    public let folder: String
    public let partBytes: Int
    /// Rows of the file.
    public private(set) var rows = 0
    /// Rows that were trained on.
    public private(set) var trainedRows = 0
    private let read: Reader
    private let roles: TableRoles
    private let kinds: Set<SupervisedTask.Kind>
    private let testShare: Double
    private let random: Philox
    /// The number in the file of each row of the sample.
    private var sampled: [Int] = []
    private var task: SupervisedTask?

    /// - Parameters:
    ///   - roles: which columns are what; rows can't be grouped, nor be divided by time.
    ///   - kinds: what the learner can predict.
    ///   - testShare: share of the rows that is held out, at random; judged are those of the sample.
    ///   - partBytes: bytes of encoded rows in memory at a time.
    ///   - folder: where encoded rows are kept while the training lasts: 4 bytes for each of the features of a row.
    public init(
        roles: TableRoles, kinds: Set<SupervisedTask.Kind>, testShare: Double, seed: UInt64, partBytes: Int,
        folder: String, read: @escaping Reader
    ) throws {
        guard roles.group == nil, roles.time == nil else {
            throw ParameterError(
                roles.group == nil ? "time-column" : "group-column",
                "rows that are read in parts are held out at random; raise the memory limit, or divide the file beforehand"
            )
        }
        self.roles = roles
        self.kinds = kinds
        self.testShare = testShare
        self.partBytes = partBytes
        self.folder = folder
        self.read = read
        random = Philox(seed: seed, stream: 0x5354_5245_414D)
    }

    private func isHeldOut(_ row: Int) -> Bool { random.uniform64(2 * UInt64(row) + 1) < testShare }

    /// Reads the whole file and keeps a sample of at most so many rows, all when there are no more.
    public func sample(rows limit: Int) throws -> SupervisedTable {
        var kept: [(table: Table, rows: [Int])] = []
        var share = 1.0
        rows = 0
        try read { part in
            let own = (0..<part.rowCount).filter { random.uniform64(2 * UInt64(rows + $0)) < share }
            kept.append((part.selecting(rows: own), own.map { rows + $0 }))
            rows += part.rowCount
            while kept.reduce(0, { $0 + $1.rows.count }) > limit {
                share /= 2
                kept = kept.map { table, numbers in
                    let stay = numbers.indices.filter { random.uniform64(2 * UInt64(numbers[$0])) < share }
                    return (table.selecting(rows: stay), stay.map { numbers[$0] })
                }
            }
        }
        let filled = kept.filter { !$0.rows.isEmpty }
        let whole = try filled.isEmpty ? (kept.first?.table ?? Table([])) : Table.appending(filled.map(\.table))
        let sample = try SupervisedTable(whole, roles: roles, kinds: kinds)
        let numbers = filled.flatMap(\.rows)
        sampled = sample.sourceRows.map { numbers[$0] }
        task = sample.task
        return sample
    }

    /// The sample's rows that are held out, and the others.
    func fold() throws -> Fold {
        let all = sampled.indices
        let fold = Fold(
            training: all.filter { !isHeldOut(sampled[$0]) }, test: all.filter { isHeldOut(sampled[$0]) })
        guard testShare == 0 || !fold.test.isEmpty, !fold.training.isEmpty else {
            throw DataError("the sample of \(all.count) rows is too small to be divided; raise the memory limit")
        }
        return fold
    }

    /// Reads the file once more and hands over the rows that are not held out, as features.
    func forEachPart(
        _ recipe: FittedRecipe, _ body: (_ features: Features, _ target: [Double], _ weights: [Double]?) throws -> Void
    ) throws {
        var first = 0
        trainedRows = 0
        try read { part in
            defer { first += part.rowCount }
            let names = [roles.target] + (roles.weight.map { [$0] } ?? [])
            let columns = try names.map { try part.column($0) }
            let rows = (0..<part.rowCount).filter { row in
                !isHeldOut(first + row) && !columns.contains { $0.isMissing(row) }
            }
            guard !rows.isEmpty else { return }
            let data = try SupervisedTable(part.selecting(rows: rows), roles: roles, kinds: kinds, task: task)
            trainedRows += data.rows
            try body(try recipe.apply(data.table), data.target, data.weights)
        }
    }
}
