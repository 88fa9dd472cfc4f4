import Compute
import Core
import Tables

/// Vectors of people and of items.
final class TwoTowers {
    private let options: TwoTowerOptions
    private let weights: NetworkWeights
    private let itemCount: Int
    private let stream: Compute.Stream
    /// By the number of items that they look at.
    private var runners: [Int: NetworkRunner] = [:]

    /// People, or items, at a time.
    private static let block = 1024
    /// Items of a person that are looked at, at most: of more, as many evenly spread.
    private static let longest = 4096

    init(options: TwoTowerOptions, weights: NetworkWeights, items: Int, stream: Compute.Stream) {
        (self.options, self.weights, itemCount, self.stream) = (options, weights, items, stream)
    }

    private func outputs(_ ids: [Int32], history: Int) throws -> HostMatrix {
        if runners[history] == nil {
            runners[history] = try NetworkRunner(
                options.architecture(items: itemCount, history: history), weights: weights, stream: stream)
        }
        return try runners[history]!.outputs(
            HostMatrix(rows: ids.count / (history + 1), columns: 0),
            identifiers: IdentifierRows(columns: history + 1, values: ids))
    }

    private func half(_ outputs: HostMatrix, _ side: Int, into result: HostMatrix, from first: Int) {
        let d = options.factors
        for row in 0..<outputs.rows {
            result.row(first + row).baseAddress!.update(from: outputs.row(row).baseAddress! + side * d, count: d)
        }
    }

    /// items × factors.
    func items() throws -> HostMatrix {
        let result = HostMatrix(rows: itemCount, columns: options.factors)
        for first in stride(from: 0, to: itemCount, by: Self.block) {
            var ids: [Int32] = []
            for item in first..<min(first + Self.block, itemCount) { ids += [-1, Int32(item)] }
            half(try outputs(ids, history: 1), 1, into: result, from: first)
        }
        return result
    }

    /// people × factors.
    func people(_ histories: HostSparseMatrix) throws -> HostMatrix {
        let result = HostMatrix(rows: histories.rows, columns: options.factors)
        for first in stride(from: 0, to: histories.rows, by: Self.block) {
            let rows = first..<min(first + Self.block, histories.rows)
            let longest = rows.reduce(1) { max($0, histories.range(ofRow: $1).count) }
            // A power of two, so that few networks are compiled.
            var width = 8
            while width < min(longest, Self.longest) { width *= 2 }
            var ids = [Int32](repeating: -1, count: rows.count * (width + 1))
            for (place, row) in rows.enumerated() {
                let own = histories.columns(ofRow: row)
                for next in 0..<min(own.count, width) {
                    ids[place * (width + 1) + next] = own[own.count > width ? next * own.count / width : next]
                }
            }
            half(try outputs(ids, history: width), 0, into: result, from: first)
        }
        return result
    }
}

/// Ranks items by the products of their vectors with the person's.
final class TwoTowerRecommender: Recommender {
    let itemCount: Int
    private let learned: TwoTowerTable
    private let context: RecommenderContext
    private let towers: TwoTowers
    private let items: Matrix

    init(learned: TwoTowerTable, context: RecommenderContext) throws {
        self.learned = learned
        self.context = context
        itemCount = learned.items.rows
        towers = TwoTowers(
            options: learned.options, weights: learned.weights, items: learned.items.rows, stream: context.stream)
        items = try context.stream.wrap(learned.items)
    }

    private func batch(_ count: Int) -> Int { max(256, (1 << 22) / max(count, 1)) }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let histories = try audience.histories(known: context.histories)
        let stream = context.stream
        let bias = try stream.upload(
            (0..<itemCount).map { place -> Float in
                context.itemCounts[place] > 0 && filter.permits(Int32(place)) ? 0 : -.infinity
            })
        var (indices, scores): ([Int32], [Float]) = ([], [])
        for first in stride(from: 0, to: histories.rows, by: batch(count)) {
            let part = (first..<min(first + batch(count), histories.rows)).map { Int32($0) }
            let (places, values) = (
                try stream.allocate(rows: part.count, columns: count, .int32),
                try stream.allocate(rows: part.count, columns: count)
            )
            try stream.topK(
                queries: try stream.upload(try towers.people(histories.selectingRows(part))), candidates: items,
                candidateBias: bias, exclusions: try exclusions.map { try stream.wrap($0.selectingRows(part)) },
                indices: places, scores: values)
            indices += try stream.download(places, as: Int32.self)
            scores += try stream.download(values, as: Float.self)
        }
        return TopItems(count: count, items: indices, scores: scores)
    }

    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let queries = try towers.people(try audience.histories(known: context.histories))
        var result: [Float] = []
        result.reserveCapacity(items.entryCount)
        for person in 0..<items.rows {
            for item in items.columns(ofRow: person) {
                result.append(Float(product(queries.row(person), learned.items.row(Int(item)))))
            }
        }
        return result
    }

    private func product(_ a: UnsafeMutableBufferPointer<Float>, _ b: UnsafeMutableBufferPointer<Float>) -> Double {
        zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        let table = side == .items ? learned.items : try towers.people(context.histories)
        return try FactorSimilarity.nearest(
            table: try context.stream.wrap(table), to: rows,
            isKnown: side == .items ? context.itemCounts.map { $0 > 0 } : context.userDegrees.map { $0 > 0 },
            count: count, name: side.rawValue, stream: context.stream)
    }

    /// What the score loses without an item is that item's part; what these parts leave of it belongs to all alike.
    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        let own = history.map(\.item).sorted()
        var entries: [(row: Int, column: Int, value: Float)] = own.map { (row: 0, column: Int($0), value: 1) }
        for place in own.indices {
            for (other, member) in own.enumerated() where other != place {
                entries.append((row: place + 1, column: Int(member), value: 1))
            }
        }
        let people = try towers.people(
            HostSparseMatrix(rows: own.count + 1, columns: itemCount, entries: entries))
        let vector = learned.items.row(Int(item))
        let whole = product(people.row(0), vector)
        let parts = own.indices.map { whole - product(people.row($0 + 1), vector) }
        let rest = (whole - parts.reduce(0, +)) / Double(max(own.count, 1))
        return ContributingItem.ranked(zip(own, parts).map { member, part in (member, part + rest) })
    }
}
