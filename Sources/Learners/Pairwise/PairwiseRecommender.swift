import CVectorLoops
import Compute
import Core
import Tables

/// Ranks by factors and biases on the device. New users are folded in by steps like those of the training, with the
/// items held: as many for each of their items as there were passes.
final class PairwiseRecommender: Recommender {
    let itemCount: Int
    private let learned: PairwiseFactors
    private let context: RecommenderContext
    private let padded: PairwiseTables
    private let items: Matrix
    private let candidates: [Int32]

    init(learned: PairwiseFactors, context: RecommenderContext) throws {
        self.learned = learned
        self.context = context
        itemCount = learned.items.rows
        padded = PairwiseTables(learned)
        items = try context.stream.wrap(learned.items)
        candidates = (0..<Int32(learned.items.rows)).filter { context.itemCounts[Int($0)] > 0 }
    }

    /// Factors of each person; −∞ has no meaning here: whoever has no history gets 0, and so the biases alone.
    private func queries(_ audience: Audience) throws -> HostMatrix {
        switch audience {
        case .histories(let histories):
            return foldIn(try audience.histories(known: histories))
        case .users(let selected):
            try checkIndices(selected, below: learned.users.rows, "users")
            let rows = HostMatrix(rows: selected.count, columns: learned.options.factors)
            var unknown: [Int32] = []
            var places: [Int] = []
            for (place, user) in selected.enumerated() {
                let source = learned.users.row(Int(user))
                if source.contains(where: { $0 != 0 }) {
                    rows.row(place).baseAddress!.update(from: source.baseAddress!, count: rows.columns)
                } else {
                    unknown.append(user)
                    places.append(place)
                }
            }
            // Users that were held out of the training have a history all the same.
            let folded = foldIn(context.histories.selectingRows(unknown))
            for (number, place) in places.enumerated() {
                rows.row(place).baseAddress!.update(from: folded.row(number).baseAddress!, count: rows.columns)
            }
            return rows
        }
    }

    private func foldIn(_ histories: HostSparseMatrix) -> HostMatrix {
        let result = HostMatrix(rows: histories.rows, columns: learned.options.factors)
        Workers.share(tasks: (histories.rows + 15) / 16, threads: context.threads) { group in
            let row = HostBuffer<Float>(uninitializedCount: padded.stride)
            for person in group * 16..<min(group * 16 + 16, histories.rows) {
                row.baseAddress.update(repeating: 0, count: row.count)
                foldIn(histories.columns(ofRow: person), row.baseAddress, parts: nil)
                result.row(person).baseAddress!.update(from: row.baseAddress, count: result.columns)
            }
        }
        return result
    }

    private func foldIn(
        _ history: UnsafeBufferPointer<Int32>, _ row: UnsafeMutablePointer<Float>,
        parts: UnsafeMutablePointer<Float>?
    ) {
        guard let first = history.baseAddress, !history.isEmpty, candidates.count > 1 else { return }
        let steps = history.count * learned.options.iterations
        padded.withModel(nil, rate: learned.options.learningRate) { model in
            candidates.withUnsafeBufferPointer {
                apus_pairwise_fold_in(
                    model, first, Int64(history.count), $0.baseAddress, Int64($0.count), Int64(steps), row, parts)
            }
        }
    }

    /// People whose results are in memory at a time.
    private func batch(_ count: Int) -> Int { max(256, (1 << 22) / max(count, 1)) }

    func topItems(
        for audience: Audience, count: Int, exclusions: HostSparseMatrix?, filter: ItemFilter
    ) throws -> TopItems {
        guard count >= 1 else { throw ParameterError("count", "\(count) is below 1") }
        if case .histories = audience { _ = try audience.histories(known: context.histories) }
        let stream = context.stream
        let base = learned.biases.indices.map { context.itemCounts[$0] > 0 ? learned.biases[$0] : -.infinity }
        let bias = try stream.upload(
            base.indices.map { filter.permits(Int32($0)) ? base[$0] : -.infinity })
        var (indices, scores): ([Int32], [Float]) = ([], [])
        for first in stride(from: 0, to: audience.count, by: batch(count)) {
            let part = (first..<min(first + batch(count), audience.count)).map { Int32($0) }
            let (places, values) = (
                try stream.allocate(rows: part.count, columns: count, .int32),
                try stream.allocate(rows: part.count, columns: count)
            )
            try stream.topK(
                queries: try stream.upload(try queries(audience.selecting(part))), candidates: items,
                candidateBias: bias, exclusions: try exclusions.map { try stream.wrap($0.selectingRows(part)) },
                indices: places, scores: values)
            indices += try stream.download(places, as: Int32.self)
            scores += try stream.download(values, as: Float.self)
        }
        return TopItems(count: count, items: indices, scores: scores)
    }

    func scores(for audience: Audience, of items: HostSparseMatrix) throws -> [Float] {
        try checkPairs(audience, items)
        if case .histories = audience { _ = try audience.histories(known: context.histories) }
        let queries = try queries(audience)
        var result: [Float] = []
        result.reserveCapacity(items.entryCount)
        for person in 0..<items.rows {
            let own = queries.row(person)
            for item in items.columns(ofRow: person) {
                var sum = Double(learned.biases[Int(item)])
                for (a, b) in zip(own, learned.items.row(Int(item))) { sum += Double(a) * Double(b) }
                result.append(Float(sum))
            }
        }
        return result
    }

    func similar(_ side: RecommenderSide, to rows: [Int32], count: Int) throws -> TopItems {
        let table = side == .users ? learned.users : learned.items
        let isKnown =
            side == .items
            ? context.itemCounts.map { $0 > 0 } : (0..<table.rows).map { table.row($0).contains { $0 != 0 } }
        return try FactorSimilarity.nearest(
            table: try context.stream.wrap(table), to: rows, isKnown: isKnown, count: count, name: side.rawValue,
            stream: context.stream)
    }

    /// The steps of a fold-in move the person towards one of their items at a time: what each adds, times the item in
    /// question. The item's bias is for everybody, and no part of it.
    func explain(item: Int32, history: [(item: Int32, value: Float)]) throws -> [ContributingItem] {
        try checkIndices([item] + history.map(\.item), below: itemCount, "items")
        let own = history.map(\.item).sorted()
        let row = HostBuffer<Float>(repeating: 0, count: padded.stride)
        let parts = HostBuffer<Float>(repeating: 0, count: max(own.count * padded.stride, 1))
        own.withUnsafeBufferPointer { foldIn($0, row.baseAddress, parts: parts.baseAddress) }
        let vector = learned.items.row(Int(item))
        return ContributingItem.ranked(
            own.enumerated().map { place, member in
                var sum = 0.0
                for k in vector.indices { sum += Double(parts[place * padded.stride + k]) * Double(vector[k]) }
                return (member, sum)
            })
    }
}
