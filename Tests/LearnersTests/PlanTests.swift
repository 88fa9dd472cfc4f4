import Compute
import Core
import Devices
import Learners
import Testing

/// What a training is predicted to need.
@Suite struct PlanTests {
    private func data(
        _ options: FactorizationOptions, users: Int = 4000, items: Int = 600
    ) throws -> FactorizationData {
        let byUser = randomInteractions(rows: users, columns: items, lengths: [20, 5, 60, 90])
        return try FactorizationData(byUser: byUser, byItem: byUser.transposed(), options: options)
    }

    /// What is allocated on a device of its own, with the interactions, stays within the plan, and the plan is not
    /// so large that it says nothing.
    @Test(arguments: TestDevices.names, Feedback.allCases)
    func trainingStaysWithinThePlan(device: String, feedback: Feedback) throws {
        let own = try Devices.open(device).device
        var options = FactorizationOptions()
        options.feedback = feedback
        options.factors = 96
        options.solver = .exact
        let data = try data(options)
        let plan = FactorizationPlan(
            byUser: data.byUser, byItem: data.byItem, options: options, device: own, rate: nil)
        #expect(plan.seconds == nil && plan.solver == .exact)
        let trainer = try FactorizationTrainer(data: data, options: options, stream: try own.makeStream())
        _ = try trainer.iterate()
        let interactions = data.byUser.byteCount + data.byItem.byteCount
        let factors = try trainer.factors()
        let used = own.allocatedBytes + interactions + factors.users.storage.byteCount + factors.items.storage.byteCount
        #expect(used <= plan.memoryBytes, "\(used) bytes used, \(plan.memoryBytes) planned")
        #expect(plan.memoryBytes < 4 * used, "\(used) bytes used, \(plan.memoryBytes) planned")
    }

    @Test func passingTheLimitIsRefused() throws {
        let device = try Devices.open("cpu").device
        let options = FactorizationOptions()
        let data = try data(options)
        let plan = FactorizationPlan(
            byUser: data.byUser, byItem: data.byItem, options: options, device: device, rate: 1e9)
        #expect((plan.seconds ?? 0) > 0)
        try plan.check(memoryLimitBytes: nil, alreadyUsedBytes: 0, device: device)
        try plan.check(memoryLimitBytes: plan.memoryBytes, alreadyUsedBytes: 0, device: device)
        let tooMuch = ComputeError.outOfMemory(
            device: "host", requestedBytes: plan.memoryBytes, availableBytes: plan.memoryBytes - 1)
        #expect(throws: tooMuch) {
            try plan.check(memoryLimitBytes: plan.memoryBytes - 1, alreadyUsedBytes: 0, device: device)
        }
        #expect(throws: tooMuch) {
            try plan.check(memoryLimitBytes: plan.memoryBytes, alreadyUsedBytes: 1, device: device)
        }
    }

    @Test func autoTakesTheCheapestOfTheCostModel() throws {
        for d in [16, 64, 256] {
            var options = FactorizationOptions()
            options.factors = d
            let data = try data(options, users: 400, items: 200)
            let chosen = SolverCost.cheapest(byUser: data.byUser, byItem: data.byItem, options: options)
            let costs = [FactorizationSolver.exact, .cg, .subspace].map {
                SolverCost.cost($0, byUser: data.byUser, byItem: data.byItem, options: options)
            }
            #expect(SolverCost.cost(chosen, byUser: data.byUser, byItem: data.byItem, options: options) == costs.min())
        }
    }

    /// Values at the ends of what the parameters allow are planned without overflow.
    @Test func extremeParameters() throws {
        let device = try Devices.open("cpu").device
        var options = FactorizationOptions()
        options.factors = 2048
        options.blockSize = .max
        options.iterations = .max
        options.conjugateGradientSteps = 1 << 40
        for solver in FactorizationSolver.allCases {
            options.solver = solver
            try options.validate()
            let data = try data(options, users: 20, items: 95)
            let plan = FactorizationPlan(
                byUser: data.byUser, byItem: data.byItem, options: options, device: device, rate: 1e9)
            #expect(plan.memoryBytes > 4 * 2048 * 2048)
        }
    }
}
