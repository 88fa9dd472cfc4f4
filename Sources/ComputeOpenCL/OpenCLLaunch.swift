import COpenCL
import Compute

/// The extent of a grid or of a work-group.
struct WorkSize: Hashable, Sendable {
    var x: Int
    var y = 1
    var z = 1

    init(_ x: Int, _ y: Int = 1, _ z: Int = 1) {
        self.x = x
        self.y = y
        self.z = z
    }
}

/// One argument of a kernel.
enum KernelArgument {
    case buffer(OpenCLStorage)
    case int(Int32)
    case uint(UInt32)
    /// 64 bits: offsets, strides and sizes are never narrower.
    case long(Int)
    case ulong(UInt64)
    case float(Float)
    /// Bytes of local memory.
    case local(Int)

    /// Binds the argument at a place of a kernel.
    func bind(to kernel: cl_kernel, at index: Int) -> cl_int {
        func set<Value: BitwiseCopyable>(_ value: Value) -> cl_int {
            withUnsafeBytes(of: value) { clSetKernelArg(kernel, cl_uint(index), $0.count, $0.baseAddress) }
        }
        switch self {
        case .buffer(let storage): return set(Optional(storage.buffer))
        case .int(let value): return set(value)
        case .uint(let value): return set(value)
        case .long(let value): return set(Int64(value))
        case .ulong(let value): return set(value)
        case .float(let value): return set(value)
        case .local(let byteCount): return clSetKernelArg(kernel, cl_uint(index), byteCount, nil)
        }
    }
}

/// A program: a file of kernels/ and what it is compiled with.
struct ProgramName: Hashable, Sendable {
    /// Without folder and suffix.
    let file: String
    /// Tunables as compiler options, `-D TILE_M=64` for example, besides those that all programs of a device have.
    let options: String

    /// Whether its PTX is edited before it is loaded (``PTXText/withHopperInstructions(_:)``).
    var isForHopper: Bool { file == "gemm_hopper" && !options.contains("EMULATED") }

    init(_ file: String, options: String = "") {
        self.file = file
        self.options = options
    }
}

/// One kernel started over one grid.
struct Launch {
    let program: ProgramName
    let kernel: String
    let arguments: [KernelArgument]
    /// Work-items in each dimension; multiples of the group.
    let grid: WorkSize
    let group: WorkSize

    /// The buffers that the kernel uses.
    var storages: [OpenCLStorage] {
        arguments.compactMap { if case .buffer(let storage) = $0 { storage } else { nil } }
    }
}

/// Turns operations into launches.
///
/// Scratch memory comes from the stream's pool. The operations of a plan share it: in an in-order queue, what one
/// operation has finished with the next may use.
final class Lowering {
    let context: OpenCLContext
    let pool: BufferPool
    private(set) var launches: [Launch] = []
    private var scratchInUse: [OpenCLStorage] = []
    private var scratchFree: [OpenCLStorage] = []

    init(context: OpenCLContext, pool: BufferPool) {
        self.context = context
        self.pool = pool
    }

    /// Whether kernels of the CPU class are used.
    var isCPUClass: Bool { context.kernelClass == .cpu }

    /// Appends the launches of one operation.
    func append(_ operation: Operation) throws(ComputeError) {
        switch operation {
        case .fill(let operation): try fill(operation)
        case .copy(let operation): try copy(operation)
        case .gather(let operation): try gather(operation)
        case .scaleRows(let operation): try scaleRows(operation)
        case .randomUniform(let operation): try randomUniform(operation)
        case .residualTargets(let operation): try residualTargets(operation)
        case .gemm(let operation): try isCPUClass ? gemm(operation) : gemmGPU(operation)
        case .batchedGemm(let operation):
            try isCPUClass ? batchedGemm(operation) : batchedGemmGPU(operation)
        case .gram(let operation): try isCPUClass ? gram(operation) : gramGPU(operation)
        case .sparseTimesDense(let operation):
            try isCPUClass ? sparseTimesDense(operation) : sparseTimesDenseGPU(operation)
        case .columnSums(let operation): try isCPUClass ? columnSums(operation) : columnSumsGPU(operation)
        case .rowNorms(let operation): try isCPUClass ? rowNorms(operation) : rowNormsGPU(operation)
        case .observedLoss(let operation): try isCPUClass ? observedLoss(operation) : observedLossGPU(operation)
        case .observedScores(let operation): try isCPUClass ? observedScores(operation) : observedScoresGPU(operation)
        case .solveNormalEquations(let operation):
            try isCPUClass ? solveNormalEquations(operation) : solveNormalEquationsGPU(operation)
        case .topK(let operation): try isCPUClass ? topK(operation) : topKGPU(operation)
        case .network(let operation): try network(operation)
        case .assignNearest(let operation): try isCPUClass ? assignNearest(operation) : assignNearestGPU(operation)
        case .accumulateByLabel(let operation):
            try isCPUClass ? accumulateByLabel(operation) : accumulateByLabelGPU(operation)
        }
        scratchFree += scratchInUse
        scratchInUse = []
    }

    func launch(
        _ file: String, _ kernel: String, options: String = "", grid: WorkSize, group: WorkSize = WorkSize(1),
        _ arguments: [[KernelArgument]]
    ) {
        launches.append(
            Launch(
                program: ProgramName(file, options: options), kernel: kernel,
                arguments: arguments.flatMap { $0 }, grid: grid, group: group))
    }

    /// Memory for intermediate results of the operation being lowered.
    func scratch(byteCount: Int) throws(ComputeError) -> OpenCLStorage {
        let fitting = scratchFree.indices.filter { scratchFree[$0].byteCount >= byteCount }
        let storage: OpenCLStorage
        if let best = fitting.min(by: { scratchFree[$0].byteCount < scratchFree[$1].byteCount }) {
            storage = scratchFree.remove(at: best)
        } else {
            storage = try pool.allocate(byteCount: max(byteCount, 1))
        }
        scratchInUse.append(storage)
        return storage
    }

    /// The buffer behind a matrix. Two openings of one device have the same name but can't share buffers.
    func storage(_ matrix: Matrix) throws(ComputeError) -> OpenCLStorage {
        guard let storage = matrix.storage as? OpenCLStorage, storage.belongs(to: context) else {
            throw .invalidArgument(
                operation: "execute",
                reason: "a matrix belongs to another opening of device \(context.name)")
        }
        storage.noteUse(by: pool)
        return storage
    }

    /// Buffer, offset and row stride of a matrix.
    func matrix(_ matrix: Matrix) throws(ComputeError) -> [KernelArgument] {
        [.buffer(try storage(matrix)), .long(matrix.offset), .long(matrix.rowStride)]
    }

    /// Buffer and offset of a vector; where there is none, those of another that the kernel will not read.
    func vector(_ matrix: Matrix?, else other: Matrix) throws(ComputeError) -> [KernelArgument] {
        [.buffer(try storage(matrix ?? other)), .long(matrix?.offset ?? 0)]
    }

    /// Buffer and offset of a vector.
    func vector(_ matrix: Matrix) throws(ComputeError) -> [KernelArgument] {
        [.buffer(try storage(matrix)), .long(matrix.offset)]
    }

    /// Row pointers and column indices, with their offsets.
    func pattern(_ sparse: SparseMatrix) throws(ComputeError) -> [KernelArgument] {
        try vector(sparse.rowPointers) + vector(sparse.columnIndices)
    }

    /// Row pointers, column indices and values, with their offsets.
    func entries(_ sparse: SparseMatrix) throws(ComputeError) -> [KernelArgument] {
        try pattern(sparse) + vector(sparse.values)
    }
}

/// a / b, rounded up; both at least 0 and 1.
func ceilDivide(_ a: Int, _ b: Int) -> Int { (a + b - 1) / b }

/// The next multiple of `grain`.
func roundUp(_ value: Int, _ grain: Int) -> Int { ceilDivide(value, grain) * grain }
