import Compute
import ComputeCPU
import ComputeOpenCL

/// What holds for every device that is opened.
public struct DeviceOptions: Sendable {
    /// Threads of CPU-class devices, OpenCL's included; nil for all available cores.
    public var threads: Int?
    /// Most bytes of memory on the device; nil for no limit of our own.
    public var memoryLimitBytes: Int?
    /// Forces the kernels of a class on OpenCL devices: how GPU kernels are tested without a GPU.
    public var kernelClass: DeviceClass?
    /// Whether operations that a device failed in its certificate are refused. Only what draws up certificates says no.
    public var heedsCertificates: Bool
    /// Copies to OpenCL devices that could use the host's memory as it is, to test what devices do that can't.
    public var copiesHostMemory: Bool
    /// Fills the memory of OpenCL devices with NaN whenever it is handed out, to test that no kernel reads what nobody wrote.
    public var poisonsMemory: Bool
    /// Keeps the seconds of every kernel of OpenCL devices.
    public var timesKernels = false
    /// Sizes that kernels are compiled and launched with; nil for what `apus tune-kernels` has found for the device, or
    /// else the table's.
    public var tuning: KernelTuning?

    public init(
        threads: Int? = nil, memoryLimitBytes: Int? = nil, kernelClass: DeviceClass? = nil,
        heedsCertificates: Bool = true, tuning: KernelTuning? = nil, copiesHostMemory: Bool = false,
        poisonsMemory: Bool = false
    ) {
        self.copiesHostMemory = copiesHostMemory
        self.poisonsMemory = poisonsMemory
        self.tuning = tuning
        self.threads = threads
        self.memoryLimitBytes = memoryLimitBytes
        self.kernelClass = kernelClass
        self.heedsCertificates = heedsCertificates
    }
}

/// One line of `apus devices`.
public struct DeviceListing: Sendable {
    /// The name to select it by.
    public let name: String
    /// Who it is.
    public let identity: DeviceIdentity
    /// What it has.
    public let limits: DeviceLimits
    /// Why it can't be used; nil when it can.
    public let unusableReason: String?
    /// What a user should know about its set-up.
    public let notes: [String]
    /// What `apus doctor` found with the present driver; nil when it has not looked.
    public let certificate: Certificate?
    /// What `apus tune-kernels` has found with the present driver; nil when the table's values are used.
    public let tuned: TunedKernels?
}

/// A device with the reason why it was chosen.
public struct OpenedDevice: Sendable {
    public let device: any Device
    /// "cpu: …, because …", for a log line.
    public let explanation: String
}

/// Finds and opens devices.
public enum Devices {
    /// Every device of this machine, usable or not; the CPU first.
    public static func list(_ options: DeviceOptions = DeviceOptions()) -> [DeviceListing] {
        let cpu = CPUDevice(threads: options.threads, memoryLimitBytes: options.memoryLimitBytes)
        var listings = [
            DeviceListing(
                name: "cpu", identity: cpu.identity, limits: cpu.limits, unusableReason: nil, notes: cpu.notes,
                certificate: CertificateStore.certificate(of: cpu.identity), tuned: nil)
        ]
        for found in OpenCLDevice.discover() {
            listings.append(
                DeviceListing(
                    name: found.identity.name, identity: found.identity, limits: found.limits,
                    unusableReason: found.unusableReason, notes: [],
                    certificate: CertificateStore.certificate(of: found.identity, kernelClass: options.kernelClass),
                    tuned: TunedKernels.load(found.identity, kernelClass: options.kernelClass)))
        }
        return listings
    }

    /// Every usable device, opened.
    public static func all(_ options: DeviceOptions = DeviceOptions()) throws(ComputeError) -> [any Device] {
        var devices: [any Device] = []
        for listing in list(options) where listing.unusableReason == nil {
            devices.append(try open(listing.name, options: options).device)
        }
        return devices
    }

    /// Opens a device by name.
    ///
    /// - Parameter name: `cpu`; `opencl:P.D` (platform and device number); `opencl`, the first GPU-class OpenCL device,
    ///   else the first; `auto`, the first GPU-class OpenCL device whose certificate has no failure, else the CPU, never
    ///   a CPU-class OpenCL device.
    /// - Throws: ``ComputeError/unavailable(device:reason:)`` when a device asked for by name can't be used; there is
    ///   no fallback.
    public static func open(
        _ name: String, options: DeviceOptions = DeviceOptions()
    ) throws(ComputeError) -> OpenedDevice {
        switch name {
        case "cpu":
            return OpenedDevice(device: cpu(options), explanation: "cpu: as asked for")
        case "auto":
            return automatic(options)
        case "opencl":
            let usable = OpenCLDevice.discover().filter { $0.unusableReason == nil }
            guard let chosen = usable.first(where: { $0.identity.deviceClass == .gpu }) ?? usable.first else {
                throw .unavailable(
                    device: name,
                    reason: "no OpenCL device was found; install a driver, PoCL (pocl-opencl-icd) for example")
            }
            return OpenedDevice(
                device: try openCL(chosen, options), explanation: "\(chosen.identity.name): as asked for")
        default:
            let found = OpenCLDevice.discover()
            guard let chosen = found.first(where: { $0.identity.name == name }) else {
                let names = (["cpu"] + found.map(\.identity.name)).joined(separator: ", ")
                throw .unavailable(device: name, reason: "there is no such device; found: \(names)")
            }
            if let reason = chosen.unusableReason { throw .unavailable(device: name, reason: reason) }
            return OpenedDevice(device: try openCL(chosen, options), explanation: "\(name): as asked for")
        }
    }

    /// The name of the device that `auto` stands for, with the reason.
    public static func automaticChoice(_ options: DeviceOptions = DeviceOptions()) -> (name: String, reason: String) {
        let (chosen, reason) = certifiedGPU(options)
        return (chosen?.identity.name ?? "cpu", reason)
    }

    /// The first GPU that has passed its conformance check, with the reasons for it or against all others.
    private static func certifiedGPU(
        _ options: DeviceOptions
    ) -> (chosen: OpenCLDeviceDescription?, reason: String) {
        var refused: [String] = []
        for gpu in OpenCLDevice.discover() where gpu.identity.deviceClass == .gpu {
            let name = gpu.identity.name
            if let reason = gpu.unusableReason {
                refused.append("\(name) can't be used: \(reason)")
                continue
            }
            guard let certificate = CertificateStore.certificate(of: gpu.identity, kernelClass: options.kernelClass)
            else {
                refused.append("\(name) has not been checked with its driver; `apus doctor --device \(name)` does it")
                continue
            }
            guard certificate.passed else {
                let failed = certificate.operations.filter { !$0.passed }.map(\.operation)
                refused.append("\(name) failed its conformance check of \(failed.joined(separator: ", "))")
                continue
            }
            return (gpu, "the first GPU that has passed its conformance check")
        }
        return (nil, refused.isEmpty ? "no GPU with an OpenCL driver was found" : refused.joined(separator: "; "))
    }

    private static func automatic(_ options: DeviceOptions) -> OpenedDevice {
        let (chosen, reason) = certifiedGPU(options)
        guard let chosen else { return OpenedDevice(device: cpu(options), explanation: "cpu: \(reason)") }
        do throws(ComputeError) {
            return OpenedDevice(
                device: try openCL(chosen, options), explanation: "\(chosen.identity.name): \(reason)")
        } catch {
            return OpenedDevice(
                device: cpu(options), explanation: "cpu: \(chosen.identity.name) can't be used: \(error)")
        }
    }

    private static func cpu(_ options: DeviceOptions) -> CPUDevice {
        CPUDevice(threads: options.threads, memoryLimitBytes: options.memoryLimitBytes) { identity in
            options.heedsCertificates
                ? CertificateStore.certificate(of: identity)?.unsupportedOperations ?? [:] : [:]
        }
    }

    /// The table's values for a device, with those that were found on this machine in their place.
    private static func tuning(_ description: OpenCLDeviceDescription, _ options: DeviceOptions) -> KernelTuning {
        let kernels = options.kernelClass ?? description.identity.deviceClass
        let table = KernelTuningTable.tuning(
            vendor: description.identity.vendor, architecture: description.architecture, kernelClass: kernels
        ).tuning
        return TunedKernels.load(description.identity, kernelClass: kernels)?.applied(to: table) ?? table
    }

    private static func openCL(
        _ description: OpenCLDeviceDescription, _ options: DeviceOptions
    ) throws(ComputeError) -> any Device {
        let certificate =
            options.heedsCertificates
            ? CertificateStore.certificate(of: description.identity, kernelClass: options.kernelClass) : nil
        return try OpenCLDevice(
            description: description,
            options: OpenCLDeviceOptions(
                threads: options.threads ?? CPUDevice.availableCores, memoryLimitBytes: options.memoryLimitBytes,
                kernelClass: options.kernelClass, tuning: options.tuning ?? tuning(description, options),
                copiesHostMemory: options.copiesHostMemory, poisonsMemory: options.poisonsMemory,
                timesKernels: options.timesKernels),
            denseSolver: cpu(DeviceOptions(threads: 1, heedsCertificates: false)).denseSolver,
            unsupportedOperations: certificate?.unsupportedOperations ?? [:])
    }
}
