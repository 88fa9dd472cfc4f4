import Compute
import Conformance
import Core

/// A device with a planted fault, on which the suite must fail.
final class SabotagedDevice: Device {
    enum Fault: String, CaseIterable {
        /// The last element of the output is a little off.
        case inexact
        /// The element behind the output's last is overwritten.
        case writesPastTheEnd
        /// The element behind the first row is overwritten, where rows have gaps.
        case writesIntoTheGap
        /// Nothing is computed.
        case doesNothing
        /// An input is changed.
        case changesAnInput
        /// Plans give other results than direct execution.
        case replaysDifferently
        /// Recording a plan computes.
        case computesWhileRecording
    }

    let wrapped = OracleDevice()
    let fault: Fault

    init(_ fault: Fault) {
        self.fault = fault
    }

    var identity: DeviceIdentity { wrapped.identity }
    var limits: DeviceLimits { wrapped.limits }
    var denseSolver: any DenseSolver { wrapped.denseSolver }
    var allocatedBytes: Int { wrapped.allocatedBytes }
    var compileSeconds: Double { 0 }
    var fusedOperations: Set<OperationKind> { wrapped.fusedOperations }
    var unsupportedOperations: [OperationKind: String] { [:] }
    var productPrecisions: Set<ProductPrecision> { wrapped.productPrecisions }

    func makeBackend() throws(ComputeError) -> any StreamBackend {
        SabotagedBackend(try wrapped.makeBackend(), fault)
    }
}

private final class SabotagedBackend: StreamBackend {
    let wrapped: any StreamBackend
    let fault: SabotagedDevice.Fault

    init(_ wrapped: any StreamBackend, _ fault: SabotagedDevice.Fault) {
        self.wrapped = wrapped
        self.fault = fault
    }

    var launchCount: Int { wrapped.launchCount }
    func finish() throws(ComputeError) { try wrapped.finish() }

    func allocate(byteCount: Int) throws(ComputeError) -> any DeviceStorage {
        try wrapped.allocate(byteCount: byteCount)
    }

    func wrap<Element>(_ buffer: HostBuffer<Element>) throws(ComputeError) -> any DeviceStorage {
        try wrapped.wrap(buffer)
    }

    func upload(
        from source: UnsafeRawPointer, to storage: any DeviceStorage, byteOffset: Int, byteCount: Int
    ) throws(ComputeError) {
        try wrapped.upload(from: source, to: storage, byteOffset: byteOffset, byteCount: byteCount)
    }

    func download(
        from storage: any DeviceStorage, byteOffset: Int, to destination: UnsafeMutableRawPointer, byteCount: Int
    ) throws(ComputeError) {
        try wrapped.download(from: storage, byteOffset: byteOffset, to: destination, byteCount: byteCount)
    }

    func execute(_ operation: Operation) throws(ComputeError) {
        if fault == .doesNothing { return }
        try wrapped.execute(operation)
        let (output, input) = operands(operation)
        switch fault {
        case .inexact: try alter(output, output.rows - 1, output.columns - 1)
        case .writesPastTheEnd: try alter(output, output.rows - 1, output.columns)
        case .writesIntoTheGap: if output.rowStride > output.columns { try alter(output, 0, output.columns) }
        case .changesAnInput: if let input, input.count > 0 { try alter(input, 0, 0) }
        default: break
        }
    }

    func prepare(_ operations: [Operation]) throws(ComputeError) -> any PreparedOperations {
        if fault == .computesWhileRecording {
            for operation in operations { try wrapped.execute(operation) }
        }
        return SabotagedPlan(self, operations)
    }

    func replay(_ operation: Operation) throws(ComputeError) {
        try execute(operation)
        let output = operands(operation).output
        if fault == .replaysDifferently { try alter(output, output.rows - 1, output.columns - 1) }
    }

    private func alter(_ matrix: Matrix, _ row: Int, _ column: Int) throws(ComputeError) {
        let offset = 4 * (matrix.offset + row * matrix.rowStride + column)
        guard offset + 4 <= matrix.storage.byteCount else { return }
        var word: Int32 = 0
        try wrapped.download(from: matrix.storage, byteOffset: offset, to: &word, byteCount: 4)
        if matrix.elementType == .int32 {
            word = word &+ 1
        } else {
            let value = Float(bitPattern: UInt32(bitPattern: word))
            word = Int32(bitPattern: (value.isFinite ? value * 1.001 + 1e-3 : 7).bitPattern)
        }
        try wrapped.upload(from: &word, to: matrix.storage, byteOffset: offset, byteCount: 4)
    }

    private func operands(_ operation: Operation) -> (output: Matrix, input: Matrix?) {
        switch operation {
        case .fill(let x): (x.output, nil)
        case .copy(let x): (x.output, x.input)
        case .gather(let x): (x.output, x.indices)
        case .gemm(let x): (x.output, x.b)
        case .batchedGemm(let x): (x.output, x.b)
        case .gram(let x): (x.output, x.input)
        case .sparseTimesDense(let x): (x.output, x.sparse.values)
        case .columnSums(let x): (x.output, x.input)
        case .rowNorms(let x): (x.output, x.input)
        case .scaleRows(let x): (x.output, x.factors)
        case .randomUniform(let x): (x.output, nil)
        case .residualTargets(let x):
            (x.output.columns(entries(x.sparse)), x.columnOffset ?? x.rowOffset ?? x.sparse.columnIndices)
        case .observedLoss(let x): (x.output, x.b)
        case .observedScores(let x): (x.output, x.columnIndices)
        case .solveNormalEquations(let x): (x.solution, x.sparse.values)
        case .topK(let x): (x.indices, x.candidates)
        case .network(let x): networkOperands(x)
        case .assignNearest(let x): (x.labels, x.points)
        case .accumulateByLabel(let x): (x.sums, x.points)
        }
    }

    private func networkOperands(_ operation: NetworkOperation) -> (output: Matrix, input: Matrix?) {
        switch operation {
        case .activation(let x): (x.output, x.input)
        case .activationGradient(let x): (x.inputGradient, x.values)
        case .linearCombination(let x): (x.output, x.a)
        case .softmaxCrossEntropy(let x): (x.gradient, x.labels)
        case .rankingLoss(let x): (x.gradient, x.labels)
        case .elementLoss(let x): (x.gradient, x.targets)
        case .addToTotal(let x): (x.total, x.input)
        case .dropout(let x): (x.output, x.step)
        case .layerNorm(let x): (x.output, x.gain)
        case .layerNormGradient(let x): (x.products, x.gain)
        case .batchNorm(let x): (x.output, x.gain)
        case .batchNormProducts(let x): (x.products, x.input)
        case .batchNormStatistics(let x): (x.inverse, x.squares)
        case .batchNormGradient(let x): (x.inputGradient, x.gain)
        case .optimizerStep(let x): (x.parameters, x.gradient)
        case .updateRows(let x): (x.table, x.gradient)
        case .gatherBags(let x): (x.output, x.table)
        case .unfold(let x): (x.output, x.input)
        case .fold(let x): (x.output, x.windows)
        case .pool(let x): (x.output, x.input)
        case .poolGradient(let x): (x.inputGradient, x.outputGradient)
        case .quantize(let x): (x.codes, x.input)
        case .quantizedGemm(let x): (x.output, x.scales)
        case .pairProducts(let x): (x.output, x.input)
        case .pairProductsGradient(let x): (x.inputGradient, x.outputGradient)
        case .perceptronSteps(let x): (x.parameters, x.controls)
        case .attention(let x): (x.output, x.values)
        case .attentionGradient(let x): (x.queryGradient, x.keys)
        case .recurrentStep(let x): (x.output, x.inputs)
        case .recurrentStepGradient(let x): (x.inputGradient, x.kept)
        }
    }

    private func entries(_ sparse: SparseMatrix) -> Range<Int> {
        let first = Int(sparse.hostRowPointers[sparse.firstRow])
        return first..<first + sparse.entryCount
    }
}

private final class SabotagedPlan: PreparedOperations {
    let backend: SabotagedBackend
    let operations: [Operation]

    init(_ backend: SabotagedBackend, _ operations: [Operation]) {
        self.backend = backend
        self.operations = operations
    }

    func replay() throws(ComputeError) {
        for operation in operations { try backend.replay(operation) }
    }
}
