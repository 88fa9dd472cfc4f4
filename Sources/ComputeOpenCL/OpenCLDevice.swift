import COpenCL
import Compute

/// How a device is opened.
public struct OpenCLDeviceOptions: Sendable {
    /// Threads that a CPU-class device may use; nil for all. Devices of other classes ignore it.
    public var threads: Int?
    /// Bytes that may be allocated on the device; nil for what the driver reports. Wrapped host memory is not counted.
    public var memoryLimitBytes: Int?
    /// Copies where the device could use the host's memory as it is, to test what devices do that can't.
    public var copiesHostMemory = false
    /// Fills memory with NaN whenever it is handed out, so that a kernel that reads what nobody wrote gives a wrong result:
    /// for tests.
    public var poisonsMemory = false
    /// Keeps the seconds of every kernel, for ``OpenCLDevice/takeKernelTimes()``.
    public var timesKernels = false
    /// Forces the kernels written for another class of device, to test them; nil for the device's own class.
    public var kernelClass: DeviceClass?
    /// Sizes that kernels are compiled and launched with; nil for those of ``KernelTuningTable``.
    public var tuning: KernelTuning?
    /// Whether NVIDIA's tensor units may be used.
    public var tensorUnits = TensorUnits.detected
    /// Folder of compiled programs; nil for `${XDG_CACHE_HOME:-~/.cache}/apus/programs`.
    public var programFolder: String?

    public init(
        threads: Int? = nil, memoryLimitBytes: Int? = nil, kernelClass: DeviceClass? = nil,
        programFolder: String? = nil, tuning: KernelTuning? = nil, tensorUnits: TensorUnits = .detected,
        copiesHostMemory: Bool = false, poisonsMemory: Bool = false, timesKernels: Bool = false
    ) {
        self.timesKernels = timesKernels
        self.copiesHostMemory = copiesHostMemory
        self.poisonsMemory = poisonsMemory
        self.tensorUnits = tensorUnits
        self.tuning = tuning
        self.programFolder = programFolder
        self.threads = threads
        self.memoryLimitBytes = memoryLimitBytes
        self.kernelClass = kernelClass
    }
}

/// A device behind an OpenCL driver: a GPU, or the CPU through PoCL or another runtime.
///
/// Programs are compiled at first use and kept on disk; see ``OpenCLProgramCache``.
public final class OpenCLDevice: Device {
    public let identity: DeviceIdentity
    public let limits: DeviceLimits
    public let denseSolver: any DenseSolver
    public let unsupportedOperations: [OperationKind: String]
    /// What ``KernelTuningTable`` says about the device, and where that is from.
    public let tableTuning: KernelTuning
    public let tuningSource: String
    /// The kind of its hardware: `sm_90`, `gfx90a`, else the model.
    public let architecture: String
    let context: OpenCLContext

    /// Opens a device that ``discover()`` has found.
    ///
    /// - Parameters:
    ///   - description: the device.
    ///   - options: limits and choices.
    ///   - denseSolver: host algebra handed on to learners.
    ///   - unsupportedOperations: primitives that failed in the device's certificate, with the reason.
    /// - Throws: ``ComputeError/unavailable(device:reason:)`` when the device can't be used or divided.
    public init(
        description: OpenCLDeviceDescription, options: OpenCLDeviceOptions = OpenCLDeviceOptions(),
        denseSolver: any DenseSolver, unsupportedOperations: [OperationKind: String] = [:]
    ) throws(ComputeError) {
        let name = description.identity.name
        if let reason = description.unusableReason { throw .unavailable(device: name, reason: reason) }
        if let threads = options.threads, threads < 1 {
            throw .unavailable(device: name, reason: "\(threads) threads were asked for; at least 1 is needed")
        }
        self.identity = description.identity
        self.denseSolver = denseSolver
        self.unsupportedOperations = unsupportedOperations
        let (tuning, entry) = KernelTuningTable.tuning(
            vendor: description.identity.vendor, architecture: description.architecture,
            kernelClass: options.kernelClass ?? description.identity.deviceClass)
        architecture = description.architecture
        tableTuning = tuning
        tuningSource = entry?.source ?? "untested: the class's defaults"
        self.context = try OpenCLContext(description: description, options: options)
        let limit = options.memoryLimitBytes.map { min($0, description.limits.memoryBytes) }
        self.limits = DeviceLimits(
            computeUnits: context.computeUnits, memoryBytes: limit ?? description.limits.memoryBytes,
            largestAllocationBytes: min(description.limits.largestAllocationBytes, limit ?? Int.max),
            localMemoryBytes: description.limits.localMemoryBytes,
            sharesHostMemory: context.sharesHostMemory)
    }

    /// bfloat16 with the kernels for GPUs, on tensor units where there are any.
    public var productPrecisions: Set<ProductPrecision> {
        context.kernelClass == .cpu ? [.float32] : [.float32, .bfloat16]
    }

    public var allocatedBytes: Int { context.ledger.allocatedBytes }

    public var compileSeconds: Double { context.programs.seconds }

    /// Compiles a source as the device's own programs are compiled, with extra options, and throws it away: for probes
    /// and tests. Throws ``ComputeError/buildFailed(device:program:log:)`` with the compiler's words.
    package func compile(source: String, named name: String, options: String = "") throws(ComputeError) {
        try context.programs.compile(ProgramName(name, options: options), source: Array(source.utf8))
    }

    public func takeKernelTimes() -> [KernelTime] { context.kernelTimes?.take() ?? [] }

    public func makeBackend() throws(ComputeError) -> any StreamBackend {
        try OpenCLStreamBackend(context: context)
    }
}

/// What all streams and buffers of an opened device share. Lives as long as the last of them.
final class OpenCLContext: @unchecked Sendable {
    let name: String
    let device: cl_device_id
    let context: cl_context
    /// The class whose kernels are used.
    let kernelClass: DeviceClass
    let computeUnits: Int
    let limits: DeviceLimits
    /// Sizes that kernels are compiled and launched with.
    let tuning: KernelTuning
    let isNVIDIA: Bool
    let sharesHostMemory: Bool
    /// Whether buffers are memory of ours, which comes in large pages: a driver that computes on the host takes any. Rows
    /// gathered from tables in small pages miss the TLB, which cost factorization some per cent.
    let allocatesOnHost: Bool
    let poisonsMemory: Bool
    /// Nil where nobody asks.
    let kernelTimes: OpenCLKernelTimes?
    let tensorUnits: TensorUnits
    let tensorProbe = TensorUnitProbe(), warpgroupProbe = TensorUnitProbe()
    /// With emulated tensor units: whether the kernels for Hopper are, instead of those for all devices that have some.
    let emulatesWarpgroups: Bool
    let architecture: String
    let byteProbe = ByteProductProbe()
    /// Whether the driver is one whose compiler takes instructions of this processor, or Oclgrind, which tests kernels.
    let isPoCL: Bool, isOclgrind: Bool
    /// Bytes to which the address of wrapped memory must be aligned.
    let wrapAlignment: Int
    let ledger: MemoryLedger
    let programs: OpenCLPrograms
    private let isSubDevice: Bool

    init(description: OpenCLDeviceDescription, options: OpenCLDeviceOptions) throws(ComputeError) {
        let name = description.identity.name
        self.name = name
        self.limits = description.limits
        self.kernelClass = options.kernelClass ?? description.identity.deviceClass
        self.sharesHostMemory = description.limits.sharesHostMemory && !options.copiesHostMemory
        self.allocatesOnHost = sharesHostMemory && description.identity.deviceClass == .cpu
        self.poisonsMemory = options.poisonsMemory
        self.kernelTimes = options.timesKernels ? OpenCLKernelTimes() : nil
        self.isNVIDIA = description.identity.vendor.lowercased().contains("nvidia")
        self.isPoCL = description.programKey.lowercased().contains("pocl")
        self.isOclgrind = description.programKey.lowercased().contains("oclgrind")
        self.tensorUnits = options.tensorUnits == .emulatedHopper ? .emulated : options.tensorUnits
        self.emulatesWarpgroups = options.tensorUnits == .emulatedHopper
        self.architecture = description.architecture
        self.tuning =
            options.tuning
            ?? KernelTuningTable.tuning(
                vendor: description.identity.vendor, architecture: description.architecture, kernelClass: kernelClass
            ).tuning
        var device = description.device.pointer
        var units = description.limits.computeUnits
        var divided = false
        if description.identity.deviceClass == .cpu, let threads = options.threads, threads < units {
            guard description.divisibleUnits != nil else {
                throw .unavailable(device: name, reason: "its driver can't limit the number of threads")
            }
            device = try Self.subDevice(of: device, units: threads, name: name)
            units = threads
            divided = true
        }
        self.computeUnits = units
        // A sub-device computes with the first ones.
        OpenCLWorkerThreads.spread(description.workerThreads.prefix(units))
        self.isSubDevice = divided
        self.device = device

        var code: cl_int = CL_SUCCESS
        var chosen: cl_device_id? = device
        guard let context = clCreateContext(nil, 1, &chosen, nil, nil, &code), code == CL_SUCCESS else {
            throw .unavailable(
                device: name, reason: "clCreateContext answered \(openCLErrorName(code)) (\(code))")
        }
        self.context = context
        let alignmentBits: cl_uint = OpenCLDevice.value(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, 1024)
        // Only page-aligned memory is shared without a copy by integrated GPUs.
        self.wrapAlignment = description.identity.deviceClass == .cpu ? max(Int(alignmentBits) / 8, 64) : 4096
        self.ledger = MemoryLedger(
            name: name, limitBytes: options.memoryLimitBytes ?? description.limits.memoryBytes,
            largestAllocationBytes: description.limits.largestAllocationBytes)
        self.programs = OpenCLPrograms(
            name: name, device: OpenCLHandle(pointer: device), context: OpenCLHandle(pointer: context),
            key: description.programKey, kernelClass: kernelClass,
            deviceClass: description.identity.deviceClass, tuning: tuning,
            cache: OpenCLProgramCache(folder: options.programFolder))
    }

    deinit {
        programs.releaseAll()
        clReleaseContext(context)
        if isSubDevice { clReleaseDevice(device) }
    }

    private static func subDevice(
        of device: cl_device_id, units: Int, name: String
    ) throws(ComputeError) -> cl_device_id {
        let properties: [cl_device_partition_property] = [
            cl_device_partition_property(CL_DEVICE_PARTITION_BY_COUNTS), units,
            cl_device_partition_property(CL_DEVICE_PARTITION_BY_COUNTS_LIST_END), 0,
        ]
        var part: cl_device_id?
        let code = clCreateSubDevices(device, properties, 1, &part, nil)
        guard code == CL_SUCCESS, let part else {
            throw .unavailable(
                device: name,
                reason: "clCreateSubDevices answered \(openCLErrorName(code)) (\(code)) to \(units) threads")
        }
        return part
    }
}
