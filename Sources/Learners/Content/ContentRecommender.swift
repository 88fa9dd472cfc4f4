import Compute
import Core
import Tables

/// Ranks items by the inner product of their vectors with the sum of what a person has, on the device.
final class ContentRecommender: Recommender {
    let itemCount: Int
    private let learned: ContentTable
    private let context: RecommenderContext
    private let vectors: Matrix
    private let isDescribed: [Bool]

    init(learned: ContentTable, context: RecommenderContext) throws {
        self.learned = learned
        self.context = context
        itemCount = learned.vectors.rows
        vectors = try context.stream.wrap(learned.vectors)
        isDescribed = (0..<learned.vectors.rows).map { learned.vectors.row($0).contains { $0 != 0 } }
    }

    private func profiles(_ histories: HostSparseMatrix) throws -> Matrix {
        let weighted = histories.mapValues(learned.options.confidence.weight)
        let output = try context.stream.allocate(rows: histories.rows, columns: vectors.columns)
        try context.stream.multiply(try context.stream.wrap(weighted), vectors, into: output)
        return output
    }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        let stream = context.stream
        let histories = try audience.histories(known: context.histories)
        let bias = try stream.upload(
            isDescribed.indices.map { isDescribed[$0] && filter.permits(Int32($0)) ? Float(0) : -.infinity })
        let batch = max(256, (1 << 23) / max(count, vectors.columns, 1))
        var (items, scores): ([Int32], [Float]) = ([], [])
        for first in stride(from: 0, to: histories.rows, by: batch) {
            let part = (first..<min(first + batch, histories.rows)).map { Int32($0) }
            let own = histories.selectingRows(part)
            let (places, values) = (
                try stream.allocate(rows: part.count, columns: count, .int32),
                try stream.allocate(rows: part.count, columns: count)
            )
            try stream.topK(
                queries: try profiles(own), candidates: vectors, candidateBias: bias,
                exclusions: try exclusions.map { try stream.wrap($0.selectingRows(part)) }, indices: places,
                scores: values)
            var (found, best) = (
                try stream.download(places, as: Int32.self), try stream.download(values, as: Float.self)
            )
            // Who has nothing with attributes is told nothing.
            for person in 0..<own.rows where !own.columns(ofRow: person).contains(where: { isDescribed[Int($0)] }) {
                for place in person * count..<(person + 1) * count { (found[place], best[place]) = (-1, -.infinity) }
            }
            items += found
            scores += best
        }
        return TopItems(count: count, items: items, scores: scores)
    }

    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        let profiles = try context.stream.download(try profiles(try audience.histories(known: context.histories)))
        var result: [Float] = []
        for person in 0..<items.rows {
            for item in items.columns(ofRow: person) {
                guard isDescribed[Int(item)] else {
                    result.append(.nan)
                    continue
                }
                result.append(Float(dot(profiles.row(person), learned.vectors.row(Int(item)))))
            }
        }
        return result
    }

    private func dot(_ a: UnsafeMutableBufferPointer<Float>, _ b: UnsafeMutableBufferPointer<Float>) -> Double {
        var sum = 0.0
        for place in a.indices { sum += Double(a[place]) * Double(b[place]) }
        return sum
    }

    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        if side == .items {
            try checkIndices(rows, below: itemCount, "items")
            for row in rows where !isDescribed[Int(row)] {
                throw DataError("item number \(row) has no attributes that others share: nothing to compare it by")
            }
            return try FactorSimilarity.nearest(
                table: vectors, to: rows, isKnown: isDescribed, count: count, name: "items", stream: context.stream)
        }
        let profiles = try profiles(context.histories)
        return try FactorSimilarity.nearest(
            table: profiles, to: rows, isKnown: context.userDegrees.map { $0 > 0 }, count: count, name: "users",
            stream: context.stream)
    }

    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        let vector = learned.vectors.row(Int(item))
        return ContributingItem.ranked(
            history.map {
                (
                    $0.item,
                    Double(learned.options.confidence.weight($0.value))
                        * dot(vector, learned.vectors.row(Int($0.item)))
                )
            })
    }
}
