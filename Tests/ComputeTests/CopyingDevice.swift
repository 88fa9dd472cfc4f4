import Compute
import Core

/// A device through another one, which copies where that one would share the memory of the host.
///
/// Oclgrind takes shared memory for uninitialised, and every device must work as those do that can't share. Oclgrind also
/// forgets of memory whatever lies behind the last write of the host: so all of it is written each time.
final class CopyingDevice: Device {
    private let wrapped: any Device
    let limits: DeviceLimits

    init(_ wrapped: any Device) {
        self.wrapped = wrapped
        let own = wrapped.limits
        limits = DeviceLimits(
            computeUnits: own.computeUnits, memoryBytes: own.memoryBytes,
            largestAllocationBytes: own.largestAllocationBytes, localMemoryBytes: own.localMemoryBytes,
            sharesHostMemory: false)
    }

    var identity: DeviceIdentity { wrapped.identity }
    var denseSolver: any DenseSolver { wrapped.denseSolver }
    var allocatedBytes: Int { wrapped.allocatedBytes }
    var compileSeconds: Double { wrapped.compileSeconds }
    var unsupportedOperations: [OperationKind: String] { wrapped.unsupportedOperations }
    var productPrecisions: Set<ProductPrecision> { wrapped.productPrecisions }

    func makeBackend() throws(ComputeError) -> any StreamBackend {
        CopyingBackend(try wrapped.makeBackend())
    }
}

private final class CopyingBackend: StreamBackend {
    private let wrapped: any StreamBackend

    init(_ wrapped: any StreamBackend) {
        self.wrapped = wrapped
    }

    var launchCount: Int { wrapped.launchCount }

    func allocate(byteCount: Int) throws(ComputeError) -> any DeviceStorage {
        try wrapped.allocate(byteCount: byteCount)
    }

    func wrap<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage {
        let storage = try wrapped.allocate(byteCount: max(buffer.byteCount, 1))
        if buffer.byteCount > 0 {
            try wrapped.upload(
                from: UnsafeRawPointer(buffer.baseAddress), to: storage, byteOffset: 0, byteCount: buffer.byteCount)
        }
        return storage
    }

    func upload(
        from source: UnsafeRawPointer, to storage: any DeviceStorage, byteOffset: Int, byteCount: Int
    ) throws(ComputeError) {
        if byteOffset == 0 && byteCount == storage.byteCount {
            return try wrapped.upload(from: source, to: storage, byteOffset: 0, byteCount: byteCount)
        }
        let whole = UnsafeMutableRawPointer.allocate(byteCount: storage.byteCount, alignment: 64)
        defer { whole.deallocate() }
        try wrapped.download(from: storage, byteOffset: 0, to: whole, byteCount: storage.byteCount)
        (whole + byteOffset).copyMemory(from: source, byteCount: byteCount)
        try wrapped.upload(from: whole, to: storage, byteOffset: 0, byteCount: storage.byteCount)
    }

    func download(
        from storage: any DeviceStorage, byteOffset: Int, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) throws(ComputeError) {
        try wrapped.download(from: storage, byteOffset: byteOffset, to: destination, byteCount: byteCount)
    }

    func enqueue(_ work: HostWork) throws(ComputeError) -> Bool { try wrapped.enqueue(work) }

    func execute(_ operation: Operation) throws(ComputeError) { try wrapped.execute(operation) }

    func prepare(_ operations: [Operation]) throws(ComputeError) -> any PreparedOperations {
        try wrapped.prepare(operations)
    }

    func finish() throws(ComputeError) { try wrapped.finish() }
}
