import Compute
import Core
import Tables

extension RecommenderData {
    /// Takes some users out, to choose parameters or weights by: of each, four fifths are known and the rest is to be
    /// found.
    ///
    /// Of the users with at least 5 interactions a tenth, at most 10,000, drawn by Philox.
    ///
    /// - Throws: ``DataError`` when that leaves nothing to learn from or to find.
    public func holdingOutUsers(seed: UInt64) throws -> (rest: RecommenderData, heldOut: RecommenderEvaluator.HeldOut) {
        let eligible = (0..<byUser.rows).filter { byUser.range(ofRow: $0).count >= 5 }
        let number = min(10_000, max(1, eligible.count / 10))
        guard eligible.count > number else {
            throw DataError(
                "choosing by held-out users needs at least two users with 5 interactions, there are \(eligible.count)")
        }
        let order = Philox(seed: seed, stream: 0x484F_4C44).permutation(count: eligible.count)
        var isHeldOut = [Bool](repeating: false, count: byUser.rows)
        for place in order.prefix(number) { isHeldOut[eligible[place]] = true }
        let pointers = HostBuffer<Int64>(repeating: 0, count: byUser.rows + 1)
        for row in 0..<byUser.rows {
            pointers[row + 1] = pointers[row] + Int64(isHeldOut[row] ? 0 : byUser.range(ofRow: row).count)
        }
        let kept = Int(pointers[byUser.rows])
        let columns = HostBuffer<Int32>(uninitializedCount: kept)
        let values = HostBuffer<Float>(uninitializedCount: kept)
        var isKnown = [Bool](repeating: false, count: byUser.columns)
        for row in 0..<byUser.rows where !isHeldOut[row] {
            for (offset, entry) in byUser.range(ofRow: row).enumerated() {
                columns[Int(pointers[row]) + offset] = byUser.columnIndices[entry]
                values[Int(pointers[row]) + offset] = byUser.values[entry]
                isKnown[Int(byUser.columnIndices[entry])] = true
            }
        }
        let rest = HostSparseMatrix(
            rows: byUser.rows, columns: byUser.columns, rowPointers: pointers, columnIndices: columns, values: values)
        var entries: [(row: Int, column: Int, value: Float)] = []
        var people = 0
        for row in 0..<byUser.rows where isHeldOut[row] {
            for entry in byUser.range(ofRow: row) where isKnown[Int(byUser.columnIndices[entry])] {
                entries.append((people, Int(byUser.columnIndices[entry]), byUser.values[entry]))
            }
            people += 1
        }
        var known = HostSparseMatrix(rows: people, columns: byUser.columns, entries: entries)
        let rows = (0..<byUser.rows).filter { isHeldOut[$0] }.map { Int32($0) }
        known.times = times.map { byUser.picking($0, at: known, rows: rows) }
        let heldOut = ModelEvaluation.divided(known, testFraction: 0.2, minimum: 5, seed: seed)
        guard heldOut.truth.entryCount > 0 else {
            throw DataError("the held-out users have too few items that others have: nothing to choose by")
        }
        var timed = rest
        timed.times = times.map { byUser.picking($0, at: rest) }
        return (
            RecommenderData(
                users: users, items: items, byUser: timed, byItem: rest.transposed(), times: timed.times), heldOut
        )
    }

    /// What a model that was learned from these interactions is opened with.
    func context(_ stream: Stream) -> RecommenderContext {
        RecommenderContext(stream: stream, histories: byUser)
    }
}
