import ArgumentParser
import Compute
import ComputeOpenCL
import Conformance
import Core
import Devices
import Learners

/// `apus doctor`
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check what is installed and whether every device computes what it should.",
        discussion: """
            Runs the conformance sweep against a double-precision oracle on every device, or on those named, measures \
            how fast the operations are against the limits of the machine, and says what to do about what does not \
            work. Exits with 1 when a device fails.

            What a device has failed it is not used for until it passes with the same driver; `apus devices` says so. \
            `--device auto` takes a GPU only when it has passed.
            """)

    @Option(help: "A device to check; repeat for several (default: all).")
    var device: [String] = []
    @Option(help: "minimal (seconds), reduced (about a minute) or full.")
    var sweep = "reduced"
    @Option(help: "Write the certificate of the (only) device checked as JSON.")
    var certificate: String?
    @Flag(name: .customLong("no-speed"), help: "Check only, measure nothing.")
    var noSpeed = false
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard Sweep(rawValue: sweep) != nil else {
            throw ValidationError("--sweep must be minimal, reduced or full, not `\(sweep)`")
        }
        if certificate != nil && device.count != 1 { throw ValidationError("--certificate goes with one --device") }
    }

    func run() throws {
        if let certificate { try OutputFolder.check(certificate) }
        let listings = Devices.list(global.deviceOptions)
        let names = device.isEmpty ? listings.filter { $0.unusableReason == nil }.map(\.name) : device
        var certificates: [Certificate] = []
        for name in names { certificates.append(try check(name)) }
        let healthy = certificates.allSatisfy(\.passed)
        if global.json {
            let body = try certificates.map { try CertificateStore.encode($0) }
            Output.line("{\"passed\": \(healthy), \"certificates\": [\(body.joined(separator: ", "))]}")
        } else {
            for listing in listings {
                if let reason = listing.unusableReason { Output.line("\(listing.name): \(reason)") }
                for note in listing.notes { Output.line("\(listing.name): \(note); unset it") }
            }
            if !listings.contains(where: { $0.identity.backend == "OpenCL" }) {
                Output.line("no OpenCL device: apt-get install pocl-opencl-icd, or the driver of your GPU")
            }
        }
        if let certificate, let only = certificates.first {
            let file = try AtomicFile(path: certificate)
            try file.write(try CertificateStore.encode(only))
            try file.commit()
        }
        if !healthy { throw ExitCode(1) }
    }

    private func check(_ name: String) throws -> Certificate {
        var options = global.deviceOptions
        options.heedsCertificates = false
        let opened = try Devices.open(name, options: options).device
        let kernels = opened.identity.backend == "OpenCL" ? options.kernelClass : nil
        let suite = ConformanceSuite(Sweep(rawValue: sweep) ?? .reduced)
        let progress = ProgressDisplay(quiet: global.quiet).handler
        let started = monotonicSeconds()
        var certificate = try suite.run(on: opened, kernelClass: kernels) { _, completed, total in
            progress(
                ProgressReport(
                    phase: "check \(name)", completed: completed, total: total, unit: "cases",
                    elapsedSeconds: monotonicSeconds() - started))
        }
        try Interruption.check()
        ProgressDisplay.clearLine()
        if !noSpeed { try measure(opened, &certificate) }
        if let openCL = opened as? OpenCLDevice { certificate.probes = openCL.probe() }
        let checked = certificate
        let kept = try keep(checked, opened.identity, kernels)
        if !global.json { print(checked, opened, kept) }
        return checked
    }

    // MARK: Speed

    private func measure(_ device: any Device, _ certificate: inout Certificate) throws {
        global.remark("speed of \(device.identity.name) …")
        let stream = try device.makeStream()
        let limits = try BenchmarkLimits.measure(device, stream)
        certificate.limits = Certificate.Limits(
            multiplyAddGflops: limits.multiplyAddGflops, memoryGigabytesPerSecond: limits.memoryGigabytesPerSecond)
        for one in SpeedCase.all(device.identity.deviceClass) {
            try Interruption.check()
            guard let place = certificate.operations.firstIndex(where: { $0.operation == one.operation.rawValue }),
                certificate.operations[place].passed
            else { continue }
            if let seconds = try seconds(of: one, on: stream) {
                certificate.operations[place].speed = speed(of: one, seconds: seconds, limits)
            }
        }
    }

    /// nil, with a remark, where there is no room for it.
    private func seconds(of one: SpeedCase, on stream: Compute.Stream) throws -> Double? {
        do throws(ComputeError) {
            return try one.medianSeconds(on: stream)
        } catch .outOfMemory(let device, let requested, let available) {
            global.remark(
                "speed of \(one.operation.rawValue) left out: \(requested) bytes on \(device), \(available) free")
            return nil
        }
    }

    private func speed(of one: SpeedCase, seconds: Double, _ limits: MeasuredLimits) -> Certificate.Speed {
        let rate = one.bytes / seconds * 1e-9
        let gflops = one.operations / seconds * 1e-9
        let share =
            one.operations > 0
            ? gflops / limits.roof(operationsPerByte: one.operations / one.bytes)
            : rate / limits.memoryGigabytesPerSecond
        return Certificate.Speed(
            subject: one.subject, medianSeconds: seconds, gflops: one.operations > 0 ? gflops : nil,
            gigabytesPerSecond: rate, percentOfLimit: 100 * share)
    }

    // MARK: Results

    /// Keeps the certificate for later runs. That there is no place for it is worth a remark, not a failure.
    private func keep(
        _ certificate: Certificate, _ identity: DeviceIdentity, _ kernels: DeviceClass?
    ) throws -> Certificate {
        do {
            let (kept, path) = try CertificateStore.keep(certificate, of: identity, kernelClass: kernels)
            if let path { global.detail("certificate kept in \(path)") }
            if path == nil { global.remark("the certificate was not kept: neither HOME nor XDG_STATE_HOME is set") }
            return kept
        } catch let error as SystemError {
            global.remark("the certificate was not kept: \(error)")
            return certificate
        }
    }

    private func print(_ certificate: Certificate, _ device: any Device, _ kept: Certificate) {
        let identity = device.identity
        Output.line(
            "\(identity.name): \(identity.model), \(identity.driver): \(certificate.passed ? "passed" : "FAILED")")
        if let limits = certificate.limits {
            Output.line(
                "limits: \(fixed(limits.multiplyAddGflops, 0)) GFLOP/s, "
                    + "\(fixed(limits.memoryGigabytesPerSecond, 1)) GB/s")
        }
        for (name, finding) in certificate.probes.sorted(by: { $0.key < $1.key }) {
            Output.line("\(name): \(finding)")
        }
        Output.table(
            [
                "operation", "cases", "failures", "deviation", "tolerance", "ratio", "measured at", "GFLOP/s", "GB/s",
                "% of limit", "result",
            ], certificate.operations.map(row))
        for record in kept.operations where !record.passed {
            guard certificate.operations.contains(where: { $0.operation == record.operation && $0.passed }) else {
                continue
            }
            Output.line(
                "\(record.operation) failed in the \(record.sweep) sweep before, and stays refused until it passes "
                    + "that: apus doctor --device \(identity.name) --sweep \(record.sweep)")
        }
        Output.line("")
    }

    private func row(_ record: Certificate.Record) -> [String] {
        let speed = record.speed
        return [
            record.operation, String(record.cases), String(record.failures),
            BenchmarkTable.scientific(record.maximumDeviation), BenchmarkTable.scientific(record.tolerance),
            fixed(record.worstDeviationOverTolerance, 3), speed?.subject ?? "",
            speed?.gflops.map { fixed($0, 1) } ?? "",
            speed.map { fixed($0.gigabytesPerSecond, 2) } ?? "", speed.map { fixed($0.percentOfLimit, 1) } ?? "",
            record.passed ? "pass" : record.reason ?? "fail: \(record.worstCase)",
        ]
    }
}
