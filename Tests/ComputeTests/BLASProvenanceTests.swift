import ComputeCPU
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// liblapacke pulls in whatever BLAS the system's alternatives name; the routines must come from OpenBLAS all the same.
@Suite("BLAS") struct BLASProvenanceTests {
    @Test("comes from OpenBLAS", arguments: ["sgemm_", "ssyrk_", "spotrf_", "dsyevd_", "dgesdd_", "cblas_sgemm"])
    func provenance(_ symbol: String) throws {
        _ = CPUDevice(threads: 1)
        // The first library that defines the symbol, in the order in which the loader searches for us.
        let address = try #require(dlsym(dlopen(nil, RTLD_NOW), symbol), "\(symbol) is not linked")
        let library = try #require(Self.file(mappedAt: UInt(bitPattern: address)))
        #expect(library.contains("openblas"), "\(symbol) comes from \(library)")
    }

    /// The file that the loader has mapped where `address` is.
    private static func file(mappedAt address: UInt) -> String? {
        guard let maps = fopen("/proc/self/maps", "r") else { return nil }
        defer { fclose(maps) }
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), maps) != nil {
            // 7f00-7f10 r-xp 00000000 08:01 123   /usr/lib/libopenblas.so.0
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let fields = text.split(whereSeparator: \.isWhitespace)
            let bounds = fields.first?.split(separator: "-").compactMap { UInt($0, radix: 16) } ?? []
            if bounds.count == 2, bounds[0] <= address, address < bounds[1] { return fields.last.map(String.init) }
        }
        return nil
    }
}
