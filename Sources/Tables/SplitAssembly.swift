import Core

extension InteractionSplit {
    /// Divides `data`, of which parts are let go as soon as they are not needed, so that a caller who keeps no copy pays
    /// for the division with little memory.
    public static func dividing(
        _ data: inout Interactions?, by options: SplitOptions
    ) throws -> InteractionSplit {
        try options.validate()
        switch options.kind {
        case .none:
            let none = EvaluationSet(
                users: [], foldIn: nil, test: RowBuilder().matrix(columns: data!.items.count), unseenItemEntries: 0,
                usersDropped: 0)
            return InteractionSplit(
                trainingByUser: data!.byUser, trainingByItem: data!.byItem,
                heldOut: HostSparseMatrix(rows: data!.users.count, columns: data!.items.count, entries: []),
                testSet: none,
                validationSet: options.validation ? none : nil, warning: nil, cutTime: nil)
        case .users: return try makeFolded(&data, options)
        case .time, .random, .leaveLastOut: return try makeFromEntries(&data, options)
        }
    }

    /// A split in which users keep their training rows as history.
    private static func makeFromEntries(_ data: inout Interactions?, _ options: SplitOptions) throws -> InteractionSplit
    {
        let (parts, warning, cutTime) = try data!.parts(options)
        data = data!.withoutItemsAndTimes()
        let training = data!.selected(count: parts.count { $0 == .training }) { parts[$0] == .training }
        guard training.entryCount > 0 else {
            throw DataError("the \(options.kind.rawValue) split leaves nothing to learn from")
        }
        let known = knownItems(training)
        let test = data!.evaluationSet(training, known) { parts[$0] == .test }
        let validation = options.validation ? data!.evaluationSet(training, known) { parts[$0] == .validation } : nil
        try requireSomething(test, options)
        let heldOut = data!.selected(count: parts.count { $0 != .training }) { parts[$0] != .training }
        data = nil
        return InteractionSplit(
            trainingByUser: training, trainingByItem: transpose(training), heldOut: heldOut, testSet: test,
            validationSet: validation, warning: warning, cutTime: cutTime)
    }

    /// A split with users held out entirely.
    private static func makeFolded(_ data: inout Interactions?, _ options: SplitOptions) throws -> InteractionSplit {
        let (testUsers, validationUsers) = try data!.heldOutUsers(options)
        data = data!.withoutItemsAndTimes()
        var isHeldOut = [Bool](repeating: false, count: data!.byUser.rows)
        for user in testUsers + validationUsers { isHeldOut[user] = true }
        let training = data!.keepingRows { !isHeldOut[$0] }
        guard training.entryCount > 0 else { throw DataError("the users split leaves nothing to learn from") }
        let known = knownItems(training)
        let test = data!.foldedSet(testUsers, known, options)
        let validation = options.validation ? data!.foldedSet(validationUsers, known, options) : nil
        try requireSomething(test, options)
        let heldOut = data!.keepingRows { isHeldOut[$0] }
        data = nil
        return InteractionSplit(
            trainingByUser: training, trainingByItem: transpose(training), heldOut: heldOut, testSet: test,
            validationSet: validation, warning: nil, cutTime: nil)
    }

    private static func transpose(_ training: HostSparseMatrix) -> HostSparseMatrix {
        Transposition(threads: training.entryCount < 1 << 16 ? 1 : Workers.processorCount).transpose(training)
    }

    private static func knownItems(_ training: HostSparseMatrix) -> [Bool] {
        var known = [Bool](repeating: false, count: training.columns)
        for entry in 0..<training.entryCount { known[Int(training.columnIndices[entry])] = true }
        return known
    }

    private static func requireSomething(_ set: EvaluationSet, _ options: SplitOptions) throws {
        guard set.users.isEmpty else { return }
        throw DataError(
            "the \(options.kind.rawValue) split leaves nothing to find: no user has both a history and a known item to be found"
        )
    }
}

extension Interactions {
    func withoutItemsAndTimes() -> Interactions {
        let none = HostSparseMatrix(rows: items.count, columns: users.count, entries: [])
        return Interactions(
            users: users, items: items, byUser: byUser, byItem: none, times: nil, report: report,
            fingerprint: fingerprint)
    }

    /// Entries for which `keep` holds, in the numbering of the whole.
    func selected(count kept: Int, _ keep: (Int) -> Bool) -> HostSparseMatrix {
        let pointers = HostBuffer<Int64>(repeating: 0, count: byUser.rows + 1)
        let columns = HostBuffer<Int32>(uninitializedCount: kept)
        let values = HostBuffer<Float>(uninitializedCount: kept)
        var place = 0
        for user in 0..<byUser.rows {
            for entry in byUser.range(ofRow: user) where keep(entry) {
                columns[place] = byUser.columnIndices[entry]
                values[place] = byUser.values[entry]
                place += 1
            }
            pointers[user + 1] = Int64(place)
        }
        return HostSparseMatrix(
            rows: byUser.rows, columns: byUser.columns, rowPointers: pointers, columnIndices: columns, values: values)
    }

    func evaluationSet(
        _ training: HostSparseMatrix, _ known: [Bool], _ chosen: (Int) -> Bool
    ) -> EvaluationSet {
        var users: [Int32] = []
        var test = RowBuilder()
        var unseen = 0
        var dropped = 0
        for user in 0..<byUser.rows {
            let hasHistory = !training.range(ofRow: user).isEmpty
            var found = 0
            var asked = 0
            for entry in byUser.range(ofRow: user) where chosen(entry) {
                asked += 1
                let item = byUser.columnIndices[entry]
                guard known[Int(item)] else {
                    unseen += 1
                    continue
                }
                guard hasHistory else { continue }
                test.add(item, byUser.values[entry])
                found += 1
            }
            if found > 0 {
                users.append(Int32(user))
                test.endRow()
            } else if asked > 0 {
                dropped += 1
            }
        }
        return EvaluationSet(
            users: users, foldIn: nil, test: test.matrix(columns: byUser.columns), unseenItemEntries: unseen,
            usersDropped: dropped)
    }

    func heldOutUsers(_ options: SplitOptions) throws -> (test: [Int], validation: [Int]) {
        let eligible = (0..<byUser.rows).filter { byUser.range(ofRow: $0).count >= options.minimumPerHeldOutUser }
        guard !eligible.isEmpty else {
            throw DataError(
                "no user has \(options.minimumPerHeldOutUser) interactions, which a user must have to be held out")
        }
        let groups = options.validation ? 2 : 1
        let size = min(options.maximumHeldOutUsers, max(1, Int(options.heldOutUserFraction * Double(eligible.count))))
        guard size * groups < byUser.rows else {
            throw DataError("there are too few users to hold any out: \(byUser.rows)")
        }
        let order = Philox(seed: options.seed, stream: SplitStream.users).permutation(count: eligible.count)
        let testUsers = order.prefix(size).map { eligible[$0] }.sorted()
        let validationUsers =
            options.validation ? order.dropFirst(size).prefix(size).map { eligible[$0] }.sorted() : []
        return (testUsers, validationUsers)
    }
    /// The matrix with the other rows emptied.
    func keepingRows(where keeps: (Int) -> Bool) -> HostSparseMatrix {
        var kept = 0
        for user in 0..<byUser.rows where keeps(user) { kept += byUser.range(ofRow: user).count }
        let pointers = HostBuffer<Int64>(repeating: 0, count: byUser.rows + 1)
        let columns = HostBuffer<Int32>(uninitializedCount: kept)
        let values = HostBuffer<Float>(uninitializedCount: kept)
        var place = 0
        for user in 0..<byUser.rows {
            let range = byUser.range(ofRow: user)
            if keeps(user) {
                (columns.baseAddress + place).update(
                    from: byUser.columnIndices.baseAddress + range.lowerBound, count: range.count)
                (values.baseAddress + place).update(
                    from: byUser.values.baseAddress + range.lowerBound, count: range.count)
                place += range.count
            }
            pointers[user + 1] = Int64(place)
        }
        return HostSparseMatrix(
            rows: byUser.rows, columns: byUser.columns, rowPointers: pointers, columnIndices: columns, values: values)
    }

    func foldedSet(
        _ candidates: [Int], _ knownItems: [Bool], _ options: SplitOptions
    ) -> EvaluationSet {
        let draw = Philox(seed: options.seed, stream: SplitStream.histories)
        var users: [Int32] = []
        var foldIn = RowBuilder()
        var test = RowBuilder()
        var unseen = 0
        var dropped = 0
        for user in candidates {
            let known = byUser.range(ofRow: user).filter {
                knownItems[Int(byUser.columnIndices[$0])]
            }
            unseen += byUser.range(ofRow: user).count - known.count
            let tested = Int(options.testFraction * Double(known.count))
            guard tested > 0, tested < known.count else {
                dropped += 1
                continue
            }
            let order = known.map { (draw.integer64(UInt64($0)), $0) }.sorted { $0 < $1 }
            let chosen = Set(order.prefix(tested).map(\.1))
            for entry in known {
                let item = byUser.columnIndices[entry]
                if chosen.contains(entry) {
                    test.add(item, byUser.values[entry])
                } else {
                    foldIn.add(item, byUser.values[entry])
                }
            }
            users.append(Int32(user))
            test.endRow()
            foldIn.endRow()
        }
        return EvaluationSet(
            users: users, foldIn: foldIn.matrix(columns: byUser.columns), test: test.matrix(columns: byUser.columns),
            unseenItemEntries: unseen, usersDropped: dropped)
    }
}

/// Grows a sparse matrix row by row.
struct RowBuilder {
    private var pointers: [Int64] = [0]
    private var columns: [Int32] = []
    private var values: [Float] = []

    mutating func add(_ column: Int32, _ value: Float) {
        columns.append(column)
        values.append(value)
    }

    mutating func endRow() { pointers.append(Int64(columns.count)) }

    func matrix(columns columnCount: Int) -> HostSparseMatrix {
        HostSparseMatrix(
            rows: pointers.count - 1, columns: columnCount, rowPointers: HostBuffer(pointers),
            columnIndices: HostBuffer(columns), values: HostBuffer(values))
    }
}

/// One of several divisions of the entries, for cross-validation of ratings.
public struct InteractionFold: Sendable {
    /// All entries but this fold's, in the numbering of the whole.
    public let trainingByUser: HostSparseMatrix
    /// Its transpose.
    public let trainingByItem: HostSparseMatrix
    /// This fold's entries, in the numbering of the whole; users and items that training lacks included.
    public let test: HostSparseMatrix
}

extension Interactions {
    /// Which of `count` folds each entry of `byUser` is in. The entries are shuffled by ``SplitStream/folds``, then
    /// dealt out in turn, so that sizes differ by one at most. O(entries · log(entries)).
    public func foldNumbers(count folds: Int, seed: UInt64) throws -> [Int32] {
        guard folds >= 2 else { throw ParameterError("count", "there must be 2 folds or more, not \(folds)") }
        guard folds <= count else { throw DataError("\(count) interactions can't make \(folds) folds") }
        let order = Philox(seed: seed, stream: SplitStream.folds).permutation(count: count)
        var numbers = [Int32](repeating: 0, count: count)
        for (place, entry) in order.enumerated() { numbers[entry] = Int32(place % folds) }
        return numbers
    }

    /// Fold number `index` of a division by ``foldNumbers(count:seed:)``.
    public func fold(_ index: Int, of numbers: [Int32]) -> InteractionFold {
        precondition(numbers.count == count)
        let tested = numbers.count { $0 == Int32(index) }
        let training = selected(count: count - tested) { numbers[$0] != Int32(index) }
        return InteractionFold(
            trainingByUser: training, trainingByItem: Transposition(threads: 1).transpose(training),
            test: selected(count: tested) { numbers[$0] == Int32(index) })
    }

    /// All folds, for small data.
    public func folds(count folds: Int, seed: UInt64) throws -> [InteractionFold] {
        let numbers = try foldNumbers(count: folds, seed: seed)
        return (0..<folds).map { fold($0, of: numbers) }
    }
}
