import Compute
import Conformance
import Core
import Testing

@Suite("Dense solvers") struct DenseSolverTests {
    private static let sizes = [1, 2, 3, 17, 64, 100]

    private func random(_ rows: Int, _ columns: Int, _ stream: UInt64) -> OracleMatrix {
        let generator = Philox(seed: 11, stream: stream)
        return OracleMatrix(
            rows: rows, columns: columns, elements: (0..<rows * columns).map { generator.normal(UInt64($0)) })
    }

    private func difference(_ a: OracleMatrix, _ b: OracleMatrix) -> Double {
        zip(a.elements, b.elements).map { abs($0 - $1) }.max() ?? 0
    }

    private func identity(_ n: Int) -> OracleMatrix {
        OracleMatrix(rows: n, columns: n, elements: (0..<n * n).map { $0 % (n + 1) == 0 ? 1 : 0 })
    }

    private func diagonal(_ values: [Double]) -> OracleMatrix {
        var matrix = identity(values.count)
        for (place, value) in values.enumerated() { matrix[place, place] = value }
        return matrix
    }

    private func product(_ factors: OracleMatrix...) -> OracleMatrix {
        factors.dropFirst().reduce(factors[0]) { Oracle.product($0, $1).values }
    }

    @Test("decompose symmetric matrices", arguments: TestDevice.all, sizes)
    func eigen(_ target: TestDevice, _ n: Int) throws {
        let x = random(n + 3, n, 1)
        let matrix = Oracle.gram(x).values
        let (values, vectors) = try target.device.denseSolver.symmetricEigen(matrix.elements, n: n)
        let v = OracleMatrix(rows: n, columns: n, elements: vectors)
        let scale = 1e-12 * Double(n + 3) * (values.last ?? 1)
        #expect(values == values.sorted())
        #expect(difference(product(v, diagonal(values), v.transposed), matrix) <= scale)
        #expect(difference(product(v.transposed, v), identity(n)) <= 1e-12 * Double(n))
    }

    @Test("factorize and solve positive definite matrices", arguments: TestDevice.all, sizes)
    func cholesky(_ target: TestDevice, _ n: Int) throws {
        let matrix = Oracle.gram(random(2 * n, n, 2)).values
        let solver = target.device.denseSolver
        let l = OracleMatrix(rows: n, columns: n, elements: try solver.cholesky(matrix.elements, n: n))
        #expect(difference(product(l, l.transposed), matrix) <= 1e-12 * Double(n * n))
        for row in 0..<n {
            for column in row + 1..<max(n, row + 1) { #expect(l[row, column] == 0) }
        }
        let rhs = random(n, 3, 3)
        let x = try solver.solvePositiveDefinite(matrix.elements, n: n, rhs: rhs.elements, columns: 3)
        let image = product(matrix, OracleMatrix(rows: n, columns: 3, elements: x))
        #expect(difference(image, rhs) <= 1e-9 * Double(n))
    }

    @Test("refuse matrices that are not positive definite", arguments: TestDevice.all)
    func notPositiveDefinite(_ target: TestDevice) {
        let solver = target.device.denseSolver
        for error in [
            computeError { () throws(ComputeError) in _ = try solver.cholesky([1, 2, 2, 1], n: 2) },
            computeError { () throws(ComputeError) in
                _ = try solver.solvePositiveDefinite([-1], n: 1, rhs: [1], columns: 1)
            },
        ] {
            guard case .numerical = error else {
                Issue.record("threw \(String(describing: error))")
                continue
            }
        }
    }

    @Test("decompose into QR", arguments: TestDevice.all, [(1, 1), (5, 1), (5, 5), (40, 17)])
    func qr(_ target: TestDevice, _ shape: (Int, Int)) throws {
        let (rows, columns) = shape
        let matrix = random(rows, columns, 4)
        let (q, r) = try target.device.denseSolver.qr(matrix.elements, rows: rows, columns: columns)
        let (left, right) = (
            OracleMatrix(rows: rows, columns: columns, elements: q),
            OracleMatrix(rows: columns, columns: columns, elements: r)
        )
        #expect(difference(product(left, right), matrix) <= 1e-12)
        #expect(difference(product(left.transposed, left), identity(columns)) <= 1e-12)
        for row in 0..<columns {
            for column in 0..<row { #expect(right[row, column] == 0) }
        }
    }

    @Test("find singular values", arguments: TestDevice.all, [(1, 1), (7, 3), (3, 7), (30, 30), (50, 20)])
    func singularValues(_ target: TestDevice, _ shape: (Int, Int)) throws {
        let (rows, columns) = shape
        let r = min(rows, columns)
        let matrix = random(rows, columns, 5)
        let (u, values, vt) = try target.device.denseSolver.singularValues(
            matrix.elements, rows: rows, columns: columns)
        #expect(u.count == rows * r && values.count == r && vt.count == r * columns)
        let left = OracleMatrix(rows: rows, columns: r, elements: u)
        let right = OracleMatrix(rows: r, columns: columns, elements: vt)
        #expect(values == values.sorted(by: >) && values.allSatisfy { $0 >= 0 })
        #expect(difference(product(left, diagonal(values), right), matrix) <= 1e-11)
        #expect(difference(product(left.transposed, left), identity(r)) <= 1e-11)
        #expect(difference(product(right, right.transposed), identity(r)) <= 1e-11)
    }
}
