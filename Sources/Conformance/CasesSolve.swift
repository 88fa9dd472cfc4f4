import Compute
import Core

/// solveNormalEquations: the exact method and the two that improve a solution.
enum SolveCases {
    static func solveNormalEquations(_ sweep: Sweep) -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        for (index, d) in sweep.dimensions.enumerated() {
            for variant in 0..<(sweep == .full && d <= 129 ? 4 : 2) {
                cases.append(exact(Setting(dimension: d, index: index + variant, sweep)))
            }
        }
        let blocks = sweep == .minimal ? [4, 16] : [1, 4, 7, 8, 16, 32, 64, 200]
        for (index, d) in sweep.dimensions.enumerated() {
            for (place, block) in blocks.enumerated() where sweep == .full || (index + place) % 2 == 0 {
                cases.append(subspace(Setting(dimension: d, index: index + place, sweep), blockSize: block))
            }
            cases.append(conjugateGradient(Setting(dimension: d, index: index, sweep)))
        }
        if sweep != .minimal {
            var ill = Setting(dimension: 32, index: 2, sweep)
            ill.ridge = 1e-3
            cases.append(exact(ill))
            cases.append(exact(Setting(dimension: 24, index: 3, sweep, lengths: [2000, 0, 1, 1999, 3, 24, 23, 25])))
        }
        if sweep == .full {
            cases.append(exact(Setting(dimension: 512, index: 1, sweep, lengths: [0, 3, 511, 512, 513, 700])))
            cases.append(
                subspace(Setting(dimension: 512, index: 1, sweep, lengths: [0, 3, 511, 700]), blockSize: 64))
            cases.append(conjugateGradient(Setting(dimension: 512, index: 1, sweep, lengths: [0, 3, 511, 700])))
            cases.append(exact(Setting(dimension: 16, index: 0, sweep, lengths: (0..<500).map { ($0 * 37) % 70 })))
        }
        return cases
    }

    /// What varies from case to case.
    private struct Setting: Sendable {
        let dimension: Int
        let index: Int
        let lengths: [Int]?
        let columns: Int
        let rows: Int
        var ridge: Float = 0.3

        init(dimension: Int, index: Int, _ sweep: Sweep, lengths: [Int]? = nil) {
            self.dimension = dimension
            self.index = index
            self.lengths = lengths
            columns = max(lengths?.max() ?? 0, sweep == .minimal ? 40 : 150)
            rows = lengths?.count ?? (sweep == .minimal ? 8 : 17)
        }

        var weighted: Bool { index % 3 != 1 }
        var withTargets: Bool { index % 2 == 1 }
        var layout: Layout { Layout.all[index % 3] }
        var range: Range<Int>? { lengths == nil ? SparsePattern.range(rows, index) : nil }

        var detail: String {
            "d \(dimension)\(lengths == nil ? "" : " rows of up to \(lengths?.max() ?? 0) entries")"
                + "\(weighted ? " weighted" : "")\(withTargets ? " targets" : "") \(layout)"
                + "\(range == nil ? "" : " rows of")\(ridge < 0.1 ? " ill-conditioned" : "")"
        }
    }

    /// The operands of a case.
    private struct Problem {
        let oracle: OracleNormalEquations
        let sparse: SparseMatrix
        let targets: Operand?
        let fixed: Operand
        let diagonal: Operand
        let rowRegularization: Operand

        init(_ run: CaseRun, _ setting: Setting) throws(ComputeError) {
            let d = setting.dimension
            let host = SparsePattern.matrix(
                rows: setting.rows, columns: setting.columns, lengths: setting.lengths, run)
            if setting.weighted {
                // Weight 0 is no entry; row 4 has nothing else.
                for entry in stride(from: 3, to: host.entryCount, by: 7) { host.values[entry] = 0 }
                if setting.rows > 4 {
                    for entry in host.range(ofRow: 4) { host.values[entry] = 0 }
                }
            } else {
                // Values that must not be read as weights.
                for entry in 0..<host.entryCount { host.values[entry] = 100 }
            }
            let sparse = try run.sparse(host, rows: setting.range)
            let rows = sparse.oracle.rows
            // Rows of length about 1, as those of a factor table.
            let width = (3 / Float(d)).squareRoot()
            let table = run.uniform(setting.columns * d, -width, width)
            var diagonal = run.uniform(d, 0, 1)
            if d > 2 { diagonal[d - 1] = 0 }
            let regularization = run.uniform(rows, setting.ridge, 2 * setting.ridge)
            let targets = setting.withTargets ? run.uniform(host.entryCount, -1, 3) : nil
            self.sparse = sparse.device
            self.targets = try targets.map { x throws(ComputeError) in try run.vector(x, .padded, "targets") }
            fixed = try run.input(table, rows: setting.columns, columns: d, setting.layout, "fixed")
            self.diagonal = try run.vector(diagonal, setting.layout, "diagonal")
            rowRegularization = try run.vector(regularization, .padded, "rowRegularization")
            oracle = OracleNormalEquations(
                sparse: sparse.oracle, weighted: setting.weighted, targets: targets?.map(Double.init),
                fixed: OracleMatrix(rows: setting.columns, columns: d, table), diagonal: diagonal.map(Double.init),
                rowRegularization: regularization.map(Double.init))
        }

        func solve(
            _ stream: Stream, _ method: NormalEquationMethod, _ solution: Operand
        ) throws(ComputeError) {
            try stream.solveNormalEquations(
                sparse, weighted: oracle.weighted, targets: targets?.matrix, fixed: fixed.matrix,
                diagonal: diagonal.matrix, rowRegularization: rowRegularization.matrix, method: method,
                solution: solution.matrix)
        }

        /// How far a row may be off when its solution and start have this length.
        func tolerance(row: Int, length: Double) -> Double {
            let entries = oracle.sparse.range(ofRow: row).count
            let bounds = oracle.bounds(row: row)
            return Tolerance.solve(dimension: oracle.dimension, entries: entries, condition: bounds.condition) * length
                + Tolerance.sum(entries) * oracle.rightHandMagnitude(row: row) / bounds.smallest
        }
    }

    private static func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }

    /// Judges the rows of a solution, each in relation to a length of its own.
    private static func compare(
        _ run: CaseRun, _ operand: Operand, _ expected: [[Double]], tolerances: [Double], _ what: String = ""
    ) {
        let actual = run.values(of: operand)
        for (row, solution) in expected.enumerated() {
            for (place, value) in solution.enumerated() {
                run.judge(Double(actual[row * solution.count + place]), value, tolerances[row]) {
                    "\(what)coordinate \(place) of row \(row)"
                }
            }
        }
    }

    private static func exact(_ setting: Setting) -> ConformanceCase {
        ConformanceCase(.solveNormalEquations, "exact \(setting.detail)") { run throws(ComputeError) in
            let problem = try Problem(run, setting)
            let oracle = problem.oracle
            let rows = oracle.sparse.rows
            // Not read: NaN everywhere before.
            let solution = try run.output(rows: rows, columns: setting.dimension, setting.layout)
            run.work = work(oracle)
            try run.perform { stream throws(ComputeError) in try problem.solve(stream, .exact, solution) }
            let expected = (0..<rows).map(oracle.exact(row:))
            let tolerances = (0..<rows).map { row in
                let length = norm(expected[row])
                let bound = problem.tolerance(row: row, length: length)
                return setting.ridge < 0.1 ? bound : min(bound, Tolerance.exactSolution * length)
            }
            compare(run, solution, expected, tolerances: tolerances)
        }
    }

    private static func work(_ oracle: OracleNormalEquations) -> Double {
        let d = Double(oracle.dimension)
        return (0..<oracle.sparse.rows).reduce(0) { sum, row in
            let n = Double(oracle.sparse.range(ofRow: row).count)
            let smaller = min(n, d)
            return sum + n * d * smaller + smaller * smaller * smaller / 3
        }
    }

    private static func subspace(_ setting: Setting, blockSize: Int) -> ConformanceCase {
        ConformanceCase(.solveNormalEquations, "subspace \(blockSize) \(setting.detail)") { run throws(ComputeError) in
            let problem = try Problem(run, setting)
            let oracle = problem.oracle
            let (rows, d) = (oracle.sparse.rows, setting.dimension)
            let start = run.uniform(rows * d, -0.5, 0.5)
            let solution = try run.output(rows: rows, columns: d, setting.layout, initial: start)
            try run.perform { stream throws(ComputeError) in
                try problem.solve(stream, .subspace(blockSize: blockSize), solution)
            }
            let starts = OracleMatrix(rows: rows, columns: d, start)
            let expected = (0..<rows).map { row in
                oracle.subspace(row: row, blockSize: blockSize, start: Array(starts.row(row)))
            }
            // The residual at the start is rounded too, so that its length counts as well as that of the result. A row
            // without entries is 0 exactly.
            let tolerances = (0..<rows).map { row in
                norm(expected[row]) == 0
                    ? 0 : problem.tolerance(row: row, length: norm(expected[row]) + norm(Array(starts.row(row))))
            }
            compare(run, solution, expected, tolerances: tolerances)
        }
    }

    /// The preconditioner is the device's choice, so that properties are checked, not numbers: the error in the energy
    /// norm never grows with the number of steps, falls within three, vanishes after as many steps as the system has
    /// dimensions, and a solution stays one.
    private static func conjugateGradient(_ setting: Setting) -> ConformanceCase {
        ConformanceCase(.solveNormalEquations, "conjugate gradient \(setting.detail)") { run throws(ComputeError) in
            let problem = try Problem(run, setting)
            let oracle = problem.oracle
            let (rows, d) = (oracle.sparse.rows, setting.dimension)
            let exact = (0..<rows).map(oracle.exact(row:))
            let start = run.uniform(rows * d, -0.5, 0.5)
            var steps = [1, 2, 3]
            if d <= 17 { steps.append(d + 3) }
            var outputs: [Operand] = []
            for _ in steps {
                outputs.append(try run.output(rows: rows, columns: d, setting.layout, initial: start))
            }
            let stays = try run.output(
                rows: rows, columns: d, setting.layout, initial: exact.flatMap { $0.map(Float.init) })
            try run.perform { stream throws(ComputeError) in
                for (count, output) in zip(steps, outputs) {
                    try problem.solve(stream, .conjugateGradient(steps: count), output)
                }
                try problem.solve(stream, .conjugateGradient(steps: 3), stays)
            }
            let tolerances = (0..<rows).map { row in
                let length = norm(exact[row])
                return min(problem.tolerance(row: row, length: length), Tolerance.exactSolution * length)
            }
            compare(run, stays, exact, tolerances: tolerances, "from the solution: ")
            let starts = OracleMatrix(rows: rows, columns: d, start)
            for row in 0..<rows {
                let solved = outputs.map { Array(run.values(of: $0)[row * d..<(row + 1) * d]).map(Double.init) }
                if norm(exact[row]) == 0 {
                    if solved.contains(where: { norm($0) != 0 }) { run.fail("row \(row) has no entries and is not 0") }
                    continue
                }
                let floor = oracle.bounds(row: row).largest.squareRoot() * tolerances[row]
                let first = oracle.energyError(row: row, Array(starts.row(row)), solution: exact[row])
                let errors = solved.map { oracle.energyError(row: row, $0, solution: exact[row]) }
                for (before, after) in zip([first] + errors, errors) where !(after <= before * 1.001 + floor) {
                    run.fail("row \(row): the error in the energy norm grew from \(before) to \(after)")
                }
                if !(errors[2] <= 0.95 * first + floor) {
                    run.fail("row \(row): three steps took the error only from \(first) to \(errors[2])")
                }
                if d <= 17 {
                    run.judge(errors[3], 0, floor) { "row \(row): the error in the energy norm after \(d + 3) steps" }
                }
            }
        }
    }
}
