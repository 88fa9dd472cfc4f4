import CVectorLoops
import Compute
import Core

/// Products whose operands are rounded to bfloat16: by instructions that multiply pairs of such numbers, where there are such.
extension CPUBackend {
    /// Depth that is packed at once: a panel of 32 columns is then 256 KB, which the second cache holds.
    private static let depth = 4096
    /// Bytes of the rows that a task packs.
    private static let taskBytes = 256 << 10

    func bfloat16Gemm(_ gemm: Gemm) {
        guard device.multipliesPairs, gemm.k > 0 else { return roundedGemm(gemm) }
        let (m, n, k) = (gemm.m, gemm.n, gemm.k)
        let (width, height) = (Int(APUS_BFLOAT16_COLUMNS), Int(APUS_BFLOAT16_ROWS))
        let pairs = (min(k, Self.depth) + 1) / 2
        let panels = Chunks.count(n, size: width)
        let rowsOfTask = Self.rows(
            m, most: max(Self.taskBytes / (4 * pairs * height), 1) * height, step: height, threads: pool.threadCount)
        let (panelWords, taskWords) = (panels * width * pairs, rowsOfTask * pairs)
        // All of b, packed once for every task, and the rows of the tasks.
        let words = UnsafeMutableRawPointer(
            scratch(worker: 0, count: panelWords + pool.threadCount * taskWords)
        ).bindMemory(to: UInt32.self, capacity: panelWords + pool.threadCount * taskWords)
        let (a, b, output) = (gemm.a, gemm.b, gemm.output)
        let activation = gemm.activation.loopArgument
        for first in stride(from: 0, to: k, by: Self.depth) {
            let depth = min(Self.depth, k - first)
            let own = (depth + 1) / 2
            let isLast = first + depth == k
            let source = b.floats + (gemm.transposeB ? first : first * b.rowStride)
            // Some panels together: where they lie across the depth, rows of b are then read in long pieces.
            let columnsOfTask = Chunks.count(panels, size: min(panels, pool.threadCount)) * width
            pool.parallelFor(Chunks.count(n, size: columnsOfTask)) { task, _ in
                let columns = Chunks.range(task, count: n, size: columnsOfTask)
                let column = columns.lowerBound
                apus_bfloat16_pack(
                    source + (gemm.transposeB ? column * b.rowStride : column), Int64(b.rowStride), gemm.transposeB,
                    Int64(columns.count), Int64(depth), Int64(width), words + column * own)
            }
            let rowSource = a.floats + (gemm.transposeA ? first * a.rowStride : first)
            pool.parallelFor(Chunks.count(m, size: rowsOfTask)) { task, worker in
                let rows = Chunks.range(task, count: m, size: rowsOfTask)
                let packed = words + panelWords + worker * taskWords
                apus_bfloat16_pack(
                    rowSource + (gemm.transposeA ? rows.lowerBound : rows.lowerBound * a.rowStride), Int64(a.rowStride),
                    !gemm.transposeA, Int64(rows.count), Int64(depth), Int64(height), packed)
                let target = output.floats + rows.lowerBound * output.rowStride
                apus_bfloat16_product(
                    packed, Int64(rows.count), words, Int64(n), Int64(own), gemm.alpha,
                    first == 0 ? gemm.beta : 1, target, Int64(output.rowStride))
                if isLast, gemm.bias != nil || activation != 0 {
                    apus_bias_activation(
                        target, Int64(output.rowStride), Int64(rows.count), Int64(n), gemm.bias?.floats, activation)
                }
            }
        }
    }

    /// Rows of a task: few enough that their packed form stays in the second cache, and so many tasks that threads have equal
    /// shares.
    private static func rows(_ m: Int, most: Int, step: Int, threads: Int) -> Int {
        let most = min(most, max((m / (4 * threads) + step - 1) / step * step, step))
        return stride(from: most, to: most / 2, by: -step).first { Chunks.count(m, size: $0) % threads == 0 } ?? most
    }

    /// The same with rounded copies and products of float32.
    private func roundedGemm(_ gemm: Gemm) {
        let copies = scratch(worker: 0, count: max(gemm.a.count + gemm.b.count, 1))
        round(gemm.a, into: copies)
        round(gemm.b, into: copies + gemm.a.count)
        product(gemm, copies, gemm.a.columns, copies + gemm.a.count, gemm.b.columns)
    }

    private func round(_ matrix: Matrix, into copy: UnsafeMutablePointer<Float>) {
        let size = Chunks.rows(columns: matrix.columns)
        pool.parallelFor(Chunks.count(matrix.rows, size: size)) { task, _ in
            let rows = Chunks.range(task, count: matrix.rows, size: size)
            apus_bfloat16_round(
                matrix.floats + rows.lowerBound * matrix.rowStride, Int64(matrix.rowStride), Int64(rows.count),
                Int64(matrix.columns), copy + rows.lowerBound * matrix.columns)
        }
    }
}
