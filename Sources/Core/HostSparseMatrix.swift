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
    /// When each entry came to be, in seconds since 1970 or any other order; nil when unknown. Matrices made of this one
    /// keep it where its entries are kept as they are.
    public var times: HostBuffer<Int64>? {
        didSet { precondition(times.map { $0.count == entryCount } ?? true) }
    }

    /// Number of stored entries.
    public var entryCount: Int { columnIndices.count }

    /// Size in bytes of the three arrays.
    public var byteCount: Int { rowPointers.byteCount + columnIndices.byteCount + values.byteCount }

    /// Wraps arrays that already have the form described above.
    public init(
        rows: Int, columns: Int, rowPointers: HostBuffer<Int64>, columnIndices: HostBuffer<Int32>,
        values: HostBuffer<Float>, times: HostBuffer<Int64>? = nil
    ) {
        precondition(rowPointers.count == rows + 1 && columnIndices.count == values.count)
        precondition(times.map { $0.count == values.count } ?? true)
        precondition(Int(rowPointers[rows]) == values.count)
        self.rows = rows
        self.columns = columns
        self.rowPointers = rowPointers
        self.columnIndices = columnIndices
        self.values = values
        self.times = times
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

    /// Both matrices' entries in one; those of a place that both have are added up. O(entries).
    public func merged(with other: HostSparseMatrix) -> HostSparseMatrix {
        precondition(rows == other.rows && columns == other.columns)
        if other.entryCount == 0 { return self }
        let pointers = HostBuffer<Int64>(repeating: 0, count: rows + 1)
        for row in 0..<rows { pointers[row + 1] = pointers[row] + Int64(mergedCount(ofRow: row, with: other)) }
        let indices = HostBuffer<Int32>(uninitializedCount: Int(pointers[rows]))
        let newValues = HostBuffer<Float>(uninitializedCount: Int(pointers[rows]))
        for row in 0..<rows {
            var (own, others) = (range(ofRow: row), other.range(ofRow: row))
            for place in Int(pointers[row])..<Int(pointers[row + 1]) {
                let (ownColumn, otherColumn) = (
                    own.isEmpty ? Int32.max : columnIndices[own.lowerBound],
                    others.isEmpty ? Int32.max : other.columnIndices[others.lowerBound]
                )
                indices[place] = min(ownColumn, otherColumn)
                newValues[place] = 0
                if ownColumn <= otherColumn {
                    newValues[place] += values[own.lowerBound]
                    own = own.dropFirst()
                }
                if otherColumn <= ownColumn {
                    newValues[place] += other.values[others.lowerBound]
                    others = others.dropFirst()
                }
            }
        }
        return HostSparseMatrix(
            rows: rows, columns: columns, rowPointers: pointers, columnIndices: indices, values: newValues)
    }

    /// Different columns of a row in either matrix.
    private func mergedCount(ofRow row: Int, with other: HostSparseMatrix) -> Int {
        var (own, others) = (range(ofRow: row), other.range(ofRow: row))
        var count = own.count + others.count
        while !own.isEmpty && !others.isEmpty {
            let (ownColumn, otherColumn) = (columnIndices[own.lowerBound], other.columnIndices[others.lowerBound])
            if ownColumn == otherColumn { count -= 1 }
            if ownColumn <= otherColumn { own = own.dropFirst() }
            if otherColumn <= ownColumn { others = others.dropFirst() }
        }
        return count
    }

    /// The matrix with further empty rows and columns; what is there is shared, not copied. Neither number may shrink.
    public func resized(rows newRows: Int, columns newColumns: Int) -> HostSparseMatrix {
        precondition(newRows >= rows && newColumns >= columns)
        var pointers = rowPointers
        if newRows > rows {
            pointers = HostBuffer<Int64>(repeating: rowPointers[rows], count: newRows + 1)
            pointers.baseAddress.update(from: rowPointers.baseAddress, count: rows + 1)
        }
        return HostSparseMatrix(
            rows: newRows, columns: newColumns, rowPointers: pointers, columnIndices: columnIndices, values: values,
            times: times)
    }
}
