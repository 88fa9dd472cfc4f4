import Core

extension InteractionSplit {
    /// The same parts, with the times of what people are known by.
    func withTimes(of data: Interactions) -> InteractionSplit {
        guard let times = data.times else { return self }
        var training = trainingByUser
        training.times = data.byUser.picking(times, at: training)
        func timed(_ set: EvaluationSet) -> EvaluationSet {
            guard var known = set.foldIn else { return set }
            known.times = data.byUser.picking(times, at: known, rows: set.users)
            return EvaluationSet(
                users: set.users, foldIn: known, test: set.test, unseenItemEntries: set.unseenItemEntries,
                usersDropped: set.usersDropped)
        }
        return InteractionSplit(
            trainingByUser: training, trainingByItem: trainingByItem, heldOut: heldOut, testSet: timed(testSet),
            validationSet: validationSet.map(timed), warning: warning, cutTime: cutTime)
    }
}

extension Interactions {
    /// Users × items, with the times where they are known.
    package var timedByUser: HostSparseMatrix {
        var matrix = byUser
        matrix.times = times
        return matrix
    }
}

extension HostSparseMatrix {
    /// Of something that goes with every entry of this matrix, what belongs to the entries of `part`, each of which is
    /// an entry of this one, too.
    ///
    /// - Parameter selected: the row of this matrix that each row of `part` is of; nil for the same rows.
    package func picking<Element>(
        _ elements: HostBuffer<Element>, at part: HostSparseMatrix, rows selected: [Int32]? = nil
    ) -> HostBuffer<Element> {
        precondition(part.rows == selected?.count ?? rows && elements.count == entryCount)
        let result = HostBuffer<Element>(uninitializedCount: part.entryCount)
        for row in 0..<part.rows {
            var own = range(ofRow: selected.map { Int($0[row]) } ?? row).lowerBound
            for entry in part.range(ofRow: row) {
                while columnIndices[own] != part.columnIndices[entry] { own += 1 }
                result[entry] = elements[own]
            }
        }
        return result
    }
}
