import ArgumentParser
import Compute
import Conformance
import Core
import Devices
import FoundationEssentials
import Learners

/// `apus doctor`
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check what is installed and whether every device computes what it should.",
        discussion: """
            Runs the conformance sweep against a double-precision oracle on every device, or on those named, and says \
            what to do about what does not work. Exits with 1 when a device fails.
            """)

    @Option(help: "A device to check; repeat for several (default: all).")
    var device: [String] = []
    @Option(help: "minimal (seconds), reduced (about a minute) or full.")
    var sweep = "minimal"
    @Option(help: "Write the certificate of the (only) device checked as JSON.")
    var certificate: String?
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
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            let body = try certificates.map { String(decoding: try encoder.encode($0), as: UTF8.self) }
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
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
            let file = try AtomicFile(path: certificate)
            try file.write(String(decoding: try encoder.encode(only), as: UTF8.self) + "\n")
            try file.commit()
        }
        if !healthy { throw ExitCode(1) }
    }

    private func check(_ name: String) throws -> Certificate {
        let opened = try Devices.open(name, options: global.deviceOptions).device
        let suite = ConformanceSuite(Sweep(rawValue: sweep) ?? .minimal)
        let progress = ProgressDisplay(quiet: global.quiet).handler
        let started = monotonicSeconds()
        let certificate = try suite.run(on: opened) { _, completed, total in
            progress(
                ProgressReport(
                    phase: "check \(name)", completed: completed, total: total, unit: "cases",
                    elapsedSeconds: monotonicSeconds() - started))
        }
        try Interruption.check()
        ProgressDisplay.clearLine()
        if !global.json {
            Output.line(
                "\(name): \(opened.identity.model), \(opened.identity.driver): \(certificate.passed ? "passed" : "FAILED")"
            )
            Output.table(
                ["operation", "cases", "failures", "worst deviation / tolerance", "seconds", "result"],
                certificate.operations.map { record in
                    [
                        record.operation, String(record.cases), String(record.failures),
                        fixed(record.worstDeviationOverTolerance, 3), fixed(record.seconds, 2),
                        record.passed ? "pass" : record.reason ?? "fail: \(record.worstCase)",
                    ]
                })
            Output.line("")
        }
        return certificate
    }
}
