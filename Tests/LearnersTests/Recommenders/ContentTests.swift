import Compute
import Core
import Learners
import Tables
import Testing

@Suite struct ContentTests {
    /// A catalogue: two genres, a price, a title; item `x` has nothing.
    private static func catalogue(_ folder: TemporaryFolder) throws -> String {
        var text = "item,genre,price,title,code,constant\n"
        for item in 0..<40 {
            let kind = item % 2 == 0
            text += "i\(item),\(kind ? "garden|outdoor" : "kitchen"),\(kind ? 20 + item % 5 : 3 + item % 3),"
            text += "\"\(kind ? "Green Hose Set" : "Steel Pan") \(item)\",c\(item),same\n"
        }
        text += "i1,gift,,,c1,same\n"
        text += "x,,,,,same\n"
        let path = folder.file("items.csv")
        try writeBytes(Array(text.utf8), to: path)
        return path
    }

    @Test func columnsAreTakenForWhatTheyAre() throws {
        let folder = TemporaryFolder()
        let table = try ItemAttributes(path: try Self.catalogue(folder))
        #expect(table.items.count == 41 && table.items.last == "x")
        let kinds = Dictionary(uniqueKeysWithValues: table.columns.map { ($0.name, $0.kind) })
        #expect(kinds["genre"] == .category && kinds["price"] == .number && kinds["title"] == .text)
        #expect(kinds["code"] == nil && kinds["constant"] == nil)
        #expect(table.features.contains("genre=garden") && table.features.contains("title:pan"))
        #expect(table.vectors.last?.isEmpty == true)
        // Each column of an item has length 1 at most.
        let genres = Set(table.features.indices.filter { table.features[$0].hasPrefix("genre=") })
        for vector in table.vectors.dropLast() {
            let size = vector.filter { genres.contains($0.feature) }.reduce(0) { $0 + $1.value * $1.value }
            #expect(abs(size - 1) < 1e-5)
        }
        let chosen = try ItemAttributes(path: folder.file("items.csv"), kinds: ["price": .none, "title": .category])
        #expect(chosen.columns.map(\.name) == ["genre", "title"] && !chosen.features.contains("price"))
    }

    @Test func badTablesAreRefused() throws {
        let folder = TemporaryFolder()
        let path = try Self.catalogue(folder)
        #expect(throws: DataError.self) { try ItemAttributes(path: path, kinds: ["colour": .text]) }
        #expect(throws: DataError.self) { try ItemAttributes(path: path, kinds: ["title": .number]) }
        try writeBytes(Array("item,code\na,1\n".utf8), to: folder.file("none.csv"))
        #expect(throws: DataError.self) { try ItemAttributes(path: folder.file("none.csv")) }
        let attributes = try ItemAttributes(path: path)
        #expect(throws: DataError.self) {
            try ContentTable(items: IdentifierIndex(["other"]), attributes: attributes, options: ContentOptions())
        }
    }

    @Test(arguments: TestDevices.names, ContentSimilarity.allCases)
    func attributesRecommend(device: String, similarity: ContentSimilarity) throws {
        let folder = TemporaryFolder()
        let attributes = try ItemAttributes(path: try Self.catalogue(folder))
        // Items 30 … 39 have no interactions; `x` has some and no attributes.
        let users = (0..<20).flatMap { user in [String](repeating: "u\(user)", count: 4) }
        let items = (0..<20).flatMap { user in (0..<3).map { "i\((user % 2) + 2 * ((user + 5 * $0) % 15))" } + ["x"] }
        let interactions = try Interactions(users: users, items: items)
        var options = ContentOptions()
        options.similarity = similarity
        var fitting = RecommenderFitting(ContentLearner(attributes, options: options))
        fitting.newItems = attributes.items.filter { interactions.items.index(of: $0) == nil }
        let stream = try TestDevices.stream(device)
        let model = try fitting.run(interactions, stream: stream).model
        #expect(model.items.count == 41 && model.seen.columns == 41)
        let path = folder.file("content.apus")
        try model.save(to: path)
        let recommender = try RecommenderModel(path: path).open(on: stream)
        for user in [0, 1] {
            let index = Int32(try #require(model.users.index(of: "u\(user)")))
            let top = try recommender.topItems(
                for: .users([index]), count: 12, exclusions: model.seen.selectingRows([index]), filter: ItemFilter())
            let names = top.row(0).map { model.items[Int($0.item)] }
            #expect(names.count == 12 && names.allSatisfy { (Int($0.dropFirst()) ?? -1) % 2 == user })
            #expect(names.contains { (Int($0.dropFirst()) ?? 0) >= 30 }, "new items are recommended")
        }
        // Who has nothing with attributes is told nothing; what has no attributes is compared with nothing.
        let x = try #require(model.items.index(of: "x"))
        let only = HostSparseMatrix(rows: 1, columns: 41, entries: [(0, x, 1)])
        let top = try recommender.topItems(for: .histories(only), count: 3, exclusions: nil, filter: ItemFilter())
        #expect(top.items == [-1, -1, -1])
        #expect(throws: DataError.self) { try recommender.similar(.items, to: [Int32(x)], count: 3) }
        // A new item is like its kind.
        let fresh = try #require(model.items.index(of: "i38"))
        let alike = try recommender.similar(.items, to: [Int32(fresh)], count: 5).row(0)
        #expect(alike.allSatisfy { (Int(model.items[Int($0.item)].dropFirst()) ?? 1) % 2 == 0 })
    }

    @Test func wordsOfManyScripts() {
        #expect(Words.of("The RED-hot pan, 2nd ed.") == ["the", "red", "hot", "pan", "2nd", "ed"])
        #expect(Words.of("红茶 tea") == ["红", "茶", "红茶", "tea"])
        #expect(Words.of("  ").isEmpty)
    }
}
