import ArgumentParser
import Compute
import Core
import Learners

/// `apus bench recommend`
struct RecommendBenchmark: BenchmarkCase {
    static let name = "recommend"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "The best items for all users of a model, what they have seen left out.",
        discussion: """
            From factors on the device to lists on the host. Without a model, one with random factors is made of \
            interactions drawn as for `bench als`. The deviation is the share of places that differ from the first \
            device's.
            """)

    @Option(help: "A model file of a trained factorization.")
    var model: String?
    @Option(help: "Users to draw, without a model.")
    var users = 138_000
    @Option(help: "Items to draw.")
    var items = 20_000
    @Option(name: .customLong("interactions"), help: "Interactions to draw.")
    var interactionCount = 8_000_000
    @Option(help: "Dimension of the factors.")
    var factors = 64
    @Option(help: "Items for each user, as a list.")
    var count = NumberList([10])
    @OptionGroup var flags: BenchmarkFlags

    static func arguments(quick: Bool) -> [String] {
        quick ? ["--users", "5000", "--items", "2000", "--interactions", "100000"] : []
    }

    func validate() throws {
        guard users > 0, items > 1, users < 1 << 31, items < 1 << 31 else {
            throw ValidationError("--users must be 1 or more, --items 2 or more")
        }
        guard (1...users * items / 4).contains(interactionCount) else {
            throw ValidationError("--interactions must be from 1 to a quarter of users × items")
        }
        guard (1...2048).contains(factors) else { throw ValidationError("--factors goes from 1 to 2048") }
    }

    func measure(on devices: [BenchmarkDevice]) throws -> [BenchmarkRecord] {
        let (factors, seen) = try subject()
        let (people, choices, d) = (seen.rows, seen.columns, factors.items.columns)
        var itemCounts = [Float](repeating: 0, count: choices)
        for item in seen.columnIndices.elements { itemCounts[Int(item)] += 1 }
        let degrees = (0..<people).map { seen.range(ofRow: $0).count }
        var records: [BenchmarkRecord] = []
        for k in count.numbers {
            let sessions = try prepare(devices, "recommend") { device in
                try Session(device, factors, itemCounts, degrees, seen, k)
            }
            let samples = try BenchmarkTiming.takingTurns(flags, sessions.map { session in session.run })
            for (session, samples) in zip(sessions, samples) {
                let differing = zip(session.top, sessions[0].top).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
                let work = Double(people) * Double(choices)
                records.append(
                    session.device.record(
                        Self.name, subject: "\(people) users, \(choices) items, d = \(d), k = \(k)",
                        sizes: ["users": people, "items": choices, "factors": d, "count": k], samples: samples,
                        operations: 2 * work * Double(d),
                        bytes: 4 * Double(d) * Double(people + choices) + 8 * Double(people * k + seen.entryCount),
                        compileSeconds: session.compileSeconds, transferSeconds: 0,
                        deviation: (Double(differing) / Double(max(session.top.count, 1)), sessions[0].device.name),
                        counters: session.perRun))
            }
        }
        return records
    }

    private func subject() throws -> (FactorizationFactors, HostSparseMatrix) {
        if let model {
            let read = try RecommenderModel(path: model)
            guard let factors = read.factors else {
                throw DataError("this times models of kind `als`, not `\(read.kind)`", file: model)
            }
            return (factors, read.seen)
        }
        let seen = SyntheticPattern.make(users: users, items: items, interactions: interactionCount)
        var options = FactorizationOptions()
        options.factors = factors
        let made = FactorizationFactors(
            users: BenchmarkNumbers.uniform(rows: users, columns: factors, stream: 31),
            items: BenchmarkNumbers.uniform(rows: items, columns: factors, stream: 32), mean: 0, options: options)
        return (made, seen)
    }

    /// The model on one device, warmed up.
    private final class Session {
        let device: BenchmarkDevice
        private(set) var compileSeconds = 0.0
        private(set) var perRun = StreamCounters()
        private(set) var top: [Int32] = []
        private let recommender: FactorizationRecommender
        private let seen: HostSparseMatrix
        private let count: Int

        init(
            _ device: BenchmarkDevice, _ factors: FactorizationFactors, _ itemCounts: [Float], _ degrees: [Int],
            _ seen: HostSparseMatrix, _ count: Int
        ) throws {
            self.device = device
            self.seen = seen
            self.count = count
            recommender = try FactorizationRecommender(
                factors: factors, itemCounts: itemCounts, userDegrees: degrees, stream: device.stream)
            let compiled = device.device.compileSeconds
            _ = try run()
            compileSeconds = device.device.compileSeconds - compiled
        }

        func run() throws -> Double {
            let before = device.stream.counters
            let seconds = try BenchmarkTiming.seconds {
                top = try recommender.topItems(
                    for: .users(Array(0..<Int32(seen.rows))), count: count, exclusions: seen, filter: ItemFilter()
                ).items
            }
            perRun = device.stream.counters - before
            return seconds
        }
    }
}
