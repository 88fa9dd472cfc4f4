import Core

/// Types of the elements that a device holds.
public enum ElementType: String, Sendable, CaseIterable {
    case float32, int32, int64

    /// Bytes of one element.
    public var byteCount: Int {
        switch self {
        case .float32, .int32: 4
        case .int64: 8
        }
    }
}

/// Memory of a device, owned by whoever holds a ``Matrix`` on it and freed (to the device's pool) with the last one.
public protocol DeviceStorage: AnyObject, Sendable {
    /// Usable bytes.
    var byteCount: Int { get }
    /// The identity of the device that the memory belongs to.
    var deviceName: String { get }
}

/// A handle on a row-major matrix in the memory of a device: no elements, only where they are.
///
/// Element (i, j) lies `offset + i * rowStride + j` elements into the storage. Transposition is an argument of the
/// operations, never a property of the handle. A vector is a matrix of one row.
public struct Matrix: Sendable {
    /// The memory.
    public let storage: any DeviceStorage
    /// Type of the elements.
    public let elementType: ElementType
    /// Elements before element (0, 0).
    public let offset: Int
    /// Number of rows; may be 0.
    public let rows: Int
    /// Number of columns; may be 0.
    public let columns: Int
    /// Elements from one row to the next; at least `columns`.
    public let rowStride: Int

    /// A handle on memory that the caller vouches for; ``Stream`` makes most of them.
    /// Throws ``ComputeError/invalidArgument(operation:reason:)`` when the matrix would reach past its storage.
    public init(
        storage: any DeviceStorage, elementType: ElementType, offset: Int, rows: Int, columns: Int, rowStride: Int
    ) throws(ComputeError) {
        guard offset >= 0, rows >= 0, columns >= 0, rowStride >= columns else {
            throw .invalidArgument(
                operation: "Matrix",
                reason: "offset \(offset), \(rows) × \(columns), row stride \(rowStride) is not a matrix")
        }
        let last = rows == 0 || columns == 0 ? offset : offset + (rows - 1) * rowStride + columns
        guard last * elementType.byteCount <= storage.byteCount else {
            throw .invalidArgument(
                operation: "Matrix",
                reason: "\(rows) × \(columns), offset \(offset), row stride \(rowStride) needs \(last) elements of "
                    + "\(elementType), the storage has \(storage.byteCount) bytes")
        }
        self.storage = storage
        self.elementType = elementType
        self.offset = offset
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
    }

    /// Number of elements, gaps between rows not counted.
    public var count: Int { rows * columns }

    /// Whether the rows follow each other without gaps.
    public var isContiguous: Bool { rowStride == columns || rows <= 1 }

    /// "3 × 4", for messages.
    public var shape: String { "\(rows) × \(columns)" }

    /// The rows of a range, on the same memory. The range must lie within the matrix.
    public func rows(_ range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return Matrix(
            unchecked: storage, elementType, offset + range.lowerBound * rowStride, range.count, columns, rowStride)
    }

    /// The columns of a range, on the same memory. The range must lie within the matrix.
    public func columns(_ range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return Matrix(unchecked: storage, elementType, offset + range.lowerBound, rows, range.count, rowStride)
    }

    private init(
        unchecked storage: any DeviceStorage, _ elementType: ElementType, _ offset: Int, _ rows: Int, _ columns: Int,
        _ rowStride: Int
    ) {
        self.storage = storage
        self.elementType = elementType
        self.offset = offset
        self.rows = rows
        self.columns = columns
        self.rowStride = rowStride
    }
}

/// A handle on a sparse matrix (CSR) in the memory of a device.
///
/// `rowPointers` holds positions within `columnIndices` and `values`; the first need not be 0, so that a range of rows
/// is a handle too. Column indices ascend within a row.
public struct SparseMatrix: Sendable {
    /// Number of rows.
    public let rows: Int
    /// Number of columns.
    public let columns: Int
    /// `rows + 1` int64 positions, as one row.
    public let rowPointers: Matrix
    /// int32 column of each entry of the whole structure, as one row.
    public let columnIndices: Matrix
    /// float32 value of each entry of the whole structure, as one row.
    public let values: Matrix
    /// The row pointers on the host, by which devices divide the work; `hostRowPointers[firstRow + i]` belongs to
    /// row `i`.
    public let hostRowPointers: HostBuffer<Int64>
    /// Index within `hostRowPointers` of row 0.
    public let firstRow: Int

    init(
        rows: Int, columns: Int, rowPointers: Matrix, columnIndices: Matrix, values: Matrix,
        hostRowPointers: HostBuffer<Int64>, firstRow: Int
    ) {
        self.rows = rows
        self.columns = columns
        self.rowPointers = rowPointers
        self.columnIndices = columnIndices
        self.values = values
        self.hostRowPointers = hostRowPointers
        self.firstRow = firstRow
    }

    /// Number of entries in the rows of this handle.
    public var entryCount: Int { Int(hostRowPointers[firstRow + rows] - hostRowPointers[firstRow]) }

    /// Number of entries of one row.
    public func entryCount(ofRow row: Int) -> Int {
        Int(hostRowPointers[firstRow + row + 1] - hostRowPointers[firstRow + row])
    }

    /// "3 × 4 with 5 entries", for messages.
    public var shape: String { "\(rows) × \(columns) with \(entryCount) entries" }

    /// A range of rows on the same memory. The range must lie within the matrix.
    public func rows(_ range: Range<Int>) -> SparseMatrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return SparseMatrix(
            rows: range.count, columns: columns,
            rowPointers: rowPointers.columns(range.lowerBound..<range.upperBound + 1), columnIndices: columnIndices,
            values: values, hostRowPointers: hostRowPointers, firstRow: firstRow + range.lowerBound)
    }
}
