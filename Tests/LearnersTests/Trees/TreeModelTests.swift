import Core
import Learners
import Tables
import Testing

/// Trees beyond the matrix: with tables, in files, as pictures.
struct TreeModelTests {
    private func customers(_ count: Int) throws -> Table {
        let random = Philox(seed: 5, stream: 11)
        var ages: [Double] = [], spend: [Double] = [], codes: [Int32] = []
        for row in 0..<count {
            let age = 40 + 10 * random.normal(UInt64(4 * row))
            // Every 40th spends against the rule.
            let rule = row % 40 == 0 ? 300 - 2 * age : 20 + 2 * age
            ages.append(row % 17 == 3 ? .nan : age)
            spend.append(rule + 5 * random.normal(UInt64(4 * row + 1)))
            codes.append(Int32(random.integer(UInt64(4 * row + 2), below: 3)) - (row % 23 == 0 ? 1 : 0))
        }
        return try Table([
            Column("age", .number(ages)), Column("spend", .number(spend)),
            Column("plan", .category(codes: codes, levels: ["basic", "gold", "family"])),
        ])
    }

    @Test func isolationModelIsSavedAndRead() throws {
        let table = try customers(2000)
        let model = try IsolationModel.train(table, threads: 2)
        let scores = try model.scores(table, threads: 2)
        let odd = (0..<2000).map { Float($0 % 40 == 0 ? 1 : 0) }
        #expect(areaUnderCurve(scores, odd) > 0.85)
        let folder = TemporaryFolder()
        let path = folder.file("odd.apus")
        defer { withExtendedLifetime(folder) {} }
        try model.save(to: path)
        let read = try IsolationModel(path: path)
        #expect(try read.scores(table, threads: 3) == scores)
        #expect(read.trainedRows == 2000 && read.settings == model.settings)
        // A column that is needed is missing.
        #expect(throws: DataError.self) {
            try read.scores(try Table([Column("age", .number([1, 2]))]), threads: 1)
        }
        // Any byte of the nodes may be wrong: an error or other scores, never a fault.
        let bytes = try readBytes(path)
        let random = Philox(seed: 1, stream: 1)
        for trial in 0..<60 {
            var damaged = bytes
            let place = bytes.count / 2 + random.integer(UInt64(trial), below: bytes.count / 2)
            damaged[place] = UInt8(truncatingIfNeeded: random.integer(UInt64(1000 + trial)))
            try writeBytes(damaged, to: path)
            do {
                #expect(try IsolationModel(path: path).scores(table, threads: 1).count == 2000)
            } catch is DataError {}
        }
    }

    @Test func treesAreDrawn() throws {
        let table = PlantedTable.binary(rows: 1500)
        var options = DecisionTree()
        options.pruningFolds = 0
        options.minimumLeafRows = 20
        let model = try AveragedTrees.fitTree(try table.data(classes: 2), options: options, threads: 1)
        let names = TreeFeatureNames(
            columns: (0..<7).map { "列<\($0)>" }, levels: (0..<7).map { $0 == 3 ? (0..<20).map { "L\($0)" } : [] })
        let picture = model.drawing(names: names, labels: ["留下", "离开"], depth: 3)
        #expect(picture.hasPrefix("<svg") && picture.hasSuffix("</svg>\n"))
        // Escaped, with every level down to the third, and each question once.
        #expect(picture.contains("列&lt;") && !picture.contains("列<"))
        #expect(picture.contains("1500 rows") && picture.contains("% 离开"))
        #expect(picture.components(of: ">yes<") == picture.components(of: ">no<"))
        #expect((3...7).contains(picture.components(of: ">yes<")))
    }
}

extension String {
    /// How often a piece occurs.
    fileprivate func components(of piece: String) -> Int {
        var (count, rest) = (0, self[...])
        while let range = rest.firstRange(of: piece) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
