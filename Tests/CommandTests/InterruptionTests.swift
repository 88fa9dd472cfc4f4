import Glibc
import Testing

/// Ctrl-C: the first saves what there is, the second ends at once.
///
/// A shell starts its background work with Ctrl-C ignored, and the program respects that: `env` takes it back.
@Suite struct InterruptionTests {
    @Test func trainingIsResumedToTheSameAnswers() throws {
        let folder = TemporaryFolder()
        let file = folder.write("shop.csv", SmallShop.text)
        func training(_ name: String) -> [String] {
            SmallShop.training(file, output: folder.path + "/\(name).apus", iterations: 3000)
                + ["--checkpoint-every", "20"]
        }
        // The first checkpoint shows that training has begun.
        let checkpoint = folder.path + "/broken.apus.checkpoint"
        let broken = try Program.shell(
            """
            env --default-signal=INT "$APUS" \(training("broken").joined(separator: " ")) & process=$!
            while kill -0 $process && [ ! -e \(checkpoint) ]; do sleep 0.01; done
            kill -INT $process; wait $process
            """)
        #expect(broken.code == 130, "\(broken)")
        #expect(broken.errors.contains("apus resume"), "\(broken)")
        #expect(folder.names == ["broken.apus.checkpoint", "shop.csv"])

        let resumed = try Program.run(["resume", "--checkpoint", checkpoint])
        #expect(resumed.code == 0, "\(resumed)")
        let whole = try Program.run(training("whole"))
        #expect(whole.code == 0, "\(whole)")
        let answers = try ["broken", "whole"].map {
            try Program.run([
                "recommend", "--model", folder.path + "/\($0).apus", "--all-users", "--device", "cpu", "--threads", "1",
            ]).output
        }
        #expect(answers[0] == answers[1] && !answers[0].isEmpty)
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func theSecondSignalEndsWorkThatWaits(_ signal: Int32) throws {
        let folder = TemporaryFolder()
        // Nobody writes into this pipe: reading it never ends.
        let pipe = folder.path + "/pipe.csv"
        try #require(mkfifo(pipe, 0o600) == 0)
        let result = try Program.run(
            SmallShop.training(pipe, output: folder.path + "/model.apus"), signals: [signal, signal])
        #expect(result.code == 130, "\(result)")
        #expect(folder.names == ["pipe.csv"])
    }

    @Test func theSecondSignalLeavesNoTemporaryFile() throws {
        let folder = TemporaryFolder()
        // Stopped, then woken with both signals waiting: no safe point is reached between them.
        let result = try Program.shell(
            """
            env --default-signal=INT "$APUS" synth interactions --interactions 400000000 --users 1000000 --output \(folder.path)/a & process=$!
            while kill -0 $process && [ -z "$(ls -A \(folder.path))" ]; do sleep 0.01; done
            kill -STOP $process; kill -INT $process; kill -TERM $process; kill -CONT $process
            wait $process
            """)
        #expect(result.code == 130, "\(result)")
        #expect(folder.names == [])
    }
}
