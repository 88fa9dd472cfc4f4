import COpenBLAS
import CVectorLoops
import Compute
import Core

/// Dense products: slabs of single-threaded OpenBLAS calls.
extension CPUBackend {
    /// Rows and columns of a slab. A slab packs panels of its own, at a cost of 1 / rows + 1 / columns: slabs are few
    /// and nearly square, yet enough for the workers of some tens of cores where the product is large.
    ///
    /// Fixed by the shape of the product but where a packing more or less is felt, from 512 × 512 × 512 to 4096 × 4096 ×
    /// 4096: there as many slabs as there are threads do for two and, up to 1024 × 1024 × 1024, for four. Slabs of any of
    /// these numbers are too large for OpenBLAS to change its way with them, so that every element is the same sum in
    /// the same order.
    static func slab(m: Int, n: Int, k: Int, threads: Int) -> (rows: Int, columns: Int) {
        let work = Double(m) * Double(n) * Double(max(k, 1))
        // Some hundred gigaflops a core: 2²² multiply-adds take 35 microseconds, 2³³ 70 milliseconds.
        let parts =
            switch work {
            case ..<0x1p22: 1
            case ..<0x1p24: 2
            case ..<0x1p27: 4
            case ...0x1p36 where threads == 2: 2
            case ...0x1p31: threads <= 4 ? 4 : 8
            case ...0x1p33: 8
            case ..<0x1p38: 16
            default: 64
            }
        var (rows, columns, present) = (m, n, 1)
        // With short sums the output is most of the traffic: a slab of it stays in the cache for its epilogue.
        while present < parts || (k <= 512 && rows * columns > 1 << 20) {
            // Of two shapes of one size, the taller packs for less; with long sums the wider one does.
            if rows > columns || (rows == columns && k >= 1024) {
                rows = (rows + 1) / 2
            } else {
                columns = (columns + 1) / 2
            }
            present *= 2
        }
        // Whole register tiles of the kernels: fewer edges.
        if rows < m { rows = min(m, (rows + 15) / 16 * 16) }
        if columns < n { columns = min(n, (columns + 63) / 64 * 64) }
        return (max(rows, 1), max(columns, 1))
    }

    func gemm(_ gemm: Gemm) {
        let (m, n, k) = (gemm.m, gemm.n, gemm.k)
        if k >= LongProduct.leastLength, m * n <= LongProduct.mostElements, k >= 4 * max(m, n) { return longGemm(gemm) }
        product(gemm, gemm.a.floats, gemm.a.rowStride, gemm.b.floats, gemm.b.rowStride)
    }

    /// The product with operands that lie elsewhere, in the same shapes.
    func product(
        _ gemm: Gemm, _ left: UnsafePointer<Float>, _ leftStride: Int, _ right: UnsafePointer<Float>, _ rightStride: Int
    ) {
        let (m, n, k) = (gemm.m, gemm.n, gemm.k)
        let slab = Self.slab(m: m, n: n, k: k, threads: pool.threadCount)
        let (rowSlabs, columnSlabs) = (Chunks.count(m, size: slab.rows), Chunks.count(n, size: slab.columns))
        let activation = gemm.activation.loopArgument
        pool.parallelFor(rowSlabs * columnSlabs) { chunk, _ in
            let rows = Chunks.range(chunk / columnSlabs, count: m, size: slab.rows)
            let columns = Chunks.range(chunk % columnSlabs, count: n, size: slab.columns)
            let a = left + (gemm.transposeA ? rows.lowerBound : rows.lowerBound * leftStride)
            let b = right + (gemm.transposeB ? columns.lowerBound * rightStride : columns.lowerBound)
            let stride = gemm.output.rowStride
            let c = gemm.output.floats + rows.lowerBound * stride + columns.lowerBound
            Self.product(
                m: rows.count, n: columns.count, k: k, alpha: gemm.alpha, a, leftStride, gemm.transposeA, b,
                rightStride, gemm.transposeB, beta: gemm.beta, c, stride)
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
}

extension Activation {
    /// The value of the C interface.
    var loopArgument: Int32 {
        switch self {
        case .identity: 0
        case .relu: 1
        case .sigmoid: 2
        case .tanh: 3
        }
    }
}
