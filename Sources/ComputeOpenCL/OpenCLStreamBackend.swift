import COpenCL
import Compute
import Core

/// One in-order command queue with its own kernel objects and its own pool.
final class OpenCLStreamBackend: StreamBackend {
    let context: OpenCLContext
    let pool: BufferPool
    let queue: cl_command_queue
    /// Tells compiling and running apart at first launches.
    private let profilingQueue: cl_command_queue
    /// Uploads that run beside the kernels; made when first needed.
    private var transferQueue: cl_command_queue?
    private var uploads: [OpenCLUpload] = []
    private var kernels: [KernelName: KnownKernel] = [:]
    private(set) var launchCount = 0
    private var timed = OpenCLPendingKernels()

    /// Uploads up to here are copied aside, so that the host need not wait for the queue.
    private static let stagedBytes = 1 << 20
    /// Bytes of such copies that may be pending.
    private static let stagedBytesInAll = 16 << 20
    private var staged: [Staged] = []
    private var hostWork: [OpenCLHostWork] = []

    /// A copy of uploaded bytes that the queue has yet to read. Their ends are asked for, not called back: the simulator
    /// Oclgrind calls back before it reads.
    private struct Staged {
        let memory: UnsafeMutableRawPointer
        let byteCount: Int
        let event: cl_event
    }

    private struct KernelName: Hashable {
        let program: ProgramName
        let kernel: String
    }

    /// A kernel object with the groups that it has been launched with, so that a launch asks for neither again.
    struct KnownKernel {
        let kernel: cl_kernel
        var launched: [LaunchShape] = []
    }

    /// What a runtime may compile a kernel for apart.
    struct LaunchShape: Equatable {
        let group: WorkSize
        let isLarge: Bool
    }

    init(context: OpenCLContext) throws(ComputeError) {
        self.context = context
        var code: cl_int = CL_SUCCESS
        let profiling = cl_command_queue_properties(CL_QUEUE_PROFILING_ENABLE)
        let properties = context.kernelTimes == nil ? 0 : profiling
        guard let queue = clCreateCommandQueue(context.context, context.device, properties, &code), code == CL_SUCCESS
        else {
            throw openCLError(code, device: context.name, operation: "create a queue")
        }
        guard let second = clCreateCommandQueue(context.context, context.device, profiling, &code), code == CL_SUCCESS
        else {
            clReleaseCommandQueue(queue)
            throw openCLError(code, device: context.name, operation: "create a queue")
        }
        self.queue = queue
        self.pool = BufferPool(context: context, queue: queue)
        self.profilingQueue = second
    }

    deinit {
        clFinish(queue)
        if let times = context.kernelTimes { timed.collect(into: times) }
        if let transferQueue {
            clFinish(transferQueue)
            clReleaseCommandQueue(transferQueue)
        }
        freeStaging(before: staged.count)
        for known in kernels.values { clReleaseKernel(known.kernel) }
        clReleaseCommandQueue(queue)
        clReleaseCommandQueue(profilingQueue)
        pool.close()
    }

    func check(_ code: cl_int, _ operation: String) throws(ComputeError) {
        try checkOpenCL(code, device: context.name, operation)
    }

    // MARK: Memory

    func allocate(byteCount: Int) throws(ComputeError) -> any DeviceStorage {
        try pool.allocate(byteCount: byteCount)
    }

    func wrap<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage {
        let isAligned = Int(bitPattern: buffer.baseAddress) % context.wrapAlignment == 0
        if context.sharesHostMemory && isAligned && buffer.byteCount > 0 {
            return try OpenCLStorage.wrapping(buffer, pool: pool)
        }
        let storage = try pool.allocate(byteCount: max(buffer.byteCount, 1))
        try upload(from: buffer.baseAddress, to: storage, byteOffset: 0, byteCount: buffer.byteCount)
        return storage
    }

    func upload(
        from source: UnsafeRawPointer, to storage: any DeviceStorage, byteOffset: Int, byteCount: Int
    ) throws(ComputeError) {
        guard byteCount > 0 else { return }
        let target = try own(storage)
        if byteCount > Self.stagedBytes {
            try check(
                clEnqueueWriteBuffer(
                    queue, target.buffer, cl_bool(CL_TRUE), byteOffset, byteCount, source, 0, nil, nil), "upload")
            return
        }
        try freeStaging()
        let staging = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        staging.copyMemory(from: source, byteCount: byteCount)
        var event: cl_event?
        let code = clEnqueueWriteBuffer(
            queue, target.buffer, cl_bool(CL_FALSE), byteOffset, byteCount, staging, 0, nil, &event)
        guard code == CL_SUCCESS, let event else {
            staging.deallocate()
            throw openCLError(code, device: context.name, operation: "upload")
        }
        staged.append(Staged(memory: staging, byteCount: byteCount, event: event))
    }

    /// Frees the copies whose uploads are done; waits for all of them when they have become many.
    private func freeStaging() throws(ComputeError) {
        if staged.reduce(0, { $0 + $1.byteCount }) > Self.stagedBytesInAll { try finish() }
        let pending = staged.firstIndex { staged in
            var status: cl_int = CL_QUEUED
            let size = MemoryLayout<cl_int>.size
            let key = cl_event_info(CL_EVENT_COMMAND_EXECUTION_STATUS)
            return clGetEventInfo(staged.event, key, size, &status, nil) != CL_SUCCESS || status > CL_COMPLETE
        }
        freeStaging(before: pending ?? staged.count)
    }

    private func freeStaging(before end: Int) {
        for upload in staged[..<end] {
            clReleaseEvent(upload.event)
            upload.memory.deallocate()
        }
        staged.removeFirst(end)
    }

    func download(
        from storage: any DeviceStorage, byteOffset: Int, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) throws(ComputeError) {
        guard byteCount > 0 else { return try finish() }
        let source = try own(storage)
        try check(
            clEnqueueReadBuffer(
                queue, source.buffer, cl_bool(CL_TRUE), byteOffset, byteCount, destination, 0, nil, nil), "download")
        try settleHostWork()
    }

    func enqueue(_ work: HostWork) throws(ComputeError) -> Bool {
        hostWork.append(try OpenCLHostWork(work, on: self))
        return true
    }

    /// The queue is done, and with it the work of the host that it waited for.
    private func settleHostWork() throws(ComputeError) {
        let done = hostWork
        hostWork = []
        for work in done { try work.settle() }
    }

    func finish() throws(ComputeError) {
        try check(clFinish(queue), "finish")
        if let times = context.kernelTimes { timed.collect(into: times) }
        if let transferQueue {
            try check(clFinish(transferQueue), "finish")
            uploads = []
        }
        freeStaging(before: staged.count)
        try settleHostWork()
    }

    func beginUpload(
        from source: UnsafeRawPointer, keeping owner: AnyObject, to storage: any DeviceStorage, byteOffset: Int,
        byteCount: Int
    ) throws(ComputeError) -> AnyObject? {
        guard byteCount > Self.stagedBytes else {
            try upload(from: source, to: storage, byteOffset: byteOffset, byteCount: byteCount)
            return nil
        }
        let target = try own(storage)
        let second = try uploadQueue()
        // The memory may still be used by what is enqueued now.
        var before: cl_event?
        try check(clEnqueueMarkerWithWaitList(queue, 0, nil, &before), "upload")
        defer { if let before { clReleaseEvent(before) } }
        try check(clFlush(queue), "upload")
        var event: cl_event?
        try check(
            clEnqueueWriteBuffer(
                second, target.buffer, cl_bool(CL_FALSE), byteOffset, byteCount, source, 1, &before, &event), "upload")
        guard let event else { throw .deviceLost(device: context.name, operation: "upload") }
        let upload = OpenCLUpload(event: event, owner: owner, target: target)
        uploads.removeAll(where: \.isDone)
        uploads.append(upload)
        try check(clFlush(second), "upload")
        return upload
    }

    func join(_ upload: AnyObject) throws(ComputeError) {
        guard let upload = upload as? OpenCLUpload else { return }
        var event: cl_event? = upload.event
        try check(clEnqueueBarrierWithWaitList(queue, 1, &event, nil), "upload")
    }

    private func uploadQueue() throws(ComputeError) -> cl_command_queue {
        if let transferQueue { return transferQueue }
        var code: cl_int = CL_SUCCESS
        guard let made = clCreateCommandQueue(context.context, context.device, 0, &code), code == CL_SUCCESS else {
            throw openCLError(code, device: context.name, operation: "create a queue")
        }
        transferQueue = made
        return made
    }

    func own(_ storage: any DeviceStorage) throws(ComputeError) -> OpenCLStorage {
        guard let storage = storage as? OpenCLStorage, storage.belongs(to: context) else {
            throw .invalidArgument(
                operation: "transfer", reason: "a matrix belongs to another opening of device \(context.name)")
        }
        storage.noteUse(by: pool)
        return storage
    }

    // MARK: Work

    func execute(_ operation: Operation) throws(ComputeError) {
        let lowering = Lowering(context: context, pool: pool)
        try lowering.append(operation)
        try run(lowering.launches)
    }

    func run(_ launches: [Launch]) throws(ComputeError) {
        for launch in launches {
            let name = KernelName(program: launch.program, kernel: launch.kernel)
            var known: KnownKernel
            if let found = kernels[name] {
                known = found
            } else {
                known = KnownKernel(kernel: try context.programs.makeKernel(launch.kernel, of: launch.program))
                kernels[name] = known
            }
            try bind(launch, to: known.kernel)
            let count = known.launched.count
            try enqueue(launch, &known)
            if known.launched.count > count { kernels[name] = known }
        }
    }

    func prepare(_ operations: [Operation]) throws(ComputeError) -> any PreparedOperations {
        let lowering = Lowering(context: context, pool: pool)
        for operation in operations { try lowering.append(operation) }
        return try OpenCLPreparedOperations(lowering.launches, backend: self)
    }

    func bind(_ launch: Launch, to kernel: cl_kernel) throws(ComputeError) {
        for (index, argument) in launch.arguments.enumerated() {
            try check(argument.bind(to: kernel, at: index), "argument \(index) of kernel \(launch.kernel)")
        }
    }

    /// Enqueues one kernel. When the device has no room, memory in the pools is given back and the launch tried again.
    func enqueue(_ launch: Launch, _ known: inout KnownKernel) throws(ComputeError) {
        let kernel = known.kernel
        // PoCL compiles once more for grids beyond 16 bits.
        let shape = LaunchShape(
            group: launch.group, isLarge: max(launch.grid.x, launch.grid.y, launch.grid.z) > Int(UInt16.max))
        var code: cl_int
        if known.launched.contains(shape) {
            code = try enqueueKnown(launch, kernel)
        } else {
            let variant = OpenCLPrograms.LaunchVariant(
                program: launch.program, kernel: launch.kernel, group: shape.group, isLarge: shape.isLarge)
            let isFirst = context.programs.isFirstLaunch(variant)
            code = try isFirst ? enqueueFirst(launch, kernel) : enqueueKnown(launch, kernel)
            known.launched.append(shape)
        }
        if isMemoryError(code) {
            clFinish(queue)
            context.ledger.drainPools()
            code = enqueue(launch, kernel, on: queue, event: nil)
            if isMemoryError(code) {
                throw context.ledger.outOfMemory(requestedBytes: launch.storages.map(\.byteCount).max() ?? 0)
            }
        }
        try check(code, "kernel \(launch.kernel)")
        launchCount += 1
    }

    private func enqueueKnown(_ launch: Launch, _ kernel: cl_kernel) throws(ComputeError) -> cl_int {
        guard context.kernelTimes != nil else { return enqueue(launch, kernel, on: queue, event: nil) }
        if timed.isFull { try finish() }
        var event: cl_event?
        let code = enqueue(launch, kernel, on: queue, event: &event)
        if let event { timed.append(launch.kernel, event) }
        return code
    }

    private func enqueue(
        _ launch: Launch, _ kernel: cl_kernel, on queue: cl_command_queue, event: UnsafeMutablePointer<cl_event?>?
    ) -> cl_int {
        withUnsafePointer(to: launch.grid) { grid in
            withUnsafePointer(to: launch.group) { group in
                grid.withMemoryRebound(to: Int.self, capacity: 3) { grid in
                    group.withMemoryRebound(to: Int.self, capacity: 3) { group in
                        clEnqueueNDRangeKernel(queue, kernel, 3, nil, grid, group, 0, nil, event)
                    }
                }
            }
        }
    }

    /// Launches a kernel for the first time, waits for it, and counts what it took beyond its run as compiling: some
    /// runtimes compile only when they know the shape of the work-group.
    private func enqueueFirst(_ launch: Launch, _ kernel: cl_kernel) throws(ComputeError) -> cl_int {
        try finish()
        let start = monotonicSeconds()
        var event: cl_event?
        let code = enqueue(launch, kernel, on: profilingQueue, event: &event)
        guard code == CL_SUCCESS, let event else { return code }
        defer { clReleaseEvent(event) }
        try check(clFinish(profilingQueue), "kernel \(launch.kernel)")
        let elapsed = monotonicSeconds() - start
        let run = openCLSeconds(of: event) ?? 0
        context.programs.addSeconds(elapsed - run)
        return code
    }
}

/// A copy that runs beside the kernels, with what it reads and writes.
private final class OpenCLUpload {
    let event: cl_event
    private let owner: AnyObject
    private let target: OpenCLStorage

    init(event: cl_event, owner: AnyObject, target: OpenCLStorage) {
        self.event = event
        self.owner = owner
        self.target = target
    }

    deinit { clReleaseEvent(event) }

    var isDone: Bool {
        var status: cl_int = CL_QUEUED
        let size = MemoryLayout<cl_int>.size
        let key = cl_event_info(CL_EVENT_COMMAND_EXECUTION_STATUS)
        return clGetEventInfo(event, key, size, &status, nil) == CL_SUCCESS && status == CL_COMPLETE
    }
}

/// Launches with kernel objects of their own, whose arguments are bound once.
final class OpenCLPreparedOperations: PreparedOperations {
    private let backend: OpenCLStreamBackend
    /// Keeps the buffers alive.
    private let launches: [Launch]
    private var kernels: [OpenCLStreamBackend.KnownKernel] = []

    init(_ launches: [Launch], backend: OpenCLStreamBackend) throws(ComputeError) {
        self.backend = backend
        self.launches = launches
        for launch in launches {
            let kernel = try backend.context.programs.makeKernel(launch.kernel, of: launch.program)
            kernels.append(OpenCLStreamBackend.KnownKernel(kernel: kernel))
            try backend.bind(launch, to: kernel)
        }
    }

    deinit {
        for known in kernels { clReleaseKernel(known.kernel) }
    }

    func replay() throws(ComputeError) {
        for index in launches.indices { try backend.enqueue(launches[index], &kernels[index]) }
    }
}
