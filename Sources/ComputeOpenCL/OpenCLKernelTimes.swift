import COpenCL
import Compute
import Synchronization

/// The seconds that kernels took on a device, by name, from the events of its queues.
final class OpenCLKernelTimes: Sendable {
    private let times = Mutex<[String: KernelTime]>([:])

    func add(_ name: String, seconds: Double) {
        times.withLock { times in
            var time = times[name] ?? KernelTime(name: name, launches: 0, seconds: 0)
            time.launches += 1
            time.seconds += seconds
            times[name] = time
        }
    }

    /// What was added since the last call, the longest first.
    func take() -> [KernelTime] {
        times.withLock { times in
            defer { times = [:] }
            return times.values.sorted { $0.seconds > $1.seconds }
        }
    }
}

/// Launches of one queue whose ends have not been asked for.
struct OpenCLPendingKernels {
    private var pending: [(name: String, event: cl_event)] = []

    /// Beyond this the queue is waited for, since events take memory of the driver's.
    static let most = 4096

    var isFull: Bool { pending.count >= Self.most }

    mutating func append(_ name: String, _ event: cl_event) { pending.append((name, event)) }

    /// Adds up what has ended; call when all has.
    mutating func collect(into times: OpenCLKernelTimes) {
        for (name, event) in pending {
            if let seconds = openCLSeconds(of: event) { times.add(name, seconds: seconds) }
            clReleaseEvent(event)
        }
        pending = []
    }
}

/// Seconds from the start of a command to its end; nil where the queue does not keep them.
func openCLSeconds(of event: cl_event) -> Double? {
    var began: cl_ulong = 0
    var ended: cl_ulong = 0
    let size = MemoryLayout<cl_ulong>.size
    let start = cl_profiling_info(CL_PROFILING_COMMAND_START)
    let end = cl_profiling_info(CL_PROFILING_COMMAND_END)
    guard clGetEventProfilingInfo(event, start, size, &began, nil) == CL_SUCCESS,
        clGetEventProfilingInfo(event, end, size, &ended, nil) == CL_SUCCESS, ended > began
    else { return nil }
    return Double(ended - began) * 1e-9
}
