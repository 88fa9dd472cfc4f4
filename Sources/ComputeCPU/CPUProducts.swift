import COpenBLAS
import CVectorLoops
import Compute
import Core

/// Dense products: slabs of single-threaded OpenBLAS calls.
extension CPUBackend {
    /// Rows and columns of a slab, fixed by the shape of the product: large enough that OpenBLAS packs its panels for
    /// little, small enough that there are slabs for every worker.
    static func slab(m: Int, n: Int, k: Int) -> (rows: Int, columns: Int) {
        let work = Double(m) * Double(n) * Double(k)
        // A slab of about 2²⁶ multiply-adds takes half a millisecond; more than 16 slabs only cost packing.
        let wanted = max(1, min(16, Int(work / Double(1 << 26))))
        var (rows, columns, parts) = (m, n, 1)
        while parts < wanted {
            if rows >= columns { rows = (rows + 1) / 2 } else { columns = (columns + 1) / 2 }
            parts *= 2
        }
        // Whole register tiles of the kernels: fewer edges.
        rows = m >= 64 ? min(m, (rows + 47) / 48 * 48) : m
        columns = n >= 64 ? min(n, (columns + 63) / 64 * 64) : n
        // Tall products: no more than some 4,096 rows at a time keep the output in the cache for its epilogue.
        if k * columns <= 1 << 17 { rows = min(rows, 4080) }
        return (max(rows, 1), max(columns, 1))
    }

    func gemm(_ gemm: Gemm) {
        let (m, n, k) = (gemm.m, gemm.n, gemm.k)
        let slab = Self.slab(m: m, n: n, k: k)
        let (rowSlabs, columnSlabs) = (Chunks.count(m, size: slab.rows), Chunks.count(n, size: slab.columns))
        let activation: Int32 =
            switch gemm.activation {
            case .identity: 0
            case .relu: 1
            case .sigmoid: 2
            case .tanh: 3
            }
        pool.parallelFor(rowSlabs * columnSlabs) { chunk, _ in
            let rows = Chunks.range(chunk / columnSlabs, count: m, size: slab.rows)
            let columns = Chunks.range(chunk % columnSlabs, count: n, size: slab.columns)
            let a = gemm.a.floats + (gemm.transposeA ? rows.lowerBound : rows.lowerBound * gemm.a.rowStride)
            let b = gemm.b.floats + (gemm.transposeB ? columns.lowerBound * gemm.b.rowStride : columns.lowerBound)
            let stride = gemm.output.rowStride
            let c = gemm.output.floats + rows.lowerBound * stride + columns.lowerBound
            Self.product(
                m: rows.count, n: columns.count, k: k, alpha: gemm.alpha, a, gemm.a.rowStride, gemm.transposeA, b,
                gemm.b.rowStride, gemm.transposeB, beta: gemm.beta, c, stride)
            if gemm.bias != nil || activation != 0 {
                apus_bias_activation(
                    c, Int64(stride), Int64(rows.count), Int64(columns.count),
                    gemm.bias.map { $0.floats + columns.lowerBound }, activation)
            }
        }
    }

    /// `c = alpha · op(a) · op(b) + beta · c` in the calling thread; c is not read when beta is 0.
    static func product(
        m: Int, n: Int, k: Int, alpha: Float, _ a: UnsafePointer<Float>, _ lda: Int, _ transposeA: Bool,
        _ b: UnsafePointer<Float>, _ ldb: Int, _ transposeB: Bool, beta: Float, _ c: UnsafeMutablePointer<Float>,
        _ ldc: Int
    ) {
        guard m > 0, n > 0 else { return }
        if k == 0 {
            for row in 0..<m {
                for column in 0..<n {
                    c[row * ldc + column] = beta == 0 ? 0 : beta * c[row * ldc + column]
                }
            }
            return
        }
        cblas_sgemm(
            CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans,
            blasint(m), blasint(n), blasint(k), alpha, a, blasint(max(lda, 1)), b, blasint(max(ldb, 1)), beta, c,
            blasint(max(ldc, 1)))
    }

    // MARK: Gram matrix

    /// Side of an output tile, and rows whose products are added up in float32 before they go to double.
    private static let gramTile = 256
    private static let gramRows = 2048

    /// Tiles of the lower triangle, each the sum over chunks of rows; where there are few tiles, the rows are split
    /// too, in parts fixed by the shape, added up in order.
    func gram(_ gram: Gram) {
        let (rows, d) = (gram.input.rows, gram.input.columns)
        let tile = min(Self.gramTile, d)
        let tiles = Chunks.count(d, size: tile)
        let pairs = (0..<tiles).flatMap { i in (0...i).map { (i, $0) } }
        let chunks = max(Chunks.count(rows, size: Self.gramRows), 1)
        let splits = max(1, min(chunks, 32 / pairs.count))
        let sums = HostBuffer<Double>(repeating: 0, count: splits * pairs.count * tile * tile)
        reserveScratch(count: tile * tile)
        let stride = gram.input.rowStride
        pool.parallelFor(splits * pairs.count) { task, worker in
            let (split, pair) = (task / pairs.count, pairs[task % pairs.count])
            let sum = sums.baseAddress + task * tile * tile
            let product = scratch(worker: worker, count: tile * tile)
            let (rowBlock, columnBlock) = (
                Chunks.range(pair.0, count: d, size: tile), Chunks.range(pair.1, count: d, size: tile)
            )
            for chunk in chunks * split / splits..<chunks * (split + 1) / splits {
                let range = Chunks.range(chunk, count: rows, size: Self.gramRows)
                guard !range.isEmpty else { continue }
                let base = gram.input.floats + range.lowerBound * stride
                Self.product(
                    m: rowBlock.count, n: columnBlock.count, k: range.count, alpha: 1, base + rowBlock.lowerBound,
                    stride, true, base + columnBlock.lowerBound, stride, false, beta: 0, product, tile)
                apus_add_to_double(
                    product, Int64(tile), Int64(rowBlock.count), Int64(columnBlock.count), sum, Int64(tile))
            }
        }
        let output = gram.output
        for (index, pair) in pairs.enumerated() {
            for i in Chunks.range(pair.0, count: d, size: tile) {
                for j in Chunks.range(pair.1, count: d, size: tile) where j <= i {
                    let place = (i - pair.0 * tile) * tile + (j - pair.1 * tile)
                    var sum = 0.0
                    for split in 0..<splits { sum += sums[(split * pairs.count + index) * tile * tile + place] }
                    output.floats[i * output.rowStride + j] = Float(sum)
                    output.floats[j * output.rowStride + i] = Float(sum)
                }
            }
        }
    }
}
