import Core

/// What a device is built like, which decides the kernels that suit it.
public enum DeviceClass: String, Sendable {
    case cpu, gpu, accelerator
}

/// Who a device is.
public struct DeviceIdentity: Sendable, Hashable {
    /// The name by which it is selected: `cpu`, `opencl:0.1`.
    public let name: String
    /// `CPU-BLAS` or `OpenCL`.
    public let backend: String
    /// The driver's name of the hardware.
    public let model: String
    /// The maker.
    public let vendor: String
    /// Versions of the driver and libraries.
    public let driver: String
    public let deviceClass: DeviceClass
    /// The instruction set or the OpenCL version in use.
    public let capability: String

    public init(
        name: String, backend: String, model: String, vendor: String, driver: String, deviceClass: DeviceClass,
        capability: String
    ) {
        self.name = name
        self.backend = backend
        self.model = model
        self.vendor = vendor
        self.driver = driver
        self.deviceClass = deviceClass
        self.capability = capability
    }
}

/// What a device has.
public struct DeviceLimits: Sendable {
    /// Threads or compute units that work at once.
    public let computeUnits: Int
    /// Bytes of memory.
    public let memoryBytes: Int
    /// Largest single allocation in bytes.
    public let largestAllocationBytes: Int
    /// Bytes of local memory of a work-group; 0 where there is none.
    public let localMemoryBytes: Int
    /// Whether the device computes in host memory, so that wrapping a ``HostBuffer`` copies nothing.
    public let sharesHostMemory: Bool

    public init(
        computeUnits: Int, memoryBytes: Int, largestAllocationBytes: Int, localMemoryBytes: Int, sharesHostMemory: Bool
    ) {
        self.computeUnits = computeUnits
        self.memoryBytes = memoryBytes
        self.largestAllocationBytes = largestAllocationBytes
        self.localMemoryBytes = localMemoryBytes
        self.sharesHostMemory = sharesHostMemory
    }
}

/// Something that computes: the CPU through OpenBLAS and our own loops, or an OpenCL device.
///
/// A device is shared freely between threads; what computes is a ``Stream`` made from it.
public protocol Device: AnyObject, Sendable {
    var identity: DeviceIdentity { get }
    var limits: DeviceLimits { get }

    /// Host algebra (LAPACK) for the few small matrices that learners decompose: host work by contract, named as such.
    var denseSolver: any DenseSolver { get }

    /// Bytes allocated on this device through all of its streams, pooled memory included.
    var allocatedBytes: Int { get }

    /// Seconds spent compiling device programs so far (0 on the CPU device).
    var compileSeconds: Double { get }

    /// Primitives that this device may not be used for, with the reason; from its certificate, or by its nature.
    var unsupportedOperations: [OperationKind: String] { get }

    /// How the operands of products can be taken here; float32 always.
    var productPrecisions: Set<ProductPrecision> { get }

    /// Primitives that are one piece of work here and a list of others elsewhere.
    var fusedOperations: Set<OperationKind> { get }

    /// Where the time went since the last call, the longest first; empty unless the device was opened to keep it.
    func takeKernelTimes() -> [KernelTime]

    /// The executor of one in-order stream. Call ``makeStream()`` instead, which adds the checks.
    func makeBackend() throws(ComputeError) -> any StreamBackend
}

extension Device {
    public var fusedOperations: Set<OperationKind> { [] }

    public func takeKernelTimes() -> [KernelTime] { [] }

    public var productPrecisions: Set<ProductPrecision> { [.float32] }

    /// Opens an in-order stream. O(1); an OpenCL device compiles the programs that the stream uses at first use.
    public func makeStream() throws(ComputeError) -> Stream {
        Stream(device: self, backend: try makeBackend())
    }
}

/// What a backend implements. It trusts its arguments: ``Stream`` has checked them.
///
/// A backend is used by one thread at a time.
public protocol StreamBackend: AnyObject {
    /// Device memory of undefined content.
    func allocate(byteCount: Int) throws(ComputeError) -> any DeviceStorage

    /// Device memory with the content of a host buffer; the same memory where the device computes in host memory, in
    /// which case the storage keeps the buffer alive.
    func wrap<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage

    /// Copies `byteCount` bytes into the storage at `byteOffset`. The source may be reused on return.
    func upload(
        from source: UnsafeRawPointer, to storage: any DeviceStorage, byteOffset: Int, byteCount: Int
    ) throws(ComputeError)

    /// Waits for everything enqueued, then copies `byteCount` bytes out of the storage.
    func download(
        from storage: any DeviceStorage, byteOffset: Int, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) throws(ComputeError)

    /// Starts to copy bytes into the storage beside what is enqueued later, but after all that is enqueued now. Answers
    /// what ``join(_:)`` takes, or nil when the copy is done at once, which is what backends do that don't say otherwise.
    /// The owner is kept alive until the copy is done.
    func beginUpload(
        from source: UnsafeRawPointer, keeping owner: AnyObject, to storage: any DeviceStorage, byteOffset: Int,
        byteCount: Int
    ) throws(ComputeError) -> AnyObject?

    /// What is enqueued from now on comes after an upload that was begun. The host does not wait.
    func join(_ upload: AnyObject) throws(ComputeError)

    /// Enqueues work of the host without waiting for it, and answers true; or false, which is what backends do that don't
    /// say otherwise: then the stream waits and does it. A failure comes out of the next wait.
    func enqueue(_ work: HostWork) throws(ComputeError) -> Bool

    /// Enqueues one operation.
    func execute(_ operation: Operation) throws(ComputeError)

    /// Binds operations once, so that they can be replayed without allocation.
    func prepare(_ operations: [Operation]) throws(ComputeError) -> any PreparedOperations

    /// Waits for everything enqueued.
    func finish() throws(ComputeError)

    /// Kernels (or BLAS and loop calls) started so far.
    var launchCount: Int { get }
}

/// Operations bound by ``StreamBackend/prepare(_:)``.
public protocol PreparedOperations: AnyObject {
    /// Enqueues all of them, in order.
    func replay() throws(ComputeError)
}
