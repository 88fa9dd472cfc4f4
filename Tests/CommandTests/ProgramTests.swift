import Testing

@Suite struct ProgramTests {
    @Test func helpAndVersion() throws {
        for arguments in [["--help"], ["synth", "interactions", "--help"], ["help", "synth"]] {
            let result = try Program.run(arguments)
            #expect(result.code == 0 && result.errors == "", "\(result)")
            #expect(result.output.contains("USAGE: apus"))
        }
        let version = try Program.run(["--version"])
        #expect(version.code == 0 && version.output.split(separator: ".").count == 3)
    }

    @Test func usageMistakes() throws {
        for arguments in [["nonsense"], ["--nonsense"], ["synth", "nonsense"]] {
            let result = try Program.run(arguments)
            #expect(result.code == 64 && result.output == "", "\(result)")
            #expect(result.errors.hasPrefix("apus: "), "\(result)")
        }
    }

    @Test func aReaderThatGoesAwayIsNoFailure() throws {
        let result = try Program.shell("\"$APUS\" --help | true; \"$APUS\" synth interactions --help | head -n 1")
        #expect(result.code == 0 && result.errors == "", "\(result)")
    }

    @Test func aFullDiskBehindStandardOutputIsAFailure() throws {
        let folder = Program.folder()
        let result = try Program.shell(
            "exec \"$APUS\" synth interactions --users 10 --items 10 --interactions 20 --json --output \(folder)a > /dev/full"
        )
        #expect(result.code == 1, "\(result)")
        #expect(result.errors.contains("standard output"))
    }
}
