import Compute
import Core
import Devices
import Learners
import Testing

/// Launches and bytes of an iteration are what ``FactorizationTrainer`` documents, and nothing is allocated.
@Suite struct CounterTests {
    /// Launches of the primitives on a device, for the shapes of a training.
    private struct Launches {
        let stream: Compute.Stream

        func of(_ body: () throws -> Void) throws -> Int {
            let before = stream.counters.launches
            try body()
            return stream.counters.launches - before
        }

        /// One rotation of a table: for every chunk of rows a product and a copy.
        func rotation(_ rows: Int, _ d: Int, longest: Int) throws -> Int {
            let elements = stream.device.identity.deviceClass == .cpu ? 1 << 19 : 1 << 24
            let chunk = min(max(256, (elements / d + 255) / 256 * 256), longest)
            let basis = try stream.allocate(rows: d, columns: d)
            return try stride(from: 0, to: rows, by: chunk).reduce(0) { sum, start in
                let part = try stream.allocate(rows: min(chunk, rows - start), columns: d)
                let table = try stream.allocate(rows: min(chunk, rows - start), columns: d)
                return try sum + of { try stream.gemm(table, basis, into: part) }
                    + of { try stream.copy(part, to: table) }
            }
        }

        func gram(_ rows: Int, _ d: Int) throws -> Int {
            let (table, gram) = (try stream.allocate(rows: rows, columns: d), try stream.allocate(rows: d, columns: d))
            return try of { try stream.gram(table, into: gram) }
        }

        /// The rest of a half-step that solves `rows` rows.
        func solve(_ sparse: HostSparseMatrix, _ d: Int, _ method: NormalEquationMethod) throws -> Int {
            let rows = try stream.wrap(sparse)
            let fixed = try stream.allocate(rows: sparse.columns, columns: d)
            try stream.fill(fixed, with: 0.1)
            let solution = try stream.allocate(rows: sparse.rows, columns: d)
            try stream.fill(solution, with: 0)
            let (diagonal, ridge) = (
                try stream.upload([Float](repeating: 1, count: d)),
                try stream.upload([Float](repeating: 1, count: sparse.rows))
            )
            return try of {
                try stream.solveNormalEquations(
                    rows, weighted: false, fixed: fixed, diagonal: diagonal, rowRegularization: ridge, method: method,
                    solution: solution)
            }
        }
    }

    private func measure(
        _ device: String, _ options: FactorizationOptions, _ byUser: HostSparseMatrix
    ) throws -> (counters: StreamCounters, allocated: Int) {
        let stream = try TestDevices.stream(device)
        let trainer = try FactorizationTrainer(
            data: try FactorizationData(byUser: byUser, byItem: byUser.transposed(), options: options),
            options: options, stream: stream)
        _ = try trainer.iterate()
        let before = stream.counters
        _ = try trainer.iterate()
        let one = stream.counters - before
        _ = try trainer.iterate()
        #expect(stream.counters - before == one + one, "every iteration does the same")
        return (one, one.allocations)
    }

    /// The second size has more rows than a chunk of a rotation.
    @Test(
        arguments: TestDevices.names, [FactorizationSolver.exact, .cg, .subspace])
    func implicit(device: String, solver: FactorizationSolver) throws {
        for (d, users, items) in [(16, 200, 90), (64, 9000, 300)] {
            var options = FactorizationOptions()
            options.factors = d
            options.solver = solver
            options.blockSize = 16
            let byUser = randomInteractions(rows: users, columns: items, lengths: [3, 12, 0, 40])
            let one = try measure(device, options, byUser).counters
            #expect(one.bytesDownloaded == 4 * 2 * d * d)
            #expect(one.bytesUploaded == 4 * 2 * (d * d + d))
            #expect(one.allocations == 0)
            #expect(one.waits == 1)
            let method: NormalEquationMethod =
                switch solver {
                case .cg: .conjugateGradient(steps: options.conjugateGradientSteps)
                case .subspace: .subspace(blockSize: options.blockSize)
                default: .exact
                }
            let launches = Launches(stream: try TestDevices.stream(device))
            let longest = max(users, items)
            let turns = solver == .exact ? 1 : 2
            let expected =
                try launches.gram(users, d) + launches.gram(items, d)
                + turns * launches.rotation(users, d, longest: longest)
                + turns * launches.rotation(items, d, longest: longest)
                + launches.solve(byUser, d, method) + launches.solve(byUser.transposed(), d, method)
            #expect(one.launches == expected, "d = \(d)")
            if device == "cpu" {
                let chunk = d == 16 ? 200 : 8192
                let chunks = [users, items].reduce(0) { $0 + ($1 + chunk - 1) / chunk }
                #expect(one.launches == 2 + 2 + turns * 2 * chunks, "one launch for each operation of the formula")
            }
        }
    }

    @Test(arguments: TestDevices.names)
    func explicit(device: String) throws {
        for (d, users, items) in [(8, 120, 60), (32, 2000, 300)] {
            var options = FactorizationOptions()
            options.feedback = .explicit
            options.factors = d
            options.solver = .exact
            options.regularization = 0.1
            let byUser = randomInteractions(rows: users, columns: items, lengths: [3, 12, 0, 40])
            let one = try measure(device, options, byUser).counters
            #expect(one.bytesDownloaded == 0 && one.bytesUploaded == 0 && one.allocations == 0 && one.waits == 1)
            if device == "cpu" { #expect(one.launches == 2 * 5) }
        }
    }

    /// Memory of the device does not grow from iteration to iteration either.
    @Test(arguments: TestDevices.names)
    func steadyMemory(device: String) throws {
        let own = try Devices.open(device).device
        var options = FactorizationOptions()
        options.factors = 24
        options.solver = .exact
        let byUser = randomInteractions(rows: 500, columns: 200, lengths: [3, 12, 0, 40])
        let trainer = try FactorizationTrainer(
            data: try FactorizationData(byUser: byUser, byItem: byUser.transposed(), options: options),
            options: options, stream: try own.makeStream())
        _ = try trainer.iterate()
        let allocated = own.allocatedBytes
        for _ in 0..<4 { _ = try trainer.iterate() }
        #expect(own.allocatedBytes == allocated && allocated > 0)
    }
}

private func + (a: StreamCounters, b: StreamCounters) -> StreamCounters {
    a - (StreamCounters() - b)
}
