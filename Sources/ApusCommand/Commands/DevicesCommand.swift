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
        let automatic =
            usable.first { $0.identity.backend == "OpenCL" && $0.identity.deviceClass == .gpu }?.name ?? "cpu"
        if global.json {
            Output.json(
                .object([("devices", .array(listings.map { json($0) })), ("auto", .string(automatic))]))
            return
        }
        Output.table(
            ["device", "backend", "class", "units", "memory", "capability", "model", "driver"],
            listings.map { listing in
                [
                    listing.name, listing.identity.backend, listing.identity.deviceClass.rawValue,
                    String(listing.limits.computeUnits), byteSize(listing.limits.memoryBytes),
                    listing.identity.capability, listing.identity.model, listing.identity.driver,
                ]
            })
        for listing in listings {
            if let reason = listing.unusableReason { Output.line("\(listing.name) can't be used: \(reason)") }
            for note in listing.notes { Output.line("\(listing.name): \(note)") }
        }
        Output.line("auto: \(automatic)")
        if !usable.contains(where: { $0.identity.backend == "OpenCL" }) {
            Output.line(
                "no OpenCL device: install a GPU driver, or PoCL (pocl-opencl-icd) to use the CPU through OpenCL")
        }
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
        ])
    }
}
