import Compute
import Conformance
import Devices
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A device as an argument of a test.
struct TestDevice: Sendable, CustomTestStringConvertible {
    let label: String
    let device: any Device
    /// Opens the device once more, for tests that must have it to themselves.
    let open: @Sendable () throws(ComputeError) -> any Device

    init(_ label: String, _ open: @escaping @Sendable () throws(ComputeError) -> any Device) throws(ComputeError) {
        self.label = label
        self.open = open
        device = try open()
    }

    var testDescription: String { label }

    /// The oracle, which checks the suite itself, and every device found, with the kernels of every class.
    /// `APUS_TEST_DEVICES` keeps those whose label contains it.
    static let all: [TestDevice] = {
        let filter = environment("APUS_TEST_DEVICES")
        return (oracle + TestDeviceList.found.devices).filter { filter.map($0.label.contains) ?? true }
    }()

    private static var oracle: [TestDevice] {
        (try? TestDevice("oracle") { () throws(ComputeError) in OracleDevice() }).map { [$0] } ?? []
    }
}

/// Devices of the machine, and what went wrong with those that would not open.
struct TestDeviceList: Sendable {
    var devices: [TestDevice] = []
    var failures: [String] = []

    static let found: TestDeviceList = SingleThread.shared.run {
        var list = TestDeviceList()
        for listing in Devices.list() {
            if let reason = listing.unusableReason {
                list.failures.append("\(listing.name): \(reason)")
            } else if listing.identity.backend == "OpenCL" {
                list.addOpenCL(listing)
            } else {
                list.addCPU(listing)
            }
        }
        return list
    }

    /// Opens the device, or notes why it can't be opened.
    private mutating func add(_ label: String, _ open: @escaping @Sendable () throws(ComputeError) -> any Device) {
        do throws(ComputeError) {
            devices.append(try TestDevice(label, open))
        } catch {
            failures.append("\(label): \(error)")
        }
    }

    /// The CPU device with one thread and with more, also more than there are cores.
    private mutating func addCPU(_ listing: DeviceListing) {
        for threads in [1, 2, 5] {
            let options = DeviceOptions(threads: threads, heedsCertificates: false)
            add("\(listing.name), \(threads) threads") { () throws(ComputeError) in
                try Devices.open(listing.name, options: options).device
            }
        }
    }

    /// An OpenCL device with the kernels of CPUs and, whatever it is, with those of GPUs; the latter in memory that is
    /// not shared, as most of them have it. Memory holds NaN when it is handed out: a kernel that reads what nobody wrote fails.
    private mutating func addOpenCL(_ listing: DeviceListing) {
        let copies = environment("APUS_TEST_COPY") == "1"
        for kernelClass in [DeviceClass.cpu, .gpu] {
            let options = DeviceOptions(kernelClass: kernelClass, heedsCertificates: false, poisonsMemory: true)
            add("\(listing.name) \(listing.identity.model), \(kernelClass) kernels") { () throws(ComputeError) in
                let device = try Devices.open(listing.name, options: options).device
                return kernelClass == .gpu || copies ? CopyingDevice(device) : device
            }
        }
    }
}

/// Whether continuous integration, or whoever set `APUS_REQUIRE_OPENCL`, insists on an OpenCL device.
var requiresOpenCL: Bool { environment("CI") == "true" || environment("APUS_REQUIRE_OPENCL") == "1" }

/// The value of a variable of the environment.
func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}

/// What `body` throws; records an issue when it throws nothing.
func computeError(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws(ComputeError) -> Void
) -> ComputeError? {
    do throws(ComputeError) {
        try body()
    } catch {
        return error
    }
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    return nil
}
