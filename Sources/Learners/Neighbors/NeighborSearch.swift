import CVectorLoops
import Core
import Synchronization
import Tables

/// The most similar rows of each row, exact, by a sparse product with its own transpose.
///
/// Each pair is compared once and offered to both of its rows. Sums of a pair run over the features in ascending
/// order, and the best are chosen by a total order (similarity, then the lower number), so that the result has the
/// same bits for every thread count.
///
/// Cost: Σ over features of (rows with the feature)² / 2 additions, and rows² / 2 comparisons where rows are dense.
package enum NeighborSearch {
    /// States of all rows are kept by every thread up to this size; past it, pairs are compared twice instead.
    package static let largestStates = 1 << 28

    /// - Returns: rows × rows; each row has its neighbors, at most `options.neighbors`, with similarities above 0.
    package static func table(
        _ rows: ComparableRows, threads: Int, largestStates: Int = largestStates, progress: ProgressHandler? = nil
    ) throws -> HostSparseMatrix {
        let count = rows.rows.rows
        let k = min(rows.options.neighbors, max(count, 1))
        let capacity = k + max(k, 32)
        let (indices, scores) = (
            HostBuffer<Int32>(uninitializedCount: count * k), HostBuffer<Float>(uninitializedCount: count * k)
        )
        let found = HostBuffer<Int32>(repeating: 0, count: count)
        let upper = count * capacity * 8 <= largestStates
        let scratches = (0..<max(threads, 1)).map { _ in
            NeighborScratch(
                count: count, states: upper ? count : 1, capacity: capacity, k: k, general: rows.isGeneral)
        }
        let start = monotonicSeconds()
        let slices = Self.slices(rows.rows)
        try rows.withData { data in
            for (number, slice) in slices.enumerated() {
                let next = Atomic<Int>(slice.lowerBound)
                Workers.run(scratches.count) { worker in
                    while true {
                        let first = next.add(Self.group, ordering: .relaxed).oldValue
                        guard first < slice.upperBound else { return }
                        let last = min(first + Self.group, slice.upperBound)
                        if upper {
                            apus_neighbors_upper(data, Int64(first), Int64(last), &scratches[worker].value)
                        } else {
                            for row in first..<last {
                                Self.neighbors(of: row, data, scratches[worker])
                                found[row] = Int32(
                                    scratches[worker].finish(
                                        state: 0, indices.baseAddress + row * k, scores.baseAddress + row * k))
                            }
                        }
                    }
                }
                let report = ProgressReport(
                    phase: "compare", completed: slice.upperBound, total: count, unit: "rows",
                    elapsedSeconds: monotonicSeconds() - start)
                if progress?(report) == .stop, number + 1 < slices.count { throw CancellationError() }
            }
        }
        if upper {
            var states = scratches.map(\.value)
            states.withUnsafeMutableBufferPointer { states in
                let states = states.baseAddress!
                let blocks = (count + 1023) / 1024
                Workers.share(tasks: blocks, threads: threads) { block in
                    let merged = HostBuffer<UInt64>(uninitializedCount: 2 * k + 64)
                    for row in block * 1024..<min((block + 1) * 1024, count) {
                        found[row] = Int32(
                            apus_neighbors_finish(
                                states, Int64(scratches.count), Int64(row), merged.baseAddress,
                                indices.baseAddress + row * k, scores.baseAddress + row * k))
                    }
                }
            }
        }
        return withExtendedLifetime(scratches) { sorted(count: count, k: k, indices, scores, found) }
    }

    /// Rows taken at a time.
    private static let group = 16

    /// Some ranges of rows, so that progress can be told in between.
    private static func slices(_ rows: HostSparseMatrix) -> [Range<Int>] {
        let pieces = rows.entryCount < 1 << 18 ? 1 : 16
        return (0..<pieces).map { rows.rows * $0 / pieces..<rows.rows * ($0 + 1) / pieces }
    }

    private static func neighbors(
        of row: Int, _ data: UnsafePointer<apus_neighbor_data>, _ scratch: NeighborScratch
    ) {
        let first = data.pointee.row_pointers[row]
        let values = data.pointee.values.map { $0 + Int(first) }
        apus_neighbors_of(
            data, data.pointee.features + Int(first), values, data.pointee.row_pointers[row + 1] - first,
            data.pointee.scales[row], Int64(row), &scratch.value)
    }

    /// As a sparse matrix, whose columns ascend.
    private static func sorted(
        count: Int, k: Int, _ indices: HostBuffer<Int32>, _ scores: HostBuffer<Float>, _ found: HostBuffer<Int32>
    ) -> HostSparseMatrix {
        let pointers = HostBuffer<Int64>(repeating: 0, count: count + 1)
        for row in 0..<count { pointers[row + 1] = pointers[row] + Int64(found[row]) }
        let total = Int(pointers[count])
        let (columns, values) = (
            HostBuffer<Int32>(uninitializedCount: total), HostBuffer<Float>(uninitializedCount: total)
        )
        for row in 0..<count {
            let order = (row * k..<row * k + Int(found[row])).sorted { indices[$0] < indices[$1] }
            for (place, source) in order.enumerated() {
                columns[Int(pointers[row]) + place] = indices[source]
                values[Int(pointers[row]) + place] = scores[source]
            }
        }
        return HostSparseMatrix(
            rows: count, columns: count, rowPointers: pointers, columnIndices: columns, values: values)
    }
}

/// What one thread compares with.
final class NeighborScratch {
    var value = apus_neighbor_scratch()
    private let sums: HostBuffer<Float>
    private let moments: HostBuffer<Double>?
    private let touched: HostBuffer<Int32>
    private let keys: HostBuffer<UInt64>
    private let keyCounts: HostBuffer<Int32>
    private let thresholds: HostBuffer<Float>
    private let merged: HostBuffer<UInt64>

    /// - Parameters:
    ///   - count: rows to compare with.
    ///   - states: rows whose best are collected at a time.
    init(count: Int, states: Int, capacity: Int, k: Int, general: Bool) {
        sums = HostBuffer(repeating: 0, count: count)
        moments = general ? HostBuffer(repeating: 0, count: 8 * count) : nil
        touched = HostBuffer(uninitializedCount: count)
        keys = HostBuffer(uninitializedCount: states * capacity)
        keyCounts = HostBuffer(repeating: 0, count: states)
        thresholds = HostBuffer(repeating: Float.leastNormalMagnitude, count: states)
        merged = HostBuffer(uninitializedCount: 2 * k + 64)
        value.sums = sums.baseAddress
        value.moments = moments?.baseAddress
        value.touched = touched.baseAddress
        value.keys = keys.baseAddress
        value.key_counts = keyCounts.baseAddress
        value.thresholds = thresholds.baseAddress
        value.capacity = Int64(capacity)
        value.k = Int64(k)
    }

    /// Writes the best of a state, best first, and clears it.
    func finish(
        state: Int, _ indices: UnsafeMutablePointer<Int32>, _ scores: UnsafeMutablePointer<Float>
    ) -> Int {
        Int(apus_neighbors_finish(&value, 1, Int64(state), merged.baseAddress, indices, scores))
    }
}
