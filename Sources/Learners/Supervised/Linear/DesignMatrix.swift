import CVectorLoops
import Core
import Tables

/// Features as linear models read them: float32 rows, dense or sparse, and a constant column behind the last.
///
/// Coefficients are (columns + 1) × k in double precision, row after row, the intercepts last. Products with them are
/// host work by contract: they are bound by memory, and coefficients equal to those of other programs need sums in
/// double precision. Work is cut by the shape of the data; every number of threads gives the same bits.
final class DesignMatrix {
    enum Values {
        case dense(HostMatrix)
        case sparse(HostSparseMatrix)
    }

    let values: Values
    let rows: Int
    /// Columns, the constant not counted.
    let columns: Int
    let threads: Int
    /// The transpose of a sparse matrix, and of a dense one for those who go by columns; made when first asked for.
    private(set) lazy var transposed: Values = {
        switch values {
        case .sparse(let matrix): return .sparse(matrix.transposed())
        case .dense(let matrix):
            let result = HostMatrix(
                rows: columns, columns: rows, storage: HostBuffer(uninitializedCount: rows * columns))
            // By squares, so that both sides stay in the cache.
            for top in stride(from: 0, to: rows, by: 64) {
                for left in stride(from: 0, to: columns, by: 64) {
                    for row in top..<min(top + 64, rows) {
                        for column in left..<min(left + 64, columns) {
                            result.storage.baseAddress[column * rows + row] =
                                matrix.storage.baseAddress[row * columns + column]
                        }
                    }
                }
            }
            return .dense(result)
        }
    }()

    /// Throws ``DataError`` for values that are not finite.
    init(_ features: Features, threads: Int) throws {
        let finite: Bool
        switch features.values {
        case .dense(let matrix):
            values = .dense(matrix)
            finite = matrix.storage.elements.allSatisfy { $0.isFinite }
        case .sparse(let matrix):
            values = .sparse(matrix)
            finite = matrix.values.elements.allSatisfy { $0.isFinite }
        }
        rows = features.rows
        columns = features.columns.count
        self.threads = threads
        guard finite else {
            throw DataError(
                "the features hold values that are missing or not finite; this learner needs a recipe that imputes "
                    + "(the default one does)")
        }
    }

    /// Number of values that a pass reads.
    var entryCount: Int {
        switch values {
        case .dense: rows * columns
        case .sparse(let matrix): matrix.entryCount
        }
    }

    var isSparse: Bool {
        if case .sparse = values { true } else { false }
    }

    /// Rows of a chunk: fixed by the shape.
    private var rowChunk: Int { max(256, (rows + 63) / 64) }

    private func share(_ count: Int, chunk: Int, work: Int, _ body: (Range<Int>, Int) -> Void) {
        let chunks = (count + chunk - 1) / chunk
        // Starting threads takes some 50 µs.
        Workers.share(tasks: chunks, threads: work > 200_000 ? threads : 1) { number in
            body(number * chunk..<min((number + 1) * chunk, count), number)
        }
    }

    /// `scores[i, :] = x[i, :] · coefficients + intercepts`, rows × k.
    func scores(_ coefficients: UnsafePointer<Double>, k: Int, into scores: UnsafeMutablePointer<Double>) {
        let intercepts = coefficients + columns * k
        let columns = columns
        nonisolated(unsafe) let (coefficients, scores) = (coefficients, scores)
        share(rows, chunk: rowChunk, work: entryCount * k) { range, _ in
            switch values {
            case .dense(let matrix):
                apus_dense_times_double(
                    matrix.storage.baseAddress, Int64(columns), coefficients, Int64(k), scores,
                    Int64(range.lowerBound), Int64(range.upperBound))
            case .sparse(let matrix):
                apus_sparse_times_double(
                    matrix.rowPointers.baseAddress, matrix.columnIndices.baseAddress, matrix.values.baseAddress,
                    coefficients, Int64(k), scores, Int64(range.lowerBound), Int64(range.upperBound))
            }
            for row in range { for output in 0..<k { scores[row * k + output] += intercepts[output] } }
        }
    }

    /// `gradient = xᵀ · residuals`, (columns + 1) × k, the sums of the residuals last.
    func gradient(_ residuals: UnsafePointer<Double>, k: Int, into gradient: UnsafeMutablePointer<Double>) {
        switch values {
        case .dense(let matrix):
            let (chunk, size) = (rowChunk, columns * k)
            let chunks = (rows + chunk - 1) / chunk
            let partial = HostBuffer<Double>(repeating: 0, count: max(chunks * size, 1))
            share(rows, chunk: chunk, work: entryCount * k) { range, number in
                apus_dense_transposed_times_double(
                    matrix.storage.baseAddress, Int64(columns), residuals, Int64(k),
                    partial.baseAddress + number * size, Int64(range.lowerBound), Int64(range.upperBound))
            }
            for place in 0..<size { gradient[place] = 0 }
            for number in 0..<chunks {
                let part = partial.baseAddress + number * size
                for place in 0..<size { gradient[place] += part[place] }
            }
        case .sparse:
            guard case .sparse(let byColumn) = transposed else { return }
            share(columns, chunk: max(256, (columns + 63) / 64), work: entryCount * k) { range, _ in
                apus_sparse_times_double(
                    byColumn.rowPointers.baseAddress, byColumn.columnIndices.baseAddress, byColumn.values.baseAddress,
                    residuals, Int64(k), gradient, Int64(range.lowerBound), Int64(range.upperBound))
            }
        }
        let sums = gradient + columns * k
        for output in 0..<k { sums[output] = 0 }
        for row in 0..<rows { for output in 0..<k { sums[output] += residuals[row * k + output] } }
    }

    /// `Σ weights[i] · [x[i, :], 1]ᵀ [x[i, :], 1]`, (columns + 1) square, both triangles. Only for dense values.
    func weightedGram(_ weights: [Double]) -> [Double] {
        guard case .dense(let matrix) = values else { preconditionFailure("the Gram matrix of sparse values is dense") }
        let d = columns
        let stride = (d + 7) / 8 * 8
        let chunk = max(1024, (rows + 15) / 16)
        let chunks = max((rows + chunk - 1) / chunk, 1)
        let partial = HostBuffer<Double>(repeating: 0, count: max(chunks * d * stride, 1))
        share(rows, chunk: chunk, work: rows * d * d) { range, number in
            let scratch = HostBuffer<Double>(uninitializedCount: 64 * stride + 8)
            weights.withUnsafeBufferPointer { weights in
                apus_weighted_gram(
                    matrix.storage.baseAddress, Int64(d), Int64(stride), weights.baseAddress,
                    partial.baseAddress + number * d * stride, scratch.baseAddress, Int64(range.lowerBound),
                    Int64(range.upperBound))
            }
        }
        var gram = [Double](repeating: 0, count: (d + 1) * (d + 1))
        for number in 0..<chunks {
            let part = partial.baseAddress + number * d * stride
            for i in 0..<d { for j in i..<d { gram[i * (d + 1) + j] += part[i * stride + j] } }
        }
        var edge = [Double](repeating: 0, count: d + 1)
        weights.withUnsafeBufferPointer { gradient($0.baseAddress!, k: 1, into: &edge) }
        for i in 0...d {
            gram[i * (d + 1) + d] = edge[i]
            for j in 0..<i { gram[i * (d + 1) + j] = gram[j * (d + 1) + i] }
        }
        return gram
    }
}
