import Core
import Tables

/// Which columns of a table are what.
public struct TableRoles: Codable, Sendable, Equatable {
    /// The column to be predicted.
    public var target: String
    /// The value of the target that is asked about. With more than two values, the others count as one class.
    public var positive: String?
    /// What is predicted; nil: classes where the target's values are categories, Booleans, or two; else numbers.
    public var task: RequestedTask?
    /// Weights of the rows.
    public var weight: String?
    /// Rows of equal value belong together when rows are divided.
    public var group: String?
    /// When a row happened; stays a feature.
    public var time: String?

    public init(
        target: String, positive: String? = nil, task: RequestedTask? = nil, weight: String? = nil,
        group: String? = nil, time: String? = nil
    ) {
        self.target = target
        self.positive = positive
        self.task = task
        self.weight = weight
        self.group = group
        self.time = time
    }

    /// What is to be predicted, when a person says so.
    public enum RequestedTask: String, Codable, Sendable, CaseIterable {
        case classification, regression
    }
}

/// A table with its target apart: what is divided, fitted and judged.
public struct SupervisedTable: Sendable {
    /// The columns that features are made from.
    public let table: Table
    public let roles: TableRoles
    public let task: SupervisedTask
    /// The number of each row, or the index of its class.
    public let target: [Double]
    public let weights: [Double]?
    public let groups: [Int32]?
    public let times: [Double]?
    /// The row in the file of each row that stayed, counted from 0.
    public let sourceRows: [Int]
    /// Rows left out because their target or weight is missing.
    public let dropped: Int
    /// What a person should know: suspicious columns, rows left out.
    public private(set) var notes: [String]

    public var rows: Int { target.count }

    /// Takes the target out of a table.
    ///
    /// - Parameters:
    ///   - whole: the table as it was read.
    ///   - roles: which columns are what.
    ///   - kinds: what the learner can predict.
    ///   - task: of a model that is judged: its classes, in its order. Rows of other classes are an error.
    /// - Throws: ``DataError`` for a target that is missing, constant, or can't be predicted so.
    public init(
        _ whole: Table, roles: TableRoles, kinds: Set<SupervisedTask.Kind>, task given: SupervisedTask? = nil
    ) throws {
        let column = try whole.column(roles.target)
        let weightColumn = try roles.weight.map { try whole.column($0) }
        let weightNumbers = try weightColumn.map { column in
            guard let numbers = column.numbers else {
                throw DataError(
                    "weights must be numbers; this is a \(column.type.rawValue) column", column: column.name)
            }
            return numbers
        }
        let kept = (0..<whole.rowCount).filter { row in
            !column.isMissing(row) && !(weightNumbers.map { $0[row].isNaN } ?? false)
        }
        guard !kept.isEmpty else {
            throw DataError(
                whole.rowCount == 0 ? "the table has no rows" : "every value of the target is missing",
                column: roles.target)
        }
        let reader = TargetReader(column: column, rows: kept, roles: roles, kinds: kinds)
        (self.task, target) = try reader.read(as: given)
        var leftOut = [roles.target]
        if let name = roles.weight { leftOut.append(name) }
        if let name = roles.group { leftOut.append(name) }
        let features = try whole.dropping(Array(Set(leftOut)).sorted())
        guard !features.columns.isEmpty else {
            throw DataError("there is no column beside the target to learn from; drop fewer columns")
        }
        table = kept.count == whole.rowCount ? features : features.selecting(rows: kept)
        self.roles = roles
        weights = weightNumbers.map { numbers in kept.map { numbers[$0] } }
        if let weights, let bad = weights.first(where: { !($0 >= 0 && $0.isFinite) }) {
            throw DataError("a weight is \(bad); weights must be 0 or more", column: roles.weight)
        }
        groups = try roles.group.map { name in
            let column = try whole.column(name)
            var numbers: [String: Int32] = [:]
            return kept.map { row in
                let text = column.text(row) ?? ""
                let number = numbers[text] ?? Int32(numbers.count)
                numbers[text] = number
                return number
            }
        }
        times = try roles.time.map { name in
            let column = try whole.column(name)
            guard let numbers = column.numbers else {
                throw DataError(
                    "times must be dates or numbers; this is a \(column.type.rawValue) column", column: name)
            }
            guard !kept.contains(where: { numbers[$0].isNaN }) else {
                throw DataError("a time is missing; drop such rows first", column: name)
            }
            return kept.map { numbers[$0] }
        }
        sourceRows = kept
        dropped = whole.rowCount - kept.count
        notes = dropped > 0 ? ["\(dropped) rows without a value of \(roles.target) are left out"] : []
        if given == nil { notes += LeakCheck.suspicions(table, target: target, task: self.task) }
    }

    private init(
        table: Table, roles: TableRoles, task: SupervisedTask, target: [Double], weights: [Double]?,
        groups: [Int32]?, times: [Double]?, sourceRows: [Int], notes: [String]
    ) {
        self.table = table
        self.roles = roles
        self.task = task
        self.target = target
        self.weights = weights
        self.groups = groups
        self.times = times
        self.sourceRows = sourceRows
        dropped = 0
        self.notes = notes
    }

    /// Some rows, in the order given; a row may be named several times.
    public func selecting(rows: [Int]) -> SupervisedTable {
        SupervisedTable(
            table: table.selecting(rows: rows), roles: roles, task: task, target: rows.map { target[$0] },
            weights: weights.map { weights in rows.map { weights[$0] } },
            groups: groups.map { groups in rows.map { groups[$0] } },
            times: times.map { times in rows.map { times[$0] } }, sourceRows: rows.map { sourceRows[$0] }, notes: notes)
    }

    /// The same rows with other weights, or with rows added at the end that no file has.
    func replacing(table: Table? = nil, target: [Double]? = nil, weights: [Double]?) -> SupervisedTable {
        let target = target ?? self.target
        return SupervisedTable(
            table: table ?? self.table, roles: roles, task: task, target: target, weights: weights,
            groups: target.count == rows ? groups : nil, times: target.count == rows ? times : nil,
            sourceRows: target.count == rows ? sourceRows : (0..<target.count).map { $0 < rows ? sourceRows[$0] : -1 },
            notes: notes)
    }

    /// Divides the rows once.
    public func holdOut(_ kind: FoldKind, share: Double, seed: UInt64) throws -> Fold {
        try Folds.holdOut(
            kind, share: share, target: target, isClassification: task.isClassification, groups: groups, times: times,
            seed: seed)
    }

    /// Divides the rows into folds.
    public func folds(_ kind: FoldKind, count: Int, seed: UInt64) throws -> [Fold] {
        try Folds.divide(
            kind, count: count, target: target, isClassification: task.isClassification, groups: groups, times: times,
            seed: seed)
    }

    /// How rows are divided when nobody says: by time or groups where there is such a column, else at random, evenly.
    public var defaultFoldKind: FoldKind { times != nil ? .rolling : groups != nil ? .grouped : .stratified }

    /// What somebody knows who has only seen the target: rates of the classes, or the mean.
    public var priors: [Double] {
        var (sums, total) = ([Double](repeating: 0, count: task.outputs), 0.0)
        for row in 0..<rows {
            let weight = weights?[row] ?? 1
            total += weight
            if task.isClassification { sums[Int(target[row])] += weight } else { sums[0] += weight * target[row] }
        }
        return sums.map { $0 / max(total, 1e-300) }
    }

    /// Identifies the rows by their target: equal for the same file, also when other columns were left out.
    public var fingerprint: String {
        target.withUnsafeBytes { bytes in
            StructureHash.hexadecimal(StructureHash.hash([bytes], options: roles.target, threads: 1))
        }
    }
}
