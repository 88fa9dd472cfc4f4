import Compute
import Core
import Synchronization

/// A device that works through another one, and fails when it is told to: what tests prove error handling with.
///
/// The calls that a fault concerns are counted over all streams of the device, from 0. A test first runs without a
/// fault and reads ``callCount``, then runs once for every number below it.
public final class FaultInjectingDevice: Device {
    /// What goes wrong.
    public enum Fault: String, Sendable, CaseIterable {
        /// An allocation, or the copy that wrapping makes, finds no room. Counts `allocate` and `wrap`.
        case outOfMemory
        /// A program does not compile. Counts operations executed and plans prepared.
        case buildFailed
        /// The driver refuses a launch. Counts operations executed and plans replayed.
        case launchRefused
        /// The device is gone, from this call on. Counts every call.
        case deviceLost
    }

    private struct State {
        var calls = 0
        var lost = false
    }

    private let wrapped: any Device
    private let fault: Fault
    private let position: Int?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - wrapped: the device that does the work.
    ///   - fault: what goes wrong.
    ///   - position: the number, from 0, of the concerned call that fails; nil for none.
    public init(_ wrapped: any Device, fault: Fault, at position: Int?) {
        self.wrapped = wrapped
        self.fault = fault
        self.position = position
    }

    /// How many of the calls that the fault concerns have been made.
    public var callCount: Int { state.withLock { $0.calls } }

    public var identity: DeviceIdentity { wrapped.identity }
    public var limits: DeviceLimits { wrapped.limits }
    public var denseSolver: any DenseSolver { wrapped.denseSolver }
    public var allocatedBytes: Int { wrapped.allocatedBytes }
    public var compileSeconds: Double { wrapped.compileSeconds }
    public var unsupportedOperations: [OperationKind: String] { wrapped.unsupportedOperations }
    public var productPrecisions: Set<ProductPrecision> { wrapped.productPrecisions }

    public func makeBackend() throws(ComputeError) -> any StreamBackend {
        try pass([], operation: "makeStream")
        return FaultInjectingBackend(wrapped: try wrapped.makeBackend(), device: self)
    }

    /// Counts a call, and throws when it is the one that shall fail.
    func pass(_ concerned: Set<Fault>, operation: String, bytes: Int = 0) throws(ComputeError) {
        let fails = state.withLock { state in
            guard fault == .deviceLost || concerned.contains(fault) else { return false }
            let hit = state.calls == position
            state.calls += 1
            if hit && fault == .deviceLost { state.lost = true }
            return hit || state.lost
        }
        guard fails else { return }
        let name = identity.name
        switch fault {
        case .outOfMemory: throw .outOfMemory(device: name, requestedBytes: bytes, availableBytes: 0)
        case .buildFailed: throw .buildFailed(device: name, program: operation, log: "injected fault")
        case .launchRefused:
            throw .driver(device: name, operation: operation, code: -5, name: "CL_OUT_OF_RESOURCES")
        case .deviceLost: throw .deviceLost(device: name, operation: operation)
        }
    }
}

private final class FaultInjectingBackend: StreamBackend {
    private let wrapped: any StreamBackend
    private let device: FaultInjectingDevice

    init(wrapped: any StreamBackend, device: FaultInjectingDevice) {
        self.wrapped = wrapped
        self.device = device
    }

    var launchCount: Int { wrapped.launchCount }

    func allocate(byteCount: Int) throws(ComputeError) -> any DeviceStorage {
        try device.pass([.outOfMemory], operation: "allocate", bytes: byteCount)
        return try wrapped.allocate(byteCount: byteCount)
    }

    func wrap<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage {
        try device.pass([.outOfMemory], operation: "wrap", bytes: buffer.byteCount)
        return try wrapped.wrap(buffer)
    }

    func upload(
        from source: UnsafeRawPointer, to storage: any DeviceStorage, byteOffset: Int, byteCount: Int
    ) throws(ComputeError) {
        try device.pass([], operation: "upload")
        try wrapped.upload(from: source, to: storage, byteOffset: byteOffset, byteCount: byteCount)
    }

    func download(
        from storage: any DeviceStorage, byteOffset: Int, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) throws(ComputeError) {
        try device.pass([], operation: "download")
        try wrapped.download(from: storage, byteOffset: byteOffset, to: destination, byteCount: byteCount)
    }

    func execute(_ operation: Operation) throws(ComputeError) {
        try device.pass([.buildFailed, .launchRefused], operation: operation.name)
        try wrapped.execute(operation)
    }

    func prepare(_ operations: [Operation]) throws(ComputeError) -> any PreparedOperations {
        try device.pass([.buildFailed], operation: "record")
        return FaultInjectingPlan(wrapped: try wrapped.prepare(operations), device: device)
    }

    func finish() throws(ComputeError) {
        try device.pass([], operation: "finish")
        try wrapped.finish()
    }
}

private final class FaultInjectingPlan: PreparedOperations {
    private let wrapped: any PreparedOperations
    private let device: FaultInjectingDevice

    init(wrapped: any PreparedOperations, device: FaultInjectingDevice) {
        self.wrapped = wrapped
        self.device = device
    }

    func replay() throws(ComputeError) {
        try device.pass([.launchRefused], operation: "replay")
        try wrapped.replay()
    }
}
