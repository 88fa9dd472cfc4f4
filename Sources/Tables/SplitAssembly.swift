import Core

extension Interactions {
    /// A split in which users keep their training rows as history.
    func splitEntries(
        _ options: SplitOptions, warning: String?, cutTime: Int64? = nil, _ part: (Int) -> SplitPart
    ) throws -> InteractionSplit {
        var parts = [SplitPart](repeating: .training, count: count)
        var kept = 0
        for entry in 0..<count {
            parts[entry] = part(entry)
            if parts[entry] == .training { kept += 1 }
        }
        let training = options.kind == .none ? byUser : selected(count: kept) { parts[$0] == .training }
        guard training.entryCount > 0 else {
            throw DataError("the \(options.kind.rawValue) split leaves nothing to learn from")
        }
        let trainingByItem = options.kind == .none ? byItem : Transposition(threads: 1).transpose(training)
        let test = evaluationSet(training, trainingByItem) { parts[$0] == .test }
        let validation =
            options.validation ? evaluationSet(training, trainingByItem) { parts[$0] == .validation } : nil
        if options.kind != .none { try requireSomething(test, options) }
        return InteractionSplit(
            trainingByUser: training, trainingByItem: trainingByItem, testSet: test, validationSet: validation,
            warning: warning, cutTime: cutTime)
    }

    private func requireSomething(_ set: EvaluationSet, _ options: SplitOptions) throws {
        guard set.users.isEmpty else { return }
        throw DataError(
            "the \(options.kind.rawValue) split leaves nothing to find: no user has both a history and a known item to be found"
        )
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

    private func evaluationSet(
        _ training: HostSparseMatrix, _ trainingByItem: HostSparseMatrix, _ chosen: (Int) -> Bool
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
                guard !trainingByItem.range(ofRow: Int(item)).isEmpty else {
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

    func splitUsers(_ options: SplitOptions) throws -> InteractionSplit {
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
        var held = [Bool](repeating: false, count: byUser.rows)
        var kept = count
        for user in testUsers + validationUsers {
            held[user] = true
            kept -= byUser.range(ofRow: user).count
        }
        let training = withoutRows(held, kept: kept)
        guard kept > 0 else { throw DataError("the users split leaves nothing to learn from") }
        let trainingByItem = Transposition(threads: 1).transpose(training)
        let test = foldedSet(testUsers, trainingByItem, options)
        try requireSomething(test, options)
        return InteractionSplit(
            trainingByUser: training, trainingByItem: trainingByItem, testSet: test,
            validationSet: options.validation ? foldedSet(validationUsers, trainingByItem, options) : nil,
            warning: nil, cutTime: nil)
    }

    private func withoutRows(_ held: [Bool], kept: Int) -> HostSparseMatrix {
        let pointers = HostBuffer<Int64>(repeating: 0, count: byUser.rows + 1)
        let columns = HostBuffer<Int32>(uninitializedCount: kept)
        let values = HostBuffer<Float>(uninitializedCount: kept)
        var place = 0
        for user in 0..<byUser.rows {
            let range = byUser.range(ofRow: user)
            if !held[user] {
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

    private func foldedSet(
        _ candidates: [Int], _ trainingByItem: HostSparseMatrix, _ options: SplitOptions
    ) -> EvaluationSet {
        let draw = Philox(seed: options.seed, stream: SplitStream.histories)
        var users: [Int32] = []
        var foldIn = RowBuilder()
        var test = RowBuilder()
        var unseen = 0
        var dropped = 0
        for user in candidates {
            let known = byUser.range(ofRow: user).filter {
                !trainingByItem.range(ofRow: Int(byUser.columnIndices[$0])).isEmpty
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
