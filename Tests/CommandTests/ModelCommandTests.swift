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

    /// A model without titles shows no column of them, takes them from a file, and training takes them from a column of
    /// the interactions.
    @Test func titlesComeFromAFileOrFromAColumn() throws {
        let trained = try SmallShop.trained.get()
        let folder = TemporaryFolder()
        let rows = SmallShop.text.split(separator: "\n").map(String.init)
        let items = Set(rows.dropFirst().map { String($0.split(separator: ",")[1]) })
        _ = folder.write("names.csv", "item,title\n" + items.map { "\($0),Title of \($0)\n" }.joined())
        _ = folder.write(
            "titled.csv",
            rows.enumerated().map { number, row in
                row + (number == 0 ? ",product\n" : ",\"Product, \(row.split(separator: ",")[1])\"\n")
            }.joined())
        let asked = [
            "recommend", "--model", trained.path + "/shop.apus", "--user", "u1", "--count", "3", "--device", "cpu",
        ]
        let plain = try Program.run(asked)
        #expect(plain.code == 0 && !plain.output.contains("title"), "\(plain.output)")
        let named = try Program.run(asked + ["--item-names", folder.path + "/names.csv"])
        #expect(named.code == 0 && named.output.contains("Title of i"), "\(named.output) \(named.errors)")
        let similar = try Program.run([
            "similar", "--model", trained.path + "/shop.apus", "--item", String(items.first ?? ""), "--count", "2",
            "--device", "cpu", "--item-names", folder.path + "/names.csv",
        ])
        #expect(similar.code == 0 && similar.output.contains("Title of i"), "\(similar.output) \(similar.errors)")

        let train = [
            "train", "als", "--interactions", folder.path + "/titled.csv", "--factors", "4", "--iterations", "2",
            "--device", "cpu", "--output", folder.path + "/titled.apus",
        ]
        let wrong = try Program.run(train + ["--item-name-column", "produkt"])
        #expect(wrong.code == 65 && wrong.errors.contains("produkt") && wrong.errors.contains("product"))
        #expect(try Program.run(train + ["--item-name-column", "product"]).code == 0)
        let titled = try Program.run([
            "recommend", "--model", folder.path + "/titled.apus", "--user", "u1", "--count", "3", "--device", "cpu",
        ])
        #expect(titled.output.contains("Product, i"), "\(titled.output)")
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
