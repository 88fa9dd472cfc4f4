import Core

/// A dense matrix of float64, row after row: what the oracle computes with.
public struct OracleMatrix: Sendable, Equatable {
    /// Number of rows.
    public let rows: Int
    /// Number of columns.
    public let columns: Int
    /// The elements: element (i, j) is at `i * columns + j`.
    public var elements: [Double]

    /// Wraps `rows * columns` elements.
    public init(rows: Int, columns: Int, elements: [Double]) {
        precondition(elements.count == rows * columns)
        self.rows = rows
        self.columns = columns
        self.elements = elements
    }

    /// Widens float32 elements.
    public init(rows: Int, columns: Int, _ elements: [Float]) {
        self.init(rows: rows, columns: columns, elements: elements.map(Double.init))
    }

    /// A matrix with every element equal to `value`.
    public init(rows: Int, columns: Int, repeating value: Double = 0) {
        self.init(rows: rows, columns: columns, elements: Array(repeating: value, count: rows * columns))
    }

    public subscript(row: Int, column: Int) -> Double {
        get { elements[row * columns + column] }
        set { elements[row * columns + column] = newValue }
    }

    /// One row, without copying it.
    public func row(_ index: Int) -> ArraySlice<Double> {
        elements[index * columns..<(index + 1) * columns]
    }

    /// The transpose.
    public var transposed: OracleMatrix {
        var result = OracleMatrix(rows: columns, columns: rows)
        for row in 0..<rows {
            for column in 0..<columns { result[column, row] = self[row, column] }
        }
        return result
    }

    /// The magnitudes of the elements.
    public var magnitudes: OracleMatrix {
        OracleMatrix(rows: rows, columns: columns, elements: elements.map(abs))
    }
}

/// A range of rows of a sparse matrix, in the oracle's types. Entries keep their positions in the whole matrix.
public struct OracleSparseMatrix: Sendable {
    /// Number of rows.
    public let rows: Int
    /// Number of columns.
    public let columns: Int
    /// `rows + 1` positions; the first need not be 0.
    public let rowPointers: [Int]
    /// Column of every entry of the whole matrix.
    public let columnIndices: [Int]
    /// Value of every entry of the whole matrix.
    public let values: [Double]

    public init(rows: Int, columns: Int, rowPointers: [Int], columnIndices: [Int], values: [Double]) {
        precondition(rowPointers.count == rows + 1 && columnIndices.count == values.count)
        self.rows = rows
        self.columns = columns
        self.rowPointers = rowPointers
        self.columnIndices = columnIndices
        self.values = values
    }

    /// The rows of a range of a host matrix; all of them when `range` is nil.
    public init(_ matrix: HostSparseMatrix, rows range: Range<Int>? = nil) {
        let range = range ?? 0..<matrix.rows
        self.init(
            rows: range.count, columns: matrix.columns,
            rowPointers: (range.lowerBound...range.upperBound).map { Int(matrix.rowPointers[$0]) },
            columnIndices: matrix.columnIndices.elements.map(Int.init),
            values: matrix.values.elements.map(Double.init))
    }

    /// Positions of the entries of one row.
    public func range(ofRow row: Int) -> Range<Int> { rowPointers[row]..<rowPointers[row + 1] }

    /// Number of entries of the longest row.
    public var longestRow: Int { (0..<rows).map { range(ofRow: $0).count }.max() ?? 0 }
}
