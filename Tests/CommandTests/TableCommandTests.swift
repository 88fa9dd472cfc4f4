import Core
import Testing

/// From a table to a model, its judgement, its reasons and a page, through the program.
@Suite(.serialized) struct TableCommandTests {
    /// Customers who leave by a rule; names and cities in several scripts, and gaps.
    private static let customers: String = {
        let random = Philox(seed: 17, stream: 1)
        var text = "customer;contract;calls;bill;city;feedback;left\n"
        for row in 0..<900 {
            let start = UInt64(row) * 8
            let monthly = random.uniform64(start) < 0.6
            let calls = random.integer(start + 1, below: 8)
            let score = (monthly ? 2.0 : -2.0) + Double(calls) - 3.5
            let leaves = random.uniform64(start + 2) * 8 - 4 < score
            let bill = random.uniform64(start + 3) < 0.05 ? "" : "\(20 + random.integer(start + 4, below: 80))"
            let words = leaves ? "slow expensive support" : "great friendly service"
            text += "c\(row);\(monthly ? "monthly" : "two years");\(calls);\(bill);"
            text += ["Köln", "上海", "Oslo"][random.integer(start + 5, below: 3)] + ";"
            text +=
                "the \(words.split(separator: " ")[random.integer(start + 6, below: 3)]) line;\(leaves ? "yes" : "no")\n"
        }
        return text
    }()

    private func folder() -> TemporaryFolder {
        let folder = TemporaryFolder()
        _ = folder.write("customers.csv", Self.customers)
        return folder
    }

    private func trained(_ folder: TemporaryFolder, _ learner: String = "logistic") throws -> [String: JSONText] {
        let result = try Program.run([
            "train", learner, "--data", folder.path + "/customers.csv", "--target", "left", "--drop", "feedback",
            "--output",
            folder.path + "/left.apus", "--device", "cpu", "--seed", "42", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        return try JSONText.object(in: result.output)
    }

    @Test(arguments: ["logistic", "svm", "naive-bayes", "knn"])
    func learnersReportOneObject(learner: String) throws {
        let folder = folder()
        let report = try trained(folder, learner)
        for key in [
            "device", "metrics", "baselines", "intervals", "seconds", "peak_memory_bytes", "deciles", "confusion",
        ] {
            #expect(report[key] != nil, "\(key) is missing from \(report.keys.sorted())")
        }
        // Neighbors are led astray by the columns that say nothing.
        #expect((report["metrics"]?.object?["roc_auc"]?.number ?? 0) > (learner == "knn" ? 0.75 : 0.8))
        #expect(report["learner"]?.string == learner)
        let inspected = try Program.run(["inspect", folder.path + "/left.apus", "--json"])
        #expect(inspected.code == 0, "\(inspected.errors)")
        #expect(try JSONText.object(in: inspected.output)["recipe"]?.string?.isEmpty == false)
    }

    @Test func evaluationJudgesWhatWasHeldOut() throws {
        let folder = folder()
        let training = try trained(folder)
        let result = try Program.run([
            "evaluate", "--model", folder.path + "/left.apus", "--data", folder.path + "/customers.csv", "--value",
            "tp=40,fp=-2", "--device", "cpu", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        #expect(report["metrics"] == training["metrics"])
        #expect(report["evaluated"]?.number == 180)
        #expect((report["profit"]?.object?["profit"]?.number ?? 0) > 0)
    }

    /// Part by part or as a whole, and single rows by their values: the same predictions.
    @Test func filesAndRowsArePredictedAlike() throws {
        let folder = folder()
        _ = try trained(folder)
        func predict(_ more: [String]) throws -> Program.Outcome {
            try Program.run(["predict", "--model", folder.path + "/left.apus", "--device", "cpu"] + more)
        }
        let data = ["--data", folder.path + "/customers.csv"]
        let whole = try predict(data + ["--output", folder.path + "/whole.csv"])
        // An eighth of the limit is less than the file has.
        let parts = try predict(data + ["--output", folder.path + "/parts.csv", "--memory-limit", "100000"])
        #expect(whole.code == 0 && parts.code == 0, "\(whole.errors) \(parts.errors)")
        let lines = TemporaryFolder.text(folder.path + "/whole.csv")
        #expect(TemporaryFolder.text(folder.path + "/parts.csv") == lines)
        #expect(lines.split(separator: "\n").count == 901)
        let fields = Self.customers.split(separator: "\n")[1].split(separator: ";", omittingEmptySubsequences: false)
        let row = "contract=\(fields[1]),calls=\(fields[2]),bill=\(fields[3]),city=\(fields[4])"
        let one = try predict(["--row", row, "--row", "calls=7", "--json"])
        #expect(one.code == 0, "\(one.errors)")
        let said = try JSONText.object(in: one.output)["predictions"]?.array ?? []
        let expected = Double(lines.split(separator: "\n")[1].split(separator: ",").last ?? "") ?? -1
        #expect(said.count == 2 && abs((said[0].object?["probability"]?.number ?? 0) - expected) < 1e-6)
        let wrong = try predict(["--row", "call=7"])
        #expect(
            wrong.code == 64 && wrong.errors.contains("`call`") && wrong.errors.contains("calls"), "\(wrong.errors)")
    }

    @Test func theLikeliestAreListed() throws {
        let folder = folder()
        _ = try trained(folder)
        let result = try Program.run([
            "predict", "--model", folder.path + "/left.apus", "--data", folder.path + "/customers.csv", "--top", "10%",
            "--reasons", "2", "--id", "customer", "--output", folder.path + "/list.csv", "--device", "cpu",
        ])
        #expect(result.code == 0, "\(result.errors)")
        let lines = TemporaryFolder.text(folder.path + "/list.csv").split(separator: "\n")
        #expect(lines.count == 91)
        #expect(lines[0] == "customer,prediction,probability,reasons")
        #expect(lines[1].hasPrefix("c") && lines[1].contains("contract = monthly"))
        let wrong = try Program.run([
            "predict", "--model", folder.path + "/left.apus", "--data", folder.path + "/customers.csv", "--top", "many",
        ])
        #expect(wrong.code == 64)
    }

    @Test func textsAreTakenWordByWord() throws {
        let folder = folder()
        let result = try Program.run([
            "train", "naive-bayes", "--data", folder.path + "/customers.csv", "--text", "feedback", "--target", "left",
            "--drop", "contract,calls,bill,city,customer", "--test", "0.2", "--output", folder.path + "/text.apus",
            "--device", "cpu", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        #expect((try JSONText.object(in: result.output)["metrics"]?.object?["accuracy"]?.number ?? 0) > 0.99)
    }

    @Test func learnersAreComparedAndTuned() throws {
        let folder = folder()
        let comparison = try Program.run([
            "compare", "--data", folder.path + "/customers.csv", "--target", "left", "--drop", "feedback", "--learners",
            "logistic,svm(c=0.1),naive-bayes", "--folds", "3", "--device", "cpu", "--json",
        ])
        #expect(comparison.code == 0, "\(comparison.errors)")
        let learners = try JSONText.object(in: comparison.output)["learners"]?.array ?? []
        #expect(learners.count == 3)
        #expect(learners.contains { $0.object?["learner"]?.string == "svm(c=0.1)" })
        let tuning = try Program.run([
            "tune", "logistic", "--data", folder.path + "/customers.csv", "--target", "left", "--drop", "feedback",
            "--trials", "4", "--method", "random", "--search", "l2=0.01..100:log", "--state",
            folder.path + "/state.json", "--device", "cpu", "--json",
        ])
        #expect(tuning.code == 0, "\(tuning.errors)")
        #expect(try JSONText.object(in: tuning.output)["trials"]?.array?.count == 4)
        #expect(folder.names.contains("state.json"))
    }

    @Test func pagesAndReasonsAreWritten() throws {
        let folder = folder()
        _ = try trained(folder)
        let page = try Program.run([
            "report", "--model", folder.path + "/left.apus", "--data", folder.path + "/customers.csv", "--output",
            folder.path + "/left.html", "--device", "cpu",
        ])
        #expect(page.code == 0, "\(page.errors)")
        let text = TemporaryFolder.text(folder.path + "/left.html")
        for part in ["<svg", "ROC curve", "Lift", "Calibration", "上海", "Importance of the columns"] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(!text.contains("http://") || text.contains("http://www.w3.org/2000/svg"))
        #expect(!text.contains("<script") && !text.contains("https://"))
        let explained = try Program.run([
            "explain", "--model", folder.path + "/left.apus", "--data", folder.path + "/customers.csv", "--row", "3",
            "--along", "calls", "--device", "cpu", "--json",
        ])
        #expect(explained.code == 0, "\(explained.errors)")
        let report = try JSONText.object(in: explained.output)
        #expect(report["coefficients"]?.array?.isEmpty == false)
        #expect(report["rows"]?.array?.count == 1)
    }

    @Test(arguments: [
        (["--target", "gone"], Int32(65), "gone"), (["--target", "left", "--test", "2"], 64, "--test"),
        (["--target", "left", "--positive", "maybe"], 65, "maybe"),
        (["--target", "left", "--set", "width=1"], 64, "width"),
        (["--target", "left", "--drop", "customer,contract,calls,bill,city,feedback"], 65, "column"),
        (["--target", "left", "--value", "tp=x"], 64, "tp"), (["--target", "bill"], 65, "number"),
    ])
    func mistakesAreNamed(arguments: [String], code: Int32, word: String) throws {
        let folder = folder()
        let result = try Program.run(
            ["train", "logistic", "--data", folder.path + "/customers.csv", "--device", "cpu"] + arguments)
        #expect(result.code == code, "\(result.errors)")
        #expect(result.errors.contains(word), "\(result.errors)")
        #expect(result.output.isEmpty)
    }
}
