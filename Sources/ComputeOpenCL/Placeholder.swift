import Compute

public struct OpenCLDeviceDescription: Sendable {
    public let identity: DeviceIdentity
    public let limits: DeviceLimits
    public let unusableReason: String?
}
public struct OpenCLDeviceOptions: Sendable {
    public init(threads: Int?, memoryLimitBytes: Int?, kernelClass: DeviceClass?) {}
}
public final class OpenCLDevice {
    public static func discover() -> [OpenCLDeviceDescription] { [] }
    public init(
        description: OpenCLDeviceDescription, options: OpenCLDeviceOptions, denseSolver: any DenseSolver
    ) throws(ComputeError) { throw .unavailable(device: description.identity.name, reason: "none") }
}
extension OpenCLDevice: Device {
    public var identity: DeviceIdentity { preconditionFailure() }
    public var limits: DeviceLimits { preconditionFailure() }
    public var denseSolver: any DenseSolver { preconditionFailure() }
    public var allocatedBytes: Int { 0 }
    public var compileSeconds: Double { 0 }
    public var unsupportedOperations: [OperationKind: String] { [:] }
    public func makeBackend() throws(ComputeError) -> any StreamBackend { preconditionFailure() }
}
