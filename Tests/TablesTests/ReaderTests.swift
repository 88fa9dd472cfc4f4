import Core
import Glibc
import Tables
import Testing

@Suite struct ReaderTests {
    @Test func plainRows() throws {
        let data = try read("user,item,rating,time\nb,x,4,1000000000\na,y,3.5,1000000001\nb,y,1,1000000002\n") {
            $0.needsTimes = true
        }
        #expect(data.users.strings == ["b", "a"])
        #expect(data.items.strings == ["x", "y"])
        #expect(entries(data) == ["b/x": 4, "b/y": 1, "a/y": 3.5])
        #expect(data.times?.array == [1_000_000_000, 1_000_000_002, 1_000_000_001])
        #expect(data.report.rowsRead == 3 && data.report.rowsKept == 3)
        #expect(data.report.columnsByRole == ["user": "user", "item": "item", "value": "rating", "time": "time"])
        #expect(data.report.delimiter == "," && data.report.encoding == .utf8 && data.report.compression == "none")
        #expect(data.report.minimumValueSeen == 1 && data.report.maximumValueSeen == 4)
        expectConsistent(data)
    }

    @Test func quotesWithSeparatorsNewlinesAndDoubledQuotes() throws {
        let data = try read("user,item,rating\n\"Doe, Jane\",\"a \"\"b\"\"\nc\",2\nplain,\"x\",\"3\"\n")
        #expect(data.users.strings == ["Doe, Jane", "plain"])
        #expect(data.items.strings == ["a \"b\"\nc", "x"])
        #expect(entries(data).values.sorted() == [2, 3])
    }

    @Test func quotesInsideAnUnquotedFieldAreText() throws {
        let data = try read("user,item\na,5\" pipe\nb,6\" pipe\n")
        #expect(data.items.strings == ["5\" pipe", "6\" pipe"])
    }

    @Test func tabFilesHaveNoQuotesUnlessAsked() throws {
        let text = "user\titem\n\"a\tx\nb\ty\n"
        #expect(try read(text).users.strings == ["\"a", "b"])
        #expect(try read("user\titem\n\"a\"\tx\n") { $0.quoting = true }.users.strings == ["a"])
    }

    @Test func carriageReturnsByteOrderMarkAndBlankLines() throws {
        let text = "user,item,rating\r\na,x,1\r\n\r\nb,y,2\r\nc,z,3"
        let data = try read([0xEF, 0xBB, 0xBF] + Array(text.utf8))
        #expect(entries(data) == ["a/x": 1, "b/y": 2, "c/z": 3])
        #expect(try read("rating,user,item\r\n1,a,x\r\n2,b,y\r\n").items.strings == ["x", "y"])
        // A carriage return inside a line is text: records end at newlines only.
        #expect(try read("user,item\na\rb,x\n").users.strings == ["a\rb"])
        #expect(try read("user,item\na\u{2028}b,x\u{85}\n").items.strings == ["x\u{85}"])
    }

    @Test(arguments: [(",", ","), ("\t", "\t"), (";", ";"), ("|", "|"), ("::", "::")])
    func delimitersAreDetected(_ delimiter: String, _ expected: String) throws {
        let rows = [["userId", "movieId", "rating"], ["1", "10", "4"], ["2", "10", "5"]]
        let data = try read(rows.map { $0.joined(separator: delimiter) }.joined(separator: "\n") + "\n")
        #expect(data.report.delimiter == expected)
        #expect(entries(data) == ["1/10": 4, "2/10": 5])
    }

    @Test func anyDelimiterCanBeNamed() throws {
        #expect(entries(try read("user<>item<>rating\na<>x<>2\n") { $0.delimiter = "<>" }) == ["a/x": 2])
        #expect(entries(try read("user item\na x\n") { $0.delimiter = " " }) == ["a/x": 1])
        // The first byte of the delimiter alone separates nothing.
        #expect(entries(try read("user::item\na:b::x:\n") { $0.delimiter = "::" }) == ["a:b/x:": 1])
    }

    @Test func headerlessColumnsWithOneLeftOut() throws {
        let data = try read("1::10::5::978300760\n2::10::3::978302109\n") {
            $0.headerlessColumns = ["user", "item", "-", "time"]
            $0.needsTimes = true
        }
        #expect(entries(data) == ["1/10": 1, "2/10": 1])
        #expect(data.times?.array == [978_300_760, 978_302_109])
    }

    @Test(arguments: [
        ("user_id", "product_id", "quantity"), ("CustomerID", "StockCode", "Quantity"),
        ("userID", "artistID", "weight"),
        ("visitorid", "itemid", "count"), ("User Id", "Item-ID", "Score"),
    ])
    func commonHeaderNames(_ user: String, _ item: String, _ value: String) throws {
        #expect(entries(try read("\(value),\(item),\(user)\n3,i,u\n")) == ["u/i": 3])
    }

    @Test func namedColumnsWinOverCommonNames() throws {
        let data = try read("user,item,name,other,n\n1,2,u,i,7\n") {
            $0.columns = InteractionColumns(user: "name", item: "other", value: "n")
        }
        #expect(entries(data) == ["u/i": 7])
    }

    @Test func identifiersAreText() throws {
        let data = try read("user,item\n7,a\n007,a\n07,a\n7.0,a\n4194304,a\n00000000,a\n0,a\n")
        #expect(data.users.strings == ["7", "007", "07", "7.0", "4194304", "00000000", "0"])
        for (number, name) in data.users.strings.enumerated() { #expect(data.users.index(of: name) == number) }
        #expect(data.users.index(of: "70") == nil && data.users.index(of: "") == nil)
    }

    @Test func timesInTheirFormats() throws {
        let forms: [(String, Int64)] = [
            ("2011-12-09", 1_323_388_800), ("2011-12-09 12:50:00", 1_323_435_000),
            ("2011-12-09T12:50:00Z", 1_323_435_000), ("2011-12-09T12:50:00.25+02:00", 1_323_427_800),
            ("2011-12-09T12:50:00-0530", 1_323_454_800), ("1323435000", 1_323_435_000),
            ("1323435000123", 1_323_435_000), ("1323435000123456", 1_323_435_000), ("1960-01-01", -315_619_200),
            ("978300760.0", 978_300_760), ("0", 0), ("-5", -5), ("2012-02-29", 1_330_473_600),
        ]
        for (text, expected) in forms {
            let data = try read("user,item,time\na,x,\(text)\n") { $0.needsTimes = true }
            #expect(data.times?.array == [expected], "\(text)")
        }
        for wrong in [
            "2011-13-01", "2011-02-29", "yesterday", "12:00", "2011-12-09T25:00:00", "", "1e", "99999999999999999999",
        ] {
            let error = dataError { _ = try read("user,item,time\na,x,1\nb,y,\(wrong)\n") { $0.needsTimes = true } }
            #expect(error?.line == 3 && error?.column == "time", "\(wrong)")
        }
    }

    @Test func timesBeyond32BitsAreReadAgain() throws {
        var text = "user,item,time\n"
        for row in 0..<70_000 { text += "\(row % 500),\(row % 391),\(1_000_000_000 + row)\n" }
        let narrow = try read(text) { $0.needsTimes = true }
        text += "1,new,2150-01-01\n2,new,1850-01-01\n"
        for threads in [1, 2] {
            let wide = try read(text) {
                $0.needsTimes = true
                $0.threads = threads
            }
            #expect(wide.report.maximumTimeSeen == 5_680_281_600 && wide.report.minimumTimeSeen == -3_786_825_600)
            let kept = zip(wide.times?.array ?? [], wide.byUser.columnIndices.array).filter {
                wide.items[Int($0.1)] != "new"
            }
            #expect(kept.map(\.0) == narrow.times?.array)
        }
    }

    @Test func eightDigitsAreDatesWhenAllFirstRowsSaySo() throws {
        let dates = try read("user,item,date\na,x,19970101\nb,x,19970118\n") { $0.needsTimes = true }
        #expect(dates.times?.array == [852_076_800, 853_545_600])
        let seconds = try read("user,item,time\na,x,19970101\nb,x,99\n") { $0.needsTimes = true }
        #expect(seconds.times?.array == [19_970_101, 99])
    }

    @Test func numbersInTheirForms() throws {
        let forms: [(String, Float)] = [
            ("4", 4), ("4.5", 4.5), ("-2", -2), ("+3", 3), ("1e3", 1000), (".5", 0.5), ("5.", 5), ("0.1", 0.1),
            ("123456789012345678", 123_456_789_012_345_678), ("0.30000000000000004", 0.3), ("-0.125", -0.125),
            (" 7 ", 7),
            ("3.4028235e38", .greatestFiniteMagnitude), ("1e-50", 0),
        ]
        for (text, expected) in forms {
            let data = try read("user,item,value\na,x,\(text)\n")
            #expect(data.byUser.values.array == [expected], "\(text)")
        }
    }

    @Test func jsonLines() throws {
        let text = #"""
            {"user": "ann", "item": 7, "rating": 4.5, "extra": {"a": [1, "}"]}, "time": "2011-12-09"}

            {"item":"caf\u00e9 \"x\"","rating":2,"user":12,"time":5, "extra":null}
            """#
        let data = try read(text + "\n", name: "data.jsonl") { $0.needsTimes = true }
        #expect(entries(data) == ["ann/7": 4.5, "12/café \"x\"": 2])
        #expect(data.times?.array == [1_323_388_800, 5])
        #expect(data.report.format == "jsonl")
        // Known by its content too.
        #expect(entries(try read("{\"user\":1,\"item\":2}\n")) == ["1/2": 1])
    }

    @Test func eventWeights() throws {
        let text = "user,item,event\na,x,view\na,y,purchase\nb,x,cart\n"
        let data = try read(text) { $0.eventWeights = ["view": 1, "purchase": 5, "*": 2] }
        #expect(entries(data) == ["a/x": 1, "a/y": 5, "b/x": 2])
        let error = dataError { _ = try read(text) { $0.eventWeights = ["view": 1, "purchase": 5] } }
        #expect(error?.line == 4 && error?.column == "event" && error?.reason.contains("'cart'") == true)
        let counted = try read("user,item,event,quantity\na,x,buy,3\n") { $0.eventWeights = ["buy": 2] }
        #expect(entries(counted) == ["a/x": 6])
        // Without weights an event column is nobody's business.
        #expect(entries(try read(text)).count == 3)
    }

    @Test func decayHalvesByHalfLife() throws {
        let text = "user,item,value,time\na,x,8,2020-01-01\na,y,8,2020-01-11\na,z,8,2020-01-21\n"
        #expect(entries(try read(text) { $0.halfLifeDays = 10 }) == ["a/x": 2, "a/y": 4, "a/z": 8])
        let later = try read(text) {
            $0.halfLifeDays = 10
            $0.asOf = 1_579_564_800 + 10 * 86_400
        }
        #expect(entries(later) == ["a/x": 1, "a/y": 2, "a/z": 4])
        #expect(later.times == nil)
    }

    @Test func duplicateRules() throws {
        let text = "user,item,value,time\na,x,5,300\na,y,1,1\na,x,2,400\na,x,3,100\n"
        #expect(entries(try read(text)) == ["a/x": 10, "a/y": 1])
        #expect(entries(try read(text) { $0.duplicates = .max }) == ["a/x": 5, "a/y": 1])
        #expect(entries(try read(text) { $0.duplicates = .last }) == ["a/x": 2, "a/y": 1])
        let inFile = text.replacing("value,time", with: "value,note")
        #expect(entries(try read(inFile) { $0.duplicates = .last }) == ["a/x": 3, "a/y": 1])
        let error = dataError { _ = try read(text) { $0.duplicates = .error } }
        #expect(error?.reason.contains("'a'") == true && error?.reason.contains("'x'") == true)
        let kept = try read(text) { $0.needsTimes = true }
        #expect(kept.times?.array == [400, 1])
        #expect(kept.report.duplicatesMerged == 2)
    }

    @Test func minimumValueComesBeforeMerging() throws {
        let data = try read("user,item,value\nz,q,1\na,x,3\na,x,2\na,y,4\n") { $0.minimumValue = 3 }
        #expect(entries(data) == ["a/x": 3, "a/y": 4])
        #expect(data.users.strings == ["a"] && data.report.rowsBelowMinimumValue == 2)
        #expect(data.report.minimumValueSeen == 1)
    }

    @Test func minimumsPerUserAndItemUntilStable() throws {
        // d has two items, but one of them falls with c; then d falls, then nothing else.
        let text = "user,item\na,x\na,y\nb,x\nb,y\nc,w\nd,w\nd,x\n"
        let data = try read(text) {
            $0.minimumPerUser = 2
            $0.minimumPerItem = 2
        }
        #expect(Set(entries(data).keys) == ["a/x", "a/y", "b/x", "b/y"])
        #expect(data.report.usersBelowMinimum == 2 && data.report.itemsBelowMinimum == 1)
        #expect(data.report.interactionsBelowMinimum == 3)
        expectConsistent(data)
    }

    @Test func arraysInMemory() throws {
        let data = try Interactions(
            users: ["b", "a", "b"], items: ["1", "2", "1"], values: [1, 2, 3], times: [5, 6, 7])
        #expect(entries(data) == ["b/1": 4, "a/2": 2])
        #expect(throws: ParameterError.self) { try Interactions(users: ["a"], items: []) }
        #expect(
            dataError { _ = try Interactions(users: ["a", "b"], items: ["x", "y"], values: [1, .nan]) }?.line == 2)
    }
}
