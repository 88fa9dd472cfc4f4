import Core
import Tables
import Testing

func table(
    _ text: String, name: String = "data.csv", _ change: (inout TableReadOptions) -> Void = { _ in }
) throws -> (table: Table, report: TableReadReport) {
    try table(Array(text.utf8), name: name, change)
}

func table(
    _ bytes: [UInt8], name: String = "data.csv", _ change: (inout TableReadOptions) -> Void = { _ in }
) throws -> (table: Table, report: TableReadReport) {
    let folder = TemporaryFolder()
    var options = TableReadOptions()
    change(&options)
    return try TableReader.readWithReport(folder.write(name, bytes), options: options)
}

/// The cells of a table as text, missing ones as "·".
func cells(_ table: Table) -> [[String]] {
    (0..<table.rowCount).map { row in table.columns.map { $0.text(row) ?? "·" } }
}

@Suite struct TableReaderTests {
    @Test func typesAreInferred() throws {
        let text = """
            customerID,age,spend,vip,joined,city,zip
            C1,31,10.5,true,2024-01-31,Köln,01234
            C2,,-0.25,FALSE,2024-02-29 13:05:07,"New ""York"", NY",90210
            C3,28,NA,True,,北京,90210
            """
        let (table, report) = try table(text)
        #expect(
            table.columns.map(\.type) == [.identifier, .integer, .number, .boolean, .date, .category, .category])
        #expect(
            cells(table) == [
                ["C1", "31", "10.5", "true", "2024-01-31", "Köln", "01234"],
                ["C2", "·", "-0.25", "false", "2024-02-29 13:05:07", "New \"York\", NY", "90210"],
                ["C3", "28", "·", "true", "·", "北京", "90210"],
            ])
        #expect(report.rowsKept == 3 && report.widened.isEmpty && report.delimiter == ",")
        #expect(table["age"]?.missingCount == 1 && table["spend"]?.numbers?[2].isNaN == true)
    }

    @Test(arguments: ["\n", "\r\n"], [false, true])
    func bytesOfAllKinds(newline: String, blocks: Bool) throws {
        // Byte-order mark, blank lines, quoted newlines, no newline at the end; small blocks cut it everywhere.
        let lines = ["\u{FEFF}name;text;n", "a;\"one\(newline)two\";1", "", "b;\"x;y\";2", "c;plain \" quote;3"]
        let (table, _) = try table(lines.joined(separator: newline)) { if blocks { $0.blockBytes = 16 } }
        #expect(table.columnNames == ["name", "text", "n"])
        #expect(
            cells(table) == [["a", "one\(newline)two", "1"], ["b", "x;y", "2"], ["c", "plain \" quote", "3"]])
    }

    @Test func numbersAreExact() throws {
        let texts = [
            "0.1", "12345678", "1234567.8", ".5", "5.", "-0.0", "123456789.123456789", "0.30000000000000004",
            "9007199254740993.5", "1e-300", "2.2250738585072014e-308", "1.7976931348623157e308", "3.141592653589793238",
            "+7", " 8 ", "0.000001", "99999999999999999999", "4.9E-324", "72057594037927945.5",
        ]
        let (table, _) = try table("x\n" + texts.joined(separator: "\n") + "\n") { $0.types = ["x": .number] }
        let expected = texts.map { Double($0.split(separator: " ").joined())! }
        #expect(table["x"]?.numbers?.map(\.bitPattern) == expected.map(\.bitPattern))
    }

    @Test func laterRowsWidenTypes() throws {
        var text = "a,b,c,d\n"
        for row in 0..<3000 { text += "\(row),\(row),true,2024-01-01\n" }
        text += "1.5,nine,maybe,2024-13-01\n7,8,false,2024-01-02\n"
        for threads in [1, 3] {
            let (table, report) = try table(text) {
                $0.threads = threads
                $0.blockBytes = 512
                $0.sampledRecords = 100
            }
            #expect(table.columns.map(\.type) == [.number, .category, .category, .category])
            #expect(cells(table)[3000] == ["1.5", "nine", "maybe", "2024-13-01"])
            #expect(cells(table)[3001] == ["7", "8", "false", "2024-01-02"])
            #expect(report.widened.map(\.column) == ["a", "b", "c", "d"])
            #expect(report.widened[1].example == "nine" && report.widened[1].line == 3002)
        }
    }

    @Test func typesThatAreAskedFor() throws {
        let text = "age,day,code\n31,31/12/2024,7\nabc,01/02/2024,8\n"
        let error = dataError { _ = try table(text) { $0.types = ["age": .number] } }
        #expect(error?.line == 3 && error?.column == "age" && error?.reason.contains("'abc'") == true)
        let (read, report) = try table(text) {
            $0.types = ["age": .number, "code": .category]
            $0.onBadValue = .missing
        }
        #expect(cells(read) == [["31", "2024-12-31", "7"], ["·", "2024-02-01", "8"]])
        #expect(read["code"]?.type == .category && report.badValues == ["age": 1])
        #expect(throws: DataError.self) { try table(text) { $0.types = ["salary": .number] } }
    }

    @Test func jsonLines() throws {
        let text = """
            {"id": "a", "n": 1, "ok": true, "note": "x \\"y\\" \\u00e9", "tags": ["p", "q"]}
            {"n": 2.5, "id": "b", "ok": null, "tags": []}

            {"id": "c", "n": null, "ok": false, "note": "", "late": 3}
            """
        let (table, _) = try table(text, name: "d.jsonl")
        #expect(table.columnNames == ["id", "n", "ok", "note", "tags", "late"])
        #expect(cells(table)[0] == ["a", "1", "true", "x \"y\" é", "[\"p\", \"q\"]", "·"])
        #expect(cells(table)[1] == ["b", "2.5", "·", "·", "[]", "·"])
        #expect(cells(table)[2] == ["c", "·", "false", "·", "·", "3"])
        #expect(dataError { _ = try Self.json("{\"a\": 1}\nnonsense\n") }?.line == 2)
    }

    private static func json(_ text: String) throws -> Table {
        let folder = TemporaryFolder()
        return try TableReader.read(folder.write("d.jsonl", text))
    }

    @Test func compressedAndEncoded() throws {
        let bytes = Array("a,b\n1,x\n2,y\n".utf8)
        for (packed, name) in [(gzipStored(bytes), "gzip"), (zstandardStored(bytes), "zstd")] {
            let (table, report) = try table(packed)
            #expect(cells(table) == [["1", "x"], ["2", "y"]] && report.compression == name)
        }
        // 城市,北京 in GB18030.
        let chinese: [UInt8] = [0xB3, 0xC7, 0xCA, 0xD0, 0x2C, 0x6E, 0x0A, 0xB1, 0xB1, 0xBE, 0xA9, 0x2C, 0x31, 0x0A]
        let (read, report) = try table(chinese)
        #expect(read.columnNames == ["城市", "n"] && cells(read) == [["北京", "1"]] && report.encoding == .gb18030)
    }

    @Test func badInput() throws {
        for (text, line, word) in [
            ("a,b\n1,2\n3\n", 3, "1 field"), ("a,b\n1,\"2\n", 2, "not closed"), ("a,b\n\"1\"x,2\n", 2, "closing quote"),
        ] {
            let error = dataError { _ = try table(text) { $0.delimiter = "," } }
            #expect(
                error?.line == line && error?.reason.contains(word) == true, "\(text): \(String(describing: error))")
        }
        #expect(dataError { _ = try table("") } != nil)
        let (skipped, report) = try table("a,b\n1,2\n3\n4,5\n") { $0.onBadRow = .skip }
        #expect(cells(skipped) == [["1", "2"], ["4", "5"]])
        #expect(report.rowsSkipped == 1 && report.skippedExamples.first?.line == 3)
        let (empty, _) = try table("a,b\n")
        #expect(empty.rowCount == 0 && empty.columnNames == ["a", "b"])
        let (same, remarks) = try table("a,a,\n1,2,3\n")
        #expect(same.columnNames == ["a", "a_2", "column_3"] && remarks.remarks.count == 2)
        let (infinite, noted) = try table("x\n1.5\ninf\n-Infinity\n")
        #expect(infinite["x"]?.missingCount == 2 && noted.infiniteValues == ["x": 2])
        let refusal = dataError { _ = try table("a,b\n1,2\n") { $0.memoryLimitBytes = 8 } }
        #expect(refusal?.reason.contains("MB") == true)
    }

    /// The same table for every number of threads and every size of block, and the same as the slow splitter gives.
    @Test func threadsDoNotMatter() throws {
        let draw = Philox(seed: 5, stream: 1)
        var text = "id,x,word,note\n"
        let words = ["plain", "\"quo,ted\"", "\"with \"\"two\"\"\"", "", "NA", "long word number one"]
        for row in 0..<2000 {
            let index = UInt64(row) * 4
            text += "\(row),\(Double(draw.integer(index, below: 100_000)) / 64)"
            text += ",\(words[draw.integer(index + 1, below: words.count)])"
            text += ",\"line\n\(draw.integer(index + 2, below: 50))\"\n"
        }
        let first = try table(text) { $0.threads = 1 }.table
        #expect(first.rowCount == 2000)
        for (threads, bytes) in [(2, 4096), (7, 300), (3, 70_000)] {
            let other = try table(text) {
                $0.threads = threads
                $0.blockBytes = bytes
            }.table
            #expect(cells(other) == cells(first))
            guard case .category(let codes, let levels) = first.columns[2].values,
                case .category(let otherCodes, let otherLevels) = other.columns[2].values
            else { Issue.record("not a category"); return }
            #expect(codes == otherCodes && levels == otherLevels)
        }
        guard case .category(_, let levels) = first.columns[2].values else { return }
        #expect(Set(levels) == ["plain", "quo,ted", "with \"two\"", "long word number one"])
    }

    /// Parts one below the other are the whole, with the types of the whole.
    @Test func partsAreTheWhole() throws {
        var text = "n,w,d\n"
        for row in 0..<3000 { text += "\(row),\(row % 7 == 0 ? "NA" : "w\(row % 50)"),2024-01-\(10 + row % 20)\n" }
        text += "0.5,w,later\n"
        let folder = TemporaryFolder()
        let path = folder.write("data.csv", text)
        var options = TableReadOptions()
        (options.blockBytes, options.sampledRecords) = (700, 50)
        let whole = try TableReader.read(path, options: options)
        var parts: [Table] = []
        let report = try TableReader.forEachPart(of: path, options: options, bytes: 5000) { parts.append($0) }
        #expect(parts.count > 5 && report.rowsKept == 3001 && report.widened.map(\.column) == ["n", "d"])
        #expect(parts.allSatisfy { $0.columns.map(\.type) == [.number, .category, .category] })
        #expect(cells(try Table.appending(parts)) == cells(whole))
        // Lines are counted from the start of the file in the last part too.
        let bad = folder.write("bad.csv", text + "1,2\n")
        let error = dataError { _ = try TableReader.forEachPart(of: bad, options: options, bytes: 5000) { _ in } }
        #expect(error?.line == 3003)
        var count = 0
        _ = try TableReader.forEachPart(of: folder.write("empty.csv", "a,b\n")) { count += 1 + $0.rowCount }
        #expect(count == 1)
    }
}
