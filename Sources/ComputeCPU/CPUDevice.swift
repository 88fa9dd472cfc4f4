import COpenBLAS
import CVectorLoops
import Compute
import Core

#if canImport(Glibc)
    import Glibc
#endif

/// The CPU through OpenBLAS, LAPACK and our own vector loops.
///
/// OpenBLAS is set to one thread for ever; the device's own workers share out slabs that are fixed by shape.
public final class CPUDevice: Device {
    public let identity: DeviceIdentity
    public let limits: DeviceLimits
    public let denseSolver: any DenseSolver = LAPACKDenseSolver()
    /// bfloat16 by instructions of its own where the processor has them, else by rounding first.
    public var productPrecisions: Set<ProductPrecision> { Set(ProductPrecision.allCases) }
    public let unsupportedOperations: [OperationKind: String]
    /// What a user should know about this machine's set-up: variables that slow OpenBLAS down, for example.
    public let notes: [String]
    /// Whether products of bfloat16 take the processor's own instructions.
    let multipliesPairs: Bool
    let pool: WorkerPool
    let memory: CPUMemory

    /// Cores that this process may run on.
    public static var availableCores: Int { max(1, Int(apus_available_cores())) }

    /// - Parameters:
    ///   - threads: worker threads, the caller included; nil for all available cores.
    ///   - memoryLimitBytes: most bytes of device memory; nil for what the machine has. Scratch memory of the
    ///     workers, a few megabytes each, is not counted.
    ///   - multipliesPairs: whether products of bfloat16 take the processor's own instructions, where it has them; false to
    ///     test what others do.
    ///   - unsupportedOperations: what the certificate of this processor, once it is known, forbids, with the reason.
    public init(
        threads: Int? = nil, memoryLimitBytes: Int? = nil, multipliesPairs: Bool = true,
        unsupportedOperations: (DeviceIdentity) -> [OperationKind: String] = { _ in [:] }
    ) {
        let core = OpenBLASKernels.name
        openblas_set_num_threads(1)
        self.multipliesPairs = multipliesPairs && apus_bfloat16_products_available()
        let threads = max(1, threads ?? Self.availableCores)
        pool = WorkerPool(threadCount: threads)
        let bytes = Self.installedBytes
        memory = CPUMemory(limitBytes: min(memoryLimitBytes ?? bytes, bytes))
        let version = String(cString: openblas_get_config()).split(separator: " ").prefix(2).joined(separator: " ")
        let processor = Self.processorInformation()
        identity = DeviceIdentity(
            name: "cpu", backend: "CPU-BLAS", model: processor.model, vendor: processor.vendor,
            driver: "\(version) (\(core))", deviceClass: .cpu, capability: String(cString: apus_vector_capability()))
        limits = DeviceLimits(
            computeUnits: threads, memoryBytes: min(memoryLimitBytes ?? bytes, bytes),
            largestAllocationBytes: min(memoryLimitBytes ?? bytes, bytes), localMemoryBytes: 0,
            sharesHostMemory: true)
        self.unsupportedOperations = unsupportedOperations(identity)
        let restricting: [String] = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]
        notes = restricting.compactMap { name in
            guard let value = getenv(name) else { return nil }
            return "\(name)=\(String(cString: value)) is set and may hold OpenBLAS below its full speed"
        }
    }

    /// More than this can never be granted: refused with an error, where the system would end the process.
    private static var installedBytes: Int {
        max(Int(sysconf(Int32(_SC_PHYS_PAGES))), 1) * max(Int(sysconf(Int32(_SC_PAGESIZE))), 1)
    }

    public var allocatedBytes: Int { memory.allocatedBytes }
    public var compileSeconds: Double { 0 }
    public var fusedOperations: Set<OperationKind> { [.perceptronSteps] }

    public func makeBackend() throws(ComputeError) -> any StreamBackend { CPUBackend(device: self) }

    private static func processorInformation() -> (model: String, vendor: String) {
        var (model, vendor) = ("unknown processor", "unknown")
        guard let file = fopen("/proc/cpuinfo", "r") else { return (model, vendor) }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 1024)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let parts = text.split(separator: ":", maxSplits: 1).map { field in
                String(field.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0.isWhitespace }.reversed())
            }
            guard parts.count == 2 else {
                if text == "\n" { break }
                continue
            }
            if parts[0] == "model name" { model = parts[1] }
            if parts[0] == "vendor_id" { vendor = parts[1] }
        }
        return (model, vendor)
    }
}
