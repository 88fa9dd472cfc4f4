import CVectorLoops
import Core
import Tables

/// Ranks items by scores that host threads compute, one person at a time: what models of sparse rows need.
///
/// People are shared out in groups that do not depend on the number of threads, and each person's scores are computed
/// by one thread, so that every thread count gives the same bits.
struct PersonRanking {
    let itemCount: Int
    let threads: Int
    /// Whether only scores above 0 count: 0 is what items have that nothing speaks for.
    var positiveOnly = true

    private static let group = 64

    /// - Parameters:
    ///   - bias: added to the scores; −∞ keeps an item out.
    ///   - score: fills the scores of a person, all 0 at first.
    func topItems(
        people: Int, count: Int, exclusions: HostSparseMatrix?, bias: [Float]?,
        score: (_ person: Int, _ scores: UnsafeMutablePointer<Float>) -> Void
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let places = people * count
        let (items, scores) = (
            HostBuffer<Int32>(uninitializedCount: places), HostBuffer<Float>(uninitializedCount: places)
        )
        let groups = (people + Self.group - 1) / Self.group
        Workers.share(tasks: groups, threads: threads) { number in
            let sums = HostBuffer<Float>(repeating: 0, count: itemCount)
            let capacity = 2 * count + 64
            let keys = HostBuffer<UInt64>(uninitializedCount: capacity)
            for person in number * Self.group..<min((number + 1) * Self.group, people) {
                score(person, sums.baseAddress)
                var state = apus_top_k()
                apus_top_k_start(&state, keys.baseAddress, Int64(capacity), Int64(count))
                if positiveOnly { state.threshold = 0 }
                let excluded = exclusions.map { $0.range(ofRow: person) } ?? 0..<0
                let listed = excluded.isEmpty ? nil : exclusions!.columnIndices.baseAddress + excluded.lowerBound
                if let bias {
                    bias.withUnsafeBufferPointer {
                        apus_top_k_offer(
                            &state, sums.baseAddress, Int64(itemCount), 0, $0.baseAddress, listed, Int64(excluded.count)
                        )
                    }
                } else {
                    apus_top_k_offer(
                        &state, sums.baseAddress, Int64(itemCount), 0, nil, listed, Int64(excluded.count))
                }
                let found = apus_top_k_finish(&state)
                apus_top_k_write(
                    keys.baseAddress, found, Int64(count), items.baseAddress + person * count,
                    scores.baseAddress + person * count)
                sums.baseAddress.update(repeating: 0, count: itemCount)
            }
        }
        return TopItems(count: count, items: items.array, scores: scores.array)
    }
}

extension Audience {
    /// What the people have: their own rows, or those that the model keeps of its users.
    func histories(known: HostSparseMatrix) throws -> HostSparseMatrix {
        switch self {
        case .histories(let matrix):
            guard matrix.columns == known.columns else {
                throw ParameterError(
                    "audience", "histories of \(matrix.columns) items for a model of \(known.columns)")
            }
            return matrix
        case .users(let selected):
            try checkIndices(selected, below: known.rows, "users")
            return known.selectingRows(selected)
        }
    }
}

extension HostSparseMatrix {
    /// Columns of one row, ascending.
    package func columns(ofRow row: Int) -> UnsafeBufferPointer<Int32> {
        let range = range(ofRow: row)
        return UnsafeBufferPointer(start: columnIndices.baseAddress + range.lowerBound, count: range.count)
    }

    /// Values of one row.
    package func values(ofRow row: Int) -> UnsafeBufferPointer<Float> {
        let range = range(ofRow: row)
        return UnsafeBufferPointer(start: values.baseAddress + range.lowerBound, count: range.count)
    }

    /// The value at one place; nil when nothing is stored there. O(log(entries of the row)).
    package func value(row: Int, column: Int32) -> Float? {
        let columns = columns(ofRow: row)
        var (low, high) = (0, columns.count)
        while low < high {
            let middle = (low + high) / 2
            if columns[middle] < column { low = middle + 1 } else { high = middle }
        }
        return low < columns.count && columns[low] == column ? values(ofRow: row)[low] : nil
    }
}

extension ConfidenceRule {
    /// What a value counts for.
    func weight(_ value: Float) -> Float {
        switch self {
        case .constant: 1
        case .linear: value
        case .log: LogConfidence.value(value)
        }
    }
}
