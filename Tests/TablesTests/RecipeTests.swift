import Core
import FoundationEssentials
import Tables
import Testing

@Suite struct RecipeTests {
    private func sample() throws -> Table {
        try Table([
            Column("age", .number([20, 30, .nan, 50])),
            Column("visits", .integer([1, 2, 3, Column.missingInteger])),
            Column("vip", .boolean([1, 0, 0, -1])),
            Column("city", categories: ["Rome", "Oslo", "Rome", nil]),
            Column("joined", .date([0, 86_400 * 31, Column.missingInteger, 86_400 * 365])),
            Column("id", .identifier(PackedText(["a", "b", "c", "d"]))),
        ])
    }

    @Test func linearLeavesNothingMissing() throws {
        let (recipe, features) = try Recipe.linear().fitAndApply(try sample())
        let matrix = features.dense
        #expect(matrix.storage.array.allSatisfy { $0.isFinite })
        let names = features.names
        #expect(names.contains("city=Rome") && names.contains("city=Oslo") && names.contains("city (missing)"))
        #expect(names.contains("age (missing)") && !names.contains("id"))
        // age: 20, 30, 33⅓, 50 around their mean.
        let place = try #require(names.firstIndex(of: "age"))
        let ages = (0..<4).map { Double(matrix[$0, place]) }
        #expect(abs(ages.reduce(0, +)) < 1e-5 && abs(ages.map { $0 * $0 }.reduce(0, +) / 4 - 1) < 1e-5)
        #expect(recipe.notes.contains { $0.contains("'id'") })
        // The same rows again give the same features.
        #expect(try recipe.apply(try sample()).dense.storage.array == matrix.storage.array)
    }

    @Test func newRows() throws {
        let recipe = try Recipe.linear().fit(try sample())
        // Another order, another type, more columns, an unseen city.
        let fresh = try Table([
            Column("extra", .number([1])), Column("city", categories: ["Lima"]), Column("vip", .integer([1])),
            Column("joined", .date([0])), Column("visits", .number([2])), Column("age", .integer([40])),
        ])
        let features = try recipe.apply(fresh)
        let names = features.names
        for (place, name) in names.enumerated() where name.hasPrefix("city") { #expect(features.dense[0, place] == 0) }
        let error = dataError { _ = try recipe.apply(try fresh.dropping(["age", "city"])) }
        #expect(error?.reason.contains("'age', 'city'") == true)
        let filled = try recipe.apply(try fresh.dropping(["age"]), fillMissingColumns: true)
        #expect(filled.dense[0, try #require(names.firstIndex(of: "age"))].magnitude < 1e-6)
        let wrong = dataError { _ = try recipe.apply(try fresh.setting(Column("age", categories: ["forty"]))) }
        #expect(wrong?.column == "age" && wrong?.reason.contains("'forty'") == true)
    }

    @Test func nativeKeepsCategoriesAndGaps() throws {
        let (recipe, features) = try Recipe.native().fitAndApply(try sample())
        let place = try #require(features.names.firstIndex(of: "city"))
        #expect(features.columns[place].kind == .category(levels: ["Rome", "Oslo"]))
        #expect((0..<3).map { features.dense[$0, place] } == [0, 1, 0] && features.dense[3, place].isNaN)
        let other = try sample().setting(Column("city", categories: ["Oslo", "Lima", "Rome", nil]))
        let codes = try recipe.apply(other).dense
        #expect(codes[0, place] == 1 && codes[1, place].isNaN && codes[2, place] == 0)
    }

    @Test func recipesSurviveJSON() throws {
        let recipe = Recipe([
            .drop(["id"]), .impute(.named(["age"]), with: .median, indicator: true),
            .impute(.categories, with: .constant, value: "none"), .clip(.numbers, low: 0.1, high: 0.9, quantiles: true),
            .log(.named(["visits"])), .bin(.named(["age"]), count: 2), .scale(.named(["visits"]), .robust),
            .dates(.dates, parts: DatePart.allCases), .hash(.named(["city"]), buckets: 4), .oneHot(.categories),
        ])
        let coded = try JSONDecoder().decode(Recipe.self, from: try JSONEncoder().encode(recipe))
        #expect(coded == recipe)
        let fitted = try recipe.fit(try sample())
        let decoded = try JSONDecoder().decode(FittedRecipe.self, from: try JSONEncoder().encode(fitted))
        #expect(decoded == fitted)
        #expect(try decoded.apply(try sample()).names == fitted.features.map(\.name))
    }

    /// Levels that mean nothing must not tell the target of their own row.
    @Test func targetEncodingDoesNotLeak() throws {
        let draw = Philox(seed: 3, stream: 9)
        let rows = 4000
        let target = (0..<rows).map { Double(draw.integer(UInt64($0), below: 2)) }
        let noise = Column("noise", categories: (0..<rows).map { "\($0 / 2)" })
        let signal = Column(
            "signal", categories: (0..<rows).map { draw.uniform(UInt64(90_000 + $0)) < 0.9 ? "\(target[$0])" : "x" })
        let recipe = Recipe([.target(.categories, smoothing: 0)])
        let (fitted, features) = try recipe.fitAndApply(try Table([noise, signal]), target: .values(target))
        func correlation(_ matrix: HostMatrix, _ column: Int) -> Double {
            let values = (0..<rows).map { Double(matrix[$0, column]) }
            let (a, b) = (values.reduce(0, +) / Double(rows), target.reduce(0, +) / Double(rows))
            var (ab, aa, bb) = (0.0, 0.0, 0.0)
            for row in 0..<rows {
                ab += (values[row] - a) * (target[row] - b)
                aa += (values[row] - a) * (values[row] - a)
                bb += (target[row] - b) * (target[row] - b)
            }
            return ab / (aa * bb).squareRoot()
        }
        #expect(abs(correlation(features.dense, 0)) < 0.1)
        #expect(correlation(features.dense, 1) > 0.8)
        // Applied to its own rows it does leak, which is why training uses the other.
        #expect(correlation(try fitted.apply(try Table([noise, signal])).dense, 0) > 0.5)
        #expect(throws: ParameterError.self) { try recipe.fit(try Table([noise])) }
    }

    @Test func textToWords() throws {
        let texts = ["The cat sat on the mat.", "A cat, a dog!", "我喜欢北京烤鸭", "北京欢迎你", ""]
        let table = try Table([Column("note", .text(PackedText(texts)))])
        let recipe = Recipe([.text(.texts, weights: .counts, minimumTexts: 2)])
        let (fitted, features) = try recipe.fitAndApply(table)
        #expect(Set(features.names) == ["note:cat", "note:北京"])
        func row(_ number: Int, of features: Features) -> [Float] {
            let matrix = features.dense
            return (0..<matrix.columns).map { matrix[number, $0] }
        }
        #expect(row(0, of: features).contains(1) && row(4, of: features).allSatisfy { $0 == 0 })
        let fresh = try Table([Column("note", .text(PackedText(["Cat cat CAT unknown"])))])
        #expect(row(0, of: try fitted.apply(fresh)).max() == 3)
        let weighed = try Recipe([.text(.texts, minimumTexts: 1)]).fitAndApply(table).features
        for number in 0..<4 {
            #expect(abs(row(number, of: weighed).reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        }
        let hashed = try Recipe([.text(.texts, hashed: 1 << 18)]).fitAndApply(table).features
        guard case .sparse(let matrix) = hashed.values else { Issue.record("not sparse"); return }
        #expect(matrix.columns == 1 << 18 && matrix.range(ofRow: 0).count == 5)
    }
}
