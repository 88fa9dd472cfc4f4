import Testing

/// `apus bench`: the conversation by which scripts compare it with other programs, and the cases that those use.
@Suite struct BenchmarkTests {
    /// `--paced` waits for a line before each run, says how long it took, and ends with the records.
    @Test func pacedRunsTakeTurns() throws {
        let result = try Program.shell(
            #"printf '\n\n' | "$APUS" bench gemm --sizes 16 --device cpu --runs 2 --paced --json --quiet"#)
        #expect(result.code == 0, "\(result)")
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: true)
        try #require(lines.count == 5, "\(result.output)")
        #expect(lines[0] == "ready 0" && lines[2] == "ready 0")
        let records = try #require(try JSONText.object(in: String(lines[4]))["cases"]?.array)
        let record = try #require(records.first?.object)
        let times = try [lines[1], lines[3]].map { line in
            let words = line.split(separator: " ")
            try #require(words.count == 3 && words[0] == "seconds" && words[1] == "0", "\(line)")
            return try #require(Double(String(words[2])))
        }
        #expect(record["runs"]?.number == 2)
        #expect(record["median_seconds"]?.number == (times[0] + times[1]) / 2)
    }

    /// The end of standard input ends the runs, but one must have been.
    @Test func theOtherProgramMayStopEarly() throws {
        let flags = "bench gemm --sizes 16 --device cpu --runs 9 --paced --json --quiet"
        let result = try Program.shell("printf '\\n\\n' | \"$APUS\" \(flags)")
        #expect(result.code == 0, "\(result)")
        let last = try #require(result.output.split(separator: "\n").last)
        let record = try #require(try JSONText.object(in: String(last))["cases"]?.array?.first?.object)
        #expect(record["runs"]?.number == 2 && record["samples"]?.array?.count == 2)
        let nothing = try Program.shell("\"$APUS\" \(flags) < /dev/null")
        #expect(nothing.code == 64 && nothing.errors.contains("--paced"), "\(nothing)")
    }

    /// The phases of reading are parts of the whole, and the file is that which was named.
    @Test func readingIsMeasuredByPhase() throws {
        let folder = TemporaryFolder()
        let file = folder.write("shop.csv", SmallShop.text)
        let result = try Program.run([
            "bench", "read", "--interactions", file, "--device", "cpu", "--runs", "3", "--json", "--quiet",
        ])
        #expect(result.code == 0, "\(result)")
        let records = try #require(try JSONText.object(in: result.output)["cases"]?.array?.compactMap(\.object))
        #expect(records.compactMap { $0["settings"]?.object?["phase"]?.string } == ["all", "parse", "number", "order"])
        for record in records {
            #expect(record["sizes"]?.object?["bytes"]?.number == Double(SmallShop.text.utf8.count))
            #expect(record["sizes"]?.object?["rows"]?.number == Double(SmallShop.text.split(separator: "\n").count - 1))
            #expect((record["median_seconds"]?.number ?? -1) > 0)
        }
    }

    /// Devices agree on whom they recommend what, with a model of the user's.
    @Test func recommendingIsMeasured() throws {
        let shop = try SmallShop.trained.get()
        let result = try Program.run([
            "bench", "recommend", "--model", shop.path + "/shop.apus", "--count", "5", "--runs", "3", "--json",
            "--quiet",
        ])
        #expect(result.code == 0, "\(result)")
        let records = try #require(try JSONText.object(in: result.output)["cases"]?.array?.compactMap(\.object))
        #expect(!records.isEmpty)
        for record in records {
            // Equal but for ties that rounding decides.
            #expect((record["max_deviation"]?.number ?? 1) < 0.02, "\(record)")
            #expect(record["sizes"]?.object?["count"]?.number == 5)
        }
    }

    /// The cost model is judged by what the solvers really take; a limit that nothing can pass fails.
    @Test func theChoiceOfAutoIsJudged() throws {
        let arguments = [
            "bench", "als", "--users", "300", "--items", "200", "--interactions", "3000", "--factors", "8", "--solver",
            "all", "--device", "cpu", "--runs", "3", "--quiet", "--auto-within",
        ]
        #expect(try Program.run(arguments + ["1000"]).code == 0)
        let misuse = try Program.run(arguments + ["0.5"])
        #expect(misuse.code == 64 && misuse.errors.contains("--auto-within"), "\(misuse)")
    }
}
