import Compute
import Core

/// The cases of all operations: what `apus doctor`, the tests and the Oclgrind check run.
public struct ConformanceSuite: Sendable {
    /// How many shapes it tries.
    public let sweep: Sweep
    /// The cases, operation by operation.
    public let cases: [ConformanceCase]

    /// For interpreters.
    public static let minimal = ConformanceSuite(.minimal)
    /// For `apus doctor` and continuous integration.
    public static let reduced = ConformanceSuite(.reduced)
    /// Everything.
    public static let full = ConformanceSuite(.full)

    public init(_ sweep: Sweep) {
        self.sweep = sweep
        // Two rows of a sweep can come to the same case.
        var names: Set<String> = []
        cases = OperationKind.allCases.flatMap { Self.cases(of: $0, sweep) }.filter { names.insert($0.name).inserted }
    }

    /// The cases of one operation.
    public func cases(of operation: OperationKind) -> [ConformanceCase] {
        cases.filter { $0.operation == operation }
    }

    private static func cases(of operation: OperationKind, _ sweep: Sweep) -> [ConformanceCase] {
        switch operation {
        case .fill: MemoryCases.fill(sweep)
        case .copy: MemoryCases.copy(sweep)
        case .gather: MemoryCases.gather(sweep)
        case .gemm: ProductCases.gemm(sweep)
        case .batchedGemm: BatchedCases.batchedGemm(sweep)
        case .gram: ProductCases.gram(sweep)
        case .sparseTimesDense: ObservedCases.sparseTimesDense(sweep)
        case .columnSums: ReductionCases.columnSums(sweep)
        case .rowNorms: ReductionCases.rowNorms(sweep)
        case .scaleRows: MemoryCases.scaleRows(sweep)
        case .randomUniform: MemoryCases.randomUniform(sweep)
        case .residualTargets: ObservedCases.residualTargets(sweep)
        case .observedLoss: ObservedCases.observedLoss(sweep)
        case .observedScores: ObservedCases.observedScores(sweep)
        case .solveNormalEquations: SolveCases.solveNormalEquations(sweep)
        case .topK: TopKCases.topK(sweep)
        case .activation: NetworkLayerCases.activation(sweep)
        case .activationGradient: NetworkLayerCases.activationGradient(sweep)
        case .linearCombination: NetworkLayerCases.linearCombination(sweep)
        case .softmaxCrossEntropy: NetworkLossCases.softmaxCrossEntropy(sweep)
        case .rankingLoss: NetworkLossCases.rankingLoss(sweep)
        case .elementLoss: NetworkLossCases.elementLoss(sweep)
        case .addToTotal: NetworkLossCases.addToTotal(sweep)
        case .dropout: NetworkLayerCases.dropout(sweep)
        case .layerNorm: NetworkLayerCases.layerNorm(sweep)
        case .layerNormGradient: NetworkLayerCases.layerNormGradient(sweep)
        case .batchNorm: BatchNormCases.batchNorm(sweep)
        case .batchNormProducts: BatchNormCases.products(sweep)
        case .batchNormStatistics: BatchNormCases.statistics(sweep)
        case .batchNormGradient: BatchNormCases.gradient(sweep)
        case .optimizerStep: OptimizerCases.optimizerStep(sweep)
        case .updateRows: EmbeddingCases.updateRows(sweep)
        case .gatherBags: EmbeddingCases.gatherBags(sweep)
        case .pairProducts: EmbeddingCases.pairProducts(sweep)
        case .pairProductsGradient: EmbeddingCases.pairProductsGradient(sweep)
        case .unfold: ImageCases.unfold(sweep)
        case .fold: ImageCases.fold(sweep)
        case .pool: ImageCases.pool(sweep)
        case .poolGradient: ImageCases.poolGradient(sweep)
        case .quantize: QuantizedCases.quantize(sweep)
        case .quantizedGemm: QuantizedCases.quantizedGemm(sweep)
        case .perceptronSteps: PerceptronCases.perceptronSteps(sweep)
        case .attention: SequenceCases.attention(sweep)
        case .attentionGradient: SequenceCases.attentionGradient(sweep)
        case .recurrentStep: SequenceCases.recurrentStep(sweep)
        case .recurrentStepGradient: SequenceCases.recurrentStepGradient(sweep)
        case .assignNearest: ClusterCases.assignNearest(sweep)
        case .accumulateByLabel: ClusterCases.accumulateByLabel(sweep)
        }
    }

    /// Runs the cases on a device, one after the other on one stream, and draws up its certificate.
    ///
    /// - Parameters:
    ///   - operations: the primitives to try; all when nil.
    ///   - kernelClass: the class of the kernels, where another than that of the device was forced.
    ///   - deviceIsIdle: whether nobody else uses the device, so that its allocations can be watched too.
    ///   - progress: called after every case with its result, the number of cases done and of all; answering `.stop`
    ///     ends the run, and the certificate then covers what was done.
    /// - Throws: what the device throws when no stream can be opened on it, or when it is lost.
    public func run(
        on device: any Device, operations: Set<OperationKind>? = nil, kernelClass: DeviceClass? = nil,
        deviceIsIdle: Bool = true,
        progress: (ConformanceResult, _ completed: Int, _ total: Int) -> ProgressDecision = { _, _, _ in .proceed }
    ) throws(ComputeError) -> Certificate {
        let selected = cases.filter { operations?.contains($0.operation) ?? true }
        var results: [ConformanceResult] = []
        let stream = try device.makeStream()
        for one in selected {
            let result = one.run(on: stream, deviceIsIdle: deviceIsIdle)
            results.append(result)
            if progress(result, results.count, selected.count) == .stop { break }
        }
        return Certificate(device: device, sweep: sweep, results: results, kernelClass: kernelClass)
    }
}
