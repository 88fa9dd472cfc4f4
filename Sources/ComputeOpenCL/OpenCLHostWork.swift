import COpenCL
import Compute
import Core
import Dispatch
import Synchronization

/// Work of the host that a queue waits for, so that nobody else has to.
///
/// The queue reads the input, and goes on when an event of the host says that the results are there. A thread of its own
/// waits for the input: work in a driver's callback would hold up the driver. The event is set whatever happens, since
/// the queue would never end otherwise; a failure is kept and comes out when the queue is waited for.
final class OpenCLHostWork: Sendable {
    private let work: HostWork
    private let device: String
    private let input: HostBuffer<Float>
    private let results: [HostBuffer<Float>]
    private let failure = Mutex<ComputeError?>(nil)

    /// Enqueues the transfers and starts the thread. Errors leave nothing waiting on the queue.
    init(_ work: HostWork, on backend: OpenCLStreamBackend) throws(ComputeError) {
        self.work = work
        device = backend.context.name
        input = HostBuffer(uninitializedCount: work.input.count)
        results = work.outputs.map { HostBuffer(repeating: 0, count: $0.count) }
        var code: cl_int = CL_SUCCESS
        guard let done = clCreateUserEvent(backend.context.context, &code), code == CL_SUCCESS else {
            throw openCLError(code, device: device, operation: "work of the host")
        }
        var read: cl_event?
        do throws(ComputeError) {
            let source = try backend.own(work.input.storage)
            try backend.check(
                clEnqueueReadBuffer(
                    backend.queue, source.buffer, cl_bool(CL_FALSE), 4 * work.input.offset, 4 * input.count,
                    input.baseAddress, 0, nil, &read), "download")
            var event: cl_event? = done
            for (output, result) in zip(work.outputs, results) {
                let target = try backend.own(output.storage)
                try backend.check(
                    clEnqueueWriteBuffer(
                        backend.queue, target.buffer, cl_bool(CL_FALSE), 4 * output.offset, 4 * result.count,
                        result.baseAddress, 1, &event, nil), "upload")
            }
            try backend.check(clFlush(backend.queue), "work of the host")
        } catch {
            // What was enqueued may go on, and must be done before its memory goes.
            clSetUserEventStatus(done, CL_COMPLETE)
            clFinish(backend.queue)
            if let read { clReleaseEvent(read) }
            clReleaseEvent(done)
            throw error
        }
        nonisolated(unsafe) let events = (read: read, done: done)
        DispatchQueue.global(qos: .userInitiated).async { [self] in
            perform(after: events.read)
            clSetUserEventStatus(events.done, CL_COMPLETE)
            if let read = events.read { clReleaseEvent(read) }
            clReleaseEvent(events.done)
        }
    }

    private func perform(after read: cl_event?) {
        do throws(ComputeError) {
            var read = read
            try checkOpenCL(clWaitForEvents(1, &read), device: device, "download")
            for (made, result) in zip(try work.results(of: input.array), results) {
                for place in made.indices { result[place] = made[place] }
            }
        } catch {
            failure.withLock { $0 = error }
        }
    }

    /// Throws what went wrong. To be asked when the queue is done.
    func settle() throws(ComputeError) {
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
