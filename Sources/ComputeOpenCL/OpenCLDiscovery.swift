import COpenCL
import Compute

/// Identifiers of the OpenCL runtime are opaque pointers, valid from any thread and for as long as the process lives.
struct OpenCLHandle: @unchecked Sendable {
    let pointer: OpaquePointer
}

/// An OpenCL device that the machine has, opened or not.
public struct OpenCLDeviceDescription: Sendable {
    /// Who it is; the name is `opencl:P.D`, platform and device counted from 0.
    public let identity: DeviceIdentity
    /// What it has.
    public let limits: DeviceLimits
    /// The kind of its hardware, for tables of tunables: `sm_90` (NVIDIA), `gfx90a` (AMD), else the model.
    public let architecture: String
    /// Why it can't be used, or nil when it can.
    public let unusableReason: String?

    let device: OpenCLHandle
    /// Everything by which a compiled program can become stale: the device's name and all versions.
    let programKey: String
    /// Number of units that ``OpenCLDeviceOptions/threads`` may limit; nil where the device can't be divided.
    let divisibleUnits: Int?
    /// The threads that compute for it, one for each unit, where they are known: PoCL's.
    let workerThreads: [Int32]
}

extension OpenCLDevice {
    /// All devices of all platforms, in the order of the loader. No platform at all is an empty list.
    /// Found once in a process: drivers set themselves up at the first question, and not all of them bear being asked by
    /// two threads then.
    public static func discover() -> [OpenCLDeviceDescription] { discovered }

    private static let discovered = findDevices()

    private static func findDevices() -> [OpenCLDeviceDescription] {
        var platformCount: cl_uint = 0
        // CL_PLATFORM_NOT_FOUND_KHR is what the loader answers on a machine without any driver.
        guard clGetPlatformIDs(0, nil, &platformCount) == CL_SUCCESS, platformCount > 0 else { return [] }
        var platforms = [cl_platform_id?](repeating: nil, count: Int(platformCount))
        guard clGetPlatformIDs(platformCount, &platforms, nil) == CL_SUCCESS else { return [] }

        var found: [OpenCLDeviceDescription] = []
        for (p, platform) in platforms.enumerated() {
            var deviceCount: cl_uint = 0
            let all = cl_device_type(CL_DEVICE_TYPE_ALL)
            let (code, threads) = OpenCLWorkerThreads.begun {
                clGetDeviceIDs(platform, all, 0, nil, &deviceCount)
            }
            guard code == CL_SUCCESS, deviceCount > 0 else { continue }
            var devices = [cl_device_id?](repeating: nil, count: Int(deviceCount))
            guard clGetDeviceIDs(platform, all, deviceCount, &devices, nil) == CL_SUCCESS else { continue }
            let version = text { clGetPlatformInfo(platform, cl_platform_info(CL_PLATFORM_VERSION), $0, $1, $2) }
            for (d, device) in devices.enumerated() {
                guard let device else { continue }
                found.append(
                    describe(device, name: "opencl:\(p).\(d)", platformVersion: version, threadsOfPlatform: threads))
            }
        }
        return found
    }

    private static func describe(
        _ device: cl_device_id, name: String, platformVersion: String, threadsOfPlatform: [Int32]
    ) -> OpenCLDeviceDescription {
        func string(_ key: Int32) -> String {
            text { clGetDeviceInfo(device, cl_device_info(key), $0, $1, $2) }
        }
        let type: UInt64 = value(device, CL_DEVICE_TYPE, 0)
        let deviceClass: DeviceClass =
            type & UInt64(CL_DEVICE_TYPE_CPU) != 0 ? .cpu : type & UInt64(CL_DEVICE_TYPE_GPU) != 0 ? .gpu : .accelerator
        let unified: cl_bool = value(device, CL_DEVICE_HOST_UNIFIED_MEMORY, 0)
        let units: cl_uint = value(device, CL_DEVICE_MAX_COMPUTE_UNITS, 1)
        let memory: cl_ulong = value(device, CL_DEVICE_GLOBAL_MEM_SIZE, 0)
        let largest: cl_ulong = value(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, 0)
        let local: cl_ulong = value(device, CL_DEVICE_LOCAL_MEM_SIZE, 0)
        let deviceVersion = string(CL_DEVICE_VERSION)
        let driver = "\(platformVersion), driver \(string(CL_DRIVER_VERSION))"
        let identity = DeviceIdentity(
            name: name, backend: "OpenCL", model: string(CL_DEVICE_NAME), vendor: string(CL_DEVICE_VENDOR),
            driver: driver, deviceClass: deviceClass, capability: deviceVersion)
        let limits = DeviceLimits(
            computeUnits: Int(units), memoryBytes: Int(clamping: memory),
            largestAllocationBytes: Int(clamping: largest),
            localMemoryBytes: Int(clamping: local),
            // The simulator Oclgrind takes wrapped memory for uninitialised, and would report every read of it.
            sharesHostMemory: (deviceClass == .cpu || unified != 0) && !identity.model.hasPrefix("Oclgrind"))
        return OpenCLDeviceDescription(
            identity: identity, limits: limits, architecture: architecture(device, identity),
            unusableReason: unusableReason(device, identity, extensions: string(CL_DEVICE_EXTENSIONS)),
            device: OpenCLHandle(pointer: device),
            programKey: "\(identity.model)\n\(identity.vendor)\n\(driver)\n\(deviceVersion)\n",
            divisibleUnits: canPartitionByCounts(device) ? Int(units) : nil,
            // Another number of threads than of units: they are somebody else's, or there for something else.
            workerThreads: driver.lowercased().contains("pocl") && threadsOfPlatform.count == Int(units)
                ? threadsOfPlatform : [])
    }

    private static func architecture(_ device: cl_device_id, _ identity: DeviceIdentity) -> String {
        // CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV and MINOR_NV of cl_nv_device_attribute_query.
        let (major, minor): (cl_uint, cl_uint) = (value(device, 0x4000, 0), value(device, 0x4001, 0))
        if identity.vendor.lowercased().contains("nvidia"), major > 0 { return "sm_\(major)\(minor)" }
        // AMD's names carry features: gfx90a:sramecc+:xnack-.
        if identity.model.hasPrefix("gfx") { return String(identity.model.prefix { $0 != ":" }) }
        return identity.model
    }

    private static func unusableReason(
        _ device: cl_device_id, _ identity: DeviceIdentity, extensions: String
    ) -> String? {
        if value(device, CL_DEVICE_AVAILABLE, cl_bool(0)) == 0 { return "the driver says that it is not available" }
        if value(device, CL_DEVICE_COMPILER_AVAILABLE, cl_bool(0)) == 0 { return "the driver has no compiler" }
        if value(device, CL_DEVICE_ENDIAN_LITTLE, cl_bool(1)) == 0 { return "it is big-endian" }
        // "OpenCL 1.2 vendor words": versions below 1.2 lack sub-devices and the destructor callbacks.
        let version = identity.capability.split(separator: " ").dropFirst().first ?? ""
        let parts = version.split(separator: ".").compactMap { Int($0) }
        if parts.count < 2 || (parts[0], parts[1]) < (1, 2) { return "it has \(identity.capability), 1.2 is needed" }
        if identity.deviceClass == .cpu, !extensions.split(separator: " ").contains("cl_khr_fp64") {
            return "it is a CPU device without double precision (cl_khr_fp64)"
        }
        return nil
    }

    private static func canPartitionByCounts(_ device: cl_device_id) -> Bool {
        var size = 0
        guard clGetDeviceInfo(device, cl_device_info(CL_DEVICE_PARTITION_PROPERTIES), 0, nil, &size) == CL_SUCCESS
        else { return false }
        var kinds = [cl_device_partition_property](repeating: 0, count: size / MemoryLayout<Int>.size)
        guard clGetDeviceInfo(device, cl_device_info(CL_DEVICE_PARTITION_PROPERTIES), size, &kinds, nil) == CL_SUCCESS
        else { return false }
        return kinds.contains(cl_device_partition_property(CL_DEVICE_PARTITION_BY_COUNTS))
    }

    /// A number that the driver knows about a device, or the fallback where it does not answer.
    static func value<Value: BitwiseCopyable>(_ device: cl_device_id, _ key: Int32, _ fallback: Value) -> Value {
        var result = fallback
        let code = clGetDeviceInfo(device, cl_device_info(key), MemoryLayout<Value>.size, &result, nil)
        return code == CL_SUCCESS ? result : fallback
    }

    /// A string of the driver, asked for its size first.
    static func text(_ ask: (Int, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>?) -> cl_int) -> String {
        var size = 0
        guard ask(0, nil, &size) == CL_SUCCESS, size > 0 else { return "" }
        var bytes = [UInt8](repeating: 0, count: size)
        guard ask(size, &bytes, nil) == CL_SUCCESS else { return "" }
        let words = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        // Some drivers pad their names.
        return words.split(separator: " ").joined(separator: " ")
    }
}
