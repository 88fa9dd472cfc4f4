import Compute
import Core
import Devices
import Learners
import Testing

/// Interactions that do not fit on a device pass through it in tiles; the model does not change by a bit.
@Suite struct TiledTrainingTests {
    private func train(
        _ options: FactorizationOptions, _ byUser: HostSparseMatrix, memoryLimit: Int?
    ) throws -> (factors: FactorizationFactors, iteration: StreamCounters, loss: Double, plan: FactorizationPlan) {
        let device = try Devices.open(
            "opencl", options: DeviceOptions(memoryLimitBytes: memoryLimit, copiesHostMemory: true)
        ).device
        let stream = try device.makeStream()
        let data = try FactorizationData(byUser: byUser, byItem: byUser.transposed(), options: options)
        let plan = FactorizationPlan(
            byUser: data.byUser, byItem: data.byItem, options: options, device: device, rate: nil)
        try plan.check(memoryLimitBytes: nil, alreadyUsedBytes: 0, device: device)
        let trainer = try FactorizationTrainer(data: data, options: options, stream: stream)
        _ = try trainer.iterate()
        let before = stream.counters
        _ = try trainer.iterate()
        let counters = stream.counters - before
        return (try trainer.factors(), counters, try trainer.loss(), plan)
    }

    @Test(
        arguments: TestDevices.names.filter { $0.hasPrefix("opencl") }.isEmpty ? [] : [Feedback.implicit, .explicit])
    func sameModelWithinLessMemory(_ feedback: Feedback) throws {
        var options = FactorizationOptions()
        options.feedback = feedback
        options.factors = 16
        options.solver = .exact
        options.regularization = 0.1
        let (users, items) = (5000, 400)
        let byUser = randomInteractions(rows: users, columns: items, lengths: [30, 70, 0, 41])
        let whole = try train(options, byUser, memoryLimit: nil)
        #expect(whole.plan.tileBytes == nil)

        // Room for the tables and for a quarter of the interactions.
        let limit = whole.plan.deviceBytes - byUser.byteCount * 3 / 2
        let tiled = try train(options, byUser, memoryLimit: limit)
        let tileBytes = try #require(tiled.plan.tileBytes)
        #expect(tiled.factors.users.storage.array == whole.factors.users.storage.array)
        #expect(tiled.factors.items.storage.array == whole.factors.items.storage.array)
        #expect(tiled.loss == whole.loss)
        #expect(tiled.iteration.waits == whole.iteration.waits && tiled.iteration.allocations == 0)
        // The documented formula: 8 bytes an entry and row on each side, and 8 for each tile.
        let moved = tiled.iteration.bytesUploaded - whole.iteration.bytesUploaded
        let tilesMoved = moved - 2 * 8 * byUser.entryCount - 8 * (users + items)
        #expect(tilesMoved % 8 == 0 && tilesMoved / 8 >= 2 * 8 * byUser.entryCount / tileBytes)
        #expect(tilesMoved / 8 <= 2 * (2 * 8 * byUser.entryCount / tileBytes + 2))
    }

    @Test func tooLittleMemoryIsSaidBeforeItIsTried() throws {
        guard TestDevices.names.contains(where: { $0.hasPrefix("opencl") }) else { return }
        var options = FactorizationOptions()
        options.factors = 64
        let byUser = randomInteractions(rows: 2000, columns: 300, lengths: [30, 7])
        #expect {
            _ = try train(options, byUser, memoryLimit: 200_000)
        } throws: { error in
            guard case .outOfMemory(_, let requested, let available)? = error as? ComputeError else { return false }
            return requested > available && available == 200_000
        }
    }
}
