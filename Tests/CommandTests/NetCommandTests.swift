import Core
import Testing

/// `apus train net` and what can be done with its model, through the program.
@Suite(.serialized) struct NetCommandTests {
    /// Customers who buy by a rule that a line does not follow.
    private static let customers: String = {
        let random = Philox(seed: 17, stream: 1)
        var text = "customer,age,income,education,purchase\n"
        for row in 0..<1200 {
            let start = UInt64(row) * 8
            let age = 18 + random.integer(start, below: 60)
            let income = 20_000 + random.integer(start + 1, below: 90_000)
            let level = random.integer(start + 2, below: 3)
            let buys = (age < 35) == (income > 60_000) && level > 0
            text += "c\(row),\(age),\(income),\(["school", "college", "university"][level]),\(buys ? "yes" : "no")\n"
        }
        return text
    }()

    private func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        _ = folder.write("customers.csv", Self.customers)
        return folder
    }

    private func train(_ folder: TemporaryFolder, _ more: [String] = [], signals: [Int32] = []) throws
        -> Program.Outcome
    {
        try Program.run(
            [
                "train", "net", "--data", folder.path + "/customers.csv", "--target", "purchase", "--positive", "yes",
                "--features", "age,income,education", "--scale", "standard", "--hidden", "64,64", "--activation",
                "relu", "--optimizer", "adam", "--epochs", "10", "--batch-size", "32", "--validation", "0.2", "--test",
                "0.2", "--seed", "42", "--output", folder.path + "/net.apus", "--json", "--device", "cpu",
            ] + more, signals: signals)
    }

    @Test func aTableLargerThanTheMemoryForItIsReadInParts() throws {
        let folder = TemporaryFolder()
        let rows = Self.customers.split(separator: "\n", maxSplits: 1)
        _ = folder.write(
            "customers.csv", rows[0] + "\n" + String(repeating: String(rows[1]), count: 50))
        let arguments = ["--memory-limit", "6MB"]
        let result = try train(folder, arguments)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.contains("read in parts"))
        let report = try JSONText.object(in: result.output)
        #expect((report["metrics"]?.object?["roc_auc"]?.number ?? 0) > 0.95)
        #expect(report["rows"]?.number == 60000)
        #expect(abs((report["trained_rows"]?.number ?? 0) - 48000) < 500)
        // Nothing is left but the table and the model.
        #expect(Program.names(in: folder.path).sorted() == ["customers.csv", "net.apus"])
        for more in [["--refit"], ["--split", "stratified"], ["--calibration", "platt"]] {
            #expect(try train(folder, arguments + more).errors.contains("need all rows in memory"), "\(more)")
        }
        #expect(try train(folder, arguments + ["--sampling", "over"]).errors.contains("can't be balanced"))
    }

    @Test func theCommandOfTheManualWorks() throws {
        let folder = folder()
        let result = try train(folder)
        #expect(result.code == 0, "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        #expect((report["metrics"]?.object?["roc_auc"]?.number ?? 0) > 0.9)
        #expect(report["features"]?.number == 5)
        #expect(report["seconds"]?.object?["per_iteration"]?.array?.count == 10)
        #expect(report["fit"]?.object?["epochs"]?.number == 10)
        #expect((report["baselines"]?.object?.isEmpty ?? true) == false)
        let again = try train(folder)
        let metrics = try JSONText.object(in: again.output)["metrics"]
        #expect(metrics == report["metrics"])
    }

    @Test func theModelPredictsExplainsAndLeaves() throws {
        let folder = folder()
        #expect(try train(folder).code == 0)
        let predicted = try Program.run([
            "predict", "--model", folder.path + "/net.apus", "--data", folder.path + "/customers.csv", "--id",
            "customer", "--output", folder.path + "/list.csv", "--device", "cpu",
        ])
        #expect(predicted.code == 0, "\(predicted.errors)")
        #expect(TemporaryFolder.text(folder.path + "/list.csv").split(separator: "\n").count == 1201)
        let explained = try Program.run([
            "explain", "--model", folder.path + "/net.apus", "--data", folder.path + "/customers.csv", "--row", "3",
            "--device", "cpu", "--json",
        ])
        #expect(explained.code == 0, "\(explained.errors)")
        for format in ["onnx", "safetensors"] {
            let exported = try Program.run([
                "export", "--model", folder.path + "/net.apus", "--format", format, "--output",
                folder.path + "/net." + format,
            ])
            #expect(exported.code == 0, "\(exported.errors)")
        }
        // ONNX Runtime, where it is installed, computes the same.
        try Program.expectONNXAgrees(
            """
            import json, struct, sys, numpy as np, onnxruntime as ort
            folder = sys.argv[1]
            session = ort.InferenceSession(folder + "/net.onnx")
            names = session.get_modelmeta().custom_metadata_map["features"].split("\\n")
            x = np.random.default_rng(1).standard_normal((8, len(names))).astype(np.float32)
            y = session.run(None, {"features": x})[0]
            assert y.shape == (len(x), 2) and np.allclose(y.sum(1), 1, atol=1e-6)
            # The same by hand, from the weights as a state_dict.
            raw = open(folder + "/net.safetensors", "rb").read()
            n = struct.unpack("<Q", raw[:8])[0]
            header, data = json.loads(raw[8:8 + n]), raw[8 + n:]
            def tensor(name):
                entry = header[name]
                begin, end = entry["data_offsets"]
                return np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
            h = x
            for layer in (0, 2):
                h = np.maximum(h @ tensor(f"{layer}.weight").T + tensor(f"{layer}.bias"), 0)
            z = h @ tensor("4.weight").T + tensor("4.bias")
            assert np.allclose(y[:, 1], 1 / (1 + np.exp(-z[:, 0])), atol=1e-5)
            print("same")
            """, in: folder)
    }

    @Test func anInterruptedTrainingGoesOn() throws {
        let folder = folder()
        let slow = ["--epochs", "400000", "--dropout", "0.1", "--hidden", "16"]
        let stopped = try train(folder, slow, signals: [2])
        #expect(stopped.code == 130, "\(stopped.errors)")
        #expect(stopped.errors.contains("apus resume"))
        let names = folder.names
        #expect(names.contains("net.apus.checkpoint") && !names.contains("net.apus"))
        func epochs(_ text: String) -> Int {
            let words = text.split(separator: " ")
            return words.firstIndex(of: "after").flatMap { Int(words[$0 + 1]) } ?? -1
        }
        let resumed = try Program.run(["resume", "--checkpoint", folder.path + "/net.apus.checkpoint"], signals: [2])
        #expect(resumed.code == 130, "\(resumed.errors)")
        #expect(epochs(resumed.errors) > epochs(stopped.errors) && epochs(stopped.errors) > 0)
    }

    @Test(arguments: [
        (["--learning-rate", "0"], Int32(64), "learningRate"), (["--hidden", "64,x"], 64, "--hidden"),
        (["--features", "age,gone"], 65, "gone"), (["--validation", "1"], 64, "validation"),
        (["--positive", "maybe"], 65, "maybe"), (["--activation", "step"], 64, "activation"),
        (["--scale", "double"], 64, "scale"),
    ])
    func mistakesAreNamed(arguments: [String], code: Int32, word: String) throws {
        let folder = folder()
        let result = try train(folder, arguments)
        #expect(result.code == code, "\(result.errors)")
        #expect(result.errors.contains(word), "\(result.errors)")
        #expect(result.output.isEmpty)
    }
}
