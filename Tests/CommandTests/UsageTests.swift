import Glibc
import Testing

/// Values that can't be, devices that are not there, and how long a word of help takes.
@Suite struct UsageTests {
    @Test func helpIsQuick() throws {
        var best = Double.infinity
        for _ in 0..<20 where best > 0.05 {
            let start = seconds()
            let result = try Program.run(["--help"])
            best = min(best, seconds() - start)
            #expect(result.code == 0)
        }
        #expect(best < 0.05, "apus --help took \(best) s at best")
    }

    private func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    @Test(arguments: [
        ["train", "als"], ["recommend", "--model", "x.apus"], ["devices", "--threads", "0"],
        ["devices", "--memory-limit", "much"], ["recommend", "--model", "x.apus", "--all-users", "--count", "0"],
    ])
    func mistakesExitWith64(_ arguments: [String]) throws {
        let result = try Program.run(arguments)
        #expect(result.code == 64, "\(result)")
        #expect(result.output.isEmpty)
        #expect(!result.errors.isEmpty)
    }

    @Test(arguments: ["--factors", "--iterations"])
    func parametersOutOfRangeExitWith64(_ flag: String) throws {
        let folder = TemporaryFolder()
        let file = folder.write("shop.csv", SmallShop.text)
        let result = try Program.run([
            "train", "als", "--interactions", file, "--device", "cpu", flag, "0", "--output", folder.path + "/m.apus",
        ])
        #expect(result.code == 64, "\(result)")
        #expect(result.errors.contains(flag.dropFirst(2)))
        #expect(folder.names == ["shop.csv"])
    }

    @Test(arguments: ["opencl:99.99", "quantum"])
    func unknownDeviceExitsWith69(_ device: String) throws {
        let folder = TemporaryFolder()
        let file = folder.write("shop.csv", SmallShop.text)
        let result = try Program.run([
            "train", "als", "--interactions", file, "--device", device, "--output", folder.path + "/m.apus",
        ])
        #expect(result.code == 69, "\(result)")
        #expect(result.errors.contains(device) && result.errors.contains("apus: "))
        #expect(result.output.isEmpty)
        #expect(folder.names == ["shop.csv"])
    }

    @Test func theDeviceOfTheEnvironmentIsADefault() throws {
        let folder = TemporaryFolder()
        let file = folder.write("shop.csv", SmallShop.text)
        let arguments = ["train", "als", "--interactions", file, "--factors", "4", "--iterations", "2", "--output"]
        let environment = ["APUS_DEVICE": "opencl:99.99"]
        let refused = try Program.run(arguments + [folder.path + "/a.apus"], environment: environment)
        #expect(refused.code == 69, "\(refused)")
        let accepted = try Program.run(
            arguments + [folder.path + "/b.apus", "--device", "cpu"], environment: environment)
        #expect(accepted.code == 0, "\(accepted)")
    }

    @Test func devicesAreOneObject() throws {
        let result = try Program.run(["devices", "--json"])
        #expect(result.code == 0, "\(result)")
        let devices = try JSONText.object(in: result.output)["devices"]?.array ?? []
        #expect(devices.contains { $0.object?["name"]?.string == "cpu" })
    }
}
