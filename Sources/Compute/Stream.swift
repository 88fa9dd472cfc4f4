import Core

/// An in-order queue of work on a device: the only thing that computes.
///
/// Not `Sendable`: one thread uses it at a time. Enqueuing may return before the work is done; only downloads and
/// ``finish()`` wait. All checks of shapes, types, strides, ownership and aliasing happen here, once, so that every
/// device refuses the same mistake with the same error.
public final class Stream {
    /// The device that does the work.
    public let device: any Device
    let backend: any StreamBackend
    var ownCounters = StreamCounters()
    private var recording: [Operation]?
    var isRecording: Bool { recording != nil }

    init(device: any Device, backend: any StreamBackend) {
        self.device = device
        self.backend = backend
    }

    /// What has been done so far.
    public var counters: StreamCounters {
        var all = ownCounters
        all.launches = backend.launchCount
        return all
    }

    /// Waits until everything enqueued is done.
    public func finish() throws(ComputeError) {
        ownCounters.waits += 1
        try backend.finish()
    }

    // MARK: Memory

    /// A matrix of undefined content, its rows without gaps.
    public func allocate(
        rows: Int, columns: Int, _ elementType: ElementType = .float32
    ) throws(ComputeError) -> Matrix {
        guard rows >= 0, columns >= 0 else {
            throw .invalidArgument(operation: "allocate", reason: "\(rows) × \(columns) is not a shape")
        }
        ownCounters.allocations += 1
        let storage = try backend.allocate(byteCount: max(rows * columns, 1) * elementType.byteCount)
        return try Matrix(
            storage: storage, elementType: elementType, offset: 0, rows: rows, columns: columns, rowStride: columns)
    }

    /// The matrix on the device: the same memory where the device computes in host memory, else a copy.
    /// The host must not change it while the device uses it, and operations may write to it.
    public func wrap(_ matrix: HostMatrix) throws(ComputeError) -> Matrix {
        try Matrix(
            storage: wrapped(matrix.storage), elementType: .float32, offset: 0, rows: matrix.rows,
            columns: matrix.columns, rowStride: matrix.columns)
    }

    /// The sparse matrix on the device: the same memory where the device computes in host memory, else a copy.
    public func wrap(_ matrix: HostSparseMatrix) throws(ComputeError) -> SparseMatrix {
        let entries = matrix.entryCount
        return SparseMatrix(
            rows: matrix.rows, columns: matrix.columns,
            rowPointers: try Matrix(
                storage: wrapped(matrix.rowPointers), elementType: .int64, offset: 0, rows: 1,
                columns: matrix.rows + 1, rowStride: matrix.rows + 1),
            columnIndices: try Matrix(
                storage: wrapped(matrix.columnIndices), elementType: .int32, offset: 0, rows: 1, columns: entries,
                rowStride: entries),
            values: try Matrix(
                storage: wrapped(matrix.values), elementType: .float32, offset: 0, rows: 1, columns: entries,
                rowStride: entries),
            hostRowPointers: matrix.rowPointers, firstRow: 0)
    }

    private func wrapped<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage {
        if !device.limits.sharesHostMemory {
            ownCounters.bytesUploaded += buffer.byteCount
            ownCounters.allocations += 1
        }
        return try backend.wrap(buffer)
    }

    /// A new matrix on the device with a copy of a host matrix, never shared.
    public func upload(_ matrix: HostMatrix) throws(ComputeError) -> Matrix {
        let output = try allocate(rows: matrix.rows, columns: matrix.columns)
        try upload(matrix, to: output)
        return output
    }

    /// Copies a host matrix into one of its shape that is there.
    public func upload(_ matrix: HostMatrix, to output: Matrix) throws(ComputeError) {
        guard output.rows == matrix.rows, output.columns == matrix.columns, output.elementType == .float32 else {
            throw .invalidArgument(
                operation: "upload",
                reason:
                    "\(matrix.rows) × \(matrix.columns) float32 into a matrix of \(output.shape) \(output.elementType)")
        }
        try upload(UnsafeRawBufferPointer(matrix.storage.elements), to: output)
    }

    /// A new 1 × n float32 vector with a copy of the elements.
    public func upload(_ elements: [Float]) throws(ComputeError) -> Matrix {
        let output = try allocate(rows: 1, columns: elements.count)
        try upload(elements, to: output)
        return output
    }

    /// A new 1 × n int32 vector with a copy of the elements.
    public func upload(_ elements: [Int32]) throws(ComputeError) -> Matrix {
        let output = try allocate(rows: 1, columns: elements.count, .int32)
        try upload(elements, to: output)
        return output
    }

    /// Copies `elements`, row after row, into a matrix of as many elements and of their type.
    public func upload<Element: DeviceElement>(_ elements: [Element], to output: Matrix) throws(ComputeError) {
        guard output.elementType == Element.elementType else {
            throw .invalidArgument(
                operation: "upload", reason: "\(Element.elementType) elements into a matrix of \(output.elementType)")
        }
        let failure = elements.withUnsafeBytes { bytes -> ComputeError? in
            do throws(ComputeError) {
                try upload(bytes, to: output)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    private func upload(_ bytes: UnsafeRawBufferPointer, to output: Matrix) throws(ComputeError) {
        try check(output, "upload", output.elementType)
        guard bytes.count == output.count * output.elementType.byteCount else {
            throw .invalidArgument(
                operation: "upload",
                reason: "\(bytes.count) bytes into a matrix of \(output.shape) \(output.elementType)")
        }
        guard output.count > 0, let base = bytes.baseAddress else { return }
        let size = output.elementType.byteCount
        if output.isContiguous {
            try backend.upload(
                from: base, to: output.storage, byteOffset: output.offset * size, byteCount: bytes.count)
        } else {
            for row in 0..<output.rows {
                try backend.upload(
                    from: base + row * output.columns * size, to: output.storage,
                    byteOffset: (output.offset + row * output.rowStride) * size, byteCount: output.columns * size)
            }
        }
        ownCounters.bytesUploaded += bytes.count
    }

    /// Waits, then copies a float32 matrix to the host.
    public func download(_ matrix: Matrix) throws(ComputeError) -> HostMatrix {
        let output = HostMatrix(
            rows: matrix.rows, columns: matrix.columns,
            storage: HostBuffer(uninitializedCount: matrix.rows * matrix.columns))
        try check(matrix, "download", .float32)
        try download(matrix, into: UnsafeMutableRawPointer(output.storage.baseAddress))
        return output
    }

    /// Waits, then copies the elements, row after row, to the host.
    public func download<Element: DeviceElement>(
        _ matrix: Matrix, as type: Element.Type
    ) throws(ComputeError) -> [Element] {
        try check(matrix, "download", Element.elementType)
        let buffer = HostBuffer<Element>(uninitializedCount: matrix.count)
        try download(matrix, into: UnsafeMutableRawPointer(buffer.baseAddress))
        return buffer.array
    }

    private func download(_ matrix: Matrix, into base: UnsafeMutableRawPointer) throws(ComputeError) {
        ownCounters.waits += 1
        guard matrix.count > 0 else { return try backend.finish() }
        let size = matrix.elementType.byteCount
        let rowBytes = matrix.columns * size
        if matrix.isContiguous {
            try backend.download(
                from: matrix.storage, byteOffset: matrix.offset * size, to: base, byteCount: matrix.count * size)
        } else {
            for row in 0..<matrix.rows {
                try backend.download(
                    from: matrix.storage, byteOffset: (matrix.offset + row * matrix.rowStride) * size,
                    to: base + row * rowBytes, byteCount: rowBytes)
            }
        }
        ownCounters.bytesDownloaded += matrix.count * size
    }

    // MARK: Operations and plans

    /// Enqueues a checked operation, or appends it to the plan being recorded.
    func submit(_ operation: Operation) throws(ComputeError) {
        if let reason = device.unsupportedOperations[operation.kind] {
            throw .unsupported(device: device.identity.name, operation: operation.name, reason: reason)
        }
        if recording != nil {
            recording!.append(operation)
        } else {
            try backend.execute(operation)
        }
    }

    /// Records the operations that `body` enqueues, without running them: their shapes are checked and their buffers
    /// and arguments bound once. ``replay(_:)`` then runs them without allocation, any number of times.
    /// `body` must not download or finish: nothing has been computed when it asks.
    public func record(_ body: (Stream) throws(ComputeError) -> Void) throws(ComputeError) -> Plan {
        guard recording == nil else {
            throw .invalidArgument(operation: "record", reason: "a plan is being recorded on this stream already")
        }
        recording = []
        defer { recording = nil }
        try body(self)
        let operations = recording ?? []
        return Plan(operations: operations, prepared: try backend.prepare(operations), owner: ObjectIdentifier(self))
    }

    /// Enqueues the operations of a plan that was recorded on this stream.
    public func replay(_ plan: Plan) throws(ComputeError) {
        guard plan.owner == ObjectIdentifier(self) else {
            throw .invalidArgument(operation: "replay", reason: "the plan was recorded on another stream")
        }
        try plan.prepared.replay()
    }

    // MARK: Checks

    func check(_ matrix: Matrix, _ operation: String, _ elementType: ElementType = .float32) throws(ComputeError) {
        guard matrix.elementType == elementType else {
            throw .invalidArgument(
                operation: operation, reason: "expects \(elementType), got a matrix of \(matrix.elementType)")
        }
        guard matrix.storage.deviceName == device.identity.name else {
            throw .invalidArgument(
                operation: operation,
                reason: "a matrix of device \(matrix.storage.deviceName) on a stream of \(device.identity.name)")
        }
    }
}

/// Operations recorded by ``Stream/record(_:)``.
public final class Plan {
    /// What the plan does, in order.
    public let operations: [Operation]
    let prepared: any PreparedOperations
    let owner: ObjectIdentifier

    init(operations: [Operation], prepared: any PreparedOperations, owner: ObjectIdentifier) {
        self.operations = operations
        self.prepared = prepared
        self.owner = owner
    }
}

/// Swift types that correspond to an ``ElementType``.
public protocol DeviceElement: BitwiseCopyable {
    static var elementType: ElementType { get }
}

extension Float: DeviceElement {
    public static var elementType: ElementType { .float32 }
}

extension Int32: DeviceElement {
    public static var elementType: ElementType { .int32 }
}

extension Int64: DeviceElement {
    public static var elementType: ElementType { .int64 }
}
