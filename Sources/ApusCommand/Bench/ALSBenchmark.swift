import ArgumentParser
import Compute
import Core
import Learners
import Tables

/// `apus bench als`
struct ALSBenchmark: BenchmarkCase {
    static let name = "als"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Matrix factorization, seconds per iteration.",
        discussion: """
            --interactions is a number (they are then drawn: log-normal users, Zipf-like items) or a file of your own. A \
            run is one iteration; the first is not counted. Rates follow the solver's own operation count, so that \
            a solver that needs fewer operations has no higher rate but fewer seconds. The deviation is that of the \
            loss after the last iteration from the first device's, relative.
            """)

    @Option(help: "Users to draw.")
    var users = 138_000
    @Option(help: "Items to draw.")
    var items = 20_000
    @Option(help: "How many to draw, or a file.")
    var interactions = "8000000"
    @Option(help: "Dimensions of the factors, as a list.")
    var factors = NumberList([64])
    @Option(help: "exact, cg, subspace, auto, or all of the first three.")
    var solver = "auto"
    @Option(name: .customLong("block-size"), help: "Coordinates per block of the subspace solver.")
    var blockSize = 64
    @Option(
        name: .customLong("auto-within"),
        help: "With --solver all: exit with 1 when the choice of auto takes more than so many times the best's seconds."
    )
    var autoWithin: Double?
    @OptionGroup var reading: ReadingFlags
    @OptionGroup var flags: BenchmarkFlags

    static let readsInteractions = true

    static func arguments(quick: Bool) -> [String] {
        quick
            ? ["--users", "2000", "--items", "1000", "--interactions", "100000", "--factors", "16", "--solver", "all"]
            : ["--factors", "64,128", "--solver", "all"]
    }

    func validate() throws {
        guard users > 0, items > 1, users < 1 << 31, items < 1 << 31 else {
            throw ValidationError("--users must be 1 or more, --items 2 or more")
        }
        if let count = Int(interactions), count < 1 || count > users * items / 4 {
            throw ValidationError("--interactions must be from 1 to a quarter of users × items, not \(count)")
        }
        guard solver == "all" || FactorizationSolver(rawValue: solver) != nil else {
            throw ValidationError("--solver must be exact, cg, subspace, auto or all, not `\(solver)`")
        }
        if let autoWithin {
            guard solver == "all" else { throw ValidationError("--auto-within goes with --solver all") }
            guard autoWithin >= 1 else { throw ValidationError("--auto-within must be 1 or more, not \(autoWithin)") }
        }
        guard blockSize > 0 else { throw ValidationError("--block-size must be 1 or more, not \(blockSize)") }
        guard factors.numbers.allSatisfy({ $0 <= 2048 }) else { throw ValidationError("--factors goes up to 2048") }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let (byUser, byItem) = try observations()
        let solvers: [FactorizationSolver] =
            solver == "all" ? [.exact, .subspace, .cg] : [FactorizationSolver(rawValue: solver) ?? .auto]
        var records: [BenchmarkRecord] = []
        for d in factors.numbers {
            let first = records.count
            for solver in solvers {
                var options = FactorizationOptions()
                options.factors = d
                options.solver = solver
                options.blockSize = blockSize
                options.confidence = .constant
                options.iterations = 1000 + flags.runs
                let data = try FactorizationData(byUser: byUser, byItem: byItem, options: options)
                records += try measure(data, options, on: devices)
            }
            try judgeAuto(records[first...], d, byUser, byItem)
        }
        return records
    }

    /// Fails when the cost model's choice is slower than allowed on a device.
    private func judgeAuto(
        _ records: ArraySlice<BenchmarkRecord>, _ d: Int, _ byUser: HostSparseMatrix, _ byItem: HostSparseMatrix
    ) throws {
        guard let autoWithin else { return }
        var options = FactorizationOptions()
        options.factors = d
        options.blockSize = blockSize
        let choice = SolverCost.cheapest(byUser: byUser, byItem: byItem, options: options).rawValue
        for device in Set(records.map(\.origin.device)).sorted() {
            let own = records.filter { $0.origin.device == device }
            guard let best = own.min(by: { $0.medianSeconds < $1.medianSeconds }),
                let chosen = own.first(where: { $0.settings["solver"] == choice })
            else { continue }
            let ratio = chosen.medianSeconds / best.medianSeconds
            let solver = best.settings["solver"] ?? ""
            flags.global.remark(
                "d = \(d) on \(device): auto takes \(choice), \(fixed(ratio, 2)) times the seconds of \(solver)")
            guard ratio <= autoWithin else {
                throw SlowChoice(
                    description: "d = \(d) on \(device): auto takes \(choice), which needs \(fixed(ratio, 2)) times "
                        + "the seconds of \(solver); allowed are \(fixed(autoWithin, 2))")
            }
        }
    }

    private func observations() throws -> (HostSparseMatrix, HostSparseMatrix) {
        if let count = Int(interactions) {
            let byUser = SyntheticPattern.make(users: users, items: items, interactions: count)
            return (byUser, byUser.transposed())
        }
        let read = try reading.read(
            interactions, needsTimes: false, flags.global, ProgressDisplay(quiet: flags.global.quiet))
        return (read.byUser, read.byItem)
    }

    private func measure(
        _ data: FactorizationData, _ options: FactorizationOptions, on devices: [BenchmarkDevice]
    ) throws -> [BenchmarkRecord] {
        let trainings = try prepare(devices, "als with solver \(options.solver.rawValue)") {
            try Training($0, data, options)
        }
        let samples = try BenchmarkTiming.takingTurns(flags, trainings.map { training in training.iterate })
        // All devices are judged after the same number of iterations.
        let last = trainings.map(\.trainer.iteration).max() ?? 0
        for training in trainings {
            while training.trainer.iteration < last { _ = try training.trainer.iterate() }
        }
        let losses = try trainings.map { try $0.trainer.loss() }
        let (users, items, d) = (data.byUser.rows, data.byItem.rows, options.factors)
        return try zip(trainings, samples).enumerated().map { place, pair in
            let (training, samples) = pair
            let solver = training.trainer.options.solver
            let download = try BenchmarkTiming.seconds { _ = try training.trainer.factors() }
            let deviation = abs(losses[place] - losses[0]) / max(abs(losses[0]), .leastNormalMagnitude)
            return training.device.record(
                Self.name,
                subject: "\(users) users, \(items) items, \(data.byUser.entryCount) interactions, d = \(d), "
                    + solver.rawValue,
                sizes: ["users": users, "items": items, "interactions": data.byUser.entryCount, "factors": d],
                settings: ["solver": solver.rawValue], samples: samples,
                operations: ALSWork.operations(solver, data: data, options: options),
                bytes: ALSWork.bytes(data: data, d: d), compileSeconds: training.compileSeconds,
                transferSeconds: training.uploadSeconds + download,
                deviation: (deviation, trainings[0].device.name), counters: training.perIteration, loss: losses[place])
        }
    }

    /// A training on one device, its first iteration done.
    private final class Training {
        let device: BenchmarkDevice
        let trainer: FactorizationTrainer
        let uploadSeconds: Double
        let compileSeconds: Double
        private(set) var perIteration = StreamCounters()

        init(_ device: BenchmarkDevice, _ data: FactorizationData, _ options: FactorizationOptions) throws {
            self.device = device
            let compiled = device.device.compileSeconds
            uploadSeconds = try BenchmarkTiming.seconds {
                for matrix in [data.byUser, data.byItem] { _ = try device.stream.wrap(matrix) }
                try device.stream.finish()
            }
            trainer = try FactorizationTrainer(data: data, options: options, stream: device.stream)
            _ = try trainer.iterate()
            compileSeconds = device.device.compileSeconds - compiled
        }

        func iterate() throws -> Double {
            let before = device.stream.counters
            let seconds = try trainer.iterate().seconds
            perIteration = device.stream.counters - before
            return seconds
        }
    }
}

/// What `--auto-within` fails with.
private struct SlowChoice: Error, CustomStringConvertible {
    let description: String
}

/// Operations and bytes of an iteration, by formula.
enum ALSWork {
    /// Floating-point operations: of the solver as documented in docs/PERFORMANCE.md, the two Gram matrices, and the
    /// rotations of the tables.
    static func operations(
        _ solver: FactorizationSolver, data: FactorizationData, options: FactorizationOptions
    ) -> Double {
        let d = Double(options.factors)
        let rows = Double(data.byUser.rows + data.byItem.rows)
        let entries = Double(data.byUser.entryCount)
        // One triangle of each Gram matrix, and one rotation of each table as the fixed side.
        let shared = rows * d * d + 2 * rows * d * d
        let rotationOfSolutions = 2 * rows * d * d
        switch solver {
        case .exact, .auto:
            return shared + smallerSystems(data.byUser, d) + smallerSystems(data.byItem, d)
        case .cg:
            return shared + rotationOfSolutions + 8 * Double(options.conjugateGradientSteps + 1) * entries * d
        case .subspace:
            let block = min(Double(options.blockSize), d)
            return shared + rotationOfSolutions + 2 * entries * d * (block + 4) + rows * d * block * block / 3
        }
    }

    /// What memory must deliver at least: both sparse matrices once, and each table read as the fixed side, read and
    /// written as the solved one.
    static func bytes(data: FactorizationData, d: Int) -> Double {
        let tables = 4 * Double(d) * Double(data.byUser.rows + data.byItem.rows)
        return Double(data.byUser.byteCount + data.byItem.byteCount) + 3 * tables
    }

    /// Σ over rows of n·d·min(n, d) + min(n, d)³/3.
    private static func smallerSystems(_ matrix: HostSparseMatrix, _ d: Double) -> Double {
        var sum = 0.0
        for row in 0..<matrix.rows {
            let n = Double(matrix.range(ofRow: row).count)
            let m = min(n, d)
            sum += n * d * m + m * m * m / 3
        }
        return sum
    }
}
