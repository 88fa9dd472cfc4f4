/// A sparse float32 matrix in host memory, compressed by rows (CSR).
///
/// Row `i` holds the entries `rowPointers[i] ..< rowPointers[i + 1]`; within a row the column indices ascend and are
/// distinct. Interactions are kept in two of these: users × items and, transposed, items × users.
public struct HostSparseMatrix: Sendable {
    /// Number of rows.
    public let rows: Int
    /// Number of columns; every index is below it.
    public let columns: Int
    /// `rows + 1` ascending positions; the first is 0, the last the number of entries.
    public let rowPointers: HostBuffer<Int64>
    /// Column of every entry.
    public let columnIndices: HostBuffer<Int32>
    /// Value of every entry.
    public let values: HostBuffer<Float>

    /// Number of stored entries.
    public var entryCount: Int { columnIndices.count }

    /// Size in bytes of the three arrays.
    public var byteCount: Int { rowPointers.byteCount + columnIndices.byteCount + values.byteCount }

    /// Wraps arrays that already have the form described above.
    public init(
        rows: Int, columns: Int, rowPointers: HostBuffer<Int64>, columnIndices: HostBuffer<Int32>,
        values: HostBuffer<Float>
    ) {
        precondition(rowPointers.count == rows + 1 && columnIndices.count == values.count)
        precondition(Int(rowPointers[rows]) == values.count)
        self.rows = rows
        self.columns = columns
        self.rowPointers = rowPointers
        self.columnIndices = columnIndices
        self.values = values
    }

    /// Positions of the entries of one row.
    @inlinable public func range(ofRow row: Int) -> Range<Int> {
        Int(rowPointers[row])..<Int(rowPointers[row + 1])
    }

    /// Builds the matrix from (row, column, value) triples in any order; values of equal places are added up.
    /// O(entries · log(entries of a row)). For small data and tests; files are read by `Tables`.
    public init(rows: Int, columns: Int, entries: [(row: Int, column: Int, value: Float)]) {
        var byRow = [[(Int, Float)]](repeating: [], count: rows)
        for entry in entries { byRow[entry.row].append((entry.column, entry.value)) }
        var pointers: [Int64] = [0]
        var indices: [Int32] = []
        var values: [Float] = []
        for row in byRow {
            let first = indices.count
            for (column, value) in row.sorted(by: { $0.0 < $1.0 }) {
                if indices.count > first, indices[indices.count - 1] == Int32(column) {
                    values[values.count - 1] += value
                } else {
                    indices.append(Int32(column))
                    values.append(value)
                }
            }
            pointers.append(Int64(indices.count))
        }
        self.init(
            rows: rows, columns: columns, rowPointers: HostBuffer(pointers), columnIndices: HostBuffer(indices),
            values: HostBuffer(values))
    }

    /// The transpose, by counting: O(entries + rows + columns). Entries of equal column keep the order of their rows.
    public func transposed() -> HostSparseMatrix {
        let pointers = HostBuffer<Int64>(repeating: 0, count: columns + 1)
        for entry in 0..<entryCount { pointers[Int(columnIndices[entry]) + 1] += 1 }
        for column in 0..<columns { pointers[column + 1] += pointers[column] }
        let next = HostBuffer<Int64>(pointers.array)
        let indices = HostBuffer<Int32>(uninitializedCount: entryCount)
        let newValues = HostBuffer<Float>(uninitializedCount: entryCount)
        for row in 0..<rows {
            for entry in range(ofRow: row) {
                let column = Int(columnIndices[entry])
                let place = Int(next[column])
                next[column] += 1
                indices[place] = Int32(row)
                newValues[place] = values[entry]
            }
        }
        return HostSparseMatrix(
            rows: columns, columns: rows, rowPointers: pointers, columnIndices: indices, values: newValues)
    }

    /// Both matrices' entries in one; they must have no place in common. O(entries).
    public func merged(with other: HostSparseMatrix) -> HostSparseMatrix {
        precondition(rows == other.rows && columns == other.columns)
        if other.entryCount == 0 { return self }
        let pointers = HostBuffer<Int64>(repeating: 0, count: rows + 1)
        let indices = HostBuffer<Int32>(uninitializedCount: entryCount + other.entryCount)
        let newValues = HostBuffer<Float>(uninitializedCount: entryCount + other.entryCount)
        var place = 0
        for row in 0..<rows {
            var (own, others) = (range(ofRow: row), other.range(ofRow: row))
            while !own.isEmpty || !others.isEmpty {
                let takesOwn =
                    others.isEmpty
                    || (!own.isEmpty && columnIndices[own.lowerBound] < other.columnIndices[others.lowerBound])
                if takesOwn {
                    (indices[place], newValues[place]) = (columnIndices[own.lowerBound], values[own.lowerBound])
                    own = own.dropFirst()
                } else {
                    (indices[place], newValues[place]) = (
                        other.columnIndices[others.lowerBound], other.values[others.lowerBound]
                    )
                    others = others.dropFirst()
                }
                place += 1
            }
            pointers[row + 1] = Int64(place)
        }
        return HostSparseMatrix(
            rows: rows, columns: columns, rowPointers: pointers, columnIndices: indices, values: newValues)
    }
}
