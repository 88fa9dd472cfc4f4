import CSQLite
import Core
import Tables
import Testing

@Suite struct TableOperationTests {
    private func people() throws -> Table {
        try Table([
            Column("id", .identifier(PackedText(["a", "b", "c", "d", ""]))),
            Column("age", .integer([30, 41, Column.missingInteger, 25, 60])),
            Column("city", categories: ["Oslo", "Rome", "Oslo", nil, "Rome"]),
            Column("joined", .date([0, 86_400, 172_800, Column.missingInteger, 86_400 * 400])),
        ])
    }

    @Test func joins() throws {
        let people = try people()
        let orders = try Table([
            Column("id", categories: ["b", "a", "b", "x", nil]), Column("price", .number([1, 2, 3, 4, 5])),
            Column("city", categories: ["p", "q", "r", "s", "t"]),
        ])
        func rows(_ kind: JoinKind) throws -> [String] {
            let joined = try people.joined(orders, on: ["id"], kind: kind)
            #expect(
                kind == .semi || kind == .anti
                    || joined.columnNames == ["id", "age", "city", "joined", "price", "city_2"])
            return (0..<joined.rowCount).map { row in
                "\(joined["id"]?.text(row) ?? "·")\(joined["price"]?.text(row) ?? "·")"
            }
        }
        #expect(try rows(.inner) == ["a2", "b1", "b3"])
        #expect(try rows(.left) == ["a2", "b1", "b3", "c·", "d·", "··"])
        #expect(try rows(.full) == ["a2", "b1", "b3", "c·", "d·", "··", "x4", "·5"])
        #expect(try rows(.semi) == ["a·", "b·"] && rows(.anti) == ["c·", "d·", "··"])
        // Numbers and texts agree when they are written alike.
        let numbers = try Table([Column("k", .number([7, 8])), Column("v", .integer([1, 2]))])
        let texts = try Table([Column("k2", categories: ["8", "7.5"])])
        #expect(try numbers.joined(texts, on: ["k"], otherKeys: ["k2"])["v"]?.text(0) == "2")
        #expect(throws: DataError.self) { try people.joined(orders, on: ["nothing"]) }
    }

    @Test func groupsWithFigures() throws {
        let table = try Table([
            Column("g", categories: ["x", "y", "x", "x", nil]), Column("v", .number([1, 5, 2, .nan, 9])),
            Column("w", categories: ["p", "p", "q", "p", "p"]),
        ])
        let grouped = try table.grouped(
            by: ["g"],
            [
                Aggregate(.count), Aggregate(.count, of: "v"), Aggregate(.sum, of: "v"), Aggregate(.mean, of: "v"),
                Aggregate(.median, of: "v"), Aggregate(.deviation, of: "v"), Aggregate(.maximum, of: "w"),
                Aggregate(.distinct, of: "w"), Aggregate(.last, of: "w", name: "latest"),
            ])
        #expect(
            grouped.columnNames == [
                "g", "count", "v_count", "v_sum", "v_mean", "v_median", "v_std", "w_max", "w_distinct", "latest",
            ])
        #expect(cells(grouped)[0].prefix(6) == ["x", "3", "2", "3", "1.5", "1.5"])
        #expect(abs((grouped["v_std"]?.numbers?[0] ?? 0) - 0.5.squareRoot()) < 1e-12)
        #expect(cells(grouped)[0].suffix(3) == ["q", "2", "p"] && cells(grouped)[2][0] == "·")
        #expect(throws: DataError.self) { try table.grouped(by: ["g"], [Aggregate(.sum, of: "w")]) }
    }

    @Test func valuesOfAGroupBecomeAList() throws {
        let table = try Table([
            Column("g", categories: ["x", "y", "x", "x", "y"]), Column("t", .number([3, 1, 1, 2, .nan])),
            Column("e", categories: ["buy now", "a", "look", nil, "b"]),
        ])
        let lists = try table.grouped(
            by: ["g"], [Aggregate(.list, of: "e"), Aggregate(.list, of: "e", by: "t", name: "timed")])
        #expect(cells(lists)[0].suffix(2) == ["buy_now look", "look buy_now"])
        #expect(cells(lists)[1].suffix(2) == ["a b", "b a"])
        #expect(throws: DataError.self) { try table.grouped(by: ["g"], [Aggregate(.list, of: "e", by: "when")]) }
    }

    @Test func ordersAndRepetitions() throws {
        let people = try people()
        let sorted = try people.sorted(by: [SortKey("city"), SortKey("age", descending: true)])
        #expect((0..<5).map { sorted["age"]?.text($0) ?? "·" } == ["30", "·", "60", "41", "25"])
        #expect(try people.deduplicated(on: ["city"]).rowCount == 3)
        let last = try people.deduplicated(on: ["city"], keepLast: true)
        #expect(last["age"]?.text(0) == nil && last["id"]?.text(0) == "c" && last.rowCount == 3)
        let appended = try Table.appending([
            people, try people.dropping(["age"]), try Table([Column("age", .number([1.5]))]),
        ])
        #expect(appended.rowCount == 11 && appended["age"]?.type == .number && appended["age"]?.missingCount == 6)
        let parts = try people.addingDateParts(of: "joined", [.year, .weekday, .weekend])
        #expect(cells(parts)[0].suffix(3) == ["1970", "4", "0"] && cells(parts)[2].suffix(3) == ["1970", "6", "1"])
        #expect(try people.droppingMissing(in: ["age"]).rowCount == 4 && people.droppingMissing().rowCount == 2)
    }

    @Test(
        arguments: [
            ("age >= 30", "1101·", [1, 1, -1, 0, 1]), ("city == 'Oslo'", "", [1, 0, 1, -1, 0]),
            ("age > 26 and city in (\"Rome\", 'Paris')", "", [0, 1, 0, 0, 1]),
            ("not missing(city)", "", [1, 1, 1, 0, 1]),
            ("age * 2 - 1 == 59 or `city` = 'Rome'", "", [1, 1, -1, -1, 1]),
            ("joined >= '1970-01-02'", "", [0, 1, 1, -1, 1]), ("length(id) == 1", "", [1, 1, 1, 1, -1]),
            ("-age < -(20 + 20)", "", [0, 1, -1, 0, 1]), ("city not in ('Oslo')", "", [0, 1, 0, -1, 1]),
        ] as [(String, String, [Int8])])
    func expressions(_ text: String, _: String, _ expected: [Int8]) throws {
        #expect(try TableExpression(text).truth(try people()) == expected)
    }

    @Test func expressionsThatMeanNothing() throws {
        for text in ["age >", "(age > 1", "age > 1 1", "'open", "age ; 1", "in (1)", "", "not"] {
            #expect(throws: ParameterError.self, "\(text)") { try TableExpression(text) }
        }
        #expect(throws: DataError.self) { try TableExpression("salary > 1").truth(try people()) }
        #expect(throws: DataError.self) { try TableExpression("city * 2").numbers(try people()) }
        #expect(throws: DataError.self) { try TableExpression("joined > 'soon'").truth(try people()) }
    }

    @Test func writtenTablesReadBack() throws {
        let table = try Table([
            Column("n,1", .number([0.1, -2, .nan])), Column("t", .text(PackedText(["a \"b\"\nc", " x ", ""]))),
            Column("b", .boolean([1, -1, 0])), Column("d", .date([0, 86_401, Column.missingInteger])),
            Column("c", categories: ["ä", "x,y", nil]),
        ])
        let folder = TemporaryFolder()
        for name in ["a.csv", "a.tsv", "a.jsonl"] {
            let path = folder.path + "/" + name
            try TableWriter.write(table, to: path)
            var options = TableReadOptions()
            if name == "a.tsv" { options.quoting = true }
            let back = try TableReader.read(path, options: options)
            #expect(back.columnNames == table.columnNames && cells(back) == cells(table), "\(name)")
        }
    }

    @Test func databases() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/shop.sqlite"
        var database: OpaquePointer?
        #expect(sqlite3_open(path, &database) == SQLITE_OK)
        sqlite3_exec(
            database,
            "CREATE TABLE p(id TEXT, n INTEGER, x REAL, note TEXT); INSERT INTO p VALUES('a', 1, 0.1, 'q \"1\", z'), ('b', NULL, 2.5, NULL), ('c', 3, NULL, '北京');",
            nil, nil, nil)
        let table = try TableReader.read(path)
        #expect(cells(table) == [["a", "1", "0.1", "q \"1\", z"], ["b", "·", "2.5", "·"], ["c", "3", "·", "北京"]])
        #expect(table.columns.map(\.type) == [.identifier, .integer, .number, .category])
        var options = TableReadOptions()
        options.query = "SELECT id, n * 2 AS twice FROM p WHERE n > 1"
        #expect(cells(try TableReader.read(path, options: options)) == [["c", "6"]])
        options.query = "SELECT nothing FROM p"
        #expect(dataError { _ = try TableReader.read(path, options: options) }?.reason.contains("nothing") == true)
        options.query = "SELECT 1; DROP TABLE p"
        #expect(dataError { _ = try TableReader.read(path, options: options) } != nil)
        sqlite3_exec(database, "CREATE TABLE q(a)", nil, nil, nil)
        #expect(dataError { _ = try TableReader.read(path) }?.reason.contains("'p', 'q'") == true)
        sqlite3_close(database)
        options.query = "SELECT 1"
        let csv = folder.write("a.csv", "a\n1\n")
        #expect(throws: ParameterError.self) { try TableReader.read(csv, options: options) }
    }

    @Test func matrices() throws {
        let folder = TemporaryFolder()
        try NumPyFile.write(
            HostMatrix(rows: 2, columns: 3, elements: [1, 2, 3, 4.5, -1, .nan]), to: folder.path + "/a.npy")
        let table = try TableReader.read(folder.path + "/a.npy")
        #expect(table.columnNames == ["x0", "x1", "x2"] && cells(table) == [["1", "2", "3"], ["4.5", "-1", "·"]])
    }
}
