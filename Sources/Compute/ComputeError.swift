/// What can go wrong on a device. Every device reports the same mistake with the same case.
public enum ComputeError: Error, Sendable, Equatable {
    /// Shapes, strides, element types or ranges that do not fit; found before anything was enqueued.
    case invalidArgument(operation: String, reason: String)
    /// The device (or the limit set for it) has no room for a buffer, even with its pool drained.
    case outOfMemory(device: String, requestedBytes: Int, availableBytes: Int)
    /// The device can't do this operation, or has failed it in its certificate.
    case unsupported(device: String, operation: String, reason: String)
    /// A device that was asked for by name is not there or can't be opened.
    case unavailable(device: String, reason: String)
    /// A device program did not compile; `log` holds the compiler's words.
    case buildFailed(device: String, program: String, log: String)
    /// The driver refused a call.
    case driver(device: String, operation: String, code: Int, name: String)
    /// The device stopped working; its streams are dead.
    case deviceLost(device: String, operation: String)
    /// A LAPACK routine reported a numerical failure: a matrix that is not positive definite, no convergence.
    case numerical(operation: String, reason: String)
}

extension ComputeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .invalidArgument(let operation, let reason):
            return "\(operation): \(reason)"
        case .outOfMemory(let device, let requested, let available):
            return "device \(device) has no room for \(requested) bytes (\(available) bytes free); "
                + "use fewer factors, a smaller batch, a larger --memory-limit or another device"
        case .unsupported(let device, let operation, let reason):
            return "device \(device) does not support \(operation): \(reason)"
        case .unavailable(let device, let reason):
            return "device \(device) is not available: \(reason); `apus devices` lists what is"
        case .buildFailed(let device, let program, let log):
            return "device \(device) could not compile program \(program):\n\(log)"
        case .driver(let device, let operation, let code, let name):
            return "device \(device), \(operation): the driver answered \(name) (\(code))"
        case .deviceLost(let device, let operation):
            return "device \(device) was lost during \(operation); the work can be resumed on another device"
        case .numerical(let operation, let reason):
            return "\(operation): \(reason)"
        }
    }
}
