import Compute
import Core
import Learners
import Tables
import Testing

@Suite struct EASETests {
    /// The weights minimise the loss under the constraint: for every column, ridge regression on the other items.
    @Test(arguments: TestDevices.names)
    func weightsAreConstrainedRidge(device: String) throws {
        let matrix = randomInteractions(rows: 70, columns: 12, lengths: [0, 2, 5, 7])
        var options = EASEOptions()
        options.regularization = 3
        options.confidence = .linear
        let stream = try TestDevices.stream(device)
        let learned = try EASEWeights(byUser: matrix, options: options, stream: stream)
        var dense = [[Double]](repeating: [Double](repeating: 0, count: 12), count: 70)
        for row in 0..<70 {
            for entry in matrix.range(ofRow: row) {
                dense[row][Int(matrix.columnIndices[entry])] = Double(matrix.values[entry])
            }
        }
        for target in 0..<12 {
            let others = (0..<12).filter { $0 != target }
            var system = [Double](repeating: 0, count: 121)
            var right = [Double](repeating: 0, count: 11)
            for row in dense {
                for (i, a) in others.enumerated() {
                    right[i] += row[a] * row[target]
                    for (j, b) in others.enumerated() { system[i * 11 + j] += row[a] * row[b] }
                }
            }
            for i in 0..<11 { system[i * 11 + i] += 3 }
            let solution = try stream.device.denseSolver.solvePositiveDefinite(system, n: 11, rhs: right, columns: 1)
            for (i, item) in others.enumerated() {
                #expect(abs(Double(learned.weights[item, target]) - solution[i]) < 1e-5)
            }
            #expect(learned.weights[target, target] == 0)
        }
    }

    @Test func tooManyItemsAreRefusedBeforeAnyWork() throws {
        let matrix = HostSparseMatrix(rows: 1, columns: 100_000, entries: [(0, 1, 1)])
        let error = #expect(throws: DataError.self) {
            try EASEWeights(
                byUser: matrix, options: EASEOptions(), stream: try TestDevices.stream("cpu"),
                memoryLimitBytes: 1 << 30)
        }
        #expect(error?.reason.contains("--minimum-per-item") == true)
        var options = EASEOptions()
        options.regularization = 0
        #expect(throws: ParameterError.self) { try options.validate() }
    }

    @Test func inversesAreInverses() throws {
        for name in TestDevices.names {
            let solver = try TestDevices.stream(name).device.denseSolver
            for n in [1, 5, 130] {
                let random = Philox(seed: UInt64(n), stream: 1)
                let root = (0..<n * n).map { random.normal(UInt64($0)) }
                var matrix = [Double](repeating: 0, count: n * n)
                for i in 0..<n {
                    for j in 0..<n {
                        for k in 0..<n { matrix[i * n + j] += root[i * n + k] * root[j * n + k] }
                    }
                    matrix[i * n + i] += Double(n)
                }
                var inverse = matrix
                try inverse.withUnsafeMutableBufferPointer {
                    try solver.invertPositiveDefinite($0.baseAddress!, n: n)
                }
                for i in 0..<n {
                    for j in 0..<n {
                        var sum = 0.0
                        for k in 0..<n { sum += matrix[i * n + k] * inverse[k * n + j] }
                        #expect(abs(sum - (i == j ? 1 : 0)) < 1e-10)
                    }
                }
                var negative = [Double](repeating: 0, count: n * n)
                negative[n * n - 1] = -1
                #expect(throws: ComputeError.self) {
                    try negative.withUnsafeMutableBufferPointer {
                        try solver.invertPositiveDefinite($0.baseAddress!, n: n)
                    }
                }
            }
        }
    }
}
