import Testing

/// Data that can't be used: one clear message, exit code 65, existing files as they were.
@Suite struct BadInputTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let bytes: [UInt8]
        /// What the message must name.
        let mentions: [String]
        var testDescription: String { name }

        init(name: String, text: String, mentions: [String]) {
            self.init(name: name, bytes: Array(text.utf8), mentions: mentions)
        }

        init(name: String, bytes: [UInt8], mentions: [String]) {
            self.name = name
            self.bytes = bytes
            self.mentions = mentions
        }
    }

    static let cases = [
        Case(name: "empty file", text: "", mentions: []),
        Case(name: "header only", text: "user,item,rating\n", mentions: []),
        Case(name: "missing column", text: "user,colour\na,b\n", mentions: ["colour"]),
        Case(name: "not a number", text: "user,item,rating\na,b,5\na,c,much\n", mentions: ["line 3", "rating"]),
        Case(name: "NaN", text: "user,item,rating\na,b,nan\n", mentions: ["line 2", "rating"]),
        Case(name: "infinite", text: "user,item,rating\na,b,inf\n", mentions: ["line 2", "rating"]),
        Case(name: "ragged row", text: "user,item,rating\na,b,5\na,c\n", mentions: ["line 3"]),
        Case(name: "cut gzip", bytes: [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B], mentions: []),
    ]

    @Test(arguments: cases)
    func badDataExitsWith65(_ bad: Case) throws {
        let folder = TemporaryFolder()
        let file = folder.write("bad.csv", bad.bytes)
        let model = folder.write("model.apus", "what was there before")
        let result = try Program.run(SmallShop.training(file, output: model))
        #expect(result.code == 65, "\(result.errors)")
        #expect(result.output.isEmpty)
        let message = result.errors.split(separator: "\n").last.map(String.init) ?? ""
        #expect(message.hasPrefix("apus: ") && message.contains("bad.csv"), "\(result.errors)")
        for word in bad.mentions { #expect(message.contains(word), "\(message)") }
        #expect(TemporaryFolder.text(model) == "what was there before")
        #expect(folder.names == ["bad.csv", "model.apus"])
    }

    @Test func missingFilesAreFailuresOfTheSystem() throws {
        let folder = TemporaryFolder()
        let missing = folder.path + "/nowhere.csv"
        let training = try Program.run(SmallShop.training(missing, output: folder.path + "/model.apus"))
        #expect([1, 65].contains(training.code))
        #expect(training.errors.contains("nowhere.csv"))
        let question = try Program.run(["inspect", "--model", folder.path + "/nowhere.apus"])
        #expect([1, 65].contains(question.code), "\(question.errors)")
        #expect(question.errors.contains("nowhere.apus"))
        #expect(folder.names.isEmpty)
    }

    @Test func aMissingOutputFolderIsFoundBeforeAnyWork() throws {
        let folder = TemporaryFolder()
        let file = folder.write("shop.csv", SmallShop.text)
        let result = try Program.run(SmallShop.training(file, output: folder.path + "/no/model.apus"))
        #expect(result.code == 1)
        #expect(result.errors.contains("no/model.apus"))
    }

    @Test func modelsThatAreNoneExitWith65() throws {
        let folder = try SmallShop.trained.get()
        let whole = TemporaryFolder.bytes(folder.path + "/shop.apus")
        try #require(whole.count > 100)
        let broken = TemporaryFolder()
        let contents: [(String, [UInt8])] = [
            ("empty", []), ("text", Array("user,item\n".utf8)), ("cut", Array(whole[..<(whole.count / 2)])),
            ("header", Array(whole[..<20])), ("long", whole + [0]),
        ]
        for (name, content) in contents {
            let path = broken.write("\(name).apus", content)
            let result = try Program.run(["recommend", "--model", path, "--user", "u1", "--device", "cpu"])
            #expect(result.code == 65, "\(name): \(result.code) \(result.errors)")
            #expect(result.errors.contains("\(name).apus") && result.output.isEmpty)
        }
    }

    @Test func aFullDiskWhileWritingIsAFailure() throws {
        let folder = try SmallShop.trained.get()
        let result = try Program.run([
            "recommend", "--model", folder.path + "/shop.apus", "--all-users", "--device", "cpu", "--output",
            "/dev/full",
        ])
        #expect(result.code == 1, "\(result.errors)")
        #expect(result.errors.contains("/dev/full"))
    }
}
