import CVectorLoops
import Core
import Tables

/// A kernel by its parameters.
struct KernelFunction: Codable, Sendable, Equatable {
    /// exp(−gamma · |x − y|²), else (gamma · x·y + offset)^degree.
    var isRadial: Bool
    var gamma: Double
    var offset: Double
    var degree: Int

    /// The kernel of a point with itself, from its squared length.
    func own(_ square: Double) -> Double {
        isRadial ? 1 : power(gamma * square + offset, Double(degree))
    }
}

/// Rows of the kernel matrix, computed when first asked for and kept while there is room, the least recently used ones
/// making way.
final class KernelRows {
    let rows: Int
    let kernel: KernelFunction
    /// Kernel of each row with itself.
    let diagonal: [Float]
    private let points: HostMatrix
    private let transposed: HostMatrix
    private let norms: [Float]
    private let threads: Int
    private let slots: HostBuffer<Float>
    private let slotCount: Int
    private var slotOfRow: [Int32]
    private var rowOfSlot: [Int32]
    private var lastUse: [Int]
    private var used = 0
    private var clock = 0
    /// Rows computed so far.
    private(set) var computed = 0

    init(points: HostMatrix, kernel: KernelFunction, cacheBytes: Int, threads: Int) {
        self.points = points
        self.kernel = kernel
        self.threads = threads
        rows = points.rows
        let flipped = HostMatrix(rows: points.columns, columns: points.rows)
        for row in 0..<points.rows {
            for column in 0..<points.columns { flipped[column, row] = points[row, column] }
        }
        transposed = flipped
        let squares = (0..<points.rows).map { points.row($0).reduce(0) { $0 + Double($1) * Double($1) } }
        norms = squares.map { Float($0) }
        diagonal = squares.map { Float(kernel.own($0)) }
        // Two rows are used at a time.
        slotCount = max(2, min(points.rows, cacheBytes / max(points.rows * 4, 1)))
        slots = HostBuffer(uninitializedCount: slotCount * points.rows)
        slotOfRow = [Int32](repeating: -1, count: points.rows)
        rowOfSlot = [Int32](repeating: -1, count: slotCount)
        lastUse = [Int](repeating: 0, count: slotCount)
    }

    /// One row; valid until two other rows have been asked for.
    func row(_ index: Int) -> UnsafePointer<Float> {
        clock += 1
        if slotOfRow[index] >= 0 {
            lastUse[Int(slotOfRow[index])] = clock
            return UnsafePointer(slots.baseAddress + Int(slotOfRow[index]) * rows)
        }
        var slot = used
        if used < slotCount {
            used += 1
        } else {
            slot = lastUse.indices.min { lastUse[$0] < lastUse[$1] } ?? 0
            slotOfRow[Int(rowOfSlot[slot])] = -1
        }
        slotOfRow[index] = Int32(slot)
        rowOfSlot[slot] = Int32(index)
        lastUse[slot] = clock
        compute(index, into: slots.baseAddress + slot * rows)
        return UnsafePointer(slots.baseAddress + slot * rows)
    }

    private func compute(_ index: Int, into target: UnsafeMutablePointer<Float>) {
        computed += 1
        let chunk = 8192
        let chunks = (rows + chunk - 1) / chunk
        let columns = points.columns
        nonisolated(unsafe) let target = target
        let (points, transposed, rows, kernel) = (points, transposed, rows, kernel)
        norms.withUnsafeBufferPointer { norms in
            nonisolated(unsafe) let norms = norms
            Workers.share(tasks: chunks, threads: rows * columns > 4_000_000 ? threads : 1) { number in
                apus_kernel_row(
                    points.storage.baseAddress + index * columns, transposed.storage.baseAddress, Int64(columns),
                    Int64(rows), norms.baseAddress, norms[index], kernel.isRadial ? 0 : 1, Float(kernel.gamma),
                    Float(kernel.offset), Int32(kernel.degree), target, Int64(number * chunk),
                    Int64(min((number + 1) * chunk, rows)))
            }
        }
    }
}

/// Sequential minimal optimization with second-order choice of the pair (Platt 1998; Fan, Chen and Lin 2005).
///
/// Minimises ½ αᵀQα − Σα for 0 ≤ α ≤ upper, Σ sign·α = 0. Kernel rows are float32, everything else double precision.
final class SequentialMinimalOptimization {
    struct Solution {
        var alpha: [Double]
        var intercept: Double
        var iterations: Int
        var converged: Bool
    }

    private let rows: KernelRows
    private let signs: [Double]
    private let upper: [Double]

    init(rows: KernelRows, signs: [Double], upper: [Double]) {
        self.rows = rows
        self.signs = signs
        self.upper = upper
    }

    func minimize(
        tolerance: Double, maximumIterations: Int, progress: (Int, Double) throws -> Void
    ) throws -> Solution {
        let n = rows.rows
        let most = maximumIterations > 0 ? maximumIterations : max(10_000_000, 100 * n)
        var alpha = [Double](repeating: 0, count: n)
        // sign − score without the intercept: what the margins miss.
        var score = signs
        // 0 where alpha may move so as to raise (lower) the score, −∞ (+∞) elsewhere.
        var (up, low) = ([Double](repeating: 0, count: n), [Double](repeating: 0, count: n))
        func setBounds(_ t: Int) {
            let (isFloor, isCeiling) = (alpha[t] <= 0, alpha[t] >= upper[t])
            let canRise = signs[t] > 0 ? !isCeiling : !isFloor
            let canFall = signs[t] > 0 ? !isFloor : !isCeiling
            up[t] = canRise ? 0 : -.infinity
            low[t] = canFall ? 0 : .infinity
        }
        for t in 0..<n { setBounds(t) }
        let diagonal = rows.diagonal
        let zeros = HostBuffer<Float>(repeating: 0, count: n)
        var (top, bottom) = (0.0, 0.0)
        // A first pass that changes nothing finds where to begin.
        var i = Int(
            apus_smo_update(&score, zeros.baseAddress, zeros.baseAddress, 0, up, low, Int64(n), &top, &bottom))
        for iteration in 0..<most {
            if iteration % 1000 == 0 { try progress(iteration, top - bottom) }
            if i < 0 || top - bottom < tolerance {
                return Solution(
                    alpha: alpha, intercept: intercept(alpha, score, top, bottom), iterations: iteration,
                    converged: true)
            }
            let left = rows.row(i)
            let j = Int(
                apus_smo_partner(score, low, left, diagonal, top, Double(diagonal[i]), Int64(n)))
            if j < 0 {
                return Solution(
                    alpha: alpha, intercept: intercept(alpha, score, top, bottom), iterations: iteration,
                    converged: true)
            }
            let right = rows.row(j)
            let curvature = max(Double(diagonal[i]) + Double(diagonal[j]) - 2 * Double(left[j]), 1e-12)
            // sign_i·alpha_i rises by delta, sign_j·alpha_j falls by it, both within their bounds.
            var delta = (score[i] - score[j]) / curvature
            delta = min(delta, signs[i] > 0 ? upper[i] - alpha[i] : alpha[i])
            delta = min(delta, signs[j] > 0 ? alpha[j] : upper[j] - alpha[j])
            alpha[i] = bounded(alpha[i] + signs[i] * delta, upper[i])
            alpha[j] = bounded(alpha[j] - signs[j] * delta, upper[j])
            setBounds(i)
            setBounds(j)
            i = Int(apus_smo_update(&score, left, right, delta, up, low, Int64(n), &top, &bottom))
        }
        return Solution(
            alpha: alpha, intercept: intercept(alpha, score, top, bottom), iterations: most, converged: false)
    }

    /// Exactly at a bound, when rounding ends beside it.
    private func bounded(_ value: Double, _ upper: Double) -> Double {
        if value < 1e-12 * upper { return 0 }
        return value > upper * (1 - 1e-12) ? upper : value
    }

    /// The mean over the rows within their bounds; without one, the middle of what the others allow.
    private func intercept(_ alpha: [Double], _ score: [Double], _ top: Double, _ bottom: Double) -> Double {
        var (sum, count) = (0.0, 0)
        for t in alpha.indices where alpha[t] > 0 && alpha[t] < upper[t] {
            sum += score[t]
            count += 1
        }
        if count > 0 { return sum / Double(count) }
        return top.isFinite && bottom.isFinite ? (top + bottom) / 2 : top.isFinite ? top : bottom.isFinite ? bottom : 0
    }
}
