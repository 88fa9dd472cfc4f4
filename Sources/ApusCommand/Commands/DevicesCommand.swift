import ArgumentParser
import Compute
import Devices

/// `apus devices`
struct DevicesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "List the devices of this machine, and what auto would choose.")

    @OptionGroup var global: GlobalOptions

    func run() throws {
        let listings = Devices.list(global.deviceOptions)
        let usable = listings.filter { $0.unusableReason == nil }
        let automatic = Devices.automaticChoice(global.deviceOptions)
        if global.json {
            Output.json(
                .object([
                    ("devices", .array(listings.map { json($0) })), ("auto", .string(automatic.name)),
                    ("auto_reason", .string(automatic.reason)),
                ]))
            return
        }
        Output.table(
            ["device", "backend", "class", "units", "memory", "capability", "checked", "model", "driver"],
            listings.map { listing in
                [
                    listing.name, listing.identity.backend, listing.identity.deviceClass.rawValue,
                    String(listing.limits.computeUnits), byteSize(listing.limits.memoryBytes),
                    listing.identity.capability, checked(listing), listing.identity.model, listing.identity.driver,
                ]
            })
        for listing in listings {
            if let reason = listing.unusableReason { Output.line("\(listing.name) can't be used: \(reason)") }
            for (kind, reason) in (listing.certificate?.unsupportedOperations ?? [:]).sorted(by: {
                $0.key.rawValue < $1.key.rawValue
            }) {
                Output.line("\(listing.name) is not used for \(kind.rawValue): it \(reason)")
            }
            for note in listing.notes { Output.line("\(listing.name): \(note)") }
            if let tuned = listing.tuned {
                Output.line(
                    "\(listing.name): kernels tuned on \(tuned.date.prefix(10)), "
                        + "\(tuned.values.count) values other than the table's")
            }
        }
        Output.line("auto: \(automatic.name) (\(automatic.reason))")
        if !usable.contains(where: { $0.identity.backend == "OpenCL" }) {
            Output.line(
                "no OpenCL device: install a GPU driver, or PoCL (pocl-opencl-icd) to use the CPU through OpenCL")
        }
    }

    /// "passed 2026-01-31", "failed gram, topK", or "untested".
    private func checked(_ listing: DeviceListing) -> String {
        guard let certificate = listing.certificate else { return "untested" }
        let failed = certificate.operations.filter { !$0.passed }.map(\.operation)
        return failed.isEmpty ? "passed \(certificate.date.prefix(10))" : "failed \(failed.joined(separator: ", "))"
    }

    private func json(certificate: Certificate?) -> JSONValue {
        guard let certificate else { return .null }
        return .object([
            ("passed", .bool(certificate.passed)), ("date", .string(certificate.date)),
            ("sweep", .string(certificate.sweep)),
            ("failed", .array(certificate.operations.filter { !$0.passed }.map { .string($0.operation) })),
        ])
    }

    private func json(_ listing: DeviceListing) -> JSONValue {
        let (identity, limits) = (listing.identity, listing.limits)
        return .object([
            ("name", .string(listing.name)), ("backend", .string(identity.backend)),
            ("class", .string(identity.deviceClass.rawValue)), ("model", .string(identity.model)),
            ("vendor", .string(identity.vendor)), ("driver", .string(identity.driver)),
            ("capability", .string(identity.capability)), ("compute_units", .integer(limits.computeUnits)),
            ("memory_bytes", .integer(limits.memoryBytes)),
            ("largest_allocation_bytes", .integer(limits.largestAllocationBytes)),
            ("local_memory_bytes", .integer(limits.localMemoryBytes)),
            ("shares_host_memory", .bool(limits.sharesHostMemory)),
            ("usable", .bool(listing.unusableReason == nil)), ("reason", .optional(listing.unusableReason)),
            ("notes", .array(listing.notes.map { .string($0) })),
            ("certificate", json(certificate: listing.certificate)),
            ("tuned", .optional(listing.tuned?.date)),
        ])
    }
}
