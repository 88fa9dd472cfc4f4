import COpenBLAS
import CVectorLoops
import Compute
import Core

/// Row systems of matrix factorization.
extension CPUBackend {
    func solveNormalEquations(_ equations: SolveNormalEquations) {
        let sparse = equations.sparse
        let d = equations.fixed.columns
        let pointers = sparse.rowPointers.pointer(as: Int64.self)
        let columns = sparse.columnIndices.pointer(as: Int32.self)
        reserveScratch(count: d * d + d)
        pool.parallelFor(sparse.rows) { row, worker in
            let system = scratch(worker: worker, count: d * d + d)
            let rhs = system + d * d
            let solution = equations.solution.floats + row * equations.solution.rowStride
            system.update(repeating: 0, count: d * d + d)
            for k in 0..<d {
                system[k * d + k] = equations.diagonal.floats[k] + equations.rowRegularization.floats[row]
            }
            for entry in Int(pointers[row])..<Int(pointers[row + 1]) {
                let weight = equations.weighted ? sparse.values.floats[entry] : 1
                let target = equations.targets?.floats[entry] ?? 1
                let v = equations.fixed.floats + Int(columns[entry]) * equations.fixed.rowStride
                for i in 0..<d {
                    rhs[i] += weight * target * v[i]
                    for j in 0...i { system[i * d + j] += weight * v[i] * v[j] }
                }
            }
            _ = LAPACKE_sposv(LAPACK_COL_MAJOR, 0x55, Int32(d), 1, system, Int32(d), rhs, Int32(d))
            solution.update(from: rhs, count: d)
        }
    }
}
