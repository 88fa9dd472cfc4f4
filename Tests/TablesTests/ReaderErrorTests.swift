import Core
import Glibc
import Tables
import Testing

@Suite struct ReaderErrorTests {
    private func error(
        _ text: String, name: String = "data.csv", _ change: (inout InteractionOptions) -> Void = { _ in }
    ) -> DataError? {
        dataError { _ = try read(text, name: name, change) }
    }

    @Test func missingFile() {
        #expect(throws: SystemError.self) { try InteractionReader.read("/nonexistent/data.csv") }
        #expect(throws: SystemError.self) { try InteractionReader.read("/tmp") }
    }

    @Test func emptyFiles() {
        #expect(error("")?.reason == "the file is empty")
        #expect(error("\n\n")?.reason == "the file is empty")
        #expect(error("user,item\n")?.reason.contains("no row") == true)
        #expect(error("user,item")?.reason.contains("no row") == true)
    }

    @Test func missingColumnListsTheColumns() {
        let noItem = error("user,thing,rating\n1,2,3\n")
        #expect(noItem?.reason.contains("'user', 'thing', 'rating'") == true)
        let named = error("user,item\n1,2\n") { $0.columns.value = "stars" }
        #expect(named?.reason.contains("'stars'") == true && named?.reason.contains("'user', 'item'") == true)
    }

    @Test func firstLineThatLooksLikeData() {
        let found = error("196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
        #expect(found?.reason.contains("looks like data") == true && found?.line == 1)
        let named = error("user,item,rating\n1,2,3\n") { $0.headerlessColumns = ["user", "item", "rating"] }
        #expect(named?.line == 1 && named?.reason.contains("header") == true)
    }

    @Test(arguments: ["abc", "nan", "NaN", "inf", "-Infinity", "1e39", "0x10", "", "1,5", "12 3"])
    func badValues(_ value: String) {
        let text = "user;item;rating\na;x;1\nb;y;2\nc;z;\(value)\nd;w;3\n"
        let found = error(text)
        #expect(found?.line == 4 && found?.column == "rating", "\(value): \(found?.description ?? "no error")")
        #expect(found?.file?.hasSuffix("data.csv") == true)
    }

    @Test func raggedRows() {
        let short = error("user,item,rating\na,x,1\nb,y\n")
        #expect(
            short?.line == 3
                && short?.reason.hasPrefix("the row has 2 fields, the header has 3; --on-bad-row skip") == true)
        let long = error("user,item,rating\na,x,1,9\n")
        #expect(long?.line == 2 && long?.reason.contains("4 fields") == true)
        let quoted = error("user,item\n\"a\nb\",x\nc\n")
        #expect(quoted?.line == 4)
        let named = error("1,2,3,4\n") { $0.headerlessColumns = ["user", "item"] }
        #expect(named?.line == 1 && named?.reason.contains("4 fields") == true)
    }

    @Test func emptyIdentifiers() {
        let user = error("user,item\na,x\n,y\n")
        #expect(user?.line == 3 && user?.column == "user")
        #expect(error("user,item\na,\n")?.column == "item")
        #expect(error("user,item\n\"\",x\n")?.column == "user")
    }

    @Test func quotesThatDoNotClose() {
        let open = error("user,item\na,x\nb,\"y\nc,z\n")
        #expect(open?.line == 3 && open?.reason.contains("not closed") == true)
        let after = error("user,item\na,\"x\" y\n")
        #expect(after?.line == 2 && after?.reason.contains("closing quote") == true)
    }

    @Test func wrongEncodings() throws {
        let latin: [UInt8] = Array("user,item\na,x\nb,caf".utf8) + [0xE9] + Array("s\n".utf8)
        let found = dataError { _ = try read(latin) }
        #expect(found?.line == 3 && found?.reason.contains("latin-1") == true)
        #expect(try read(latin) { $0.encoding = .latin1 }.items.strings == ["x", "cafés"])
        let utf16: [UInt8] = [0xFF, 0xFE] + Array("user,item\na,x\n".utf8).flatMap { [$0, 0] }
        #expect(dataError { _ = try read(utf16) }?.reason.contains("UTF-16") == true)
        let nul: [UInt8] = Array("user,item\na,x\nb,".utf8) + [0] + Array("\n".utf8)
        #expect(dataError { _ = try read(nul) }?.line == 3)
        // Surrogates, overlong forms and cut characters are not UTF-8.
        for bad: [UInt8] in [[0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xE4, 0xB8], [0xF5, 0x80, 0x80, 0x80], [0x80]] {
            let bytes = Array("user,item\na,x".utf8) + bad + Array("\n".utf8)
            #expect(dataError { _ = try read(bytes) { $0.encoding = .utf8 } }?.line == 2, "\(bad)")
        }
        #expect(try read("user,item\nä中😀,x\n").users.strings == ["ä中😀"])
    }

    /// 用户,商品 and two rows in GB18030.
    private static let chinese: [UInt8] =
        [0xD3, 0xC3, 0xBB, 0xA7, 0x2C, 0xC9, 0xCC, 0xC6, 0xB7, 0x0A]
        + [0xD5, 0xC5, 0xC8, 0xFD, 0x2C, 0xC6, 0xBB, 0xB9, 0xFB, 0x0A]
        + [0xC0, 0xEE, 0xCB, 0xC4, 0x2C, 0xCF, 0xE3, 0xBD, 0xB6, 0x0A]

    @Test func gb18030IsDetectedAndNamed() throws {
        for encoding in [TextEncoding.detected, .gb18030] {
            let data = try read(ReaderErrorTests.chinese) {
                $0.encoding = encoding
                $0.columns = InteractionColumns(user: "用户", item: "商品")
            }
            #expect(data.users.strings == ["张三", "李四"] && data.items.strings == ["苹果", "香蕉"])
            #expect(data.report.encoding == .gb18030)
        }
        let found = dataError {
            _ = try read(ReaderErrorTests.chinese) {
                $0.encoding = .utf8
                $0.columns = InteractionColumns(user: "用户", item: "商品")
            }
        }
        #expect(found != nil)
    }

    @Test func gb18030FarIntoTheFileIsReadAgain() throws {
        var bytes = Array("user,item\n".utf8)
        for row in 0..<120_000 { bytes += Array("u\(row % 100),i\(row % 77)\n".utf8) }
        bytes += ReaderErrorTests.chinese
        let data = try read(bytes)
        #expect(data.report.encoding == .gb18030 && data.users.strings.last == "李四")
    }

    @Test func skippedRowsAreCountedAndShown() throws {
        let text = "user,item,rating\na,x,1\nb,y\n,z,1\nc,z,nan\nd,w,4\ne,v,oops\nf,u,NaN\n"
        let data = try read(text) { $0.onBadRow = .skip }
        #expect(entries(data) == ["a/x": 1, "d/w": 4])
        #expect(data.report.rowsSkipped == 5 && data.report.rowsRead == 7)
        #expect(data.report.skippedExamples.map(\.line) == [3, 4, 5, 7])
        #expect(data.report.skippedExamples.map(\.column) == [nil, "user", "rating", "rating"])
        let all = error("user,item,rating\na,x,q\n") { $0.onBadRow = .skip }
        #expect(all?.line == 2 && all?.reason.contains("every one") == true)
    }

    @Test func nothingLeft() {
        #expect(error("user,item,rating\na,x,1\n") { $0.minimumValue = 2 }?.reason.contains("nothing is left") == true)
        #expect(error("user,item\na,x\n") { $0.minimumPerUser = 2 }?.reason.contains("nothing is left") == true)
    }

    @Test func cutOffCompression() {
        let text = Array("user,item\na,x\n".utf8)
        for (name, bytes) in [("data.csv.gz", gzipStored(text)), ("data.csv.zst", zstandardStored(text))] {
            for cut in [bytes.count - 1, bytes.count - 6, bytes.count / 2] {
                let found = dataError { _ = try read(Array(bytes[..<cut]), name: name) }
                #expect(found != nil, "\(name) cut at \(cut)")
            }
            #expect(dataError { _ = try read(bytes + [1, 2, 3], name: name) } != nil)
        }
        var damaged = gzipStored(text)
        damaged[damaged.count - 6] ^= 1
        #expect(dataError { _ = try read(damaged, name: "data.csv.gz") }?.reason.contains("damaged") == true)
    }

    @Test(arguments: [
        "{\"user\":1,\"item\":2", "{\"user\":1}", "{\"user\":null,\"item\":2}", "{\"user\":[1],\"item\":2}", "[1,2]",
        "{\"user\":\"\\q\",\"item\":2}", "{\"user\":\"\\ud800\",\"item\":2}", "{\"user\":1,\"item\":2} x", "{user:1}",
    ])
    func badJSON(_ line: String) {
        let found = error("{\"user\":1,\"item\":2}\n\(line)\n", name: "data.jsonl")
        #expect(found?.line == 2, "\(line)")
    }

    @Test func badOptions() {
        for change: (inout InteractionOptions) -> Void in [
            { $0.delimiter = "" }, { $0.delimiter = "\n" }, { $0.halfLifeDays = 0 }, { $0.minimumValue = .nan },
            { $0.minimumPerUser = -1 }, { $0.eventWeights = ["a": .infinity] }, { $0.columns.event = "event" },
        ] {
            #expect(throws: ParameterError.self) { _ = try read("user,item\na,x\n", change) }
        }
    }

    @Test func theFirstErrorInTheFileIsReportedWhateverTheThreads() {
        var text = "user,item,rating\n"
        for row in 0..<200_000 { text += row % 60_000 == 59_999 ? "u,i,bad\n" : "\(row),\(row % 99),1\n" }
        for threads in [1, 2, 5] {
            #expect(error(text) { $0.threads = threads }?.line == 60_001)
        }
    }

    @Test func aCallerCanStop() throws {
        let folder = TemporaryFolder()
        let path = folder.write("data.csv", shop(rows: 300_000, users: 50, items: 50, seed: 1))
        // Blocks pass faster than reports are due; the first report stops the rest.
        var reports = 0
        do {
            _ = try InteractionReader.read(path) { _ in
                reports += 1
                return .stop
            }
            #expect(reports == 0)
        } catch is CancellationError { #expect(reports == 1) }
    }
}
