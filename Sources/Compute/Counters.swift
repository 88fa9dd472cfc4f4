/// How long a kernel took on a device, all launches together.
public struct KernelTime: Sendable, Equatable {
    public let name: String
    public var launches: Int
    public var seconds: Double

    public init(name: String, launches: Int, seconds: Double) {
        self.name = name
        self.launches = launches
        self.seconds = seconds
    }
}

/// What a stream has done so far. Tests compare it with the formula that a learner documents.
public struct StreamCounters: Sendable, Equatable {
    /// Kernels, or BLAS and loop calls, started.
    public var launches = 0
    /// Bytes copied from host to device; wrapped memory is not copied and not counted.
    public var bytesUploaded = 0
    /// Bytes copied from device to host.
    public var bytesDownloaded = 0
    /// Times that the host waited for the device: downloads and calls of ``Stream/finish()``.
    public var waits = 0
    /// Buffers allocated.
    public var allocations = 0

    /// What was added since an earlier reading.
    public static func - (later: StreamCounters, earlier: StreamCounters) -> StreamCounters {
        StreamCounters(
            launches: later.launches - earlier.launches,
            bytesUploaded: later.bytesUploaded - earlier.bytesUploaded,
            bytesDownloaded: later.bytesDownloaded - earlier.bytesDownloaded,
            waits: later.waits - earlier.waits, allocations: later.allocations - earlier.allocations)
    }

    public init(
        launches: Int = 0, bytesUploaded: Int = 0, bytesDownloaded: Int = 0, waits: Int = 0, allocations: Int = 0
    ) {
        self.launches = launches
        self.bytesUploaded = bytesUploaded
        self.bytesDownloaded = bytesDownloaded
        self.waits = waits
        self.allocations = allocations
    }
}
