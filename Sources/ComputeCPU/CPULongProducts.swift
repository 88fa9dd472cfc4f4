import CVectorLoops
import Compute
import Core

/// How a product with long sums is divided: tiles of the output, and for each tile parts of the sums. A part adds up
/// products of a few thousand terms, each by OpenBLAS in float32, in double precision; the parts are added up in order.
struct LongProduct {
    /// Terms, and elements of the output, from which and up to which a product is divided like this.
    static let leastLength = 8192
    static let mostElements = 512 * 512
    /// Side of a tile, and terms that are summed in float32 at most.
    private static let tileSide = 256
    private static let longestChunk = 4096
    /// Parts that a single tile is divided into at least, so that all workers have about as much.
    private static let leastParts = 8
    /// Elements of the sums that one task adds up over the parts.
    private static let elementsPerSum = 1 << 13

    let m: Int, n: Int, k: Int
    let tileRows: Int, tileColumns: Int
    /// (row, column) of the tiles that are computed.
    let tiles: [(row: Int, column: Int)]
    let chunkLength: Int
    let chunks: Int
    let parts: Int

    /// - Parameter symmetric: only the tiles on and below the diagonal.
    init(m: Int, n: Int, k: Int, symmetric: Bool) {
        (self.m, self.n, self.k) = (m, n, k)
        tileRows = min(Self.tileSide, m)
        tileColumns = min(Self.tileSide, n)
        let columns = Chunks.count(n, size: tileColumns)
        tiles = (0..<Chunks.count(m, size: tileRows)).flatMap { row in
            (0..<(symmetric ? row + 1 : columns)).map { (row, $0) }
        }
        chunkLength = max(1, min(Self.longestChunk, (k / Self.leastParts + 63) / 64 * 64))
        chunks = max(1, Chunks.count(k, size: chunkLength))
        parts = max(1, min(chunks, 32 / max(tiles.count, 1)))
    }

    var tileElements: Int { tileRows * tileColumns }
    func rows(_ tile: Int) -> Range<Int> { Chunks.range(tiles[tile].row, count: m, size: tileRows) }
    func columns(_ tile: Int) -> Range<Int> { Chunks.range(tiles[tile].column, count: n, size: tileColumns) }

    /// The sums of all tiles, one after the other, in double precision. `product(rows, columns, terms, output)` writes
    /// the float32 product of a tile over a range of terms, with rows of `tileColumns` elements.
    func sums(
        on backend: CPUBackend,
        _ product: (Range<Int>, Range<Int>, Range<Int>, UnsafeMutablePointer<Float>) -> Void
    ) -> HostBuffer<Double> {
        let whole = tiles.count * tileElements
        let sums = HostBuffer<Double>(uninitializedCount: parts * whole)
        backend.reserveScratch(count: tileElements)
        backend.pool.parallelFor(parts * tiles.count) { task, worker in
            let (part, tile) = (task / tiles.count, task % tiles.count)
            let sum = sums.baseAddress + task * tileElements
            sum.update(repeating: 0, count: tileElements)
            let output = backend.scratch(worker: worker, count: tileElements)
            let (rows, columns) = (rows(tile), columns(tile))
            for chunk in chunks * part / parts..<chunks * (part + 1) / parts {
                let terms = Chunks.range(chunk, count: k, size: chunkLength)
                guard !terms.isEmpty else { continue }
                product(rows, columns, terms, output)
                apus_add_to_double(
                    output, Int64(tileColumns), Int64(rows.count), Int64(columns.count), sum, Int64(tileColumns))
            }
        }
        if parts > 1 {
            backend.pool.parallelFor(Chunks.count(whole, size: Self.elementsPerSum)) { chunk, _ in
                let range = Chunks.range(chunk, count: whole, size: Self.elementsPerSum)
                apus_sum_parts(
                    sums.baseAddress, Int64(parts), Int64(whole), Int64(range.lowerBound), Int64(range.upperBound))
            }
        }
        return sums
    }
}

extension CPUBackend {
    /// A product of short and wide matrices, whose sums are long.
    func longGemm(_ gemm: Gemm) {
        let division = LongProduct(m: gemm.m, n: gemm.n, k: gemm.k, symmetric: false)
        let (a, b) = (gemm.a, gemm.b)
        let sums = division.sums(on: self) { rows, columns, terms, output in
            let left =
                gemm.transposeA
                ? terms.lowerBound * a.rowStride + rows.lowerBound : rows.lowerBound * a.rowStride + terms.lowerBound
            let right =
                gemm.transposeB
                ? columns.lowerBound * b.rowStride + terms.lowerBound
                : terms.lowerBound * b.rowStride + columns.lowerBound
            Self.product(
                m: rows.count, n: columns.count, k: terms.count, alpha: 1, a.floats + left, a.rowStride,
                gemm.transposeA, b.floats + right, b.rowStride, gemm.transposeB, beta: 0, output, division.tileColumns)
        }
        let (alpha, beta, stride) = (Double(gemm.alpha), Double(gemm.beta), gemm.output.rowStride)
        pool.parallelFor(division.tiles.count) { tile, _ in
            let (rows, columns) = (division.rows(tile), division.columns(tile))
            let sum = sums.baseAddress + tile * division.tileElements
            let output = gemm.output.floats + rows.lowerBound * stride + columns.lowerBound
            for i in 0..<rows.count {
                for j in 0..<columns.count {
                    let scaled = alpha * sum[i * division.tileColumns + j]
                    let place = i * stride + j
                    output[place] = Float(beta == 0 ? scaled : scaled + beta * Double(output[place]))
                }
            }
            if gemm.bias != nil || gemm.activation != .identity {
                apus_bias_activation(
                    output, Int64(stride), Int64(rows.count), Int64(columns.count),
                    gemm.bias.map { $0.floats + columns.lowerBound }, gemm.activation.loopArgument)
            }
        }
    }

    /// The tiles on and below the diagonal, written to both triangles.
    func gram(_ gram: Gram) {
        let (rows, d, stride) = (gram.input.rows, gram.input.columns, gram.input.rowStride)
        let division = LongProduct(m: d, n: d, k: rows, symmetric: true)
        let input = gram.input.floats
        let sums = division.sums(on: self) { rows, columns, terms, output in
            let base = input + terms.lowerBound * stride
            Self.product(
                m: rows.count, n: columns.count, k: terms.count, alpha: 1, base + rows.lowerBound, stride, true,
                base + columns.lowerBound, stride, false, beta: 0, output, division.tileColumns)
        }
        let output = gram.output
        pool.parallelFor(division.tiles.count) { tile, _ in
            let (rows, columns) = (division.rows(tile), division.columns(tile))
            let sum = sums.baseAddress + tile * division.tileElements
            for i in rows {
                for j in columns where j <= i {
                    let value = Float(sum[(i - rows.lowerBound) * division.tileColumns + j - columns.lowerBound])
                    output.floats[i * output.rowStride + j] = value
                    output.floats[j * output.rowStride + i] = value
                }
            }
        }
    }
}
