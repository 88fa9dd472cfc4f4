import Compute
import Core
import Devices
import Learners
import Testing

/// A small planted data set: users and items belong to groups, users take items of their own group.
struct PlantedInteractions {
    let byUser: HostSparseMatrix
    let byItem: HostSparseMatrix

    init(users: Int = 120, items: Int = 80, groups: Int = 4, perUser: Int = 12, ratings: Bool = false) {
        let random = Philox(seed: 7, stream: 1)
        var entries: [(row: Int, column: Int, value: Float)] = []
        for user in 0..<users {
            var taken: Set<Int> = []
            for draw in 0..<perUser {
                let number = UInt64(user * 1000 + draw * 2)
                let inGroup = random.uniform(number) < 0.9
                var item = random.integer(number + 500, below: items)
                if inGroup { item = item / groups * groups + user % groups }
                guard item < items, taken.insert(item).inserted else { continue }
                let value: Float = ratings ? (item % groups == user % groups ? 5 : 2) : 1 + Float(draw % 3)
                entries.append((user, item, value))
            }
        }
        byUser = HostSparseMatrix(rows: users, columns: items, entries: entries)
        byItem = byUser.transposed()
    }
}

@Suite struct FactorizationTests {
    static let devices: [any Device] = (try? Devices.all()) ?? []

    @Test(arguments: devices.map(\.identity.name), [FactorizationSolver.exact, .cg, .subspace])
    func lossFallsAndGroupsAreFound(device: String, solver: FactorizationSolver) throws {
        let planted = PlantedInteractions()
        var options = FactorizationOptions()
        options.factors = 8
        options.iterations = 10
        options.solver = solver
        options.blockSize = 4
        options.unobservedWeight = 0.1
        options.confidence = .linear
        options.computesLoss = true
        let data = try FactorizationData(byUser: planted.byUser, byItem: planted.byItem, options: options)
        let trainer = try FactorizationTrainer(
            data: data, options: options, stream: try Devices.open(device).device.makeStream())
        var losses: [Double] = []
        try trainer.run { report in
            losses.append(report.loss ?? .nan)
            return .proceed
        }
        #expect(losses.count == 10)
        for (earlier, later) in zip(losses, losses.dropFirst()) { #expect(later <= earlier * 1.0001) }
        let factors = try trainer.factors()
        var (own, other) = (0.0, 0.0)
        for user in 0..<120 {
            for item in 0..<80 {
                if item % 4 == user % 4 {
                    own += factors.predict(user: user, item: item) / (120 * 20)
                } else {
                    other += factors.predict(user: user, item: item) / (120 * 60)
                }
            }
        }
        #expect(own > 4 * other)
    }

    @Test func explicitRatingsAreFitted() throws {
        let planted = PlantedInteractions(ratings: true)
        var options = FactorizationOptions()
        options.feedback = .explicit
        options.factors = 6
        options.iterations = 20
        options.regularization = 0.02
        options.computesLoss = true
        let data = try FactorizationData(byUser: planted.byUser, byItem: planted.byItem, options: options)
        let trainer = try FactorizationTrainer(
            data: data, options: options, stream: try Devices.open("cpu").device.makeStream())
        var losses: [Double] = []
        try trainer.run { report in
            losses.append(report.loss ?? .nan)
            return .proceed
        }
        for (earlier, later) in zip(losses, losses.dropFirst()) { #expect(later <= earlier * 1.0001) }
        let factors = try trainer.factors()
        var squares = 0.0
        for user in 0..<120 {
            for entry in planted.byUser.range(ofRow: user) {
                let item = Int(planted.byUser.columnIndices[entry])
                let error = factors.predict(user: user, item: item) - Double(planted.byUser.values[entry])
                squares += error * error
            }
        }
        #expect((squares / Double(planted.byUser.entryCount)).squareRoot() < 0.3)
    }
}
