import Compute
import Core
import Learners
import Tables
import Testing

/// Exact neighbours against a double-precision scan, and indices that change and are saved.
@Suite struct VectorSearchTests {
    static func scan(_ query: [Double], _ rows: [[Double]], _ similarity: VectorSimilarity) -> [Double] {
        func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        func centred(_ a: [Double]) -> [Double] {
            let mean = a.reduce(0, +) / Double(a.count)
            return a.map { $0 - mean }
        }
        return rows.map { row in
            switch similarity {
            case .dot: return dot(query, row)
            case .cosine: return dot(query, row) / (dot(query, query) * dot(row, row)).squareRoot()
            case .pearson:
                let (a, b) = (centred(query), centred(row))
                return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
            case .euclidean: return -zip(query, row).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            }
        }
    }

    @Test(arguments: TestDevices.names, VectorSimilarity.allCases)
    func findsWhatAScanFinds(device: String, similarity: VectorSimilarity) throws {
        let vectors = randomTable(700, 24, scale: 1, seed: 4)
        let queries = randomTable(60, 24, scale: 1, seed: 5)
        for p in 0..<24 {
            // Far from the origin, and of different lengths.
            for i in 0..<700 { vectors[i, p] = (vectors[i, p] + 3) * (similarity == .euclidean ? 1 : Float(1 + i % 5)) }
            for i in 0..<60 { queries[i, p] += 3 }
        }
        let search = try VectorSearch(
            VectorIndex(vectors, similarity: similarity), stream: TestDevices.stream(device))
        let rows = vectors.rowsOfDoubles
        for part in [0..<60, 3..<4] {
            let some = HostMatrix(
                rows: part.count, columns: 24,
                elements: Array(queries.storage.elements[part.lowerBound * 24..<part.upperBound * 24]))
            let found = try search.search(some, count: 9)
            for (place, query) in part.enumerated() {
                let scores = Self.scan(queries.rowsOfDoubles[query], rows, similarity)
                let best = scores.sorted(by: >).prefix(9)
                let matches = found.matches(of: place)
                #expect(matches.count == 9 && Set(matches.map(\.row)).count == 9)
                for (match, expected) in zip(matches, best) {
                    let own = similarity == .euclidean ? -Double(match.similarity) : Double(match.similarity)
                    #expect(abs(own - expected) < 1e-5 * max(1, abs(expected)))
                    #expect(abs(scores[match.row] - expected) < 1e-5 * max(1, abs(expected)))
                }
            }
        }
    }

    @Test func filtersAndOneself() throws {
        let vectors = randomTable(300, 8, scale: 1, seed: 7)
        let search = try VectorSearch(VectorIndex(vectors, similarity: .cosine), stream: TestDevices.stream("cpu"))
        let own = try search.search(vectors, count: 1)
        for row in 0..<300 { #expect(own.matches(of: row).first?.row == row) }
        let others = try search.neighbors(of: 10..<40, count: 5)
        for place in 0..<30 { #expect(!others.matches(of: place).map(\.row).contains(10 + place)) }
        var filter = VectorFilter()
        filter.allowed = [1, 2, 3, 250]
        filter.excluded = [2]
        let few = try search.search(vectors, count: 6, filter: filter)
        #expect(Set(few.matches(of: 2).map(\.row)) == [1, 3, 250])
    }

    @Test func rowsComeAndGo() throws {
        let folder = TemporaryFolder()
        let vectors = randomTable(50, 6, scale: 1, seed: 7)
        var index = try VectorIndex(
            vectors, similarity: .euclidean, identifiers: IdentifierIndex((0..<50).map { "v\($0)" }))
        let more = randomTable(3, 6, scale: 1, seed: 8)
        #expect(try index.add(more, identifiers: IdentifierIndex(["v7", "new", "v50"])) == 1)
        #expect(index.count == 52 && index.row("new") == 50 && index.row("v7") == 7)
        try index.remove(["v3", "new"])
        #expect(index.row("v3") == nil)
        try index.replace(["v9"], with: HostMatrix(rows: 1, columns: 6, elements: Array(more.row(2))))
        #expect(throws: DataError("the index has no row `new`")) { try index.remove(["new"]) }
        #expect(throws: DataError("the queries have 5 elements, the vectors of the index 6")) {
            try VectorSearch(index, stream: TestDevices.stream("cpu")).search(HostMatrix(rows: 1, columns: 5), count: 1)
        }
        let path = folder.file("index")
        try index.save(to: path)
        let opened = try VectorIndex(path: path)
        #expect(opened.count == 50 && opened.row("v3") == nil && opened.row("v50") != nil)
        for one in [index, opened] {
            let search = try VectorSearch(one, stream: TestDevices.stream("cpu"))
            let found = try search.search(more, count: 2)
            #expect(one.name(found.matches(of: 0)[0].row) == "v7" && found.matches(of: 0)[0].similarity < 1e-6)
            #expect(Set(found.matches(of: 2).map { one.name($0.row) }) == ["v9", "v50"])
            let all = try search.search(vectors, count: 60)
            #expect(all.matches(of: 3).count == 50)
            #expect(!all.matches(of: 3).map { one.name($0.row) }.contains("v3"))
        }
    }

    /// Directions without a length are similar to nothing, and say so with 0.
    @Test func vectorsWithoutDirection() throws {
        let vectors = HostMatrix(rows: 3, columns: 2, elements: [0, 0, 1, 1, 1, 0])
        for similarity in [VectorSimilarity.cosine, .pearson] {
            let search = try VectorSearch(
                VectorIndex(vectors, similarity: similarity), stream: TestDevices.stream("cpu"))
            let found = try search.search(HostMatrix(rows: 1, columns: 2, elements: [2, 1]), count: 3)
            let zero = found.matches(of: 0).first { $0.row == 0 }
            #expect(zero?.similarity == 0)
            if similarity == .pearson { #expect(found.matches(of: 0).first { $0.row == 1 }?.similarity == 0) }
        }
    }

    /// The order of the rows, lengths where only directions count, and repeated rows.
    @Test(arguments: VectorSimilarity.allCases)
    func symmetries(similarity: VectorSimilarity) throws {
        let vectors = randomTable(400, 12, scale: 1, seed: 14)
        let queries = randomTable(20, 12, scale: 1, seed: 15)
        func search(_ rows: HostMatrix, _ count: Int) throws -> VectorMatches {
            try VectorSearch(VectorIndex(rows, similarity: similarity), stream: TestDevices.stream("cpu"))
                .search(queries, count: count)
        }
        let plain = try search(vectors, 6)
        let order = Philox(seed: 3, stream: 3).permutation(count: 400)
        let moved = try search(
            HostMatrix(rows: 400, columns: 12, elements: order.flatMap { Array(vectors.row($0)) }), 6)
        let twice = try search(
            HostMatrix(
                rows: 800, columns: 12,
                elements: Array(vectors.storage.elements) + Array(vectors.storage.elements)), 12)
        for query in 0..<20 {
            let expected = plain.matches(of: query)
            #expect(moved.matches(of: query).map { order[$0.row] } == expected.map(\.row))
            #expect(twice.matches(of: query).map { $0.row % 400 } == expected.flatMap { [$0.row, $0.row] })
        }
        guard similarity == .cosine || similarity == .pearson else { return }
        let scaled = HostMatrix(rows: 400, columns: 12, elements: vectors.storage.elements.map { $0 * 37 })
        #expect(try search(scaled, 6).rows == plain.rows)
    }
}
