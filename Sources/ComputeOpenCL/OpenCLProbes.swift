import COpenCL
import Compute

#if canImport(Glibc)
    import Glibc
#endif

/// What can't be read from the driver's answers, and is tried: for `apus doctor`, its certificate and `scripts/gpu-check`.
extension OpenCLDevice {
    /// Findings by name. On NVIDIA devices:
    /// - `ptx_version`, `ptx_target`: what the driver compiles OpenCL C to, from the program's binary, which is PTX;
    /// - `tensor_units_tf32`, `tensor_units_bfloat16`: whether mma.sync compiles and gives the right numbers;
    /// - `wgmma_by_reloading_ptx`: whether Hopper's wgmma can be had by handing the driver its own PTX again, with the
    ///   target sm_90a.
    /// Elsewhere `tensor_units` says why there are none.
    public func probe() -> [String: String] {
        var findings: [String: String] = ["architecture": architecture]
        guard context.isNVIDIA else {
            findings["tensor_units"] = "none: mma.sync is for NVIDIA devices"
            return findings
        }
        for (name, precision) in [("tf32", ProductPrecision.float32), ("bfloat16", .bfloat16)] {
            switch context.tensorUnits(precision) {
            case .works: findings["tensor_units_\(name)"] = "mma.sync compiles and gives the right numbers"
            case .fails(let reason): findings["tensor_units_\(name)"] = "no: \(reason)"
            }
        }
        do throws(ComputeError) {
            let ptx = try context.programs.binaryText(source: PTXText.probeSource, named: "probe")
            findings["ptx_version"] = PTXText.directive("version", of: ptx) ?? "the binary is no PTX text"
            findings["ptx_target"] = PTXText.directive("target", of: ptx) ?? "the binary is no PTX text"
            findings["wgmma_by_reloading_ptx"] = wgmma(ptx)
        } catch {
            findings["ptx_version"] = "unknown: \(error)"
        }
        return findings
    }

    /// Whether float32 products can go to tensor units here.
    public var hasTensorUnits: Bool {
        if case .works = context.tensorUnits(.float32) { return true }
        return false
    }

    private func wgmma(_ ptx: String) -> String {
        guard let text = PTXText.withWarpgroupInstructions(ptx) else { return "not tried: the binary is no PTX text" }
        do throws(ComputeError) {
            let found = try context.programs.withProgram(ptx: text, named: "wgmma probe") {
                (program) throws(ComputeError) in
                try context.runProbe(of: program, items: 128, results: 128)
            }
            return found == (0..<128).map { Float($0) * 2 }
                ? "yes: the driver takes target sm_90a, and wgmma.fence, commit_group and wait_group run"
                : "no: the reloaded program gives wrong numbers"
        } catch {
            return "no: \(error)"
        }
    }
}

/// Reads and changes programs in PTX, the text that NVIDIA's driver gives as a program's binary.
package enum PTXText {
    /// A kernel that stores twice the number of its work-item.
    package static let probeSource = """
        __kernel __attribute__((reqd_work_group_size(128, 1, 1))) void probe(__global float *result) {
            result[get_global_id(0)] = 2.0f * get_local_id(0);
        }
        """

    /// The word after a directive: `8.4` for `version`, `sm_90` for `target`.
    package static func directive(_ name: String, of ptx: String) -> String? {
        for line in ptx.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "," })
            if words.first == ".\(name)", words.count > 1 { return String(words[1]) }
        }
        return nil
    }

    /// The program for target sm_90a and at least version 8.0, with the instructions around an asynchronous wgmma
    /// before the end of its kernel; nil for a text without these parts.
    package static func withWarpgroupInstructions(_ ptx: String) -> String? {
        guard let version = directive("version", of: ptx), directive("target", of: ptx) != nil else { return nil }
        let major = version.split(separator: ".").first.flatMap { Int($0) } ?? 0
        var (lines, inserted): ([String], Bool) = ([], false)
        for line in ptx.prefix(while: { $0 != "\0" }).split(separator: "\n", omittingEmptySubsequences: false) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "," })
            switch words.first {
            case ".version": lines.append(".version \(major >= 8 ? version : "8.0")")
            case ".target": lines.append(".target sm_90a" + (words.contains("debug") ? ", debug" : ""))
            case "ret;" where !inserted:
                lines += [
                    "wgmma.fence.sync.aligned;", "wgmma.commit_group.sync.aligned;",
                    "wgmma.wait_group.sync.aligned 0;", String(line),
                ]
                inserted = true
            default: lines.append(String(line))
            }
        }
        return inserted ? lines.joined(separator: "\n") : nil
    }
}

extension OpenCLContext {
    /// Runs the kernel `probe` of a program.
    func runProbe(of program: OpenCLHandle, items: Int, results: Int) throws(ComputeError) -> [Float] {
        var code: cl_int = CL_SUCCESS
        guard let kernel = clCreateKernel(program.pointer, "probe", &code), code == CL_SUCCESS else {
            throw openCLError(code, device: name, operation: "kernel probe")
        }
        defer { clReleaseKernel(kernel) }
        return try run(kernel, items: items, results: results)
    }
}
