import Glibc
import Testing

@Suite struct SynthTests {
    private let small = ["synth", "interactions", "--users", "200", "--items", "60", "--interactions", "2000"]

    @Test func sameSeedSameFile() throws {
        let folder = Program.folder()
        for (name, more) in [("a", ["--threads", "1"]), ("b", ["--threads", "5"]), ("c", ["--seed", "43"])] {
            let result = try Program.run(small + ["--quiet", "--output", folder + name] + more)
            #expect(result.code == 0 && result.output == "" && result.errors == "", "\(result)")
        }
        let text = try #require(Program.read(folder + "a"))
        #expect(text == Program.read(folder + "b"))
        #expect(text != Program.read(folder + "c"))
        #expect(text.hasPrefix("user,item,rating,time\n"))
        #expect(text.split(separator: "\n").count == 2001)
        #expect(Program.names(in: folder) == ["a", "b", "c"])
    }

    @Test func eventsTitlesAndTruth() throws {
        let folder = Program.folder()
        let result = try Program.run(
            small + [
                "--events", "--output", folder + "e", "--titles", folder + "t", "--truth", folder + "truth", "--json",
            ])
        #expect(result.code == 0)
        #expect(result.output.hasPrefix("{") && result.output.hasSuffix("}\n"))
        #expect(result.output.contains("\"interactions\": 2000"))
        #expect(Program.read(folder + "e")?.hasPrefix("user,item,event,time\n") == true)
        let titles = (Program.read(folder + "t") ?? "").split(separator: "\n")
        #expect(titles.count == 61)
        #expect(Set(titles.map { $0.split(separator: ",")[1] }).count == 61)
        #expect(Program.names(in: folder + "truth") == ["item_tastes.csv", "tastes.csv", "user_tastes.csv"])
    }

    @Test func theEnvironmentGivesDefaults() throws {
        let folder = Program.folder()
        let environment = ["APUS_SEED": "43", "APUS_QUIET": "1", "APUS_OUTPUT": folder + "x", "APUS_TEST_DATA": "none"]
        #expect(try Program.run(small, environment: environment).code == 0)
        #expect(try Program.run(small + ["--seed", "43", "--output", folder + "y"]).code == 0)
        // What is on the command line wins.
        #expect(try Program.run(small + ["--seed=42", "--output", folder + "z"], environment: environment).code == 0)
        let text = try #require(Program.read(folder + "x"))
        #expect(text == Program.read(folder + "y"))
        #expect(text != Program.read(folder + "z"))
    }

    @Test func mistakes() throws {
        let folder = Program.folder()
        for (more, code, word) in [
            (["--output", folder + "a", "--users", "0"], 64, "--users"),
            (["--output", folder + "a", "--interactions", "2000000"], 64, "--interactions"),
            (["--output", folder + "a", "--threads", "0"], 64, "--threads"),
            (["--output", folder + "a", "--memory-limit", "lots"], 64, "--memory-limit"),
            (["--output", folder + "a", "--nonsense"], 64, "--nonsense"),
            ([], 64, "--output"),
            (["--output", folder + "missing/a"], 1, "folder"),
            (["--output", "/dev/full"], 1, "space"),
        ] as [([String], Int32, String)] {
            let result = try Program.run(small + more)
            #expect(result.code == code, "\(more): \(result)")
            #expect(result.output == "")
            #expect(result.errors.contains(word), "\(more): \(result.errors)")
            #expect(result.errors.hasPrefix("apus: "), "\(more): \(result.errors)")
        }
        #expect(Program.names(in: folder) == [])
    }

    @Test func aFullDiskLeavesTheOldFile() throws {
        let folder = Program.folder()
        let result = try Program.shell(
            "echo old > \(folder)a; ulimit -f 8; exec \"$APUS\" synth interactions --interactions 100000 --quiet --output \(folder)a"
        )
        #expect(result.code == 1, "\(result)")
        #expect(result.errors.contains("ulimit"))
        #expect(Program.read(folder + "a") == "old\n")
        #expect(Program.names(in: folder) == ["a"])
    }

    @Test(arguments: [[SIGINT], [SIGTERM], [SIGINT, SIGINT]])
    func interrupted(signals: [Int32]) throws {
        let folder = Program.folder()
        let result = try Program.run(
            ["synth", "interactions", "--interactions", "400000000", "--users", "1000000", "--output", folder + "a"],
            signals: signals)
        #expect(result.code == 130, "\(result)")
        #expect(signals.count > 1 || result.errors.contains("apus: interrupted"), "\(result)")
        #expect(Program.names(in: folder) == [])
    }
}
