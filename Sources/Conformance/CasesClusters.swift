import Compute
import Core

/// assignNearest and accumulateByLabel.
enum ClusterCases {
    /// Points, centres, dimension.
    private static func shapes(_ sweep: Sweep) -> [(Int, Int, Int)] {
        switch sweep {
        case .minimal: [(33, 13, 5), (130, 3, 17), (1, 129, 16), (31, 12, 1), (25, 225, 37)]
        case .reduced:
            [
                (1, 1, 1), (31, 12, 4), (33, 13, 16), (130, 129, 17), (64, 24, 33), (500, 7, 2), (200, 40, 128),
                (5, 0, 3), (0, 4, 3), (9, 4, 0), (1000, 64, 8), (95, 220, 40),
            ]
        case .full:
            [
                (1, 1, 1), (31, 12, 4), (32, 11, 3), (33, 13, 16), (63, 23, 15), (64, 24, 33), (65, 25, 64),
                (127, 127, 31), (128, 128, 32), (130, 129, 17), (500, 7, 2), (200, 40, 128), (5, 0, 3), (0, 4, 3),
                (9, 4, 0), (1000, 64, 8), (700, 257, 65), (40, 300, 513), (10_000, 33, 4), (3000, 5, 20),
                (3, 2000, 12), (4097, 16, 1), (95, 220, 40), (300, 256, 32), (37, 1000, 129),
            ]
        }
    }

    static func assignNearest(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).enumerated().flatMap { index, shape in
            [randomAssignment(shape, index), integerAssignment(shape, index)]
        }
    }

    /// Any centre within rounding of the nearest will do; the distance is that to the centre chosen.
    private static func randomAssignment(_ shape: (Int, Int, Int), _ index: Int) -> ConformanceCase {
        let (n, k, d) = shape
        let layout = Layout.all[index % 3]
        let measured = index % 2 == 0
        return ConformanceCase(
            .assignNearest, "random \(n) × \(k) × \(d) \(layout)\(measured ? " distances" : "")"
        ) { run throws(ComputeError) in
            let points = OracleMatrix(rows: n, columns: d, run.uniform(n * d))
            let centers = OracleMatrix(rows: k, columns: d, run.uniform(k * d))
            let left = try run.input(points.elements.map(Float.init), rows: n, columns: d, layout, "points")
            let right = try run.input(centers.elements.map(Float.init), rows: k, columns: d, layout, "centers")
            let labels = try run.integerOutput(rows: 1, columns: n, layout)
            let distances =
                measured ? try run.output(rows: 1, columns: n, layout, "distances") : nil
            run.work = 2 * Double(n) * Double(k) * Double(d)
            try run.perform { stream throws(ComputeError) in
                try stream.assignNearest(
                    points: left.matrix, centers: right.matrix, labels: labels.matrix, distances: distances?.matrix)
            }
            let exact = Oracle.squaredDistances(points, centers)
            let found = run.words(of: labels).map(Int.init)
            let values = distances.map(run.values)
            for i in 0..<n {
                guard k > 0 else {
                    if found[i] != -1 {
                        return run.fail("point \(i) has label \(found[i]) though there are no centres")
                    }
                    if let values, values[i] != .infinity { return run.fail("point \(i) has distance \(values[i])") }
                    continue
                }
                guard (0..<k).contains(found[i]) else { return run.fail("point \(i) has label \(found[i])") }
                let row = exact.row(i)
                let best = row.min() ?? 0
                let chosen = row[row.startIndex + found[i]]
                // Twice the error of ½|c|² − x·c, for the two centres that are compared.
                var scale = 0.0
                for p in 0..<d { scale += abs(points[i, p]) + 0.5 }
                run.judge(chosen, best, 4 * Tolerance.sum(d) * scale) { "the centre of point \(i)" }
                if let values {
                    run.judge(Double(values[i]), chosen, 2 * Tolerance.sum(d) * chosen + 1e-30) {
                        "the distance of point \(i)"
                    }
                }
            }
        }
    }

    /// Small integers: labels are exact, ties go to the lower index; NaN points, NaN and infinite centres.
    private static func integerAssignment(_ shape: (Int, Int, Int), _ index: Int) -> ConformanceCase {
        let (n, k, d) = shape
        let layout = Layout.all[(index + 1) % 3]
        return ConformanceCase(.assignNearest, "integers \(n) × \(k) × \(d) \(layout)") { run throws(ComputeError) in
            var points = run.integers(n * d, -3...3).map(Float.init)
            var centers = run.integers(k * d, -3...3).map(Float.init)
            for copy in stride(from: 2, to: k, by: 3) {
                for p in 0..<d { centers[copy * d + p] = centers[copy / 2 * d + p] }
            }
            if d > 0 {
                for i in stride(from: 3, to: n, by: 17) { points[i * d + i % d] = .nan }
                for j in stride(from: 4, to: k, by: 11) { centers[j * d + j % d] = j % 2 == 0 ? .nan : .infinity }
            }
            let left = try run.input(points, rows: n, columns: d, layout, "points")
            let right = try run.input(centers, rows: k, columns: d, layout, "centers")
            let labels = try run.integerOutput(rows: 1, columns: n, layout)
            let distances = try run.output(rows: 1, columns: n, layout, "distances")
            try run.perform { stream throws(ComputeError) in
                try stream.assignNearest(
                    points: left.matrix, centers: right.matrix, labels: labels.matrix, distances: distances.matrix)
            }
            let expected = Oracle.nearest(
                OracleMatrix(rows: n, columns: d, points), OracleMatrix(rows: k, columns: d, centers))
            run.compareExactly(labels, expected.labels)
            run.compare(distances, expected.distances) { _ in 0 }
        }
    }

    static func accumulateByLabel(_ sweep: Sweep) -> [ConformanceCase] {
        shapes(sweep).enumerated().flatMap { index, shape in
            let (n, k, d) = shape
            return [accumulation(n, k, d, index), accumulation(n, k, d, index + 1)]
        } + (sweep == .minimal ? [] : [longSum()])
    }

    private static func accumulation(_ n: Int, _ k: Int, _ d: Int, _ index: Int) -> ConformanceCase {
        let layout = Layout.all[index % 3]
        let weighted = index % 2 == 1
        return ConformanceCase(
            .accumulateByLabel, "\(n) × \(k) × \(d) \(layout)\(weighted ? " weights" : "")"
        ) { run throws(ComputeError) in
            let points = OracleMatrix(rows: n, columns: d, run.uniform(n * d))
            // Some labels have no points, some points no label.
            let labels = run.integers(n, -1...max(k, 1)).map { $0 % 5 == 3 ? 0 : $0 }
            let weights = weighted ? run.uniform(n, 0, 2) : nil
            let left = try run.input(points.elements.map(Float.init), rows: n, columns: d, layout, "points")
            let label = try run.input(labels.map(Int32.init), layout)
            let weight = try weights.map { x throws(ComputeError) in try run.vector(x, layout, "weights") }
            let sums = try run.output(rows: k, columns: d, layout, "sums")
            let totals = try run.output(rows: 1, columns: k, layout, "totals")
            run.work = Double(4 * n * d)
            try run.perform { stream throws(ComputeError) in
                try stream.accumulateByLabel(
                    points: left.matrix, labels: label.matrix, weights: weight?.matrix, sums: sums.matrix,
                    totals: totals.matrix)
            }
            let expected = Oracle.accumulate(points, labels: labels, weights: weights?.map(Double.init), count: k)
            run.compare(sums, expected.sums.elements) {
                2 * Tolerance.unit * expected.magnitudes.elements[$0] + 1e-30
            }
            run.compare(totals, expected.totals) { 2 * Tolerance.unit * expected.totals[$0] + 1e-30 }
        }
    }

    /// Float32 alone would stop counting at 2²⁴.
    private static func longSum() -> ConformanceCase {
        ConformanceCase(.accumulateByLabel, "50000 × 3 of integers, sums beyond 2^24") { run throws(ComputeError) in
            let points = run.integers(150_000, 900...1023).map(Float.init)
            let labels = (0..<50_000).map { Int32($0 % 7 == 0 ? 1 : 0) }
            let left = try run.input(points, rows: 50_000, columns: 3, .padded, "points")
            let label = try run.input(labels)
            let sums = try run.output(rows: 2, columns: 3, .packed, "sums")
            let totals = try run.output(rows: 1, columns: 2, .packed, "totals")
            try run.perform { stream throws(ComputeError) in
                try stream.accumulateByLabel(
                    points: left.matrix, labels: label.matrix, sums: sums.matrix, totals: totals.matrix)
            }
            let expected = Oracle.accumulate(
                OracleMatrix(rows: 50_000, columns: 3, points), labels: labels.map(Int.init), weights: nil, count: 2)
            run.compare(sums, expected.sums.elements) { Tolerance.unit * expected.sums.elements[$0] }
            run.compare(totals, expected.totals) { _ in 0 }
        }
    }
}
