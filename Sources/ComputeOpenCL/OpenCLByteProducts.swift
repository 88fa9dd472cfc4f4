import COpenCL
import Compute
import Core
import Synchronization

/// What was found out about products of bytes, once for each device.
final class ByteProductProbe: Sendable {
    private let finding = Mutex<(options: String?, isKnown: Bool)>((nil, false))

    func options(_ find: () -> String?) -> String? {
        finding.withLock { finding in
            if !finding.isKnown { finding = (find(), true) }
            return finding.options
        }
    }
}

extension OpenCLContext {
    /// Compiler options of clusters_rounded_cpu.cl; nil where products of bytes are no faster.
    ///
    /// On PoCL the kernel uses an instruction of the processor, if a kernel of that one instruction compiles and gives the
    /// right numbers. Oclgrind gets the same kernel in words of the language.
    var byteProductOptions: String? {
        guard kernelClass == .cpu else { return nil }
        if isOclgrind { return "" }
        guard isPoCL, Processor.hasByteProducts else { return nil }
        return byteProbe.options {
            let options = "-D APUS_BYTE_PRODUCTS"
            let found = try? run(
                program: ProgramName("clusters_rounded_cpu", options: options), kernel: "probe", items: 1, results: 16)
            return found == [Float](repeating: 7 + 200 * 3 - 4 * 100 + 255 * 127 - 128, count: 16) ? options : nil
        }
    }
}
