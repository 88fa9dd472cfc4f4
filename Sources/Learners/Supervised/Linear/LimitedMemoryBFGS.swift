import CVectorLoops
import Core
import Tables

/// The limited-memory BFGS method (Nocedal 1980; Liu and Nocedal 1989) for smooth objectives of many coefficients.
enum LimitedMemoryBFGS {
    /// Pairs of steps and changes of the gradient that stand for the curvature.
    static let memory = 10

    /// Minimizes `value`, which returns the objective and writes the gradient.
    ///
    /// - Parameters:
    ///   - scale: what the largest element of the gradient is compared with: stops at `tolerance · scale`.
    ///   - progress: told of the iterations and the value; throws to stop.
    static func minimize(
        start: [Double], tolerance: Double, scale: Double, maximumIterations: Int, threads: Int = 1,
        progress: (Int, Double) throws -> Void,
        _ value: ([Double], UnsafeMutablePointer<Double>) -> Double
    ) rethrows -> (point: [Double], iterations: Int, converged: Bool) {
        let size = start.count
        var point = start
        var gradient = [Double](repeating: 0, count: size)
        var current = value(point, &gradient)
        var (steps, changes, inverses): ([[Double]], [[Double]], [Double]) = ([], [], [])
        for iteration in 0..<maximumIterations {
            try progress(iteration, current)
            if gradient.reduce(0, { max($0, abs($1)) }) <= tolerance * scale { return (point, iteration, true) }
            var direction = twoLoops(gradient, steps, changes, inverses, threads)
            var slope = dot(direction, gradient)
            if slope >= 0 {
                // Rounding has spoilt the memory: begin again with the steepest descent.
                (steps, changes, inverses) = ([], [], [])
                direction = gradient.map { -$0 }
                slope = dot(direction, gradient)
            }
            let first = steps.isEmpty ? min(1, 1 / max(direction.reduce(0) { max($0, abs($1)) }, 1e-300)) : 1
            guard
                let found = lineSearch(
                    point, direction, current, slope, first: first, value)
            else { return (point, iteration, gradient.reduce(0, { max($0, abs($1)) }) <= 1e-4 * scale) }
            var (step, change) = (found.point, found.gradient)
            for place in 0..<size {
                step[place] -= point[place]
                change[place] -= gradient[place]
            }
            let curvature = dot(step, change)
            if curvature > 1e-300 {
                if steps.count == memory {
                    steps.removeFirst()
                    changes.removeFirst()
                    inverses.removeFirst()
                }
                steps.append(step)
                changes.append(change)
                inverses.append(1 / curvature)
            }
            (point, gradient, current) = (found.point, found.gradient, found.value)
        }
        return (point, maximumIterations, false)
    }

    private static func twoLoops(
        _ gradient: [Double], _ steps: [[Double]], _ changes: [[Double]], _ inverses: [Double], _ threads: Int
    ) -> [Double] {
        var direction = gradient.map { -$0 }
        var factors = [Double](repeating: 0, count: steps.count)
        for number in steps.indices.reversed() {
            factors[number] = inverses[number] * dot(steps[number], direction, threads: threads)
            add(-factors[number], changes[number], to: &direction, threads: threads)
        }
        if let last = changes.indices.last {
            let scale = 1 / (inverses[last] * dot(changes[last], changes[last]))
            for place in direction.indices { direction[place] *= scale }
        }
        for number in steps.indices {
            let factor = factors[number] - inverses[number] * dot(changes[number], direction, threads: threads)
            add(factor, steps[number], to: &direction, threads: threads)
        }
        return direction
    }

    /// A step by the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and 3.6), by bisection and cubic steps.
    private static func lineSearch(
        _ point: [Double], _ direction: [Double], _ start: Double, _ slope: Double, first: Double,
        _ value: ([Double], UnsafeMutablePointer<Double>) -> Double
    ) -> (point: [Double], gradient: [Double], value: Double)? {
        let (sufficient, curvature) = (1e-4, 0.9)
        var (low, lowValue, lowSlope) = (0.0, start, slope)
        var high: Double?
        var length = first
        var next = point
        var gradient = [Double](repeating: 0, count: point.count)
        for _ in 0..<40 {
            next = point
            add(length, direction, to: &next)
            let reached = value(next, &gradient)
            let reachedSlope = dot(gradient, direction)
            let tooHigh = !(reached <= start + sufficient * length * slope) || (low > 0 && reached >= lowValue)
            if tooHigh {
                // What rounding hides can't be searched for.
                if reached <= start + 1e-15 * abs(start), abs(reachedSlope) <= curvature * abs(slope) {
                    return (next, gradient, reached)
                }
                high = length
            } else if abs(reachedSlope) <= -curvature * slope {
                return (next, gradient, reached)
            } else if reachedSlope >= 0 {
                high = length
            } else {
                (low, lowValue, lowSlope) = (length, reached, reachedSlope)
            }
            if let end = high {
                // The minimum of the parabola through the low end's value and slope and this value, kept inside.
                let span = length - low
                var share = 0.5
                if tooHigh, span > 0, reached.isFinite {
                    let bend = 2 * (reached - lowValue - lowSlope * span)
                    if bend > 0 { share = min(max(-lowSlope * span * span / bend / (end - low), 0.1), 0.9) }
                }
                length = low + share * (end - low)
            } else {
                length *= 2
            }
        }
        return nil
    }

    /// Elements of a chunk: fixed, so that every number of threads gives the same sums.
    private static let chunk = 1 << 16

    static func dot(_ a: [Double], _ b: [Double], threads: Int = 1) -> Double {
        let chunks = (a.count + chunk - 1) / chunk
        let partial = HostBuffer<Double>(repeating: 0, count: max(chunks, 1))
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                guard let start = a.baseAddress, let other = b.baseAddress else { return }
                nonisolated(unsafe) let (left, right, count) = (start, other, a.count)
                Workers.share(tasks: chunks, threads: chunks >= 8 ? threads : 1) { number in
                    let first = number * chunk
                    partial.baseAddress[number] = apus_double_dot(
                        left + first, right + first, Int64(min(chunk, count - first)))
                }
            }
        }
        return partial.elements.reduce(0, +)
    }

    static func add(_ factor: Double, _ values: [Double], to sum: inout [Double], threads: Int = 1) {
        let chunks = (values.count + chunk - 1) / chunk
        values.withUnsafeBufferPointer { values in
            sum.withUnsafeMutableBufferPointer { sum in
                guard let start = values.baseAddress, let end = sum.baseAddress else { return }
                nonisolated(unsafe) let (source, target, count) = (start, end, values.count)
                Workers.share(tasks: chunks, threads: chunks >= 8 ? threads : 1) { number in
                    let first = number * chunk
                    apus_double_add(factor, source + first, target + first, Int64(min(chunk, count - first)))
                }
            }
        }
    }
}
