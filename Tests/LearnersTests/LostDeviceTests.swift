import Compute
import Conformance
import Core
import Devices
import Learners
import Tables
import Testing

/// A device that fails in the middle of a training ends it with a typed error and spoils nothing: what was saved before
/// goes on, on another device.
@Suite struct LostDeviceTests {
    private func options() -> RecommenderTrainingOptions {
        var options = RecommenderTrainingOptions()
        options.factorization.factors = 8
        options.factorization.iterations = 6
        options.factorization.solver = .exact
        options.factorization.computesLoss = true
        options.split = SplitOptions(kind: .users, seed: 1)
        options.cutoffs = [10]
        return options
    }

    private func training(
        _ interactions: Interactions, _ device: any Device, state: String? = nil
    ) throws -> RecommenderTraining {
        let training = try RecommenderTraining(
            interactions: interactions, options: options(), stream: try device.makeStream())
        if let state { training.checkpoints = (state, 2) }
        return training
    }

    /// The name of the case, by which faults and errors are compared.
    private func kind(_ error: any Error) -> String? {
        switch error as? ComputeError {
        case .outOfMemory: "outOfMemory"
        case .buildFailed: "buildFailed"
        case .driver: "launchRefused"
        case .deviceLost: "deviceLost"
        default: nil
        }
    }

    @Test(arguments: TestDevices.all.map(\.identity.name), FaultInjectingDevice.Fault.allCases)
    func resumesElsewhere(name: String, fault: FaultInjectingDevice.Fault) throws {
        let device = try #require(TestDevices.all.first { $0.identity.name == name })
        let interactions = try shop()
        let sound = FaultInjectingDevice(device, fault: fault, at: nil)
        let whole = try training(interactions, sound).run()
        #expect(sound.callCount > 4)

        // Late enough that a state has been saved, but for allocations, which are made at the start and the end.
        let place = sound.callCount * 3 / 5
        let folder = TemporaryFolder()
        let state = folder.file("state")
        let failing = FaultInjectingDevice(device, fault: fault, at: place)
        do {
            _ = try training(interactions, failing, state: state).run()
            Issue.record("the fault was not noticed")
        } catch {
            #expect(kind(error) == fault.rawValue, "\(error)")
        }
        guard let saved = try? FactorizationCheckpoint(path: state) else {
            #expect(fault == .outOfMemory, "no state was saved")
            return
        }
        // The last allocations are those of the evaluation, after the last iteration.
        #expect(saved.history.iterations >= 2 && saved.history.iterations < (fault == .outOfMemory ? 7 : 6))
        #expect(saved.history.losses == Array(whole.history.losses.prefix(saved.history.iterations)))
        // On another device where there is one, on this one opened anew where not.
        let other = TestDevices.all.first { $0.identity.name != name } ?? device
        let resumed = try training(interactions, other).run(resuming: saved)
        #expect(resumed.history.iterations == 6)
        for (found, expected) in zip(resumed.history.losses, whole.history.losses) {
            #expect(abs(found - expected) <= 1e-3 * abs(expected))
        }
    }
}
