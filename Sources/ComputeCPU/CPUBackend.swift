import CVectorLoops
import Compute
import Core

/// Executes operations in the calling thread and the device's workers. Everything is done when a call returns.
final class CPUBackend: StreamBackend {
    let device: CPUDevice
    private(set) var launchCount = 0
    private var scratchBuffers: [HostBuffer<Float>?]

    var pool: WorkerPool { device.pool }

    init(device: CPUDevice) {
        self.device = device
        scratchBuffers = [HostBuffer<Float>?](repeating: nil, count: device.pool.threadCount)
    }

    // MARK: Memory

    func allocate(byteCount: Int) throws(ComputeError) -> any DeviceStorage {
        let (granted, available) = device.memory.take(byteCount)
        guard granted else {
            throw .outOfMemory(
                device: device.identity.name, requestedBytes: byteCount, availableBytes: available)
        }
        guard
            let storage = CPUStorage(
                byteCount: byteCount, deviceName: device.identity.name, memory: device.memory)
        else {
            throw .outOfMemory(
                device: device.identity.name, requestedBytes: byteCount,
                availableBytes: HostMemory.possibleBytes(below: byteCount))
        }
        return storage
    }

    func wrap<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage {
        CPUStorage(viewing: buffer, deviceName: device.identity.name)
    }

    func upload(
        from source: UnsafeRawPointer, to storage: any DeviceStorage, byteOffset: Int, byteCount: Int
    ) throws(ComputeError) {
        let target = unsafeDowncast(storage, to: CPUStorage.self).address + byteOffset
        target.copyMemory(from: source, byteCount: byteCount)
    }

    func download(
        from storage: any DeviceStorage, byteOffset: Int, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) throws(ComputeError) {
        let source = unsafeDowncast(storage, to: CPUStorage.self).address + byteOffset
        destination.copyMemory(from: source, byteCount: byteCount)
    }

    func finish() throws(ComputeError) {}

    func enqueue(_ work: HostWork) throws(ComputeError) -> Bool {
        let elements = HostBuffer<Float>(uninitializedCount: work.input.count)
        try download(
            from: work.input.storage, byteOffset: 4 * work.input.offset,
            to: UnsafeMutableRawPointer(elements.baseAddress), byteCount: 4 * elements.count)
        for (result, output) in zip(try work.results(of: elements.array), work.outputs) {
            let buffer = HostBuffer(result)
            try upload(
                from: UnsafeRawPointer(buffer.baseAddress), to: output.storage, byteOffset: 4 * output.offset,
                byteCount: 4 * result.count)
        }
        return true
    }

    /// At least `count` floats for one worker; kept for the next call. The content is undefined.
    func scratch(worker: Int, count: Int) -> UnsafeMutablePointer<Float> {
        if let present = scratchBuffers[worker], present.count >= count { return present.baseAddress }
        scratchBuffers[worker] = nil
        let buffer = HostBuffer<Float>(uninitializedCount: count)
        scratchBuffers[worker] = buffer
        return buffer.baseAddress
    }

    /// Makes sure that every worker has scratch of this size, so that workers need not allocate.
    func reserveScratch(count: Int) {
        for worker in 0..<pool.threadCount { _ = scratch(worker: worker, count: count) }
    }

    // MARK: Operations

    /// One launch per operation, however many BLAS calls and loops it takes.
    func execute(_ operation: Operation) throws(ComputeError) {
        launchCount += 1
        // The loops work on bare addresses: the storages must not be released before they end.
        withExtendedLifetime(operation) { run(operation) }
    }

    private func run(_ operation: Operation) {
        switch operation {
        case .fill(let arguments): fill(arguments)
        case .copy(let arguments): copy(arguments)
        case .gather(let arguments): gather(arguments)
        case .gemm(let arguments):
            arguments.precision == .bfloat16 ? bfloat16Gemm(arguments) : gemm(arguments)
        case .batchedGemm(let arguments): batchedGemm(arguments)
        case .gram(let arguments): gram(arguments)
        case .sparseTimesDense(let arguments): sparseTimesDense(arguments)
        case .columnSums(let arguments): columnSums(arguments)
        case .rowNorms(let arguments): rowNorms(arguments)
        case .scaleRows(let arguments): scaleRows(arguments)
        case .randomUniform(let arguments): randomUniform(arguments)
        case .residualTargets(let arguments): residualTargets(arguments)
        case .observedLoss(let arguments): observedLoss(arguments)
        case .observedScores(let arguments): observedScores(arguments)
        case .solveNormalEquations(let arguments): solveNormalEquations(arguments)
        case .topK(let arguments): topK(arguments)
        case .network(let operation): network(operation)
        case .assignNearest(let arguments): assignNearest(arguments)
        case .accumulateByLabel(let arguments): accumulateByLabel(arguments)
        }
    }

    func prepare(_ operations: [Operation]) throws(ComputeError) -> any PreparedOperations {
        CPUPreparedOperations(backend: self, operations: operations)
    }
}

/// On the CPU nothing needs binding: shapes were checked when the plan was recorded.
private final class CPUPreparedOperations: PreparedOperations {
    private let backend: CPUBackend
    private let operations: [Operation]

    init(backend: CPUBackend, operations: [Operation]) {
        self.backend = backend
        self.operations = operations
    }

    func replay() throws(ComputeError) {
        for operation in operations { try backend.execute(operation) }
    }
}

/// Ranges of about equal work, fixed by the shape of the work alone.
enum Chunks {
    /// Splits `count` rows into chunks of `size`.
    static func count(_ count: Int, size: Int) -> Int { (count + size - 1) / max(size, 1) }

    /// Rows of chunk `index`.
    static func range(_ index: Int, count: Int, size: Int) -> Range<Int> {
        index * size..<min((index + 1) * size, count)
    }

    /// Rows per chunk so that a chunk touches about `elements` elements.
    static func rows(columns: Int, elements: Int = 1 << 15) -> Int { max(1, elements / max(columns, 1)) }
}
