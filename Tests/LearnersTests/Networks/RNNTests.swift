import Compute
import Core
import Learners
import Tables
import Testing

/// Networks that read events: what they learn from an order, and what becomes of events that they have not seen.
@Suite("Recurrent networks over events") struct RNNTests {
    private func context(_ device: String) throws -> LearningContext {
        LearningContext(stream: try TestDevices.stream(device))
    }

    /// Who buys: whose last `cart` comes after the last `help`. How often each comes says far less.
    private static func visits(_ rows: Int, seed: UInt64, extra: String = "") throws -> Table {
        let random = Philox(seed: seed, stream: 7)
        let words = ["view", "search", "help", "cart", "wish"]
        var (histories, ages, buys): ([String], [Double], [String]) = ([], [], [])
        for row in 0..<rows {
            let start = UInt64(row) * 64
            let events = (0..<2 + random.integer(start, below: 20)).map {
                words[random.integer(start + 2 + UInt64($0), below: words.count)]
            }
            let (cart, help) = (events.lastIndex(of: "cart") ?? -1, events.lastIndex(of: "help") ?? -1)
            histories.append((events + (extra.isEmpty ? [] : [extra])).joined(separator: " "))
            ages.append(Double(20 + random.integer(start + 1, below: 50)))
            buys.append(cart > help ? "yes" : "no")
        }
        return try Table([
            Column("history", .text(PackedText(histories))), Column("age", .number(ages)),
            Column("buys", categories: buys.map { $0 }),
        ])
    }

    private func trained(_ learner: RNNLearner, _ table: Table, _ device: String) throws -> TableTrainingResult {
        try TableTraining.train(
            try SupervisedTable(
                table, roles: TableRoles(target: "buys", positive: "yes"), kinds: [.binary]),
            options: TableTrainingOptions(pipeline: TablePipeline(learner: learner, texts: ["history"])),
            context: context(device))
    }

    private static var learner: RNNLearner {
        var learner = RNNLearner()
        (learner.embedding, learner.units, learner.length, learner.epochs) = (8, [24], 20, 10)
        learner.learningRate = 0.005
        return learner
    }

    @Test("learn an order, and are saved", arguments: TestDevices.names, RecurrentCell.allCases)
    func order(_ device: String, _ cell: RecurrentCell) throws {
        var learner = Self.learner
        learner.cell = cell
        let table = try Self.visits(3000, seed: 1)
        let result = try trained(learner, table, device)
        let area = try #require(result.evaluation?.metric("roc_auc"))
        // A count of every event comes to 0.72.
        #expect(area > (cell == .simple ? 0.9 : 0.97), "\(cell): \(area)")
        let folder = TemporaryFolder()
        try result.model.save(to: folder.file("rnn.apus"))
        let loaded = try TableModel(path: folder.file("rnn.apus"))
        let fresh = try Self.visits(50, seed: 2)
        #expect(
            try loaded.predict(fresh, context: context(device))
                .isIdentical(to: result.model.predict(fresh, context: context(device))))
    }

    @Test func unseenEventsAndEmptyHistoriesArePredicted() throws {
        let model = try trained(Self.learner, try Self.visits(2000, seed: 1), "cpu").model
        // A word that training has not seen is one event among others.
        let unseen = try model.predict(Self.visits(60, seed: 3, extra: "zoom"), context: context("cpu"))
        let known = try model.predict(Self.visits(60, seed: 3), context: context("cpu"))
        let agree = (0..<60).count { (unseen[$0, 1] > 0.5) == (known[$0, 1] > 0.5) }
        #expect(agree >= 54, "\(agree)")
        let empty = try Table([
            Column("history", .text(PackedText(["", " "]))), Column("age", .number([30, 30])),
        ])
        let nothing = try model.predict(empty, context: context("cpu"))
        #expect(nothing[0, 1].isFinite && nothing[0, 1] == nothing[1, 1])
    }

    /// What lies behind the end of a sequence has no part in anything: rows of one length predict the same in any company.
    @Test(arguments: TestDevices.names) func lengthsOfOthersChangeNothing(_ device: String) throws {
        let model = try trained(Self.learner, try Self.visits(600, seed: 1), device).model
        let table = try Self.visits(40, seed: 4)
        let together = try model.predict(table, context: context(device))
        for row in [0, 7, 39] {
            let alone = try model.predict(table.selecting(rows: [row]), context: context(device))
            #expect(abs(alone[0, 1] - together[row, 1]) < 1e-6)
        }
    }

    @Test("go on after an interruption to the same bits", arguments: TestDevices.names)
    func resumes(_ device: String) throws {
        let architecture = NetworkArchitecture(
            input: LayerShape(columns: 0),
            layers: [
                .embedding(tables: [EmbeddingTable(rows: 9, column: 0, count: 6)], units: 5, arrangement: .steps),
                .sequence(.recurrent(cell: .lstm, units: 7)), .lastStep, .dense(units: 1, bias: true),
            ], identifiers: 6)
        let random = Philox(seed: 9, stream: 1)
        let rows = 150
        let data = NetworkData(
            features: HostMatrix(rows: rows, columns: 0),
            identifiers: IdentifierRows(
                columns: 6,
                values: (0..<rows).flatMap { row in
                    let length = random.integer(UInt64(row), below: 7)
                    return (0..<6).map { step in
                        step < length ? Int32(random.integer(UInt64(1000 + 6 * row + step), below: 9)) : -1
                    }
                }), targets: (0..<rows).map { Float(random.integer(UInt64(5000 + $0), below: 2)) })
        var options = NetworkTrainingOptions()
        (options.epochs, options.batchSize) = (4, 32)
        try expectResumes(architecture, data, options, on: device)
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let table = try Self.visits(100, seed: 1)
        func reason(_ change: (inout RNNLearner) -> Void, _ table: Table, texts: [String] = ["history"]) -> String {
            var learner = Self.learner
            change(&learner)
            do {
                _ = try TableTraining.train(
                    try SupervisedTable(table, roles: TableRoles(target: "buys"), kinds: [.binary]),
                    options: TableTrainingOptions(pipeline: TablePipeline(learner: learner, texts: texts)),
                    context: context("cpu"))
                return ""
            } catch { return "\(error)" }
        }
        #expect(reason({ $0.length = 0 }, table).contains("length"))
        #expect(reason({ $0.units = [] }, table).contains("units"))
        #expect(reason({ $0.separator = "ab" }, table).contains("separator"))
        #expect(reason({ $0.minimumCount = 1_000_000 }, table).contains("no event comes"))
        #expect(reason({ _ in }, table, texts: ["visits"]).contains("visits"))
        #expect(reason({ _ in }, table, texts: []).contains("--sequence"))
        #expect(reason({ $0.architecture = "layers:\n  - gru: 4" }, table).contains("embedding"))
        #expect(reason({ $0.architecture = "layers:\n  - embedding: 4\n  - gru: 4" }, table).contains("--features"))
    }
}
