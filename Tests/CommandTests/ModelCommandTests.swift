import Testing

/// From training to answers, through the program.
@Suite struct ModelCommandTests {
    @Test func trainingReportsOneObject() throws {
        let folder = try SmallShop.trained.get()
        let report = try JSONText.object(in: TemporaryFolder.text(folder.path + "/training.json"))
        for key in ["device", "metrics", "baselines", "seconds", "peak_memory_bytes", "users", "items", "interactions"]
        {
            #expect(report[key] != nil, "\(key) is missing from \(report.keys.sorted())")
        }
        #expect(report["users"]?.number == Double(SmallShop.users))
        #expect(report["items"]?.number == Double(SmallShop.items))
        let seconds = report["seconds"]?.object ?? [:]
        for key in ["load", "prepare", "compile", "train", "evaluate"] {
            #expect(seconds[key]?.number != nil, "seconds.\(key)")
        }
        #expect(seconds["per_iteration"]?.array?.count == 5)
        #expect((report["peak_memory_bytes"]?.number ?? 0) > 0)
        let recall = try #require(report["metrics"]?.object?["recall@20"]?.number)
        #expect(recall > 0 && recall <= 1)
    }

    @Test func recommendationsFollowTaste() throws {
        let folder = try SmallShop.trained.get()
        let result = try Program.run([
            "recommend", "--model", folder.path + "/shop.apus", "--user", "u1", "--count", "10", "--device", "cpu",
            "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.output.split(separator: "\n").count == 1)
        let users = try JSONText.object(in: result.output)["users"]?.array ?? []
        let items = (users.first?.object?["recommendations"]?.array ?? []).compactMap { $0.object?["item"]?.string }
        #expect(items.count == 10)
        let odd = items.count { (Int($0.dropFirst()) ?? 0) % 2 == 1 }
        #expect(odd >= 8, "user u1 likes odd items, and was recommended \(items)")
        let seen = Set(
            SmallShop.text.split(separator: "\n").filter { $0.hasPrefix("u1,") }.map { $0.split(separator: ",")[1] })
        #expect(seen.isDisjoint(with: items.map { Substring($0) }), "already seen items are left out")
    }

    @Test func unknownUsersGetPopularItemsAndAreTold() throws {
        let folder = try SmallShop.trained.get()
        let result = try Program.run([
            "recommend", "--model", folder.path + "/shop.apus", "--user", "stranger", "--device", "cpu",
        ])
        #expect(result.code == 0, "\(result.errors)")
        #expect((result.output + result.errors).contains("unknown"))
    }

    @Test func filesOfRecommendationsAreWhole() throws {
        let folder = try SmallShop.trained.get()
        let output = TemporaryFolder()
        let file = output.path + "/recommendations.csv"
        let result = try Program.run([
            "recommend", "--model", folder.path + "/shop.apus", "--all-users", "--count", "3", "--device", "cpu",
            "--output", file,
        ])
        #expect(result.code == 0, "\(result.errors)")
        let lines = TemporaryFolder.text(file).split(separator: "\n")
        #expect(lines.count == 1 + 3 * SmallShop.users)
        #expect(output.names == ["recommendations.csv"])
    }

    @Test(arguments: [
        ["inspect", "--json"], ["similar", "--item", "i3", "--count", "5", "--device", "cpu", "--json"],
        ["recommend", "--items", "i1,i3,i5", "--device", "cpu", "--json"],
    ])
    func answersAreOneObject(_ arguments: [String]) throws {
        let folder = try SmallShop.trained.get()
        let result = try Program.run(arguments + ["--model", folder.path + "/shop.apus"])
        #expect(result.code == 0, "\(result.errors)")
        #expect(try !JSONText.object(in: result.output).isEmpty)
        #expect(!result.output.contains("NaN"))
    }

    @Test func evaluationOfTheSameFileIsOneObject() throws {
        let folder = try SmallShop.trained.get()
        let result = try Program.run([
            "evaluate", "--model", folder.path + "/shop.apus", "--interactions", folder.path + "/shop.csv", "--device",
            "cpu", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        for key in ["device", "metrics", "baselines", "seconds", "users", "items", "interactions"] {
            #expect(report[key] != nil, "\(key) is missing from \(report.keys.sorted())")
        }
    }

    @Test func sameSeedSameAnswers() throws {
        let folder = try SmallShop.trained.get()
        let second = TemporaryFolder()
        let training = try Program.run(
            SmallShop.training(folder.path + "/shop.csv", output: second.path + "/shop.apus"))
        #expect(training.code == 0, "\(training.errors)")
        let answers = try [folder, second].map {
            try Program.run([
                "recommend", "--model", $0.path + "/shop.apus", "--all-users", "--device", "cpu", "--threads", "1",
            ]).output
        }
        #expect(answers[0] == answers[1] && !answers[0].isEmpty)
    }
}
