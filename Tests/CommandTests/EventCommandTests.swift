import Core
import Testing

/// From a file of events to a network that reads them, through the program.
@Suite(.serialized) struct EventCommandTests {
    /// Events, their rows in no order, and customers who buy when their last cart comes after their last call for help.
    private func folder() throws -> TemporaryFolder {
        let random = Philox(seed: 23, stream: 1)
        let words = ["view", "help", "cart", "wish list"]
        var events: [(key: UInt64, line: String)] = []
        var customers = "customer,age,buys\n"
        for customer in 0..<800 {
            let start = UInt64(customer) * 64
            var (cart, help) = (-1, -1)
            for step in 0..<1 + random.integer(start, below: 12) {
                let kind = random.integer(start + 2 + UInt64(step), below: 4)
                if kind == 2 { cart = step }
                if kind == 1 { help = step }
                events.append(
                    (
                        UInt64(random.integer(start + 30 + UInt64(step), below: 1 << 20)),
                        "k\(customer),\(words[kind]),2024-03-\(step < 9 ? "0" : "")\(step + 1)\n"
                    ))
            }
            customers += "k\(customer),\(20 + random.integer(start + 1, below: 50)),\(cart > help ? "yes" : "no")\n"
        }
        let folder = TemporaryFolder()
        let lines = events.sorted { $0.key < $1.key }.map(\.line).joined()
        _ = folder.write("events.csv", "customer,event,time\n" + lines)
        _ = folder.write("customers.csv", customers)
        for arguments in [
            [
                "--data", folder.path + "/events.csv", "--group-by", "customer", "--aggregate",
                "history=list(event by time)", "--output", folder.path + "/histories.csv",
            ],
            [
                "--data", folder.path + "/customers.csv", "--join", folder.path + "/histories.csv", "--on", "customer",
                "--how", "left", "--output", folder.path + "/table.csv",
            ],
        ] {
            let result = try Program.run(["prepare"] + arguments)
            #expect(result.code == 0, "\(result.errors)")
        }
        return folder
    }

    private func train(_ folder: TemporaryFolder, _ more: [String]) throws -> Program.Outcome {
        try Program.run(
            [
                "train", "rnn", "--data", folder.path + "/table.csv", "--sequence", "history", "--target", "buys",
                "--positive", "yes", "--length", "10", "--embedding", "8", "--epochs", "20", "--learning-rate", "0.01",
                "--device", "cpu",
            ] + more)
    }

    /// The second reads the events alone, through layers of a file whose attention must not see what is behind the last.
    @Test(arguments: [
        ["--drop", "customer"],
        ["--features", "history", "--architecture", "layers.yaml"],
    ])
    func trainsPredictsAndLeaves(_ more: [String]) throws {
        let folder = try folder()
        _ = folder.write(
            "layers.yaml",
            """
            layers:
              - embedding: 8
              - positions: learned
              - transformer: 2 heads 16 hidden
              - gru: 12
              - last-step
              - dense: 8
              - activation: relu
            """)
        let model = folder.path + "/rnn.apus"
        let result = try train(
            folder, more.map { $0 == "layers.yaml" ? folder.path + "/" + $0 : $0 } + ["--output", model, "--json"])
        #expect(result.code == 0, "\(result.errors)")
        // A year holds 31 days of March at most, of which twelve are used: sequences beyond ten are cut, and said to be.
        #expect(result.errors.contains("longer than 10 events"), "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        #expect((report["metrics"]?.object?["roc_auc"]?.number ?? 0) > 0.93, "\(result.output)")
        let predicted = try Program.run([
            "predict", "--model", model, "--data", folder.path + "/table.csv", "--output", folder.path + "/list.csv",
            "--device", "cpu",
        ])
        #expect(predicted.code == 0, "\(predicted.errors)")
        let described = try Program.run(["explain-architecture", "--model", model])
        #expect(described.output.contains("last-step"), "\(described.errors)")
        let exported = try Program.run([
            "export", "--model", model, "--format", "onnx", "--output", folder.path + "/net.onnx",
        ])
        #expect(exported.code == 0, "\(exported.errors)")
        try Program.expectONNXAgrees(
            """
            import csv, json, struct, sys, numpy as np, onnxruntime as ort
            folder = sys.argv[1]
            rows = list(csv.DictReader(open(folder + "/table.csv")))
            raw = open(folder + "/rnn.apus", "rb").read()
            header = json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]])
            steps = json.loads(header["__metadata__"]["recipe"])["steps"]
            events = next(s["sequence"]["events"] for s in steps if "sequence" in s)["events"]
            ids = np.full((len(rows), 10), -1, np.int64)
            for i, r in enumerate(rows):
                own = [events.index(e) if e in events else len(events) for e in r["history"].split()][-10:]
                ids[i, :len(own)] = own
            session = ort.InferenceSession(folder + "/net.onnx")
            feed = {"identifiers": ids}
            if any(x.name == "features" for x in session.get_inputs()):
                scale = next(s["scale"] for s in steps if "scale" in s)
                feed["features"] = np.array(
                    [[(float(r["age"]) - scale["shift"]) * scale["factor"]] for r in rows], np.float32)
            y = session.run(None, feed)[0]
            expected = [float(r["probability"]) for r in csv.DictReader(open(folder + "/list.csv"))]
            assert np.allclose(y.max(1), np.maximum(expected, 1 - np.array(expected)), atol=1e-4), (y[:3], expected[:3])
            print("same")
            """, in: folder)
    }

    @Test(arguments: [
        (["--sequence", "visits"], Int32(65), "visits"), (["--separator", "ab"], 64, "separator"),
        (["--units", "0"], 64, "--units"), (["--cell", "grue"], 64, "cell"), (["--length", "0"], 64, "length"),
    ])
    func mistakesAreNamed(_ more: [String], _ code: Int32, _ word: String) throws {
        let folder = try folder()
        let result = try train(folder, more)
        #expect(result.code == code, "\(result.errors)")
        #expect(result.errors.contains(word), "\(result.errors)")
        #expect(result.output.isEmpty)
    }
}
