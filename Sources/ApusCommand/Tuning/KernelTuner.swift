import Compute
import ComputeOpenCL
import Conformance
import Core
import Devices

#if canImport(Glibc)
    import Glibc
#endif

/// Searches the values of kernel tunables on one device, one tunable after the other, within a budget of time.
///
/// A candidate is timed first; one that is quicker by more than noise must then pass the conformance cases of all
/// operations that it touches before it may win. Candidates that do not compile, have no room, or fail are passed over.
final class KernelTuner {
    /// What became of one candidate.
    struct Trial {
        enum Outcome: String {
            case won, slower, refused, wrong
        }

        let tunable: KernelTunable
        let value: Int
        /// Of the score of the best values before; below 1 is quicker.
        let ratio: Double
        let outcome: Outcome
        let reason: String
    }

    private let name: String
    private let options: DeviceOptions
    private let kernelClass: DeviceClass
    private let deviceClass: DeviceClass
    private let operations: Set<OperationKind>
    private let hasTensorUnits: Bool
    private let hasWarpgroups: Bool
    private let deadline: Double
    private let report: (Trial) -> Void

    /// A candidate must be this much quicker than the best before it.
    private static let margin = 0.97

    private(set) var best: KernelTuning
    private(set) var trials: [Trial] = []
    /// Tunables that the budget did not reach.
    private(set) var left: [KernelTunable] = []

    init(
        device: any Device, options: DeviceOptions, start: KernelTuning, operations: Set<OperationKind>,
        budgetSeconds: Double, report: @escaping (Trial) -> Void
    ) {
        name = device.identity.name
        self.options = options
        deviceClass = device.identity.deviceClass
        kernelClass = options.kernelClass ?? device.identity.deviceClass
        best = start
        hasTensorUnits = (device as? OpenCLDevice)?.hasTensorUnits ?? false
        hasWarpgroups = (device as? OpenCLDevice)?.hasWarpgroups ?? false
        self.operations = operations
        deadline = monotonicSeconds() + budgetSeconds
        self.report = report
    }

    /// Searches until all tunables are done or the budget is used up.
    func run() throws {
        let own = KernelTunable.allCases.filter { tunable in
            (tunable.kernelClass == .cpu) == (kernelClass == .cpu) && !operations.isDisjoint(with: tunable.operations)
        }
        for (place, tunable) in own.enumerated() {
            guard monotonicSeconds() < deadline else {
                left = Array(own[place...])
                return
            }
            // Tiles of units that are not there, or not used, change nothing.
            if tunable.isOfHopper {
                guard hasWarpgroups else { continue }
            }
            if tunable.isOfTensorUnits {
                guard hasTensorUnits, tunable == .tensorProducts || best[.tensorProducts] == 1 else { continue }
            }
            try search(tunable)
        }
    }

    private func search(_ tunable: KernelTunable) throws {
        let affected = tunable.operations
        guard var standard = try? seconds(affected, best) else { return }
        for value in tunable.candidates where value != best[tunable] {
            guard monotonicSeconds() < deadline else { return }
            try Interruption.check()
            var tuning = best
            tuning[tunable] = value
            let trial: Trial
            do throws(ComputeError) {
                trial = try judge(tunable, value, tuning, against: &standard)
            } catch {
                if case .deviceLost = error { throw error }
                trial = Trial(tunable: tunable, value: value, ratio: .nan, outcome: .refused, reason: "\(error)")
            }
            trials.append(trial)
            report(trial)
        }
    }

    private func judge(
        _ tunable: KernelTunable, _ value: Int, _ tuning: KernelTuning, against standard: inout [Double]
    ) throws(ComputeError) -> Trial {
        func trial(_ ratio: Double, _ outcome: Trial.Outcome, _ reason: String = "") -> Trial {
            Trial(tunable: tunable, value: value, ratio: ratio, outcome: outcome, reason: reason)
        }
        let found = try seconds(tunable.operations, tuning)
        guard ratio(found, standard) < Self.margin else { return trial(ratio(found, standard), .slower) }
        // Before and after again, in turns: the machine may have changed in between.
        standard = try seconds(tunable.operations, best)
        let again = try seconds(tunable.operations, tuning)
        guard ratio(again, standard) < Self.margin else { return trial(ratio(again, standard), .slower) }
        if let failure = try failure(tunable.operations, tuning) {
            return trial(ratio(again, standard), .wrong, failure)
        }
        let gain = ratio(again, standard)
        (best, standard) = (tuning, again)
        return trial(gain, .won)
    }

    /// Geometric mean of the quotients.
    private func ratio(_ new: [Double], _ old: [Double]) -> Double {
        let product = zip(new, old).reduce(1.0) { $0 * $1.0 / $1.1 }
        return pow(product, 1 / Double(max(new.count, 1)))
    }

    private func open(_ tuning: KernelTuning) throws(ComputeError) -> any Device {
        var options = options
        options.tuning = tuning
        options.heedsCertificates = false
        return try Devices.open(name, options: options).device
    }

    /// Seconds of every speed case of the operations.
    func seconds(_ affected: [OperationKind], _ tuning: KernelTuning) throws(ComputeError) -> [Double] {
        let stream = try open(tuning).makeStream()
        var found: [Double] = []
        for one in SpeedCase.tuning(deviceClass) where affected.contains(one.operation) {
            found.append(try one.medianSeconds(on: stream, runs: 3))
        }
        return found
    }

    /// The first case of the operations in which values are wrong.
    private func failure(_ affected: [OperationKind], _ tuning: KernelTuning) throws(ComputeError) -> String? {
        let stream = try open(tuning).makeStream()
        for operation in affected {
            for one in ConformanceSuite.reduced.cases(of: operation) {
                let result = one.run(on: stream)
                if !result.passed { return "\(result.name): \(result.message)" }
            }
        }
        return nil
    }
}
