import CVectorLoops
import Core
import Tables

/// Linear support vector machines by coordinate descent on the dual (Hsieh et al. 2008), with shrinking.
///
/// The intercept is the coefficient of a constant column and is penalised with the others, as liblinear's. Several
/// classes are descended together, up to 16 in the lanes of a register: a row's coefficients are fetched once for all of
/// them. Blocks of classes are shared out among threads.
final class DualDescent {
    private let design: DesignMatrix
    private let training: TrainingSet
    private let c: Double
    private let squared: Bool
    private let seed: UInt64

    init(design: DesignMatrix, training: TrainingSet, c: Double, squared: Bool, seed: UInt64) {
        self.design = design
        self.training = training
        self.c = c
        self.squared = squared
        self.seed = seed
    }

    struct Solution {
        var coefficients: [Double]
        var passes: Int
        var converged: Bool
        /// Of the primal, summed over the classes.
        var objective: Double
    }

    func minimize(tolerance: Double, maximumPasses: Int, context: LearningContext) throws -> Solution {
        let k = training.task.kind == .binary ? 1 : training.task.labels.count
        var solution =
            k == 1
            ? try binary(tolerance, maximumPasses, context) : try lanes(k, tolerance, maximumPasses, context)
        solution.objective = objective(solution.coefficients, k: k)
        return solution
    }

    /// ½‖w‖² + C · Σ weight · loss, intercepts penalised.
    func objective(_ coefficients: [Double], k: Int) -> Double {
        var scores = [Double](repeating: 0, count: design.rows * k)
        coefficients.withUnsafeBufferPointer { design.scores($0.baseAddress!, k: k, into: &scores) }
        var sum = coefficients.reduce(0) { $0 + $1 * $1 / 2 }
        for row in 0..<design.rows {
            let truth = Int(training.target[row])
            for output in 0..<k {
                let sign = k == 1 ? (truth == 1 ? 1.0 : -1.0) : (truth == output ? 1.0 : -1.0)
                let miss = max(0, 1 - sign * scores[row * k + output])
                sum += c * training.weight(row) * (squared ? miss * miss : miss)
            }
        }
        return sum
    }

    private func order(_ rows: [Int32], pass: Int) -> [Int32] {
        // A Fisher–Yates shuffle of what is left, drawn anew for every pass.
        let random = Philox(seed: seed, stream: 0x4455_414C_0000 + UInt64(pass))
        var rows = rows
        for place in stride(from: rows.count - 1, to: 0, by: -1) {
            // 32 bits are enough for the order of a pass.
            let drawn = Int((UInt64(random.integer(UInt64(place))) * UInt64(place + 1)) >> 32)
            rows.swapAt(place, drawn)
        }
        return rows
    }

    private var squaredNorms: [Double] {
        (0..<design.rows).map { row in
            switch design.values {
            case .dense(let matrix): matrix.row(row).reduce(1) { $0 + Double($1) * Double($1) }
            case .sparse(let matrix):
                matrix.range(ofRow: row).reduce(1) { $0 + Double(matrix.values[$1]) * Double(matrix.values[$1]) }
            }
        }
    }

    // MARK: Two classes

    private func binary(_ tolerance: Double, _ maximumPasses: Int, _ context: LearningContext) throws -> Solution {
        let (rows, columns) = (design.rows, design.columns)
        var weights = [Double](repeating: 0, count: columns + 1)
        var alpha = [Double](repeating: 0, count: rows)
        let signs = training.target.map { $0 == 1 ? 1.0 : -1.0 }
        let squares = squaredNorms
        let all = (0..<rows).filter { training.weight($0) > 0 }.map { Int32($0) }
        let upper = (0..<rows).map { squared ? Double.infinity : c * training.weight($0) }
        let diagonal = (0..<rows).map { squared ? 0.5 / (c * max(training.weight($0), 1e-300)) : 0 }
        var limits = [Double.infinity, -Double.infinity]
        var seen = limits
        var active = all
        for pass in 0..<maximumPasses {
            try context.report(completed: pass, total: nil, unit: "passes")
            var visited = order(active, pass: pass)
            let kept = Int(
                onePass(&visited, signs, squares, upper, diagonal, &weights, &alpha, limits, &seen))
            active = Array(visited[..<kept])
            if kept == 0 || seen[0] - seen[1] <= tolerance {
                if active.count == all.count {
                    return Solution(coefficients: weights, passes: pass + 1, converged: true, objective: 0)
                }
                active = all
                limits = [.infinity, -.infinity]
            } else {
                limits = [seen[0] > 0 ? seen[0] : .infinity, seen[1] < 0 ? seen[1] : -.infinity]
            }
        }
        return Solution(coefficients: weights, passes: maximumPasses, converged: false, objective: 0)
    }

    private func onePass(
        _ order: inout [Int32], _ signs: [Double], _ squares: [Double], _ upper: [Double], _ diagonal: [Double],
        _ weights: inout [Double], _ alpha: inout [Double], _ limits: [Double], _ seen: inout [Double]
    ) -> Int64 {
        switch design.values {
        case .dense(let matrix):
            return apus_dual_pass(
                nil, nil, matrix.storage.baseAddress, Int64(design.columns), Int64(design.columns), signs, squares,
                upper, diagonal, &weights, &alpha, &order, Int64(order.count), limits, &seen)
        case .sparse(let matrix):
            return apus_dual_pass(
                matrix.rowPointers.baseAddress, matrix.columnIndices.baseAddress, matrix.values.baseAddress,
                Int64(design.columns), Int64(design.columns), signs, squares, upper, diagonal, &weights, &alpha, &order,
                Int64(order.count), limits, &seen)
        }
    }

    // MARK: Several classes

    private static let lanesOfBlock = 16

    /// A block of classes: its own weights, alphas and order of rows.
    private final class Block {
        let first: Int
        let lanes: Int
        var weights: HostBuffer<Float>
        let alpha: HostBuffer<Float>
        var active: [Int32]
        var limits: [Float]
        var seen: [Float]
        var isDone = false
        var passes = 0

        init(first: Int, lanes: Int, rows: [Int32], rowCount: Int, columns: Int) {
            self.first = first
            self.lanes = lanes
            weights = HostBuffer(repeating: 0, count: (columns + 1) * DualDescent.lanesOfBlock)
            alpha = HostBuffer(repeating: 0, count: rowCount * DualDescent.lanesOfBlock)
            active = rows
            (limits, seen) = (Self.open, Self.open)
        }

        /// Limits that take no row out.
        static let open =
            [Float](repeating: .infinity, count: DualDescent.lanesOfBlock)
            + [Float](repeating: -.infinity, count: DualDescent.lanesOfBlock)
    }

    private func lanes(
        _ k: Int, _ tolerance: Double, _ maximumPasses: Int, _ context: LearningContext
    ) throws -> Solution {
        let matrix = sparseRows()
        let (rows, columns) = (design.rows, design.columns)
        let classes = training.target.map { Int32($0) }
        let squares = squaredNorms.map { Float($0) }
        let upper = (0..<rows).map { squared ? Float.infinity : Float(c * training.weight($0)) }
        let diagonal = (0..<rows).map { squared ? Float(0.5 / (c * max(training.weight($0), 1e-30))) : 0 }
        let all = (0..<rows).filter { training.weight($0) > 0 }.map { Int32($0) }
        // As even as can be, so that threads have equal shares; an even number of blocks for an even number of threads.
        var blockCount = (k + Self.lanesOfBlock - 1) / Self.lanesOfBlock
        if k >= 4, blockCount % 2 == 1 { blockCount += 1 }
        let blocks = (0..<blockCount).map { number in
            let (first, end) = (number * k / blockCount, (number + 1) * k / blockCount)
            return Block(first: first, lanes: end - first, rows: all, rowCount: rows, columns: columns)
        }
        nonisolated(unsafe) let shared = blocks
        for pass in 0..<maximumPasses {
            try context.report(completed: pass, total: nil, unit: "passes")
            // Several passes between reports: threads are started once for them.
            Workers.share(tasks: blocks.count, threads: context.threads) { number in
                let block = shared[number]
                for inner in 0..<8 where !block.isDone {
                    var visited = self.order(block.active, pass: pass * 8 + inner)
                    let kept = Int(
                        apus_dual_pass_lanes(
                            matrix.rowPointers.baseAddress, matrix.columnIndices.baseAddress,
                            matrix.values.baseAddress, Int64(columns), classes, Int32(block.first),
                            Int32(block.lanes), squares, upper, diagonal, block.weights.baseAddress,
                            block.alpha.baseAddress, &visited, Int64(visited.count), block.limits, &block.seen))
                    block.passes += 1
                    block.active = Array(visited[..<kept])
                    self.settle(block, all: all, tolerance: Float(tolerance))
                }
            }
            if blocks.allSatisfy(\.isDone) { break }
        }
        return Solution(
            coefficients: coefficients(blocks, matrix, k: k), passes: blocks.map(\.passes).max() ?? 0,
            converged: blocks.allSatisfy(\.isDone), objective: 0)
    }

    /// Ends a block, or sets the limits of its next pass.
    private func settle(_ block: Block, all: [Int32], tolerance: Float) {
        let width = Self.lanesOfBlock
        var isClose = true
        for lane in 0..<block.lanes where block.seen[lane] - block.seen[width + lane] > tolerance { isClose = false }
        if isClose || block.active.isEmpty {
            if block.active.count == all.count {
                block.isDone = true
            } else {
                block.active = all
                block.limits = Block.open
            }
            return
        }
        for lane in 0..<block.lanes {
            let (largest, smallest) = (block.seen[lane], block.seen[width + lane])
            block.limits[lane] = largest > 0 ? largest : .infinity
            block.limits[width + lane] = smallest < 0 ? smallest : -.infinity
        }
    }

    /// The rows as a sparse matrix, whatever they are.
    private func sparseRows() -> HostSparseMatrix {
        switch design.values {
        case .sparse(let matrix): return matrix
        case .dense(let matrix):
            let columns = matrix.columns
            return HostSparseMatrix(
                rows: matrix.rows, columns: columns,
                rowPointers: HostBuffer((0...matrix.rows).map { Int64($0 * columns) }),
                columnIndices: HostBuffer((0..<matrix.rows * columns).map { Int32($0 % columns) }),
                values: matrix.storage)
        }
    }

    /// Σ alpha · sign · x in double precision: what the float32 coefficients have lost on the way is put back.
    private func coefficients(_ blocks: [Block], _ matrix: HostSparseMatrix, k: Int) -> [Double] {
        let columns = design.columns
        let result = HostBuffer<Double>(repeating: 0, count: (columns + 1) * k)
        let width = Self.lanesOfBlock
        let target = training.target
        nonisolated(unsafe) let shared = blocks
        Workers.share(tasks: blocks.count, threads: design.threads) { number in
            let block = shared[number]
            for row in 0..<matrix.rows {
                let own = block.alpha.baseAddress + row * width
                var parts = [Double](repeating: 0, count: block.lanes)
                var any = false
                for lane in 0..<block.lanes where own[lane] != 0 {
                    parts[lane] = Double(own[lane]) * (Int(target[row]) == block.first + lane ? 1 : -1)
                    any = true
                }
                if !any { continue }
                for entry in matrix.range(ofRow: row) {
                    let value = Double(matrix.values[entry])
                    let place = result.baseAddress + Int(matrix.columnIndices[entry]) * k + block.first
                    for lane in 0..<block.lanes { place[lane] += value * parts[lane] }
                }
                let intercepts = result.baseAddress + columns * k + block.first
                for lane in 0..<block.lanes { intercepts[lane] += parts[lane] }
            }
        }
        return result.array
    }
}
