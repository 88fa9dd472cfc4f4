import Compute
import Core

/// Sparse matrices with the rows that go wrong: empty, of one entry, of very many.
enum SparsePattern {
    /// Numbers of entries of the rows, at most `columns`.
    static func lengths(rows: Int, columns: Int, _ run: CaseRun) -> [Int] {
        let special = [0, 1, columns, 2, columns / 2, 0, 15, 16, 17, 33, 64]
        let random = run.integers(rows, 0...max(min(columns, 24), 1))
        return (0..<rows).map { row in
            min(row < special.count ? special[row] : random[row], columns)
        }
    }

    /// A matrix with ascending, distinct columns in every row, and values from `value`.
    static func matrix(
        rows: Int, columns: Int, lengths: [Int]? = nil, _ run: CaseRun, values: ((Int) -> [Float])? = nil
    ) -> HostSparseMatrix {
        let lengths = lengths ?? self.lengths(rows: rows, columns: columns, run)
        var pointers: [Int64] = [0]
        var indices: [Int32] = []
        for length in lengths {
            // Selection sampling: every set of columns is as likely.
            let draws = run.uniform(columns, 0, 1)
            var needed = length
            for column in 0..<columns where Double(draws[column]) * Double(columns - column) < Double(needed) {
                indices.append(Int32(column))
                needed -= 1
            }
            pointers.append(Int64(indices.count))
        }
        let numbers = values?(indices.count) ?? run.uniform(indices.count, 0.25, 2)
        return HostSparseMatrix(
            rows: rows, columns: columns, rowPointers: HostBuffer(pointers), columnIndices: HostBuffer(indices),
            values: HostBuffer(numbers))
    }

    /// The range of rows that case number `index` uses: all, or some whose first entry is not the matrix's first.
    static func range(_ rows: Int, _ index: Int) -> Range<Int>? {
        guard index % 2 == 1, rows > 3 else { return nil }
        return 2..<rows - 1
    }
}
