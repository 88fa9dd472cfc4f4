import Testing

/// Every kind of recommender through the program.
@Suite struct RecommenderCommandTests {
    private static func csv() throws -> String { try SmallShop.trained.get().path + "/shop.csv" }

    private static let kinds: [[String]] = [
        ["popular"], ["popular", "--rule", "recent"], ["popular", "--rule", "random"], ["neighbors"],
        ["neighbors", "--between", "users", "--similarity", "tfidf"], ["ease", "--regularization", "10"],
        ["bpr", "--factors", "8", "--iterations", "30"], ["warp", "--factors", "8", "--iterations", "20"],
        ["two-tower", "--factors", "8", "--embedding", "8", "--hidden", "16", "--epochs", "5"],
        ["hybrid", "--parts", "neighbors,ease"],
        ["sequence", "--factors", "8", "--length", "10", "--epochs", "3"],
        [
            "sequence", "--architecture", "gru", "--loss", "sampled", "--factors", "8", "--length", "10", "--epochs",
            "2",
        ],
    ]

    @Test(arguments: kinds)
    func trainsAndAnswers(_ arguments: [String]) throws {
        let folder = TemporaryFolder()
        let model = folder.path + "/model.apus"
        let training = try Program.run(
            ["train"] + arguments + [
                "--interactions", try Self.csv(), "--split", "random", "--seed", "42", "--device", "cpu", "--output",
                model, "--json",
            ])
        #expect(training.code == 0, "\(training.errors)")
        let report = try JSONText.object(in: training.output)
        for key in ["kind", "device", "metrics", "intervals", "baselines", "seconds", "peak_memory_bytes"] {
            #expect(report[key] != nil, "\(key)")
        }
        let evaluation = try Program.run([
            "evaluate", "--model", model, "--interactions", try Self.csv(), "--device", "cpu", "--json",
        ])
        #expect(evaluation.code == 0, "\(evaluation.errors)")
        #expect(
            try JSONText.object(in: evaluation.output)["metrics"]?.object?["recall@20"]?.number
                == report["metrics"]?.object?["recall@20"]?.number)
        for question in [
            ["recommend", "--user", "u1", "--count", "3", "--json"], ["recommend", "--items", "i1,i3", "--json"],
            ["inspect", "--json"],
        ] {
            let answer = try Program.run(
                question + ["--model", model] + (question[0] == "recommend" ? ["--device", "cpu"] : []))
            #expect(answer.code == 0, "\(answer.errors)")
            #expect(try !JSONText.object(in: answer.output).isEmpty)
        }
        let similar = try Program.run(["similar", "--model", model, "--item", "i1", "--device", "cpu"])
        // Popularity compares nothing and gives the reason.
        #expect(
            similar.code == (arguments[0] == "popular" || arguments.contains("users") ? 64 : 0), "\(similar.errors)")
        let pair = try Program.run([
            "predict", "--model", model, "--user", "u1", "--item", "i2", "--device", "cpu", "--json",
        ])
        #expect(pair.code == 0, "\(pair.errors)")
        // A new user is taken in by models that know people by what they have.
        let later = folder.write("later.csv", "user,item,value\nnewcomer,i1,1\nnewcomer,i3,2\n")
        let folded = try Program.run([
            "fold-in", "--model", model, "--interactions", later, "--output", folder.path + "/folded.apus", "--device",
            "cpu",
        ])
        let isTrained = ["bpr", "warp", "two-tower", "sequence"].contains(arguments[0])
        #expect(folded.code == (isTrained ? 64 : 0), "\(folded.errors)")
        if !isTrained {
            let answer = try Program.run([
                "recommend", "--model", folder.path + "/folded.apus", "--user", "newcomer", "--count", "2", "--device",
                "cpu", "--json",
            ])
            #expect(answer.code == 0 && !answer.output.contains("unknown user"), "\(answer.errors)")
            let item = folder.write("item.csv", "user,item,value\nu1,novelty,1\n")
            let refused = try Program.run([
                "fold-in", "--model", model, "--interactions", item, "--output", folder.path + "/no.apus", "--device",
                "cpu",
            ])
            #expect(refused.code == 65 && refused.errors.contains("1 items are not in the model"), "\(refused.errors)")
        }
        let unknown = try Program.run(["recommend", "--model", model, "--user", "stranger", "--device", "cpu"])
        #expect(unknown.code == 0 && unknown.output.contains("unknown user"))
    }

    @Test func interruptedTowersGoOnAndGiveVectors() throws {
        let folder = TemporaryFolder()
        let model = folder.path + "/towers.apus"
        let asked = [
            "train", "two-tower", "--interactions", try Self.csv(), "--factors", "8", "--embedding", "8", "--hidden",
            "16", "--split", "none", "--output", model, "--device", "cpu",
        ]
        let stopped = try Program.run(asked + ["--epochs", "400000"], signals: [2])
        #expect(stopped.code == 130 && stopped.errors.contains("apus resume"), "\(stopped.errors)")
        let resumed = try Program.run(["resume", "--checkpoint", model + ".checkpoint"], signals: [2])
        #expect(resumed.code == 130 && resumed.errors.contains("apus resume"), "\(resumed.errors)")
        #expect(try Program.run(asked + ["--epochs", "2"]).code == 0)
        for side in ["items", "users"] {
            let vectors = try Program.run([
                "embed", "--model", model, "--side", side, "--output", folder.path + "/v.csv", "--device", "cpu",
            ])
            #expect(vectors.code == 0, "\(vectors.errors)")
            let lines = TemporaryFolder.text(folder.path + "/v.csv").split(separator: "\n")
            #expect(lines[0] == "\(side.dropLast()),v0,v1,v2,v3,v4,v5,v6,v7" && lines.count > 5)
        }
        let table = try Program.run([
            "embed", "--model", model, "--data", folder.path + "/v.csv", "--output", folder.path + "/w.csv",
        ])
        #expect(table.code == 64 && table.errors.contains("--side"), "\(table.errors)")
    }

    @Test func comparisonsAreOneObject() throws {
        let result = try Program.run([
            "compare", "--interactions", try Self.csv(), "--recommenders", "popular,neighbors,ease,als,bpr", "--split",
            "users", "--seed", "42", "--trials", "2", "--device", "cpu", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        let entries = try JSONText.object(in: result.output)["recommenders"]?.array ?? []
        #expect(entries.count == 5)
        let figures = entries.compactMap { $0.object?["metrics"]?.object?["ndcg@100"]?.number }
        #expect(figures.count == 5 && figures == figures.sorted(by: >))
        #expect(entries.allSatisfy { $0.object?["intervals"]?.object?["ndcg@100"]?.array?.count == 2 })
    }

    /// Those of one taste are each other's neighbors. Most ratings are alike, so that few people correlate.
    @Test(arguments: [("cosine", 400), ("pearson", 10)])
    func neighborsWithoutAModel(similarity: String, atLeast: Int) throws {
        let folder = TemporaryFolder()
        let file = folder.path + "/neighbours.csv"
        let result = try Program.run([
            "similar", "--interactions", try Self.csv(), "--between", "users", "--similarity", similarity, "--count",
            "5", "--output", file,
        ])
        #expect(result.code == 0, "\(result.errors)")
        let lines = TemporaryFolder.text(file).split(separator: "\n")
        #expect(lines.first == "user,rank,neighbor,similarity" && lines.count > atLeast, "\(lines.count)")
        guard similarity == "cosine" else { return }
        let alike = lines.dropFirst().filter { line in
            let fields = line.split(separator: ",")
            return (Int(fields[0].dropFirst()) ?? 0) % 2 == (Int(fields[2].dropFirst()) ?? 1) % 2
        }
        #expect(10 * alike.count > 9 * lines.count, "\(alike.count) of \(lines.count)")
    }

    @Test(arguments: [
        (["compare"], 64), (["compare", "--interactions", "CSV", "--recommenders", "oracle"], 64),
        (["compare", "--interactions", "/nowhere/x.csv"], 1),
        (["compare", "--interactions", "CSV", "--recommenders", "content"], 64),
        (["train", "neighbors", "--interactions", "CSV", "--neighbors", "0", "--output", "OUT"], 64),
        (["train", "ease", "--interactions", "CSV", "--regularization", "0", "--output", "OUT"], 64),
        (["train", "bpr", "--interactions", "CSV", "--factors", "0", "--output", "OUT"], 64),
        (["train", "hybrid", "--interactions", "CSV", "--parts", "als", "--output", "OUT"], 64),
        (["train", "content", "--interactions", "CSV", "--output", "OUT"], 64),
        (["train", "content", "--interactions", "CSV", "--item-attributes", "/nowhere", "--output", "OUT"], 1),
        (["train", "popular", "--interactions", "CSV", "--output", "/nowhere/m.apus"], 1),
        (["similar", "--interactions", "CSV", "--count", "0"], 64), (["similar"], 64),
        (["similar", "--interactions", "CSV", "--between", "users", "--user", "stranger"], 65),
    ])
    func mistakesAreToldApart(_ arguments: [String], code: Int) throws {
        let folder = TemporaryFolder()
        let csv = try Self.csv()
        let result = try Program.run(
            arguments.map { $0 == "CSV" ? csv : $0 == "OUT" ? folder.path + "/m.apus" : $0 })
        #expect(Int(result.code) == code, "\(arguments): \(result.code) \(result.errors)")
        #expect(!result.errors.isEmpty && folder.names.isEmpty)
    }
}
