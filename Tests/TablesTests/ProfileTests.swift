import Core
import FoundationEssentials
import Tables
import Testing

@Suite struct ProfileTests {
    @Test func figuresOfColumns() throws {
        var values: [Double] = (1...100).map { Double($0) }
        values.append(contentsOf: [.nan, 10_000])
        let table = try Table([
            Column("v", .number(values)), Column("same", categories: values.map { _ in "x" }),
            Column("day", .date((0..<102).map { $0 < 51 ? Int64($0) * 86_400 : Int64($0 + 100) * 86_400 })),
        ])
        let profile = try TableProfile(table)
        let v = profile.columns[0]
        #expect(v.missing == 1 && v.distinct == 101 && v.minimum == 1 && v.maximum == 10_000 && v.outliers == 1)
        #expect(v.quantiles[3] == 51 && v.quantiles[2] == 26 && v.histogramCounts.reduce(0, +) == 101)
        #expect((v.skewness ?? 0) > 9)
        let kinds = Set(profile.findings.map { "\($0.kind) \($0.column ?? "")" })
        #expect(kinds.isSuperset(of: ["outliers v", "constant same", "skew v", "gap day"]))
        let coded = try JSONDecoder().decode(TableProfile.self, from: try JSONEncoder().encode(profile))
        #expect(coded == profile)
        let empty = try TableProfile(try Table([Column("v", .number([])), Column("c", categories: [])]))
        #expect(empty.rows == 0 && empty.columns[0].minimum == nil)
    }

    @Test func leaksAndClasses() throws {
        let draw = Philox(seed: 8, stream: 4)
        let rows = 2000
        let label = (0..<rows).map { draw.uniform(UInt64($0)) < 0.03 ? "yes" : "no" }
        let table = try Table([
            Column("label", categories: label), Column("copy", categories: label.map { $0 == "yes" ? "1" : "0" }),
            Column("noise", .number((0..<rows).map { draw.normal(UInt64(10_000 + $0)) })),
            Column("many", categories: (0..<rows).map { "\(draw.integer(UInt64(50_000 + $0), below: 40))" }),
        ])
        let profile = try TableProfile(table, target: "label")
        #expect((profile.association["copy"] ?? 0) > 0.99 && (profile.association["noise"] ?? 1) < 0.05)
        #expect((profile.association["many"] ?? 1) < 0.1)
        let found = Set(profile.findings.map { "\($0.kind) \($0.column ?? "")" })
        #expect(found.contains("leak copy") && found.contains("imbalance label") && !found.contains("leak noise"))
    }

    /// PSI and the Kolmogorov–Smirnov distance of two normal distributions are known.
    @Test func driftIsMeasured() throws {
        let draw = Philox(seed: 2, stream: 6)
        let rows = 40_000
        func normal(_ start: Int, _ shift: Double) -> Column {
            Column("v", .number((0..<rows).map { draw.normal(UInt64(start + $0)) + shift }))
        }
        func cities(_ start: Int, _ names: [String]) -> Column {
            Column("city", categories: (0..<rows).map { names[draw.integer(UInt64(start + $0), below: names.count)] })
        }
        let before = try TableProfile(try Table([normal(0, 0), cities(900_000, ["a", "b"])]))
        let same = TableDrift(try Table([normal(100_000, 0), cities(1_000_000, ["a", "b"])]), against: before)
        #expect(same.columns.allSatisfy { $0.psi < 0.005 } && (same.columns[0].kolmogorovSmirnov ?? 1) < 0.02)
        let moved = TableDrift(
            try Table([normal(200_000, 0.5), cities(1_100_000, ["a", "b", "c", "c"])]), against: before)
        // 2Φ(0.25) − 1 = 0.1974; the divergence both ways is 0.25, of which binning loses a little.
        #expect(abs((moved.columns[0].kolmogorovSmirnov ?? 0) - 0.197) < 0.015)
        #expect(abs(moved.columns[0].psi - 0.25) < 0.03)
        // 2 · (¼ − ½) ln(½) for a and b, and ½ ln(½ / 10⁻⁴) for c.
        #expect(abs(moved.columns[1].psi - 4.6) < 0.1 && moved.columns[1].newLevels == ["c"])
        #expect(abs(moved.columns[1].newLevelShare - 0.5) < 0.02)
        let gone = TableDrift(
            try Table([Column("v", .number([.nan, .nan])), Column("new", .integer([1, 2]))]), against: before)
        #expect(gone.lost == ["city"] && gone.gained == ["new"] && gone.columns[0].psi > 1)
    }

    @Test func rules() throws {
        let table = try Table([
            Column("id", .identifier(PackedText(["a", "b", "b", ""]))),
            Column("age", .integer([20, 130, Column.missingInteger, -1])),
            Column("mail", .identifier(PackedText(["x@y.z", "nobody", "", "a@b.c"]))),
            Column("size", categories: ["S", "M", "XL", "S"]), Column("start", .number([1, 5, 3, 2])),
            Column("end", .number([2, 4, .nan, 2])),
        ])
        let rules = try TableRules(
            yaml: """
                columns:
                  age: {type: integer, minimum: 0, maximum: 120, required: true}
                  mail: {pattern: '*?@?*.?*'}
                  size: {allowed: [S, M, L]}
                  phone: {required: true}
                key: [id]
                rows: {minimum: 10}
                conditions:
                  - end >= start
                """)
        let broken = try rules.check(table).map {
            "\($0.column ?? "")|\($0.rows)|\($0.firstRow ?? 0)|\($0.example ?? "")"
        }
        #expect(
            broken == [
                "|0|0|4 rows", "age|1|3|(missing)", "age|1|4|-1", "age|1|2|130", "mail|1|2|nobody",
                "phone|0|0|the columns are 'id', 'age', 'mail', 'size', 'start', 'end'", "size|1|3|XL",
                "id|1|4|(missing)", "id|1|3|b",
                "end, start|1|2|end 4, start 5",
            ])
        #expect(throws: DataError.self) { try TableRules(yaml: "colums: {}") }
        #expect(throws: DataError.self) { try TableRules(yaml: "columns: 7") }
    }

    @Test func recipesInYAML() throws {
        let recipe = try Recipe(
            yaml: """
                steps:
                  - drop: [id]
                  - impute: {columns: numbers, with: constant, value: 0}
                  - one-hot: {columns: [city], limit: 5}
                """)
        #expect(
            recipe.steps == [
                .drop(["id"]), .impute(.numbers, with: .constant, value: "0"), .oneHot(.named(["city"]), limit: 5),
            ])
        #expect(try Recipe(yaml: recipe.yaml) == recipe)
        for text in ["steps: [{frobnicate: {}}]", "steps: [{scale: {wiht: robust}}]", "steps: 4", "steps: [", "x: 1"] {
            #expect(throws: DataError.self, "\(text)") { try Recipe(yaml: text) }
        }
    }
}
