import ArgumentParser
import Compute
import Core
import Devices

/// Flags that mean the same everywhere.
struct GlobalOptions: ParsableArguments {
    @Option(help: "Threads of CPU-class devices, OpenCL's included (default: all cores).")
    var threads: Int?

    @Option(name: .customLong("memory-limit"), help: "Most memory to use: 4GB, 512MiB or a number of bytes.")
    var memoryLimit: ByteCount?

    @Option(
        name: .customLong("kernel-class"), help: "Force the OpenCL kernels written for a class of device: cpu or gpu.")
    var kernelClass: KernelClass?

    @Flag(help: "No progress, no remarks.")
    var quiet = false

    @Flag(help: "Say more about what is done.")
    var verbose = false

    @Flag(help: "Standard output is one JSON object.")
    var json = false

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be from 1 to 1024, not \(threads)")
        }
    }

    /// Options of the devices to be opened.
    var deviceOptions: DeviceOptions {
        DeviceOptions(threads: threads, memoryLimitBytes: memoryLimit?.bytes, kernelClass: kernelClass?.deviceClass)
    }

    /// A remark on standard error, unless quiet.
    func remark(_ text: @autoclosure () -> String) {
        if !quiet { writeToStandardError("apus: \(text())\n") }
    }

    /// A detail on standard error, when asked for.
    func detail(_ text: @autoclosure () -> String) {
        if verbose { writeToStandardError("apus: \(text())\n") }
    }
}

/// The classes that kernels are written for.
enum KernelClass: String, ExpressibleByArgument, CaseIterable {
    case cpu, gpu

    var deviceClass: DeviceClass { self == .cpu ? .cpu : .gpu }
}

/// The device to work on.
struct DeviceOption: ParsableArguments {
    @Option(
        help: "cpu, opencl, opencl:P.D (see `apus devices`), or auto: a GPU that `apus doctor` has passed, else cpu.")
    var device = "auto"

    /// Opens the device and says what was chosen.
    func open(_ global: GlobalOptions) throws -> any Device {
        let opened = try Devices.open(device, options: global.deviceOptions)
        if device == "auto" {
            global.remark("device \(opened.explanation)")
        } else {
            global.detail("device \(opened.explanation)")
        }
        return opened.device
    }
}

/// A number of bytes with a unit: 4GB, 512MiB, 1000000.
struct ByteCount: ExpressibleByArgument {
    let bytes: Int

    init?(argument: String) {
        let units: [(String, Double)] = [
            ("kib", 1024), ("mib", 1_048_576), ("gib", 1_073_741_824), ("tib", 1_099_511_627_776), ("kb", 1e3),
            ("mb", 1e6), ("gb", 1e9), ("tb", 1e12), ("k", 1024), ("m", 1_048_576), ("g", 1_073_741_824), ("b", 1),
            ("", 1),
        ]
        let text = argument.lowercased()
        guard let (suffix, scale) = units.first(where: { text.hasSuffix($0.0) }) else { return nil }
        guard let number = Double(text.dropLast(suffix.count)), number > 0, number * scale < 9e18 else { return nil }
        bytes = Int(number * scale)
    }
}
