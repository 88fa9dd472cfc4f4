import Testing

/// What `apus doctor` finds is remembered for the device and its driver, and heeded.
@Suite struct CertificateTests {
    private let folder = Program.folder()
    private var environment: [String: String] { ["XDG_STATE_HOME": folder + "state"] }

    /// What `apus devices` says about the certificate of the CPU; nil when it has none.
    private func certificate() throws -> [String: JSONText]? {
        let listing = try Program.run(["devices", "--json"], environment: environment)
        let all = try JSONText.object(in: listing.output)["devices"]?.array?.compactMap(\.object) ?? []
        return all.first { $0["name"]?.string == "cpu" }?["certificate"]?.object
    }

    /// Makes the stored certificate one in which gemm has failed a larger sweep.
    private func plantFailure() throws -> String {
        let file = try Program.shell("echo \(folder)state/apus/certificates/*.json").output
            .split(separator: "\n").joined()
        let text = try #require(Program.read(file))
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex { $0.contains("\"operation\" : \"gemm\"") })
        let changed = lines.enumerated().map { number, line -> String in
            guard number > start, number < start + 12 else { return String(line) }
            if line.contains("\"passed\"") && number == start + 1 {
                return "\"passed\": false, \"reason\": \"planted\","
            }
            if line.contains("\"sweep\""), !lines[start..<number].contains(where: { $0.contains("\"sweep\"") }) {
                return "\"sweep\": \"full\","
            }
            return String(line)
        }
        let planted = TemporaryFolder()
        _ = try Program.shell("cp '\(planted.write("c", changed.joined(separator: "\n")))' '\(file)'")
        return file
    }

    @Test func aFailureIsRefusedUntilItIsCleared() throws {
        #expect(try certificate() == nil)
        let doctor = ["doctor", "--device", "cpu", "--sweep", "minimal", "--no-speed", "--quiet"]
        let written = folder + "certificate.json"
        let first = try Program.run(doctor + ["--certificate", written], environment: environment)
        #expect(first.code == 0, "\(first.errors)")
        let records =
            try JSONText.object(in: Program.read(written) ?? "")["operations"]?.array?.compactMap(\.object) ?? []
        #expect(records.contains { $0["operation"]?.string == "gemm" && $0["maximum_deviation"]?.number != nil })
        #expect(try certificate()?["sweep"]?.string == "minimal")
        #expect(try certificate()?["passed"] == .bool(true))

        let file = try plantFailure()
        #expect(try certificate()?["failed"] == .array([.string("gemm")]))
        let table = try Program.run(["devices"], environment: environment)
        #expect(table.output.contains("cpu is not used for gemm"))
        let refused = try Program.run(
            ["bench", "transfer", "--device", "cpu", "--sizes", "4", "--runs", "1"], environment: environment)
        #expect(refused.code == 0, "what has passed may be used: \(refused.errors)")
        let gemm = try Program.run(
            ["bench", "gemm", "--device", "cpu", "--sizes", "64", "--runs", "1"], environment: environment)
        #expect(gemm.errors.contains("does not support gemm"), "\(gemm.errors)")

        // A smaller sweep does not clear it; one of its size does.
        let again = try Program.run(doctor, environment: environment)
        #expect(again.code == 0 && again.output.contains("stays refused"), "\(again.output)")
        #expect(try certificate()?["passed"] == .bool(false))
        _ = try Program.shell("sed -i 's/: \"full\"/: \"minimal\"/' '\(file)'")
        #expect(try Program.run(doctor, environment: environment).code == 0)
        #expect(try certificate()?["passed"] == .bool(true))
    }

    @Test func aDamagedCertificateIsNone() throws {
        _ = try Program.run(
            ["doctor", "--device", "cpu", "--sweep", "minimal", "--no-speed"], environment: environment)
        #expect(try certificate() != nil)
        _ = try Program.shell("for f in \(folder)state/apus/certificates/*.json; do echo '{' > $f; done")
        #expect(try certificate() == nil)
    }

    @Test func wrongUse() throws {
        #expect(try Program.run(["doctor", "--sweep", "huge"]).code == 64)
        #expect(try Program.run(["doctor", "--certificate", "x.json"]).code == 64)
        #expect(try Program.run(["doctor", "--device", "opencl:9.9"]).code == 69)
        #expect(try Program.run(["devices", "--kernel-class", "tpu"]).code == 64)
        #expect(try Program.run(["doctor", "--device", "cpu", "--certificate", "/nowhere/c.json"]).code == 1)
    }
}
