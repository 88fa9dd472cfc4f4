import Compute
import Core
import Glibc
import Learners
import Tables
import Testing

@Suite struct SequenceTests {
    /// People who go from item to item by a rule that says nothing of what is popular: from i to 7i + 3, nine times of
    /// ten.
    static let items = 80
    static func walks(_ people: Int, length: Int = 13, seed: UInt64 = 3) -> [[Int32]] {
        let random = Philox(seed: seed, stream: 8)
        return (0..<people).map { person in
            var own = [Int32(random.integer(UInt64(person * 100), below: items))]
            var draw = person * 100 + 1
            while own.count < length {
                let expected = (own[own.count - 1] * 7 + 3) % Int32(items)
                let jumps = random.uniform(UInt64(draw)) < 0.1 || own.contains(expected)
                let next = jumps ? Int32(random.integer(UInt64(draw + 50), below: items)) : expected
                draw += 1
                if !own.contains(next) { own.append(next) }
            }
            return own
        }
    }

    static func data(_ rows: [[Int32]]) -> RecommenderData {
        let matrix = sequences(rows, items: items)
        return RecommenderData(
            users: IdentifierIndex((0..<rows.count).map { "u\($0)" }),
            items: IdentifierIndex((0..<items).map { "i\($0)" }), byUser: matrix, byItem: matrix.transposed(),
            times: matrix.times)
    }

    static func options(_ architecture: SequenceArchitecture) -> SequenceOptions {
        var options = SequenceOptions(architecture)
        options.factors = 24
        options.length = 8
        options.layers = 1
        options.hidden = 32
        options.dropout = 0.1
        options.epochs = 12
        options.batchSize = 32
        options.learningRate = 0.01
        return options
    }

    /// The share of people whose next item is first among all.
    private static func found(_ recommender: any Recommender, _ rows: [[Int32]]) throws -> Double {
        let known = sequences(rows.map { Array($0.dropLast()) }, items: items)
        let top = try recommender.topItems(for: .histories(known), count: 1, exclusions: known, filter: ItemFilter())
        let right = rows.indices.count { top.items[$0] == (rows[$0][rows[$0].count - 2] * 7 + 3) % Int32(items) }
        return Double(right) / Double(rows.count)
    }

    /// Of walks that follow the rule with their last step.
    private static let test = walks(400, seed: 9).filter {
        $0[$0.count - 1] == ($0[$0.count - 2] * 7 + 3) % Int32(items)
    }

    @Test("finds the rule", arguments: TestDevices.names, SequenceArchitecture.allCases)
    func rule(_ device: String, _ architecture: SequenceArchitecture) throws {
        let stream = try TestDevices.stream(device)
        let data = Self.data(Self.walks(500))
        let learned = try SequenceLearner(Self.options(architecture)).learn(data, stream: stream, progress: nil)
        let recommender = try learned.open(RecommenderContext(stream: stream, histories: data.byUser))
        let share = try Self.found(recommender, Self.test)
        #expect(share > 0.9, "\(share)")
        let popular = try Self.found(
            PopularItems(counts: [Float](repeating: 1, count: Self.items)), Self.test)
        #expect(popular < 0.1)
    }

    @Test(
        "the losses against some of the items find it, too", arguments: SequenceArchitecture.allCases,
        [SequenceLoss.sampled, .bpr])
    func sampled(_ architecture: SequenceArchitecture, _ loss: SequenceLoss) throws {
        let stream = try TestDevices.stream("cpu")
        let data = Self.data(Self.walks(500))
        var options = Self.options(architecture)
        options.loss = loss
        options.negatives = 16
        let learned = try SequenceLearner(options).learn(data, stream: stream, progress: nil)
        let recommender = try learned.open(RecommenderContext(stream: stream, histories: data.byUser))
        let share = try Self.found(recommender, Self.test)
        // Ranking learns little from items that are far below already (Hidasi and Karatzoglou 2018).
        #expect(share > (loss == .bpr ? 0.7 : 0.85), "\(share)")
    }

    @Test("the ranking loss is its formula", arguments: TestDevices.names)
    func ranking(_ device: String) throws {
        let stream = try TestDevices.stream(device)
        let rows = Self.walks(40, length: 6)
        var options = Self.options(.sasrec)
        (options.loss, options.negatives) = (.bpr, 2000)
        (options.dropout, options.epochs, options.batchSize) = (0, 1, rows.count)
        // The weights stay what they were when the loss was computed.
        options.learningRate = 1e-30
        let data = Self.data(rows)
        let model = try #require(SequenceLearner(options).learn(data, stream: stream, progress: nil) as? SequenceModel)
        let recommender = try model.open(RecommenderContext(stream: stream, histories: data.byUser))
        var counts = [Double](repeating: 0, count: Self.items)
        for row in rows { for item in row.dropFirst() { counts[Int(item)] += 1 } }
        let total = counts.reduce(0, +)
        // With so many draws, every item that comes next is among them.
        let compared = (0..<Self.items).filter { counts[$0] > 0 }
        var (loss, places) = (0.0, 0)
        for length in 1..<6 {
            let scores = try recommender.scores(
                for: .histories(sequences(rows.map { Array($0.prefix(length)) }, items: Self.items)),
                of: HostSparseMatrix(
                    rows: rows.count, columns: Self.items,
                    entries: rows.indices.flatMap { row in compared.map { (row: row, column: $0, value: Float(1)) } }))
            for row in rows.indices {
                let own = compared.indices.map {
                    Double(scores[row * compared.count + $0]) - log(counts[compared[$0]] / total)
                }
                let next = compared.firstIndex(of: Int(rows[row][length]))!
                for other in own.indices where other != next {
                    loss += log1p(exp(own[other] - own[next])) / Double(own.count - 1)
                }
                places += 1
            }
        }
        let expected = loss / Double(places)
        #expect(abs(model.history.losses[0] - expected) < 1e-4 * expected)
    }

    @Test("the order counts, and times are kept in the file")
    func order() throws {
        let stream = try TestDevices.stream("cpu")
        let rows = Self.walks(300)
        let data = Self.data(rows)
        let learned = try SequenceLearner(Self.options(.sasrec)).learn(data, stream: stream, progress: nil)
        let folder = TemporaryFolder()
        let model = RecommenderModel(
            learned: learned, users: data.users, items: data.items, seen: data.byUser, provenance: ModelProvenance())
        try model.save(to: folder.file("model"))
        let opened = try RecommenderModel(path: folder.file("model"))
        #expect(opened.kind == "sequence" && opened.seen.times?.array == data.times?.array)
        let users = (0..<Int32(rows.count)).map { $0 }
        func top(_ recommender: any Recommender, _ audience: Audience) throws -> [Int32] {
            try recommender.topItems(for: audience, count: 3, exclusions: nil, filter: ItemFilter()).items
        }
        let recommender = try opened.open(on: stream)
        let forward = try top(recommender, .users(users))
        #expect(try forward == top(recommender, .histories(data.byUser)))
        #expect(try forward == top(model.open(on: stream), .users(users)))
        let backward = try top(
            recommender, .histories(sequences(rows.map { $0.reversed() }, items: Self.items)))
        #expect(zip(forward, backward).count { $0 != $1 } > rows.count)
        // What nobody has done gives no answer.
        let nothing = HostSparseMatrix(rows: 1, columns: Self.items, entries: [])
        #expect(try top(recommender, .histories(nothing)) == [-1, -1, -1])
        let pairs = HostSparseMatrix(
            rows: 1, columns: Self.items, entries: (0..<3).map { (row: 0, column: Int(forward[$0]), value: 1) })
        let scores = try recommender.scores(for: .users([0]), of: pairs)
        let listed = try recommender.topItems(for: .users([0]), count: 3, exclusions: nil, filter: ItemFilter())
        #expect(abs((scores.max() ?? 0) - listed.scores[0]) < 1e-4 * abs(listed.scores[0]))
        #expect(try recommender.similar(.items, to: [1], count: 2).items.allSatisfy { $0 >= 0 && $0 != 1 })
        #expect(throws: ParameterError.self) { try recommender.similar(.users, to: [1], count: 2) }
    }

    @Test("stops, and goes on to the same bits", arguments: TestDevices.names, SequenceLoss.allCases)
    func resumes(_ device: String, _ loss: SequenceLoss) throws {
        let stream = try TestDevices.stream(device)
        let data = Self.data(Self.walks(250))
        var options = Self.options(.sasrec)
        options.epochs = 4
        options.patience = 3
        options.loss = loss
        let learner = SequenceLearner(options)
        let whole = try #require(learner.learn(data, stream: stream, progress: nil) as? SequenceModel)
        let session = SequenceSession(request: ["arguments": "train"])
        #expect(throws: CancellationError.self) {
            try SequenceSession.$current.withValue(session) {
                _ = try learner.learn(data, stream: stream) { report in
                    report.completed >= (report.total ?? .max) / 2 ? .stop : .proceed
                }
            }
        }
        let folder = TemporaryFolder()
        try #require(session.lastCheckpoint).save(to: folder.file("state"))
        let state = try SequenceCheckpoint(path: folder.file("state"))
        #expect(state.history.epochs == 2 && state.request["arguments"] == "train")
        let second = SequenceSession(resuming: state)
        let resumed = try #require(
            try SequenceSession.$current.withValue(second) {
                try learner.learn(data, stream: stream, progress: nil) as? SequenceModel
            })
        #expect(second.wasUsed)
        #expect(resumed.history.losses == whole.history.losses)
        #expect(resumed.history.validationLosses == whole.history.validationLosses)
        for (a, b) in zip(resumed.weights.values, whole.weights.values) {
            #expect(a.array.map(\.bitPattern) == b.array.map(\.bitPattern))
        }
        // Other data are noticed.
        let other = SequenceSession(resuming: state)
        try SequenceSession.$current.withValue(other) {
            var short = learner
            short.options.epochs = 1
            _ = try short.learn(Self.data(Self.walks(60, seed: 4)), stream: stream, progress: nil)
        }
        #expect(!other.wasUsed)
    }

    @Test("a step allocates nothing and uploads what a batch is", arguments: TestDevices.names)
    func counters(_ device: String) throws {
        let stream = try TestDevices.stream(device)
        var options = Self.options(.sasrec)
        options.epochs = 4
        var seen: [StreamCounters] = []
        _ = try SequenceLearner(options).learn(Self.data(Self.walks(200)), stream: stream) { report in
            seen.append(stream.counters)
            return .proceed
        }
        let epochs = seen.suffix(3)
        #expect(epochs.count == 3 && Set(epochs.map(\.allocations)).count == 1)
        let uploads = zip(epochs, epochs.dropFirst()).map { $1.bytesUploaded - $0.bytesUploaded }
        #expect(uploads.allSatisfy { $0 == uploads[0] && $0 > 0 })
        // Of an epoch only the two numbers that its losses sum up to come back.
        #expect(zip(epochs, epochs.dropFirst()).allSatisfy { $1.bytesDownloaded - $0.bytesDownloaded == 8 })
    }

    @Test("says what is wrong before it trains")
    func mistakes() throws {
        let stream = try TestDevices.stream("cpu")
        let data = Self.data(Self.walks(20))
        func learn(_ change: (inout SequenceOptions) -> Void) throws {
            var options = Self.options(.sasrec)
            options.epochs = 1
            change(&options)
            _ = try SequenceLearner(options).learn(data, stream: stream, progress: nil)
        }
        for (name, change) in [
            ("heads", { $0.heads = 5 }), ("length", { $0.length = 0 }), ("learningRate", { $0.learningRate = 0 }),
            ("dropout", { $0.dropout = 1 }), ("epochs", { $0.epochs = 0 }),
            (
                "labelSmoothing",
                {
                    $0.loss = .sampled
                    $0.labelSmoothing = 0.1
                }
            ),
        ] as [(String, (inout SequenceOptions) -> Void)] {
            let error = #expect(throws: ParameterError.self) { try learn(change) }
            #expect(error?.parameter == name)
        }
        let timeless = RecommenderData(
            users: data.users, items: data.items, byUser: data.byUser, byItem: data.byItem)
        let error = #expect(throws: DataError.self) {
            try SequenceLearner(Self.options(.gru)).learn(timeless, stream: stream, progress: nil)
        }
        #expect(error?.reason.contains("needs the times") == true)
        #expect(throws: DataError.self) {
            try SequenceLearner(Self.options(.gru)).learn(
                Self.data([[1], [2], [3]]), stream: stream, progress: nil)
        }
    }
}
