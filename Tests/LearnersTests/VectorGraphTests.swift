import Core
import Learners
import Tables
import Testing

/// 8-bit codes, which change no exact result, and graphs, against exact searches.
@Suite struct VectorGraphTests {
    /// Vectors around 60 centres, of lengths that differ, so that neighbors mean something and products favour some rows.
    static func vectors(_ n: Int, _ d: Int, spread: Double = 0.7, seed: UInt64 = 3) -> HostMatrix {
        let centers = randomTable(60, d, scale: 1, seed: 77)
        let result = randomTable(n, d, scale: spread, seed: seed)
        let random = Philox(seed: seed, stream: 9)
        for i in 0..<n {
            let center = random.integer(UInt64(i), below: 60)
            let length = 0.8 + 0.4 * random.uniform(UInt64(n + i))
            for p in 0..<d { result[i, p] = (result[i, p] + centers[center, p]) * length }
        }
        return result
    }

    private static func search(_ index: VectorIndex, _ device: String = "cpu") throws -> VectorSearch {
        try VectorSearch(index, stream: TestDevices.stream(device))
    }

    @Test(arguments: TestDevices.names, VectorSimilarity.allCases)
    func codesChangeNothing(device: String, similarity: VectorSimilarity) throws {
        let table = Self.vectors(3000, 50)
        for p in 0..<50 { (table[17, p], table[2999, p]) = (0, table[1000, p]) }
        let plain = try VectorIndex(table, similarity: similarity)
        var rounded = plain
        rounded.round()
        try rounded.remove(["5"])
        var removed = plain
        try removed.remove(["5"])
        let (a, b) = (try Self.search(removed, device), try Self.search(rounded, device))
        for m in [1, 3, 20, 60] {
            let queries = Self.vectors(m, 50, seed: UInt64(m))
            let (expected, found) = (try a.search(queries, count: 12), try b.search(queries, count: 12))
            for (x, y) in zip(expected.similarities, found.similarities) {
                #expect(abs(x - y) <= 1e-5 * max(1, abs(x)))
            }
            if m <= 3 { #expect(expected.rows == found.rows && expected.similarities == found.similarities) }
        }
    }

    /// A quarter of the error bound finds nearly all.
    @Test func codesAlone() throws {
        var index = try VectorIndex(Self.vectors(5000, 64), similarity: .cosine)
        index.round()
        let search = try Self.search(index)
        for m in [1, 80] {
            let queries = Self.vectors(m, 64, seed: 8)
            let exact = try search.search(queries, count: 10)
            let found = try search.search(queries, count: 10, mode: .rounded)
            #expect(found.recall(against: exact, isDistance: false) > 0.95)
        }
    }

    @Test(arguments: VectorSimilarity.allCases)
    func findsNearlyAll(similarity: VectorSimilarity) throws {
        let table = Self.vectors(3000, 48)
        var index = try VectorIndex(table, similarity: similarity)
        try index.buildGraph(threads: 2)
        let search = try Self.search(index)
        let queries = Self.vectors(100, 48, seed: 5)
        let exact = try search.search(queries, count: 10)
        let found = try search.search(queries, count: 10, mode: .graph(width: nil))
        #expect(found.recall(against: exact, isDistance: similarity == .euclidean) > 0.95)
        #expect((index.graph?.recall ?? 0) > 0.9)
        // What both have found has the same similarity.
        for query in 0..<100 {
            let scores = Dictionary(
                uniqueKeysWithValues: exact.matches(of: query).map { ($0.row, $0.similarity) })
            for match in found.matches(of: query) {
                guard let score = scores[match.row] else { continue }
                #expect(abs(score - match.similarity) <= 1e-5 * max(1, abs(score)))
            }
        }
        let others = try search.neighbors(of: 40..<60, count: 5, mode: .graph(width: 100))
        for place in 0..<20 {
            #expect(others.matches(of: place).count == 5)
            #expect(!others.matches(of: place).map(\.row).contains(40 + place))
        }
    }

    /// Rows that their codes can't tell apart are compared by the vectors; crowds far from each other are linked all the same.
    @Test func crowdedRows() throws {
        let table = randomTable(2000, 40, scale: 0.03, seed: 6)
        for i in 0..<2000 { table[i, i % 4] += 20 }
        var index = try VectorIndex(table, similarity: .euclidean)
        try index.buildGraph(threads: 2)
        #expect(index.graph?.comparesCodes == false)
        #expect((index.graph?.recall ?? 0) > 0.9)
        var easy = try VectorIndex(Self.vectors(2000, 40), similarity: .euclidean)
        try easy.buildGraph()
        #expect(easy.graph?.comparesCodes == true)
    }

    /// The number of threads does not show, and neither does the file.
    @Test func isReproducible() throws {
        let folder = TemporaryFolder()
        var files: [[UInt8]] = []
        for threads in [1, 2, 3] {
            var index = try VectorIndex(Self.vectors(1500, 40), similarity: .cosine)
            try index.buildGraph(threads: threads)
            try index.remove((0..<200).map { String($0 * 5) })
            try index.add(Self.vectors(90, 40, seed: 12), threads: threads)
            try index.save(to: folder.file("index"), threads: threads)
            files.append(try readBytes(folder.file("index")))
        }
        #expect(files[0] == files[1] && files[0] == files[2])
    }

    @Test(arguments: [VectorSimilarity.cosine, .euclidean, .dot])
    func rowsComeAndGo(similarity: VectorSimilarity) throws {
        let folder = TemporaryFolder()
        let table = Self.vectors(2000, 36)
        var index = try VectorIndex(
            table, similarity: similarity, identifiers: IdentifierIndex((0..<2000).map { "v\($0)" }))
        try index.buildGraph(threads: 2)
        let gone = (0..<600).map { "v\($0 * 3)" }
        try index.remove(gone)
        // Before it is saved, removed rows are walked through and not found.
        let queries = Self.vectors(60, 36, seed: 15)
        func recall(_ index: VectorIndex) throws -> Double {
            let search = try Self.search(index)
            let exact = try search.search(queries, count: 10)
            let found = try search.search(queries, count: 10, mode: .graph(width: nil))
            let names = Set((0..<60).flatMap { found.matches(of: $0).map { index.name($0.row) } })
            #expect(names.isDisjoint(with: gone))
            return found.recall(against: exact, isDistance: similarity == .euclidean)
        }
        #expect(try recall(index) > 0.93)
        try index.save(to: folder.file("index"), threads: 2)
        var opened = try VectorIndex(path: folder.file("index"))
        #expect(opened.count == 1400 && opened.graph?.count == 1400 && opened.rounded?.rows == 1400)
        #expect(try recall(opened) > 0.93)
        // New rows, and others in the place of old ones.
        let more = Self.vectors(80, 36, seed: 21)
        let names = IdentifierIndex((0..<40).map { "v\($0 * 3 + 1)" } + (0..<40).map { "new\($0)" })
        #expect(try opened.add(more, identifiers: names, threads: 2) == 40)
        #expect(try recall(opened) > 0.93)
        guard similarity != .dot else { return }
        let own = try Self.search(opened).search(more, count: 1, mode: .graph(width: nil))
        let found = (0..<80).count { opened.name(own.matches(of: $0)[0].row) == names[$0] }
        #expect(found >= 78)
    }

    @Test func filters() throws {
        var index = try VectorIndex(Self.vectors(2500, 40), similarity: .cosine)
        try index.buildGraph(threads: 2)
        let search = try Self.search(index)
        let queries = Self.vectors(40, 40, seed: 30)
        for step in [2, 7, 100] {
            var filter = VectorFilter()
            filter.allowed = Set(stride(from: 0, to: 2500, by: step))
            filter.excluded = [0, step]
            filter.excludedByQuery = (0..<40).map { [2 * step, $0 * step] }
            let exact = try search.search(queries, count: 8, filter: filter)
            let found = try search.search(queries, count: 8, filter: filter, mode: .graph(width: nil))
            for query in 0..<40 {
                let rows = found.matches(of: query).map(\.row)
                #expect(rows.count == 8)
                #expect(rows.allSatisfy { $0 % step == 0 && $0 > step && $0 != 2 * step && $0 != query * step })
            }
            #expect(found.recall(against: exact, isDistance: false) > 0.93)
        }
        // More places than rows that may be found.
        var few = VectorFilter()
        few.allowed = [3, 4]
        #expect(try search.search(queries, count: 5, filter: few, mode: .graph(width: 5)).matches(of: 0).count == 2)
    }

    @Test func oddSizes() throws {
        for n in [0, 1, 2, 9] {
            var index = try VectorIndex(Self.vectors(n, 4), similarity: .cosine)
            try index.buildGraph()
            let found = try Self.search(index).search(
                Self.vectors(2, 4, seed: 2), count: 3, mode: .graph(width: 2))
            #expect(found.matches(of: 0).count == min(n, 3))
        }
        // Equal rows, and a row of zeros.
        let same = HostMatrix(rows: 400, columns: 3, repeating: 1)
        for p in 0..<3 { same[9, p] = 0 }
        var index = try VectorIndex(same, similarity: .cosine)
        try index.buildGraph()
        let found = try Self.search(index).search(
            HostMatrix(rows: 1, columns: 3, elements: [1, 2, 3]), count: 5, mode: .graph(width: nil))
        #expect(found.matches(of: 0).count == 5)
        // All rows leave one after another.
        var small = try VectorIndex(Self.vectors(30, 4), similarity: .cosine)
        try small.buildGraph()
        try small.remove((0..<30).map(String.init))
        let folder = TemporaryFolder()
        try small.save(to: folder.file("empty"))
        #expect(try VectorIndex(path: folder.file("empty")).count == 0)
    }

    @Test func mistakes() throws {
        var index = try VectorIndex(Self.vectors(300, 40), similarity: .cosine)
        var options = GraphOptions()
        options.links = 1
        #expect(throws: ParameterError.self) { try index.buildGraph(options: options) }
        (options.links, options.buildWidth) = (16, 8)
        #expect(throws: ParameterError.self) { try index.buildGraph(options: options) }
        try index.buildGraph()
        let search = try Self.search(index)
        #expect(throws: ParameterError.self) {
            try search.search(Self.vectors(1, 40), count: 1, mode: .graph(width: 0))
        }
        #expect(throws: DataError.self) { try search.search(Self.vectors(1, 39), count: 1, mode: .graph(width: 9)) }
        // A link to a row that is not there.
        let folder = TemporaryFolder()
        try index.save(to: folder.file("index"))
        var bytes = try readBytes(folder.file("index"))
        let text = String(decoding: bytes.prefix(4000), as: UTF8.self)
        let header = try #require(text.firstRange(of: "\"graph.base\""))
        let tail = text[header.upperBound...]
        let offsets = try #require(tail.firstRange(of: "data_offsets\":["))
        let begin = try #require(Int(tail[offsets.upperBound...].prefix { $0.isNumber }))
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        bytes[8 + length + begin + 1] = 0x7F
        try writeBytes(bytes, to: folder.file("damaged"))
        #expect(throws: DataError("the graph of the index is damaged", file: folder.file("damaged"))) {
            try VectorIndex(path: folder.file("damaged"))
        }
    }
}
