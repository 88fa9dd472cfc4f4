import Compute
import Core

/// The fixed side of a half-step, and the rotation into the eigenbasis of its Gram matrix.
///
/// With G = QΛQᵀ the Gram matrix of the fixed table, rotating both tables by Q changes no score and no norm, and makes
/// the part of every row's system that all rows share, α₀G, diagonal. Exact solves can then use Woodbury's identity,
/// conjugate gradients have an exact preconditioner for the unobserved part, and subspace steps become row-local.
///
/// Transfers per rotation: the d × d Gram matrix down, Q and Λ up. Launches: the Gram matrix, and for each table of R
/// rows 2 · ⌈R / chunkRows⌉ (product into scratch, copy back).
struct GramRotation {
    /// Rows rotated at a time: a chunk of scratch that stays in the cache on a CPU and fills a GPU.
    static func chunkRows(columns: Int, deviceClass: DeviceClass) -> Int {
        let elements = deviceClass == .cpu ? 1 << 19 : 1 << 24
        return max(256, (elements / max(columns, 1) + 255) / 256 * 256)
    }

    private let stream: Stream
    private let columns: Int
    private let gram: Matrix
    private let basis: Matrix
    private let scratch: Matrix
    /// 1 × d: α₀Λ after ``prepare(fixed:unobservedWeight:)``.
    let diagonal: Matrix

    init(stream: Stream, columns: Int, longestTable: Int) throws(ComputeError) {
        self.stream = stream
        self.columns = columns
        gram = try stream.allocate(rows: columns, columns: columns)
        basis = try stream.allocate(rows: columns, columns: columns)
        diagonal = try stream.allocate(rows: 1, columns: columns)
        let chunk = Self.chunkRows(columns: columns, deviceClass: stream.device.identity.deviceClass)
        scratch = try stream.allocate(rows: min(chunk, longestTable), columns: columns)
    }

    /// Computes the Gram matrix of `fixed` and its eigenbasis, by the host's LAPACK in double precision; the caller waits
    /// for neither.
    func prepare(fixed: Matrix, unobservedWeight: Float) throws(ComputeError) {
        try stream.gram(fixed, into: gram)
        let solver = stream.device.denseSolver
        try stream.computeOnHost(gram, into: [basis, diagonal]) { [columns] elements throws(ComputeError) in
            let host = reduceAcrossRanks(elements)
            var symmetric = [Double](repeating: 0, count: columns * columns)
            for i in 0..<columns {
                for j in 0..<columns {
                    symmetric[i * columns + j] = 0.5 * (Double(host[i * columns + j]) + Double(host[j * columns + i]))
                }
            }
            let (values, vectors) = try solver.symmetricEigen(symmetric, n: columns)
            return [vectors.map { Float($0) }, values.map { Float(max($0, 0)) * unobservedWeight }]
        }
    }

    /// Rotates a table into the prepared basis, in place.
    func rotate(_ table: Matrix) throws(ComputeError) {
        try multiply(table, transposed: false)
    }

    /// Rotates a table out of the prepared basis, in place.
    func rotateBack(_ table: Matrix) throws(ComputeError) {
        try multiply(table, transposed: true)
    }

    private func multiply(_ table: Matrix, transposed: Bool) throws(ComputeError) {
        guard scratch.rows > 0 else { return }
        for start in stride(from: 0, to: table.rows, by: scratch.rows) {
            let range = start..<min(start + scratch.rows, table.rows)
            let part = scratch.rows(0..<range.count)
            try stream.gemm(table.rows(range), basis, transposeB: transposed, into: part)
            try stream.copy(part, to: table.rows(range))
        }
    }
}

/// The one place through which every sum over rows of a training loop passes before it is used: where several
/// processes will add up their parts. With one process it is the identity.
@inline(__always)
func reduceAcrossRanks(_ partialSums: [Float]) -> [Float] { partialSums }
