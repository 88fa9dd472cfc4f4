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

    public init(threads: Int? = nil, memoryLimitBytes: Int? = nil, kernelClass: DeviceClass? = nil) {
        self.threads = threads
        self.memoryLimitBytes = memoryLimitBytes
        self.kernelClass = kernelClass
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
                name: "cpu", identity: cpu.identity, limits: cpu.limits, unusableReason: nil, notes: cpu.notes)
        ]
        for found in OpenCLDevice.discover() {
            listings.append(
                DeviceListing(
                    name: found.identity.name, identity: found.identity, limits: found.limits,
                    unusableReason: found.unusableReason, notes: []))
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
    ///   else the first; `auto`, the first GPU-class OpenCL device, else the CPU, never a CPU-class OpenCL device.
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

    /// The first GPU-class OpenCL device that can be used, else the CPU, with the reasons why not the others.
    private static func automatic(_ options: DeviceOptions) -> OpenedDevice {
        var refused: [String] = []
        for gpu in OpenCLDevice.discover() where gpu.identity.deviceClass == .gpu {
            if let reason = gpu.unusableReason {
                refused.append("\(gpu.identity.name) can't be used: \(reason)")
                continue
            }
            do throws(ComputeError) {
                return OpenedDevice(
                    device: try openCL(gpu, options),
                    explanation: "\(gpu.identity.name): the first GPU with an OpenCL driver")
            } catch {
                refused.append("\(gpu.identity.name) can't be used: \(error)")
            }
        }
        let reason = refused.isEmpty ? "no GPU with an OpenCL driver was found" : refused.joined(separator: "; ")
        return OpenedDevice(device: cpu(options), explanation: "cpu: \(reason)")
    }

    private static func cpu(_ options: DeviceOptions) -> CPUDevice {
        CPUDevice(threads: options.threads, memoryLimitBytes: options.memoryLimitBytes)
    }

    private static func openCL(
        _ description: OpenCLDeviceDescription, _ options: DeviceOptions
    ) throws(ComputeError) -> any Device {
        try OpenCLDevice(
            description: description,
            options: OpenCLDeviceOptions(
                threads: options.threads ?? CPUDevice.availableCores, memoryLimitBytes: options.memoryLimitBytes,
                kernelClass: options.kernelClass),
            denseSolver: cpu(DeviceOptions(threads: 1)).denseSolver)
    }
}
