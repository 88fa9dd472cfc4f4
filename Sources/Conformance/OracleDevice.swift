import Compute
import Core
import Synchronization

/// A device that runs the oracle itself, in host memory: slow, simple and right.
///
/// The embedded double for tests of learners and for fault injection (``FaultInjectingDevice``). Its results are the
/// float64 oracle's, rounded once to float32.
public final class OracleDevice: Device {
    public let identity: DeviceIdentity
    public let limits: DeviceLimits
    public let unsupportedOperations: [OperationKind: String]
    private let allocated = Mutex(0)

    /// - Parameters:
    ///   - name: the name under which its matrices are known; two devices need two names.
    ///   - memoryLimit: bytes that may be allocated before ``ComputeError/outOfMemory(device:requestedBytes:availableBytes:)``.
    ///   - sharesHostMemory: whether wrapping a host buffer shares it, as on the CPU device, or copies it, as on a GPU.
    ///   - unsupportedOperations: primitives to refuse, with the reason.
    public init(
        name: String = "oracle", memoryLimit: Int = 1 << 40, sharesHostMemory: Bool = true,
        unsupportedOperations: [OperationKind: String] = [:]
    ) {
        identity = DeviceIdentity(
            name: name, backend: "Oracle", model: "scalar float64", vendor: "Apus", driver: "1", deviceClass: .cpu,
            capability: "float64")
        limits = DeviceLimits(
            computeUnits: 1, memoryBytes: memoryLimit, largestAllocationBytes: memoryLimit, localMemoryBytes: 0,
            sharesHostMemory: sharesHostMemory)
        self.unsupportedOperations = unsupportedOperations
    }

    public var productPrecisions: Set<ProductPrecision> { Set(ProductPrecision.allCases) }
    public var denseSolver: any DenseSolver { OracleDenseSolver() }
    public var allocatedBytes: Int { allocated.withLock { $0 } }
    public var compileSeconds: Double { 0 }

    public func makeBackend() throws(ComputeError) -> any StreamBackend { OracleBackend(device: self) }

    func reserve(_ bytes: Int) throws(ComputeError) {
        let available = allocated.withLock { total in
            let available = limits.memoryBytes - total
            if bytes <= available { total += bytes }
            return available
        }
        guard bytes <= available else {
            throw .outOfMemory(device: identity.name, requestedBytes: bytes, availableBytes: available)
        }
    }

    func release(_ bytes: Int) {
        allocated.withLock { $0 -= bytes }
    }
}

/// Memory of an ``OracleDevice``.
final class OracleStorage: DeviceStorage, @unchecked Sendable {
    let byteCount: Int
    let deviceName: String
    let address: UnsafeMutableRawPointer
    private let release: () -> Void

    init(byteCount: Int, deviceName: String, address: UnsafeMutableRawPointer, release: @escaping () -> Void) {
        self.byteCount = byteCount
        self.deviceName = deviceName
        self.address = address
        self.release = release
    }

    deinit { release() }
}

final class OracleBackend: StreamBackend {
    private let device: OracleDevice
    private(set) var launchCount = 0

    init(device: OracleDevice) {
        self.device = device
    }

    func allocate(byteCount: Int) throws(ComputeError) -> any DeviceStorage {
        try device.reserve(byteCount)
        let address = HostMemory.allocate(byteCount: byteCount)
        let device = device
        return OracleStorage(byteCount: byteCount, deviceName: device.identity.name, address: address) {
            HostMemory.deallocate(address, byteCount: byteCount)
            device.release(byteCount)
        }
    }

    func wrap<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage {
        if device.limits.sharesHostMemory {
            return OracleStorage(
                byteCount: buffer.byteCount, deviceName: device.identity.name,
                address: UnsafeMutableRawPointer(buffer.baseAddress), release: { withExtendedLifetime(buffer) {} })
        }
        let storage = try allocate(byteCount: max(buffer.byteCount, 1))
        try upload(
            from: UnsafeRawPointer(buffer.baseAddress), to: storage, byteOffset: 0, byteCount: buffer.byteCount)
        return storage
    }

    func upload(
        from source: UnsafeRawPointer, to storage: any DeviceStorage, byteOffset: Int, byteCount: Int
    ) throws(ComputeError) {
        try address(of: storage).advanced(by: byteOffset).copyMemory(from: source, byteCount: byteCount)
    }

    func download(
        from storage: any DeviceStorage, byteOffset: Int, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) throws(ComputeError) {
        destination.copyMemory(from: try address(of: storage).advanced(by: byteOffset), byteCount: byteCount)
    }

    func execute(_ operation: Operation) throws(ComputeError) {
        launchCount += 1
        try run(operation)
    }

    func prepare(_ operations: [Operation]) throws(ComputeError) -> any PreparedOperations {
        OraclePlan(operations: operations, backend: self)
    }

    func finish() throws(ComputeError) {}

    /// The front admits matrices by device name, so that a second device of the same name gets this far.
    func address(of storage: any DeviceStorage) throws(ComputeError) -> UnsafeMutableRawPointer {
        guard let storage = storage as? OracleStorage else {
            throw .invalidArgument(
                operation: "OracleDevice", reason: "the memory belongs to another device named \(storage.deviceName)")
        }
        return storage.address
    }
}

private final class OraclePlan: PreparedOperations {
    let operations: [Operation]
    let backend: OracleBackend

    init(operations: [Operation], backend: OracleBackend) {
        self.operations = operations
        self.backend = backend
    }

    func replay() throws(ComputeError) {
        for operation in operations { try backend.execute(operation) }
    }
}
