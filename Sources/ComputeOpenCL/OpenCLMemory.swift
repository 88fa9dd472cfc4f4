import COpenCL
import Compute
import Core
import Synchronization

/// Counts the bytes of a device and knows all pools, so that they can be drained when memory runs out.
final class MemoryLedger: Sendable {
    let name: String
    let limitBytes: Int
    let largestAllocationBytes: Int
    private let state = Mutex(State())

    private struct State {
        var allocatedBytes = 0
        var pools: [WeakPool] = []
    }

    private struct WeakPool: Sendable {
        weak let pool: BufferPool?
    }

    init(name: String, limitBytes: Int, largestAllocationBytes: Int) {
        self.name = name
        self.limitBytes = limitBytes
        self.largestAllocationBytes = largestAllocationBytes
    }

    var allocatedBytes: Int { state.withLock { $0.allocatedBytes } }

    func register(_ pool: BufferPool) {
        state.withLock { state in
            state.pools.removeAll { $0.pool == nil }
            state.pools.append(WeakPool(pool: pool))
        }
    }

    /// Counts bytes as allocated if the limit allows.
    func reserve(_ byteCount: Int) -> Bool {
        state.withLock { state in
            guard byteCount <= limitBytes - state.allocatedBytes else { return false }
            state.allocatedBytes += byteCount
            return true
        }
    }

    func release(_ byteCount: Int) {
        state.withLock { $0.allocatedBytes -= byteCount }
    }

    /// Gives everything that lies in the pools back to the driver.
    func drainPools() {
        let pools = state.withLock { $0.pools.compactMap(\.pool) }
        for pool in pools { pool.drain() }
    }

    func outOfMemory(requestedBytes: Int) -> ComputeError {
        let free = min(max(limitBytes - allocatedBytes, 0), largestAllocationBytes)
        return .outOfMemory(device: name, requestedBytes: requestedBytes, availableBytes: free)
    }
}

/// Freed buffers of one stream by size, for its next allocations.
///
/// A pool belongs to one in-order queue: a buffer freed while kernels that use it are still enqueued may be handed out
/// again at once, because whatever uses it next comes later in the same queue.
final class BufferPool: Sendable {
    let context: OpenCLContext
    private let queue: OpenCLHandle
    private let state = Mutex(State())

    private struct State {
        var free: [Int: [OpenCLHandle]] = [:]
        var isOpen = true
    }

    init(context: OpenCLContext, queue: cl_command_queue) {
        self.context = context
        self.queue = OpenCLHandle(pointer: queue)
        context.ledger.register(self)
    }

    deinit { drain() }

    /// Bytes that are taken for a request: an eighth of the next lower power of two is the grain, so that at most an
    /// eighth is wasted and freed buffers fit again.
    static func capacity(for byteCount: Int) -> Int {
        let wanted = max(byteCount, 256)
        let grain = max((1 << (Int.bitWidth - 1 - wanted.leadingZeroBitCount)) / 8, 64)
        return (wanted + grain - 1) / grain * grain
    }

    func allocate(byteCount: Int) throws(ComputeError) -> OpenCLStorage {
        let storage = try take(byteCount)
        if context.poisonsMemory {
            // In one write: what Oclgrind knows of memory is no larger than the last write that began where it begins.
            let pattern = [UInt32](repeating: .max, count: (storage.byteCount + 3) / 4)
            try checkOpenCL(
                clEnqueueWriteBuffer(
                    queue.pointer, storage.buffer, cl_bool(CL_TRUE), 0, storage.byteCount, pattern, 0, nil, nil),
                device: context.name, "poison memory")
        }
        return storage
    }

    private func take(_ byteCount: Int) throws(ComputeError) -> OpenCLStorage {
        let ledger = context.ledger
        guard byteCount <= ledger.largestAllocationBytes else {
            throw ledger.outOfMemory(requestedBytes: byteCount)
        }
        let capacity = min(Self.capacity(for: byteCount), max(ledger.largestAllocationBytes, byteCount))
        if let handle = state.withLock({ $0.free[capacity]?.popLast() }) {
            return OpenCLStorage(handle.pointer, byteCount: byteCount, capacity: capacity, pool: self)
        }
        if !ledger.reserve(capacity) {
            ledger.drainPools()
            guard ledger.reserve(capacity) else { throw ledger.outOfMemory(requestedBytes: byteCount) }
        }
        do throws(ComputeError) {
            let buffer = try create(capacity)
            return OpenCLStorage(buffer, byteCount: byteCount, capacity: capacity, pool: self)
        } catch {
            ledger.release(capacity)
            throw error
        }
    }

    private func create(_ byteCount: Int) throws(ComputeError) -> cl_mem {
        let isOurs = context.allocatesOnHost && byteCount >= HostMemory.mappingThreshold
        for attempt in 0...1 {
            if isOurs {
                if let host = HostBuffer<UInt8>(uninitializedCountIfPossible: byteCount) {
                    return try OpenCLStorage.makeBuffer(on: host, context: context, operation: "allocate")
                }
            } else {
                var code: cl_int = CL_SUCCESS
                let flags = cl_mem_flags(CL_MEM_READ_WRITE)
                if let buffer = clCreateBuffer(context.context, flags, byteCount, nil, &code), code == CL_SUCCESS {
                    return buffer
                }
                guard isMemoryError(code) || code == CL_INVALID_BUFFER_SIZE else {
                    throw openCLError(code, device: context.name, operation: "allocate")
                }
            }
            if attempt == 0 { context.ledger.drainPools() }
        }
        guard isOurs else { throw context.ledger.outOfMemory(requestedBytes: byteCount) }
        throw .outOfMemory(
            device: context.name, requestedBytes: byteCount, availableBytes: HostMemory.possibleBytes(below: byteCount))
    }

    /// Takes a freed buffer back, or releases it when nobody will ask again.
    func give(_ buffer: cl_mem, capacity: Int) {
        let handle = OpenCLHandle(pointer: buffer)
        let kept = state.withLock { state in
            if state.isOpen { state.free[capacity, default: []].append(handle) }
            return state.isOpen
        }
        if !kept { release(buffer, capacity: capacity) }
    }

    /// Gives a buffer back to the driver, which keeps it until the kernels that use it are done.
    func release(_ buffer: cl_mem, capacity: Int) {
        clReleaseMemObject(buffer)
        context.ledger.release(capacity)
    }

    func drain() {
        let free = state.withLock { state in
            let free = state.free
            state.free = [:]
            return free
        }
        for (capacity, handles) in free {
            for handle in handles { release(handle.pointer, capacity: capacity) }
        }
    }

    /// After this, freed buffers go straight back to the driver.
    func close() {
        state.withLock { $0.isOpen = false }
        drain()
    }
}

/// A buffer of the device.
final class OpenCLStorage: DeviceStorage, @unchecked Sendable {
    let buffer: cl_mem
    let byteCount: Int
    /// Bytes counted in the ledger; 0 for wrapped host memory, which never enters a pool.
    private let capacity: Int
    private let pool: BufferPool
    private let isUsedElsewhere = Atomic<Bool>(false)

    init(_ buffer: cl_mem, byteCount: Int, capacity: Int, pool: BufferPool) {
        self.buffer = buffer
        self.byteCount = byteCount
        self.capacity = capacity
        self.pool = pool
    }

    var deviceName: String { pool.context.name }

    func belongs(to context: OpenCLContext) -> Bool { pool.context === context }

    /// Notes that a queue uses the buffer. If it is not the queue of the pool, the order of that queue no longer tells
    /// when the buffer is free, and it must go back to the driver.
    func noteUse(by user: BufferPool) {
        if user !== pool { isUsedElsewhere.store(true, ordering: .relaxed) }
    }

    deinit {
        if capacity > 0 && !isUsedElsewhere.load(ordering: .relaxed) {
            pool.give(buffer, capacity: capacity)
        } else {
            pool.release(buffer, capacity: capacity)
        }
    }

    /// A storage on the host's own memory, which is kept alive until the driver has let go of it.
    static func wrapping<Element>(
        _ host: HostBuffer<Element>, pool: BufferPool
    ) throws(ComputeError) -> OpenCLStorage {
        let context = pool.context
        guard host.byteCount <= context.limits.largestAllocationBytes else {
            throw context.ledger.outOfMemory(requestedBytes: host.byteCount)
        }
        let buffer = try makeBuffer(on: host, context: context, operation: "wrap")
        return OpenCLStorage(buffer, byteCount: host.byteCount, capacity: 0, pool: pool)
    }

    /// A buffer on the host's own memory, which is kept alive until the driver has let go of it.
    static func makeBuffer<Element>(
        on host: HostBuffer<Element>, context: OpenCLContext, operation: String
    ) throws(ComputeError) -> cl_mem {
        var code: cl_int = CL_SUCCESS
        let flags = cl_mem_flags(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR)
        let made = clCreateBuffer(context.context, flags, host.byteCount, host.baseAddress, &code)
        guard let buffer = made, code == CL_SUCCESS else {
            if isMemoryError(code) { throw context.ledger.outOfMemory(requestedBytes: host.byteCount) }
            throw openCLError(code, device: context.name, operation: operation)
        }
        let owner = Unmanaged.passRetained(host as AnyObject).toOpaque()
        code = clSetMemObjectDestructorCallback(
            buffer, { _, owner in if let owner { Unmanaged<AnyObject>.fromOpaque(owner).release() } }, owner)
        guard code == CL_SUCCESS else {
            clReleaseMemObject(buffer)
            Unmanaged<AnyObject>.fromOpaque(owner).release()
            throw openCLError(code, device: context.name, operation: operation)
        }
        return buffer
    }
}
