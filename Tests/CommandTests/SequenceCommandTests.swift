import Testing

/// `apus train sequence` and what goes with it, through the program.
@Suite struct SequenceCommandTests {
    private func train(_ folder: TemporaryFolder, _ flags: [String]) throws -> Program.Outcome {
        let file = folder.write("shop.csv", SmallShop.text)
        return try Program.run(
            [
                "train", "sequence", "--interactions", file, "--factors", "8", "--length", "10", "--split",
                "leave-last-out", "--seed", "42", "--device", "cpu", "--output", folder.path + "/model.apus",
            ] + flags)
    }

    /// ONNX Runtime, where it is installed, gives the scores of `recommend`.
    @Test(arguments: ["sasrec", "gru"])
    func exports(_ architecture: String) throws {
        let folder = TemporaryFolder()
        let training = try train(folder, ["--architecture", architecture, "--epochs", "3", "--json"])
        #expect(training.code == 0, "\(training.errors)")
        #expect(try JSONText.object(in: training.output)["metrics"]?.object?["ndcg@10"]?.number != nil)
        let model = folder.path + "/model.apus"
        for question in [
            ["export", "--format", "onnx", "--output", folder.path + "/net.onnx"],
            ["export", "--format", "safetensors", "--output", folder.path + "/net.safetensors"],
            ["embed", "--side", "items", "--output", folder.path + "/items.csv", "--device", "cpu"],
            ["embed", "--side", "users", "--output", folder.path + "/users.npy", "--device", "cpu"],
        ] {
            let answer = try Program.run(question + ["--model", model])
            #expect(answer.code == 0, "\(answer.errors)")
        }
        let recommended = try Program.run([
            "recommend", "--model", model, "--items", "i5,i1,i3", "--count", "5", "--device", "cpu", "--json",
        ])
        #expect(recommended.code == 0, "\(recommended.errors)")
        _ = folder.write("answer.json", recommended.output)
        try Program.expectONNXAgrees(
            """
            import csv, json, sys, numpy as np, onnxruntime as ort
            folder = sys.argv[1]
            names = [row[0] for row in csv.reader(open(folder + "/items.csv"))][1:]
            session = ort.InferenceSession(folder + "/net.onnx")
            items = np.zeros((2, 10), np.int64)
            items[1, :3] = [names.index(i) for i in ("i5", "i1", "i3")]
            scores = session.run(None, {"items": items, "last": np.array([0, 2])})[0][1]
            for entry in json.load(open(folder + "/answer.json"))["users"][0]["recommendations"]:
                assert abs(scores[names.index(entry["item"])] - entry["score"]) < 1e-4 * max(abs(entry["score"]), 1)
            print("same")
            """, in: folder)
    }

    @Test func attentionIsDrawn() throws {
        let folder = TemporaryFolder()
        #expect(try train(folder, ["--epochs", "1"]).code == 0)
        let picture = try Program.run([
            "plot", "attention", "--model", folder.path + "/model.apus", "--user", "u3", "--layer", "2", "--count", "6",
            "--device", "cpu", "--output", folder.path + "/attention.svg", "--json",
        ])
        #expect(picture.code == 0, "\(picture.errors)")
        let rows = try JSONText.object(in: picture.output)["attention"]?.array ?? []
        #expect(rows.count == 6)
        #expect(TemporaryFolder.text(folder.path + "/attention.svg").hasPrefix("<svg"))
        let wrong = try Program.run([
            "plot", "attention", "--model", folder.path + "/model.apus", "--user", "u3", "--layer", "3", "--device",
            "cpu", "--output", folder.path + "/wrong.svg",
        ])
        #expect(wrong.code == 64 && wrong.errors.contains("--layer 3: the model has 2"))
    }

    @Test func anInterruptedTrainingGoesOn() throws {
        let folder = TemporaryFolder()
        let stopped = try {
            let file = folder.write("shop.csv", SmallShop.text)
            return try Program.run(
                [
                    "train", "sequence", "--interactions", file, "--factors", "8", "--length", "10", "--split",
                    "random", "--epochs", "100000", "--device", "cpu", "--output", folder.path + "/model.apus",
                ], signals: [2])
        }()
        #expect(stopped.code == 130, "\(stopped.errors)")
        #expect(stopped.errors.contains("apus resume"))
        #expect(folder.names.contains("model.apus.checkpoint") && !folder.names.contains("model.apus"))
        let resumed = try Program.run(["resume", "--checkpoint", folder.path + "/model.apus.checkpoint"], signals: [2])
        #expect(resumed.code == 130, "\(resumed.errors)")
        func epochs(_ text: String) -> Int {
            let words = text.split(separator: " ")
            return words.firstIndex(of: "after").flatMap { Int(words[$0 + 1]) } ?? -1
        }
        #expect(epochs(resumed.errors) > epochs(stopped.errors) && epochs(stopped.errors) > 0)
        // Other interactions are noticed before anything is trained or written.
        _ = folder.write("shop.csv", SmallShop.text + "u1,i2,5,1900000000\n")
        let other = try Program.run(["resume", "--checkpoint", folder.path + "/model.apus.checkpoint"])
        #expect(other.code == 65 && other.errors.contains("the interactions are not those"), "\(other.errors)")
        #expect(folder.names.contains("model.apus.checkpoint") && !folder.names.contains("model.apus"))
    }

    @Test(
        arguments: [
            (["--heads", "3"], 64, "heads"), (["--learning-rate", "0"], 64, "learningRate"),
            (["--length", "0"], 64, "length"), (["--architecture", "transformer"], 64, "architecture"),
            (["--checkpoint-every", "0"], 64, "checkpoint-every"),
        ] as [([String], Int32, String)])
    func mistakes(_ flags: [String], _ code: Int32, _ word: String) throws {
        let result = try train(TemporaryFolder(), flags)
        #expect(result.code == code && result.errors.contains(word), "\(result.errors)")
    }

    @Test func timesAreNeeded() throws {
        let folder = TemporaryFolder()
        let file = folder.write("timeless.csv", "user,item\na,x\na,y\nb,x\nb,y\n")
        let result = try Program.run([
            "train", "sequence", "--interactions", file, "--split", "none", "--device", "cpu", "--output",
            folder.path + "/model.apus",
        ])
        #expect(result.code == 65 && result.errors.contains("time"), "\(result.errors)")
    }
}
