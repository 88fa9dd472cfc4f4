import ArgumentParser
import Compute
import ComputeOpenCL
import Conformance
import Core
import Devices

/// `apus tune-kernels`
struct TuneKernelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tune-kernels",
        abstract: "Find the sizes with which the kernels of an OpenCL device are quickest.",
        discussion: """
            Tries other tile sizes and the like, one at a time, within --budget. A candidate that is quicker must pass \
            the conformance check of all operations it touches before it wins. What is found is kept in a file of this \
            user for the device and its driver, and used from the next start on; --reset forgets it. Nothing is ever \
            tuned on the way.
            """)

    @Option(help: "The OpenCL device: opencl, opencl:P.D.")
    var device = "opencl"
    @Option(help: "Seconds to spend.")
    var budget = 120.0
    @Option(help: "Operations to tune for, as a list: gemm,gram,topK,solveNormalEquations (default: all).")
    var operations: String?
    @Flag(help: "Show what is quicker, and keep nothing.")
    var dryRun = false
    @Flag(help: "Forget what was found for this device, and use the checked-in table again.")
    var reset = false
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard budget > 0, budget <= 86_400 else {
            throw ValidationError("--budget must be from 0 to 86400 seconds, not \(budget)")
        }
        _ = try chosen()
        if device == "cpu" { throw ValidationError("cpu has no kernels to tune; --device names an OpenCL device") }
    }

    private func chosen() throws -> Set<OperationKind> {
        guard let operations else { return Set(OperationKind.allCases) }
        let tunable = Set(KernelTunable.allCases.flatMap(\.operations))
        return Set(
            try operations.split(separator: ",").map { name in
                guard let kind = OperationKind(rawValue: String(name)), tunable.contains(kind) else {
                    let names = tunable.map(\.rawValue).sorted().joined(separator: ", ")
                    throw ValidationError("--operations has no `\(name)`; there are \(names)")
                }
                return kind
            })
    }

    func run() throws {
        var options = global.deviceOptions
        options.heedsCertificates = false
        let opened = try Devices.open(device, options: options).device
        guard let tunable = opened as? OpenCLDevice else {
            throw ValidationError("\(opened.identity.name) has no kernels to tune; --device names an OpenCL device")
        }
        let (identity, kernels) = (opened.identity, global.kernelClass?.deviceClass ?? opened.identity.deviceClass)
        if reset {
            let forgotten = TunedKernels.forget(identity, kernelClass: kernels)
            report("\(identity.name): \(forgotten ? "forgotten; the table's values are used" : "nothing was kept")")
            return
        }
        let table = tunable.tableTuning
        global.remark("\(identity.name), \(identity.model): the table's values are from: \(tunable.tuningSource)")
        let tuner = KernelTuner(
            device: opened, options: options, start: table, operations: try chosen(), budgetSeconds: budget
        ) { trial in
            let change = trial.ratio.isFinite ? ", \(fixed(100 * (trial.ratio - 1), 1)) % of time" : ""
            let reason = trial.reason.isEmpty ? "" : ": \(trial.reason.prefix { $0 != "\n" })"
            global.remark("\(trial.tunable.rawValue) = \(trial.value): \(trial.outcome.rawValue)\(change)\(reason)")
        }
        try tuner.run()
        try conclude(tuner, table, identity, kernels)
    }

    private func conclude(
        _ tuner: KernelTuner, _ table: KernelTuning, _ identity: DeviceIdentity, _ kernels: DeviceClass
    ) throws {
        let changed = KernelTunable.allCases.filter { tuner.best[$0] != table[$0] }
        var gains: [TunedKernels.Gain] = []
        for operation in Set(changed.flatMap(\.operations)).sorted(by: { $0.rawValue < $1.rawValue }) {
            let subjects = SpeedCase.tuning(identity.deviceClass).filter { $0.operation == operation }.map(\.subject)
            let before = try tuner.seconds([operation], table)
            let after = try tuner.seconds([operation], tuner.best)
            for (place, subject) in subjects.enumerated() {
                gains.append(
                    TunedKernels.Gain(
                        operation: operation.rawValue, subject: subject, secondsBefore: before[place],
                        secondsAfter: after[place]))
            }
        }
        let tuned = TunedKernels(
            identity: identity, kernelClass: kernels, date: BenchmarkRun.now,
            values: Dictionary(uniqueKeysWithValues: changed.map { ($0, tuner.best[$0]) }), gains: gains)
        if !tuner.left.isEmpty {
            global.remark("the budget ended before \(tuner.left.map(\.rawValue).joined(separator: ", "))")
        }
        if !dryRun {
            let path = try tuned.save(identity, kernelClass: kernels)
            global.remark(path.map { "kept in \($0)" } ?? "not kept: neither HOME nor XDG_STATE_HOME is set")
        }
        if global.json {
            Output.line(try tuned.text)
            return
        }
        Output.line("\(tuner.trials.count) candidates tried, \(changed.count) values changed")
        if !changed.isEmpty {
            Output.table(
                ["tunable", "table", "tuned"],
                changed.map { [$0.rawValue, String(table[$0]), String(tuner.best[$0])] })
            Output.table(
                ["operation", "size", "before ms", "after ms"],
                gains.map {
                    [$0.operation, $0.subject, fixed($0.secondsBefore * 1e3, 3), fixed($0.secondsAfter * 1e3, 3)]
                })
        }
    }

    private func report(_ text: String) {
        if global.json { Output.json(.object([("result", .string(text))])) } else { Output.line(text) }
    }
}
