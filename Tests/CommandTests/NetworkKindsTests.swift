import Core
import Testing

/// `apus train wide-deep` and `cnn`, `quantize` and `prune`, through the program.
@Suite(.serialized) struct NetworkKindsTests {
    /// Customers whose city and product decide together.
    private func folder() -> TemporaryFolder {
        let random = Philox(seed: 3, stream: 1)
        var text = "city,product,age,purchase\n"
        for row in 0..<1500 {
            let start = UInt64(row) * 8
            let (city, product) = (random.integer(start, below: 12), random.integer(start + 1, below: 9))
            let age = 18 + random.integer(start + 2, below: 60)
            let buys = (city * 5 + product * 7) % 4 < 2 || age > 70
            text += "c\(city),p\(product),\(age),\(buys ? "yes" : "no")\n"
        }
        let folder = TemporaryFolder()
        _ = folder.write("customers.csv", text)
        return folder
    }

    private func train(_ folder: TemporaryFolder, _ more: [String]) throws -> Program.Outcome {
        try Program.run(
            [
                "train", "wide-deep", "--data", folder.path + "/customers.csv", "--target", "purchase", "--positive",
                "yes", "--epochs", "12", "--batch-size", "64", "--learning-rate", "0.01", "--output",
                folder.path + "/model.apus", "--json", "--device", "cpu",
            ] + more)
    }

    @Test(arguments: ["wide-deep", "dlrm", "deep"])
    func trainsPredictsAndLeaves(_ architecture: String) throws {
        let folder = folder()
        let result = try train(folder, ["--architecture", architecture])
        #expect(result.code == 0, "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        #expect((report["metrics"]?.object?["roc_auc"]?.number ?? 0) > 0.85)
        let predicted = try Program.run([
            "predict", "--model", folder.path + "/model.apus", "--data", folder.path + "/customers.csv", "--output",
            folder.path + "/list.csv", "--device", "cpu",
        ])
        #expect(predicted.code == 0, "\(predicted.errors)")
        let described = try Program.run(["explain-architecture", "--model", folder.path + "/model.apus"])
        #expect(described.output.contains("embedding"), "\(described.errors)")
        let exported = try Program.run([
            "export", "--model", folder.path + "/model.apus", "--format", "onnx", "--output", folder.path + "/net.onnx",
        ])
        #expect(exported.code == 0, "\(exported.errors)")
        // ONNX Runtime, where it is installed, computes the same for a row of known levels.
        try Program.expectONNXAgrees(
            """
            import csv, json, struct, sys, numpy as np, onnxruntime as ort
            folder = sys.argv[1]
            rows = list(csv.DictReader(open(folder + "/customers.csv")))
            expected = [float(r["probability"]) for r in csv.DictReader(open(folder + "/list.csv"))]
            raw = open(folder + "/model.apus", "rb").read()
            header = json.loads(raw[8:8 + struct.unpack("<Q", raw[:8])[0]])
            recipe = json.loads(header["__metadata__"]["recipe"])
            levels = {f["name"]: f["kind"]["category"]["levels"] for f in recipe["features"] if "category" in f["kind"]}
            scale = next(s["scale"] for s in recipe["steps"] if "scale" in s)
            x = np.array([[(float(r["age"]) - scale["shift"]) * scale["factor"]] for r in rows], np.float32)
            ids = np.array([[levels[c].index(r[c]) + 1 for c in ("city", "product")] for r in rows], np.int64)
            y = ort.InferenceSession(folder + "/net.onnx").run(None, {"features": x, "identifiers": ids})[0]
            said = [r["prediction"] for r in csv.DictReader(open(folder + "/list.csv"))]
            assert np.allclose(y.sum(1), 1, atol=1e-5)
            assert np.allclose(y[:, 1], expected, atol=1e-4), (y[:3], expected[:3])
            print("same")
            """, in: folder)
    }

    @Test func smallerModels() throws {
        let folder = folder()
        #expect(try train(folder, ["--hidden", "128,64"]).code == 0)
        for (name, more) in [("quantize", []), ("prune", ["--sparsity", "0.7", "--epochs", "2"])]
            as [(String, [String])]
        {
            let result = try Program.run(
                [
                    name, "--model", folder.path + "/model.apus", "--data", folder.path + "/customers.csv", "--output",
                    folder.path + "/small.apus", "--json", "--device", "cpu",
                ] + more)
            #expect(result.code == 0, "\(result.errors)")
            let report = try JSONText.object(in: result.output)
            let area = report["metrics"]?.object?["roc_auc"]?.object
            #expect((area?["after"]?.number ?? 0) > (area?["before"]?.number ?? 1) - 0.02, "\(result.output)")
            let bytes = report["parameter_bytes"]?.object
            if name == "quantize" {
                #expect((bytes?["after"]?.number ?? 1) < 0.35 * (bytes?["before"]?.number ?? 0))
            } else {
                #expect(abs((report["sparsity"]?.number ?? 0) - 0.7) < 0.05)
            }
            let evaluated = try Program.run([
                "evaluate", "--model", folder.path + "/small.apus", "--data", folder.path + "/customers.csv",
                "--device", "cpu", "--json",
            ])
            #expect(evaluated.code == 0, "\(evaluated.errors)")
        }
    }

    @Test("pictures, also with batch normalization", arguments: [false, true])
    func pictures(normalizes: Bool) throws {
        let folder = TemporaryFolder()
        func file(_ name: String, _ extents: [Int], _ content: [UInt8]) throws -> String {
            var bytes: [UInt8] = [0, 0, 8, UInt8(extents.count)]
            for extent in extents { bytes += [0, 0, UInt8(extent >> 8), UInt8(extent & 255)] as [UInt8] }
            bytes += content
            let path = folder.path + "/" + name
            var text = ""
            for byte in bytes {
                let digits = String(byte, radix: 8)
                text += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
            }
            #expect(try Program.shell("printf '\(text)' > \(path)").code == 0)
            return path
        }
        let random = Philox(seed: 1, stream: 1)
        var (pixels, labels): ([UInt8], [UInt8]) = ([], [])
        for picture in 0..<60 {
            let label = picture % 2
            // Bars that lie or stand.
            for place in 0..<64 {
                let line = label == 0 ? place / 8 : place % 8
                let base = line % 3 == picture % 3 ? 180 : 20
                pixels.append(UInt8(base + random.integer(UInt64(picture * 64 + place), below: 40)))
            }
            labels.append(UInt8(label))
        }
        let images = try file("images", [60, 8, 8], pixels)
        let truth = try file("labels", [60], labels)
        let layers = folder.write(
            "layers.yaml",
            """
            layers:
              - convolution: 4 3x3 padding 1
              - batch-norm
              - activation: relu
              - max-pool: 2x2
              - flatten
              - dense: 8
              - batch-norm
              - activation: relu
            """)
        let shape = normalizes ? ["--architecture", layers] : ["--channels", "4", "--hidden", "8"]
        let result = try Program.run(
            [
                "train", "cnn", "--images", images, "--labels", truth, "--test-images", images, "--test-labels", truth,
            ] + shape + [
                "--epochs", "30", "--batch-size", "16", "--learning-rate", "0.01",
                "--output", folder.path + "/cnn.apus", "--json", "--device", "cpu",
            ])
        #expect(result.code == 0, "\(result.errors)")
        #expect((try JSONText.object(in: result.output)["metrics"]?.object?["accuracy"]?.number ?? 0) > 0.9)
        let predicted = try Program.run([
            "predict", "--model", folder.path + "/cnn.apus", "--data", images, "--output", folder.path + "/list.csv",
            "--device", "cpu",
        ])
        #expect(predicted.code == 0, "\(predicted.errors)")
        #expect(TemporaryFolder.text(folder.path + "/list.csv").split(separator: "\n").count == 61)
        let embedded = try Program.run([
            "embed", "--model", folder.path + "/cnn.apus", "--data", images, "--output", folder.path + "/vectors.csv",
            "--device", "cpu",
        ])
        #expect(embedded.code == 0, "\(embedded.errors)")
        let vectors = TemporaryFolder.text(folder.path + "/vectors.csv").split(separator: "\n")
        #expect(vectors.count == 61 && vectors[0] == "row,v0,v1,v2,v3,v4,v5,v6,v7")
        // An interrupted training goes on; with other pictures it doesn't.
        let slow = [
            "train", "cnn", "--images", images, "--labels", truth, "--epochs", "400000", "--output",
            folder.path + "/slow.apus", "--device", "cpu",
        ]
        let stopped = try Program.run(slow + shape, signals: [2])
        #expect(stopped.code == 130 && stopped.errors.contains("apus resume"), "\(stopped.errors)")
        let state = folder.path + "/slow.apus.checkpoint"
        let resumed = try Program.run(["resume", "--checkpoint", state], signals: [2])
        #expect(resumed.code == 130 && resumed.errors.contains("apus resume"), "\(resumed.errors)")
        _ = try file("images", [60, 8, 8], pixels.map { 255 - $0 })
        let refused = try Program.run(["resume", "--checkpoint", state])
        #expect(refused.code == 65 && refused.errors.contains("checkpoint"), "\(refused.errors)")
        _ = try file("images", [60, 8, 8], pixels)
        let exported = try Program.run([
            "export", "--model", folder.path + "/cnn.apus", "--format", "onnx", "--output", folder.path + "/cnn.onnx",
        ])
        #expect(exported.code == 0, "\(exported.errors)")
        try Program.expectONNXAgrees(
            """
            import csv, sys, numpy as np, onnxruntime as ort
            folder = sys.argv[1]
            pixels = np.frombuffer(open(folder + "/images", "rb").read()[16:], np.uint8).reshape(60, 64)
            y = ort.InferenceSession(folder + "/cnn.onnx").run(None, {"features": pixels.astype(np.float32)})[0]
            expected = [float(r["probability"]) for r in csv.DictReader(open(folder + "/list.csv"))]
            assert np.allclose(y[:, 1], expected, atol=1e-4), (y[:3], expected[:3])
            print("same")
            """, in: folder)
    }

    @Test(arguments: [
        (["train", "wide-deep", "--cross", "city"], Int32(64), "city"),
        (["train", "wide-deep", "--cross", "city*age"], 64, "age"),
        (["train", "wide-deep", "--embedding", "0"], 64, "embedding"),
        (["train", "wide-deep", "--hash-buckets", "1"], 64, "hashBuckets"),
        (["train", "wide-deep", "--architecture", "narrow"], 64, "architecture"),
    ])
    func mistakesAreNamed(arguments: [String], code: Int32, word: String) throws {
        let folder = folder()
        let result = try Program.run(
            arguments + ["--data", folder.path + "/customers.csv", "--target", "purchase", "--device", "cpu"])
        #expect(result.code == code, "\(result.errors)")
        #expect(result.errors.contains(word), "\(result.errors)")
        #expect(result.output.isEmpty)
    }
}
