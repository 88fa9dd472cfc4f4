import Compute
import Core
import Tables

extension RecommenderModel {
    /// What folding in found.
    public struct FoldInCounts: Sendable, Equatable {
        /// Users that the model did not know.
        public var newUsers = 0
        /// Items that the model did not know.
        public var newItems = 0
        /// Users of the model whose history grew.
        public var updatedUsers = 0
    }

    /// The model with further interactions folded in: everyone in them gets factors from the whole history, items that
    /// the model did not know get factors from who has them, and the rest stays as it was to the bit. Nothing is
    /// trained: the items that were learned are held.
    ///
    /// Users are solved against the known items, then new items against all users, then the users who have new items
    /// once more against all items. Each solve is the exact half-step of the training, so that a row folded in equals
    /// the row that one more half-step would give. A pair that the model has already adds its value to what is there.
    ///
    /// Kinds that know people by what they have (neighbors, EASE, content, popularity, hybrids of those) take users and
    /// their interactions in, and refuse items that they don't know.
    ///
    /// - Parameters:
    ///   - interactions: what has happened since; identifiers as in the model.
    ///   - stream: where to compute.
    /// - Returns: the new model, and what was new in it.
    /// - Throws: ``ParameterError`` for a kind that must be trained to know a user; ``DataError`` for unknown items, and for
    ///   values that can be neither confidences nor ratings; ``ComputeError``.
    /// - Complexity: an exact half-step over the rows concerned, twice the Gram matrix of a side, and a copy of the
    ///   tables.
    public func foldingIn(
        _ interactions: Interactions, stream: Stream
    ) throws -> (model: RecommenderModel, counts: FoldInCounts) {
        let (newUsers, userRows) = users.extended(with: interactions.users)
        let (newItems, itemRows) = items.extended(with: interactions.items)
        var counts = FoldInCounts()
        counts.newUsers = newUsers.count - users.count
        counts.newItems = newItems.count - items.count
        counts.updatedUsers = interactions.users.count - counts.newUsers
        var entries: [(row: Int, column: Int, value: Float)] = []
        entries.reserveCapacity(interactions.count)
        let added = interactions.byUser
        for row in 0..<added.rows {
            for entry in added.range(ofRow: row) {
                entries.append((userRows[row], itemRows[Int(added.columnIndices[entry])], added.values[entry]))
            }
        }
        let grown = seen.resized(rows: newUsers.count, columns: newItems.count)
            .merged(with: HostSparseMatrix(rows: newUsers.count, columns: newItems.count, entries: entries))
        guard let factors else { return (try withHistories(grown, users: newUsers, counts), counts) }

        let folded = FactorizationFactors(
            users: factors.users.extended(toRows: newUsers.count),
            items: factors.items.extended(toRows: newItems.count), mean: factors.mean, options: factors.options)
        let concerned = Set(userRows).sorted().map { Int32($0) }
        let occupiedItems = itemCounts.reduce(0) { $0 + ($1 > 0 ? 1 : 0) }
        try folded.solveUsers(concerned, seen: grown, occupiedItems: occupiedItems, stream: stream)
        if counts.newItems > 0 {
            try folded.solveItems(Int32(items.count)..<Int32(newItems.count), seen: grown, stream: stream)
            let withNewItems = concerned.filter { user in
                grown.range(ofRow: Int(user)).contains { Int(grown.columnIndices[$0]) >= items.count }
            }
            try folded.solveUsers(
                withNewItems, seen: grown, occupiedItems: occupiedItems + counts.newItems, stream: stream)
        }
        var titles: IdentifierIndex?
        if let itemTitles {
            titles = IdentifierIndex(
                itemTitles.strings + [String](repeating: "", count: newItems.count - items.count))
        }
        var history = provenance
        history.split = nil
        history.trainedItems = provenance.trainedItems + counts.newItems
        return (
            RecommenderModel(
                learned: folded, users: newUsers, items: newItems, itemTitles: titles, seen: grown,
                provenance: history), counts
        )
    }
}

extension RecommenderModel {
    /// For kinds that know people by what they have: the histories grow, what was learned of the items stays.
    private func withHistories(
        _ grown: HostSparseMatrix, users: IdentifierIndex, _ counts: FoldInCounts
    ) throws -> RecommenderModel {
        guard counts.newItems == 0 else {
            throw DataError(
                "\(counts.newItems) items are not in the model; one of kind `\(kind)` takes new users in, and is trained "
                    + "again for new items")
        }
        guard let learned = learned.withHistories(grown) else {
            throw ParameterError(
                "model",
                "a model of kind `\(kind)` answers new users by their items (recommend --items) and is trained again to "
                    + "know them")
        }
        var history = provenance
        history.split = nil
        return RecommenderModel(
            learned: learned, users: users, items: items, itemTitles: itemTitles, seen: grown, provenance: history)
    }
}

extension FactorizationFactors {
    /// Solves users from their rows of `seen`, with the items held.
    fileprivate func solveUsers(
        _ rows: [Int32], seen: HostSparseMatrix, occupiedItems: Int, stream: Stream
    ) throws {
        guard !rows.isEmpty else { return }
        let solved = try FoldIn(fixed: items, factors: self, occupiedFixedRows: occupiedItems, stream: stream)
            .solve(seen.selectingRows(rows))
        for (place, row) in rows.enumerated() {
            users.row(Int(row)).baseAddress?.update(from: solved.row(place).baseAddress!, count: users.columns)
        }
    }

    /// Solves items from their columns of `seen`, with the users held.
    fileprivate func solveItems(_ rows: Range<Int32>, seen: HostSparseMatrix, stream: Stream) throws {
        let occupied = (0..<seen.rows).reduce(0) { $0 + (seen.range(ofRow: $1).isEmpty ? 0 : 1) }
        let solved = try FoldIn(fixed: users, factors: self, occupiedFixedRows: occupied, stream: stream)
            .solve(seen.transposed().selectingRows(Array(rows)))
        for (place, row) in rows.enumerated() {
            items.row(Int(row)).baseAddress?.update(from: solved.row(place).baseAddress!, count: items.columns)
        }
    }
}

extension IdentifierIndex {
    /// This index with the identifiers of another that it lacks appended, and the number of each identifier of the
    /// other. O(count of both).
    func extended(with other: IdentifierIndex) -> (index: IdentifierIndex, numbers: [Int]) {
        var appended: [Int] = []
        let numbers = (0..<other.count).map { place in
            if let known = index(of: other.utf8(place)) { return known }
            appended.append(place)
            return count + appended.count - 1
        }
        guard !appended.isEmpty else { return (self, numbers) }
        return (IdentifierIndex(strings + appended.map { other[$0] }), numbers)
    }
}

extension HostMatrix {
    /// A copy with further rows of 0.
    fileprivate func extended(toRows newRows: Int) -> HostMatrix {
        let result = HostMatrix(rows: newRows, columns: columns)
        result.storage.baseAddress.update(from: storage.baseAddress, count: storage.count)
        return result
    }
}
