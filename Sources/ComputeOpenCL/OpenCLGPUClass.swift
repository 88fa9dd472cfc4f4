import Compute

/// Operations whose kernels are written apart for GPU-class devices, in kernels/*_gpu.cl. Operations on single elements
/// have one form for all classes.
extension Lowering {
    private func noKernels(_ operation: OperationKind) -> ComputeError {
        .unsupported(
            device: context.name, operation: operation.rawValue, reason: "it has no kernels for GPU-class devices yet")
    }

    func gemmGPU(_ operation: Gemm) throws(ComputeError) { throw noKernels(.gemm) }

    func gramGPU(_ operation: Gram) throws(ComputeError) { throw noKernels(.gram) }

    func sparseTimesDenseGPU(_ operation: SparseTimesDense) throws(ComputeError) { throw noKernels(.sparseTimesDense) }

    func columnSumsGPU(_ operation: ColumnSums) throws(ComputeError) { throw noKernels(.columnSums) }

    func rowNormsGPU(_ operation: RowNorms) throws(ComputeError) { throw noKernels(.rowNorms) }

    func observedLossGPU(_ operation: ObservedLoss) throws(ComputeError) { throw noKernels(.observedLoss) }

    func observedScoresGPU(_ operation: ObservedScores) throws(ComputeError) { throw noKernels(.observedScores) }

    func solveNormalEquationsGPU(_ operation: SolveNormalEquations) throws(ComputeError) {
        throw noKernels(.solveNormalEquations)
    }

    func topKGPU(_ operation: TopK) throws(ComputeError) { throw noKernels(.topK) }
}
