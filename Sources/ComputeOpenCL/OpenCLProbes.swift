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
    /// - `warpgroup_products_tf32` (of float32), `warpgroup_products_bfloat16`: whether those of Hopper are right;
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
            switch context.warpgroups(precision) {
            case .works: findings["warpgroup_products_\(name)"] = "give the right numbers"
            case .fails(let reason): findings["warpgroup_products_\(name)"] = "no: \(reason)"
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

    /// Whether float32 products go to the warpgroups of Hopper here.
    public var hasWarpgroups: Bool {
        if case .works = context.warpgroups(.float32) { return true }
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

    /// A program of kernels/gemm_hopper.cl as Hopper runs it: its comments are instructions, the target is sm_90a, and the
    /// stages have the size that the text asks for. Nil for a text without these parts.
    package static func withHopperInstructions(_ ptx: String) -> String? {
        let declared = "_stages[32768]"
        guard directive("target", of: ptx) == "sm_90",
            let asked = ptx.split(separator: "\n").lazy.compactMap({ line -> Int? in
                let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
                return words.first == "//STAGES" && words.count > 1 ? Int(words[1]) : nil
            }).first
        else { return nil }
        var (lines, resized): ([String], Bool) = ([], false)
        for line in ptx.prefix(while: { $0 != "\0" }).split(separator: "\n", omittingEmptySubsequences: false) {
            let text = line.drop { $0 == " " || $0 == "\t" }
            if text.hasPrefix("//WG ") {
                lines.append(String(text.dropFirst(5)))
            } else if text.hasPrefix(".target") {
                lines.append(String(line.replacing("sm_90", with: "sm_90a")))
            } else if let range = line.firstRange(of: declared) {
                lines.append(line[..<range.lowerBound] + "_stages[\(asked)]" + line[range.upperBound...])
                resized = true
            } else {
                lines.append(String(line))
            }
        }
        return resized ? lines.joined(separator: "\n") : nil
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
