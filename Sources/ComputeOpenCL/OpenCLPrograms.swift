import CKernels
import COpenCL
import Compute
import Core
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The programs of one opened device: one per file of kernels/, built at first use.
final class OpenCLPrograms: Sendable {
    private let deviceName: String
    private let device: OpenCLHandle
    private let context: OpenCLHandle
    private let key: String
    private let options: String
    /// Texts for CPU-class devices begin with vectors_cpu.cl.
    private let isCPUClass: Bool
    private let tuning: KernelTuning
    private let cache: OpenCLProgramCache
    private let state = Mutex(State())

    private struct State {
        var programs: [ProgramName: OpenCLHandle] = [:]
        /// Kernels with the shapes of groups that have been launched already.
        var launched: Set<LaunchVariant> = []
        var seconds = 0.0
    }

    /// What a runtime may compile for separately, when it is first launched.
    struct LaunchVariant: Hashable {
        let program: ProgramName
        let kernel: String
        let group: WorkSize
        let isLarge: Bool
    }

    init(
        name: String, device: OpenCLHandle, context: OpenCLHandle, key: String, kernelClass: DeviceClass,
        deviceClass: DeviceClass, tuning: KernelTuning, cache: OpenCLProgramCache
    ) {
        self.tuning = tuning
        self.cache = cache
        self.deviceName = name
        self.device = device
        self.context = context
        self.key = key
        self.isCPUClass = kernelClass == .cpu
        self.options =
            "-cl-std=CL1.2 -D \(kernelClass == .cpu ? "APUS_CPU_CLASS" : "APUS_GPU_CLASS") "
            + (kernelClass == .cpu && GemmTunables.hasWideRegisters ? "-D REGISTERS_512 " : "")
            // Kernels for GPUs run on a CPU only to be tested. PoCL 3.1 needs minutes to optimize the large ones.
            + (kernelClass == .gpu && deviceClass == .cpu ? "-cl-opt-disable" : "")
    }

    /// Seconds spent on builds and first launches.
    var seconds: Double { state.withLock { $0.seconds } }

    func releaseAll() {
        state.withLock { state in
            for program in state.programs.values { clReleaseProgram(program.pointer) }
            state.programs = [:]
        }
    }

    /// A new kernel object, for one launch site of one stream.
    func makeKernel(_ kernel: String, of program: ProgramName) throws(ComputeError) -> cl_kernel {
        let built = try self.program(program)
        var code: cl_int = CL_SUCCESS
        guard let made = clCreateKernel(built.pointer, kernel, &code), code == CL_SUCCESS else {
            throw openCLError(code, device: deviceName, operation: "kernel \(kernel) of \(program.file)")
        }
        return made
    }

    /// Whether a variant is launched for the first time; it then counts as launched.
    func isFirstLaunch(_ variant: LaunchVariant) -> Bool {
        state.withLock { $0.launched.insert(variant).inserted }
    }

    func addSeconds(_ seconds: Double) {
        state.withLock { $0.seconds += max(seconds, 0) }
    }

    private func program(_ name: ProgramName) throws(ComputeError) -> OpenCLHandle {
        // Held while building, so that two streams never build the same program.
        try state.withLock { (state) throws(ComputeError) -> OpenCLHandle in
            if let program = state.programs[name] { return program }
            let start = monotonicSeconds()
            let prefix = isCPUClass ? try text(of: "vectors_cpu") : []
            let program = OpenCLHandle(pointer: try build(name, source: prefix + text(of: name.file)))
            state.programs[name] = program
            state.seconds += monotonicSeconds() - start
            return program
        }
    }

    private func text(of file: String) throws(ComputeError) -> [UInt8] {
        var length = 0
        guard let text = apus_kernel_source(file, &length) else {
            throw .unsupported(device: deviceName, operation: file, reason: "there is no kernel file of that name")
        }
        return Array(UnsafeRawBufferPointer(start: text, count: length))
    }

    /// Builds a program and throws it away.
    func compile(_ name: ProgramName, source: [UInt8]) throws(ComputeError) {
        clReleaseProgram(try build(name, source: source))
    }

    /// The binary of a source that is compiled for it, as text: PTX where the driver is NVIDIA's.
    func binaryText(source: String, named file: String) throws(ComputeError) -> String {
        let program = try build(ProgramName(file), source: Array(source.utf8))
        defer { clReleaseProgram(program) }
        return String(decoding: (binary(of: program) ?? []).prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Hands a program in PTX to the driver, and to `body` what it makes of it.
    func withProgram<Result>(
        ptx: String, named file: String, _ body: (OpenCLHandle) throws(ComputeError) -> Result
    ) throws(ComputeError) -> Result {
        guard let program = load(Array(ptx.utf8) + [0], options: options) else {
            throw .buildFailed(device: deviceName, program: file, log: "the driver refused the text")
        }
        defer { clReleaseProgram(program) }
        return try body(OpenCLHandle(pointer: program))
    }

    /// Builds a program from the cache, or else from its source, which is then stored.
    private func build(_ name: ProgramName, source: [UInt8]) throws(ComputeError) -> cl_program {
        let tuned = tuning.options(forFile: name.file, own: name.options)
        let options = [self.options, tuned, name.options].filter { !$0.isEmpty }
            .joined(separator: " ")
        let file = name.file
        let fullKey = Array("\(key)\(options)\n\(file)\n".utf8) + source
        if let binary = cache.load(key: fullKey), let program = load(binary, options: options) { return program }
        var code: cl_int = CL_SUCCESS
        var length = source.count
        let made = source.withUnsafeBytes { bytes -> cl_program? in
            var text = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            return clCreateProgramWithSource(context.pointer, 1, &text, &length, &code)
        }
        guard let program = made, code == CL_SUCCESS else {
            throw openCLError(code, device: deviceName, operation: "program \(file)")
        }
        var chosen: cl_device_id? = device.pointer
        code = clBuildProgram(program, 1, &chosen, options, nil, nil)
        guard code == CL_SUCCESS else {
            let log = OpenCLDevice.text {
                clGetProgramBuildInfo(program, device.pointer, cl_program_build_info(CL_PROGRAM_BUILD_LOG), $0, $1, $2)
            }
            clReleaseProgram(program)
            throw .buildFailed(
                device: deviceName, program: file, log: log.isEmpty ? "\(openCLErrorName(code)) (\(code))" : log)
        }
        let binary = binary(of: program)
        guard name.isForHopper else {
            if let binary { cache.store(binary, key: fullKey) }
            return program
        }
        clReleaseProgram(program)
        let text = String(decoding: (binary ?? []).prefix { $0 != 0 }, as: UTF8.self)
        guard let edited = PTXText.withHopperInstructions(text),
            let made = load(Array(edited.utf8) + [0], options: options)
        else {
            throw .buildFailed(device: deviceName, program: file, log: "the driver does not take its PTX for sm_90a")
        }
        cache.store(Array(edited.utf8) + [0], key: fullKey)
        return made
    }

    /// Makes a program of a stored binary; nil when the driver does not want it any more.
    private func load(_ binary: [UInt8], options: String) -> cl_program? {
        var code: cl_int = CL_SUCCESS
        var status: cl_int = CL_SUCCESS
        var chosen: cl_device_id? = device.pointer
        var length = binary.count
        let made = binary.withUnsafeBufferPointer { bytes -> cl_program? in
            var start = bytes.baseAddress
            return clCreateProgramWithBinary(context.pointer, 1, &chosen, &length, &start, &status, &code)
        }
        guard let program = made else { return nil }
        if code == CL_SUCCESS, status == CL_SUCCESS,
            clBuildProgram(program, 1, &chosen, options, nil, nil) == CL_SUCCESS
        {
            return program
        }
        clReleaseProgram(program)
        return nil
    }

    private func binary(of program: cl_program) -> [UInt8]? {
        var size = 0
        let wanted = MemoryLayout<Int>.size
        guard
            clGetProgramInfo(program, cl_program_info(CL_PROGRAM_BINARY_SIZES), wanted, &size, nil) == CL_SUCCESS,
            size > 0
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        let code = bytes.withUnsafeMutableBufferPointer { buffer -> cl_int in
            var start = buffer.baseAddress
            let size = MemoryLayout<UnsafeMutablePointer<UInt8>?>.size
            return clGetProgramInfo(program, cl_program_info(CL_PROGRAM_BINARIES), size, &start, nil)
        }
        return code == CL_SUCCESS ? bytes : nil
    }
}
