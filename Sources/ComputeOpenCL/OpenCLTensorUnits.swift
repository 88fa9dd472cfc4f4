import COpenCL
import Compute
import Synchronization

/// Whether NVIDIA's tensor units are used for products.
public enum TensorUnits: Sendable {
    /// Where a one-instruction kernel compiles and gives the right numbers.
    case detected
    /// The instruction is replaced by its definition, to test everything around it on any device.
    case emulated
    /// Likewise with those of Hopper.
    case emulatedHopper
    /// Never.
    case off
}

/// What was found out about the tensor units of a device, once for each type of operand.
final class TensorUnitProbe: Sendable {
    private let findings = Mutex<[ProductPrecision: Finding]>([:])

    enum Finding: Sendable {
        /// With these compiler options, besides those of the precision.
        case works(String)
        /// What the compiler, the driver or the numbers say.
        case fails(String)
    }

    func finding(_ precision: ProductPrecision, _ find: () -> Finding) -> Finding {
        findings.withLock { findings in
            if let known = findings[precision] { return known }
            let found = find()
            findings[precision] = found
            return found
        }
    }
}

extension OpenCLContext {
    /// Whether products of this precision may go to the tensor units: detected at the first question, by one instruction
    /// on known numbers.
    func tensorUnits(_ precision: ProductPrecision) -> TensorUnitProbe.Finding {
        guard tensorUnits != .off, kernelClass != .cpu else { return .fails("they are not wanted") }
        guard isNVIDIA || tensorUnits == .emulated else { return .fails("it is no NVIDIA device") }
        return tensorProbe.finding(precision) {
            let first = tryTensorUnits(precision, "")
            if case .fails = first, tensorUnits != .emulated {
                let second = tryTensorUnits(precision, "-D ASM=__asm__")
                if case .works = second { return second }
            }
            return first
        }
    }

    private func tryTensorUnits(_ precision: ProductPrecision, _ options: String) -> TensorUnitProbe.Finding {
        do throws(ComputeError) {
            let found = try run(
                program: ProgramName("gemm_nvidia", options: "\(baseTensorOptions(precision)) \(options)"),
                kernel: "probe", items: 32, results: 128)
            return found == Self.expectedProbe(precision)
                ? .works(options) : .fails("mma.sync compiles, but its fragments are not laid out as documented")
        } catch {
            return .fails("\(error)")
        }
    }

    /// Compiler options of gemm_nvidia.cl, once the units are known to work.
    func tensorOptions(_ precision: ProductPrecision) -> String {
        guard case .works(let options) = tensorUnits(precision) else { return baseTensorOptions(precision) }
        return "\(baseTensorOptions(precision)) \(options)"
    }

    private func baseTensorOptions(_ precision: ProductPrecision) -> String {
        [
            precision == .bfloat16 ? "-D BFLOAT16" : "", tensorUnits == .emulated ? "-D EMULATED" : "",
        ].filter { !$0.isEmpty }.joined(separator: " ")
    }

    /// What the lanes of the kernel `probe` must store, from the fragment tables of the PTX ISA.
    static func expectedProbe(_ precision: ProductPrecision) -> [Float] {
        let isHalf = precision == .bfloat16
        let depth = isHalf ? 16 : 8
        var a = [[Float]](repeating: [Float](repeating: 0, count: depth), count: 16)
        var b = [[Float]](repeating: [Float](repeating: 0, count: 8), count: depth)
        for lane in 0..<32 {
            let (group, place) = (lane / 4, lane % 4)
            for word in 0..<4 {
                for half in 0..<(isHalf ? 2 : 1) {
                    let k = (isHalf ? 2 * place + half : place) + word / 2 * (depth / 2)
                    a[group + word % 2 * 8][k] = Float((word + 1) * (lane + 1))
                }
            }
            for word in 0..<2 {
                for half in 0..<(isHalf ? 2 : 1) {
                    let k = (isHalf ? 2 * place + half : place) + word * (depth / 2)
                    b[k][group] = Float((word + 1) * (lane + 1))
                }
            }
        }
        return (0..<32).flatMap { lane in
            (0..<4).map { c in
                let (row, column) = (lane / 4 + c / 2 * 8, lane % 4 * 2 + c % 2)
                return (0..<depth).reduce(Float(0)) { $0 + a[row][$1] * b[$1][column] }
            }
        }
    }

    /// Runs a kernel whose only argument is a buffer for its results, on a queue of its own.
    func run(program: ProgramName, kernel name: String, items: Int, results: Int) throws(ComputeError) -> [Float] {
        let kernel = try programs.makeKernel(name, of: program)
        defer { clReleaseKernel(kernel) }
        return try run(kernel, items: items, results: results)
    }

    func run(_ kernel: cl_kernel, items: Int, results: Int) throws(ComputeError) -> [Float] {
        var code: cl_int = CL_SUCCESS
        guard let queue = clCreateCommandQueue(context, device, 0, &code), code == CL_SUCCESS else {
            throw openCLError(code, device: name, operation: "create a queue")
        }
        defer { clReleaseCommandQueue(queue) }
        let bytes = results * MemoryLayout<Float>.size
        let made = clCreateBuffer(context, cl_mem_flags(CL_MEM_READ_WRITE), bytes, nil, &code)
        guard let buffer = made, code == CL_SUCCESS else {
            throw openCLError(code, device: name, operation: "allocate")
        }
        defer { clReleaseMemObject(buffer) }
        var argument: cl_mem? = buffer
        code = clSetKernelArg(kernel, 0, MemoryLayout<cl_mem?>.size, &argument)
        try checkOpenCL(code, device: name, "argument of a probe")
        var (global, local) = (items, items)
        try checkOpenCL(
            clEnqueueNDRangeKernel(queue, kernel, 1, nil, &global, &local, 0, nil, nil), device: name, "probe")
        var found = [Float](repeating: .nan, count: results)
        try checkOpenCL(
            clEnqueueReadBuffer(queue, buffer, cl_bool(CL_TRUE), 0, bytes, &found, 0, nil, nil), device: name, "probe")
        return found
    }
}

extension Lowering {
    /// Whether a product goes to the tensor units. For float32 that is a matter of tuning, since the result differs in
    /// the last bits; small products gain nothing.
    func usesTensorUnits(_ operation: Gemm) -> Bool {
        let tuning = context.tuning
        guard operation.precision == .bfloat16 || tuning[.tensorProducts] == 1 else { return false }
        guard min(operation.m, operation.n, operation.k) >= tuning[.tensorLeast] else { return false }
        let packed = TensorGemm(operation, tuning).packedBytes
        guard max(packed.a, packed.b) <= context.ledger.largestAllocationBytes,
            packed.a + packed.b <= context.ledger.limitBytes / 4
        else { return false }
        if case .works = context.tensorUnits(operation.precision) { return true }
        return false
    }

    /// Launches: 3 for bfloat16. For float32 one more that clears the note of values without a split, and one (or two,
    /// see ``gemmGPU(_:guarded:)``) that computes on the ordinary units where there are any.
    func gemmTensor(_ operation: Gemm) throws(ComputeError) {
        let tensor = TensorGemm(operation, context.tuning)
        let (m, n, k) = (operation.m, operation.n, operation.k)
        let splits = operation.precision == .float32
        let packedA = try scratch(byteCount: tensor.packedBytes.a)
        let packedB = try scratch(byteCount: tensor.packedBytes.b)
        let special = try scratch(byteCount: MemoryLayout<Int32>.size)
        let options = "\(context.tensorOptions(operation.precision)) \(tensor.options)"
        if splits {
            launch(
                "elementwise", "fill", grid: WorkSize(64), group: WorkSize(64),
                [[.buffer(special), .long(0), .long(1), .long(1), .long(1), .uint(0), .long(0), .long(0)]])
        }
        func pack(
            _ kernel: String, _ x: Matrix, _ count: Int, alongRows: Bool, blocks: Int, _ packed: OpenCLStorage
        ) throws(ComputeError) {
            // Elements from one line (row of op(a), column of op(b)) to the next, and along the sum.
            let (line, step) = alongRows ? (x.rowStride, 1) : (1, x.rowStride)
            let group = alongRows ? WorkSize(32, 1, 4) : WorkSize(32, 4)
            launch(
                "gemm_nvidia", kernel, options: options,
                grid: WorkSize(32, roundUp(blocks, group.y), roundUp(tensor.depthBlocks, group.z)), group: group,
                [
                    [
                        size(count), size(k), size(blocks), size(tensor.depthBlocks), .buffer(try storage(x)),
                        .long(x.offset), .long(line), .long(step), .buffer(packed), .buffer(special),
                    ]
                ])
        }
        try pack(
            "pack_a", operation.a, m, alongRows: !operation.transposeA, blocks: tensor.rowBlocks, packedA)
        try pack(
            "pack_b", operation.b, n, alongRows: operation.transposeB, blocks: tensor.columnBlocks, packedB)
        let band = context.tuning[.gemmBand]
        launch(
            "gemm_nvidia", "gemm_tensor", options: options + smoothOption(operation),
            grid: WorkSize(tensor.columnTiles * band * tensor.items, ceilDivide(tensor.rowTiles, band)),
            group: WorkSize(tensor.items),
            [
                [
                    size(m), size(n), size(tensor.depthBlocks), size(tensor.rowBlocks), size(tensor.columnBlocks),
                    .buffer(packedA), .buffer(packedB), .buffer(special),
                ], try epilogue(operation), try matrix(operation.output),
            ])
        if splits { try gemmGPU(operation, guarded: special) }
    }
}

/// How a product is cut for gemm_nvidia.cl.
private struct TensorGemm {
    let tileM, tileN, warpM, warpN, step, band: Int
    let isHalf: Bool
    let rowTiles, columnTiles: Int
    /// Blocks of 8 or 16 terms, a multiple of the step.
    let depthBlocks: Int

    init(_ operation: Gemm, _ tuning: KernelTuning) {
        isHalf = operation.precision == .bfloat16
        (tileM, tileN) = (tuning[.tensorTileM], tuning[.tensorTileN])
        (warpM, warpN) = (tuning[.tensorWarpM], tuning[.tensorWarpN])
        step = isHalf ? 2 : 1
        band = tuning[.gemmBand]
        rowTiles = ceilDivide(operation.m, tileM)
        columnTiles = ceilDivide(operation.n, tileN)
        depthBlocks = max(roundUp(ceilDivide(operation.k, isHalf ? 16 : 8), step), step)
    }

    /// Blocks of 16 rows.
    var rowBlocks: Int { rowTiles * tileM / 16 }
    /// Blocks of PIECE columns.
    var columnBlocks: Int { columnTiles * tileN / (isHalf ? 16 : 8) }
    var items: Int { tileM / warpM * (tileN / warpN) * 32 }
    /// Bytes of the packed operands: 16 for every lane of every block.
    var packedBytes: (a: Int, b: Int) {
        (rowBlocks * depthBlocks * (isHalf ? 512 : 1024), columnBlocks * depthBlocks * 512)
    }
    var options: String {
        "-D TILE_M=\(tileM) -D TILE_N=\(tileN) -D WARP_M=\(warpM) -D WARP_N=\(warpN) -D STEP=\(step) "
            + "-D TILE_BAND=\(band)"
    }
}
