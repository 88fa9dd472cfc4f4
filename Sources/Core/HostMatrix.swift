/// A dense row-major float32 matrix in host memory, without gaps between its rows.
///
/// Trained models, and everything that enters or leaves a device, have this form.
public struct HostMatrix: Sendable {
    /// Number of rows.
    public let rows: Int
    /// Number of columns.
    public let columns: Int
    /// The elements, row after row: element (i, j) is at `i * columns + j`.
    public let storage: HostBuffer<Float>

    /// Wraps elements that lie row after row. `storage.count` must be `rows * columns`.
    public init(rows: Int, columns: Int, storage: HostBuffer<Float>) {
        precondition(rows >= 0 && columns >= 0 && storage.count == rows * columns)
        self.rows = rows
        self.columns = columns
        self.storage = storage
    }

    /// Copies an array of `rows * columns` elements.
    public init(rows: Int, columns: Int, elements: [Float]) {
        self.init(rows: rows, columns: columns, storage: HostBuffer(elements))
    }

    /// A matrix with every element equal to `value`.
    public init(rows: Int, columns: Int, repeating value: Float = 0) {
        self.init(rows: rows, columns: columns, storage: HostBuffer(repeating: value, count: rows * columns))
    }

    @inlinable public subscript(row: Int, column: Int) -> Float {
        get { storage[row * columns + column] }
        nonmutating set { storage[row * columns + column] = newValue }
    }

    /// One row, without copying it.
    public func row(_ index: Int) -> UnsafeMutableBufferPointer<Float> {
        precondition(index >= 0 && index < rows)
        return UnsafeMutableBufferPointer(start: storage.baseAddress + index * columns, count: columns)
    }
}
